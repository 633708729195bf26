//! Rules of the repository that a compiler does not hold.
//!
//! Every rule is a function from the work tree to what is wrong with it. The
//! same rules run as `cargo xtask tidy` and as tests, one test a rule.

mod edges;
mod events;
mod faults;
mod fixtures;
mod text;

use std::fmt;
use std::process::ExitCode;

use crate::repo::{self, Repo};

/// One broken rule: where, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: String,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

fn problem(place: impl Into<String>, what: impl Into<String>) -> Problem {
    Problem { place: place.into(), what: what.into() }
}

type Rule = fn(&Repo) -> Vec<Problem>;

const RULES: &[(&str, Rule)] = &[
    ("crates depend only downwards", edges::allowed),
    ("pure crates stay pure", edges::pure_closure),
    ("pure crates share one clippy.toml", edges::clippy_files),
    ("every crate takes the workspace's lints and its folder's name", edges::manifests),
    ("packages in Cargo.lock are bounded and of one source", edges::lock),
    ("one integration test binary a crate", edges::test_binaries),
    ("every event is used", events::all_used),
    ("every event is documented", events::all_documented),
    ("every fixture is used", fixtures::all_used),
    ("every snapshot has its test", fixtures::snapshots_have_tests),
    ("every fault of the list has its row and its test", faults::all_answered),
    ("every trap of the providers has its row and its test", faults::traps_answered),
    ("pages made from the code are fresh", made_pages),
    ("no file holds two ideas", text::length),
    ("no stubs, no switched-off tests", text::stubs),
    ("files are named for a noun", text::names),
    ("no package registry is named", text::registries),
    ("nothing looks like a key", text::keys),
    ("links between documents lead somewhere", text::links),
];

fn made_pages(repo: &Repo) -> Vec<Problem> {
    let stale = crate::docs::stale(repo).into_iter();
    stale.map(|(place, what)| problem(place, what)).collect()
}

/// Runs every rule and prints what is broken.
pub fn run(_arguments: &[String]) -> ExitCode {
    let repo = match Repo::read() {
        Ok(repo) => repo,
        Err(error) => {
            repo::say(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut n_problems = 0;
    for (name, rule) in RULES {
        for problem in rule(&repo) {
            repo::say(&format!("{problem}\n  rule: {name}"));
            n_problems += 1;
        }
    }
    repo::say(&format!("tidy: {} rules, {n_problems} problems", RULES.len()));
    if n_problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str) {
        let repo = Repo::read().unwrap_or_else(|error| panic!("{error}"));
        let rule = RULES.iter().find(|(rule, _)| *rule == name).map(|(_, rule)| rule);
        let rule = rule.unwrap_or_else(|| panic!("there is no rule `{name}`"));
        let problems: Vec<String> = rule(&repo).iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
    }

    /// One test a rule, so that the runner names the broken one.
    macro_rules! rules {
        ($($test:ident: $name:literal,)+) => {
            $(#[test] fn $test() { check($name); })+

            #[test]
            fn every_rule_has_a_test() {
                let tested = [$($name),+];
                let rules: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
                assert_eq!(rules, tested);
            }
        };
    }

    rules! {
        edges_allowed: "crates depend only downwards",
        edges_pure: "pure crates stay pure",
        edges_clippy: "pure crates share one clippy.toml",
        edges_manifests: "every crate takes the workspace's lints and its folder's name",
        edges_lock: "packages in Cargo.lock are bounded and of one source",
        edges_test_binaries: "one integration test binary a crate",
        events_used: "every event is used",
        events_documented: "every event is documented",
        fixtures_used: "every fixture is used",
        snapshots_tested: "every snapshot has its test",
        faults_answered: "every fault of the list has its row and its test",
        traps_answered: "every trap of the providers has its row and its test",
        made_pages_fresh: "pages made from the code are fresh",
        text_length: "no file holds two ideas",
        text_stubs: "no stubs, no switched-off tests",
        text_names: "files are named for a noun",
        text_registries: "no package registry is named",
        text_keys: "nothing looks like a key",
        text_links: "links between documents lead somewhere",
    }
}
