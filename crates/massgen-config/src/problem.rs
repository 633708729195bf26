//! What is wrong with a config, where, and what to do about it.

use std::fmt;

/// Longest piece of a user's text shown in a message.
const SHOWN_CHARS_MAX: usize = 60;

/// Most errors, and most notices, reported of one config: nobody reads more, and a
/// file that is not a config at all has one in every line.
pub const PROBLEMS_MAX: usize = 100;

/// One problem. It never holds the value of a key or of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// Name of the config as the caller gave it.
    pub file: String,
    /// From 1; 0 where the problem has no place in a file.
    pub line: u32,
    /// In characters, from 1; 0 where the problem has no place in a file.
    pub column: u32,
    /// `agents[0].backend.type`; empty for the config as a whole.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The run cannot start.
    Error,
    /// The run can start; what was written may not do what was meant.
    Notice,
}

impl fmt::Display for Problem {
    /// Writes the problem in the style of the house, over several lines, without a final newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Notice => "warning",
        };
        write!(f, "{severity}: {}", self.message)?;
        write!(f, "\n  at {}", shown(&self.file))?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " ({})", self.path)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A position in the text of a config, both from 1; (0, 0) is nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub line: u32,
    pub column: u32,
}

/// Returns a user's text as it can be shown inside a message: short, and without
/// characters that would move a terminal's cursor.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN_CHARS_MAX {
            shown.push('…');
            break;
        }
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_in_the_style_of_the_house() {
        let mut problem = Problem {
            severity: Severity::Error,
            file: "team.yaml".into(),
            line: 5,
            column: 11,
            path: "agents[0].backend.type".into(),
            message: "unknown backend type `opnai`".into(),
            hint: Some("did you mean `openai`?".into()),
        };
        insta::assert_snapshot!(problem, @r"
        error: unknown backend type `opnai`
          at team.yaml:5:11 (agents[0].backend.type)
          hint: did you mean `openai`?
        ");
        problem.severity = Severity::Notice;
        (problem.line, problem.hint) = (0, None);
        problem.path.clear();
        insta::assert_snapshot!(problem, @r"
        warning: unknown backend type `opnai`
          at team.yaml
        ");
    }

    #[test]
    fn what_is_shown_cannot_steer_a_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\n\u{202e}"), "a\\u{1b}[2Jb\\u{a}\\u{202e}");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
