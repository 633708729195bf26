#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backend_keys;
mod bad;
mod broken_yaml;
mod good;
mod leaks;
mod limits;
mod quick;
mod secrets;
mod tools;

use massgen_config::{Environment, Loaded, Overrides, Problem, Source, load};
use massgen_protocol::RunSpec;

/// A key for every hosted provider that a test names.
fn env() -> Environment {
    Environment::new([
        ("OPENAI_API_KEY", "sk-openai"),
        ("GROQ_API_KEY", "gsk-groq"),
        ("HOST", "gpu.local"),
        ("MODEL", "llama-3"),
        ("EMPTY", ""),
    ])
}

fn asked() -> Overrides {
    Overrides { question: Some("Why?".to_owned()), ..Overrides::default() }
}

fn loaded(text: &str) -> Loaded {
    load(&Source { name: "team.yaml", text }, &env(), &asked())
}

#[track_caller]
fn spec(text: &str) -> RunSpec {
    match loaded(text).spec {
        Ok(spec) => spec,
        Err(problems) => panic!("{}", lines(&problems)),
    }
}

/// Errors, then notices, as a user sees them.
fn problems(text: &str) -> String {
    let loaded = loaded(text);
    let errors = loaded.spec.err().unwrap_or_default();
    let all: Vec<Problem> = errors.into_iter().chain(loaded.notices).collect();
    lines(&all)
}

fn lines(problems: &[Problem]) -> String {
    if problems.is_empty() {
        return "no problems".to_owned();
    }
    let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    told.lines().map(without_types).collect::<Vec<_>>().join("\n")
}

/// Which types there are grows with every build; `types_are_listed` looks at them.
fn without_types(line: &str) -> String {
    for list in ["types are ", "a `type` that has: "] {
        if let Some((before, _)) = line.split_once(list) {
            return format!("{before}{list}…");
        }
    }
    line.to_owned()
}

/// Puts keys into an otherwise valid agent's backend.
fn with_backend(keys: &str) -> String {
    format!("agents:\n  - id: a\n    backend: {{type: lmstudio, model: m, {keys}}}\n")
}

/// Puts sections beside an otherwise valid team.
fn with_team(sections: &str) -> String {
    format!("agents:\n  - backend: {{type: lmstudio, model: m}}\n{sections}\n")
}
