//! Tokens and money.

use massgen_protocol::{Spend, Usage};
use serde_json::{Value, json};

/// What was used, by whomever or by all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostView {
    /// Calls that came to their end.
    pub useful: Spend,
    /// Calls that failed or were given up, and the failed tries of those that
    /// came to their end; they cost all the same.
    pub wasted: Spend,
    /// Tokens of the calls that came to their end, by class.
    pub usage: Usage,
    /// Tries that failed and were followed by another.
    pub retries: u32,
    /// Calls that were handed to another model.
    pub fallbacks: u32,
}

impl CostView {
    /// Returns useful and wasted together.
    pub fn total(&self) -> Spend {
        let mut total = self.useful;
        add_spend(&mut total, &self.wasted);
        total
    }

    /// Returns the share of input tokens that came from the provider's cache,
    /// 0 to 1; `None` before there was any input.
    pub fn cached_share(&self) -> Option<f64> {
        let input = self.usage.input();
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
        (input > 0).then(|| self.usage.cache_read as f64 / input as f64)
    }

    /// Returns the same for programs, money in millionths of a dollar.
    pub fn to_json(&self) -> Value {
        let total = self.total();
        json!({
            "calls": total.calls,
            "input_uncached": self.usage.input_uncached,
            "cache_read": self.usage.cache_read,
            "cache_write": self.usage.cache_write,
            "output": self.usage.output,
            "reasoning": self.usage.reasoning,
            "tokens": total.tokens,
            "money_micros": total.money_micros,
            "wasted_tokens": self.wasted.tokens,
            "wasted_money_micros": self.wasted.money_micros,
            "cached_share": self.cached_share(),
            "retries": self.retries,
            "fallbacks": self.fallbacks,
        })
    }

    pub(crate) fn finished(&mut self, spend: &Spend, usage: Option<&Usage>) {
        let useful = usage.map_or(*spend, |usage| useful_part(spend, usage));
        add_spend(&mut self.useful, &useful);
        add_spend(
            &mut self.wasted,
            &Spend {
                calls: 0,
                tokens: spend.tokens.saturating_sub(useful.tokens),
                money_micros: spend.money_micros.saturating_sub(useful.money_micros),
            },
        );
        if let Some(usage) = usage {
            add_usage(&mut self.usage, usage);
        }
    }

    pub(crate) fn gave_up(&mut self, spend: &Spend) {
        add_spend(&mut self.wasted, spend);
    }

    pub(crate) fn add(&mut self, more: &CostView) {
        add_spend(&mut self.useful, &more.useful);
        add_spend(&mut self.wasted, &more.wasted);
        add_usage(&mut self.usage, &more.usage);
        self.retries = self.retries.saturating_add(more.retries);
        self.fallbacks = self.fallbacks.saturating_add(more.fallbacks);
    }
}

/// Returns what the last try of a call cost. What was spent beyond what its
/// provider counted went into the tries that failed before it.
fn useful_part(spend: &Spend, usage: &Usage) -> Spend {
    let counted = usage.input().saturating_add(usage.generated());
    if counted == 0 {
        // The server counts nothing, so the whole is an estimate.
        return *spend;
    }
    let money_micros = usage.cost_micros.unwrap_or(spend.money_micros);
    Spend {
        calls: spend.calls,
        tokens: counted.min(spend.tokens),
        money_micros: money_micros.min(spend.money_micros),
    }
}

pub(crate) fn add_spend(sum: &mut Spend, more: &Spend) {
    sum.calls = sum.calls.saturating_add(more.calls);
    sum.tokens = sum.tokens.saturating_add(more.tokens);
    sum.money_micros = sum.money_micros.saturating_add(more.money_micros);
}

fn add_usage(sum: &mut Usage, more: &Usage) {
    for (sum, more) in [
        (&mut sum.input_uncached, more.input_uncached),
        (&mut sum.cache_read, more.cache_read),
        (&mut sum.cache_write, more.cache_write),
        (&mut sum.output, more.output),
        (&mut sum.reasoning, more.reasoning),
    ] {
        *sum = sum.saturating_add(more);
    }
    if let Some(cost) = more.cost_micros {
        sum.cost_micros = Some(sum.cost_micros.unwrap_or(0).saturating_add(cost));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(tokens: u64, cost_micros: Option<u64>) -> Usage {
        Usage { input_uncached: tokens, cost_micros, ..Usage::default() }
    }

    #[test]
    fn what_failed_tries_cost_is_wasted_though_the_call_succeeds() {
        let check = |spend: Spend, usage: Usage, useful: (u64, u64), wasted: (u64, u64)| {
            let mut cost = CostView::default();
            cost.finished(&spend, Some(&usage));
            let told = |spend: &Spend| (spend.tokens, spend.money_micros);
            assert_eq!((told(&cost.useful), told(&cost.wasted)), (useful, wasted));
            assert_eq!(cost.total(), spend);
        };
        let spend = Spend { calls: 1, tokens: 150, money_micros: 90 };
        check(spend, usage(100, Some(60)), (100, 60), (50, 30));
        check(spend, usage(150, None), (150, 90), (0, 0));
        // A server that counts nothing, and one that counts more than was settled.
        check(spend, Usage::default(), (150, 90), (0, 0));
        check(spend, usage(u64::MAX, Some(u64::MAX)), (150, 90), (0, 0));
    }

    #[test]
    fn the_cached_share_is_of_all_input() {
        let usage =
            Usage { input_uncached: 50, cache_read: 900, cache_write: 50, ..usage(50, None) };
        let mut cost = CostView::default();
        assert_eq!(cost.cached_share(), None);
        cost.finished(&Spend { calls: 1, tokens: 1_000, money_micros: 0 }, Some(&usage));
        assert_eq!(cost.cached_share(), Some(0.9));
    }
}
