//! A YAML document as a tree that knows where each value was written.

use std::rc::Rc;

use crate::problem::Place;

/// A value with its place. Cloning is cheap, which is what makes aliases safe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub at: Place,
    pub kind: Kind,
    /// Values and bytes below, with aliases counted each time.
    pub size: usize,
    /// Collections around the deepest value, this one included.
    pub depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `plain`: written without quotes, so that it may be a number, a boolean or nothing.
    Scalar {
        text: Rc<str>,
        plain: bool,
    },
    List(Rc<Vec<Node>>),
    /// Keys are unique; in the order they were written.
    Map(Rc<Vec<Entry>>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub key: Rc<str>,
    pub key_at: Place,
    pub value: Node,
}

impl Node {
    pub fn scalar(at: Place, text: &str, plain: bool) -> Node {
        let kind = Kind::Scalar { text: text.into(), plain };
        Node { at, kind, size: 1 + text.len(), depth: 0 }
    }

    pub fn list(at: Place, items: Vec<Node>) -> Node {
        let size = items.iter().fold(1, |sum: usize, item| sum.saturating_add(item.size));
        let depth = 1 + items.iter().map(|item| item.depth).max().unwrap_or(0);
        Node { at, kind: Kind::List(Rc::new(items)), size, depth }
    }

    pub fn map(at: Place, entries: Vec<Entry>) -> Node {
        let sizes = entries.iter().map(|entry| entry.value.size.saturating_add(entry.key.len()));
        let size = sizes.fold(1, |sum: usize, size| sum.saturating_add(size));
        let depth = 1 + entries.iter().map(|entry| entry.value.depth).max().unwrap_or(0);
        Node { at, kind: Kind::Map(Rc::new(entries)), size, depth }
    }

    /// A value that was not written in a file.
    pub fn text(text: &str) -> Node {
        Node::scalar(Place::default(), text, false)
    }

    /// A map that was not written in a file.
    pub fn entries<'k>(entries: impl IntoIterator<Item = (&'k str, Node)>) -> Node {
        let entry =
            |(key, value): (&str, Node)| Entry { key: key.into(), key_at: Place::default(), value };
        Node::map(Place::default(), entries.into_iter().map(entry).collect())
    }

    pub fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar { text, plain } => {
                *plain && matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
            }
            Kind::List(_) | Kind::Map(_) => false,
        }
    }

    /// Returns what kind of value this is, for messages.
    pub fn noun(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}
