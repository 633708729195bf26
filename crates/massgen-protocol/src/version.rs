//! Versions of what is written to disk, and what each changed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Version of a file format. A newer major cannot be read; a newer minor can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FormatVersion {
    pub major: u32,
    pub minor: u32,
}

/// `manifest.json`. 1.0: first.
pub const MANIFEST_VERSION: FormatVersion = FormatVersion { major: 1, minor: 0 };

/// `events.jsonl`. 1.0: first.
pub const EVENTS_VERSION: FormatVersion = FormatVersion { major: 1, minor: 0 };

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
