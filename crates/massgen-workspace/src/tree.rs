//! What a snapshot holds, by path.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use massgen_protocol::SnapshotId;

use crate::object::ObjectId;
use crate::record::{Reader, Writer};

/// All that is below a folder, in the order of paths, folders before what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Below the folder the snapshot was taken of.
    pub path: PathBuf,
    pub node: Node,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File {
        object: ObjectId,
        bytes: u64,
        /// `rwxrwxrwx`; who runs as somebody else is not kept.
        mode: u32,
        modified: Modified,
    },
    Folder {
        mode: u32,
    },
    Link {
        target: PathBuf,
    },
}

/// When a file was last written, since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Modified {
    pub seconds: i64,
    pub nanos: u32,
}

/// Begins what is hashed, so that no other content has the name of a tree.
const CANONICAL: &[u8] = b"massgen tree 1\n";

impl Tree {
    /// Takes entries that are in order already.
    pub(crate) fn new(entries: Vec<Entry>) -> Tree {
        debug_assert!(entries.is_sorted_by(|a, b| a.path < b.path));
        Tree { entries }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn get(&self, path: &Path) -> Option<&Node> {
        let found = self.entries.binary_search_by(|entry| entry.path.as_path().cmp(path));
        found.ok().and_then(|at| self.entries.get(at)).map(|entry| &entry.node)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the number of files and links.
    pub fn files(&self) -> u64 {
        let files = self.entries.iter().filter(|entry| !matches!(entry.node, Node::Folder { .. }));
        u64::try_from(files.count()).unwrap_or(u64::MAX)
    }

    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.node.bytes()).sum()
    }

    /// Returns the name of the snapshot: equal trees have the same, whoever they are of.
    pub fn id(&self) -> SnapshotId {
        match self.entries.is_empty() {
            true => SnapshotId::empty(),
            false => SnapshotId(ObjectId::of(&self.canonical()).to_string()),
        }
    }

    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut writer = Writer(CANONICAL.to_vec());
        self.entries.iter().for_each(|entry| entry.write(&mut writer));
        writer.0
    }

    pub(crate) fn parse(canonical: &[u8]) -> Option<Tree> {
        let mut reader = Reader(canonical.strip_prefix(CANONICAL)?);
        let mut entries = Vec::new();
        while !reader.is_empty() {
            entries.push(Entry::read(&mut reader)?);
        }
        Some(Tree { entries })
    }

    /// Returns what makes this tree of another one: the paths that go, and what comes.
    pub(crate) fn since(&self, base: &Tree) -> Delta {
        let mut delta = Delta::default();
        pairs(base, self, |before, after| match (before, after) {
            (Some(before), None) => delta.gone.push(before.path.clone()),
            (before, Some(after)) if before != Some(after) => delta.new.push(after.clone()),
            (_, _) => {}
        });
        delta
    }

    pub(crate) fn with(&self, delta: &Delta) -> Tree {
        let new = Tree { entries: delta.new.clone() };
        let mut gone = delta.gone.iter().peekable();
        let mut entries = Vec::with_capacity(self.entries.len() + delta.new.len());
        pairs(self, &new, |before, after| match (before, after) {
            (_, Some(after)) => entries.push(after.clone()),
            (Some(before), None) => match gone.next_if(|path| **path == before.path) {
                Some(_) => {}
                None => entries.push(before.clone()),
            },
            (None, None) => {}
        });
        Tree { entries }
    }
}

/// What changes from one tree to another; small where little changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub gone: Vec<PathBuf>,
    pub new: Vec<Entry>,
}

impl Delta {
    pub fn write(&self, writer: &mut Writer) {
        writer.u64(u64::try_from(self.gone.len()).unwrap_or(u64::MAX));
        self.gone.iter().for_each(|path| writer.path(path));
        self.new.iter().for_each(|entry| entry.write(writer));
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Delta> {
        let mut delta = Delta::default();
        for _ in 0..reader.u64()? {
            delta.gone.push(reader.path()?);
        }
        while !reader.is_empty() {
            delta.new.push(Entry::read(reader)?);
        }
        Some(delta)
    }
}

/// Visits the paths of both trees in order, each with what it is in either.
pub(crate) fn pairs<'a>(
    before: &'a Tree,
    after: &'a Tree,
    mut visit: impl FnMut(Option<&'a Entry>, Option<&'a Entry>),
) {
    let (mut before, mut after) =
        (before.entries.iter().peekable(), after.entries.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(a), Some(b)) => a.path.cmp(&b.path),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        match order {
            Ordering::Less => visit(before.next(), None),
            Ordering::Greater => visit(None, after.next()),
            Ordering::Equal => visit(before.next(), after.next()),
        }
    }
}

impl Node {
    pub fn bytes(&self) -> u64 {
        match self {
            Node::File { bytes, .. } => *bytes,
            Node::Folder { .. } | Node::Link { .. } => 0,
        }
    }
}

impl Entry {
    fn write(&self, writer: &mut Writer) {
        match &self.node {
            Node::File { object, bytes, mode, modified } => {
                writer.u8(0);
                writer.path(&self.path);
                writer.object(object);
                writer.u64(*bytes);
                writer.u32(*mode);
                writer.i64(modified.seconds);
                writer.u32(modified.nanos);
            }
            Node::Folder { mode } => {
                writer.u8(1);
                writer.path(&self.path);
                writer.u32(*mode);
            }
            Node::Link { target } => {
                writer.u8(2);
                writer.path(&self.path);
                writer.path(target);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Entry> {
        let kind = reader.u8()?;
        let path = reader.path()?;
        let node = match kind {
            0 => Node::File {
                object: reader.object()?,
                bytes: reader.u64()?,
                mode: reader.u32()?,
                modified: Modified { seconds: reader.i64()?, nanos: reader.u32()? },
            },
            1 => Node::Folder { mode: reader.u32()? },
            2 => Node::Link { target: reader.path()? },
            _ => return None,
        };
        Some(Entry { path, node })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let entry = |(path, text): &(&str, &str)| Entry {
            path: PathBuf::from(path),
            node: Node::File {
                object: ObjectId::of(text.as_bytes()),
                bytes: 1,
                mode: 0o644,
                modified: Modified { seconds: -1, nanos: 2 },
            },
        };
        Tree::new(files.iter().map(entry).collect())
    }

    #[test]
    fn a_tree_is_read_back_and_a_cut_one_is_not_taken_for_one() {
        let tree = tree(&[("a", "1"), ("b/c", "2")]);
        let bytes = tree.canonical();
        assert_eq!(Tree::parse(&bytes).unwrap(), tree);
        let whole = (CANONICAL.len()..bytes.len())
            .filter(|n| Tree::parse(&bytes[..*n]).is_some_and(|cut| cut.id() == tree.id()));
        assert_eq!(whole.count(), 0);
    }

    #[test]
    fn a_delta_makes_one_tree_of_another() {
        let before = tree(&[("a", "1"), ("b", "2"), ("b/c", "3"), ("d", "4")]);
        let after = tree(&[("a", "1"), ("b", "changed"), ("b.txt", "new"), ("d", "4")]);
        let delta = after.since(&before);
        assert_eq!((delta.gone.len(), delta.new.len()), (1, 2));
        assert_eq!(before.with(&delta), after);
        let mut writer = Writer::default();
        delta.write(&mut writer);
        assert_eq!(Delta::read(&mut Reader(&writer.0)).unwrap(), delta);
    }
}
