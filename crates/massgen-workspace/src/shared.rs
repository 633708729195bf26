//! Read-only trees, one a snapshot, for any number of readers.
//!
//! A file that another shared tree has already, with the same content, is a link to it, so a
//! tree costs a name a file and the bytes that are new. They are never synced and can be made
//! again at any time; after a crash of the whole machine they are, because the disk may have
//! kept a name and lost what it stands for.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use massgen_protocol::SnapshotId;
use rustix::fs::{AtFlags, Mode, linkat, mkdirat, symlinkat};
use rustix::io::Errno;

use crate::descent::Descent;
use crate::error::{StoreError, failed};
use crate::object::ObjectId;
use crate::pack::OpenPacks;
use crate::removal::remove_all;
use crate::restore::write_file;
use crate::scan::Stop;
use crate::store::{CopyError, Location, SHARED, Store, files_in, lock};
use crate::tree::{Modified, Node, Tree};

/// Where each file that can be linked to is.
#[derive(Default)]
pub(crate) struct SharedTrees {
    files: HashMap<Sharable, PathBuf>,
    known: Vec<SnapshotId>,
    listed: bool,
}

/// What two names of one file have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Sharable {
    object: ObjectId,
    mode: u32,
    modified: Modified,
}

const BOOT: &str = "boot";

impl Store {
    /// Returns a folder with all files of a snapshot, which nobody may write to. It is made if
    /// it is not there, and stays until `gc`.
    pub fn shared(&self, id: &SnapshotId, stop: &Stop) -> Result<PathBuf, StoreError> {
        self.must_be_ours()?;
        let path = self.shared_path(id);
        if path.is_dir() {
            return Ok(path);
        }
        let tree = self.tree(id)?;
        let _gate = self.reading();
        // One at a time: the second who asks for a tree finds it made.
        let mut shared = lock(&self.inner.shared);
        if path.is_dir() {
            return Ok(path);
        }
        self.list_shared(&mut shared)?;
        let unfinished = self.unfinished("shared");
        fs::create_dir(&unfinished).map_err(failed("create", &unfinished))?;
        let made = self
            .fill_shared(&tree, &shared, &unfinished, stop)
            .and_then(|()| fs::rename(&unfinished, &path).map_err(failed("rename", &path)))
            .and_then(|()| close(&path).map_err(failed("close", &path)));
        match made {
            Ok(()) => {
                shared.add(id, &tree, &path);
                Ok(path)
            }
            Err(error) => {
                // The fault itself is the news.
                let _ = remove_all(&unfinished);
                Err(error)
            }
        }
    }

    pub(crate) fn shared_path(&self, id: &SnapshotId) -> PathBuf {
        self.inner.dir.join(SHARED).join(&id.0)
    }

    /// Removes the shared trees of all snapshots but these.
    pub(crate) fn drop_shared(&self, keep: &dyn Fn(&SnapshotId) -> bool) -> Result<(), StoreError> {
        let mut shared = lock(&self.inner.shared);
        *shared = SharedTrees::default();
        for path in files_in(&self.inner.dir.join(SHARED))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name != BOOT && !keep(&SnapshotId(name)) {
                remove_all(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    fn list_shared(&self, shared: &mut SharedTrees) -> Result<(), StoreError> {
        if std::mem::replace(&mut shared.listed, true) {
            return Ok(());
        }
        for path in files_in(&self.inner.dir.join(SHARED))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let id = SnapshotId(name);
            if let (true, Ok(tree)) = (self.contains(&id), self.tree(&id)) {
                shared.add(&id, &tree, &path);
            }
        }
        Ok(())
    }

    fn fill_shared(
        &self,
        tree: &Tree,
        shared: &SharedTrees,
        folder: &Path,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let mut descent = Descent::new(folder).map_err(failed("open", folder))?;
        let mut packs = OpenPacks::default();
        let mut buffer = Vec::new();
        for entry in tree.entries() {
            stop.check()?;
            let wrong = failed::<Errno>("write", &entry.path);
            let (parent, name) = descent.parent(&entry.path).map_err(&wrong)?;
            match &entry.node {
                Node::Folder { .. } => mkdirat(parent, name, Mode::RWXU).map_err(wrong)?,
                Node::Link { target } => symlinkat(target, parent, name).map_err(wrong)?,
                Node::File { object, bytes, mode, modified } => {
                    let mode = shared_mode(*mode);
                    let key = Sharable { object: *object, mode, modified: *modified };
                    let source = shared.files.get(&key).cloned().or_else(|| {
                        // A large object is a file already, and as read-only as it will be.
                        match self.location(object) {
                            Ok(Location::Own(path)) if mode == 0o444 => Some(path),
                            Ok(Location::Own(_) | Location::Packed { .. }) | Err(_) => None,
                        }
                    });
                    if source.is_some_and(|source| link(&source, parent, name)) {
                        continue;
                    }
                    let (object, bytes, modified) = (*object, *bytes, *modified);
                    let node = Node::File { object, bytes, mode, modified };
                    write_file(self, &mut packs, &mut buffer, parent, name, &node)
                        .map_err(|error: CopyError| error.at(&entry.path))?;
                }
            }
        }
        for entry in tree.entries().iter().rev() {
            if let Node::Folder { .. } = entry.node {
                let path = folder.join(&entry.path);
                close(&path).map_err(failed("close", &path))?;
            }
        }
        Ok(())
    }
}

impl SharedTrees {
    fn add(&mut self, id: &SnapshotId, tree: &Tree, path: &Path) {
        if self.known.contains(id) {
            return;
        }
        self.known.push(id.clone());
        for entry in tree.entries() {
            if let Node::File { object, mode, modified, .. } = &entry.node {
                let mode = shared_mode(*mode);
                let key = Sharable { object: *object, mode, modified: *modified };
                self.files.entry(key).or_insert_with(|| path.join(&entry.path));
            }
        }
    }
}

/// Removes all shared trees if the machine was started anew since they were made.
pub(crate) fn clear_after_reboot(dir: &Path) -> Result<(), StoreError> {
    let shared = dir.join(SHARED);
    let mark = shared.join(BOOT);
    // Where the system has no name for a boot there is nothing to compare, and they go.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if !boot.is_empty() && fs::read_to_string(&mark).is_ok_and(|made| made == boot) {
        return Ok(());
    }
    for path in files_in(&shared)? {
        remove_all(&path).map_err(failed("remove", &path))?;
    }
    fs::write(&mark, boot).map_err(failed("write", &mark))
}

fn shared_mode(mode: u32) -> u32 {
    if mode & 0o111 == 0 { 0o444 } else { 0o555 }
}

/// Returns whether it worked; a copy does as well where it did not, as with too many names.
fn link(source: &Path, parent: &OwnedFd, name: &OsStr) -> bool {
    linkat(rustix::fs::CWD, source, parent, name, AtFlags::empty()).is_ok()
}

fn close(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555))
}
