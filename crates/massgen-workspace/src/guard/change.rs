//! Changing: writing whole files, folders, moving, copying, removing.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::fs::Dir;
use massgen_protocol::Access;
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, openat, readlinkat, renameat_with, symlinkat,
};
use rustix::io::Errno;

use super::resolve::{LastLink, Place, open_listed};
use super::survey::{BuildTrees, Kind, WalkOptions};
use super::{Guard, GuardError};
use crate::policy::{Denial, EXCLUDED_NAMES, Zone};

/// What files are called while they are written; snapshots leave them out.
const UNFINISHED_PREFIX: &str = ".massgen-unfinished-";

/// Deeper than any tree that people make; a bound for recursion.
const DEPTH_MAX: usize = 64;

/// Files that one copy takes at most.
const COPY_ENTRIES_MAX: usize = 50_000;

/// Bytes that one copy takes at most.
const COPY_BYTES_MAX: u64 = 4 << 30;

/// A file with several names is written anew rather than in place, up to this size.
const APPEND_REWRITE_MAX: u64 = 256 << 20;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub made: Made,
    pub bytes: u64,
}

/// Whether there was something before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    New,
    Replaced,
}

/// What to do with what is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    Refuse,
    Replace,
}

/// Whether a folder goes with all that is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    MustBeEmpty,
    Remove,
}

impl Guard {
    /// Writes a file whole: readers see the old content or the new one, and other names of the
    /// old one keep the old. Missing folders are made; the old file's permissions stay.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<Written, GuardError> {
        let place = self.place_to_write(path)?;
        write_whole(&place, content, place.mode_of_file()?)
    }

    /// Writes a file that must not be there yet.
    pub fn write_new(&self, path: &str, content: &[u8]) -> Result<Written, GuardError> {
        let place = self.place_to_write(path)?;
        match place.mode_of_file()? {
            Some(_) => Err(GuardError::Exists { path: path.to_owned() }),
            None => write_whole(&place, content, None),
        }
    }

    /// Adds to the end of a file, or begins it.
    pub fn append(&self, path: &str, content: &[u8]) -> Result<Written, GuardError> {
        let place = self.place_to_write(path)?;
        let Some(mode) = place.mode_of_file()? else { return write_whole(&place, content, None) };
        if place.stat()?.names > 1 {
            // Another name of it may be somewhere that is not open to this agent.
            let mut whole = self.read(path, APPEND_REWRITE_MAX)?;
            whole.extend_from_slice(content);
            return write_whole(&place, &whole, Some(mode));
        }
        let flags =
            OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&place.parent, place.entry(), flags, Mode::empty())
            .map_err(|error| place.failed("open", error))?;
        File::from(file).write_all(content).map_err(|error| place.failed("write", error))?;
        Ok(Written { made: Made::Replaced, bytes: len(content) })
    }

    /// Makes a folder with all that are missing above it.
    pub fn create_dir(&self, path: &str) -> Result<Made, GuardError> {
        self.create_dir_at(path, DEPTH_MAX)
    }

    /// Moves a file or folder to a name that is not taken. Both ends have to be writable.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), GuardError> {
        let source = self.place_to_remove(from)?;
        source.stat()?;
        self.make_parents(to)?;
        let target = self.place_by(to, Access::Write, LastLink::Itself)?;
        let flags = RenameFlags::NOREPLACE;
        let renamed =
            renameat_with(&source.parent, source.entry(), &target.parent, target.entry(), flags);
        match renamed {
            Ok(()) => Ok(()),
            Err(Errno::XDEV) => {
                self.copy(from, to, Overwrite::Refuse)?;
                self.remove(from, Contents::Remove)
            }
            Err(Errno::EXIST) => Err(GuardError::Exists { path: to.to_owned() }),
            Err(error) => Err(source.failed("move", error)),
        }
    }

    /// Copies a file, or a folder with all that is below it; returns how many files and bytes.
    /// Links are copied as links, pipes and sockets left out.
    pub fn copy(
        &self,
        from: &str,
        to: &str,
        overwrite: Overwrite,
    ) -> Result<(u64, u64), GuardError> {
        let source = self.place(from, Access::Read)?;
        let kind = source.stat()?.kind;
        let target = self.place_to_write(to)?;
        let exists = target.stat().is_ok();
        if exists && overwrite == Overwrite::Refuse {
            return Err(GuardError::Exists { path: to.to_owned() });
        }
        match kind {
            Kind::File => {
                let mut file = source.file()?;
                let mode = source.stat()?.mode;
                let bytes = copy_whole(&mut file, &target, mode)?;
                Ok((1, bytes))
            }
            Kind::Folder if target.shown.starts_with(&source.shown) => Err(GuardError::Malformed {
                path: to.to_owned(),
                why: "a folder cannot be copied into itself",
            }),
            Kind::Folder => {
                self.create_dir(to)?;
                let target = self.place(to, Access::Write)?;
                let mut copied = Copied { files: 0, bytes: 0, entries: 0 };
                self.copy_folder(&source, &target, &mut copied)?;
                Ok((copied.files, copied.bytes))
            }
            Kind::Link | Kind::Special => Err(GuardError::Special { path: from.to_owned() }),
        }
    }

    /// Removes a file, a link or a folder.
    pub fn remove(&self, path: &str, contents: Contents) -> Result<(), GuardError> {
        let place = self.place_to_remove(path)?;
        let failed = |error| place.failed("remove", error);
        match (place.stat()?.kind, contents) {
            (Kind::Folder, Contents::Remove) => {
                place.parent.remove_dir_all(place.entry()).map_err(failed)
            }
            (Kind::Folder, Contents::MustBeEmpty) => {
                place.parent.remove_dir(place.entry()).map_err(failed)
            }
            (Kind::File | Kind::Link | Kind::Special, _) => {
                place.parent.remove_file(place.entry()).map_err(failed)
            }
        }
    }

    /// A place whose folder is there.
    fn place_to_write(&self, path: &str) -> Result<Place, GuardError> {
        match self.place(path, Access::Write) {
            Err(GuardError::Missing { .. }) => {
                self.make_parents(path)?;
                self.place(path, Access::Write)
            }
            other => other,
        }
    }

    fn make_parents(&self, path: &str) -> Result<(), GuardError> {
        // The path itself is judged first, so that no folders are made for what is refused.
        match self.place_by(path, Access::Write, LastLink::Itself) {
            Err(GuardError::Missing { .. }) => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(()),
        }
        let absolute = self.absolute(path)?;
        match absolute.parent().and_then(Path::to_str) {
            Some(parent) => self.create_dir_at(parent, DEPTH_MAX).map(|_| ()),
            None => Err(GuardError::Missing { path: path.to_owned() }),
        }
    }

    fn create_dir_at(&self, path: &str, depth: usize) -> Result<Made, GuardError> {
        let place = match self.place(path, Access::Write) {
            Err(GuardError::Missing { .. }) if depth > 0 => {
                let absolute = self.absolute(path)?;
                let Some(parent) = absolute.parent().and_then(Path::to_str) else {
                    return Err(GuardError::Missing { path: path.to_owned() });
                };
                self.create_dir_at(parent, depth - 1)?;
                self.place(path, Access::Write)?
            }
            other => other?,
        };
        if place.is_root() {
            return Ok(Made::Replaced);
        }
        match rustix::fs::mkdirat(&place.parent, place.entry(), Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(Made::New),
            Err(Errno::EXIST) if place.stat()?.kind == Kind::Folder => Ok(Made::Replaced),
            Err(error) => Err(place.failed("create", error)),
        }
    }

    /// A place that may go, with all that is below it.
    fn place_to_remove(&self, path: &str) -> Result<Place, GuardError> {
        let place = self.place_by(path, Access::Write, LastLink::Itself)?;
        let roots = self.roots();
        let denied = |denial| roots.denied(path, Access::Write, denial);
        if place.is_root() {
            return Err(denied(Denial::Root));
        }
        let decided = roots.policy.decide_removal(&place.shown, self.is_presenting());
        decided.map_err(denied)?;
        let is_users = roots.policy.zone(&place.shown) == Some(Zone::ContextWrite);
        if is_users && place.stat()?.kind == Kind::Folder {
            let options = WalkOptions { build_trees: BuildTrees::Skip, ..WalkOptions::default() };
            let walk = self.walk(path, &options)?;
            let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
            let left_alone = |name: &String| EXCLUDED_NAMES.contains(&name.as_str());
            let mut names = walk.entries.iter().map(|entry| name(&entry.path));
            if let Some(name) = names.find(left_alone) {
                return Err(denied(Denial::Excluded(name)));
            }
            if walk.cut {
                return Err(denied(Denial::HoldsOther));
            }
        }
        Ok(place)
    }

    fn copy_folder(
        &self,
        source: &Place,
        target: &Place,
        copied: &mut Copied,
    ) -> Result<(), GuardError> {
        let failed = |error: io::Error| source.failed("copy", error);
        let too_many = || GuardError::TooMany {
            path: source.given.clone(),
            entries_max: u64::try_from(COPY_ENTRIES_MAX).unwrap_or(u64::MAX),
        };
        let roots = self.roots();
        let mut folders = vec![(source.folder()?, target.folder()?, PathBuf::new(), 0)];
        while let Some((from, to, below, depth)) = folders.pop() {
            if depth > DEPTH_MAX {
                return Err(too_many());
            }
            for (name, kind) in names_in(&from).map_err(failed)? {
                let below = below.join(&name);
                if roots.policy.decide(&source.shown.join(&below), Access::Read, false).is_err() {
                    continue;
                }
                roots
                    .policy
                    .decide(&target.shown.join(&below), Access::Write, self.is_presenting())
                    .map_err(|denial| roots.denied(&target.given, Access::Write, denial))?;
                copied.entries += 1;
                if copied.entries > COPY_ENTRIES_MAX || copied.bytes > COPY_BYTES_MAX {
                    return Err(too_many());
                }
                match kind {
                    Kind::Folder => {
                        match to.create_dir(&name) {
                            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                                return Err(failed(error));
                            }
                            Ok(()) | Err(_) => {}
                        }
                        let inner_from = open_listed(&from, &name).map_err(failed)?;
                        let inner_to = open_listed(&to, &name).map_err(failed)?;
                        folders.push((inner_from, inner_to, below, depth + 1));
                    }
                    Kind::File => {
                        copied.bytes += copy_entry(&from, &to, &name).map_err(failed)?;
                        copied.files += 1;
                    }
                    Kind::Link => {
                        let link = readlinkat(&from, &*name, Vec::new());
                        match link.and_then(|link| symlinkat(link, &to, &*name)) {
                            Ok(()) | Err(Errno::EXIST) => copied.files += 1,
                            Err(error) => return Err(failed(error.into())),
                        }
                    }
                    Kind::Special => {}
                }
            }
        }
        Ok(())
    }
}

struct Copied {
    files: u64,
    bytes: u64,
    entries: usize,
}

impl Place {
    /// Returns the permissions of the file that is there, if one is.
    fn mode_of_file(&self) -> Result<Option<u32>, GuardError> {
        match self.stat() {
            Ok(stat) => match stat.kind {
                Kind::File => Ok(Some(stat.mode)),
                Kind::Folder => Err(GuardError::Folder { path: self.given.clone() }),
                Kind::Link => Err(GuardError::Changed { path: self.given.clone() }),
                Kind::Special => Err(GuardError::Special { path: self.given.clone() }),
            },
            Err(GuardError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn write_whole(place: &Place, content: &[u8], old: Option<u32>) -> Result<Written, GuardError> {
    if place.is_root() {
        return Err(GuardError::Folder { path: place.given.clone() });
    }
    let written = replace(&place.parent, place.entry(), &mut &*content, old);
    let bytes = written.map_err(|error| place.failed("write", error))?;
    Ok(Written { made: if old.is_some() { Made::Replaced } else { Made::New }, bytes })
}

fn copy_whole(from: &mut File, to: &Place, mode: u32) -> Result<u64, GuardError> {
    if to.is_root() {
        return Err(GuardError::Folder { path: to.given.clone() });
    }
    let kept = to.mode_of_file()?.unwrap_or(mode & 0o777);
    replace(&to.parent, to.entry(), &mut from.take(COPY_BYTES_MAX), Some(kept))
        .map_err(|error| to.failed("write", error))
}

fn copy_entry(from: &Dir, to: &Dir, name: &OsStr) -> io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(from, name, flags, Mode::empty())?);
    let mode = rustix::fs::fstat(&file)?.st_mode & 0o777;
    replace(to, name, &mut file.take(COPY_BYTES_MAX), Some(mode))
}

/// Writes beside and renames over; leaves nothing behind if that fails.
fn replace(
    parent: &Dir,
    name: &OsStr,
    content: &mut dyn Read,
    mode: Option<u32>,
) -> io::Result<u64> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let unfinished = format!("{UNFINISHED_PREFIX}{}-{n}", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(parent, &*unfinished, flags, Mode::from_raw_mode(0o666))?);
    let written = io::copy(content, &mut file).and_then(|bytes| {
        if let Some(mode) = mode {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        parent.rename(&unfinished, parent, name)?;
        Ok(bytes)
    });
    if written.is_err() {
        // The write's own error is the news.
        let _ = parent.remove_file(&unfinished);
    }
    written
}

fn names_in(folder: &Dir) -> io::Result<Vec<(std::ffi::OsString, Kind)>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            names.push((name.to_owned(), super::Stat::of(&stat).kind));
        }
    }
    Ok(names)
}

fn len(content: &[u8]) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}
