//! What must not stand in any file.

use super::{Problem, problem};
use crate::repo::Repo;

/// Longest source file. One that passes it holds a second idea.
const LINES_MAX: usize = 800;

/// Hosts a package is downloaded from, in two halves so that this file names none.
const REGISTRIES: &[(&str, &str)] = &[
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("npmjs", ".com"),
    ("rubygems", ".org"),
    ("proxy.golang", ".org"),
];

/// How a key of a provider begins, and how many characters of it make it real.
const KEYS: &[(&str, usize)] = &[
    ("sk-", 24),
    ("sk-ant-", 24),
    ("sk-proj-", 24),
    ("sk-or-v1-", 24),
    ("AIza", 30),
    ("xai-", 30),
    ("gsk_", 30),
    ("ghp_", 30),
    ("AKIA", 16),
];

/// Marks of unfinished work, in two halves so that this file has none.
const STUBS: &[(&str, &str)] = &[
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[ign", "ore"),
    ("should_", "panic"),
    ("dbg", "!("),
];

const VAGUE: &[&str] = &["utils", "util", "helpers", "helper", "misc", "common", "stuff"];

/// No source file is longer than its bound.
pub fn length(repo: &Repo) -> Vec<Problem> {
    let lengths = repo.sources().map(|file| (file, file.text.lines().count()));
    let long = lengths.filter(|(_, n_lines)| *n_lines > LINES_MAX);
    long.map(|(file, n)| problem(&file.path, format!("{n} lines, at most {LINES_MAX}"))).collect()
}

/// No source file holds a stub or a test that does not run.
pub fn stubs(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.sources() {
        for (line, text) in (1..).zip(file.text.lines()) {
            let found = STUBS.iter().map(|(a, b)| format!("{a}{b}"));
            for mark in found.filter(|mark| text.contains(mark)) {
                problems.push(problem(format!("{}:{line}", file.path), format!("holds `{mark}`")));
            }
        }
    }
    problems
}

/// No file is named for being useful.
pub fn names(repo: &Repo) -> Vec<Problem> {
    let vague = repo.sources().filter(|file| {
        let parts = file.path.trim_end_matches(".rs").split('/');
        parts.into_iter().any(|part| VAGUE.contains(&part))
    });
    vague.map(|file| problem(&file.path, "name it for the noun it defines")).collect()
}

/// No file but the lock names the host of a package registry.
pub fn registries(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.files.iter().filter(|file| file.path != "Cargo.lock") {
        for host in REGISTRIES.iter().map(|(a, b)| format!("{a}{b}")) {
            if file.text.contains(&host) {
                problems.push(problem(&file.path, "names the host of a package registry"));
            }
        }
    }
    problems
}

/// No file holds what a provider would take for a key.
pub fn keys(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.files.iter().filter(|file| file.path != "Cargo.lock") {
        for (line, text) in (1..).zip(file.text.lines()) {
            if looks_like_a_key(text) {
                let place = format!("{}:{line}", file.path);
                problems.push(problem(place, "looks like a real key; build test keys at run time"));
            }
        }
    }
    problems
}

fn looks_like_a_key(text: &str) -> bool {
    KEYS.iter().any(|(prefix, least)| {
        text.match_indices(prefix).any(|(at, _)| {
            // `task-…` is a word, not a key.
            let inside_a_word = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            let rest = &text[at + prefix.len()..];
            let run = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
            !inside_a_word && run.count() >= *least
        })
    })
}

/// A relative link in a document leads to a file or a folder of the tree.
pub fn links(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.files.iter().filter(|file| file.path.ends_with(".md")) {
        for target in link_targets(&file.text) {
            let base = repo.root.join(&file.path);
            let exists = base.parent().is_some_and(|folder| folder.join(target).exists());
            if !exists {
                problems
                    .push(problem(&file.path, format!("links to `{target}`, which is not there")));
            }
        }
    }
    problems
}

/// Returns the relative targets of `[text](target)`, without their anchors.
fn link_targets(markdown: &str) -> impl Iterator<Item = &str> {
    let targets = markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let targets = targets.map(|target| target.split('#').next().unwrap_or_default());
    targets.filter(|target| !target.is_empty() && !target.contains(':') && !target.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_words() {
        let long = "a1".repeat(20);
        for (prefix, _) in KEYS {
            assert!(looks_like_a_key(&format!("key = \"{prefix}{long}\"")), "{prefix}");
        }
        assert!(!looks_like_a_key("sk-test"));
        assert!(!looks_like_a_key(&format!("task-{long}")));
        assert!(!looks_like_a_key("export OPENAI_API_KEY=sk-..."));
    }

    #[test]
    fn relative_links_are_found() {
        let text = "See [a](docs/a.md#here), [b](https://example.com) and [c](#top), `f](x y)`.";
        assert_eq!(link_targets(text).collect::<Vec<_>>(), ["docs/a.md"]);
    }
}
