//! What an unquoted value means. As in YAML 1.1, `yes`, `no`, `on` and `off` are booleans.

/// A number as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(i128),
    Fraction(f64),
}

impl Number {
    pub fn as_f64(self) -> f64 {
        match self {
            // Exact up to 2^53, far above every bound that is checked with it.
            Number::Whole(n) => n as f64,
            Number::Fraction(x) => x,
        }
    }
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

pub(crate) fn number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = |n: i128| Number::Whole(if negative { -n } else { n });
    let sign = if negative { -1.0 } else { 1.0 };
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(Number::Fraction(sign * f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" => return Some(Number::Fraction(f64::NAN)),
        _ => {}
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            // Without this check a second sign would be taken.
            let is_digits = digits.starts_with(|c: char| c.is_ascii_alphanumeric());
            let n = is_digits.then(|| i128::from_str_radix(&digits.replace('_', ""), radix).ok());
            return n.flatten().map(signed);
        }
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if !digits.bytes().all(|b| b.is_ascii_digit() || b"._eE+-".contains(&b)) {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return match digits.parse() {
            Ok(n) => Some(signed(n)),
            // More digits than any bound: let the bound refuse it.
            Err(_) => digits.parse().ok().map(|x: f64| Number::Fraction(sign * x)),
        };
    }
    if !digits.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(|x: f64| Number::Fraction(sign * x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_yaml_writes_them() {
        let whole = |text: &&str| number(text) == Some(Number::Whole(1_000));
        assert!(["1000", "1_000", "+1000", "0x3e8", "0o1750", "0b1111101000"].iter().all(whole));
        let number_text = |text| format!("{:?}", number(text));
        assert_eq!(number_text("-1.5e3"), "Some(Fraction(-1500.0))");
        assert_eq!(number_text("-.inf"), "Some(Fraction(-inf))");
        assert_eq!(number_text(".5"), "Some(Fraction(0.5))");
        assert_eq!(number_text("-7"), "Some(Whole(-7))");
        assert_eq!(number_text(&"9".repeat(400)), "Some(Fraction(inf))");
        for text in ["", "-", ".", "..", "1.2.3", "gpt-4", "1:30", "0x", "0x-1", "--1", "e5", "1e"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn booleans_of_both_yaml_versions_are_read() {
        assert_eq!(boolean("yes"), Some(true));
        assert_eq!(boolean("Off"), Some(false));
        assert_eq!(boolean("True"), Some(true));
        assert_eq!(boolean("y"), None);
        assert_eq!(boolean("tRUE"), None);
    }
}
