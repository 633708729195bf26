//! Working on the user's files without touching them: a copy, and what to bring back of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use massgen_protocol::{Access, SnapshotId};
use thiserror::Error;

use crate::PathPolicy;
use crate::diff::{Change, TreeDiff, is_same};
use crate::error::{StoreError, failed};
use crate::removal::remove_all;
use crate::scan::{Stop, TakeOptions};
use crate::store::Store;
use crate::tree::{Entry, Node, Tree};

/// A copy of a context path that may be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextCopy {
    /// The user's own file or folder.
    pub original: PathBuf,
    /// What stands in for it.
    pub copy: PathBuf,
    /// The original as it was when it was copied.
    pub base: SnapshotId,
    /// Where `original` is one file.
    only: Option<OsString>,
}

/// What was done to the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    pub diff: TreeDiff,
    /// Changes that are not to be brought back: protected, or a name that is left alone.
    pub refused: Vec<PathBuf>,
    /// Changed by the user meanwhile.
    pub conflicts: Vec<PathBuf>,
}

/// What to do where both the user and the presenter changed something: `drift_conflict_policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The user's change stays.
    #[default]
    Skip,
    PreferPresenter,
    /// Nothing at all is brought back.
    Fail,
}

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Applied {
    /// The user's files as they were before; `Store::restore_new` gives them back.
    pub before: SnapshotId,
    pub applied: Vec<PathBuf>,
    pub conflicts: Vec<PathBuf>,
    /// Left because they were written to at that very moment.
    pub left: Vec<PathBuf>,
}

#[derive(Debug, Error)]
pub enum ApplyError {
    #[error("{} files were changed meanwhile; nothing was brought back", conflicts.len())]
    Conflicts { conflicts: Vec<PathBuf> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ContextCopy {
    /// Copies a file or folder of the user's. `room` is a folder of our own that the copy is
    /// made in; what was there goes.
    pub fn make(
        store: &Store,
        original: &Path,
        room: &Path,
        stop: &Stop,
    ) -> Result<ContextCopy, StoreError> {
        let original = original.canonicalize().map_err(failed("find", original))?;
        let only = match original.is_dir() {
            true => None,
            false => original.file_name().map(OsString::from),
        };
        let mut made = ContextCopy {
            copy: match &only {
                Some(name) => room.join(name),
                None => room.to_path_buf(),
            },
            original,
            base: SnapshotId::empty(),
            only,
        };
        made.base = store.take(made.folder(), &made.options(stop))?.id;
        remove_all(room).map_err(failed("remove", room))?;
        store.restore_new(&made.base, room, stop)?;
        Ok(made)
    }

    /// Returns a copy that an earlier process has made in `room`, by what it was made of.
    pub fn found(
        original: &Path,
        room: &Path,
        base: SnapshotId,
    ) -> Result<ContextCopy, StoreError> {
        let original = original.canonicalize().map_err(failed("find", original))?;
        let only = match original.is_dir() {
            true => None,
            false => original.file_name().map(OsString::from),
        };
        let copy = only.as_ref().map_or_else(|| room.to_path_buf(), |name| room.join(name));
        Ok(ContextCopy { original, copy, base, only })
    }

    /// Says what would be brought back, for the user to see first.
    pub fn proposed(
        &self,
        store: &Store,
        policy: &PathPolicy,
        stop: &Stop,
    ) -> Result<Proposed, StoreError> {
        let base = store.tree(&self.base)?;
        let done = store.scan(self.room(), &self.options(stop))?;
        let now = store.scan(self.folder(), &self.options(stop))?;
        let (diff, refused) = self.judged(TreeDiff::of(&base, &done.tree), policy);
        let conflicts = conflicts(&diff, &base, &now.tree);
        Ok(Proposed { diff, refused, conflicts })
    }

    /// Brings back what was proposed. The user's files as they are at this moment are kept in
    /// a snapshot first.
    pub fn apply(
        &self,
        store: &Store,
        proposed: &Proposed,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<Applied, ApplyError> {
        let base = store.tree(&self.base)?;
        let now = store.scan(self.folder(), &self.options(stop))?;
        // Looked at again: the user may have gone on while deciding.
        let conflicts = conflicts(&proposed.diff, &base, &now.tree);
        if on_conflict == OnConflict::Fail && !conflicts.is_empty() {
            return Err(ApplyError::Conflicts { conflicts });
        }
        let is_wanted = |change: &&Change| {
            on_conflict == OnConflict::PreferPresenter || !conflicts.contains(&change.path)
        };
        let changes: Vec<&Change> = proposed.diff.changes.iter().filter(is_wanted).collect();
        let wanted = changed(&now.tree, &changes);
        let restored = store.make_equal(self.folder(), &now, &wanted, stop)?;
        let paths = changes.iter().map(|change| change.path.clone());
        let applied = paths.filter(|path| !restored.left.contains(path)).collect();
        Ok(Applied { before: restored.before, applied, conflicts, left: restored.left })
    }

    /// Removes the copy.
    pub fn discard(self) -> Result<(), StoreError> {
        remove_all(self.room()).map_err(failed("remove", self.room()))
    }

    fn folder(&self) -> &Path {
        of_file(&self.original, self.only.is_some())
    }

    fn room(&self) -> &Path {
        of_file(&self.copy, self.only.is_some())
    }

    fn options(&self, stop: &Stop) -> TakeOptions {
        let only = self.only.as_ref().map(|name| vec![PathBuf::from(name)]);
        TakeOptions { only, stop: stop.clone(), ..TakeOptions::default() }
    }

    fn judged(&self, diff: TreeDiff, policy: &PathPolicy) -> (TreeDiff, Vec<PathBuf>) {
        let may = |change: &Change| {
            policy.decide(&self.folder().join(&change.path), Access::Write, true).is_ok()
        };
        let (changes, refused): (Vec<Change>, Vec<Change>) =
            diff.changes.into_iter().partition(may);
        (TreeDiff { changes }, refused.into_iter().map(|change| change.path).collect())
    }
}

fn of_file(path: &Path, is_file: bool) -> &Path {
    match (is_file, path.parent()) {
        (true, Some(parent)) => parent,
        (true, None) | (false, _) => path,
    }
}

fn conflicts(diff: &TreeDiff, base: &Tree, now: &Tree) -> Vec<PathBuf> {
    let differs = |change: &&Change| match (base.get(&change.path), now.get(&change.path)) {
        // Both did the same: nothing to decide.
        (base, now) if same(base, now) || same(now, change.after.as_ref()) => false,
        (_, _) => true,
    };
    diff.changes.iter().filter(differs).map(|change| change.path.clone()).collect()
}

fn same(a: Option<&Node>, b: Option<&Node>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => is_same(a, b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Returns a tree with some changes made to it. A folder goes only once nothing is in it, and
/// one that something is put into is there.
fn changed(now: &Tree, changes: &[&Change]) -> Tree {
    let mut nodes: std::collections::BTreeMap<PathBuf, Node> =
        now.entries().iter().map(|entry| (entry.path.clone(), entry.node.clone())).collect();
    for change in changes {
        match &change.after {
            Some(node) => {
                if !matches!(node, Node::Folder { .. }) {
                    nodes.retain(|path, _| *path == change.path || !path.starts_with(&change.path));
                }
                nodes.insert(change.path.clone(), node.clone());
            }
            None if !matches!(change.before, Some(Node::Folder { .. })) => {
                nodes.remove(&change.path);
            }
            None => {}
        }
    }
    for change in changes.iter().rev() {
        let is_gone = change.after.is_none();
        let holds = |path: &PathBuf| *path != change.path && path.starts_with(&change.path);
        if is_gone && !nodes.keys().any(holds) {
            nodes.remove(&change.path);
        }
    }
    let parents: Vec<PathBuf> = nodes
        .keys()
        .flat_map(|path| path.ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>())
        .filter(|parent| !parent.as_os_str().is_empty())
        .collect();
    for parent in parents {
        nodes.entry(parent).or_insert(Node::Folder { mode: 0o755 });
    }
    Tree::new(nodes.into_iter().map(|(path, node)| Entry { path, node }).collect())
}
