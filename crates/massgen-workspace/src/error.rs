//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use massgen_protocol::SnapshotId;
use thiserror::Error;

/// Why a snapshot could not be taken, read or put back. Whatever it is, the store is as it was:
/// snapshots that were there are whole, and the one that failed is not there.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("another process works with the snapshots in `{dir}`")]
    InUse { dir: PathBuf },
    #[error("the snapshots in `{dir}` were opened to be read only")]
    ReadOnly { dir: PathBuf },
    #[error("the workspace holds more than {files_max} files, the most that a snapshot may hold")]
    TooManyFiles { files_max: u64 },
    #[error(
        "the workspace holds more than {bytes_max} bytes, the most that a snapshot may hold; \
         `{path}` was one too many"
    )]
    TooManyBytes { path: PathBuf, bytes_max: u64 },
    #[error("`{path}` has {bytes} bytes; a file in a snapshot has at most {bytes_max}")]
    FileTooLarge { path: PathBuf, bytes: u64, bytes_max: u64 },
    #[error("`{path}` is more than {depth_max} folders deep")]
    TooDeep { path: PathBuf, depth_max: usize },
    #[error("no space is left on the disk to {doing} `{path}`")]
    NoSpace { doing: &'static str, path: PathBuf },
    #[error("the work on the snapshot was called off")]
    Cancelled,
    #[error("the snapshot took longer than it may")]
    Deadline,
    #[error("there is no snapshot `{}`", id.0)]
    NoSnapshot { id: SnapshotId },
    #[error("snapshot `{}` holds no `{path}`", id.0)]
    NoSuchPath { id: SnapshotId, path: PathBuf },
    #[error("`{path}` in snapshot `{}` is not a file", id.0)]
    NotFile { id: SnapshotId, path: PathBuf },
    #[error("the stored {what} is damaged")]
    Damaged { what: String },
    #[error("`{path}` is there already")]
    Exists { path: PathBuf },
    #[error("failed to {doing} `{path}`")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// Returns whether the disk is full, which a run may survive and a user can mend.
    pub fn is_full_disk(&self) -> bool {
        matches!(self, StoreError::NoSpace { .. })
    }

    /// Returns the whole text, with the operating system's reason where there is one.
    pub fn full_text(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

/// Makes an error of the operating system's.
pub(crate) fn failed<E: Into<io::Error>>(
    doing: &'static str,
    path: &Path,
) -> impl Fn(E) -> StoreError {
    move |source| {
        let (source, path) = (source.into(), path.to_path_buf());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::NoSpace { doing, path }
            }
            _ => StoreError::Io { doing, path, source },
        }
    }
}
