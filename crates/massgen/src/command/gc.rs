//! Frees the disk of what no run needs any more.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use massgen_log::{RunDir, RunStatus};
use massgen_protocol::SnapshotId;
use massgen_workspace::{Limits, Store};

use super::files::{answers, bytes};
use super::runs::from_log;
use crate::cli::GlobalArgs;
use crate::equipment::SNAPSHOTS;
use crate::error::CliError;

const DAY: Duration = Duration::from_secs(86_400);

/// A folder claimed for a run that has not started after so long never will.
const ABANDONED_AFTER: Duration = DAY;

/// Removes, or with `dry_run` names, what is not needed: copies that belong to no answer,
/// workspaces of runs that have ended, and with `older_than` the files of old runs.
pub fn gc(global: &GlobalArgs, older_than: Option<u32>, dry_run: bool) -> Result<String, CliError> {
    let mut report = Report { dry_run, freed: 0, lines: String::new() };
    let mut live = BTreeSet::new();
    for run in massgen_log::list(&global.state_dir).map_err(from_log)? {
        let age = age(&run.path);
        let is_old = older_than.is_some_and(|days| age > DAY * days);
        match run.status {
            RunStatus::Finished { .. } => {
                if is_old {
                    report.remove(&run.path.join(SNAPSHOTS));
                    report.remove(&run.path.join("final"));
                } else {
                    report.collect(&run.path);
                }
            }
            // They may go on, and then need all that they have.
            RunStatus::Running | RunStatus::Interrupted { .. } | RunStatus::Unreadable { .. } => {
                live.insert(run.id.0.clone());
            }
        }
    }
    for folder in folders(&global.state_dir.join("workspaces")) {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_live = name.is_some_and(|name| live.contains(&name));
        if !is_live && age(&folder) > Duration::from_secs(60) {
            report.remove(&folder);
        }
    }
    for folder in folders(&global.state_dir.join("runs")) {
        if !folder.join("manifest.json").exists() && age(&folder) > ABANDONED_AFTER {
            report.remove(&folder);
        }
    }
    Ok(report.told())
}

struct Report {
    dry_run: bool,
    freed: u64,
    lines: String,
}

impl Report {
    fn remove(&mut self, path: &Path) {
        if !path.exists() {
            return;
        }
        let size = size(path);
        let word = if self.dry_run { "would remove" } else { "removed" };
        if !self.dry_run
            && let Err(error) = fs::remove_dir_all(path)
        {
            let _ = writeln!(self.lines, "warning: `{}` stays: {error}", path.display());
            return;
        }
        self.freed += size;
        let _ = writeln!(self.lines, "{word} {} ({})", path.display(), bytes(size));
    }

    /// Removes from a run's store what belongs to no answer.
    fn collect(&mut self, run_path: &Path) {
        let dir = run_path.join(SNAPSHOTS);
        if self.dry_run || !dir.is_dir() {
            return;
        }
        let Ok(run) = RunDir::open(run_path) else { return };
        let Ok(answers) = answers(&run) else { return };
        let keep: Vec<SnapshotId> = answers.into_iter().map(|(_, snapshot)| snapshot).collect();
        let freed = Store::open(&dir, Limits::default()).and_then(|store| store.gc(&keep));
        match freed {
            Ok(freed) if freed.bytes > 0 => {
                self.freed += freed.bytes;
                let (n, size) = (freed.snapshots, bytes(freed.bytes));
                let _ = writeln!(self.lines, "removed {n} copies from {} ({size})", dir.display());
            }
            Ok(_) => {}
            Err(error) => {
                let _ = writeln!(self.lines, "warning: {}", error.full_text());
            }
        }
    }

    fn told(mut self) -> String {
        if self.lines.is_empty() {
            return "nothing to free\n".to_owned();
        }
        let word = if self.dry_run { "would free" } else { "freed" };
        let _ = writeln!(self.lines, "{word} {}", bytes(self.freed));
        self.lines
    }
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn age(path: &Path) -> Duration {
    let changed = fs::metadata(path).and_then(|about| about.modified());
    changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default()
}

/// Bytes below a folder; links are not followed.
fn size(path: &Path) -> u64 {
    let Ok(about) = fs::symlink_metadata(path) else { return 0 };
    if !about.is_dir() {
        return about.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| size(&entry.path())).sum()
}
