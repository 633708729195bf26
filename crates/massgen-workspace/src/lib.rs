//! Workspaces of agents and their copies.
//!
//! An agent writes to its own workspace only. With every accepted answer goes an immutable
//! copy of it, kept by content in the [`Store`]; the others read it under the agent's alias in
//! a folder of their own, where changes harm nobody. The [`PathPolicy`] says who may read or
//! write where, and the [`Guard`] opens files through it.

use std::path::PathBuf;

/// The folders of one agent in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where it writes.
    pub workspace: PathBuf,
    /// Holds `agent1/`, `agent2/`, …: the others' work and its own earlier one.
    pub temp: PathBuf,
    /// For programs' temporary files (`TMPDIR`).
    pub scratch: PathBuf,
}

/// Opens files as one agent may.
pub struct Guard {}
