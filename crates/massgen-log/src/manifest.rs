//! `manifest.json`: what a run is, written once at its start.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use massgen_protocol::{EVENTS_VERSION, FormatVersion, MANIFEST_VERSION, RunId, RunSpec};
use serde::{Deserialize, Serialize};

use crate::error::io_error;
use crate::{LogError, Redactor, rfc3339, write_atomic};

/// What a run is and needs. Secrets are not in it: a resumed run looks them up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file.
    pub version: FormatVersion,
    /// Version of `events.jsonl`.
    pub events: FormatVersion,
    pub run: RunId,
    /// Wall clock in UTC, RFC 3339; events count their milliseconds from here.
    pub started_at: String,
    /// The program that started the run, as its user would look for it: `massgen 0.1.0`.
    pub build: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_path: Option<String>,
    pub cwd: String,
    pub spec: RunSpec,
}

/// What the starter of a run tells about it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    pub started_at: SystemTime,
    pub build: String,
    pub config_path: Option<String>,
    pub cwd: String,
    pub spec: RunSpec,
}

/// The part of a manifest that every version of it has.
#[derive(Deserialize)]
struct Head {
    version: FormatVersion,
    events: FormatVersion,
    #[serde(default)]
    build: Option<String>,
}

impl Manifest {
    pub(crate) const FILE: &str = "manifest.json";

    pub(crate) fn new(run: RunId, new: NewRun) -> Manifest {
        Manifest {
            version: MANIFEST_VERSION,
            events: EVENTS_VERSION,
            run,
            started_at: rfc3339(new.started_at),
            build: new.build,
            config_path: new.config_path,
            cwd: new.cwd,
            spec: new.spec,
        }
    }

    /// Writes the manifest, redacted, and returns it as it was written.
    pub(crate) fn write(&self, dir: &Path, redactor: &Redactor) -> Result<Manifest, LogError> {
        let serialise = |source| LogError::Serialise { what: "the manifest", source };
        let manifest = redactor.redact_value(self).map_err(serialise)?;
        let mut text = serde_json::to_vec_pretty(&manifest).map_err(serialise)?;
        text.push(b'\n');
        let path = dir.join(Manifest::FILE);
        write_atomic(&path, &text).map_err(io_error("write", &path))?;
        Ok(manifest)
    }

    /// Reads the manifest of the run in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Manifest, LogError> {
        let path = dir.join(Manifest::FILE);
        let text = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                LogError::NotARun { path: dir.to_owned() }
            }
            _ => io_error("read", &path)(source),
        })?;
        let bad = |source| LogError::BadManifest { path: path.clone(), source };
        // Versions first: the rest of a newer manifest may not be what we expect.
        let head: Head = serde_json::from_slice(&text).map_err(bad)?;
        for (file, found, known) in [
            (Manifest::FILE, head.version, MANIFEST_VERSION),
            ("events.jsonl", head.events, EVENTS_VERSION),
        ] {
            if found.major > known.major {
                let path = dir.join(file);
                return Err(LogError::NewerFormat { path, found, known, build: head.build });
            }
        }
        serde_json::from_slice(&text).map_err(bad)
    }

    /// Returns whether the events may hold facts this build does not know.
    pub(crate) fn has_newer_events(&self) -> bool {
        self.events > EVENTS_VERSION
    }
}
