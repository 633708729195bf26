//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file by a temporary neighbour and a rename, and waits for the disk.
/// Readers see the old content or the new, never a part; writers do not share a
/// temporary name, so of two at once the last one wins.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = replace(path, bytes)?;
    file.sync_all()?;
    // The rename itself is durable only with its folder. Not every system can
    // open a folder; where it cannot there is nothing to wait for.
    if let Some(parent) = path.parent().and_then(|parent| File::open(parent).ok()) {
        parent.sync_all()?;
    }
    Ok(())
}

/// The same without waiting for the disk; the file returned is for the caller to sync.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let temporary = temporary_beside(path);
    let written =
        write_new(&temporary, bytes).and_then(|file| fs::rename(&temporary, path).map(|()| file));
    if written.is_err() {
        // Nothing to report about it: the write's own error is the news.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

fn temporary_beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}-{n}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_new_content_replaces_the_old_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.json");
        write_atomic(&path, b"old").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        assert!(write_atomic(&path, b"new").is_err());
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
