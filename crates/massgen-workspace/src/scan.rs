//! Taking a snapshot of a folder that may be changing.
//!
//! The folder is walked through handles, never through a link, so that a program that swaps a
//! folder for a link meanwhile gets nothing of the user's into a snapshot.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ignore::gitignore::Gitignore;
use massgen_protocol::SnapshotId;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, open, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::error::{StoreError, failed};
use crate::intake::Intake;
use crate::object::ObjectId;
use crate::skipping;
use crate::statcache::{Fingerprint, Lookup, StatCache};
use crate::store::{SEEN, Store};
use crate::tree::{Entry, Modified, Node, Tree};

/// Paths that are told of one by one; the rest is a number.
const SKIPPED_MAX: usize = 1_000;

/// Entries between two looks at the clock.
const ENTRIES_A_LOOK: u64 = 64;

/// How to take a snapshot.
#[derive(Clone, Debug, Default)]
pub struct TakeOptions {
    /// Only these, with all below them; paths below the folder.
    pub only: Option<Vec<PathBuf>>,
    pub ignored: Ignored,
    pub stop: Stop,
}

/// What becomes of build trees and of folders that a `.gitignore` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ignored {
    /// Left out, and told.
    #[default]
    Skip,
    Keep,
}

/// What ends the work early.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    pub deadline: Option<Instant>,
    pub cancelled: Option<Arc<AtomicBool>>,
}

/// A snapshot that is on disk for good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Taken {
    pub id: SnapshotId,
    /// Files and links in it.
    pub files: u64,
    pub bytes: u64,
    /// Files that had to be read; the others had not changed.
    pub files_read: u64,
    /// That were new to the store.
    pub bytes_stored: u64,
    /// What is not in it, and why; at most a thousand paths.
    pub skipped: Vec<Skipped>,
    /// Not in it either, and not in the list.
    pub skipped_more: u64,
    /// Files that were written to all the time: what is kept is what was read last.
    pub unsettled: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub why: SkipReason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Made by tools out of something else, or their own records: `.git`, `node_modules`.
    BuildTree,
    /// A folder that a `.gitignore` names.
    Ignored,
    /// A pipe, a socket, a device.
    Special,
    /// The operating system's words.
    Unreadable(String),
}

impl Taken {
    /// Returns what should be in the snapshot and could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &Skipped> {
        let is_unreadable = |skipped: &&Skipped| matches!(skipped.why, SkipReason::Unreadable(_));
        self.skipped.iter().filter(is_unreadable)
    }
}

/// A snapshot with what is known of the folder at that moment.
pub(crate) struct Scanned {
    pub taken: Taken,
    pub tree: Arc<Tree>,
    pub cache: StatCache,
}

impl Store {
    /// Keeps a folder as it is. When this returns the snapshot is on disk, whole; on an error
    /// nothing of it is.
    pub fn take(&self, folder: &Path, options: &TakeOptions) -> Result<Taken, StoreError> {
        self.scan(folder, options).map(|scanned| scanned.taken)
    }

    pub(crate) fn scan(&self, folder: &Path, options: &TakeOptions) -> Result<Scanned, StoreError> {
        self.must_be_ours()?;
        let _gate = self.reading();
        let root = folder.canonicalize().map_err(failed("find", folder))?;
        let seen_path = self.seen_path(&root);
        let before = StatCache::load(&seen_path);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = open(&root, flags, Mode::empty()).map_err(failed("open", folder))?;
        let mut scan = Scan {
            options,
            root: &root,
            intake: Intake::new(self, &options.stop),
            lookup: Lookup::new(&before),
            entries: Vec::new(),
            rules: Vec::new(),
            files: 0,
            bytes: 0,
            skipped: Vec::new(),
            skipped_more: 0,
            store: self,
        };
        scan.folder(&opened, Path::new(""), 0)?;
        let Scan { intake, entries, files, bytes, skipped, skipped_more, .. } = scan;
        let mut kept = intake.commit()?;
        let tree = Arc::new(Tree::new(entries));
        let base = before.last.map(|last| SnapshotId(last.to_string()));
        let id = self.save_tree(&tree, base.as_ref())?;
        if options.only.is_none() {
            kept.cache.last = ObjectId::parse(&id.0);
            // Costs time the next time, nothing else: the disk may be full by now.
            let _ = kept.cache.save(&seen_path, &self.unfinished("seen"));
        }
        let taken = Taken {
            id,
            files,
            bytes,
            files_read: kept.files_read,
            bytes_stored: kept.bytes_stored,
            skipped,
            skipped_more,
            unsettled: kept.unsettled,
        };
        Ok(Scanned { taken, tree, cache: kept.cache })
    }

    fn seen_path(&self, root: &Path) -> PathBuf {
        let name = ObjectId::of(root.as_os_str().as_bytes()).to_string();
        self.inner.dir.join(SEEN).join(name)
    }
}

struct Scan<'a> {
    store: &'a Store,
    options: &'a TakeOptions,
    root: &'a Path,
    intake: Intake<'a>,
    lookup: Lookup<'a>,
    entries: Vec<Entry>,
    /// Of the folders on the way down to here.
    rules: Vec<Gitignore>,
    files: u64,
    bytes: u64,
    skipped: Vec<Skipped>,
    skipped_more: u64,
}

impl Scan<'_> {
    fn folder(&mut self, folder: &OwnedFd, below: &Path, depth: usize) -> Result<(), StoreError> {
        let depth_max = self.store.inner.limits.depth_max;
        if depth > depth_max {
            return Err(StoreError::TooDeep { path: below.to_path_buf(), depth_max });
        }
        let names = match names_in(folder) {
            Ok(names) => names,
            Err(error) => {
                self.unreadable(below, error);
                return Ok(());
            }
        };
        let rules = match self.options.ignored {
            Ignored::Skip => skipping::rules_of(folder, &names, below),
            Ignored::Keep => None,
        };
        let has_rules = rules.is_some();
        self.rules.extend(rules);
        for name in &names {
            let path = below.join(name);
            if self.is_wanted(&path) {
                self.entry(folder, &names, name, path, depth)?;
            }
        }
        if has_rules {
            self.rules.pop();
        }
        Ok(())
    }

    fn entry(
        &mut self,
        folder: &OwnedFd,
        siblings: &[OsString],
        name: &OsStr,
        path: PathBuf,
        depth: usize,
    ) -> Result<(), StoreError> {
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Gone since the folder was listed.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => {
                self.unreadable(&path, error);
                return Ok(());
            }
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.options.ignored == Ignored::Skip {
            let is_folder = kind == FileType::Directory;
            if let Some(why) = skipping::reason(&self.rules, siblings, name, &path, is_folder) {
                self.skip(&path, why);
                return Ok(());
            }
        }
        let node = match kind {
            FileType::Directory => return self.inner_folder(folder, name, path, depth),
            FileType::RegularFile => self.file(folder, name, &path, &stat)?,
            FileType::Symlink => match readlinkat(folder, name, Vec::new()) {
                Ok(target) => {
                    let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                    Some(Node::Link { target: kept_target(self.root, &path, target) })
                }
                Err(error) => {
                    self.unreadable(&path, error);
                    None
                }
            },
            _ => {
                self.skip(&path, SkipReason::Special);
                None
            }
        };
        match node {
            Some(node) => {
                self.files += 1;
                self.push(path, node)
            }
            None => Ok(()),
        }
    }

    fn inner_folder(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        path: PathBuf,
        depth: usize,
    ) -> Result<(), StoreError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(folder, name, flags, Mode::empty());
        let inner = opened.and_then(|inner| fstat(&inner).map(|stat| (inner, stat)));
        match inner {
            Ok((inner, stat)) => {
                if self.options.ignored == Ignored::Skip && skipping::is_marked_cache(&inner) {
                    self.skip(&path, SkipReason::BuildTree);
                    return Ok(());
                }
                self.push(path.clone(), Node::Folder { mode: stat.st_mode & 0o777 })?;
                self.folder(&inner, &path, depth + 1)
            }
            Err(Errno::NOENT) => Ok(()),
            Err(error) => {
                self.unreadable(&path, error);
                Ok(())
            }
        }
    }

    fn file(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        path: &Path,
        stat: &rustix::fs::Stat,
    ) -> Result<Option<Node>, StoreError> {
        let print = Fingerprint::of(stat);
        let seen = self.lookup.get(path);
        let unchanged = seen
            .filter(|seen| seen.print == print && seen.is_settled())
            .filter(|seen| self.store.holds(&seen.object));
        let limits = self.store.inner.limits;
        if print.bytes > limits.file_bytes_max {
            return Err(StoreError::FileTooLarge {
                path: path.to_path_buf(),
                bytes: print.bytes,
                bytes_max: limits.file_bytes_max,
            });
        }
        self.bytes += data_bytes(stat);
        if self.bytes > limits.bytes_max {
            let bytes_max = limits.bytes_max;
            return Err(StoreError::TooManyBytes { path: path.to_path_buf(), bytes_max });
        }
        if let Some(seen) = unchanged {
            let node = file_node(seen.object, stat);
            self.intake.cache.seen.push(seen.clone());
            return Ok(Some(node));
        }
        match self.intake.read(folder, name, path)? {
            Ok((object, stat)) => Ok(Some(file_node(object, &stat))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                self.unreadable(path, error);
                Ok(None)
            }
        }
    }

    fn push(&mut self, path: PathBuf, node: Node) -> Result<(), StoreError> {
        let n = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        let files_max = self.store.inner.limits.files_max;
        if n >= files_max {
            return Err(StoreError::TooManyFiles { files_max });
        }
        if n.is_multiple_of(ENTRIES_A_LOOK) {
            self.options.stop.check()?;
        }
        self.entries.push(Entry { path, node });
        Ok(())
    }

    fn is_wanted(&self, path: &Path) -> bool {
        match &self.options.only {
            Some(only) => only.iter().any(|only| only.starts_with(path) || path.starts_with(only)),
            None => true,
        }
    }

    fn unreadable(&mut self, path: &Path, error: impl Into<std::io::Error>) {
        self.skip(path, SkipReason::Unreadable(error.into().to_string()));
    }

    fn skip(&mut self, path: &Path, why: SkipReason) {
        match self.skipped.len() < SKIPPED_MAX {
            true => self.skipped.push(Skipped { path: path.to_path_buf(), why }),
            false => self.skipped_more += 1,
        }
    }
}

impl Stop {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.cancelled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(StoreError::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(StoreError::Deadline),
            Some(_) | None => Ok(()),
        }
    }
}

fn file_node(object: ObjectId, stat: &rustix::fs::Stat) -> Node {
    let print = Fingerprint::of(stat);
    let (seconds, nanos) = print.modified;
    Node::File {
        object,
        bytes: print.bytes,
        mode: stat.st_mode & 0o777,
        modified: Modified { seconds, nanos },
    }
}

/// A link in full to something in the same folder would lead every copy back to the original,
/// so it is kept as one from where it is.
fn kept_target(root: &Path, link: &Path, target: &Path) -> PathBuf {
    let Ok(inside) = target.strip_prefix(root) else { return target.to_path_buf() };
    let up = link.parent().map_or(0, |parent| parent.components().count());
    let relative: PathBuf = std::iter::repeat_n(Path::new(".."), up).collect();
    match relative.join(inside) {
        empty if empty.as_os_str().is_empty() => PathBuf::from("."),
        relative => relative,
    }
}

/// What a file takes on the disk; small ones may be kept without a block of their own.
fn data_bytes(stat: &rustix::fs::Stat) -> u64 {
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
    if bytes <= 64 << 10 { bytes } else { bytes.min(blocks) }
}

pub(crate) fn names_in(folder: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

pub(crate) fn now() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

/// Removes a file when it is let go of, unless it has been renamed by then.
pub(crate) struct Unfinished(pub PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nobody to tell; what stays is removed when the store is opened again.
        let _ = fs::remove_file(&self.0);
    }
}

/// Opens a file that is not a link and does not keep anybody waiting.
pub(crate) fn open_file(folder: &OwnedFd, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty()).map(File::from)
}
