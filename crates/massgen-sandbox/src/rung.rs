//! The ladder of confinements, best first.

use serde::{Deserialize, Serialize};

/// What confines commands on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Bubblewrap makes namespaces with nothing in them but what is allowed; a filter of system
    /// calls and limits of ours on top.
    Bubblewrap,
    /// Landlock and a filter of system calls; namespaces of our own where the kernel lets us.
    Landlock,
    /// Docker or Podman.
    Container,
    /// Nothing. The processes still end with the call.
    Off,
}

impl Rung {
    /// As written in events and by `massgen doctor`.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Bubblewrap => "bubblewrap",
            Rung::Landlock => "landlock",
            Rung::Container => "container",
            Rung::Off => "off",
        }
    }
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
