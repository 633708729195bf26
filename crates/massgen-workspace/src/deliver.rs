//! Handing the winner's files to the user.
//!
//! Nothing of the user's is lost: a file that is in the way is moved to a folder beside, and
//! the report names it. Files that the snapshot does not hold are left alone.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use massgen_protocol::SnapshotId;
use rustix::fs::{AtFlags, Mode, fchmod, mkdirat, readlinkat, renameat, statat, symlinkat};
use rustix::io::Errno;

use crate::descent::Descent;
use crate::error::{StoreError, failed};
use crate::object::ObjectId;
use crate::pack::OpenPacks;
use crate::restore::write_file;
use crate::scan::{Stop, open_file};
use crate::sparse;
use crate::store::{CopyError, Store};
use crate::tree::{Entry, Node};

/// What was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Delivered {
    /// New files and links.
    pub written: Vec<PathBuf>,
    /// Files that were there with other content; the old ones are in `backup`.
    pub replaced: Vec<PathBuf>,
    /// Were there already as they should be.
    pub unchanged: u64,
    /// Holds what was replaced, by the same paths.
    pub backup: Option<PathBuf>,
}

/// Folders for what is replaced, beside one that is delivered to often.
const BACKUPS_MAX: u32 = 10_000;

/// What a file is called until it is whole.
const UNFINISHED: &str = ".massgen-unfinished-delivery";

impl Store {
    /// Puts a snapshot's files into a folder of the user's. Each is there whole or not at all;
    /// where it is cut off, doing it again finishes it.
    pub fn deliver(
        &self,
        id: &SnapshotId,
        folder: &Path,
        stop: &Stop,
    ) -> Result<Delivered, StoreError> {
        let tree = self.tree(id)?;
        let _gate = self.reading();
        fs::create_dir_all(folder).map_err(failed("create", folder))?;
        let folder = folder.canonicalize().map_err(failed("find", folder))?;
        let mut delivery = Delivery {
            store: self,
            descent: Descent::new(&folder).map_err(failed("open", &folder))?,
            folder,
            packs: OpenPacks::default(),
            buffer: Vec::new(),
            report: Delivered::default(),
        };
        for entry in tree.entries() {
            stop.check()?;
            delivery.entry(entry)?;
        }
        for entry in tree.entries().iter().rev() {
            if let Node::Folder { mode } = entry.node {
                let wrong = failed::<Errno>("set the permissions of", &entry.path);
                // The user goes on working in it, so they can.
                let mode = Mode::from_raw_mode(mode) | Mode::RWXU;
                let folder = delivery.descent.folder(&entry.path).map_err(&wrong)?;
                fchmod(folder, mode).map_err(wrong)?;
            }
        }
        Ok(delivery.report)
    }
}

struct Delivery<'a> {
    store: &'a Store,
    folder: PathBuf,
    descent: Descent,
    packs: OpenPacks,
    buffer: Vec<u8>,
    report: Delivered,
}

enum There {
    Nothing,
    Same,
    Other,
}

impl Delivery<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let there = self.there(entry).map_err(failed("look at", &entry.path))?;
        let is_folder = matches!(entry.node, Node::Folder { .. });
        match there {
            There::Same => {
                self.report.unchanged += u64::from(!is_folder);
                return Ok(());
            }
            There::Other => {
                self.set_aside(&entry.path)?;
                self.report.replaced.push(entry.path.clone());
            }
            There::Nothing if is_folder => {}
            There::Nothing => self.report.written.push(entry.path.clone()),
        }
        let wrong = failed::<Errno>("write", &entry.path);
        let (folder, name) = self.descent.parent(&entry.path).map_err(&wrong)?;
        let unfinished = OsStr::new(UNFINISHED);
        // Of a delivery that was cut off.
        let _ = rustix::fs::unlinkat(folder, unfinished, AtFlags::empty());
        match &entry.node {
            Node::Folder { .. } => {
                return mkdirat(folder, name, Mode::from_raw_mode(0o777)).map_err(wrong);
            }
            Node::Link { target } => symlinkat(target, folder, unfinished).map_err(&wrong)?,
            Node::File { .. } => {
                let (packs, buffer) = (&mut self.packs, &mut self.buffer);
                let written =
                    write_file(self.store, packs, buffer, folder, unfinished, &entry.node);
                if let Err(error) = written {
                    // The write's own error is the news.
                    let _ = rustix::fs::unlinkat(folder, unfinished, AtFlags::empty());
                    return Err(error.at(&entry.path));
                }
            }
        }
        renameat(folder, unfinished, folder, name).map_err(wrong)
    }

    fn there(&mut self, entry: &Entry) -> io::Result<There> {
        let (folder, name) = self.descent.parent(&entry.path)?;
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(There::Nothing),
            Err(error) => return Err(error.into()),
        };
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        let is_same = match &entry.node {
            Node::Folder { .. } => kind.is_dir(),
            Node::Link { target } => {
                kind.is_symlink()
                    && readlinkat(folder, name, Vec::new())?.as_bytes()
                        == target.as_os_str().as_encoded_bytes()
            }
            Node::File { object, bytes, mode, .. } => {
                kind.is_file()
                    && u64::try_from(stat.st_size).ok() == Some(*bytes)
                    && stat.st_mode & 0o777 == *mode
                    && content_of(folder, name, *bytes)? == *object
            }
        };
        Ok(if is_same { There::Same } else { There::Other })
    }

    /// Moves what is in the way to the folder of backups.
    fn set_aside(&mut self, path: &Path) -> Result<(), StoreError> {
        let backup = match &self.report.backup {
            Some(backup) => backup.clone(),
            None => {
                let backup = new_backup(&self.folder)?;
                self.report.backup.insert(backup).clone()
            }
        };
        let target = backup.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(failed("create", parent))?;
        }
        let (folder, name) = self.descent.parent(path).map_err(failed::<Errno>("open", path))?;
        renameat(folder, name, rustix::fs::CWD, &target).map_err(failed::<Errno>("move", path))
    }
}

/// Makes a folder beside, named for what it is: `out.before-1`.
fn new_backup(folder: &Path) -> Result<PathBuf, StoreError> {
    let name = folder.file_name().unwrap_or(OsStr::new("files")).to_string_lossy();
    for n in 1..=BACKUPS_MAX {
        let backup = folder.with_file_name(format!("{name}.before-{n}"));
        match fs::create_dir(&backup) {
            Ok(()) => return Ok(backup),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create", &backup)(error)),
        }
    }
    Err(StoreError::Exists { path: folder.with_file_name(format!("{name}.before-{BACKUPS_MAX}")) })
}

fn content_of(folder: &std::os::fd::OwnedFd, name: &OsStr, bytes: u64) -> io::Result<ObjectId> {
    let file = open_file(folder, name)?;
    let hashed = sparse::hash(&file, bytes, &mut || Ok::<(), CopyError>(()));
    hashed.map_err(|error| match error {
        CopyError::Target(error) => error,
        CopyError::Store(error) => io::Error::other(error),
    })
}
