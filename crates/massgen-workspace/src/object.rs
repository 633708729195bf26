//! The name of a piece of content: its hash.

use std::fmt;

/// A BLAKE3 hash of a file's whole content, holes read as zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub(crate) [u8; ObjectId::BYTES]);

impl ObjectId {
    pub(crate) const BYTES: usize = 32;

    pub fn of(content: &[u8]) -> ObjectId {
        ObjectId(*blake3::hash(content).as_bytes())
    }

    pub(crate) fn finish(hasher: &blake3::Hasher) -> ObjectId {
        ObjectId(*hasher.finalize().as_bytes())
    }

    pub(crate) fn parse(text: &str) -> Option<ObjectId> {
        blake3::Hash::from_hex(text).ok().map(|hash| ObjectId(*hash.as_bytes()))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
