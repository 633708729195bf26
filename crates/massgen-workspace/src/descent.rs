//! Going through a folder along sorted paths, with one handle for each folder on the way.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fchmod, fstat, open, openat};
use rustix::io::Errno;

/// Handles of the folders from the top down to where the work is. Never follows a link below
/// the top.
pub(crate) struct Descent {
    top: OwnedFd,
    below: Vec<(PathBuf, OwnedFd)>,
}

const FLAGS: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

impl Descent {
    pub fn new(top: &Path) -> Result<Descent, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Descent { top: open(top, flags, Mode::empty())?, below: Vec::new() })
    }

    /// Returns the folder at a path below the top.
    pub fn folder(&mut self, path: &Path) -> Result<&OwnedFd, Errno> {
        while self.below.last().is_some_and(|(open, _)| !path.starts_with(open)) {
            self.below.pop();
        }
        let mut at = self.below.last().map(|(open, _)| open.clone()).unwrap_or_default();
        let missing = path.strip_prefix(&at).map(Path::to_path_buf).unwrap_or_default();
        for name in missing.iter() {
            let parent = self.below.last().map_or(&self.top, |(_, folder)| folder);
            let folder = openat(parent, name, FLAGS, Mode::empty())?;
            at.push(name);
            self.below.push((at.clone(), folder));
        }
        Ok(self.below.last().map_or(&self.top, |(_, folder)| folder))
    }

    /// Returns the folder that a path is in, and its name there.
    pub fn parent<'a>(&mut self, path: &'a Path) -> Result<(&OwnedFd, &'a OsStr), Errno> {
        let name = path.file_name().unwrap_or(OsStr::new("."));
        Ok((self.folder(path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// The same, and makes sure that its owner may write in it.
    pub fn parent_to_change<'a>(&mut self, path: &'a Path) -> Result<(&OwnedFd, &'a OsStr), Errno> {
        let (folder, name) = self.parent(path)?;
        let mode = Mode::from_raw_mode(fstat(folder)?.st_mode & 0o7777);
        if !mode.contains(Mode::RWXU) {
            fchmod(folder, mode | Mode::RWXU)?;
        }
        Ok((folder, name))
    }
}
