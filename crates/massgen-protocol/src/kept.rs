//! Values that may be too large for a line of the log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Content hash of a payload file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PayloadHash(pub String);

/// A value at hand, or the name of the payload that keeps it.
///
/// In memory it is always [`Kept::Inline`]; only the log writer turns large ones
/// into [`Kept::Payload`], and only the log reader turns them back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kept<T> {
    Payload {
        payload: PayloadHash,
        /// Length of the value as it was before compression.
        bytes: u64,
    },
    Inline(Arc<T>),
}

impl<T> Kept<T> {
    pub fn inline(value: impl Into<Arc<T>>) -> Kept<T> {
        Kept::Inline(value.into())
    }

    /// Returns the value if it is at hand.
    pub fn get(&self) -> Option<&Arc<T>> {
        match self {
            Kept::Inline(value) => Some(value),
            Kept::Payload { .. } => None,
        }
    }
}

impl Kept<String> {
    /// Returns the text, or an empty one where only its hash is at hand.
    pub fn text(&self) -> &str {
        self.get().map_or("", |text| text.as_str())
    }
}

impl From<String> for Kept<String> {
    fn from(text: String) -> Kept<String> {
        Kept::inline(text)
    }
}

impl From<&str> for Kept<String> {
    fn from(text: &str) -> Kept<String> {
        Kept::inline(text.to_owned())
    }
}
