//! Tries from inside what a confined program must not be able to do, and tells.

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// What to try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Canary {
    /// A file outside, with something in it.
    pub(crate) file: PathBuf,
    /// A file in the folder that can be written.
    pub(crate) inside: PathBuf,
    /// Where somebody listens on the loopback.
    pub(crate) udp_port: u16,
    /// Who asks; not of the call.
    pub(crate) process: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Testimony {
    pub(crate) wrote_inside: bool,
    pub(crate) read_outside: bool,
    pub(crate) wrote_outside: bool,
    /// A datagram could be sent; whether it arrived the listener knows.
    pub(crate) sent: bool,
    /// Other processes than those of the call can be seen.
    pub(crate) sees_processes: bool,
    pub(crate) landlock: u32,
    pub(crate) filtered: bool,
}

#[cfg(target_os = "linux")]
pub(super) fn witness(canary: &Canary) -> Result<ExitCode, String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut testimony = Testimony {
        wrote_inside: fs::write(&canary.inside, "here").is_ok(),
        read_outside: fs::read(&canary.file).is_ok(),
        wrote_outside: fs::OpenOptions::new().append(true).open(&canary.file).is_ok()
            || fs::write(canary.file.with_extension("new"), "there").is_ok(),
        sent: UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.send_to(b"there", ("127.0.0.1", canary.udp_port)))
            .is_ok(),
        sees_processes: PathBuf::from(format!("/proc/{}/stat", canary.process)).exists(),
        landlock: 0,
        filtered: status.lines().any(|line| line.split_ascii_whitespace().eq(["Seccomp:", "2"])),
    };
    // Last: it changes what this process may do.
    testimony.landlock = crate::landlock::version();
    let text = serde_json::to_string(&testimony).map_err(|error| error.to_string())?;
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}
