//! One writer a run.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::io_error;
use crate::{LogError, RunDir};

/// Tries to get the lock before it is taken for held. Whoever lists runs holds
/// it, shared, for microseconds; a real owner keeps it for the whole run.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// The right to write one run, until dropped. The system gives it back when its
/// process ends, however that ends, so that no lock is ever stale.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

impl RunLock {
    pub(crate) fn acquire(dir: &RunDir) -> Result<RunLock, LogError> {
        let path = path_in(dir.path());
        let mut options = File::options();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error("open", &path))?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => {
                    // For the message to whoever comes second; the lock does not depend on it.
                    let _ = note_owner(&mut file);
                    return Ok(RunLock { _file: file });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
            }
        }
        let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        Err(LogError::Locked { run: dir.id().clone(), pid })
    }

    /// Returns whether some process writes the run in `dir` now.
    pub(crate) fn is_held(dir: &Path) -> bool {
        let Ok(file) = File::open(path_in(dir)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

fn note_owner(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("lock")
}
