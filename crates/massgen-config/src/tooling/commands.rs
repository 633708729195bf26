//! `enable_mcp_command_line` and `command_line_*`: what an agent may run, and where.

use massgen_protocol::{CommandSpec, ContainerSpec, NetworkPolicy, SandboxMode};

use super::{SandboxWish, Wishes, agent_sandbox};
use crate::problem::shown;
use crate::reader::{Least, Reader};
use crate::section::{Field, Section};

/// Most patterns of one list.
const PATTERNS_MAX: usize = 256;
/// Longest pattern.
const PATTERN_BYTES_MAX: usize = 2_000;
/// Most processors of a container.
const CPUS_MAX: f64 = 1_024.0;
/// Least and most memory of one.
const MEMORY_MIN: u64 = 4 << 20;
const MEMORY_MAX: u64 = 1 << 50;

/// How commands were confined by MassGen: not at all, in a container, by the system.
/// `local` stays what the team says, which by default is the system.
const MODES: &[(&str, Option<SandboxMode>)] =
    &[("local", None), ("docker", Some(SandboxMode::Container)), ("srt", Some(SandboxMode::Os))];
const NETWORKS: &[(&str, NetworkPolicy)] =
    &[("none", NetworkPolicy::Off), ("bridge", NetworkPolicy::On), ("host", NetworkPolicy::On)];

pub(super) fn commands(
    r: &mut Reader<'_>,
    s: &mut Section<'_>,
    has_workspace: bool,
    wishes: &mut Wishes,
) -> Option<CommandSpec> {
    let asked = s.given("enable_mcp_command_line");
    let asked_at = asked.as_ref().map(|field| (field.key_at, field.path.clone()));
    let is_on = r.flag(asked).unwrap_or(false);
    let allow = patterns(r, s.given("command_line_allowed_commands"));
    let block = patterns(r, s.given("command_line_blocked_commands"));
    let timeout_ms = r.seconds(s.given("command_line_timeout_seconds"), Least::OneMilli);
    let mode = r.choice(s.given("command_line_execution_mode"), MODES).flatten();
    let container_at = s
        .place_of("command_line_docker_image")
        .map(|at| (at, s.path_of("command_line_docker_image")));
    let container = container(r, s);
    if container != ContainerSpec::default() {
        let (at, path) = container_at.unwrap_or_else(|| (s.at, s.path.clone()));
        wishes.container = Some((container, at, path));
    }
    let docker_network = network(r, s.given("command_line_docker_network_mode"));
    sudo(r, s);
    let sandbox = s.given("sandbox");
    let sandbox_at = sandbox.as_ref().map(|field| (field.key_at, field.path.clone()));
    let own = sandbox.map(|field| agent_sandbox(r, field)).unwrap_or_default();
    if !is_on {
        if let Some((at, path)) = sandbox_at {
            let message = "`sandbox` of an agent holds for its commands, and it has none";
            let hint = "write it under `orchestrator`, or `enable_mcp_command_line: true`";
            r.report.notice(at, &path, message.to_owned(), Some(hint.to_owned()));
        }
        return None;
    }
    if !has_workspace {
        let (at, path) = asked_at.unwrap_or_else(|| (s.at, s.path.clone()));
        let message = "commands need a folder to run in: this agent has none, and runs none";
        r.report.notice(at, &path, message.to_owned(), Some("give it a `cwd`".to_owned()));
        return None;
    }
    let SandboxWish { mode: own_mode, network: own_network } = own;
    // Only a container has the network that is said for it.
    let docker_network = docker_network.filter(|_| mode == Some(SandboxMode::Container));
    Some(CommandSpec {
        allow,
        block,
        timeout_ms,
        sandbox: own_mode.or(mode),
        network: own_network.or(docker_network),
    })
}

/// Patterns are tried where commands are run; here only what no expression is.
fn patterns(r: &mut Reader<'_>, field: Option<Field<'_>>) -> Vec<String> {
    let Some(field) = field else { return Vec::new() };
    let (at, path) = (field.node.at, field.path.clone());
    let patterns = r.texts(Some(field)).unwrap_or_default();
    if patterns.len() > PATTERNS_MAX {
        let message = format!("{} patterns, at most {PATTERNS_MAX} are taken", patterns.len());
        r.error(at, &path, message, None);
    }
    for pattern in &patterns {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX || !is_balanced(pattern) {
            let message = format!("`{}` is no regular expression", shown(pattern));
            let hint = "for example `^git (status|log)`".to_owned();
            r.error(at, &path, message, Some(hint));
        }
    }
    patterns
}

/// Returns whether brackets and parentheses close, which is what is mostly wrong.
fn is_balanced(pattern: &str) -> bool {
    let (mut depth, mut in_set) = (0_usize, None);
    let mut chars = pattern.chars().enumerate();
    while let Some((n, c)) = chars.next() {
        match (c, in_set) {
            ('\\', _) => {
                if chars.next().is_none() {
                    return false;
                }
            }
            // The first one in a set is itself.
            (']', Some(start)) if n > start + 1 => in_set = None,
            (_, Some(_)) => {}
            ('[', None) => in_set = Some(n),
            ('(', None) => depth += 1,
            (')', None) if depth == 0 => return false,
            (')', None) => depth -= 1,
            (_, None) => {}
        }
    }
    depth == 0 && in_set.is_none()
}

fn container(r: &mut Reader<'_>, s: &mut Section<'_>) -> ContainerSpec {
    let image = s.given("command_line_docker_image");
    let image_at = image.as_ref().map(|field| (field.node.at, field.path.clone()));
    let image = r.text(image).map(|image| image.trim().to_owned()).unwrap_or_default();
    if let Some((at, path)) = image_at
        && (image.is_empty() || image.starts_with('-') || image.contains(char::is_whitespace))
    {
        let message = format!("`{}` is no name of an image", shown(&image));
        r.error(at, &path, message, None);
    }
    let memory = r.bytes(s.given("command_line_docker_memory_limit"), MEMORY_MIN..=MEMORY_MAX);
    let cpus = s.given("command_line_docker_cpu_limit");
    let cpus = cpus.and_then(|field| {
        r.decimal(&field, 0.01..=CPUS_MAX, || {
            format!("processors, a number from 0.01 to {CPUS_MAX}")
        })
    });
    ContainerSpec {
        image,
        memory: memory.map(|bytes| bytes.to_string()),
        cpus: cpus.map(|cpus| cpus.to_string()),
    }
}

/// A container has a network of its own or none; that of the machine is not lent to it.
fn network(r: &mut Reader<'_>, field: Option<Field<'_>>) -> Option<NetworkPolicy> {
    let field = field?;
    let (at, path) = (field.node.at, field.path.clone());
    let is_host = field.written().eq_ignore_ascii_case("host");
    let network = r.choice(Some(field), NETWORKS);
    if is_host {
        let message = "the network of the machine itself is not lent to a container: it gets \
                       one of its own (`bridge`)";
        r.report.notice_once(at, &path, message.to_owned());
    }
    network
}

fn sudo(r: &mut Reader<'_>, s: &mut Section<'_>) {
    let field = s.given("command_line_docker_enable_sudo");
    let at = field.as_ref().map(|field| (field.key_at, field.path.clone()));
    if let (Some(true), Some((at, path))) = (r.flag(field), at) {
        let message = "`command_line_docker_enable_sudo` has no effect: nothing an agent runs is \
                       given more rights";
        r.report.notice_once(at, &path, message.to_owned());
    }
}
