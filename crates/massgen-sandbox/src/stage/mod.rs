//! This program started again, as one of the stages between us and what is run.

#[cfg(target_os = "linux")]
mod confine;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod supervise;
mod witness;

use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use witness::{Canary, Testimony};

/// The exit code of a stage that failed. As container engines have it; the program's own code
/// can be the same, what is on the standard error tells.
const FAILED: u8 = 125;

/// The exit codes of shells for a program that cannot be run, and for one that is not there.
#[cfg(target_os = "linux")]
const NOT_RUN: u8 = 126;
#[cfg(target_os = "linux")]
const NOT_FOUND: u8 = 127;

/// Is the stage that `args` name. `massgen __sandbox …` and nobody else calls it.
pub fn helper(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match stage(args.into_iter().collect()) {
        Ok(code) => code,
        Err(why) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "massgen: the sandbox failed: {why}");
            ExitCode::from(FAILED)
        }
    }
}

#[cfg(target_os = "linux")]
fn stage(args: Vec<OsString>) -> Result<ExitCode, String> {
    let mut args = args.into_iter();
    let name = args.next().ok_or("no stage is named")?;
    let told = args.next().ok_or("the stage is told nothing")?;
    let told = told.to_str().ok_or("what the stage is told is no UTF-8")?;
    let rest: Vec<OsString> = args.skip_while(|arg| arg == "--").collect();
    match name.to_str() {
        Some("supervise") => supervise::supervise(read(told)?, &rest),
        Some("init") => init::init(&read(told)?, &rest),
        Some("confine") => confine::confine(&read(told)?, &rest),
        Some("witness") => witness::witness(&read(told)?),
        _ => Err("there is no such stage".to_owned()),
    }
}

#[cfg(target_os = "linux")]
fn read<'a, T: serde::Deserialize<'a>>(told: &'a str) -> Result<T, String> {
    serde_json::from_str(told).map_err(|error| format!("the stage is told nonsense: {error}"))
}

#[cfg(not(target_os = "linux"))]
fn stage(_args: Vec<OsString>) -> Result<ExitCode, String> {
    Err("there is no sandbox on this system".to_owned())
}
