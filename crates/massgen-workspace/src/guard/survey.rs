//! Looking: what is there, and what is in it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::Dir;
use massgen_protocol::Access;
use rustix::fs::{AtFlags, FileType, statat};

use super::resolve::{LastLink, Place, open_listed};
use super::root::Roots;
use super::{Guard, GuardError};
use crate::policy::EXCLUDED_NAMES;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    /// A pipe, a socket, a device.
    Special,
}

/// What the system tells of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    pub modified: SystemTime,
    /// Names it has; more than one is one file in several places.
    pub names: u64,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Lossy where it is not UTF-8.
    pub name: String,
    pub stat: Stat,
}

/// How far a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkOptions {
    pub depth_max: usize,
    pub entries_max: usize,
    pub build_trees: BuildTrees,
}

/// Whether a walk enters `node_modules`, `.git` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildTrees {
    Enter,
    Skip,
}

impl Default for WalkOptions {
    /// What a model can make use of in one answer.
    fn default() -> WalkOptions {
        WalkOptions { depth_max: 32, entries_max: 20_000, build_trees: BuildTrees::Skip }
    }
}

/// All that is below a folder, in the order of names, folders before what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    pub entries: Vec<Walked>,
    /// A bound was reached: there is more.
    pub cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// From the folder the walk began in.
    pub path: String,
    pub stat: Stat,
}

impl Guard {
    /// Reads a whole file.
    pub fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, GuardError> {
        let place = self.place(path, Access::Read)?;
        let mut file = place.file()?;
        let bytes = file.metadata().map_err(|error| place.failed("read", error))?.len();
        let too_large = |bytes| GuardError::TooLarge { path: path.to_owned(), bytes, bytes_max };
        if bytes > bytes_max {
            return Err(too_large(bytes));
        }
        let mut content = Vec::new();
        // It may grow meanwhile.
        let mut bounded = (&mut file).take(bytes_max.saturating_add(1));
        bounded.read_to_end(&mut content).map_err(|error| place.failed("read", error))?;
        match u64::try_from(content.len()).unwrap_or(u64::MAX) {
            read if read > bytes_max => Err(too_large(read)),
            _ => Ok(content),
        }
    }

    /// Reads a part of a file, as much of it as there is, and returns the file's size too.
    pub fn read_part(
        &self,
        path: &str,
        from: u64,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, u64), GuardError> {
        let place = self.place(path, Access::Read)?;
        let mut file = place.file()?;
        let failed = |error| place.failed("read", error);
        let bytes = file.metadata().map_err(failed)?.len();
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut content = Vec::new();
        file.take(bytes_max).read_to_end(&mut content).map_err(failed)?;
        Ok((content, bytes))
    }

    /// Opens a file to read from.
    pub fn open(&self, path: &str) -> Result<File, GuardError> {
        self.place(path, Access::Read)?.file()
    }

    /// Says what a path is; of a link, what it leads to.
    pub fn stat(&self, path: &str) -> Result<Stat, GuardError> {
        self.place(path, Access::Read)?.stat()
    }

    /// Says what a path is; of a link, the link.
    pub fn stat_link(&self, path: &str) -> Result<Stat, GuardError> {
        self.place_by(path, Access::Read, LastLink::Itself)?.stat()
    }

    /// Lists a folder by name, at most so many entries; more are an error.
    pub fn list(&self, path: &str, entries_max: usize) -> Result<Vec<Listed>, GuardError> {
        let place = self.place(path, Access::Read)?;
        let roots = self.roots();
        let listed = children(&roots, &place, &place.folder()?, &place.shown)?;
        if listed.len() > entries_max {
            let entries_max = u64::try_from(entries_max).unwrap_or(u64::MAX);
            return Err(GuardError::TooMany { path: path.to_owned(), entries_max });
        }
        Ok(listed)
    }

    /// Lists all that is below a folder. Links are named, not followed; the views are entered.
    /// What cannot be read is passed over.
    pub fn walk(&self, path: &str, options: &WalkOptions) -> Result<Walk, GuardError> {
        let place = self.place(path, Access::Read)?;
        let roots = self.roots();
        let mut walk = Walk::default();
        let folder = place.folder()?;
        let mut walker = Walker { roots: &roots, place: &place, options, walk: &mut walk };
        walker.enter(&folder, &place.shown, "", 1)?;
        Ok(walk)
    }
}

struct Walker<'a> {
    roots: &'a Roots,
    place: &'a Place,
    options: &'a WalkOptions,
    walk: &'a mut Walk,
}

impl Walker<'_> {
    fn enter(
        &mut self,
        folder: &Dir,
        shown: &Path,
        prefix: &str,
        depth: usize,
    ) -> Result<(), GuardError> {
        for listed in children(self.roots, self.place, folder, shown)? {
            if self.walk.entries.len() >= self.options.entries_max {
                self.walk.cut = true;
                return Ok(());
            }
            let path = format!("{prefix}{}", listed.name);
            let is_folder = listed.stat.kind == Kind::Folder;
            self.walk.entries.push(Walked { path: path.clone(), stat: listed.stat });
            let skipped = self.options.build_trees == BuildTrees::Skip
                && EXCLUDED_NAMES.contains(&listed.name.as_str());
            if !is_folder || skipped {
                continue;
            }
            if depth >= self.options.depth_max {
                self.walk.cut = true;
                continue;
            }
            let below = shown.join(&listed.name);
            // A view's folder is elsewhere; a name that is not UTF-8 cannot be opened by what
            // was shown of it.
            let opened = match self.roots.roots.iter().find(|root| root.shown == below) {
                Some(root) => open_listed(&root.dir, ".".as_ref()),
                None => open_listed(folder, listed.name.as_ref()),
            };
            if let Ok(opened) = opened {
                self.enter(&opened, &below, &format!("{path}/"), depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Lists what of a folder may be read, by name.
fn children(
    roots: &Roots,
    place: &Place,
    folder: &Dir,
    shown: &Path,
) -> Result<Vec<Listed>, GuardError> {
    use std::os::unix::ffi::OsStrExt;
    // Unreadable folders in a walk are as good as empty; the first one was opened to be listed.
    let Ok(entries) = rustix::fs::Dir::read_from(folder) else { return Ok(Vec::new()) };
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| place.failed("list", error))?;
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let path = shown.join(name);
        if roots.policy.decide(&path, Access::Read, false).is_err() {
            continue;
        }
        // Gone since the folder was read.
        let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let mut stat = Stat::of(&stat);
        if roots.roots.iter().any(|root| root.shown == path && root.only.is_none()) {
            stat.kind = Kind::Folder;
        }
        listed.push(Listed { name: name.to_string_lossy().into_owned(), stat });
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

impl Stat {
    // The widths of these fields differ between systems.
    #[allow(clippy::useless_conversion)]
    pub(super) fn of(stat: &rustix::fs::Stat) -> Stat {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            _ => Kind::Special,
        };
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Stat {
            kind,
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            mode: u32::from(stat.st_mode) & 0o7777,
            modified: UNIX_EPOCH + Duration::new(seconds, nanos),
            names: u64::from(stat.st_nlink),
        }
    }
}
