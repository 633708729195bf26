//! Tokens → money.

use massgen_protocol::{Prices, Usage};

/// Returns what a call cost, in millionths of a US dollar, rounded up. The
/// provider's own figure wins over the prices.
pub fn cost_micros(usage: &Usage, prices: &Prices) -> u64 {
    if let Some(cost) = usage.cost_micros {
        return cost;
    }
    let parts = [
        (usage.input_uncached, prices.input_micros),
        (usage.cache_read, prices.cache_read_micros),
        (usage.cache_write, prices.cache_write_micros),
        (usage.generated(), prices.output_micros),
    ];
    let sum = parts.iter().fold(0_u128, |sum, &(tokens, price)| {
        sum.saturating_add(u128::from(tokens) * u128::from(price))
    });
    u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices {
        input_micros: 2_000_000,
        cache_read_micros: 200_000,
        cache_write_micros: 2_500_000,
        output_micros: 10_000_000,
    };

    #[test]
    fn classes_have_their_own_prices_and_the_sum_is_rounded_up() {
        let usage = Usage {
            input_uncached: 100,
            cache_read: 50,
            cache_write: 10,
            output: 20,
            reasoning: 5,
            cost_micros: None,
        };
        assert_eq!(cost_micros(&usage, &PRICES), 200 + 10 + 25 + 250);
        let one = Usage { cache_read: 1, ..Usage::default() };
        assert_eq!(cost_micros(&one, &PRICES), 1);
        assert_eq!(cost_micros(&usage, &Prices::default()), 0);
    }

    #[test]
    fn a_providers_own_figure_wins() {
        let usage = Usage { output: 1_000, cost_micros: Some(7), ..Usage::default() };
        assert_eq!(cost_micros(&usage, &PRICES), 7);
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let usage =
            Usage { input_uncached: u64::MAX, output: u64::MAX, reasoning: 1, ..Usage::default() };
        let prices = Prices { input_micros: u64::MAX, output_micros: u64::MAX, ..PRICES };
        assert_eq!(cost_micros(&usage, &prices), u64::MAX);
    }
}
