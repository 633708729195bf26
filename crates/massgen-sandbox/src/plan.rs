//! What the stages of the helper are told, as JSON in an argument. Nothing secret is in it:
//! arguments of processes can be read by everybody.

use std::path::PathBuf;

use massgen_protocol::SandboxLimits;
use serde::{Deserialize, Serialize};

/// For the supervisor: whose call it is and when to end it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// When this process ends, the call does.
    pub(crate) parent: u32,
    /// Where it says how the call ended; nobody else can write there.
    pub(crate) report: Option<PathBuf>,
    /// Namespaces of our own, with an `init` as the next stage.
    pub(crate) namespaces: bool,
    /// The network is the machine's own.
    pub(crate) network: bool,
    /// Stages between the supervisor and the program, which are not to be asked to end.
    pub(crate) stages: usize,
    pub(crate) limits: Option<SandboxLimits>,
    /// Folders whose file systems must not fill up.
    pub(crate) write: Vec<PathBuf>,
    /// The next stage is the client of a container engine, which passes variables on.
    pub(crate) client: bool,
    /// To be run at the end, whatever happened: removes a container.
    pub(crate) cleanup: Vec<String>,
}

/// For the `init` of our own namespaces.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cover {
    /// All else can be read only.
    pub(crate) write: Vec<PathBuf>,
    /// Covered by nothing.
    pub(crate) hidden: Vec<PathBuf>,
    /// Can be read only.
    pub(crate) protected: Vec<PathBuf>,
    /// Gets a file system of its own.
    pub(crate) fresh: Vec<PathBuf>,
    pub(crate) fresh_bytes: u64,
}

/// For the last stage before the program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) cwd: PathBuf,
    pub(crate) limits: Option<SandboxLimits>,
    pub(crate) files: Option<Files>,
    /// Nothing else holds the files back.
    pub(crate) files_needed: bool,
    /// Signals and abstract sockets end at the call, where the kernel can.
    pub(crate) scoped: bool,
    pub(crate) sockets: Sockets,
    /// The namespaces are the machine's: owners and modes of files outside can be reached.
    pub(crate) shared: bool,
    /// No filter of system calls.
    pub(crate) unfiltered: bool,
}

/// What Landlock lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files {
    pub(crate) write: Vec<PathBuf>,
    pub(crate) read: Vec<PathBuf>,
    /// Written to, never created: `/dev/null`.
    pub(crate) devices: Vec<PathBuf>,
}

/// Which sockets can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sockets {
    /// Pairs within the call.
    Pairs,
    /// Those of the network and, where their paths are held back, of this machine.
    Network { local: bool },
}

/// What the supervisor found at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) exceeded: Option<Exceeded>,
    /// The kernel bounded the memory of all processes together.
    pub(crate) holds_memory: bool,
    /// The kernel bounded how many there were.
    pub(crate) holds_processes: bool,
}

/// Which bound ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    Memory,
    Processes,
    Disk,
    Cpu,
    FileSize,
}

impl Exceeded {
    /// For a model or a person, with what was allowed.
    pub fn words(self, limits: &SandboxLimits) -> String {
        const MIB: u64 = 1 << 20;
        match self {
            Exceeded::Memory => {
                format!("used more than {} MiB of memory", limits.memory_bytes / MIB)
            }
            Exceeded::Processes => format!("had more than {} processes", limits.processes),
            Exceeded::Disk => "filled the disk".to_owned(),
            Exceeded::Cpu => format!("used more than {} s of processor time", limits.cpu_seconds),
            Exceeded::FileSize => {
                format!("wrote a file of more than {} MiB", limits.file_bytes / MIB)
            }
        }
    }
}
