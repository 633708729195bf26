//! Limits of the kernel on every process of a call.

use massgen_protocol::SandboxLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// From the signal that can be caught to the one that cannot.
const CPU_GRACE_SECONDS: u64 = 2;

/// The version of Linux from which each user namespace counts its own processes. Before, all
/// of the user's count, and a busy desktop would have used up any limit already.
const COUNTED_APART: (u32, u32) = (5, 14);

pub(crate) fn apply(limits: &SandboxLimits) -> Result<(), String> {
    set(Resource::Core, 0, 0)?;
    set(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds.saturating_add(CPU_GRACE_SECONDS))?;
    set(Resource::Fsize, limits.file_bytes, limits.file_bytes)?;
    // Private memory, not address space: what runtimes reserve and never use costs nothing.
    set(Resource::Data, limits.memory_bytes, limits.memory_bytes)?;
    set(Resource::Nofile, limits.open_files, limits.open_files)?;
    let others = if is_first_user_namespace() { others() } else { 0 };
    if others == 0 && !counts_apart() {
        return Ok(());
    }
    let processes = limits.processes.saturating_add(others);
    set(Resource::Nproc, processes, processes)
}

fn set(resource: Resource, soft: u64, hard: u64) -> Result<(), String> {
    // Whoever started us may have been given less.
    let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(soft.min(own)), maximum: Some(hard.min(own)) };
    setrlimit(resource, limit)
        .map_err(|error| format!("cannot set the limit {resource:?}: {error}"))
}

fn counts_apart() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= COUNTED_APART
}

/// Returns whether users are those of the whole machine.
fn is_first_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

/// Counts the threads of the same user, which the limit counts too.
fn others() -> u64 {
    let own = rustix::process::getuid().as_raw().to_string();
    let mut count = 0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next().map(str::to_owned)
        };
        if value("Uid:") == Some(own.clone()) {
            count += value("Threads:").and_then(|n| n.parse::<u64>().ok()).unwrap_or(1);
        }
    }
    count
}
