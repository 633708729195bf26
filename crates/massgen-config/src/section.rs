//! Reading one map of the config, key by key.

use crate::known::SectionKeys;
use crate::node::{Entry, Kind, Node};
use crate::problem::{Place, shown};
use crate::reader::Reader;

/// A map, and which of its keys have been read.
pub(crate) struct Section<'n> {
    pub at: Place,
    pub path: String,
    keys: &'static SectionKeys,
    entries: &'n [Entry],
    taken: Vec<bool>,
}

/// One value, and the way to it.
pub(crate) struct Field<'n> {
    pub node: &'n Node,
    pub key_at: Place,
    pub path: String,
}

impl<'n> Field<'n> {
    /// Returns a single value as it stands in the file, with its variables by name:
    /// this may be shown, what they hold may not.
    pub fn written(&self) -> &'n str {
        match &self.node.kind {
            Kind::Scalar { text, .. } => text.trim(),
            Kind::List(_) | Kind::Map(_) => "",
        }
    }
}

impl<'n> Section<'n> {
    /// Opens a map; anything else is an error, and nothing at all is an empty map.
    pub fn open(
        reader: &mut Reader<'_>,
        node: &'n Node,
        path: String,
        keys: &'static SectionKeys,
    ) -> Option<Section<'n>> {
        let entries: &[Entry] = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar { .. } if node.is_null() => &[],
            Kind::Scalar { .. } | Kind::List(_) => {
                let message = format!("expected a map of keys, found {}", node.noun());
                reader.error(node.at, &path, message, None);
                return None;
            }
        };
        let taken = vec![false; entries.len()];
        Some(Section { at: node.at, path, keys, entries, taken })
    }

    /// Opens a map inside this one.
    pub fn section(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        keys: &'static SectionKeys,
    ) -> Option<Section<'n>> {
        let field = self.take(key)?;
        Section::open(reader, field.node, field.path, keys)
    }

    /// Returns the value of a key, also if it is nothing.
    pub fn take(&mut self, key: &'static str) -> Option<Field<'n>> {
        debug_assert!(self.keys.read.contains(&key), "`{key}` is not in the table of {self:?}");
        self.take_named(key)
    }

    /// Returns the value of a key, unless it is nothing.
    pub fn given(&mut self, key: &'static str) -> Option<Field<'n>> {
        self.take(key).filter(|field| !field.node.is_null())
    }

    /// Returns the value of a key if `wanted` says so; else it is left to another reader.
    pub fn given_if(
        &mut self,
        key: &'static str,
        wanted: impl FnOnce(&Field<'n>) -> bool,
    ) -> Option<Field<'n>> {
        let n = self.entries.iter().position(|entry| &*entry.key == key)?;
        let field = field(&self.path, &self.entries[n]);
        wanted(&field).then(|| {
            self.taken[n] = true;
            field
        })
    }

    /// Returns the fields that nobody has read yet.
    pub fn rest(&mut self) -> Vec<(&'n str, Field<'n>)> {
        let left = self.entries.iter().zip(&mut self.taken).filter(|(_, taken)| !**taken);
        left.map(|(entry, taken)| {
            *taken = true;
            (&*entry.key, field(&self.path, entry))
        })
        .collect()
    }

    /// Tells of the keys that nobody has read.
    pub fn finish(mut self, reader: &mut Reader<'_>) {
        for (key, field) in self.rest() {
            if self.keys.ignores(key) {
                reader.report.ignored(field.key_at, &self.path, key);
            } else if reader.report.has_room_for_notices() {
                let message = format!("unknown key `{}` in {}", shown(key), self.keys.name);
                let remedy = self.keys.remedy(key);
                reader.report.notice(field.key_at, &field.path, message, remedy);
            }
        }
    }

    /// Returns whether a key has a value, without reading it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| &*entry.key == key && !entry.value.is_null())
    }

    /// Returns where a key is written, without reading it.
    pub fn place_of(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|entry| &*entry.key == key).map(|entry| entry.key_at)
    }

    /// Returns the path of a key that is not there.
    pub fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    fn take_named(&mut self, key: &str) -> Option<Field<'n>> {
        let n = self.entries.iter().position(|entry| &*entry.key == key)?;
        self.taken[n] = true;
        Some(field(&self.path, &self.entries[n]))
    }
}

impl std::fmt::Debug for Section<'_> {
    /// Values are left out, as one of them may be a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Section({})", self.keys.name)
    }
}

fn field<'n>(path: &str, entry: &'n Entry) -> Field<'n> {
    Field { node: &entry.value, key_at: entry.key_at, path: join(path, &entry.key) }
}

fn join(path: &str, key: &str) -> String {
    let key = shown(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
