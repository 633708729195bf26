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

const REFERENCE: &str = "docs/reference/events.md";

/// Every variant of `EventBody` has a row in the reference, with the kind the code gives it.
pub fn all_documented(repo: &Repo) -> Vec<Problem> {
    let (Some(file), Some(page)) = (repo.file(EVENTS), repo.file(REFERENCE)) else {
        return vec![problem(REFERENCE, "is missing, or the events are")];
    };
    let rows: Vec<Vec<&str>> = page
        .text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let mut problems = Vec::new();
    for variant in variants(&file.text, "EventBody") {
        let name = snake_case(&variant);
        let row = rows.iter().find(|row| row.get(1) == Some(&format!("`{name}`").as_str()));
        let Some(kind) = row.and_then(|row| row.get(2)) else {
            problems.push(problem(REFERENCE, format!("`{name}` has no row")));
            continue;
        };
        let is_decision = is_listed(&file.text, &variant);
        if is_decision != (*kind == "decision") {
            problems.push(problem(REFERENCE, format!("`{name}` is called a {kind}")));
        }
    }
    problems
}

/// Whether the variant stands in the first arm of `is_decision`.
fn is_listed(source: &str, variant: &str) -> bool {
    let arm = source.split("fn is_decision").nth(1).and_then(|rest| rest.split("=> true").next());
    arm.is_some_and(|arm| names(arm, variant))
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
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
    fn names_become_those_of_the_log() {
        assert_eq!(snake_case("CallRequested"), "call_requested");
        assert_eq!(snake_case("Presented"), "presented");
    }

    #[test]
    fn a_longer_name_is_not_a_use() {
        assert!(names("match body { Body::Call => 1 }", "Call"));
        assert!(!names("Body::CallFailed { .. }", "Call"));
        assert!(!names("Call", "Call"));
    }
}
