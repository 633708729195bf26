//! What is different between two snapshots.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use massgen_protocol::SnapshotId;
use similar::TextDiff;

use crate::error::StoreError;
use crate::pack::OpenPacks;
use crate::scan::TakeOptions;
use crate::store::Store;
use crate::tree::{Node, Tree, pairs};

/// What is different, by path. When a file was written is no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeDiff {
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub path: PathBuf,
    pub before: Option<Node>,
    pub after: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
    /// The same content with other permissions.
    Mode,
}

/// How much of a difference is told in lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// Lines around what is different.
    pub context: usize,
    /// Of one file; a larger one is only named.
    pub file_bytes_max: u64,
    /// Of all the text.
    pub bytes_max: usize,
}

impl Default for DiffOptions {
    /// More than anybody reads, less than anything chokes on.
    fn default() -> DiffOptions {
        DiffOptions { context: 3, file_bytes_max: 1 << 20, bytes_max: 1 << 20 }
    }
}

/// To compare one file; a coarser comparison does after that.
const FILE_TIME_MAX: Duration = Duration::from_millis(500);

impl TreeDiff {
    pub fn of(before: &Tree, after: &Tree) -> TreeDiff {
        let mut changes = Vec::new();
        pairs(before, after, |before, after| {
            let Some(path) = before.or(after).map(|entry| entry.path.clone()) else { return };
            let nodes = (before.map(|entry| &entry.node), after.map(|entry| &entry.node));
            if let (Some(a), Some(b)) = nodes
                && is_same(a, b)
            {
                return;
            }
            changes.push(Change { path, before: nodes.0.cloned(), after: nodes.1.cloned() });
        });
        TreeDiff { changes }
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Change {
    pub fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Added,
            (Some(_), None) => ChangeKind::Removed,
            (Some(Node::File { object: a, .. }), Some(Node::File { object: b, .. })) if a == b => {
                ChangeKind::Mode
            }
            (Some(Node::Folder { .. }), Some(Node::Folder { .. })) => ChangeKind::Mode,
            (Some(_), Some(_)) => ChangeKind::Changed,
        }
    }
}

impl ChangeKind {
    /// Returns the letter that stands for it in lists.
    pub fn letter(self) -> char {
        match self {
            ChangeKind::Added => 'A',
            ChangeKind::Removed => 'D',
            ChangeKind::Changed => 'M',
            ChangeKind::Mode => 'P',
        }
    }
}

/// Returns whether two nodes differ in nothing but when they were written.
pub(crate) fn is_same(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (
            Node::File { object: a, mode: a_mode, .. },
            Node::File { object: b, mode: b_mode, .. },
        ) => a == b && a_mode == b_mode,
        (Node::Folder { mode: a }, Node::Folder { mode: b }) => a == b,
        (Node::Link { target: a }, Node::Link { target: b }) => a == b,
        (Node::File { .. } | Node::Folder { .. } | Node::Link { .. }, _) => false,
    }
}

impl Store {
    pub fn diff(&self, before: &SnapshotId, after: &SnapshotId) -> Result<TreeDiff, StoreError> {
        Ok(TreeDiff::of(&*self.tree(before)?, &*self.tree(after)?))
    }

    /// What is different in a folder now; what it is now is kept as a snapshot.
    pub fn diff_folder(
        &self,
        before: &SnapshotId,
        folder: &Path,
        options: &TakeOptions,
    ) -> Result<TreeDiff, StoreError> {
        let after = self.take(folder, options)?;
        self.diff(before, &after.id)
    }

    /// Tells a difference in lines, as `diff -u` and `git diff` do.
    pub fn unified(&self, diff: &TreeDiff, options: &DiffOptions) -> Result<String, StoreError> {
        let mut text = String::new();
        let mut packs = OpenPacks::default();
        for (at, change) in diff.changes.iter().enumerate() {
            self.tell(change, options, &mut packs, &mut text)?;
            if text.len() > options.bytes_max {
                text.truncate(text.floor_char_boundary(options.bytes_max));
                let more = diff.changes.len() - at;
                let _ = writeln!(text, "\n… the rest of {more} changes is not shown");
                break;
            }
        }
        Ok(text)
    }

    fn tell(
        &self,
        change: &Change,
        options: &DiffOptions,
        packs: &mut OpenPacks,
        text: &mut String,
    ) -> Result<(), StoreError> {
        let path = change.path.display();
        // Writing to a text does not fail.
        let _ = match (&change.before, &change.after) {
            (_, Some(Node::Folder { mode })) => match change.kind() {
                ChangeKind::Mode => writeln!(text, "permissions of {path}/: {mode:o}"),
                _ => writeln!(text, "new folder {path}/"),
            },
            (Some(Node::Folder { .. }), None) => writeln!(text, "removed folder {path}/"),
            (Some(Node::File { mode: a, .. }), Some(Node::File { mode: b, .. }))
                if change.kind() == ChangeKind::Mode =>
            {
                writeln!(text, "permissions of {path}: {a:o} → {b:o}")
            }
            (before, after) => {
                let before = self.side(before.as_ref(), options, packs)?;
                let after = self.side(after.as_ref(), options, packs)?;
                let name = |side: &Side, prefix: &str| match side {
                    Side::Absent => "/dev/null".to_owned(),
                    Side::Text(_) | Side::Other(_) => format!("{prefix}/{path}"),
                };
                let (from, to) = (name(&before, "a"), name(&after, "b"));
                match (before.text(), after.text()) {
                    (Some(a), Some(b)) => {
                        let diff = TextDiff::configure().timeout(FILE_TIME_MAX).diff_lines(a, b);
                        let mut unified = diff.unified_diff();
                        let unified = unified.context_radius(options.context).header(&from, &to);
                        match a.is_empty() && b.is_empty() {
                            true => writeln!(text, "--- {from}\n+++ {to}"),
                            false => write!(text, "{unified}"),
                        }
                    }
                    _ => writeln!(
                        text,
                        "--- {from}\n+++ {to}\n{} → {}",
                        before.words(),
                        after.words()
                    ),
                }
            }
        };
        Ok(())
    }

    fn side(
        &self,
        node: Option<&Node>,
        options: &DiffOptions,
        packs: &mut OpenPacks,
    ) -> Result<Side, StoreError> {
        Ok(match node {
            None => Side::Absent,
            Some(Node::Folder { .. }) => Side::Other("a folder".to_owned()),
            Some(Node::Link { target }) => Side::Other(format!("a link to {}", target.display())),
            Some(Node::File { bytes, .. }) if *bytes > options.file_bytes_max => {
                Side::Other(format!("{bytes} bytes, too many to show"))
            }
            Some(Node::File { object, bytes, .. }) => {
                let mut content = Vec::new();
                self.content(*object, packs, &mut content)?;
                match String::from_utf8(content) {
                    Ok(text) if !text.contains('\0') => Side::Text(text),
                    Ok(_) | Err(_) => Side::Other(format!("{bytes} bytes, not text")),
                }
            }
        })
    }
}

/// One side of a change, as far as it can be told.
enum Side {
    Absent,
    Text(String),
    Other(String),
}

impl Side {
    fn text(&self) -> Option<&str> {
        match self {
            Side::Absent => Some(""),
            Side::Text(text) => Some(text),
            Side::Other(_) => None,
        }
    }

    fn words(&self) -> &str {
        match self {
            Side::Absent => "nothing",
            Side::Text(_) => "text",
            Side::Other(words) => words,
        }
    }
}
