//! What an agent sees of the others' work, in its folder of views.
//!
//! A view is a link to a tree that all readers share, or a copy of the agent's own. Links cost
//! nothing: fifty agents see fifty snapshots by 2,500 links to fifty trees. A copy may be
//! written to. New views are made beside the folder, where the agent cannot reach, and put in
//! their place at once; nobody finds half a view or none.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use massgen_protocol::SnapshotId;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{StoreError, failed};
use crate::object::ObjectId;
use crate::record::Writer;
use crate::removal::remove_all;
use crate::scan::Stop;
use crate::store::{Store, lock};
use crate::{LaidView, Places, Sharing};

/// Files in all views together up to which copies are made without being asked for.
const COPIED_FILES_MAX: u64 = 2_000;

/// Bytes likewise; a copy of as many takes a fraction of a second.
const COPIED_BYTES_MAX: u64 = 64 << 20;

/// A snapshot under a name in the folder of views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// One name, as `agent2`.
    pub name: String,
    pub snapshot: SnapshotId,
}

/// How snapshots become visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewMode {
    /// Links to what others read too; only for agents that something keeps from writing to it.
    Linked,
    /// A copy for each agent.
    Copied,
    /// Copies while they are cheap, else links.
    Auto,
}

/// What becomes of what the agent did in the folder of views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// A new round: its copies are as they were, and what it put beside them is gone.
    Drop,
    /// The same round goes on: what stands for the same snapshot is left alone.
    Keep,
}

/// The folder of views of one agent.
pub struct Views {
    store: Store,
    places: Places,
    laid: Mutex<BTreeMap<String, Laid>>,
}

#[derive(Clone, Debug)]
struct Laid {
    snapshot: SnapshotId,
    sharing: Sharing,
    /// Of a copy when it was made, to tell later whether somebody changed it.
    seal: Option<ObjectId>,
}

impl Views {
    pub fn new(store: Store, places: Places) -> Views {
        Views { store, places, laid: Mutex::default() }
    }

    /// Lays out these views and no others. What stands for the same snapshot already stays.
    pub fn prepare(
        &self,
        views: &[View],
        mode: ViewMode,
        changes: Changes,
        stop: &Stop,
    ) -> Result<Vec<LaidView>, StoreError> {
        let sharing = self.sharing(views, mode)?;
        let mut laid = lock(&self.laid);
        let temp = &self.places.temp;
        fs::create_dir_all(temp).map_err(failed("create", temp))?;
        for view in views {
            let name = self.checked(&view.name)?;
            if self.stands(laid.get(name), view, sharing, changes)? {
                // After a restart of ours the link is all there is to go by.
                if !laid.contains_key(name) {
                    let (snapshot, seal) = (view.snapshot.clone(), None);
                    laid.insert(name.to_owned(), Laid { snapshot, sharing, seal });
                }
                continue;
            }
            let made = self.lay(name, &view.snapshot, sharing, stop)?;
            laid.insert(name.to_owned(), made);
        }
        let wanted = |name: &OsStr| views.iter().any(|view| name == OsStr::new(&view.name));
        for entry in fs::read_dir(temp).map_err(failed("list", temp))? {
            let name = entry.map_err(failed("list", temp))?.file_name();
            let was_view = laid.contains_key(name.to_string_lossy().as_ref());
            if !wanted(&name) && (was_view || changes == Changes::Drop) {
                let path = temp.join(&name);
                remove_all(&path).map_err(failed("remove", &path))?;
            }
        }
        laid.retain(|name, _| wanted(OsStr::new(name)));
        Ok(self.list(&laid))
    }

    /// Makes a copy of its own of a shared view, before something is written to it.
    pub fn copy_up(&self, name: &str, stop: &Stop) -> Result<Vec<LaidView>, StoreError> {
        let mut laid = lock(&self.laid);
        if let Some(view) = laid.get_mut(name)
            && view.sharing == Sharing::Shared
        {
            *view = self.lay(name, &view.snapshot.clone(), Sharing::Private, stop)?;
        }
        Ok(self.list(&laid))
    }

    /// Returns the views as they are, by name.
    pub fn laid(&self) -> Vec<LaidView> {
        self.list(&lock(&self.laid))
    }

    fn list(&self, laid: &BTreeMap<String, Laid>) -> Vec<LaidView> {
        let view = |(name, laid): (&String, &Laid)| LaidView {
            name: name.clone(),
            dir: match laid.sharing {
                Sharing::Shared => self.store.shared_path(&laid.snapshot),
                Sharing::Private => self.places.temp.join(name),
            },
            sharing: laid.sharing,
        };
        laid.iter().map(view).collect()
    }

    fn sharing(&self, views: &[View], mode: ViewMode) -> Result<Sharing, StoreError> {
        match mode {
            ViewMode::Linked => return Ok(Sharing::Shared),
            ViewMode::Copied => return Ok(Sharing::Private),
            ViewMode::Auto => {}
        }
        let (mut files, mut bytes) = (0, 0);
        for view in views {
            let tree = self.store.tree(&view.snapshot)?;
            files += u64::try_from(tree.entries().len()).unwrap_or(u64::MAX);
            bytes += tree.bytes();
        }
        let is_cheap = files <= COPIED_FILES_MAX && bytes <= COPIED_BYTES_MAX;
        Ok(if is_cheap { Sharing::Private } else { Sharing::Shared })
    }

    fn stands(
        &self,
        laid: Option<&Laid>,
        view: &View,
        sharing: Sharing,
        changes: Changes,
    ) -> Result<bool, StoreError> {
        let path = self.places.temp.join(&view.name);
        let is_link = || {
            fs::read_link(&path)
                .is_ok_and(|target| target == self.store.shared_path(&view.snapshot))
        };
        let shared_is_there = || self.store.shared_path(&view.snapshot).is_dir();
        let Some(laid) = laid.filter(|laid| laid.snapshot == view.snapshot) else {
            return Ok(sharing == Sharing::Shared && is_link() && shared_is_there());
        };
        Ok(match (laid.sharing, changes) {
            (Sharing::Shared, _) => sharing == Sharing::Shared && is_link() && shared_is_there(),
            (Sharing::Private, Changes::Keep) => path.is_dir(),
            (Sharing::Private, Changes::Drop) => {
                sharing == Sharing::Private && laid.seal.is_some() && laid.seal == seal(&path)
            }
        })
    }

    fn lay(
        &self,
        name: &str,
        snapshot: &SnapshotId,
        sharing: Sharing,
        stop: &Stop,
    ) -> Result<Laid, StoreError> {
        let at = self.places.temp.join(name);
        let new = self.places.temp.with_file_name(format!("laying-{name}"));
        remove_all(&new).map_err(failed("remove", &new))?;
        match sharing {
            Sharing::Shared => {
                let shared = self.store.shared(snapshot, stop)?;
                std::os::unix::fs::symlink(shared, &new).map_err(failed("create", &new))?;
            }
            Sharing::Private => self.store.restore_new(snapshot, &new, stop)?,
        }
        put(&new, &at).map_err(failed("lay out", &at))?;
        let seal = (sharing == Sharing::Private).then(|| seal(&at)).flatten();
        Ok(Laid { snapshot: snapshot.clone(), sharing, seal })
    }

    /// One name, so that no folder that the agent made is on the way.
    fn checked<'n>(&self, name: &'n str) -> Result<&'n str, StoreError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain) {
            true => Ok(name),
            false => Err(failed("lay out", &self.places.temp.join(name))(io::Error::from(
                io::ErrorKind::InvalidInput,
            ))),
        }
    }
}

/// Moves something to a name, in the place of what is there, at once; what was there goes.
fn put(new: &Path, at: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, at, RenameFlags::EXCHANGE) {
        Ok(()) => remove_all(new),
        Err(Errno::NOENT) => fs::rename(new, at),
        // A file system that cannot exchange names.
        Err(Errno::INVAL | Errno::NOSYS) => {
            remove_all(at)?;
            fs::rename(new, at)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns what stands for a folder's state: it changes whenever something in it does. None
/// where that cannot be told.
fn seal(folder: &Path) -> Option<ObjectId> {
    let mut writer = Writer::default();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).ok()?;
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in entries {
            paths.push(entry.ok()?.path());
        }
        paths.sort();
        for path in paths {
            let stat = fs::symlink_metadata(&path).ok()?;
            writer.path(&path);
            for value in [stat.ino(), stat.len(), u64::from(stat.mode())] {
                writer.u64(value);
            }
            for value in [stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec()] {
                writer.i64(value);
            }
            if stat.is_dir() {
                folders.push(path);
            }
        }
    }
    Some(ObjectId::of(&writer.0))
}
