//! The runs there are.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use massgen_protocol::{AgentId, Event, EventBody, Outcome, RunId};

use crate::error::io_error;
use crate::lock::RunLock;
use crate::run_dir::{EVENTS, runs_dir};
use crate::{LogError, Manifest, RunDir};

/// How much of a log's end is read to tell whether the run has ended: the last
/// event of a run that did is far shorter.
const TAIL_BYTES: u64 = 64 * 1024;

/// Characters of a question in a list.
const PREVIEW_CHARS: usize = 80;

/// One run as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    pub id: RunId,
    /// Wall clock in UTC, RFC 3339; empty where the manifest cannot be read.
    pub started_at: String,
    /// The question's beginning, on one line.
    pub question: String,
    pub agents: Vec<AgentId>,
    pub status: RunStatus,
    pub path: PathBuf,
}

/// Where a run stands, as far as its folder tells.
#[derive(Clone, Debug, PartialEq)]
pub enum RunStatus {
    Finished {
        outcome: Outcome,
    },
    /// A process holds its lock.
    Running,
    /// Ended without an outcome. It can be resumed unless its disk refused a write.
    Interrupted {
        resumable: bool,
    },
    /// The manifest cannot be read; the text says why.
    Unreadable {
        why: String,
    },
}

/// Returns all runs, the newest first. Reads a manifest and the end of a log for
/// each, and never fails for a single run that is broken.
pub fn list(state_dir: &Path) -> Result<Vec<RunSummary>, LogError> {
    let mut runs: Vec<RunSummary> = run_paths(state_dir)?.into_iter().map(summary).collect();
    runs.sort_by_cached_key(|run| Reverse((run.started_at.clone(), run.id.clone())));
    Ok(runs)
}

/// Finds a run by its name, by a beginning of it that no other run has, or by `latest`.
pub fn resolve(state_dir: &Path, name: &str) -> Result<RunDir, LogError> {
    if name == "latest" {
        return latest(state_dir);
    }
    let mut matches = Vec::new();
    for path in run_paths(state_dir)? {
        let id = id_of(&path);
        if id.0 == name {
            return RunDir::open(&path);
        }
        if id.0.starts_with(name) {
            matches.push((id, path));
        }
    }
    match matches.as_slice() {
        [] => Err(LogError::NoSuchRun { name: name.to_owned() }),
        [(_, path)] => RunDir::open(path),
        _ => {
            let mut matches: Vec<RunId> = matches.into_iter().map(|(id, _)| id).collect();
            matches.sort();
            Err(LogError::Ambiguous { name: name.to_owned(), matches })
        }
    }
}

impl RunDir {
    /// Returns where the run stands, as far as its folder tells.
    pub fn status(&self) -> RunStatus {
        status(self.path())
    }
}

fn latest(state_dir: &Path) -> Result<RunDir, LogError> {
    let mut newest: Option<RunDir> = None;
    let mut unreadable = None;
    for path in run_paths(state_dir)? {
        // One that cannot be read is not what is meant by the latest, unless it is the only one.
        let run = match RunDir::open(&path) {
            Ok(run) => run,
            Err(error) => {
                unreadable = Some(error);
                continue;
            }
        };
        let key = |run: &RunDir| (run.manifest().started_at.clone(), run.id().clone());
        if newest.as_ref().is_none_or(|newest| key(newest) < key(&run)) {
            newest = Some(run);
        }
    }
    newest.ok_or_else(|| {
        unreadable.unwrap_or_else(|| LogError::NoRuns { runs_dir: runs_dir(state_dir) })
    })
}

/// Folders with a manifest or a log; one with neither is a start that was killed at once.
fn run_paths(state_dir: &Path) -> Result<Vec<PathBuf>, LogError> {
    let runs_dir = runs_dir(state_dir);
    let entries = match fs::read_dir(&runs_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", &runs_dir)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error("list", &runs_dir))?.path();
        if path.join(Manifest::FILE).is_file() || path.join(EVENTS).is_file() {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn id_of(path: &Path) -> RunId {
    RunId(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

fn summary(path: PathBuf) -> RunSummary {
    match Manifest::read(&path) {
        Ok(manifest) => RunSummary {
            id: manifest.run,
            started_at: manifest.started_at,
            question: preview(&manifest.spec.question.text),
            agents: manifest.spec.agents.into_iter().map(|agent| agent.id).collect(),
            status: status(&path),
            path,
        },
        Err(error) => RunSummary {
            id: id_of(&path),
            started_at: String::new(),
            question: String::new(),
            agents: Vec::new(),
            status: RunStatus::Unreadable { why: error.to_string() },
            path,
        },
    }
}

fn status(path: &Path) -> RunStatus {
    if let Some(outcome) = outcome_in_tail(&path.join(EVENTS)) {
        return RunStatus::Finished { outcome };
    }
    if RunLock::is_held(path) {
        return RunStatus::Running;
    }
    RunStatus::Interrupted { resumable: !RunDir::is_incomplete(path) }
}

/// Returns the outcome if the log's end holds one. A log that cannot be read has none.
fn outcome_in_tail(events: &Path) -> Option<Outcome> {
    let mut file = File::open(events).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES))).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
    let whole = tail.iter().rposition(|&byte| byte == b'\n')?;
    // Looks for the name first, so that listing many runs parses few events.
    tail[..whole]
        .rsplit(|&byte| byte == b'\n')
        .filter(|line| line.windows(15).any(|window| window == b"\"turn_finished\""))
        .find_map(|line| {
            let event: Event = serde_json::from_slice(line).ok()?;
            let EventBody::TurnFinished { outcome } = event.body else { return None };
            Some(outcome)
        })
}

fn preview(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(PREVIEW_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
