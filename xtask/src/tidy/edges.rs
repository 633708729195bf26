//! Which crate may know which.
//!
//! The table is the architecture: a new edge is a decision, and this is where
//! it is taken. Closures are walked over `Cargo.lock` rather than asked of
//! cargo, because that needs no network and covers every platform.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Problem, problem};
use crate::repo::Repo;

/// A crate of ours: its level, and the crates of ours it may use.
struct Row {
    name: &'static str,
    /// 0 and 1 are pure.
    level: u8,
    may_use: &'static [&'static str],
}

const fn row(name: &'static str, level: u8, may_use: &'static [&'static str]) -> Row {
    Row { name, level, may_use }
}

/// Lowest level first. Siblings do not see each other.
const TABLE: &[Row] = &[
    row("massgen-protocol", 0, &[]),
    row("massgen-coordination", 1, &["massgen-protocol"]),
    row("massgen-prompts", 1, &["massgen-protocol"]),
    row("massgen-config", 1, &["massgen-protocol"]),
    row("massgen-view", 1, &["massgen-protocol"]),
    row("massgen-log", 2, &["massgen-protocol"]),
    row("massgen-models", 2, &["massgen-protocol"]),
    row("massgen-sandbox", 2, &["massgen-protocol"]),
    row("massgen-workspace", 2, &["massgen-protocol"]),
    row("massgen-tools", 3, &["massgen-protocol", "massgen-sandbox", "massgen-workspace"]),
    row(
        "massgen-runtime",
        3,
        &[
            "massgen-protocol",
            "massgen-coordination",
            "massgen-prompts",
            "massgen-log",
            "massgen-models",
        ],
    ),
    row(
        "massgen",
        5,
        &[
            "massgen-protocol",
            "massgen-coordination",
            "massgen-prompts",
            "massgen-config",
            "massgen-view",
            "massgen-log",
            "massgen-models",
            "massgen-runtime",
            "massgen-sandbox",
            "massgen-tools",
            "massgen-workspace",
        ],
    ),
];

/// For tests only: allowed as a dev-dependency everywhere, as another kind nowhere.
const DEV_ONLY: &[&str] = &["massgen-testkit"];

/// Chores and test helpers; nothing ships them.
const HELPERS: &[&str] = &["massgen-testkit", "xtask"];

/// What a pure crate must not reach, not even through others: clocks, files, network, randomness.
const IMPURE: &[&str] = &[
    "async-std",
    "crossterm",
    "getrandom",
    "hyper",
    "mio",
    "notify",
    "rand",
    "rand_core",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
];

/// Packages in Cargo.lock. Raise it in a commit of its own that says what for.
const PACKAGES_MAX: usize = 400;

/// A direct dependency between two crates.
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    dev: bool,
}

fn edges(metadata: &Value) -> Vec<Edge<'_>> {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut edges = Vec::new();
    for package in packages {
        let from = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().map_or(&[][..], Vec::as_slice) {
            let to = dependency["name"].as_str().unwrap_or_default();
            edges.push(Edge { from, to, dev: dependency["kind"].as_str() == Some("dev") });
        }
    }
    edges
}

/// Edges between our crates are those of the table.
pub fn allowed(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in repo.metadata["packages"].as_array().map_or(&[][..], Vec::as_slice) {
        let name = package["name"].as_str().unwrap_or_default();
        let known = TABLE.iter().any(|row| row.name == name) || HELPERS.contains(&name);
        if !known {
            problems.push(problem(name, "the crate has no row in the table of edges"));
        }
    }
    for edge in edges(&repo.metadata) {
        if let Some(what) = forbidden(&edge) {
            problems.push(problem(edge.from, what));
        }
    }
    problems
}

fn forbidden(edge: &Edge<'_>) -> Option<String> {
    let ours = TABLE.iter().any(|row| row.name == edge.to) || HELPERS.contains(&edge.to);
    if !ours {
        return None;
    }
    if DEV_ONLY.contains(&edge.to) {
        return (!edge.dev).then(|| format!("`{}` is for tests only", edge.to));
    }
    let Some(row) = TABLE.iter().find(|row| row.name == edge.from) else {
        // Helpers ship nothing, so they may look at anything but each other.
        return HELPERS.contains(&edge.to).then(|| format!("`{}` is no library", edge.to));
    };
    (!row.may_use.contains(&edge.to)).then(|| format!("must not depend on `{}`", edge.to))
}

/// What the crates of level 0 and 1 reach, through whatever crate, is pure.
pub fn pure_closure(repo: &Repo) -> Vec<Problem> {
    let Some(lock) = repo.file("Cargo.lock") else {
        return vec![problem("Cargo.lock", "is missing")];
    };
    let reached_from = packages(&lock.text);
    let mut problems = Vec::new();
    for row in TABLE.iter().filter(|row| row.level <= 1) {
        let direct = edges(&repo.metadata)
            .into_iter()
            .filter(|edge| edge.from == row.name && !edge.dev)
            .map(|edge| edge.to.to_owned());
        // A pure crate's own entry in the lock lists its dev-dependencies too,
        // so the walk starts at what cargo calls its normal ones and stops at ours.
        let mut open: Vec<String> = direct.collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) || TABLE.iter().any(|row| row.name == name) {
                continue;
            }
            open.extend(reached_from.get(&name).cloned().unwrap_or_default());
        }
        for name in seen.iter().filter(|name| IMPURE.contains(&name.as_str())) {
            problems.push(problem(row.name, format!("is pure but reaches `{name}`")));
        }
    }
    problems
}

/// Packages of a lock file with the names of what each depends on.
fn packages(lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for block in lock.split("[[package]]").skip(1) {
        let mut name = String::new();
        for line in block.lines() {
            if let Some(value) = line.strip_prefix("name = ") {
                name = value.trim_matches('"').to_owned();
                packages.entry(name.clone()).or_default();
            } else if let Some(entry) = line.trim().strip_prefix('"') {
                // `"rand 0.9.1",`: the version stands there where there are several.
                let dependency = entry.trim_end_matches(['"', ',']);
                let dependency = dependency.split(' ').next().unwrap_or_default();
                packages.entry(name.clone()).or_default().insert(dependency.to_owned());
            }
        }
    }
    packages
}

/// Clippy does not merge its files, so each pure crate repeats the same lines.
pub fn clippy_files(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut first: Option<&str> = None;
    for row in TABLE.iter().filter(|row| row.level <= 1) {
        let path = format!("crates/{}/clippy.toml", row.name);
        match (repo.file(&path), first) {
            (None, _) => problems.push(problem(path, "is missing")),
            (Some(file), None) => first = Some(&file.text),
            (Some(file), Some(text)) if file.text != text => {
                problems.push(problem(path, "differs from the other pure crates' file"));
            }
            (Some(_), Some(_)) => {}
        }
    }
    problems
}

/// Lints come from the workspace, and a folder has its crate's name.
pub fn manifests(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let folder =
            file.path.trim_end_matches("/Cargo.toml").rsplit('/').next().unwrap_or_default();
        if !file.text.contains("[lints]\nworkspace = true") {
            problems.push(problem(&file.path, "does not take the workspace's lints"));
        }
        if !file.text.contains(&format!("name = \"{folder}\"\n")) {
            problems.push(problem(&file.path, "the crate's name is not its folder's"));
        }
    }
    problems
}

/// Cargo.lock stays below its ceiling and takes everything from one source.
pub fn lock(repo: &Repo) -> Vec<Problem> {
    let Some(lock) = repo.file("Cargo.lock") else {
        return vec![problem("Cargo.lock", "is missing")];
    };
    let mut problems = Vec::new();
    let n_packages = lock.text.matches("[[package]]").count();
    if n_packages > PACKAGES_MAX {
        let what = format!("{n_packages} packages, at most {PACKAGES_MAX} are agreed on");
        problems.push(problem("Cargo.lock", what));
    }
    let sources: BTreeSet<&str> =
        lock.text.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    if sources.len() > 1 {
        problems.push(problem("Cargo.lock", format!("takes packages from {sources:?}")));
    }
    problems
}

/// Every file right under `tests/` is a binary to link; `tests/it/main.rs` holds them all.
pub fn test_binaries(repo: &Repo) -> Vec<Problem> {
    let stray = repo.sources().filter(|file| {
        let below = file.path.split_once("/tests/").map(|(_, below)| below);
        let is_integration = file.path.starts_with("crates/") && !file.path.contains("/src/");
        // A folder without `main.rs` is a module that binaries share.
        let is_binary = |below: &str| !below.contains('/') || below.ends_with("/main.rs");
        is_integration && below.is_some_and(|below| is_binary(below) && below != "it/main.rs")
    });
    stray.map(|file| problem(&file.path, "make it a module of `tests/it/main.rs`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str, dev: bool, expected: Option<&str>) {
        assert_eq!(forbidden(&Edge { from, to, dev }).as_deref(), expected);
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_found() {
        check("massgen-runtime", "massgen-log", false, None);
        check("massgen-runtime", "tokio", false, None);
        check("massgen-view", "massgen-log", false, Some("must not depend on `massgen-log`"));
        check("massgen-view", "massgen-log", true, Some("must not depend on `massgen-log`"));
        check("massgen-models", "massgen-testkit", true, None);
        check(
            "massgen-models",
            "massgen-testkit",
            false,
            Some("`massgen-testkit` is for tests only"),
        );
        check("xtask", "massgen-coordination", false, None);
    }

    #[test]
    fn the_table_goes_down_only() {
        for row in TABLE {
            for name in row.may_use {
                let below = TABLE.iter().find(|other| other.name == *name).map(|other| other.level);
                assert!(below.is_some_and(|level| level < row.level), "{} → {name}", row.name);
            }
        }
    }

    #[test]
    fn a_lock_file_is_read_with_its_dependencies() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\ndependencies = [\n \"b\",\n \"rand 0.9.1\",\n]\n\n[[package]]\nname = \"b\"\n";
        let packages = packages(lock);
        assert_eq!(packages["a"], BTreeSet::from(["b".to_owned(), "rand".to_owned()]));
        assert!(packages["b"].is_empty());
    }
}
