//! What an agent has read or made in this run. What it has not is neither overwritten nor
//! deleted by a tool: it would not know what it destroys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use massgen_workspace::{Guard, Stat, Zone};

/// Made by programs, and made again by them.
const CACHES: &[&str] = &[
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "node_modules",
    ".venv",
    ".cache",
    ".tox",
    ".ipynb_checkpoints",
];
const CACHE_SUFFIXES: &[&str] = &[".pyc", ".pyo", ".DS_Store", "~", ".swp"];
/// Paths that are remembered. An agent that has seen more has to look again.
const SEEN_MAX: usize = 100_000;
/// File systems tell the time in steps.
const STEP: Duration = Duration::from_millis(20);

pub(super) struct Seen {
    guard: Arc<Guard>,
    paths: Mutex<BTreeSet<PathBuf>>,
    /// What changed later in a folder of the agent's own was changed by its own programs.
    since: SystemTime,
}

impl Seen {
    pub fn new(guard: Arc<Guard>) -> Seen {
        let now = SystemTime::now();
        Seen { guard, paths: Mutex::default(), since: now.checked_sub(STEP).unwrap_or(now) }
    }

    pub fn add(&self, path: &str) {
        if let Ok(path) = self.guard.absolute(path) {
            let mut paths = self.lock();
            if paths.len() < SEEN_MAX {
                paths.insert(path);
            }
        }
    }

    /// Takes over what was seen of one place to another, with all below.
    pub fn moved(&self, from: &str, to: &str) {
        let (Ok(from), Ok(to)) = (self.guard.absolute(from), self.guard.absolute(to)) else {
            return;
        };
        let mut paths = self.lock();
        let moved: Vec<PathBuf> =
            paths.iter().filter(|path| path.starts_with(&from)).cloned().collect();
        for path in moved {
            paths.remove(&path);
            if let Ok(rest) = path.strip_prefix(&from) {
                paths.insert(if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) });
            }
        }
    }

    pub fn gone(&self, path: &str) {
        if let Ok(gone) = self.guard.absolute(path) {
            self.lock().retain(|path| !path.starts_with(&gone));
        }
    }

    /// Returns whether the agent knows what it is about to destroy.
    pub fn knows(&self, path: &str, stat: &Stat) -> bool {
        let Ok(path) = self.guard.absolute(path) else { return false };
        stat.bytes == 0
            || is_cache(&path)
            || self.lock().contains(&path)
            || self.made_here(&path, stat)
    }

    fn made_here(&self, path: &Path, stat: &Stat) -> bool {
        let is_own = match self.guard.policy().zone(path) {
            Some(Zone::Workspace | Zone::Scratch | Zone::Temp | Zone::PrivateView) => true,
            Some(
                Zone::SharedView
                | Zone::ContextRead
                | Zone::ContextWrite
                | Zone::Protected
                | Zone::Forbidden,
            )
            | None => false,
        };
        is_own && stat.modified >= self.since
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        // Whole after a panic elsewhere too: entries come and go one by one.
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_cache(path: &Path) -> bool {
    let mut names = path.iter().filter_map(|name| name.to_str());
    let last = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    names.any(|name| CACHES.contains(&name)) || CACHE_SUFFIXES.iter().any(|end| last.ends_with(end))
}
