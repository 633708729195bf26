//! Trees on disk: whole, or as what changed since another one.
//!
//! A tree of ten thousand files is a megabyte; the ten files that changed are not worth one.
//! What a file says is held against the snapshot's name, which is the hash of the whole tree.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use massgen_protocol::SnapshotId;

use crate::error::{StoreError, failed};
use crate::object::ObjectId;
use crate::record::{Reader, Writer};
use crate::store::{Store, TREES, sync_dir};
use crate::tree::{Delta, Tree};

const WHOLE: &[u8] = b"massgen tree whole\n";
const CHANGED: &[u8] = b"massgen tree changed\n";

/// Files to read for one tree.
const CHAIN_MAX: u32 = 32;

impl Store {
    /// Puts a tree on disk for good, if it is not there yet. Everything in it has to be there
    /// already: this is the last step of a snapshot.
    pub(crate) fn save_tree(
        &self,
        tree: &Arc<Tree>,
        base: Option<&SnapshotId>,
    ) -> Result<SnapshotId, StoreError> {
        let id = tree.id();
        let Some(path) = self.tree_path(&id) else { return Ok(id) };
        if !path.is_file() {
            let bytes = match base.and_then(|base| self.as_changes(tree, base)) {
                Some(changes) => changes,
                None => whole(tree),
            };
            self.write_tree(&path, &bytes)?;
        }
        self.hold_tree(&id, tree);
        Ok(id)
    }

    /// Rewrites a tree so that it needs no other.
    pub(crate) fn make_whole(&self, id: &SnapshotId) -> Result<(), StoreError> {
        let Some(path) = self.tree_path(id) else { return Ok(()) };
        let tree = self.tree(id)?;
        self.write_tree(&path, &whole(&tree))
    }

    /// Returns the tree that a tree on disk is told by, if it is not whole.
    pub(crate) fn base_of(&self, id: &SnapshotId) -> Result<Option<SnapshotId>, StoreError> {
        let Some(path) = self.tree_path(id) else { return Ok(None) };
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        Ok(Changed::parse(&bytes).map(|changed| changed.base))
    }

    pub(crate) fn load_tree(&self, id: &SnapshotId) -> Result<Tree, StoreError> {
        let missing = || StoreError::NoSnapshot { id: id.clone() };
        let damaged = || StoreError::Damaged { what: format!("tree `{}`", id.0) };
        let mut deltas = Vec::new();
        let mut at = id.clone();
        let mut tree = loop {
            let path = self.tree_path(&at).ok_or_else(missing)?;
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(if deltas.is_empty() { missing() } else { damaged() });
                }
                Err(error) => return Err(failed("read", &path)(error)),
            };
            if let Some(canonical) = bytes.strip_prefix(WHOLE) {
                break Tree::parse(canonical).ok_or_else(damaged)?;
            }
            let changed = Changed::parse(&bytes).ok_or_else(damaged)?;
            if deltas.len() >= usize::try_from(CHAIN_MAX).unwrap_or(usize::MAX) {
                return Err(damaged());
            }
            deltas.push(changed.delta);
            at = changed.base;
        };
        while let Some(delta) = deltas.pop() {
            tree = tree.with(&delta);
        }
        if tree.id() != *id { Err(damaged()) } else { Ok(tree) }
    }

    /// None where it is not worth it.
    fn as_changes(&self, tree: &Tree, base: &SnapshotId) -> Option<Vec<u8>> {
        let hash = ObjectId::parse(&base.0)?;
        let before = self.tree(base).ok()?;
        let delta = tree.since(&before);
        if (delta.gone.len() + delta.new.len()) * 4 > tree.entries().len() {
            return None;
        }
        let path = self.tree_path(base)?;
        let chain = Changed::parse(&fs::read(path).ok()?).map_or(0, |base| base.chain) + 1;
        if chain > CHAIN_MAX {
            return None;
        }
        let mut writer = Writer(CHANGED.to_vec());
        writer.object(&hash);
        writer.u32(chain);
        delta.write(&mut writer);
        Some(writer.0)
    }

    fn write_tree(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let unfinished = self.unfinished("tree");
        let written = File::options().write(true).create_new(true).open(&unfinished);
        let written = written.and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, path)
        });
        if let Err(error) = written {
            // The write's own error is the news.
            let _ = fs::remove_file(&unfinished);
            return Err(failed("write", path)(error));
        }
        sync_dir(&self.inner.dir.join(TREES))
    }
}

struct Changed {
    base: SnapshotId,
    /// Trees to read before this one.
    chain: u32,
    delta: Delta,
}

impl Changed {
    fn parse(bytes: &[u8]) -> Option<Changed> {
        let mut reader = Reader(bytes.strip_prefix(CHANGED)?);
        let base = SnapshotId(reader.object()?.to_string());
        let chain = reader.u32()?;
        Some(Changed { base, chain, delta: Delta::read(&mut reader)? })
    }
}

fn whole(tree: &Tree) -> Vec<u8> {
    [WHOLE, &tree.canonical()].concat()
}
