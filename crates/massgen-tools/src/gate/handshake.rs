//! A question and its answer as two files, for whoever is no terminal.
//!
//! `NAME.request.json` is there as long as the question is open; `NAME.answer.json`, written
//! beside it by anybody, answers it: `{"allowed": true}`, with `always` and `reason` if wished.
//! An answer that cannot be read is one that is still being written, until the deadline.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use massgen_protocol::{PermissionAnswer, ToolReport};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::approval::Asked;
use super::facts::shortened;
use crate::{Invocation, Reports};

/// How often the answer is looked for: nobody notices less, and a look costs nothing.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Largest arguments that are written down in full.
const ARGUMENTS_BYTES_MAX: usize = 64 << 10;

/// What is asked, as it stands in the file.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Question {
    version: u32,
    /// Names both files.
    id: String,
    agent: String,
    round: String,
    tool: String,
    /// Left out where they are long.
    #[serde(skip_serializing_if = "Map::is_empty")]
    arguments: Map<String, Value>,
    what: String,
    reason: String,
    risk: &'static str,
    /// The file that answers, beside this one.
    answer_file: String,
    /// An answer after that finds nobody.
    wait_ms: u64,
}

/// What is read of an answer.
#[derive(Debug, Deserialize)]
struct Answer {
    allowed: bool,
    #[serde(default)]
    always: bool,
    #[serde(default)]
    reason: String,
}

impl Question {
    pub fn of(invocation: &Invocation, asked: &Asked<'_>, wait: Duration) -> Question {
        // Runs side by side may share the folder.
        let process = std::process::id();
        let id = format!("{}-{}-{process}", invocation.round, invocation.id.0);
        let id = file_name(&id);
        let is_long =
            Value::Object(invocation.arguments.clone()).to_string().len() > ARGUMENTS_BYTES_MAX;
        Question {
            version: 1,
            agent: invocation.agent.alias().to_string(),
            round: invocation.round.to_string(),
            tool: invocation.name.clone(),
            arguments: if is_long { Map::new() } else { invocation.arguments.clone() },
            what: asked.what.to_owned(),
            reason: asked.reason.to_owned(),
            risk: asked.risk.name(),
            answer_file: format!("{id}.answer.json"),
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            id,
        }
    }
}

/// Removes both files when the question is over, however it ends.
struct Files {
    request: PathBuf,
    answer: PathBuf,
}

impl Drop for Files {
    fn drop(&mut self) {
        // Two small files; if they stay, nothing reads them again.
        let _ = std::fs::remove_file(&self.request);
        let _ = std::fs::remove_file(&self.answer);
    }
}

/// Asks by file and waits for the answer. `None`: the question could not be written.
pub(super) async fn answer_in(
    dir: &str,
    question: &Question,
    reports: &Reports,
) -> Option<PermissionAnswer> {
    let dir = PathBuf::from(dir);
    let files = Files {
        request: dir.join(format!("{}.request.json", question.id)),
        answer: dir.join(&question.answer_file),
    };
    let (request, answer) = (files.request.clone(), files.answer.clone());
    let asked = question.clone();
    let written = tokio::task::spawn_blocking(move || write(&dir, &request, &answer, &asked)).await;
    if let Some(error) = written.map_err(io::Error::other).and_then(|written| written).err() {
        let what = format!("cannot ask by file in `{}`: {error}", files.request.display());
        reports.say(ToolReport::Notice { what });
        return None;
    }
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told_of: Option<String> = None;
    loop {
        looks.tick().await;
        let path = files.answer.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        match read {
            Ok(Ok(Some(answer))) => {
                let reason = shortened(&answer.reason);
                let (allowed, always) = (answer.allowed, answer.always);
                return Some(PermissionAnswer { allowed, always, by: "file".to_owned(), reason });
            }
            Ok(Ok(None)) => {}
            // It may be half written; if it stays like that somebody has to know.
            Ok(Err(fault)) if told_of.as_ref() != Some(&fault) => {
                let what = format!("`{}` is no answer yet: {fault}", files.answer.display());
                reports.say(ToolReport::Notice { what });
                told_of = Some(fault);
            }
            Ok(Err(_)) => {}
            Err(_) => return None,
        }
    }
}

/// Writes the question where no half of it is ever seen. An answer that is there already
/// answers something else.
fn write(dir: &Path, request: &Path, answer: &Path, question: &Question) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    match std::fs::remove_file(answer) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let text = serde_json::to_vec_pretty(question).map_err(io::Error::other)?;
    let half = request.with_extension("json.tmp");
    std::fs::write(&half, text)?;
    std::fs::rename(&half, request)
}

/// Reads the answer if it is there, or says what is wrong with it.
fn read(path: &Path) -> Result<Option<Answer>, String> {
    use std::io::Read as _;
    let kind = match std::fs::symlink_metadata(path) {
        Ok(facts) => facts.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    // A pipe would be waited for, a link may lead anywhere.
    if !kind.is_file() {
        return Err("it is no plain file".to_owned());
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > ANSWER_BYTES_MAX {
        return Err(format!("it has more than {ANSWER_BYTES_MAX} bytes"));
    }
    serde_json::from_slice(&text).map(Some).map_err(|error| error.to_string())
}

/// Identities of calls are the provider's own: they may hold anything.
fn file_name(id: &str) -> String {
    const CHARS_MAX: usize = 100;
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let name: String = id.chars().map(safe).take(CHARS_MAX).collect();
    // Two that look alike now must not share their files (FNV-1a).
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{name}-{:08x}", hash >> 32)
}
