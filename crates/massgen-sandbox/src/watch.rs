//! Counts what all processes of a call use together, where the kernel does not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use massgen_protocol::SandboxLimits;

use crate::plan::Exceeded;

/// How often. What is used in between is used: a bomb grows to twice its bound, not to the
/// machine's.
pub(crate) const EVERY: Duration = Duration::from_millis(50);

/// So many counts go by between two looks at the disk.
const DISK_EVERY: u32 = 2;

/// All files a call makes may together be so many times its largest.
const DISK_FILES: u64 = 8;

/// Left on every disk for the others, or half of what was free where there was less.
const DISK_LEFT_BYTES: u64 = 1 << 30;

/// Looked at to find out who fills the disk.
const DISK_ENTRIES_MAX: usize = 200_000;

/// Watches one call.
pub(crate) struct Watch {
    limits: SandboxLimits,
    /// Held by the kernel already.
    held: Held,
    disks: Vec<Disk>,
    begun: SystemTime,
    count: u32,
    page_bytes: u64,
}

/// What needs no watching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) memory: bool,
    pub(crate) processes: bool,
}

struct Disk {
    folder: PathBuf,
    free_at_begin: u64,
}

impl Watch {
    pub(crate) fn begin(limits: SandboxLimits, write: &[PathBuf], held: Held) -> Watch {
        let disks = write.iter().filter_map(|folder| {
            Some(Disk { folder: folder.clone(), free_at_begin: free(folder)? })
        });
        Watch {
            limits,
            held,
            disks: disks.collect(),
            begun: SystemTime::now(),
            count: 0,
            page_bytes: rustix::param::page_size() as u64,
        }
    }

    /// Returns the bound that `processes` have passed.
    pub(crate) fn look(&mut self, processes: &[i32]) -> Option<Exceeded> {
        self.count = self.count.wrapping_add(1);
        if !self.held.processes && processes.len() as u64 > self.limits.processes {
            return Some(Exceeded::Processes);
        }
        if !self.held.memory && self.memory(processes) > self.limits.memory_bytes {
            return Some(Exceeded::Memory);
        }
        if self.count.is_multiple_of(DISK_EVERY) && self.fills_a_disk() {
            return Some(Exceeded::Disk);
        }
        None
    }

    fn memory(&self, processes: &[i32]) -> u64 {
        let resident = processes.iter().filter_map(|pid| self.resident(*pid)).sum();
        if resident <= self.limits.memory_bytes {
            return resident;
        }
        // What several share was counted several times.
        processes.iter().filter_map(|pid| proportional(*pid).or_else(|| self.resident(*pid))).sum()
    }

    fn resident(&self, pid: i32) -> Option<u64> {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        Some(pages * self.page_bytes)
    }

    fn fills_a_disk(&self) -> bool {
        let allowed = self.limits.file_bytes.saturating_mul(DISK_FILES);
        self.disks.iter().any(|disk| {
            let Some(free) = free(&disk.folder) else { return false };
            let used = disk.free_at_begin.saturating_sub(free);
            if free < DISK_LEFT_BYTES.min(disk.free_at_begin / 2) {
                // Whoever it was: a full disk harms everybody.
                return used > 0;
            }
            // Others write to the same disk, so what is below the folder decides.
            used > allowed && written(&disk.folder, self.begun) > allowed
        })
    }
}

fn free(folder: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(folder).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Returns the bytes on disk of files below `folder` that changed since.
fn written(folder: &Path, since: SystemTime) -> u64 {
    let mut bytes = 0;
    let mut n_entries = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            n_entries += 1;
            let Ok(facts) = entry.metadata() else { continue };
            if facts.is_dir() {
                folders.push(entry.path());
            } else if facts.modified().is_ok_and(|at| at >= since) {
                bytes += facts.blocks() * 512;
            }
            if n_entries > DISK_ENTRIES_MAX {
                return bytes;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn limits() -> SandboxLimits {
        SandboxLimits { processes: 2, memory_bytes: 1 << 40, ..SandboxLimits::default() }
    }

    #[test]
    fn processes_and_memory_of_all_together_are_bounded() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut watch = Watch::begin(limits(), &[], Held::default());
        assert_eq!(watch.look(&[own, own]), None);
        assert_eq!(watch.look(&[own, own, own]), Some(Exceeded::Processes));
        let tight = SandboxLimits { memory_bytes: 4_096, ..limits() };
        let mut watch = Watch::begin(tight, &[], Held::default());
        assert_eq!(watch.look(&[own]), Some(Exceeded::Memory));
        let held = Held { memory: true, processes: true };
        let mut watch = Watch::begin(tight, &[], held);
        assert_eq!(watch.look(&[own, own, own]), None);
        assert_eq!(watch.look(&[-1]), None);
    }

    #[test]
    fn only_files_changed_since_count() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), vec![1; 100_000]).unwrap();
        assert!(written(folder.path(), SystemTime::UNIX_EPOCH) >= 100_000);
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(written(folder.path(), later), 0);
        assert_eq!(written(&folder.path().join("none"), SystemTime::UNIX_EPOCH), 0);
    }
}
