//! What the command says when it cannot do what it was asked, and how it ends.

use std::error::Error;
use std::fmt::{self, Write};
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// How a command ends; `docs/reference/exit-codes.md` is the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Success,
    /// The config, a key or a run's name is wrong; nothing was run.
    Configuration,
    /// The run failed, or a file could not be written.
    Execution,
    /// A deadline cut the coordination short; the best answer may be there.
    Timeout,
    /// Ctrl-C; the best answer may be there.
    Interrupted,
}

impl Exit {
    pub const ALL: [Exit; 5] =
        [Exit::Success, Exit::Configuration, Exit::Execution, Exit::Timeout, Exit::Interrupted];

    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Configuration => 1,
            Exit::Execution => 2,
            Exit::Timeout => 3,
            Exit::Interrupted => 4,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Exit::Success => "success",
            Exit::Configuration => "configuration",
            Exit::Execution => "execution",
            Exit::Timeout => "timeout",
            Exit::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Whose fault an error is, which picks the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Configuration,
    Execution,
    /// The reader of our output has gone away: a quiet success.
    BrokenPipe,
}

/// One error of the command: what failed, why, and what helps.
#[derive(Debug)]
pub struct CliError {
    pub kind: ErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hints: Vec<String>,
    /// The message is a whole report and begins with `error:` itself.
    is_told: bool,
}

impl CliError {
    pub fn configuration(message: impl Into<String>) -> CliError {
        CliError::new(ErrorKind::Configuration, message)
    }

    pub fn execution(message: impl Into<String>) -> CliError {
        CliError::new(ErrorKind::Execution, message)
    }

    fn new(kind: ErrorKind, message: impl Into<String>) -> CliError {
        CliError { kind, message: message.into(), source: None, hints: Vec::new(), is_told: false }
    }

    /// An error that was told in full by whoever found it: all problems of a config.
    pub fn told(report: impl Into<String>) -> CliError {
        CliError { is_told: true, ..CliError::configuration(report) }
    }

    /// Adds the cause; the message must not repeat it.
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> CliError {
        self.source = Some(source.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hints.push(hint.into());
        self
    }

    /// Failing to write output: a reader that has gone away is no failure.
    pub fn output(error: io::Error) -> CliError {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return CliError::new(ErrorKind::BrokenPipe, "the reader has gone away");
        }
        CliError::execution("failed to write output").because(error)
    }

    /// Failing to write a file of a run.
    pub fn file(path: &Path, error: io::Error) -> CliError {
        CliError::execution(format!("failed to write `{}`", path.display())).because(error)
    }

    pub fn exit(&self) -> Exit {
        match self.kind {
            ErrorKind::Configuration => Exit::Configuration,
            ErrorKind::Execution => Exit::Execution,
            ErrorKind::BrokenPipe => Exit::Success,
        }
    }
}

impl fmt::Display for CliError {
    /// The whole report, ready for stderr, without a newline at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = if self.is_told { "" } else { "error: " };
        write!(f, "{head}{}", self.message)?;
        let mut said = self.message.clone();
        let mut cause = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors print their cause themselves; saying it twice helps nobody.
            if !said.contains(&text) {
                write!(f, "\n  Caused by: {}", indented(&text)?)?;
                said = text;
            }
            cause = error.source();
        }
        for (n, hint) in self.hints.iter().enumerate() {
            let gap = if n == 0 { "\n\n" } else { "\n" };
            write!(f, "{gap}hint: {}", indented(hint)?)?;
        }
        Ok(())
    }
}

impl Error for CliError {}

fn indented(text: &str) -> Result<String, fmt::Error> {
    let mut indented = String::new();
    for (n, line) in text.trim_end().lines().enumerate() {
        let gap = if n == 0 { "" } else { "\n    " };
        write!(indented, "{gap}{line}")?;
    }
    Ok(indented)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_error_names_its_causes_once_and_then_what_helps() {
        let cause = io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let error = CliError::configuration("failed to read config `team.yaml`")
            .because(cause)
            .hint("check the file's permissions")
            .hint("or give another file with `--config`");
        insta::assert_snapshot!(error, @r"
        error: failed to read config `team.yaml`
          Caused by: permission denied

        hint: check the file's permissions
        hint: or give another file with `--config`
        ");
        assert_eq!(error.exit(), Exit::Configuration);
    }

    #[test]
    fn a_reader_that_has_gone_away_is_no_failure() {
        let gone = CliError::output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(gone.exit(), Exit::Success);
        let full = CliError::output(io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit(), Exit::Execution);
    }

    #[test]
    fn exit_codes_are_those_of_the_reference() {
        let reference = include_str!("../../../docs/reference/exit-codes.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit.code(), exit.name());
            assert!(reference.contains(&row), "{row}");
        }
    }
}
