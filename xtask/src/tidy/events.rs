//! An event nobody makes or shows is a promise nobody keeps.

use super::{Problem, problem};
use crate::repo::Repo;

const EVENTS: &str = "crates/massgen-protocol/src/event.rs";

/// Every variant of `EventBody` is named outside of its crate, in code that ships.
pub fn all_used(repo: &Repo) -> Vec<Problem> {
    let Some(file) = repo.file(EVENTS) else {
        return vec![problem(EVENTS, "is missing")];
    };
    let variants = variants(&file.text, "EventBody");
    if variants.is_empty() {
        return vec![problem(EVENTS, "holds no `EventBody`")];
    }
    let shipped: Vec<&str> = repo
        .sources()
        .filter(|file| file.path.starts_with("crates/") && file.path.contains("/src/"))
        .filter(|file| !file.path.starts_with("crates/massgen-protocol/"))
        .map(|file| file.text.as_str())
        .collect();
    let unused = variants.into_iter().filter(|name| !shipped.iter().any(|text| names(text, name)));
    unused.map(|name| problem(EVENTS, format!("`{name}` is used nowhere"))).collect()
}

/// Returns the variants of an enum as rustfmt lays it out.
fn variants(source: &str, name: &str) -> Vec<String> {
    let head = format!("pub enum {name} {{");
    let lines = source.lines().skip_while(|line| *line != head).skip(1);
    lines
        .take_while(|line| *line != "}")
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(|line| line.chars().take_while(|c| c.is_ascii_alphanumeric()).collect())
        .collect()
}

/// Whether `text` names the variant, by whatever alias of its enum.
fn names(text: &str, variant: &str) -> bool {
    let path = format!("::{variant}");
    let mut found = text.match_indices(&path);
    found.any(|(at, _)| {
        let next = text[at + path.len()..].chars().next();
        !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_read_and_their_fields_are_not() {
        let source = "pub enum Other {\n    X,\n}\n\npub enum EventBody {\n    /// Doc.\n    A {\n        Field: u8,\n    },\n    B,\n    C(u8),\n}\n";
        assert_eq!(variants(source, "EventBody"), ["A", "B", "C"]);
    }

    #[test]
    fn a_longer_name_is_not_a_use() {
        assert!(names("match body { Body::Call => 1 }", "Call"));
        assert!(!names("Body::CallFailed { .. }", "Call"));
        assert!(!names("Call", "Call"));
    }
}
