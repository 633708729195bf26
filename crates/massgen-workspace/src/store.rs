//! Immutable copies of workspaces, kept by content.
//!
//! Below the store's folder: `packs/` with the small objects, `objects/` with the large and
//! sparse ones, `trees/` with a file for each snapshot, `seen/` with what makes the next
//! snapshot cheap, `shared/` with read-only trees for many readers, `unfinished/` with what is
//! being written. The last two may be removed at any time.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use massgen_protocol::SnapshotId;

use crate::error::{StoreError, failed};
use crate::object::ObjectId;
use crate::pack::{OpenPacks, Pack, Slot};
use crate::shared::SharedTrees;
use crate::sparse;
use crate::tree::{Node, Tree};

/// What one snapshot may hold, so that a runaway program does not fill the disk with copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files, folders and links.
    pub files_max: u64,
    /// Of all files; holes do not count.
    pub bytes_max: u64,
    /// Of one file; holes count, because they have to be hashed.
    pub file_bytes_max: u64,
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { files_max: 250_000, bytes_max: 16 << 30, file_bytes_max: 16 << 30, depth_max: 128 }
    }
}

/// For the lock of a store that somebody lets go of; starting a program takes milliseconds.
const LOCK_TIME_MAX: Duration = Duration::from_millis(500);

/// Entries of trees that are held in memory, of whatever snapshots were used last.
const TREE_ENTRIES_HELD: usize = 200_000;

/// The snapshots of a run. Cheap to clone; every call blocks.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub dir: PathBuf,
    pub limits: Limits,
    /// Held until the last clone is gone; none where the store is only read.
    lock: Option<File>,
    index: RwLock<Index>,
    /// Shared by whoever reads or adds, taken alone by the one who removes.
    pub gate: RwLock<()>,
    trees: Mutex<VecDeque<(SnapshotId, Arc<Tree>)>>,
    pub shared: Mutex<SharedTrees>,
    counter: AtomicU64,
    problems: Vec<String>,
}

/// Where every object is.
#[derive(Default)]
pub(crate) struct Index {
    objects: HashMap<ObjectId, Location>,
}

#[derive(Clone, Debug)]
pub(crate) enum Location {
    Packed {
        pack: Arc<Path>,
        slot: Slot,
    },
    /// A file of its own.
    Own(PathBuf),
}

pub(crate) const PACKS: &str = "packs";
pub(crate) const OBJECTS: &str = "objects";
pub(crate) const TREES: &str = "trees";
pub(crate) const SEEN: &str = "seen";
pub(crate) const SHARED: &str = "shared";
pub(crate) const UNFINISHED: &str = "unfinished";

impl Store {
    /// Opens the snapshots of a run, which are this process's alone from then on, and removes
    /// what a process that was killed left unfinished.
    pub fn open(dir: &Path, limits: Limits) -> Result<Store, StoreError> {
        for folder in [PACKS, OBJECTS, TREES, SEEN, SHARED] {
            let path = dir.join(folder);
            fs::create_dir_all(&path).map_err(failed("create", &path))?;
        }
        let lock_path = dir.join("lock");
        let lock = File::options().write(true).create(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(failed("open", &lock_path))?;
        if !locked(&lock).map_err(failed("lock", &lock_path))? {
            return Err(StoreError::InUse { dir: dir.to_path_buf() });
        }
        let unfinished = dir.join(UNFINISHED);
        crate::removal::remove_all(&unfinished).map_err(failed("clear", &unfinished))?;
        fs::create_dir_all(&unfinished).map_err(failed("create", &unfinished))?;
        crate::shared::clear_after_reboot(dir)?;
        Store::read(dir, limits, Some(lock))
    }

    /// Opens the snapshots of a run to look at them, also while it goes on.
    pub fn read_only(dir: &Path) -> Result<Store, StoreError> {
        Store::read(dir, Limits::default(), None)
    }

    fn read(dir: &Path, limits: Limits, lock: Option<File>) -> Result<Store, StoreError> {
        let dir = dir.canonicalize().map_err(failed("find", dir))?;
        let mut problems = Vec::new();
        let index = Index::read(&dir, &mut problems)?;
        Ok(Store {
            inner: Arc::new(Inner {
                limits,
                lock,
                index: RwLock::new(index),
                gate: RwLock::default(),
                trees: Mutex::default(),
                shared: Mutex::default(),
                counter: AtomicU64::new(0),
                problems,
                dir,
            }),
        })
    }

    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Returns what was found damaged when the store was opened, in words.
    pub fn problems(&self) -> &[String] {
        &self.inner.problems
    }

    /// Returns the names of all snapshots but the empty one, sorted.
    pub fn snapshots(&self) -> Result<Vec<SnapshotId>, StoreError> {
        let dir = self.inner.dir.join(TREES);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
            let name = entry.map_err(failed("list", &dir))?.file_name();
            let name = name.to_string_lossy();
            if ObjectId::parse(&name).is_some() {
                ids.push(SnapshotId(name.into_owned()));
            }
        }
        ids.sort();
        Ok(ids)
    }

    /// Returns whether there is a snapshot of this name.
    pub fn contains(&self, id: &SnapshotId) -> bool {
        *id == SnapshotId::empty() || self.tree_path(id).is_some_and(|path| path.is_file())
    }

    /// Returns what a snapshot holds.
    pub fn tree(&self, id: &SnapshotId) -> Result<Arc<Tree>, StoreError> {
        if *id == SnapshotId::empty() {
            return Ok(Arc::default());
        }
        let held = lock(&self.inner.trees).iter().find(|(held, _)| held == id).cloned();
        if let Some((_, tree)) = held {
            return Ok(tree);
        }
        let tree = Arc::new(self.load_tree(id)?);
        self.hold_tree(id, &tree);
        Ok(tree)
    }

    pub(crate) fn hold_tree(&self, id: &SnapshotId, tree: &Arc<Tree>) {
        let mut trees = lock(&self.inner.trees);
        trees.retain(|(held, _)| held != id);
        trees.push_front((id.clone(), tree.clone()));
        let mut entries = 0;
        trees.retain(|(_, tree)| {
            entries += tree.entries().len();
            entries <= TREE_ENTRIES_HELD
        });
    }

    pub(crate) fn let_go_of_trees(&self) {
        lock(&self.inner.trees).clear();
    }

    /// Returns the content of a file in a snapshot, held against its hash.
    pub fn read_file(
        &self,
        id: &SnapshotId,
        path: &Path,
        bytes_max: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let tree = self.tree(id)?;
        let _gate = self.reading();
        match tree.get(path) {
            Some(Node::File { bytes, .. }) if *bytes > bytes_max => {
                Err(StoreError::FileTooLarge { path: path.to_path_buf(), bytes: *bytes, bytes_max })
            }
            Some(Node::File { object, .. }) => {
                let mut content = Vec::new();
                self.content(*object, &mut OpenPacks::default(), &mut content)?;
                Ok(content)
            }
            Some(Node::Folder { .. } | Node::Link { .. }) => {
                Err(StoreError::NotFile { id: id.clone(), path: path.to_path_buf() })
            }
            None => Err(StoreError::NoSuchPath { id: id.clone(), path: path.to_path_buf() }),
        }
    }

    /// Reads an object whole.
    pub(crate) fn content(
        &self,
        object: ObjectId,
        packs: &mut OpenPacks,
        content: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        match self.location(&object)? {
            Location::Packed { pack, slot } => packs.read(&pack, slot, object, content),
            Location::Own(path) => {
                *content = fs::read(&path).map_err(failed("read", &path))?;
                whole(ObjectId::of(content), object)
            }
        }
    }

    /// Copies an object into an empty file, with its holes.
    pub(crate) fn copy_content(
        &self,
        object: ObjectId,
        packs: &mut OpenPacks,
        buffer: &mut Vec<u8>,
        to: &File,
    ) -> Result<(), CopyError> {
        match self.location(&object)? {
            Location::Packed { pack, slot } => {
                packs.read(&pack, slot, object, buffer)?;
                Ok(std::io::Write::write_all(&mut &*to, buffer)?)
            }
            Location::Own(path) => {
                let from = File::open(&path).map_err(failed("open", &path))?;
                let bytes = from.metadata().map_err(failed("look at", &path))?.len();
                let copied = sparse::copy(&from, to, bytes, &mut || Ok::<(), CopyError>(()))?;
                Ok(whole(copied, object)?)
            }
        }
    }

    pub(crate) fn location(&self, object: &ObjectId) -> Result<Location, StoreError> {
        let missing = || StoreError::Damaged { what: format!("content `{object}`") };
        self.index().objects.get(object).cloned().ok_or_else(missing)
    }

    pub(crate) fn holds(&self, object: &ObjectId) -> bool {
        self.index().objects.contains_key(object)
    }

    pub(crate) fn add_pack(&self, pack: &Pack) {
        let mut index = self.inner.index.write().unwrap_or_else(PoisonError::into_inner);
        index.add_pack(pack);
    }

    pub(crate) fn add_own(&self, object: ObjectId, path: PathBuf) {
        let mut index = self.inner.index.write().unwrap_or_else(PoisonError::into_inner);
        index.objects.insert(object, Location::Own(path));
    }

    /// Reads anew where everything is.
    pub(crate) fn reindex(&self) -> Result<(), StoreError> {
        let index = Index::read(&self.inner.dir, &mut Vec::new())?;
        *self.inner.index.write().unwrap_or_else(PoisonError::into_inner) = index;
        Ok(())
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.inner.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error where the store is only read.
    pub(crate) fn must_be_ours(&self) -> Result<(), StoreError> {
        match self.inner.lock {
            Some(_) => Ok(()),
            None => Err(StoreError::ReadOnly { dir: self.inner.dir.clone() }),
        }
    }

    /// Returns a name for something being written that nothing else has.
    pub(crate) fn unfinished(&self, kind: &str) -> PathBuf {
        let n = self.inner.counter.fetch_add(1, Ordering::Relaxed);
        self.inner.dir.join(UNFINISHED).join(format!("{}-{n}.{kind}", std::process::id()))
    }

    pub(crate) fn object_path(&self, object: &ObjectId) -> PathBuf {
        let name = object.to_string();
        let (fan, rest) = name.split_at_checked(2).unwrap_or(("", &name));
        self.inner.dir.join(OBJECTS).join(fan).join(rest)
    }

    /// None where the name is not one of ours.
    pub(crate) fn tree_path(&self, id: &SnapshotId) -> Option<PathBuf> {
        ObjectId::parse(&id.0).map(|hash| self.inner.dir.join(TREES).join(hash.to_string()))
    }
}

/// What was stored is not what its name says.
fn whole(found: ObjectId, expected: ObjectId) -> Result<(), StoreError> {
    match found == expected {
        true => Ok(()),
        false => Err(StoreError::Damaged { what: format!("content `{expected}`") }),
    }
}

/// Either end of a copy out of the store.
#[derive(Debug)]
pub(crate) enum CopyError {
    Store(StoreError),
    /// The target's side; the caller knows its name.
    Target(std::io::Error),
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> CopyError {
        CopyError::Store(error)
    }
}

impl From<std::io::Error> for CopyError {
    fn from(error: std::io::Error) -> CopyError {
        CopyError::Target(error)
    }
}

impl CopyError {
    pub fn at(self, path: &Path) -> StoreError {
        match self {
            CopyError::Store(error) => error,
            CopyError::Target(error) => failed("write", path)(error),
        }
    }
}

impl Index {
    fn read(dir: &Path, problems: &mut Vec<String>) -> Result<Index, StoreError> {
        let mut index = Index::default();
        for path in files_in(&dir.join(PACKS))? {
            match Pack::open(&path)? {
                Some(pack) => index.add_pack(&pack),
                // A disk that lost what it had promised to keep.
                None => problems.push(format!("`{}` is damaged", path.display())),
            }
        }
        let objects = dir.join(OBJECTS);
        for fan in files_in(&objects)? {
            for path in files_in(&fan)? {
                let name =
                    |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
                let named = name(&fan).zip(name(&path));
                if let Some(object) = named.and_then(|(a, b)| ObjectId::parse(&(a + &b))) {
                    index.objects.insert(object, Location::Own(path));
                }
            }
        }
        Ok(index)
    }

    fn add_pack(&mut self, pack: &Pack) {
        let path: Arc<Path> = Arc::from(pack.path.as_path());
        for (object, slot) in &pack.slots {
            let packed = Location::Packed { pack: path.clone(), slot: *slot };
            self.objects.entry(*object).or_insert(packed);
        }
    }
}

/// Waits a moment: a program that this process is just starting holds what was let go of until
/// it runs.
fn locked(lock: &File) -> std::io::Result<bool> {
    let deadline = Instant::now() + LOCK_TIME_MAX;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(fs::TryLockError::WouldBlock) => return Ok(false),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

pub(crate) fn files_in(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(dir).map_err(failed("list", dir))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<PathBuf>, _>>().map_err(failed("list", dir))?;
    paths.sort();
    Ok(paths)
}

/// Waits until a rename in a folder is on disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))
}

pub(crate) fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
