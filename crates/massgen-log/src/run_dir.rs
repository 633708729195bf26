//! The folder of one run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use massgen_protocol::RunId;

use crate::error::io_error;
use crate::{LogError, Manifest, NewRun, Redactor, run_id, write_atomic};

/// Ids tried for one start. Four digits tell 65,536 starts of one second apart,
/// so this many collisions in a row mean that something else is wrong.
const ID_TRIES: u32 = 1_000;

/// The folder of one run, with its manifest read.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDir {
    path: PathBuf,
    manifest: Manifest,
}

/// The claimed folder of a run that has not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedRun {
    pub id: RunId,
    pub path: PathBuf,
}

impl RunDir {
    /// Creates the folder of a new run under `<state_dir>/runs` and writes its manifest.
    pub fn create(state_dir: &Path, new: NewRun, redactor: &Redactor) -> Result<RunDir, LogError> {
        RunDir::create_in(RunDir::reserve(state_dir, new.started_at)?, new, redactor)
    }

    /// Writes the manifest of a new run into the folder that was claimed for it.
    pub fn create_in(
        reserved: ReservedRun,
        new: NewRun,
        redactor: &Redactor,
    ) -> Result<RunDir, LogError> {
        let ReservedRun { id, path } = reserved;
        let payloads = path.join(PAYLOADS);
        fs::create_dir(&payloads).map_err(io_error("create", &payloads))?;
        let manifest = Manifest::new(id, new).write(&path, redactor)?;
        Ok(RunDir { path, manifest })
    }

    /// Claims the id of a run that is still to start, for what has to be made before it:
    /// workspaces, servers. Making the folder is the claim, so two starts of one millisecond
    /// get two runs. Without a manifest it is no run yet, and listings pass it over.
    pub fn reserve(state_dir: &Path, started_at: SystemTime) -> Result<ReservedRun, LogError> {
        let runs_dir = runs_dir(state_dir);
        fs::create_dir_all(&runs_dir).map_err(io_error("create", &runs_dir))?;
        for counter in 0..ID_TRIES {
            let id = run_id(started_at, std::process::id(), counter);
            let path = runs_dir.join(&id.0);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(ReservedRun { id, path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("create", &path)(error)),
            }
        }
        Err(LogError::NoFreeId { runs_dir })
    }

    /// Opens the folder of a run that exists.
    pub fn open(path: &Path) -> Result<RunDir, LogError> {
        Ok(RunDir { path: path.to_owned(), manifest: Manifest::read(path)? })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn id(&self) -> &RunId {
        &self.manifest.run
    }

    pub fn events_path(&self) -> PathBuf {
        self.path.join(EVENTS)
    }

    pub fn payloads_path(&self) -> PathBuf {
        self.path.join(PAYLOADS)
    }

    /// Writes `result.json`, which can be derived from the events at any time.
    pub fn write_result(&self, result: &serde_json::Value) -> Result<PathBuf, LogError> {
        let serialise = |source| LogError::Serialise { what: "the result", source };
        let mut text = serde_json::to_vec_pretty(result).map_err(serialise)?;
        text.push(b'\n');
        let path = self.path.join("result.json");
        write_atomic(&path, &text).map_err(io_error("write", &path))?;
        Ok(path)
    }

    /// Marks the log as incomplete. It may be that even this does not reach the
    /// disk; then the log at least ends before the first event that is missing.
    pub(crate) fn mark_incomplete(path: &Path, message: &str) {
        let _ = fs::write(path.join(INCOMPLETE), message);
    }

    pub(crate) fn is_incomplete(path: &Path) -> bool {
        path.join(INCOMPLETE).exists()
    }
}

pub(crate) const EVENTS: &str = "events.jsonl";
const PAYLOADS: &str = "payloads";
const INCOMPLETE: &str = "recording-failed";

pub(crate) fn runs_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("runs")
}
