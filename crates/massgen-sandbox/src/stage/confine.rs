//! The last stage: gives up what the program must not have, then becomes it.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::{NOT_FOUND, NOT_RUN};
use crate::environment::carried;
use crate::plan::Policy;
use crate::{landlock, limits, seccomp};

/// Where one process of many has to go, it shall be one of the program's.
const OOM_SCORE: &str = "500";

pub(super) fn confine(policy: &Policy, program: &[OsString]) -> Result<ExitCode, String> {
    let (name, args) = program.split_first().ok_or("there is no program to run")?;
    std::env::set_current_dir(&policy.cwd)
        .map_err(|error| format!("cannot work in `{}`: {error}", policy.cwd.display()))?;
    let env = carried(std::env::vars_os());
    if let Some(bounds) = &policy.limits {
        limits::apply(bounds)?;
        // Only a wish: it decides who goes first, not whether.
        let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    }
    if !policy.unfiltered {
        drop_capabilities()?;
        set_no_new_privs(true)
            .map_err(|error| format!("cannot give up new privileges: {error}"))?;
        landlock::apply(policy)?;
        seccomp::apply(policy)?;
    }
    let error = Command::new(name).args(args).env_clear().envs(env).exec();
    // As shells have it.
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{}: {}", name.display(), words(&error));
    Ok(ExitCode::from(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN }))
}

fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "not found".to_owned(),
        ErrorKind::PermissionDenied => "not to be run from here".to_owned(),
        _ => error.to_string(),
    }
}

/// Root without capabilities is somebody who owns many files, and nothing more.
fn drop_capabilities() -> Result<(), String> {
    // Not there on old kernels, and then there is nothing to clear.
    let _ = clear_ambient_capability_set();
    for bit in 0..64 {
        // Ends at the last one this kernel knows; without the right to, the sets below are
        // empty all the same and `no_new_privs` keeps them so.
        let _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(|error| format!("cannot give up capabilities: {error}"))
}
