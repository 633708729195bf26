//! What is passed in beside the config.

use std::collections::BTreeMap;
use std::fmt;

use crate::RateTable;

/// Environment variables by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    pub vars: BTreeMap<String, String>,
}

impl Environment {
    pub fn new<K: Into<String>, V: Into<String>>(
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Environment {
        let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into()));
        Environment { vars: vars.collect() }
    }
}

impl fmt::Debug for Environment {
    /// Writes the names only: values may be keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.vars.keys()).finish()
    }
}

/// What the command line says instead of the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Wins over `prompt`.
    pub question: Option<String>,
    /// Replaces the system message of every agent.
    pub system_message: Option<String>,
    pub orchestrator_timeout_s: Option<u64>,
    pub seed: Option<u64>,
    pub prompts_dir: Option<String>,
    /// Wins over the table of the config; a backend's own limits win over both.
    pub rate_limits: Option<RateTable>,
}
