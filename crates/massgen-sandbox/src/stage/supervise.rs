//! The first stage, outside of what confines: starts the next, counts, and sees to it that
//! nothing of the call outlives it, whoever of us is killed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process,
    set_child_subreaper, set_dumpable_behavior, setsid, wait,
};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, configure_capability_in_ambient_set,
    set_capabilities,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::FAILED;
use crate::cgroup::Cgroup;
use crate::environment::{CARRIED, carried};
use crate::plan::{Exceeded, Plan, Report};
use crate::run::GRACE;
use crate::tree::descendants;
use crate::watch::{EVERY, Held, Watch};

/// For all processes to be gone once they were killed. One that hangs in the kernel cannot be
/// waited for.
const END: Duration = Duration::from_millis(3_000);

/// Between two looks at whether they are.
const END_LOOK: Duration = Duration::from_millis(2);

/// An engine may take its time to remove a container; more would keep the agent waiting.
const CLEANUP: Duration = Duration::from_secs(10);

const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

pub(super) fn supervise(plan: Plan, next: &[OsString]) -> Result<ExitCode, String> {
    let parent = i32::try_from(plan.parent).ok().and_then(Pid::from_raw);
    let parent = parent.ok_or("whose call this is is not known")?;
    if getppid() != Some(parent) {
        return Err("whoever called is gone".to_owned());
    }
    close_inherited();
    // No terminal of the user's; an error means that we lead a session already.
    let _ = setsid();
    set_child_subreaper(Some(getpid()))
        .map_err(|error| format!("cannot take care of orphans: {error}"))?;
    let cgroup = plan.limits.as_ref().map(Cgroup::join);
    if plan.namespaces {
        namespaces(plan.network).map_err(|error| format!("no namespaces of our own: {error}"))?;
    }
    // Nobody reads the program's environment out of ours.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot wait for processes: {error}"))?;
    let report = runtime.block_on(watch(&plan, next, parent, cgroup.as_ref()))?;
    drop(runtime);
    clean_up(&plan.cleanup);
    drop(cgroup);
    if let Some(path) = &plan.report
        && let Ok(text) = serde_json::to_string(&report)
    {
        // The exit code says most of it again.
        let _ = fs::write(path, text);
    }
    let code = report.code.or(report.signal.map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)))
}

/// Closes what whoever started MassGen left open: it would be open in the program too.
fn close_inherited() {
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> =
        listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // At this point nothing of ours is open; the list itself was, and is closed already.
        let _ = nix::unistd::close(number);
    }
}

async fn watch(
    plan: &Plan,
    next: &[OsString],
    parent: Pid,
    cgroup: Option<&Cgroup>,
) -> Result<Report, String> {
    let failed = |error: std::io::Error| format!("cannot wait for processes: {error}");
    let mut children = signal(SignalKind::child()).map_err(failed)?;
    let mut ask = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let mut end = signal(SignalKind::user_defined1()).map_err(failed)?;

    let mut watch = plan.limits.map(|limits| {
        let held = Held {
            memory: cgroup.is_some_and(Cgroup::holds_memory),
            processes: cgroup.is_some_and(Cgroup::holds_processes),
        };
        Watch::begin(limits, &plan.write, held)
    });
    let program = spawn(plan, next)?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut deadline: Option<Instant> = None;
    let mut exceeded = None;
    let status = loop {
        // Looked for before waiting: a child may have ended before the signal was listened to.
        if let Some(status) = bury(program) {
            break Some(status);
        }
        tokio::select! {
            _ = children.recv() => {}
            _ = end.recv() => break None,
            _ = ask.recv() => ask_to_end(plan, &mut deadline),
            _ = interrupt.recv() => ask_to_end(plan, &mut deadline),
            _ = hang_up.recv() => ask_to_end(plan, &mut deadline),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                break None;
            }
            _ = ticks.tick() => {
                // An orphan is given to another parent. The signal the kernel has for it would
                // also come when the thread that started us ends, and its process does not.
                if getppid() != Some(parent) {
                    break None;
                }
                let pids: Vec<i32> = all(cgroup).into_iter().map(|(pid, _)| pid).collect();
                exceeded = watch.as_mut().and_then(|watch| watch.look(&pids));
                if exceeded.is_some() {
                    break None;
                }
            }
        }
    };
    let status = end_all(program, status, cgroup).await;
    Ok(report(plan, status, exceeded, cgroup))
}

fn report(
    plan: &Plan,
    status: Option<WaitStatus>,
    exceeded: Option<Exceeded>,
    cgroup: Option<&Cgroup>,
) -> Report {
    let code = status.and_then(WaitStatus::exit_status);
    let signal = status.and_then(WaitStatus::terminating_signal);
    // Stages in between tell of a signal as shells do.
    let (code, signal) = match code {
        Some(code @ 129..=192) if plan.stages > 0 => (None, Some(code - 128)),
        code => (code, signal),
    };
    let told = signal.or(code.map(|code| code - 128));
    let exceeded = exceeded.or_else(|| match told {
        _ if cgroup.is_some_and(Cgroup::killed_for_memory) => Some(Exceeded::Memory),
        Some(SIGXCPU) => Some(Exceeded::Cpu),
        Some(SIGXFSZ) => Some(Exceeded::FileSize),
        _ => None,
    });
    Report {
        code,
        signal,
        exceeded,
        holds_memory: cgroup.is_some_and(Cgroup::holds_memory),
        holds_processes: cgroup.is_some_and(Cgroup::holds_processes),
    }
}

fn spawn(plan: &Plan, next: &[OsString]) -> Result<Pid, String> {
    let (program, args) = next.split_first().ok_or("there is no next stage")?;
    let mut command = Command::new(program);
    command.args(args);
    if plan.client {
        for (name, value) in carried(std::env::vars_os()) {
            let name = name.to_string_lossy().into_owned();
            command.env_remove(format!("{CARRIED}{name}"));
            if !crate::container::is_clients(&name) {
                command.env(name, value);
            }
        }
    }
    let child = command.spawn();
    let child = child.map_err(|error| format!("cannot run `{}`: {error}", program.display()))?;
    // What of the streams stays open here would keep their readers waiting.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| "the next stage has no number".to_owned())
}

/// Waits for all that have ended; returns how the program did, if it is among them.
fn bury(program: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == program {
            found = Some(status);
        }
    }
    found
}

/// Returns every process of the call and how far below this one it is.
fn all(cgroup: Option<&Cgroup>) -> Vec<(i32, usize)> {
    let mut found = descendants(getpid().as_raw_nonzero().get());
    let known: BTreeSet<i32> = found.iter().map(|(pid, _)| *pid).collect();
    let others = cgroup.map(Cgroup::others).unwrap_or_default();
    // Deeper than any stage can be.
    found
        .extend(others.into_iter().filter(|pid| !known.contains(pid)).map(|pid| (pid, usize::MAX)));
    found
}

fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended just now.
        let _ = kill_process(pid, signal);
    }
}

/// Asks the program and what it started; a stage that ended would end all at once.
fn ask_to_end(plan: &Plan, deadline: &mut Option<Instant>) {
    for (pid, depth) in all(None) {
        if depth > plan.stages {
            send(pid, Signal::TERM);
        }
    }
    deadline.get_or_insert_with(|| Instant::now() + GRACE);
}

/// Ends what is left and waits for it.
async fn end_all(
    program: Pid,
    mut status: Option<WaitStatus>,
    cgroup: Option<&Cgroup>,
) -> Option<WaitStatus> {
    let deadline = Instant::now() + END;
    loop {
        // Stopped first, all of them: the place of one that was killed could be taken by
        // another's child.
        let mut stopped = BTreeSet::new();
        loop {
            let new: Vec<i32> = all(cgroup)
                .into_iter()
                .map(|(pid, _)| pid)
                .filter(|pid| stopped.insert(*pid))
                .collect();
            if new.is_empty() || Instant::now() >= deadline {
                break;
            }
            new.into_iter().for_each(|pid| send(pid, Signal::STOP));
        }
        for pid in &stopped {
            send(*pid, Signal::KILL);
        }
        status = bury(program).or(status);
        if all(cgroup).is_empty() || Instant::now() >= deadline {
            return status;
        }
        sleep_until(Instant::now() + END_LOOK).await;
    }
}

fn clean_up(command: &[String]) {
    let Some((program, args)) = command.split_first() else { return };
    let spawned = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else { return };
    let deadline = std::time::Instant::now() + CLEANUP;
    while matches!(child.try_wait(), Ok(None)) {
        if std::time::Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        std::thread::sleep(END_LOOK);
    }
}

/// Puts what is started from now on into namespaces of its own, as the same user.
fn namespaces(network: bool) -> Result<(), std::io::Error> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if !network {
        flags |= UnshareFlags::NEWNET;
    }
    unshare(flags)?;
    // Without it nobody but root may say who is who.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    // The next stage mounts; starting it would take that right away from all but root.
    let mut sets = capabilities(None)?;
    sets.inheritable |= CapabilitySet::SYS_ADMIN;
    set_capabilities(None, sets)?;
    configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?;
    Ok(())
}

/// Moves into new namespaces. This process has one thread when it does, and shares no table
/// of open files with another.
#[expect(
    deprecated,
    reason = "the call is only unsafe for tables of open files, which are not touched"
)]
pub(super) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(flags.difference(UnshareFlags::FILES))
}
