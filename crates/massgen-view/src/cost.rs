//! Tokens and money.

use massgen_protocol::{Spend, Usage};

/// What was used, by an agent or by all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostView {
    /// Calls that came to their end.
    pub useful: Spend,
    /// Calls that failed or were given up; they cost all the same.
    pub wasted: Spend,
    /// Tokens of the calls that came to their end, by class.
    pub usage: Usage,
}

impl CostView {
    /// Returns useful and wasted together.
    pub fn total(&self) -> Spend {
        let mut total = self.useful;
        add_spend(&mut total, &self.wasted);
        total
    }

    pub(crate) fn finished(&mut self, spend: &Spend, usage: Option<&Usage>) {
        add_spend(&mut self.useful, spend);
        let Some(usage) = usage else { return };
        let sum = &mut self.usage;
        for (sum, more) in [
            (&mut sum.input_uncached, usage.input_uncached),
            (&mut sum.cache_read, usage.cache_read),
            (&mut sum.cache_write, usage.cache_write),
            (&mut sum.output, usage.output),
            (&mut sum.reasoning, usage.reasoning),
        ] {
            *sum = sum.saturating_add(more);
        }
        if let Some(cost) = usage.cost_micros {
            sum.cost_micros = Some(sum.cost_micros.unwrap_or(0).saturating_add(cost));
        }
    }

    pub(crate) fn gave_up(&mut self, spend: &Spend) {
        add_spend(&mut self.wasted, spend);
    }
}

fn add_spend(sum: &mut Spend, more: &Spend) {
    sum.calls = sum.calls.saturating_add(more.calls);
    sum.tokens = sum.tokens.saturating_add(more.tokens);
    sum.money_micros = sum.money_micros.saturating_add(more.money_micros);
}
