//! The ledger: what was spent, what is reserved for calls that run, and who waits for it.
//!
//! A call is estimated at the most it may cost, which is often many times what it does
//! cost. So the two are kept apart: a bound is never passed by what is spent and reserved
//! together, but what is merely reserved refuses nobody. Whoever fits only once others
//! are settled waits for them in the order of arrival, and the first of those who wait
//! is not passed by smaller calls, or it might wait for ever.

use std::collections::{BTreeMap, VecDeque};

use massgen_protocol::{Budget, CallId, Millis, RefusalReason, RoundId, Spend};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    budget: Budget,
    spent: Spend,
    reserved: BTreeMap<CallId, Spend>,
    /// Sum of `reserved`, kept because thousands of calls may run.
    reserved_total: Spend,
    /// Calls to decide on with their estimates, in the order they were asked for; of each
    /// round one at most. After a step the first of them waits for one that is reserved.
    pub(crate) waiting: VecDeque<(CallId, Spend)>,
}

impl Ledger {
    pub(crate) fn new(budget: Budget) -> Ledger {
        Ledger {
            budget,
            spent: Spend::default(),
            reserved: BTreeMap::new(),
            reserved_total: Spend::default(),
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn spent(&self) -> Spend {
        self.spent
    }

    pub(crate) fn reserved(&self) -> Spend {
        self.reserved_total
    }

    pub(crate) fn is_reserved(&self, call: CallId) -> bool {
        self.reserved.contains_key(&call)
    }

    pub(crate) fn has_reservations(&self) -> bool {
        !self.reserved.is_empty()
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = (CallId, Spend)> {
        self.waiting.iter().copied()
    }

    pub(crate) fn waiting_rounds(&self) -> impl Iterator<Item = RoundId> {
        self.waiting().map(|(call, _)| call.round)
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn awaits_call(&self, round: RoundId) -> bool {
        self.waiting_rounds().any(|waiting| waiting == round)
    }

    pub(crate) fn has_bounds(&self) -> bool {
        self.budget.calls.is_some()
            || self.budget.tokens.is_some()
            || self.budget.money_micros.is_some()
    }

    /// Takes in that a call wants to start and may cost `estimate` at most.
    ///
    /// What its round asked for earlier is given up, but not the place it waited at.
    pub(crate) fn ask(&mut self, call: CallId, estimate: Spend) {
        match self.waiting.iter_mut().find(|(earlier, _)| earlier.round == call.round) {
            Some(request) => *request = (call, estimate),
            None => self.waiting.push_back((call, estimate)),
        }
    }

    /// Drops what a round waits for.
    pub(crate) fn withdraw(&mut self, round: RoundId) {
        self.waiting.retain(|(call, _)| call.round != round);
    }

    /// Decides on one call of those asked for, or returns `None` if all that are left have
    /// to wait, which takes a call that is reserved: without one, all are decided.
    pub(crate) fn decide_next(
        &mut self,
        now: Millis,
    ) -> Option<(CallId, Result<(), RefusalReason>)> {
        // What does not fit even alone gains nothing by waiting for its turn.
        let refused = self.waiting.iter().enumerate().find_map(|(at, (call, estimate))| {
            let reason = self.obstacle(now, plus(self.spent, *estimate))?;
            Some((at, *call, reason))
        });
        if let Some((at, call, reason)) = refused {
            self.waiting.remove(at);
            return Some((call, Err(reason)));
        }
        let (call, estimate) = *self.waiting.front()?;
        let total = plus(plus(self.spent, self.reserved_total), estimate);
        if self.obstacle(now, total).is_some() {
            return None;
        }
        self.waiting.pop_front();
        self.reserved.insert(call, estimate);
        self.reserved_total = plus(self.reserved_total, estimate);
        Some((call, Ok(())))
    }

    /// Returns the first bound that `total` would pass.
    fn obstacle(&self, now: Millis, total: Spend) -> Option<RefusalReason> {
        let Budget { calls, tokens, money_micros, time_ms, soft_percent: _ } = self.budget;
        if calls.is_some_and(|bound| total.calls > bound) {
            return Some(RefusalReason::Calls);
        }
        if tokens.is_some_and(|bound| total.tokens > bound) {
            return Some(RefusalReason::Tokens);
        }
        if money_micros.is_some_and(|bound| total.money_micros > bound) {
            return Some(RefusalReason::Money);
        }
        if time_ms.is_some_and(|bound| now.0 >= bound) {
            return Some(RefusalReason::Time);
        }
        None
    }

    /// Books what a call really cost. Of a call that was never reserved, too: it is spent.
    pub(crate) fn settle(&mut self, call: CallId, spend: Spend) {
        self.release(call);
        self.spent = plus(self.spent, spend);
    }

    /// Returns whether the soft limit of any bound is spent. Reservations do not count:
    /// at the start of a run all of a small budget is reserved and none of it used.
    pub(crate) fn is_nearly_spent(&self) -> bool {
        let Budget { calls, tokens, money_micros, time_ms: _, soft_percent } = self.budget;
        let reached = |used: u64, bound: Option<u64>| {
            // In u128, because a bound may be any u64.
            bound.is_some_and(|bound| {
                u128::from(used) * 100 >= u128::from(bound) * u128::from(soft_percent)
            })
        };
        reached(u64::from(self.spent.calls), calls.map(u64::from))
            || reached(self.spent.tokens, tokens)
            || reached(self.spent.money_micros, money_micros)
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
    use massgen_protocol::AgentIndex;

    use super::*;

    /// The first call of the n-th round.
    fn call(n: u32) -> CallId {
        CallId { round: RoundId { agent: AgentIndex(0), n }, n: 1 }
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

    fn decided(ledger: &mut Ledger, now: u64) -> Vec<(u32, Result<(), RefusalReason>)> {
        let next = || ledger.decide_next(Millis(now));
        std::iter::from_fn(next).map(|(call, decision)| (call.round.n, decision)).collect()
    }

    #[test]
    fn a_call_is_refused_by_the_first_bound_it_would_pass_alone() {
        let check = |now, estimate, expected: Result<(), RefusalReason>| {
            let mut ledger = Ledger::new(budget());
            ledger.ask(call(1), estimate);
            assert_eq!(decided(&mut ledger, now), [(1, expected)]);
            let reserved = if expected.is_ok() { estimate } else { Spend::default() };
            assert_eq!((ledger.reserved(), ledger.has_waiting()), (reserved, false));
        };
        check(0, spend(3, 1_000, 500), Ok(()));
        check(0, spend(4, 0, 0), Err(RefusalReason::Calls));
        check(0, spend(1, 1_001, 0), Err(RefusalReason::Tokens));
        check(0, spend(1, 0, 501), Err(RefusalReason::Money));
        check(60_000, spend(1, 0, 0), Err(RefusalReason::Time));
        check(0, spend(u32::MAX, u64::MAX, u64::MAX), Err(RefusalReason::Calls));
    }

    #[test]
    fn what_fits_only_without_the_others_waits_for_them_in_its_turn() {
        let mut ledger = Ledger::new(budget());
        for (n, tokens) in [(1, 600), (2, 600), (3, 100)] {
            ledger.ask(call(n), spend(1, tokens, 0));
        }
        // The third would fit, but not before the second.
        assert_eq!(decided(&mut ledger, 0), [(1, Ok(()))]);
        assert_eq!(decided(&mut ledger, 0), []);
        ledger.settle(call(1), spend(1, 50, 10));
        assert_eq!(decided(&mut ledger, 0), [(2, Ok(())), (3, Ok(()))]);
        assert_eq!((ledger.spent(), ledger.reserved()), (spend(1, 50, 10), spend(2, 700, 0)));
        ledger.ask(call(4), spend(1, 100, 0));
        assert_eq!(decided(&mut ledger, 0), []);
        assert_eq!(decided(&mut ledger, 60_000), [(4, Err(RefusalReason::Time))]);
    }

    #[test]
    fn what_others_have_spent_meanwhile_may_refuse_one_who_waits() {
        let mut ledger = Ledger::new(budget());
        for (n, tokens) in [(1, 600), (2, 500), (3, 900), (4, 400)] {
            ledger.ask(call(n), spend(0, tokens, 0));
        }
        assert_eq!(decided(&mut ledger, 0), [(1, Ok(()))]);
        ledger.settle(call(1), spend(1, 200, 0));
        // The third can never fit, whoever is before it.
        let expected = [(3, Err(RefusalReason::Tokens)), (2, Ok(()))];
        assert_eq!(decided(&mut ledger, 0), expected);
        ledger.settle(call(2), spend(1, 500, 0));
        assert_eq!(decided(&mut ledger, 0), [(4, Err(RefusalReason::Tokens))]);
    }

    #[test]
    fn a_round_waits_for_one_call_and_keeps_its_place_when_it_asks_anew() {
        let mut ledger = Ledger::new(budget());
        for n in 1..=3 {
            ledger.ask(call(n), spend(1, 600, 0));
        }
        assert_eq!(decided(&mut ledger, 0), [(1, Ok(()))]);
        let anew = CallId { n: 2, ..call(2) };
        ledger.ask(anew, spend(1, 700, 0));
        assert_eq!(ledger.waiting_rounds().collect::<Vec<_>>(), [call(2).round, call(3).round]);
        ledger.settle(call(1), spend(1, 0, 0));
        assert_eq!(ledger.decide_next(Millis(0)), Some((anew, Ok(()))));
        ledger.withdraw(call(3).round);
        assert!(!ledger.has_waiting() && ledger.is_reserved(anew) && !ledger.is_reserved(call(2)));
    }

    #[test]
    fn an_unknown_call_was_paid_for_all_the_same() {
        let mut ledger = Ledger::new(budget());
        ledger.settle(call(9), spend(1, 70, 7));
        ledger.settle(call(9), spend(0, u64::MAX, u64::MAX));
        assert_eq!(ledger.spent(), spend(1, u64::MAX, u64::MAX));
        ledger.ask(call(1), spend(1, 0, 0));
        assert_eq!(decided(&mut ledger, 0), [(1, Err(RefusalReason::Tokens))]);
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
        let mut reserving = Ledger::new(budget());
        reserving.ask(call(1), spend(3, 1_000, 500));
        assert_eq!(decided(&mut reserving, 0), [(1, Ok(()))]);
        assert!(!reserving.is_nearly_spent());
        let mut boundless = Ledger::new(Budget::default());
        boundless.settle(call(1), spend(u32::MAX, u64::MAX, u64::MAX));
        assert!(!boundless.is_nearly_spent() && !boundless.has_bounds());
    }
}
