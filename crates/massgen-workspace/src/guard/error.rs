//! What a model is told when a path does not work.

use std::io;

use massgen_protocol::Access;
use thiserror::Error;

use crate::policy::Denial;

/// Why an operation on a path failed. The texts are for the model: they name the path as it was
/// given and what is open instead, and no path it was not told about.
#[derive(Debug, Error)]
pub enum GuardError {
    #[error("`{path}` may not be {}: {why}", done(*access))]
    Denied { path: String, access: Access, denial: Denial, why: String },
    #[error("there is no `{path}`")]
    Missing { path: String },
    #[error("`{path}` is a folder, not a file")]
    Folder { path: String },
    #[error("`{path}` is not a folder")]
    NotFolder { path: String },
    #[error("`{path}` is neither a file nor a folder")]
    Special { path: String },
    #[error("`{path}` exists already")]
    Exists { path: String },
    #[error("the folder `{path}` is not empty")]
    NotEmpty { path: String },
    #[error("`{path}` has {bytes} bytes, more than the {bytes_max} that can be taken at once")]
    TooLarge { path: String, bytes: u64, bytes_max: u64 },
    #[error("`{path}` holds more than {entries_max} files")]
    TooMany { path: String, entries_max: u64 },
    #[error("`{path}` changed while it was used; look at it again")]
    Changed { path: String },
    #[error("`{path}` is not a usable path: {why}")]
    Malformed { path: String, why: &'static str },
    #[error("the disk is full; `{path}` is as it was")]
    NoSpace { path: String },
    #[error("failed to {doing} `{path}`")]
    Io {
        doing: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
}

impl GuardError {
    /// Sorts an error of the operating system into what a model can do something about.
    pub(super) fn io(doing: &'static str, path: &str, source: io::Error) -> GuardError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => GuardError::Missing { path },
            io::ErrorKind::AlreadyExists => GuardError::Exists { path },
            io::ErrorKind::IsADirectory => GuardError::Folder { path },
            io::ErrorKind::NotADirectory => GuardError::NotFolder { path },
            io::ErrorKind::DirectoryNotEmpty => GuardError::NotEmpty { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                GuardError::NoSpace { path }
            }
            _ if is_loop(&source) => GuardError::Changed { path },
            _ => GuardError::Io { doing, path, source },
        }
    }

    /// Returns the whole text, with the operating system's reason where there is one.
    pub fn full_text(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

/// A link where there was none a moment ago.
fn is_loop(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

fn done(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "written",
    }
}
