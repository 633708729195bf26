//! What a run shows: folds over its events, one a surface.
//!
//! Nothing here knows the engine. An output sees every event once, in order,
//! and at the end what came of the run.

mod automation;
mod clean;
mod json;
mod look;
mod plain;
mod progress;
mod status_line;
mod stream;
mod totals;

use std::io::{self, Write};
use std::sync::Arc;

use massgen_log::RunDir;
use massgen_protocol::{Event, Millis, Outcome, RunId, Spend};

use automation::Automation;
pub use clean::{clean, one_line};
use json::Json;
pub use look::{Look, Tone};
use plain::{Plain, Quiet};
pub use progress::tell;
pub use totals::{grouped, totals};

use crate::cli::{Format, GlobalArgs};
use crate::error::{CliError, Exit};

/// One surface. Every method may fail only because its own output does.
pub trait Output {
    /// Shows one event.
    ///
    /// # Errors
    /// If the place it is written to refuses.
    fn event(&mut self, event: &Arc<Event>) -> Result<(), CliError>;

    /// Called a few times a second with the run's time, also when nothing happens.
    ///
    /// # Errors
    /// If the place it is written to refuses.
    fn tick(&mut self, _now: Millis) -> Result<(), CliError> {
        Ok(())
    }

    /// Shows what came of the run.
    ///
    /// # Errors
    /// If the place it is written to refuses, or the answer cannot be kept.
    fn end(&mut self, ending: &Ending) -> Result<(), CliError>;
}

/// Returns the output the user asked for.
pub fn choose(global: &GlobalArgs, run: &RunDir) -> Box<dyn Output> {
    if global.automation {
        let folder = std::path::absolute(run.path()).unwrap_or_else(|_| run.path().to_owned());
        let started_at = run.manifest().started_at.clone();
        return Box::new(Automation::new(io::stdout(), folder, started_at));
    }
    match global.output {
        Format::Json => Box::new(Json::new(io::stdout())),
        Format::Plain if global.quiet => Box::new(Quiet),
        Format::Plain => Box::new(Plain::new(progress::stderr(), Look::of_stderr(global.no_color))),
    }
}

/// What came of a run, or of the part of it that this process saw.
#[derive(Clone, Debug)]
pub struct Ending {
    pub run: RunId,
    /// `None`: stopped before its end; the run can be resumed.
    pub outcome: Option<Outcome>,
    pub answer: Option<Arc<String>>,
    pub spent: Spend,
    pub elapsed_ms: u64,
    /// Whether the log is complete, so that the run can be resumed or replayed.
    pub is_recorded: bool,
    /// Whether the user asked to wrap up before the run was at its end.
    pub interrupted: bool,
}

impl Ending {
    /// Returns the status this ends the process with.
    pub fn exit(&self) -> Exit {
        use massgen_protocol::{Basis, FailReason};
        if self.interrupted {
            // Whatever the winner was chosen by: the user cut something short.
            return Exit::Interrupted;
        }
        match &self.outcome {
            None => Exit::Interrupted,
            Some(Outcome::Answered { basis, .. }) => match basis {
                // A budget is a wish like any other: to get the best answer for
                // it is a success.
                Basis::Votes { .. }
                | Basis::SoleAgent
                | Basis::NoVoters { .. }
                | Basis::Budget { .. } => Exit::Success,
                Basis::Deadline { .. } => Exit::Timeout,
                Basis::Interrupted { .. } => Exit::Interrupted,
            },
            Some(Outcome::Failed { reason }) => match reason {
                FailReason::AllAgentsFailed | FailReason::Budget => Exit::Execution,
                FailReason::Deadline => Exit::Timeout,
                FailReason::Interrupted => Exit::Interrupted,
            },
        }
    }

    /// Returns how to go on with a run that was stopped, where that can be done.
    fn way_on(&self) -> Option<String> {
        let can_go_on = self.outcome.is_none() && self.is_recorded;
        can_go_on.then(|| format!("go on with `massgen resume {}`", self.run))
    }

    /// Returns what is to be said of a log that the disk refused.
    fn loss(&self) -> Option<&'static str> {
        (!self.is_recorded)
            .then_some("warning: recording failed; this run cannot be resumed or replayed in full")
    }
}

/// Writes the answer to stdout: safe for a terminal, with a newline at its end.
///
/// # Errors
/// If stdout refuses.
pub fn print_answer(answer: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", clean(answer).trim_end())
        .and_then(|()| stdout.flush())
        .map_err(CliError::output)
}

#[cfg(test)]
mod tests {
    use massgen_protocol::{AgentIndex, AnswerId, Basis, FailReason};

    use super::*;

    #[test]
    fn every_ending_has_its_exit_code() {
        let winner = AnswerId { agent: AgentIndex(0), n: 1 };
        let answered = |basis| Some(Outcome::Answered { winner, basis, presented: true });
        let failed = |reason| Some(Outcome::Failed { reason });
        let cases = [
            (answered(Basis::Votes { votes: 2, voters: 3, tie: false }), Exit::Success),
            (answered(Basis::SoleAgent), Exit::Success),
            (answered(Basis::NoVoters { votes: 0, tie: false }), Exit::Success),
            (answered(Basis::Budget { votes: 0, tie: true }), Exit::Success),
            (answered(Basis::Deadline { votes: 1, tie: false }), Exit::Timeout),
            (answered(Basis::Interrupted { votes: 1, tie: false }), Exit::Interrupted),
            (failed(FailReason::AllAgentsFailed), Exit::Execution),
            (failed(FailReason::Budget), Exit::Execution),
            (failed(FailReason::Deadline), Exit::Timeout),
            (failed(FailReason::Interrupted), Exit::Interrupted),
            (None, Exit::Interrupted),
        ];
        for (outcome, expected) in cases {
            let ending = Ending {
                run: RunId("r".to_owned()),
                outcome,
                answer: None,
                spent: Spend::default(),
                elapsed_ms: 0,
                is_recorded: true,
                interrupted: false,
            };
            assert_eq!(ending.exit(), expected, "{:?}", ending.outcome);
            let ending = Ending { interrupted: true, ..ending };
            assert_eq!(ending.exit(), Exit::Interrupted, "{:?}", ending.outcome);
        }
    }
}
