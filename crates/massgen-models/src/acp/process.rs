//! The agent as a child process: its streams, what it said on stderr, and its end.

use std::collections::VecDeque;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::launch::{Found, Launch};

/// Of stderr, its end, for messages; a failure shows less still.
const STDERR_BYTES_MAX: usize = 4 * 1024;
/// An agent that has closed its output is gone, or about to.
const EXIT_WAIT: Duration = Duration::from_secs(2);

/// A running agent. Dropping it ends it, and what it has started in its group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Its process id, which is also the id of its group.
    id: Option<u32>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
}

impl Process {
    /// Starts the agent. Its streams are given once, to whoever speaks with it.
    pub(super) fn start(
        launch: &Launch,
        found: &Found,
    ) -> io::Result<(Process, ChildStdin, ChildStdout)> {
        std::fs::create_dir_all(&launch.cwd)?;
        let mut command = Command::new(&found.program);
        command
            .args(&found.args)
            .envs(launch.env.iter().map(|(name, value)| (name, value.expose())))
            .current_dir(&launch.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Its own group, so that Ctrl-C reaches us and not the agent in the middle of a turn, and
        // so that all it has started ends with it.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(io::Error::other("the agent has no standard streams"));
        };
        let said = Arc::new(Mutex::new(VecDeque::new()));
        // Ends with the stream, which ends with the process.
        tokio::spawn(keep_tail(stderr, said.clone()));
        let id = child.id();
        Ok((Process { child, id, stderr: said }, stdin, stdout))
    }

    /// Waits a moment for the end of a process whose output has ended.
    pub(super) async fn exit(&mut self) -> Option<ExitStatus> {
        timeout(EXIT_WAIT, self.child.wait()).await.ok()?.ok()
    }

    /// Returns the end of what it wrote on stderr.
    pub(super) fn stderr(&self) -> String {
        let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.iter().copied().collect::<Vec<u8>>()).trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(group) =
            self.id.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // Fails if nothing of the group is left, which is what is wanted.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        #[cfg(not(unix))]
        let _ = self.id;
        // The child itself is killed and reaped by its own drop.
    }
}

async fn keep_tail(mut stderr: ChildStderr, kept: Arc<Mutex<VecDeque<u8>>>) {
    let mut bytes = [0; 1024];
    while let Ok(n @ 1..) = stderr.read(&mut bytes).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&bytes[..n]);
        let over = kept.len().saturating_sub(STDERR_BYTES_MAX);
        kept.drain(..over);
    }
}
