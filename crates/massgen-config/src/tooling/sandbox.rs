//! `sandbox`: what confines commands, Python tools and servers.

use massgen_protocol::{NetworkPolicy, SandboxLimits, SandboxMode, SandboxSpec};

use crate::known::{SANDBOX, SANDBOX_LIMITS, SANDBOX_OF_AGENT};
use crate::node::Kind;
use crate::reader::{Least, Reader};
use crate::scalar::boolean;
use crate::section::{Field, Section};

/// Bounds of bounds: below them nothing starts, above them there is none.
const PROCESSES_MAX: u64 = 100_000;
const MEMORY_MIN: u64 = 16 << 20;
const BYTES_MAX: u64 = 1 << 50;
const FILES_MIN: u64 = 16;
const FILES_MAX: u64 = 1 << 20;
const OUTPUT_MIN: u64 = 1 << 10;
const OUTPUT_MAX: u64 = 64 << 20;
const CPU_SECONDS_MAX: u64 = 30 * 24 * 3_600;

/// What one word says.
#[derive(Clone, Copy)]
enum Word {
    Mode(SandboxMode),
    Require,
}

const WORDS: &[(&str, Word)] = &[
    ("os", Word::Mode(SandboxMode::Os)),
    ("container", Word::Mode(SandboxMode::Container)),
    ("off", Word::Mode(SandboxMode::Off)),
    ("require", Word::Require),
];
const MODES: &[(&str, SandboxMode)] =
    &[("os", SandboxMode::Os), ("container", SandboxMode::Container), ("off", SandboxMode::Off)];
const NETWORKS: &[(&str, NetworkPolicy)] =
    &[("off", NetworkPolicy::Off), ("on", NetworkPolicy::On)];

/// What an agent says of its own commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SandboxWish {
    pub mode: Option<SandboxMode>,
    pub network: Option<NetworkPolicy>,
}

/// Reads `sandbox` of an agent.
pub(crate) fn agent_sandbox(reader: &mut Reader<'_>, field: Field<'_>) -> SandboxWish {
    if matches!(field.node.kind, Kind::Scalar { .. }) {
        return SandboxWish { mode: reader.choice(Some(field), MODES), network: None };
    }
    let opened = Section::open(reader, field.node, field.path, &SANDBOX_OF_AGENT);
    let Some(mut section) = opened else { return SandboxWish::default() };
    let mode = reader.choice(section.given("mode"), MODES);
    let network = network(reader, section.given("network"));
    section.finish(reader);
    SandboxWish { mode, network }
}

/// Reads `sandbox` of the team.
pub(crate) fn team_sandbox(reader: &mut Reader<'_>, field: Field<'_>) -> SandboxSpec {
    let mut spec = SandboxSpec::default();
    if matches!(field.node.kind, Kind::Scalar { .. }) {
        match reader.choice(Some(field), WORDS) {
            Some(Word::Mode(mode)) => spec.mode = mode,
            Some(Word::Require) => spec.require = true,
            None => {}
        }
        return spec;
    }
    let opened = Section::open(reader, field.node, field.path, &SANDBOX);
    let Some(mut section) = opened else { return spec };
    let (r, s) = (reader, &mut section);
    let mode = s.given("mode");
    let (at, path) = (s.at, s.path_of("require"));
    if let Some(mode) = r.choice(mode, WORDS) {
        match mode {
            Word::Mode(mode) => spec.mode = mode,
            Word::Require => spec.require = true,
        }
    }
    spec.require |= r.flag(s.given("require")).unwrap_or(false);
    if spec.require && spec.mode == SandboxMode::Off {
        let message = "a sandbox that is off cannot be required".to_owned();
        r.error(at, &path, message, Some("write `mode: os`, or leave `require` out".to_owned()));
    }
    spec.network = network(r, s.given("network")).unwrap_or_default();
    if let Some(limits) = s.section(r, "limits", &SANDBOX_LIMITS) {
        spec.limits = self::limits(r, limits);
    }
    if let Some(field) = s.given("read_paths") {
        spec.read_paths = r.paths(field);
    }
    section.finish(r);
    spec
}

/// `off`, `on`, and what else says yes or no.
fn network(r: &mut Reader<'_>, field: Option<Field<'_>>) -> Option<NetworkPolicy> {
    let field = field?;
    match boolean(field.written()) {
        Some(true) => Some(NetworkPolicy::On),
        Some(false) => Some(NetworkPolicy::Off),
        None => r.choice(Some(field), NETWORKS),
    }
}

fn limits(r: &mut Reader<'_>, mut section: Section<'_>) -> SandboxLimits {
    let s = &mut section;
    let default = SandboxLimits::default();
    let limits = SandboxLimits {
        processes: r.count(s.given("processes"), 1..=PROCESSES_MAX).unwrap_or(default.processes),
        memory_bytes: r
            .bytes(s.given("memory"), MEMORY_MIN..=BYTES_MAX)
            .unwrap_or(default.memory_bytes),
        cpu_seconds: r
            .count(s.given("cpu_seconds"), 1..=CPU_SECONDS_MAX)
            .unwrap_or(default.cpu_seconds),
        file_bytes: r.bytes(s.given("file_size"), 0..=BYTES_MAX).unwrap_or(default.file_bytes),
        open_files: r
            .count(s.given("open_files"), FILES_MIN..=FILES_MAX)
            .unwrap_or(default.open_files),
        output_bytes: r
            .bytes(s.given("output"), OUTPUT_MIN..=OUTPUT_MAX)
            .unwrap_or(default.output_bytes),
        time_ms: r.seconds(s.given("time_seconds"), Least::OneMilli).unwrap_or(default.time_ms),
    };
    section.finish(r);
    limits
}
