//! Collects problems, so that all are told at once.

use std::collections::BTreeMap;

use crate::problem::{PROBLEMS_MAX, Place, Problem, Severity, shown};

/// Everything found so far.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    errors: Vec<Problem>,
    notices: Vec<Problem>,
    n_errors: usize,
    /// Keys without effect by their path without list positions: one notice tells of
    /// all places.
    ignored: BTreeMap<String, Ignored>,
}

#[derive(Debug)]
struct Ignored {
    at: Place,
    path: String,
    key: String,
    n: usize,
}

impl Report {
    pub fn new(file: &str) -> Report {
        Report {
            file: file.to_owned(),
            errors: Vec::new(),
            notices: Vec::new(),
            n_errors: 0,
            ignored: BTreeMap::new(),
        }
    }

    pub fn error(&mut self, at: Place, path: &str, message: String, hint: Option<String>) {
        self.n_errors += 1;
        if self.errors.len() < PROBLEMS_MAX {
            let problem = self.problem(Severity::Error, at, path, message, hint);
            self.errors.push(problem);
        }
    }

    pub fn notice(&mut self, at: Place, path: &str, message: String, hint: Option<String>) {
        if self.has_room_for_notices() {
            let problem = self.problem(Severity::Notice, at, path, message, hint);
            self.notices.push(problem);
        }
    }

    /// Tells the same thing only once, however many agents it concerns.
    pub fn notice_once(&mut self, at: Place, path: &str, message: String) {
        if self.notices.iter().all(|known| known.message != message) {
            self.notice(at, path, message, None);
        }
    }

    /// Returns how many errors there are so far, also those that will not be shown.
    pub fn n_errors(&self) -> usize {
        self.n_errors
    }

    /// Returns whether another notice would be kept, so that nobody looks for a
    /// remedy that nobody reads.
    pub fn has_room_for_notices(&self) -> bool {
        self.notices.len() < PROBLEMS_MAX
    }

    /// Notes a key that MassGen knows and this version does nothing with.
    pub fn ignored(&mut self, at: Place, section: &str, key: &str) {
        let path = format!("{section}.{key}");
        let path = path.trim_start_matches('.').to_owned();
        let everywhere = without_positions(&path);
        let first = Ignored { at, path, key: key.to_owned(), n: 0 };
        self.ignored.entry(everywhere).or_insert(first).n += 1;
    }

    /// Returns errors and notices in the order of the file.
    pub fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        for Ignored { at, path, key, n } in std::mem::take(&mut self.ignored).into_values() {
            let places = if n > 1 { format!(" ({n} places)") } else { String::new() };
            let message =
                format!("`{key}` is known to MassGen and has no effect in this version{places}");
            self.notice(at, &path, message, None);
        }
        let in_order = |problem: &Problem| (problem.line, problem.column);
        self.errors.sort_by_key(in_order);
        self.notices.sort_by_key(in_order);
        if self.n_errors > self.errors.len() {
            let message = format!("{} more errors", self.n_errors - self.errors.len());
            let problem = self.problem(Severity::Error, Place::default(), "", message, None);
            self.errors.push(problem);
        }
        (self.errors, self.notices)
    }

    fn problem(
        &self,
        severity: Severity,
        at: Place,
        path: &str,
        message: String,
        hint: Option<String>,
    ) -> Problem {
        Problem {
            severity,
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            path: shown(path),
            message,
            hint,
        }
    }
}

/// `agents[3].backend.cwd` → `agents[].backend.cwd`
fn without_positions(path: &str) -> String {
    path.chars().filter(|c| !c.is_ascii_digit()).collect()
}
