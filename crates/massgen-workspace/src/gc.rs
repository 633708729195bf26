//! Removing what no snapshot needs any more.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use massgen_protocol::SnapshotId;

use crate::error::{StoreError, failed};
use crate::object::ObjectId;
use crate::pack::{OpenPacks, Pack, PackWriter};
use crate::scan::Unfinished;
use crate::store::{OBJECTS, PACKS, SEEN, Store, TREES, files_in, sync_dir};
use crate::tree::Node;

/// A pack is written anew once this share of it is not needed: a half, so that the space used
/// is at most twice what is needed.
const DEAD_SHARE: u64 = 2;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    pub snapshots: u64,
    pub objects: u64,
    pub bytes: u64,
}

impl Store {
    /// Removes all snapshots but these, and what only they needed. A crash on the way leaves
    /// every kept snapshot whole.
    pub fn gc(&self, keep: &[SnapshotId]) -> Result<Freed, StoreError> {
        self.must_be_ours()?;
        let _alone = self.inner.gate.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let kept: BTreeSet<SnapshotId> =
            keep.iter().filter(|id| **id != SnapshotId::empty()).cloned().collect();
        let live = self.live_objects(&kept)?;
        let mut freed = Freed::default();
        self.drop_shared(&|id| *id == SnapshotId::empty() || kept.contains(id))?;
        // First no kept tree needs another, then the others go, then what is in none.
        for id in &kept {
            if self.base_of(id)?.is_some_and(|base| !kept.contains(&base)) {
                self.make_whole(id)?;
            }
        }
        for id in self.snapshots()? {
            if let (false, Some(path)) = (kept.contains(&id), self.tree_path(&id)) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                freed.snapshots += 1;
            }
        }
        self.let_go_of_trees();
        sync_dir(&self.inner.dir.join(TREES))?;
        self.free_own(&live, &mut freed)?;
        for path in files_in(&self.inner.dir.join(PACKS))? {
            self.free_pack(&path, &live, &mut freed)?;
        }
        // They name trees that may be gone; without them the next snapshot reads all files.
        for path in files_in(&self.inner.dir.join(SEEN))? {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        self.reindex()?;
        Ok(freed)
    }

    fn live_objects(&self, kept: &BTreeSet<SnapshotId>) -> Result<HashSet<ObjectId>, StoreError> {
        let mut live = HashSet::new();
        for id in kept {
            for entry in self.tree(id)?.entries() {
                if let Node::File { object, .. } = &entry.node {
                    live.insert(*object);
                }
            }
        }
        Ok(live)
    }

    fn free_own(&self, live: &HashSet<ObjectId>, freed: &mut Freed) -> Result<(), StoreError> {
        let live: HashSet<PathBuf> = live.iter().map(|object| self.object_path(object)).collect();
        for fan in files_in(&self.inner.dir.join(OBJECTS))? {
            for path in files_in(&fan)? {
                if !live.contains(&path) {
                    let bytes = fs::metadata(&path).map_err(failed("look at", &path))?.len();
                    fs::remove_file(&path).map_err(failed("remove", &path))?;
                    freed.objects += 1;
                    freed.bytes += bytes;
                }
            }
        }
        Ok(())
    }

    fn free_pack(
        &self,
        path: &Path,
        live: &HashSet<ObjectId>,
        freed: &mut Freed,
    ) -> Result<(), StoreError> {
        let Some(pack) = Pack::open(path)? else { return Ok(()) };
        let dead = pack.slots.iter().filter(|(object, _)| !live.contains(object));
        let (objects, bytes) =
            dead.fold((0, 0), |(objects, bytes), (_, slot)| (objects + 1, bytes + slot.bytes));
        let is_dead = objects == u64::try_from(pack.slots.len()).unwrap_or(u64::MAX);
        if !is_dead && bytes * DEAD_SHARE < pack.bytes().max(1) {
            return Ok(());
        }
        if !is_dead {
            let unfinished = Unfinished(self.unfinished("pack"));
            let mut writer = PackWriter::create(unfinished.0.clone())?;
            let mut packs = OpenPacks::default();
            let mut content = Vec::new();
            for (object, slot) in pack.slots.iter().filter(|(object, _)| live.contains(object)) {
                packs.read(path, *slot, *object, &mut content)?;
                writer.add(*object, &content)?;
            }
            let packs_dir = self.inner.dir.join(PACKS);
            writer.finish(&packs_dir)?;
            sync_dir(&packs_dir)?;
        }
        fs::remove_file(path).map_err(failed("remove", path))?;
        freed.objects += objects;
        freed.bytes += bytes;
        Ok(())
    }
}
