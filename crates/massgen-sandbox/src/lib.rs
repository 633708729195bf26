//! Confines what agents run: commands, Python tools, servers.
//!
//! [`Sandbox::probe`] finds once what the machine offers, by really trying it;
//! [`Sandbox::run`] runs one command to its end with all its processes, and
//! [`Sandbox::command`] makes one that lives longer, for servers.
//!
//! ```text
//! ours ─ supervisor ─ [bubblewrap | init] ─ confine ─ the program and all it starts
//!        ends the     own namespaces        limits,
//!        whole tree,                        Landlock,
//!        counts                             seccomp
//! ```
//!
//! Each stage is [`helper`], this program started again, which ends by starting the next. No
//! stage trusts the program: its environment reaches none of them.

mod capture;
#[cfg(target_os = "linux")]
mod cgroup;
mod container;
mod describe;
mod environment;
#[cfg(target_os = "linux")]
mod landlock;
mod launch;
#[cfg(target_os = "linux")]
mod limits;
mod plan;
mod probe;
mod reading;
mod run;
mod rung;
mod sandbox;
#[cfg(target_os = "linux")]
mod seccomp;
mod stage;
mod tree;
#[cfg(target_os = "linux")]
mod watch;

use std::path::PathBuf;

use massgen_protocol::{NetworkPolicy, SandboxLimits};

pub use capture::Stream;
pub use plan::Exceeded;
pub use probe::Refused;
pub use run::{Ended, Outcome, Run, Stdin, Unstartable};
pub use rung::Rung;
pub use sandbox::{Helper, Sandbox};
#[cfg(target_os = "linux")]
pub use seccomp::{Forbidden, forbidden};
pub use stage::helper;
pub use tree::Tree;

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
    /// `HOME` and `TMPDIR`, writable: what programs leave behind there is no part of the
    /// agent's work. Without one, `cwd` is.
    pub scratch: Option<PathBuf>,
    pub network: NetworkPolicy,
    pub limits: SandboxLimits,
}
