//! Stable lines and files for programs; `docs/reference/automation.md` is the contract.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use massgen_log::{rfc3339, write_atomic};
use massgen_protocol::{AgentId, Event, EventBody, Millis, Outcome};
use massgen_view::{Row, RowKind, RunView, StatusContext, coordination_table, status_json, words};
use serde_json::{Value, json};

use super::{Ending, Output, one_line};
use crate::error::CliError;

/// Streamed text alone writes `status.json` no more often.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// Decisions come in bursts, with large teams by the thousand, and each write waits
/// for the disk; a reader cannot tell them apart anyway.
const DECISION_EVERY: Duration = Duration::from_millis(100);

/// Characters of the answer on its line.
const PREVIEW_CHARS: usize = 200;

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
    written: Option<Instant>,
    behind: Behind,
}

impl<W: Write> Automation<W> {
    /// `folder` is the run's, absolute.
    pub fn new(out: W, folder: PathBuf, started_at: String) -> Automation<W> {
        Automation {
            out,
            folder,
            started_at,
            view: RunView::default(),
            written: None,
            behind: Behind::Nothing,
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
            answer_file: answer_file.map(|path| path.display().to_string()),
        };
        let mut status = status_json(&self.view, &context);
        if self.view.stopped
            && let Some(reason) = status.get_mut("finish_reason")
        {
            // Not complete, but nobody works on it either.
            *reason = Value::from("interrupted");
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
        write_atomic(&table, coordination_table(&self.view).as_bytes())
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
        match &event.body {
            EventBody::QuestionAsked { .. } => self.head()?,
            EventBody::AttemptStarted { attempt } if attempt.0 > 1 => {
                self.line("RESTART", &format!("attempt {}", attempt.0))?;
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

    fn tick(&mut self, _now: Millis) -> Result<(), CliError> {
        if self.view.outcome.is_none() {
            self.catch_up();
        }
        Ok(())
    }

    fn end(&mut self, ending: &Ending) -> Result<(), CliError> {
        let winner = self.winner().cloned();
        let mut answer_file = None;
        if let (Some(winner), Some(answer)) = (&winner, &ending.answer) {
            answer_file = Some(self.write_answer(winner, answer)?);
        }
        self.write_coordination()?;
        let status = self.folder.join(STATUS_FILE);
        self.write_status(answer_file.as_deref())
            .map_err(|error| CliError::file(&status, error))?;
        if let (Some(winner), Some(file)) = (&winner, &answer_file) {
            self.line("WINNER", &one_line(&winner.0, usize::MAX))?;
            self.line("ANSWER_FILE", &file.display().to_string())?;
        }
        let seconds = format!("{}.{}s", ending.elapsed_ms / 1_000, ending.elapsed_ms % 1_000 / 100);
        self.line("DURATION", &seconds)?;
        if let Some(answer) = &ending.answer {
            self.line("ANSWER_PREVIEW", &one_line(answer, PREVIEW_CHARS))?;
        }
        match &ending.outcome {
            Some(Outcome::Answered { .. }) => {
                let n_agents = self.view.agents.len();
                self.line("COMPLETED", &format!("{n_agents} agents, {seconds} total"))
            }
            Some(Outcome::Failed { reason }) => self.line("FAILED", words::fail_reason(*reason)),
            None => self.line("STOPPED", &format!("go on with `massgen resume {}`", ending.run)),
        }
    }
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
