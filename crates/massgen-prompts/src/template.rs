//! Texts with `{placeholders}`.
//!
//! Only `{` + lower-case letters and `_` + `}` is a placeholder; every other
//! brace stands for itself, so that JSON in a text needs no escapes.

/// Returns the names of the placeholders in `text`, in order.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Placeholder(name) => Some(name),
        Piece::Literal(_) => None,
    })
}

/// Fills the placeholders of `text` in one pass: a brace inside a value stays as it is.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Literal(literal) => filled.push_str(literal),
            Piece::Placeholder(name) => {
                let value = values.iter().find(|(known, _)| *known == name);
                debug_assert!(value.is_some(), "`{{{name}}}` has no value in: {text}");
                filled.push_str(value.map_or("", |(_, value)| value));
            }
        }
    }
    filled
}

enum Piece<'a> {
    Literal(&'a str),
    Placeholder(&'a str),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(name) = placeholder_at_start(rest) {
            rest = &rest[name.len() + 2..];
            return Some(Piece::Placeholder(name));
        }
        // Every brace but the first character, which is no placeholder, may begin one.
        let mut braces = rest.char_indices().skip(1).filter(|&(_, c)| c == '{').map(|(at, _)| at);
        let end =
            braces.find(|&at| placeholder_at_start(&rest[at..]).is_some()).unwrap_or(rest.len());
        let (literal, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Literal(literal))
    })
}

fn placeholder_at_start(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_names_in_braces_are_placeholders() {
        let text = r#"{a} {"json": {b_c}} {A} {} {x1} {{d} {"#;
        assert_eq!(placeholders(text).collect::<Vec<_>>(), ["a", "b_c", "d"]);
    }

    #[test]
    fn values_are_not_expanded_again() {
        assert_eq!(fill("{a}-{b}-{a}", &[("a", "{b}"), ("b", "é{")]), "{b}-é{-{b}");
        assert_eq!(fill("", &[]), "");
    }

    #[test]
    fn many_braces_take_linear_time() {
        let text = "{".repeat(100_000);
        assert_eq!(fill(&text, &[]), text);
    }
}
