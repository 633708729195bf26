//! Recorded input and expected output that nothing reads any more.

use super::{Problem, problem};
use crate::repo::Repo;

/// A fixture's file name, or the folder it lies in, is named by some test.
pub fn all_used(repo: &Repo) -> Vec<Problem> {
    let paths = repo.files.iter().map(|file| file.path.as_str());
    let paths = paths.chain(repo.binaries.iter().map(String::as_str));
    let unused = paths.filter(|path| {
        let Some((_, below)) = path.split_once("fixtures/") else { return false };
        let stem = below.rsplit('/').next().and_then(|name| name.split('.').next());
        let mut names = below.split('/').chain(stem);
        let named = names.any(|name| repo.sources().any(|file| file.text.contains(name)));
        // A page that says where fixtures come from is read by people.
        !named && !path.ends_with(".md") && !path.ends_with(".rs")
    });
    unused.map(|path| problem(path, "no test names it or its folder")).collect()
}

/// A snapshot file names its source, and the source still has the test it is named for.
pub fn snapshots_have_tests(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for snapshot in repo.files.iter().filter(|file| file.path.ends_with(".snap")) {
        let source = snapshot.text.lines().find_map(|line| line.strip_prefix("source: "));
        let Some(source) = source.and_then(|path| repo.file(path)) else {
            problems.push(problem(&snapshot.path, "the source it names does not exist"));
            continue;
        };
        let name = snapshot.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".snap");
        let name = name.rsplit("__").next().unwrap_or_default();
        if !is_named(&source.text, name) {
            let what = format!("`{}` has no test or name `{name}`", source.path);
            problems.push(problem(&snapshot.path, what));
        }
    }
    problems
}

/// Insta names a snapshot after its test, with `-2` for the second, or as the test says.
fn is_named(source: &str, name: &str) -> bool {
    let unnumbered = name.rsplit_once('-').filter(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
    let base = unnumbered.map_or(name, |(base, _)| base);
    // Names made with `format!` share their first words with the source.
    let first = base.split(['_', '-', ' ']).next().unwrap_or(base);
    source.contains(base)
        || source.contains(name)
        || (source.contains("assert_snapshot!(format!") || source.contains("set_snapshot_suffix"))
            && source.contains(first)
}

#[cfg(test)]
mod tests {
    use super::is_named;

    #[test]
    fn numbered_and_named_snapshots_find_their_test() {
        assert!(is_named("fn first_draft() {", "first_draft"));
        assert!(is_named("fn first_draft() {", "first_draft-2"));
        assert!(is_named("assert_snapshot!(\"vote-only\", text)", "vote-only"));
        assert!(!is_named("fn first_draft() {", "second_draft"));
    }
}
