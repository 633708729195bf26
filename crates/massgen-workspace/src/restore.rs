//! Making a folder what a snapshot says.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use massgen_protocol::SnapshotId;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, fchmod, futimens, mkdirat, openat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::descent::Descent;
use crate::error::{StoreError, failed};
use crate::pack::OpenPacks;
use crate::removal::remove_all;
use crate::scan::{Scanned, Stop, TakeOptions};
use crate::statcache::{Fingerprint, Lookup};
use crate::store::{CopyError, Store};
use crate::tree::{Entry, Modified, Node, Tree, pairs};

/// What a folder was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Restored {
    /// The folder as it was before; nothing was removed that is not in it.
    pub before: SnapshotId,
    /// Files and links written.
    pub written: u64,
    /// Removed.
    pub removed: u64,
    /// Left as they are: they changed after they were kept, or a folder holds what no snapshot
    /// keeps.
    pub left: Vec<PathBuf>,
}

impl Store {
    /// Puts a snapshot into a folder that is not there yet, or empty. The folder is complete or
    /// not there.
    pub fn restore_new(
        &self,
        id: &SnapshotId,
        folder: &Path,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let tree = self.tree(id)?;
        let exists = || StoreError::Exists { path: folder.to_path_buf() };
        match fs::read_dir(folder) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(exists());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(exists()),
            Err(error) => return Err(failed("look at", folder)(error)),
        }
        let unfinished = beside(folder);
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(failed("create", parent))?;
        }
        remove_all(&unfinished).map_err(failed("clear", &unfinished))?;
        fs::create_dir(&unfinished).map_err(failed("create", &unfinished))?;
        let done = self
            .fill(&tree, &unfinished, stop)
            .and_then(|()| fs::rename(&unfinished, folder).map_err(failed("rename", folder)));
        if done.is_err() {
            // The fault itself is the news.
            let _ = remove_all(&unfinished);
        }
        done
    }

    /// Makes a folder equal to a snapshot: what is different is written, what is not in it is
    /// removed. The folder as it was is kept in a snapshot first, so build trees and whatever
    /// else snapshots leave out stay where they are.
    pub fn restore(
        &self,
        id: &SnapshotId,
        folder: &Path,
        stop: &Stop,
    ) -> Result<Restored, StoreError> {
        let wanted = self.tree(id)?;
        let options = TakeOptions { stop: stop.clone(), ..TakeOptions::default() };
        let before = self.scan(folder, &options)?;
        self.make_equal(folder, &before, &wanted, stop)
    }

    /// Makes a folder, which has just been kept, what a tree says.
    pub(crate) fn make_equal(
        &self,
        folder: &Path,
        before: &Scanned,
        wanted: &Tree,
        stop: &Stop,
    ) -> Result<Restored, StoreError> {
        let _gate = self.reading();
        let mut change = Change::new(self, folder, stop)?;
        let mut restored =
            Restored { before: before.taken.id.clone(), written: 0, removed: 0, left: Vec::new() };
        change.remove(before, wanted, &mut restored)?;
        change.write(before, wanted, &mut restored)?;
        Ok(restored)
    }

    /// Writes a whole tree into an empty folder.
    pub(crate) fn fill(&self, tree: &Tree, folder: &Path, stop: &Stop) -> Result<(), StoreError> {
        let _gate = self.reading();
        let mut change = Change::new(self, folder, stop)?;
        for entry in tree.entries() {
            change.create(entry)?;
        }
        change.set_folder_modes(tree.entries().iter())
    }
}

/// A name beside a folder that no file of the user's has.
pub(crate) fn beside(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or(OsStr::new("folder")).to_string_lossy();
    folder.with_file_name(format!(".{name}.massgen-{}", std::process::id()))
}

struct Change<'a> {
    store: &'a Store,
    stop: &'a Stop,
    descent: Descent,
    packs: OpenPacks,
    buffer: Vec<u8>,
    done: u64,
}

/// What files are called until they are whole.
const UNFINISHED: &str = ".massgen-unfinished-restore";

/// Files between two looks at the clock.
const FILES_A_LOOK: u64 = 64;

impl<'a> Change<'a> {
    fn new(store: &'a Store, folder: &'a Path, stop: &'a Stop) -> Result<Change<'a>, StoreError> {
        Ok(Change {
            store,
            stop,
            descent: Descent::new(folder).map_err(failed("open", folder))?,
            packs: OpenPacks::default(),
            buffer: Vec::new(),
            done: 0,
        })
    }

    /// Removes what is not in the wanted tree or is of another kind there, the deepest first.
    fn remove(
        &mut self,
        before: &Scanned,
        wanted: &Tree,
        restored: &mut Restored,
    ) -> Result<(), StoreError> {
        let mut surplus: Vec<&Entry> = Vec::new();
        pairs(&before.tree, wanted, |before, after| {
            let kind = |entry: &Entry| std::mem::discriminant(&entry.node);
            if let Some(before) = before
                && after.is_none_or(|after| kind(after) != kind(before))
            {
                surplus.push(before);
            }
        });
        // Fingerprints come in order, removals in the opposite one.
        let mut lookup = Lookup::new(&before.cache);
        let checked: Vec<(&Entry, Option<Fingerprint>)> = surplus
            .iter()
            .map(|entry| (*entry, lookup.get(&entry.path).map(|seen| seen.print)))
            .collect();
        for (entry, print) in checked.into_iter().rev() {
            self.look_at_clock()?;
            match self.remove_one(entry, print) {
                Ok(Removed::Gone) => restored.removed += 1,
                Ok(Removed::Left) => restored.left.push(entry.path.clone()),
                Err(error) => return Err(failed("remove", &entry.path)(error)),
            }
        }
        Ok(())
    }

    fn remove_one(&mut self, entry: &Entry, print: Option<Fingerprint>) -> Result<Removed, Errno> {
        let (folder, name) = match self.descent.parent_to_change(&entry.path) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Removed::Gone),
            Err(error) => return Err(error),
        };
        let removed = match &entry.node {
            Node::Folder { .. } => unlinkat(folder, name, AtFlags::REMOVEDIR),
            Node::Link { .. } => unlinkat(folder, name, AtFlags::empty()),
            Node::File { .. } => {
                let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                if print != Some(Fingerprint::of(&stat)) {
                    // Somebody is writing to it: what it is now is kept nowhere.
                    return Ok(Removed::Left);
                }
                unlinkat(folder, name, AtFlags::empty())
            }
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(Removed::Gone),
            // Holds a build tree, or a link became a folder.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ISDIR | Errno::NOTDIR) => Ok(Removed::Left),
            Err(error) => Err(error),
        }
    }

    /// Writes what is missing or different.
    fn write(
        &mut self,
        before: &Scanned,
        wanted: &Tree,
        restored: &mut Restored,
    ) -> Result<(), StoreError> {
        let mut different: Vec<(&Entry, Option<Fingerprint>)> = Vec::new();
        let mut lookup = Lookup::new(&before.cache);
        pairs(&before.tree, wanted, |before, after| {
            if let Some(after) = after
                && before != Some(after)
            {
                different.push((after, lookup.get(&after.path).map(|seen| seen.print)));
            }
        });
        for (entry, print) in different {
            if restored.left.iter().any(|left| entry.path.starts_with(left)) {
                // Something that may not go is in its place.
                continue;
            }
            match self.replace(entry, print)? {
                Removed::Left => restored.left.push(entry.path.clone()),
                Removed::Gone => {
                    let is_folder = matches!(entry.node, Node::Folder { .. });
                    restored.written += u64::from(!is_folder);
                }
            }
        }
        // Folders were opened up to be changed; their modes come last, of all of them.
        let kept = |entry: &&Entry| !restored.left.contains(&entry.path);
        self.set_folder_modes(wanted.entries().iter().filter(kept))
    }

    fn create(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.look_at_clock()?;
        let wrong = failed::<Errno>("write", &entry.path);
        let (folder, name) = self.descent.parent(&entry.path).map_err(&wrong)?;
        match &entry.node {
            Node::Folder { .. } => mkdirat(folder, name, Mode::RWXU).map_err(wrong),
            Node::Link { target } => symlinkat(target, folder, name).map_err(wrong),
            Node::File { .. } => {
                write_file(self.store, &mut self.packs, &mut self.buffer, folder, name, &entry.node)
                    .map_err(|error| error.at(&entry.path))
            }
        }
    }

    /// Puts a file or link in the place of what is there, at once.
    fn replace(
        &mut self,
        entry: &Entry,
        print: Option<Fingerprint>,
    ) -> Result<Removed, StoreError> {
        self.look_at_clock()?;
        let wrong = failed::<Errno>("write", &entry.path);
        let (folder, name) = self.descent.parent_to_change(&entry.path).map_err(&wrong)?;
        let unfinished = OsStr::new(UNFINISHED);
        // Of a restore that was cut off.
        let _ = unlinkat(folder, unfinished, AtFlags::empty());
        match &entry.node {
            Node::Folder { .. } => match mkdirat(folder, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => return Ok(Removed::Gone),
                Err(error) => return Err(wrong(error)),
            },
            Node::Link { target } => symlinkat(target, folder, unfinished).map_err(&wrong)?,
            Node::File { .. } => {
                let (packs, buffer) = (&mut self.packs, &mut self.buffer);
                let written =
                    write_file(self.store, packs, buffer, folder, unfinished, &entry.node);
                if let Err(error) = written {
                    // The write's own error is the news.
                    let _ = unlinkat(folder, unfinished, AtFlags::empty());
                    return Err(error.at(&entry.path));
                }
            }
        }
        let there = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(wrong(error)),
        };
        let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode).is_file();
        if there.is_some_and(|stat| is_file(&stat) && print != Some(Fingerprint::of(&stat))) {
            // Written since it was kept, or not kept at all.
            let _ = unlinkat(folder, unfinished, AtFlags::empty());
            return Ok(Removed::Left);
        }
        renameat(folder, unfinished, folder, name).map_err(wrong)?;
        Ok(Removed::Gone)
    }

    fn set_folder_modes<'e>(
        &mut self,
        entries: impl DoubleEndedIterator<Item = &'e Entry>,
    ) -> Result<(), StoreError> {
        // The deepest first: a folder that may not be entered any more ends the way down.
        for entry in entries.rev() {
            let Node::Folder { mode } = entry.node else { continue };
            let folder = match self.descent.folder(&entry.path) {
                Ok(folder) => folder,
                // Somebody else took it away, or put something else there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(error) => return Err(failed("open", &entry.path)(error)),
            };
            let wrong = failed::<Errno>("set the permissions of", &entry.path);
            fchmod(folder, Mode::from_raw_mode(mode)).map_err(wrong)?;
        }
        Ok(())
    }

    fn look_at_clock(&mut self) -> Result<(), StoreError> {
        self.done += 1;
        match self.done.is_multiple_of(FILES_A_LOOK) {
            true => self.stop.check(),
            false => Ok(()),
        }
    }
}

enum Removed {
    Gone,
    Left,
}

/// Writes a file of a tree under a name that is free.
pub(crate) fn write_file(
    store: &Store,
    packs: &mut OpenPacks,
    buffer: &mut Vec<u8>,
    folder: &OwnedFd,
    name: &OsStr,
    node: &Node,
) -> Result<(), CopyError> {
    let Node::File { object, mode, modified, .. } = node else { return Ok(()) };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
    let file = File::from(file);
    store.copy_content(*object, packs, buffer, &file)?;
    finish_file(&file, *mode, *modified).map_err(|error| CopyError::Target(error.into()))
}

fn finish_file(file: &File, mode: u32, modified: Modified) -> Result<(), Errno> {
    fchmod(file, Mode::from_raw_mode(mode))?;
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanos.into() };
    futimens(file, &Timestamps { last_access: time, last_modification: time })
}
