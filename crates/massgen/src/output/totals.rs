//! What a run took, in a line.

use massgen_protocol::Spend;
use massgen_view::words;

/// «42.0 s, 12 calls, 34,567 tokens, $0.42»; money only where prices are known.
pub fn totals(elapsed_ms: u64, spend: &Spend) -> String {
    let calls =
        if spend.calls == 1 { "1 call".to_owned() } else { format!("{} calls", spend.calls) };
    let mut line =
        format!("{}, {calls}, {} tokens", words::duration(elapsed_ms), grouped(spend.tokens));
    if spend.money_micros > 0 {
        line.push_str(", ");
        line.push_str(&words::money(spend.money_micros));
    }
    line
}

/// Returns a number with its thousands told apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_with_their_unit() {
        let used = Spend { calls: 1, tokens: 1_234_567, money_micros: 420_000 };
        assert_eq!(totals(41_730, &used), "41.7 s, 1 call, 1,234,567 tokens, $0.42");
        let free = Spend { calls: 3, tokens: 999, money_micros: 0 };
        assert_eq!(totals(900, &free), "0.9 s, 3 calls, 999 tokens");
    }
}
