//! What an agent works with: the keys of its backend to its [`Tooling`].

mod commands;
mod custom_tools;
mod hooks;
mod mcp;
mod names;
mod permissions;
mod sandbox;

use massgen_protocol::{
    BackendType, ContainerSpec, ContextPath, PermissionSpec, Tooling, WorkspaceSpec,
};

pub(crate) use permissions::ApprovalWish;
pub(crate) use sandbox::{SandboxWish, agent_sandbox, team_sandbox};

use crate::backend::is_agent;
use crate::files::context_paths;
use crate::node::{Entry, Kind, Node};
use crate::problem::Place;
use crate::reader::Reader;
use crate::section::{Field, Section};

/// Most calls of one reply that may run at once.
const CONCURRENT_MAX: u32 = 64;

/// Keys of a backend that say what its agent works with.
const KEYS: [&str; 29] = [
    "cwd",
    "exclude_file_operation_mcps",
    "mcp_servers",
    "allowed_tools",
    "exclude_tools",
    "custom_tools",
    "enable_mcp_command_line",
    "command_line_allowed_commands",
    "command_line_blocked_commands",
    "command_line_execution_mode",
    "command_line_timeout_seconds",
    "command_line_docker_image",
    "command_line_docker_memory_limit",
    "command_line_docker_cpu_limit",
    "command_line_docker_network_mode",
    "command_line_docker_enable_sudo",
    "sandbox",
    "permissions",
    "hooks",
    "enable_multimodal_tools",
    "enable_image_generation",
    "enable_audio_generation",
    "enable_video_generation",
    "enable_file_generation",
    "enable_web_fetch",
    "concurrent_tool_execution",
    "max_concurrent_tools",
    "context_paths",
    "enforce_read_before_delete",
];

/// What the team's sections say of every agent's tools.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TeamTools {
    pub planning: bool,
    pub read_media: bool,
}

/// What an agent works with, and what its backend says that holds for the whole team.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools {
    pub tooling: Tooling,
    pub wishes: Wishes,
    /// Where `cwd` is written.
    pub cwd_at: Option<(Place, String)>,
}

/// Written at an agent, shared by all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub context_paths: Vec<ContextPath>,
    pub approval: Option<ApprovalWish>,
    pub container: Option<(ContainerSpec, Place, String)>,
}

/// Reads the keys of an agent's backend; `None` comes with at least one error.
pub(crate) fn tools(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
    team: TeamTools,
) -> Option<Tools> {
    if kind.is_some_and(is_agent) {
        // It brings its own; what is left of the keys is told as for any other.
        return Some(Tools::default());
    }
    let n_errors = reader.report.n_errors();
    let (r, s) = (reader, section);
    let mut tools = Tools::default();
    let cwd = s.given("cwd");
    tools.cwd_at = cwd.as_ref().map(|field| (field.node.at, field.path.clone()));
    let workspace = workspace(r, cwd);
    let has_workspace = workspace.is_some();
    let permissions = permissions::permissions(r, s);
    let commands = commands::commands(r, s, has_workspace, &mut tools.wishes);
    let mut servers = mcp::servers(r, s);
    let (allowed_tools, exclude_tools) = names::filters(r, s, &mut servers);
    let custom = custom_tools::custom_tools(r, s);
    if let Some(field) = s.given("context_paths") {
        tools.wishes.context_paths = context_paths(r, Some(field)).unwrap_or_default();
    }
    file_operations(r, s, has_workspace);
    let media = media(r, s, team, custom.sees_images);
    let web_fetch = r.flag(s.given("enable_web_fetch")).unwrap_or(false);
    let concurrent_max = concurrent(r, s);
    let hooks = hooks::hooks(r, s.given("hooks"));
    let (spec, approval): (Option<PermissionSpec>, _) = permissions;
    tools.wishes.approval = approval;
    let defaults = Tooling::default();
    tools.tooling = Tooling {
        file_tools: has_workspace,
        insights: has_workspace,
        workspace,
        commands,
        planning: team.planning,
        read_media: media,
        web_fetch,
        mcp_servers: servers,
        python_tools: custom.tools,
        allowed_tools,
        exclude_tools,
        permissions: spec,
        hooks,
        concurrent_max: concurrent_max.unwrap_or(defaults.concurrent_max),
    };
    (r.report.n_errors() == n_errors).then_some(tools)
}

/// Takes the keys out of a fallback, whose agent has its own already.
pub(crate) fn pass_over(reader: &mut Reader<'_>, section: &mut Section<'_>) {
    for key in KEYS {
        if let Some(field) = section.given(key) {
            let message = format!("`{key}` of a fallback has no effect: that of its agent holds");
            reader.report.notice_once(field.key_at, &field.path, message);
        }
    }
}

/// A folder of the run's own, or one that is named in full.
fn workspace(reader: &mut Reader<'_>, field: Option<Field<'_>>) -> Option<WorkspaceSpec> {
    let field = field?;
    let (at, path) = (field.node.at, field.path.clone());
    let cwd = reader.path(field, "the path of a folder")?;
    let cwd = cwd.strip_prefix("./").unwrap_or(&cwd).to_owned();
    if !cwd.starts_with('/') && cwd.split('/').any(|part| part == "..") {
        let message = "this folder leads out of the workspaces".to_owned();
        let hint = "write an absolute path, or one without `..`".to_owned();
        reader.error(at, &path, message, Some(hint));
        return None;
    }
    Some(WorkspaceSpec { cwd })
}

fn file_operations(r: &mut Reader<'_>, s: &mut Section<'_>, has_workspace: bool) {
    let field = s.given("exclude_file_operation_mcps");
    let at = field.as_ref().map(|field| (field.key_at, field.path.clone()));
    if let (Some(true), Some((at, path))) = (r.flag(field), at)
        && has_workspace
    {
        let message = "`exclude_file_operation_mcps` has no effect: file tools are built in, and \
                       start no server";
        r.report.notice_once(at, &path, message.to_owned());
    }
    let field = s.given("enforce_read_before_delete");
    let at = field.as_ref().map(|field| (field.key_at, field.path.clone()));
    if let (Some(false), Some((at, path))) = (r.flag(field), at) {
        let message = "`enforce_read_before_delete: false` has no effect: a file is read before \
                       it is deleted";
        r.report.notice_once(at, &path, message.to_owned());
    }
}

/// Agents look at images; they make none in this version.
fn media(r: &mut Reader<'_>, s: &mut Section<'_>, team: TeamTools, sees_images: bool) -> bool {
    let field = s.given("enable_multimodal_tools");
    let at = field.as_ref().map(|field| (field.key_at, field.path.clone()));
    let own = r.flag(field);
    if let (Some(true), Some((at, path))) = (own, at) {
        only_seen(r, at, &path);
    }
    for key in [
        "enable_image_generation",
        "enable_audio_generation",
        "enable_video_generation",
        "enable_file_generation",
    ] {
        let field = s.given(key);
        let at = field.as_ref().map(|field| (field.key_at, field.path.clone()));
        if let (Some(true), Some((at, path))) = (r.flag(field), at) {
            let message = format!("`{key}` has no effect: no media are made in this version");
            r.report.notice_once(at, &path, message);
        }
    }
    own.unwrap_or(team.read_media) || sees_images
}

/// Says which half of `enable_multimodal_tools` is here.
pub(crate) fn only_seen(r: &mut Reader<'_>, at: Place, path: &str) {
    let message = "`enable_multimodal_tools` brings `read_media`: media are looked at in this \
                   version, and none are made";
    r.report.notice_once(at, path, message.to_owned());
}

fn concurrent(r: &mut Reader<'_>, s: &mut Section<'_>) -> Option<u32> {
    let side_by_side = r.flag(s.given("concurrent_tool_execution"));
    let most = r.count32(s.given("max_concurrent_tools"), 1..=CONCURRENT_MAX);
    if side_by_side == Some(false) { Some(1) } else { most }
}

/// Puts the folder that servers and tools run in for `${cwd}`, which is no variable of the
/// environment: the workspace, which is where they are.
fn with_cwd(node: &Node) -> Node {
    const CWD: &str = "${cwd}";
    match &node.kind {
        Kind::Scalar { text, plain } if text.contains(CWD) => {
            Node::scalar(node.at, &text.replace(CWD, "."), *plain)
        }
        Kind::Scalar { .. } => node.clone(),
        Kind::List(items) => Node::list(node.at, items.iter().map(with_cwd).collect()),
        Kind::Map(entries) => {
            let entry = |entry: &Entry| {
                let is_own =
                    matches!(&entry.value.kind, Kind::Scalar { text, .. } if &**text == CWD);
                // Where it runs anyhow need not be said.
                let value = if is_own && &*entry.key == "cwd" {
                    Node::scalar(entry.value.at, "", true)
                } else {
                    with_cwd(&entry.value)
                };
                Entry { value, ..entry.clone() }
            };
            Node::map(node.at, entries.iter().map(entry).collect())
        }
    }
}
