//! The ledger: what was spent, what is reserved for calls that run, and what is left.

use std::collections::BTreeMap;

use massgen_protocol::{Budget, CallId, Millis, RefusalReason, Spend};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    budget: Budget,
    spent: Spend,
    reserved: BTreeMap<CallId, Spend>,
    /// Sum of `reserved`, kept because thousands of calls may run.
    reserved_total: Spend,
}

impl Ledger {
    pub(crate) fn new(budget: Budget) -> Ledger {
        Ledger {
            budget,
            spent: Spend::default(),
            reserved: BTreeMap::new(),
            reserved_total: Spend::default(),
        }
    }

    pub(crate) fn spent(&self) -> Spend {
        self.spent
    }

    pub(crate) fn reserved(&self) -> Spend {
        self.reserved_total
    }

    pub(crate) fn has_bounds(&self) -> bool {
        self.budget.calls.is_some()
            || self.budget.tokens.is_some()
            || self.budget.money_micros.is_some()
    }

    /// Reserves what a call may cost at most, if all bounds hold then, too.
    pub(crate) fn reserve(
        &mut self,
        now: Millis,
        call: CallId,
        estimate: Spend,
    ) -> Result<(), RefusalReason> {
        // A call that is asked for again, by a resumed run, is reserved once.
        self.release(call);
        let Budget { calls, tokens, money_micros, time_ms, soft_percent: _ } = self.budget;
        let total = plus(plus(self.spent, self.reserved_total), estimate);
        if calls.is_some_and(|bound| total.calls > bound) {
            return Err(RefusalReason::Calls);
        }
        if tokens.is_some_and(|bound| total.tokens > bound) {
            return Err(RefusalReason::Tokens);
        }
        if money_micros.is_some_and(|bound| total.money_micros > bound) {
            return Err(RefusalReason::Money);
        }
        if time_ms.is_some_and(|bound| now.0 >= bound) {
            return Err(RefusalReason::Time);
        }
        self.reserved.insert(call, estimate);
        self.reserved_total = plus(self.reserved_total, estimate);
        Ok(())
    }

    /// Books what a call really cost. Of a call that was never reserved, too: it is spent.
    pub(crate) fn settle(&mut self, call: CallId, spend: Spend) {
        self.release(call);
        self.spent = plus(self.spent, spend);
    }

    /// Returns whether the soft limit of any bound is reached.
    pub(crate) fn is_nearly_spent(&self) -> bool {
        let Budget { calls, tokens, money_micros, time_ms: _, soft_percent } = self.budget;
        let total = plus(self.spent, self.reserved_total);
        let reached = |used: u64, bound: Option<u64>| {
            // In u128, because a bound may be any u64.
            bound.is_some_and(|bound| {
                u128::from(used) * 100 >= u128::from(bound) * u128::from(soft_percent)
            })
        };
        reached(u64::from(total.calls), calls.map(u64::from))
            || reached(total.tokens, tokens)
            || reached(total.money_micros, money_micros)
    }

    fn release(&mut self, call: CallId) {
        if let Some(estimate) = self.reserved.remove(&call) {
            self.reserved_total = Spend {
                calls: self.reserved_total.calls.saturating_sub(estimate.calls),
                tokens: self.reserved_total.tokens.saturating_sub(estimate.tokens),
                money_micros: self
                    .reserved_total
                    .money_micros
                    .saturating_sub(estimate.money_micros),
            };
        }
    }
}

/// Adds up, saturating: a provider's nonsense must not make a large spend small.
fn plus(left: Spend, right: Spend) -> Spend {
    Spend {
        calls: left.calls.saturating_add(right.calls),
        tokens: left.tokens.saturating_add(right.tokens),
        money_micros: left.money_micros.saturating_add(right.money_micros),
    }
}

#[cfg(test)]
mod tests {
    use massgen_protocol::{AgentIndex, RoundId};

    use super::*;

    fn call(n: u32) -> CallId {
        CallId { round: RoundId { agent: AgentIndex(0), n: 1 }, n }
    }

    fn spend(calls: u32, tokens: u64, money_micros: u64) -> Spend {
        Spend { calls, tokens, money_micros }
    }

    fn budget() -> Budget {
        Budget {
            calls: Some(3),
            tokens: Some(1_000),
            money_micros: Some(500),
            time_ms: Some(60_000),
            soft_percent: 80,
        }
    }

    #[test]
    fn a_call_is_refused_by_the_first_bound_it_would_pass() {
        let check = |now, estimate, expected| {
            let mut ledger = Ledger::new(budget());
            assert_eq!(ledger.reserve(Millis(now), call(1), estimate), expected);
            let reserved = if expected.is_ok() { estimate } else { Spend::default() };
            assert_eq!(ledger.reserved(), reserved);
        };
        check(0, spend(3, 1_000, 500), Ok(()));
        check(0, spend(4, 0, 0), Err(RefusalReason::Calls));
        check(0, spend(1, 1_001, 0), Err(RefusalReason::Tokens));
        check(0, spend(1, 0, 501), Err(RefusalReason::Money));
        check(60_000, spend(1, 0, 0), Err(RefusalReason::Time));
        check(0, spend(u32::MAX, u64::MAX, u64::MAX), Err(RefusalReason::Calls));
    }

    #[test]
    fn what_is_reserved_counts_until_it_is_settled() {
        let mut ledger = Ledger::new(budget());
        assert_eq!(ledger.reserve(Millis(0), call(1), spend(1, 600, 0)), Ok(()));
        assert_eq!(
            ledger.reserve(Millis(0), call(2), spend(1, 600, 0)),
            Err(RefusalReason::Tokens)
        );
        ledger.settle(call(1), spend(1, 50, 10));
        assert_eq!((ledger.spent(), ledger.reserved()), (spend(1, 50, 10), Spend::default()));
        assert_eq!(ledger.reserve(Millis(0), call(2), spend(1, 600, 0)), Ok(()));
        // Asking again for the same call reserves it once.
        assert_eq!(ledger.reserve(Millis(0), call(2), spend(1, 700, 0)), Ok(()));
        assert_eq!(ledger.reserved(), spend(1, 700, 0));
    }

    #[test]
    fn an_unknown_call_was_paid_for_all_the_same() {
        let mut ledger = Ledger::new(budget());
        ledger.settle(call(9), spend(1, 70, 7));
        ledger.settle(call(9), spend(0, u64::MAX, u64::MAX));
        assert_eq!(ledger.spent(), spend(1, u64::MAX, u64::MAX));
        assert_eq!(ledger.reserve(Millis(0), call(1), spend(1, 0, 0)), Err(RefusalReason::Tokens));
    }

    #[test]
    fn the_soft_limit_is_a_share_of_any_bound() {
        let check = |spent, expected| {
            let mut ledger = Ledger::new(budget());
            ledger.settle(call(1), spent);
            assert_eq!(ledger.is_nearly_spent(), expected, "{spent:?}");
        };
        check(spend(2, 799, 399), false);
        check(spend(3, 0, 0), true);
        check(spend(0, 800, 0), true);
        check(spend(0, 0, 400), true);
        let mut boundless = Ledger::new(Budget::default());
        boundless.settle(call(1), spend(u32::MAX, u64::MAX, u64::MAX));
        assert!(!boundless.is_nearly_spent() && !boundless.has_bounds());
    }
}
