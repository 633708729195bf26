//! The first process of namespaces of our own: covers what is not to be seen, starts the next
//! stage and buries the orphans. When it ends, the kernel ends all others.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount,
};
use rustix::process::{Pid, Signal, WaitOptions, getpid, set_parent_process_death_signal, wait};
use rustix::thread::UnshareFlags;

use super::supervise::unshare;
use crate::plan::Cover;

pub(super) fn init(cover: &Cover, next: &[OsString]) -> Result<ExitCode, String> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot be ended with the supervisor: {error}"))?;
    if getpid() != Pid::INIT {
        return Err("the namespace of processes is not our own".to_owned());
    }
    mounts(cover)?;
    let (program, args) = next.split_first().ok_or("there is no next stage")?;
    let child = Command::new(program)
        .args(args)
        // Its signals are its own: none that goes to a group reaches this process.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start the next stage: {error}"))?;
    let child = i32::try_from(child.id()).ok();
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if Some(pid.as_raw_nonzero().get()) == child => {
                let code = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => code,
                    (None, Some(signal)) => 128 + signal,
                    (None, None) => continue,
                };
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(super::FAILED)));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("lost the program: {error}")),
        }
    }
}

fn mounts(cover: &Cover) -> Result<(), String> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error| format!("cannot mount over `{what}`: {error}")
    };
    let root = Path::new("/");
    unshare(UnshareFlags::NEWNS).map_err(failed(root))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(root, private).map_err(failed(root))?;
    let nothing = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Landlock knows no right to modes, owners and dates; a read-only mount keeps them.
    for path in &cover.write {
        mount_bind_recursive(path, path).map_err(failed(path))?;
    }
    for path in points() {
        if !cover.write.iter().any(|written| path.starts_with(written)) {
            read_only(&path)?;
        }
    }
    // Over the old one, not instead of it: only the new one shows this namespace.
    let proc = Path::new("/proc");
    mount("proc", proc, "proc", nothing, None).map_err(failed(proc))?;
    for path in &cover.fresh {
        let options = CString::new(format!("size={},mode=1777", cover.fresh_bytes))
            .map_err(|error| error.to_string())?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", path, "tmpfs", flags, options.as_c_str()).map_err(failed(path))?;
    }
    for path in &cover.protected {
        mount_bind_recursive(path, path).map_err(failed(path))?;
        read_only(path)?;
    }
    for path in &cover.hidden {
        if path.is_dir() {
            let flags = nothing | MountFlags::RDONLY;
            mount("tmpfs", path, "tmpfs", flags, c"size=4k,mode=555").map_err(failed(path))?;
        } else {
            mount_bind("/dev/null", path).map_err(failed(path))?;
        }
    }
    Ok(())
}

fn read_only(path: &Path) -> Result<(), String> {
    // What the file system was mounted with has to be said again, or it is refused.
    let flags = MountFlags::BIND | MountFlags::RDONLY | kept_flags(path);
    match mount_remount(path, flags, c"") {
        // Covered by another mount, or in a folder of somebody else's: out of reach anyway.
        Ok(()) | Err(Errno::NOENT | Errno::ACCESS | Errno::INVAL) => Ok(()),
        Err(error) => Err(format!("cannot make `{}` read-only: {error}", path.display())),
    }
}

/// Returns where something is mounted, as the kernel lists it.
fn points() -> Vec<PathBuf> {
    let listed = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let lines = listed.split(|byte| *byte == b'\n');
    lines.filter_map(|line| Some(unescaped(line.split(|byte| *byte == b' ').nth(4)?))).collect()
}

/// Blanks and the like are written as three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn kept_flags(path: &Path) -> MountFlags {
    use rustix::fs::StatVfsMountFlags as Found;

    let Ok(facts) = rustix::fs::statvfs(path) else { return MountFlags::empty() };
    let mut kept = MountFlags::empty();
    for (found, flag) in [
        (Found::NOSUID, MountFlags::NOSUID),
        (Found::NODEV, MountFlags::NODEV),
        (Found::NOEXEC, MountFlags::NOEXEC),
        (Found::NOATIME, MountFlags::NOATIME),
        (Found::NODIRATIME, MountFlags::NODIRATIME),
        (Found::RELATIME, MountFlags::RELATIME),
    ] {
        if facts.f_flag.contains(found) {
            kept |= flag;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_mounts_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped(b"/a\\040b"), PathBuf::from("/a b"));
        assert_eq!(unescaped(b"/a\\"), PathBuf::from("/a\\"));
        assert_eq!(unescaped(b"/a\\99x"), PathBuf::from("/a\\99x"));
        assert!(points().contains(&PathBuf::from("/")));
    }
}
