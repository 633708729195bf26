//! What agents may work with: workspaces, tools, and what holds them back. Declared by the
//! config; what the tools then are called and do is in [`Toolset`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{HeaderText, Secret, ToolEffect, ToolSpec};

/// What an agent works with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tooling {
    /// Where it works; without one it has no file tools and no commands.
    pub workspace: Option<WorkspaceSpec>,
    /// Read, write, list, search files by tools of ours.
    pub file_tools: bool,
    pub commands: Option<CommandSpec>,
    /// A list of tasks it keeps.
    pub planning: bool,
    /// Looks at images in its workspace and in the others' work.
    pub read_media: bool,
    /// Fetches pages.
    pub web_fetch: bool,
    /// Short findings for the others, at once.
    pub insights: bool,
    pub mcp_servers: Vec<McpServerSpec>,
    pub python_tools: Vec<PythonToolSpec>,
    /// Names of tools of MCP servers without their prefix; all if there is no list.
    pub allowed_tools: Option<Vec<String>>,
    pub exclude_tools: Vec<String>,
    pub permissions: Option<PermissionSpec>,
    pub hooks: Vec<HookSpec>,
    /// Calls of one reply that run side by side at most.
    pub concurrent_max: u32,
}

impl Default for Tooling {
    fn default() -> Tooling {
        Tooling {
            workspace: None,
            file_tools: false,
            commands: None,
            planning: false,
            read_media: false,
            web_fetch: false,
            insights: false,
            mcp_servers: Vec::new(),
            python_tools: Vec::new(),
            allowed_tools: None,
            exclude_tools: Vec::new(),
            permissions: None,
            hooks: Vec::new(),
            concurrent_max: 10,
        }
    }
}

impl Tooling {
    /// Returns every secret in it, for whoever keeps logs clean.
    pub fn secrets(&self) -> Vec<&Secret> {
        let texts = self.mcp_servers.iter().flat_map(|server| match &server.transport {
            McpTransport::Stdio { env, .. } => env,
            McpTransport::Http { headers, .. } => headers,
        });
        texts.filter_map(|(name, text)| text.secret(name)).collect()
    }

    /// Returns whether anything is to be offered or kept.
    pub fn is_empty(&self) -> bool {
        *self == Tooling::default()
    }
}

/// Where an agent works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceSpec {
    /// `cwd` as written. Absolute: that folder itself. Relative: a folder of the run's own.
    pub cwd: String,
}

/// What the whole team shares of files, and what confines it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilesSpec {
    pub context_paths: Vec<ContextPath>,
    pub sandbox: SandboxSpec,
    /// Tools with effects on the world outside wait for the presentation.
    pub planning_mode: bool,
    /// Whether a tool that asks finds somebody, and what it is told if not.
    pub approval: Approval,
    /// How repositories among the context paths are shared.
    pub write_mode: WriteMode,
    /// Where the winner's files go besides the run's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_dir: Option<String>,
    /// Changes to context paths are shown before they are made.
    pub confirm: bool,
    /// What becomes of a file that the user changed meanwhile.
    pub drift: Drift,
}

/// A file or folder of the user's. Nobody writes to it before the presentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextPath {
    /// Absolute, and there when the run starts.
    pub path: String,
    pub access: Access,
    /// In it, never written; absolute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    #[default]
    Read,
    /// By the presenter.
    Write,
}

/// `coordination.write_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// A git worktree for each agent where a writable context path is a repository.
    #[default]
    Auto,
    Worktree,
    Isolated,
    /// The path itself, read-only until the presentation.
    Legacy,
}

/// `coordination.drift_conflict_policy`: both the user and the presenter changed a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// The user's change stays.
    #[default]
    Skip,
    PreferPresenter,
    /// Nothing at all is brought back.
    Fail,
}

/// What confines commands, Python tools and servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxSpec {
    pub mode: SandboxMode,
    /// Refuses to start where the protection asked for is not to be had.
    pub require: bool,
    pub network: NetworkPolicy,
    pub limits: SandboxLimits,
    /// Readable besides the system's own folders; absolute.
    pub read_paths: Vec<String>,
    pub container: ContainerSpec,
}

impl Default for SandboxSpec {
    fn default() -> SandboxSpec {
        SandboxSpec {
            mode: SandboxMode::Os,
            require: false,
            network: NetworkPolicy::Off,
            limits: SandboxLimits::default(),
            read_paths: Vec::new(),
            container: ContainerSpec::default(),
        }
    }
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// By the operating system, as far as it can.
    #[default]
    Os,
    Container,
    Off,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkPolicy {
    #[default]
    Off,
    On,
}

/// Bounds of one command with all processes it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxLimits {
    pub processes: u64,
    /// Of one process.
    pub memory_bytes: u64,
    /// Of one process.
    pub cpu_seconds: u64,
    /// Of one file it writes.
    pub file_bytes: u64,
    pub open_files: u64,
    /// Kept of what it prints.
    pub output_bytes: u64,
    pub time_ms: u64,
}

impl Default for SandboxLimits {
    fn default() -> SandboxLimits {
        SandboxLimits {
            processes: 512,
            memory_bytes: 4 << 30,
            cpu_seconds: 600,
            file_bytes: 1 << 30,
            open_files: 1_024,
            output_bytes: 64 << 10,
            time_ms: 60_000,
        }
    }
}

/// `command_line_docker_*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Empty: the default image.
    pub image: String,
    pub memory: Option<String>,
    pub cpus: Option<String>,
}

/// The command line of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommandSpec {
    /// Regular expressions; with any, a command has to match one.
    pub allow: Vec<String>,
    pub block: Vec<String>,
    /// Of a command that names none; at most `sandbox.limits.time_ms` or this, whatever is more.
    pub timeout_ms: Option<u64>,
    /// Overrides the team's for this agent.
    pub sandbox: Option<SandboxMode>,
    pub network: Option<NetworkPolicy>,
}

/// A server of the Model Context Protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpServerSpec {
    /// Its tools are `mcp__<name>__<tool>`.
    pub name: String,
    pub transport: McpTransport,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_tools: Vec<String>,
    /// To start and list its tools.
    pub connect_ms: u64,
    /// Of one call.
    pub call_ms: u64,
    /// Not confined: it may read and write what the user may.
    #[serde(default)]
    pub trusted: bool,
    /// One server for all agents, not one each.
    #[serde(default)]
    pub shared: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "transport", rename_all = "snake_case")]
pub enum McpTransport {
    Stdio {
        command: String,
        args: Vec<String>,
        /// Set on top of a minimal environment.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, HeaderText>,
        /// Where it runs; the agent's workspace if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<String>,
    },
    Http {
        url: String,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, HeaderText>,
    },
}

/// A function in a Python file of the user's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PythonToolSpec {
    /// Offered as `custom_tool__<name>`.
    pub name: String,
    /// Absolute, a `.py` file; or a module name.
    pub path: String,
    pub function: String,
    /// Instead of the function's own docstring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Given by the config, hidden from the model.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub preset_args: Map<String, Value>,
}

/// Who decides about a call, `backend.permissions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PermissionSpec {
    /// `action(glob)`: actions `command`, `read_file`, `write_file`, `read_url`, `mcp`, `*`.
    /// First `deny`, then `allow`, then `ask`, then by risk.
    pub allow: Vec<String>,
    pub ask: Vec<String>,
    pub deny: Vec<String>,
    /// `read-only`, `researcher`, `read-write`, `implementer`: rules under the user's own.
    pub role: Option<String>,
}

/// What becomes of a call that has to be asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Approval {
    pub by: ApprovalBy,
    /// Where nobody can be asked, and where nobody answers in time.
    pub otherwise: AskDefault,
    pub wait_ms: Option<u64>,
    /// Of the file handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalBy {
    /// The user at the terminal if there is one, else the policy.
    #[default]
    User,
    /// A request file and an answer file in `dir`.
    File,
    /// Nobody is asked.
    Policy,
}

/// `permissions.automation_default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskDefault {
    /// What can be undone is allowed.
    #[default]
    RiskBased,
    DenyAll,
    AllowAll,
}

/// A function of the user's that sees calls before or after they are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSpec {
    pub event: HookEvent,
    /// Glob of tool names, `|` between several.
    pub matcher: String,
    /// `path/to/file.py:function` or `module.function`.
    pub handler: String,
    pub timeout_ms: u64,
    /// A hook that fails refuses the call.
    pub fail_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookEvent {
    PreToolUse,
    PostToolUse,
}

/// The tools that agents with the same tooling are offered, as found when the run began: the
/// same during the whole run, also after a resume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Toolset {
    /// Sorted by name.
    pub tools: Vec<OfferedTool>,
    /// What the config asks for and is not to be had, in words for the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Where an agent finds its files, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacesTold {
    /// Absolute; no name in it tells who works there.
    pub workspace: String,
    /// Holds `agent1/`, `agent2/`, …
    pub temp: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<ContextTold>,
}

/// A file or folder of the user's, as an agent is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextTold {
    pub path: String,
    /// Where the presenter finds a copy that it may change; its changes are made in `path` when
    /// the run ends. None: the path is only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
}

/// A tool and what a call of it does to the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferedTool {
    #[serde(flatten)]
    pub spec: ToolSpec,
    pub effect: ToolEffect,
}
