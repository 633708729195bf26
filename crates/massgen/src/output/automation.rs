//! Stable lines and files for programs; `docs/reference/automation.md` is the contract.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use massgen_log::{rfc3339, write_atomic};
use massgen_protocol::{AgentId, Event, EventBody, Millis, Outcome};
use massgen_view::{
    AgentView, Row, RowKind, RunView, StatusContext, coordination_table, status_json, words,
};
use serde_json::{Value, json};

use super::{Ending, Output, clean, one_line, tell};
use crate::error::CliError;

/// Time alone, or streamed text, writes `status.json` about twice a second. A little
/// less than that, so that every other tick finds it due.
const STATUS_EVERY: Duration = Duration::from_millis(450);

/// Decisions come in bursts, with large teams by the thousand, and each write waits
/// for the disk; a reader cannot tell them apart anyway.
const DECISION_EVERY: Duration = Duration::from_millis(100);

/// Characters of the answer on its line.
const PREVIEW_CHARS: usize = 200;

/// Characters of an agent's last error in what is said of a failed run, and of all of them.
const ERROR_CHARS: usize = 700;
const ERRORS_CHARS: usize = 2_000;

/// Characters of an agent's id in a path.
const FILE_NAME_CHARS_MAX: usize = 64;

/// What `status.json` does not tell yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Behind {
    Nothing,
    Text,
    Decision,
}

/// Lines on `out`, and the files beside the log.
pub struct Automation<W: Write> {
    out: W,
    folder: PathBuf,
    started_at: String,
    view: RunView,
    /// Moment of the run, which goes on while nothing happens.
    now: Millis,
    written: Option<Instant>,
    behind: Behind,
    /// There is an answer, and the disk refused its file.
    is_answer_refused: bool,
}

impl<W: Write> Automation<W> {
    /// `folder` is the run's, absolute.
    pub fn new(out: W, folder: PathBuf, started_at: String) -> Automation<W> {
        Automation {
            out,
            folder,
            started_at,
            view: RunView::default(),
            now: Millis(0),
            written: None,
            behind: Behind::Nothing,
            is_answer_refused: false,
        }
    }

    fn line(&mut self, name: &str, value: &str) -> Result<(), CliError> {
        writeln!(self.out, "{name}: {value}")
            .and_then(|()| self.out.flush())
            .map_err(CliError::output)
    }

    fn head(&mut self) -> Result<(), CliError> {
        let folder = self.folder.display().to_string();
        let status = self.folder.join(STATUS_FILE).display().to_string();
        let question = self.view.question.clone().unwrap_or_default();
        self.line("LOG_DIR", &folder)?;
        self.line("STATUS", &status)?;
        self.line("QUESTION", &one_line(&question, usize::MAX))
    }

    /// Writes `status.json` whole.
    fn write_status(&mut self, answer_file: Option<&Path>) -> io::Result<()> {
        let context = StatusContext {
            log_dir: self.folder.display().to_string(),
            started_at: self.started_at.clone(),
            updated_at: rfc3339(SystemTime::now()),
            now: self.now,
            answer_file: answer_file.map(|path| path.display().to_string()),
        };
        let mut status = status_json(&self.view, &context);
        if self.is_answer_refused
            && let Some(reason) = status.get_mut("finish_reason")
        {
            // Never complete without the file, but nobody works on it any more.
            *reason = Value::from("error");
        }
        self.written = Some(Instant::now());
        self.behind = Behind::Nothing;
        write_json(&self.folder.join(STATUS_FILE), &status)
    }

    /// Writes `status.json` if it is due. A full disk must not end the run.
    fn catch_up(&mut self) {
        let every = match self.behind {
            Behind::Nothing => return,
            Behind::Text => STATUS_EVERY,
            Behind::Decision => DECISION_EVERY,
        };
        if self.written.is_none_or(|written| written.elapsed() >= every) {
            let _ = self.write_status(None);
        }
    }

    fn write_answer(&self, agent: &AgentId, answer: &str) -> Result<PathBuf, CliError> {
        let folder = self.folder.join("final").join(file_name(agent));
        let path = folder.join("answer.txt");
        fs::create_dir_all(&folder)
            .and_then(|()| write_atomic(&path, answer.as_bytes()))
            .map_err(|error| CliError::file(&path, error))?;
        Ok(path)
    }

    fn write_coordination(&self) -> Result<(), CliError> {
        let events = self.folder.join("coordination_events.json");
        let ids: Vec<&AgentId> = self.view.agents.iter().map(|agent| &agent.card.id).collect();
        let winner = self.winner().map(|agent| &agent.0);
        let record = json!({
            "session_metadata": {
                "user_prompt": self.view.question,
                "agent_ids": ids,
                "start_time": self.started_at,
                "end_time": rfc3339(SystemTime::now()),
                "final_winner": winner,
            },
            "events": self.view.timeline.rows().map(|row| self.fact(row)).collect::<Vec<_>>(),
        });
        write_json(&events, &record).map_err(|error| CliError::file(&events, error))?;
        let table = self.folder.join("coordination_table.txt");
        write_atomic(&table, clean(&coordination_table(&self.view)).as_bytes())
            .map_err(|error| CliError::file(&table, error))
    }

    fn fact(&self, row: &Row) -> Value {
        let agent = row.agent.and_then(|agent| self.view.agent(agent));
        json!({
            "timestamp": row.at.0 as f64 / 1_000.0,
            "event_type": event_type(row.kind),
            "agent_id": agent.map(|agent| &agent.card.id),
            "details": row.text,
            "context": { "seq": row.seq },
        })
    }

    fn winner(&self) -> Option<&AgentId> {
        let Some(Outcome::Answered { winner, .. }) = &self.view.outcome else { return None };
        self.view.agent(winner.agent).map(|agent| &agent.card.id)
    }
}

const STATUS_FILE: &str = "status.json";

impl<W: Write> Output for Automation<W> {
    fn event(&mut self, event: &Arc<Event>) -> Result<(), CliError> {
        self.view.apply(event);
        self.now = self.now.max(event.at);
        match &event.body {
            EventBody::QuestionAsked { .. } => self.head()?,
            EventBody::AttemptStarted { attempt } if attempt.0 > 1 => {
                self.line("RESTART", &format!("attempt {}", attempt.0))?;
            }
            EventBody::AgentRetired { agent, .. } => {
                // Who watches the lines alone would not know why the team shrinks.
                if let Some(agent) = self.view.agent(*agent) {
                    tell(&last_error(agent));
                }
            }
            // Complete only with the answer's file, which `end` writes first.
            EventBody::TurnFinished { .. } => return Ok(()),
            _ => {}
        }
        let news = if event.body.is_decision() { Behind::Decision } else { Behind::Text };
        self.behind = self.behind.max(news);
        self.catch_up();
        Ok(())
    }

    fn tick(&mut self, now: Millis) -> Result<(), CliError> {
        let is_on = self.view.run.is_some() && self.view.outcome.is_none() && !self.view.stopped;
        if is_on {
            // A watcher tells a slow run from a dead one by the time in the file.
            self.now = self.now.max(now);
            self.behind = self.behind.max(Behind::Text);
            self.catch_up();
        }
        Ok(())
    }

    fn end(&mut self, ending: &Ending) -> Result<(), CliError> {
        let winner = self.winner().cloned();
        // What the disk refuses is told last: no file is worth the lines of the others.
        let mut refused = Vec::new();
        let mut answer_file = None;
        if let (Some(winner), Some(answer)) = (&winner, &ending.answer) {
            match self.write_answer(winner, answer) {
                Ok(path) => answer_file = Some(path),
                Err(error) => refused.push(error),
            }
        }
        self.is_answer_refused = !refused.is_empty();
        refused.extend(self.write_coordination().err());
        let status = self.folder.join(STATUS_FILE);
        let written = self.write_status(answer_file.as_deref());
        refused.extend(written.map_err(|error| CliError::file(&status, error)).err());
        self.last_lines(ending, winner.as_ref(), answer_file.as_deref())?;
        if let (true, Some(answer)) = (self.is_answer_refused, &ending.answer) {
            tell(&format!("the answer, which could not be kept:\n\n{}\n", clean(answer)));
        }
        if let Some(loss) = ending.loss() {
            tell(loss);
        }
        refused.into_iter().next().map_or(Ok(()), Err)
    }
}

impl<W: Write> Automation<W> {
    fn last_lines(
        &mut self,
        ending: &Ending,
        winner: Option<&AgentId>,
        answer_file: Option<&Path>,
    ) -> Result<(), CliError> {
        if let Some(winner) = winner {
            self.line("WINNER", &one_line(&winner.0, usize::MAX))?;
        }
        if let Some(file) = answer_file {
            self.line("ANSWER_FILE", &file.display().to_string())?;
        }
        let seconds = format!("{}.{}s", ending.elapsed_ms / 1_000, ending.elapsed_ms % 1_000 / 100);
        self.line("DURATION", &seconds)?;
        if let Some(answer) = &ending.answer {
            self.line("ANSWER_PREVIEW", &one_line(answer, PREVIEW_CHARS))?;
        }
        match &ending.outcome {
            Some(Outcome::Answered { .. }) if self.is_answer_refused => {
                self.line("FAILED", "the answer file could not be written")
            }
            Some(Outcome::Answered { .. }) => {
                let n_agents = self.view.agents.len();
                self.line("COMPLETED", &format!("{n_agents} agents, {seconds} total"))
            }
            Some(Outcome::Failed { reason }) => {
                let errors = self.last_errors();
                self.line("FAILED", &format!("{}{errors}", words::fail_reason(*reason)))
            }
            None => {
                let way_on = ending.way_on();
                self.line("STOPPED", way_on.as_deref().unwrap_or("this run cannot be resumed"))
            }
        }
    }

    /// What went wrong last with each agent, on one line, to stand behind a reason.
    fn last_errors(&self) -> String {
        let errors: Vec<String> = self
            .view
            .agents
            .iter()
            .filter(|agent| agent.last_error.is_some())
            .map(last_error)
            .collect();
        if errors.is_empty() {
            return String::new();
        }
        format!("; {}", one_line(&errors.join("; "), ERRORS_CHARS))
    }
}

/// «careful: key refused (401): …»
fn last_error(agent: &AgentView) -> String {
    let error = agent.last_error.as_ref().map_or("", |(_, error)| error.as_str());
    format!("{}: {}", one_line(&agent.card.id.0, FILE_NAME_CHARS_MAX), one_line(error, ERROR_CHARS))
}

/// MassGen's name for a kind of event, where it has one.
fn event_type(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Round => "context_received",
        RowKind::Answer => "new_answer",
        RowKind::Vote => "vote_cast",
        RowKind::Void => "restart_triggered",
        RowKind::Refused => "vote_ignored",
        RowKind::Update => "update_injected",
        RowKind::Failure => "agent_error",
        RowKind::Limit => "agent_timeout",
        RowKind::Winner => "final_agent_selected",
        RowKind::Final => "final_answer",
        RowKind::Team => "status_change",
    }
}

fn write_json(path: &Path, value: &Value) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// Returns the agent's id as a file name. One that had to be changed gets a number
/// of its own, so that two agents never share a folder.
pub fn file_name(agent: &AgentId) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let safe: String = agent
        .0
        .chars()
        .map(|c| if is_safe(c) { c } else { '_' })
        .take(FILE_NAME_CHARS_MAX)
        .collect();
    let safe = safe.trim_matches([' ', '.']).to_owned();
    if safe == agent.0 && !safe.is_empty() {
        return safe;
    }
    // FNV-1a: not secret, only different.
    let hash = agent.0.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{safe}-{:08x}", hash as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_leaves_its_folder() {
        let name = |id: &str| file_name(&AgentId(id.to_owned()));
        assert_eq!(name("researcher-2"), "researcher-2");
        assert_eq!(name("größe"), "größe");
        for id in ["../../etc/passwd", "/root", "a/b", "a\\b", "..", ".", "", "a\0b", "nul\n"] {
            let name = name(id);
            assert!(!name.contains(['/', '\\', '\0', '\n']) && !name.starts_with('.'), "{name}");
            assert!(!name.is_empty());
        }
        assert_ne!(name("a/b"), name("a\\b"));
        assert!(name(&"x".repeat(500)).len() < 100);
    }
}
