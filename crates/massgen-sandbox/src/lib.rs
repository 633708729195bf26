//! Confines what agents run: commands, Python tools, servers.
//!
//! [`Sandbox::probe`] finds once what the machine offers; [`Sandbox::command`] makes a command
//! that is held by it, and [`Sandbox::run`] runs one to its end with all its processes.

use std::path::PathBuf;

use massgen_protocol::{NetworkPolicy, SandboxLimits};

/// What one command may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// Where it runs.
    pub cwd: PathBuf,
    /// Read and write, with all below.
    pub write: Vec<PathBuf>,
    /// Read only, with all below, besides the system's own folders.
    pub read: Vec<PathBuf>,
    /// Neither, although below one of those above.
    pub hidden: Vec<PathBuf>,
    pub network: NetworkPolicy,
    pub limits: SandboxLimits,
}

/// What the machine offers to confine commands.
pub struct Sandbox {}
