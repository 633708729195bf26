//! What can go wrong with a run's folder.

use std::io;
use std::path::{Path, PathBuf};

use massgen_protocol::{FormatVersion, RunId};
use thiserror::Error;

use crate::ReadError;

/// Why a run cannot be created, opened, found or taken up again.
#[derive(Debug, Error)]
pub enum LogError {
    #[error("failed to {doing} `{}`", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("found no unused run id in `{}`", runs_dir.display())]
    NoFreeId { runs_dir: PathBuf },
    #[error("`{}` is not the folder of a run: it has no manifest.json", path.display())]
    NotARun { path: PathBuf },
    #[error("failed to read manifest `{}`", path.display())]
    BadManifest { path: PathBuf, source: serde_json::Error },
    #[error("`{}` has format {found}, this build knows {known}", path.display())]
    NewerFormat {
        path: PathBuf,
        found: FormatVersion,
        known: FormatVersion,
        /// The build that wrote it (`massgen 0.2.0`), where the manifest tells.
        build: Option<String>,
    },
    #[error("no run is called `{name}` or begins with it")]
    NoSuchRun { name: String },
    #[error("there are no runs in `{}`", runs_dir.display())]
    NoRuns { runs_dir: PathBuf },
    #[error("`{name}` is the beginning of {} runs: {}", matches.len(), names(matches))]
    Ambiguous { name: String, matches: Vec<RunId> },
    #[error("run `{run}` is being written by {}", owner(*pid))]
    Locked { run: RunId, pid: Option<u32> },
    #[error("run `{run}` cannot be resumed: its disk refused a write, so its log is incomplete")]
    RecordingFailed { run: RunId },
    #[error("failed to serialise {what}")]
    Serialise { what: &'static str, source: serde_json::Error },
    #[error("{n} secrets are too many to look for")]
    TooManySecrets { n: usize },
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl LogError {
    /// Returns what the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            LogError::NewerFormat { build, .. } => Some(match build {
                Some(build) => format!("use {build} or newer, which wrote it"),
                None => "use the newer massgen that wrote it".to_owned(),
            }),
            LogError::NoSuchRun { .. } => Some("list the runs with `massgen runs`".to_owned()),
            LogError::Ambiguous { .. } => Some("write more of the run's name".to_owned()),
            LogError::Locked { .. } => Some(
                "wait until that process has ended; `massgen replay` shows what there is so far"
                    .to_owned(),
            ),
            LogError::NoFreeId { .. } => Some("try again in a second".to_owned()),
            LogError::Read(error) => Some(error.hint()),
            LogError::NotARun { .. }
            | LogError::NoRuns { .. }
            | LogError::Io { .. }
            | LogError::BadManifest { .. }
            | LogError::RecordingFailed { .. }
            | LogError::Serialise { .. }
            | LogError::TooManySecrets { .. } => None,
        }
    }
}

/// Names what was being done to which file when the system refused.
pub(crate) fn io_error(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> LogError + use<> {
    let path = path.to_owned();
    move |source| LogError::Io { doing, path, source }
}

fn names(runs: &[RunId]) -> String {
    runs.iter().map(|run| run.0.as_str()).collect::<Vec<_>>().join(", ")
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
