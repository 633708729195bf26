//! Tables that answer a list, row by row: the faults that MassGen must not share with the
//! Python program of its name, and the traps that model providers have been caught setting.

use super::{Problem, problem};
use crate::repo::Repo;

/// A page with one row for each number of a list, and what a row may say.
struct Table {
    page: &'static str,
    rows: usize,
    kinds: &'static [(&'static str, Evidence)],
}

/// How a fault concerns us: with a test, by a seam's test, or with a reason alone.
const FAULTS: Table = Table {
    page: "docs/faults.md",
    rows: 67,
    kinds: &[
        ("yes", Evidence::Test),
        ("seam", Evidence::Test),
        ("cannot", Evidence::Reason),
        ("later", Evidence::Reason),
    ],
};

/// Who deals with a trap: we, shown by a test, or nobody has to.
const TRAPS: Table = Table {
    page: "docs/providers.md",
    rows: 38,
    kinds: &[("us", Evidence::Test), ("cannot", Evidence::Reason)],
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    Test,
    Reason,
}

/// The table has a row for each fault, in order, and every test it names is there.
pub fn all_answered(repo: &Repo) -> Vec<Problem> {
    FAULTS.problems(repo)
}

/// The same for the traps of providers.
pub fn traps_answered(repo: &Repo) -> Vec<Problem> {
    TRAPS.problems(repo)
}

impl Table {
    fn problems(&self, repo: &Repo) -> Vec<Problem> {
        let Some(page) = repo.file(self.page) else {
            return vec![problem(self.page, "is not there")];
        };
        let rows: Vec<(usize, Vec<&str>)> = (1..).zip(page.text.lines()).filter_map(row).collect();
        let mut problems = Vec::new();
        if rows.len() != self.rows {
            let what = format!("has {} rows, not {}", rows.len(), self.rows);
            problems.push(problem(self.page, what));
        }
        for (expected, (line, cells)) in (1..).zip(&rows) {
            let place = format!("{}:{line}", self.page);
            let complaints = self.complaints(repo, expected, cells).into_iter();
            problems.extend(complaints.map(|what| problem(&place, what)));
        }
        problems
    }

    fn complaints(&self, repo: &Repo, expected: usize, cells: &[&str]) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut complain = |what: String| complaints.push(what);
        let [number, fault, kind, evidence] = cells[..] else {
            return vec![format!("has {} cells, not 4", cells.len())];
        };
        if number != expected.to_string() {
            complain(format!("is row {expected} and says {number}"));
        }
        if fault.is_empty() || evidence.is_empty() {
            complain("says nothing in one of its cells".to_owned());
        }
        let tests: Vec<(&str, &str)> = named_tests(evidence).collect();
        match self.kinds.iter().find(|(name, _)| *name == kind) {
            None => complain(format!("`{kind}` is none of the kinds")),
            Some((_, Evidence::Test)) if tests.is_empty() => complain("names no test".to_owned()),
            Some(_) => {}
        }
        for (file, test) in tests {
            let path = path_of(file);
            let exists = repo.file(&path).is_some_and(|file| holds(&file.text, test));
            if !exists {
                complain(format!("there is no test `{test}` in `{path}`"));
            }
        }
        complaints
    }
}

/// Returns the trimmed cells of a numbered row of the table.
fn row((line, text): (usize, &str)) -> Option<(usize, Vec<&str>)> {
    let inner = text.strip_prefix("| ")?.trim_end().strip_suffix('|')?;
    let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
    let is_numbered = cells.first()?.starts_with(|c: char| c.is_ascii_digit());
    is_numbered.then_some((line, cells))
}

/// Returns file and name of each test written as `file::name` between backticks.
fn named_tests(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once("::")).filter(|(file, _)| file.contains('/'))
}

/// Crates go by their short names: `runtime/…` is `crates/massgen-runtime/…`.
fn path_of(file: &str) -> String {
    match file.split_once('/') {
        Some(("xtask", _)) => file.to_owned(),
        Some(("massgen", _)) => format!("crates/{file}"),
        _ => format!("crates/massgen-{file}"),
    }
}

/// Returns whether a source has this test function or rule, or a page this scenario.
fn holds(text: &str, test: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = |line: &str, prefix: &str| line.starts_with(&format!("{prefix}{test}"));
    lines.iter().enumerate().any(|(at, line)| {
        let is_function = begins(line.trim_start_matches("async "), "fn ")
            && line.contains(&format!(" {test}("))
            && lines[..at]
                .iter()
                .rev()
                .take_while(|line| is_attribute(line))
                .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
        is_function || begins(line, "## ") || line.starts_with(&format!("{test}: \""))
    })
}

fn is_attribute(line: &str) -> bool {
    line.starts_with("#[") || line.starts_with("///")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::TextFile;

    #[test]
    fn rows_are_read_and_other_lines_are_not() {
        let cells = |text| row((1, text)).map(|(_, cells)| cells);
        assert_eq!(cells("| 7 | a vote | yes | x |"), Some(vec!["7", "a vote", "yes", "x"]));
        for text in ["| # | fault | here? | shown by |", "|---|---|---|---|", "7 faults", ""] {
            assert_eq!(cells(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_row_is_told() {
        let test = "#[test]\nfn holds() {}\n";
        let check = |rows: &str| {
            let file = |path: &str, text: &str| TextFile { path: path.into(), text: text.into() };
            let files = vec![file(FAULTS.page, rows), file("crates/massgen-a/src/b.rs", test)];
            let (root, binaries, metadata) = Default::default();
            let problems = all_answered(&Repo { root, files, binaries, metadata });
            // The first is always the number of rows.
            problems[1..].iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        for (row, expected) in [
            ("| 1 | f | yes | `a/src/b.rs::holds` |", ""),
            ("| 1 | f | later | no files yet |", ""),
            ("| 2 | f | later | why |", "is row 1 and says 2"),
            ("| 1 |  | later | why |", "says nothing"),
            ("| 1 | f | later |", "has 3 cells"),
            ("| 1 | f | maybe | why |", "`maybe` is none of the kinds"),
            ("| 1 | f | seam | why |", "names no test"),
            ("| 1 | f | later | `a/src/b.rs::hold` |", "no test `hold`"),
            ("| 1 | f | yes | `a/src/c.rs::holds` |", "in `crates/massgen-a/src/c.rs`"),
        ] {
            let found = check(row);
            assert!(found.contains(expected), "{row}: {found}");
            assert_eq!(found.is_empty(), expected.is_empty(), "{row}: {found}");
        }
    }

    #[test]
    fn tests_are_found_where_they_are_and_nowhere_else() {
        let named = "by `runtime/tests/it/a.rs::b`, `Coordinator::step` and `c`";
        assert_eq!(named_tests(named).collect::<Vec<_>>(), [("runtime/tests/it/a.rs", "b")]);
        assert_eq!(path_of("runtime/src/a.rs"), "crates/massgen-runtime/src/a.rs");
        assert_eq!(path_of("massgen/src/a.rs"), "crates/massgen/src/a.rs");
        assert_eq!(path_of("xtask/src/a.rs"), "xtask/src/a.rs");
        let source = "#[tokio::test(flavor = \"multi_thread\")]\nasync fn it_holds() {\n}\n\
                      fn holds_nothing() {}\n#[test]\n/// Why.\nfn it_ends() {}\n";
        assert!(holds(source, "it_holds") && holds(source, "it_ends"));
        assert!(!holds(source, "it_hold") && !holds(source, "holds_nothing"));
        assert!(holds("## Who votes (fault 5)\n", "Who votes"));
        assert!(!holds("Who votes\n", "Who votes"));
    }
}
