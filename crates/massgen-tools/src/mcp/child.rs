//! A server that is a child process: its pipes, its last words, and its end.

use std::collections::VecDeque;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, RequestId};
use rmcp::model::{JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::failure::Redactor;
use super::launch::Prepared;
use super::limits::{GRACE, LAST_LINE_MAX, LAST_LINES, MESSAGE_MAX, PROBE};
use super::text;

/// Messages to and from a child process, one a line. What is no message is passed over: many a
/// server prints a greeting where its messages go.
pub(super) struct ChildTransport {
    pipes: AsyncRwTransport<RoleClient, ChildStdout, ChildStdin>,
    family: Family,
    probe: Probe,
}

impl ChildTransport {
    /// Starts the command in a process group of its own.
    pub(super) fn spawn(
        prepared: Prepared,
        words: &Arc<LastWords>,
        connect: Duration,
    ) -> io::Result<ChildTransport> {
        let Prepared { mut command, supervised } = prepared;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        // A supervisor that is killed cannot end the others.
        command.kill_on_drop(!supervised);
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let family = Family::of(child, supervised);
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(io::Error::other("a pipe of the process is missing"));
        };
        words.listen(stderr);
        let pipes = AsyncRwTransport::new(stdout, stdin).with_max_line_length(MESSAGE_MAX);
        Ok(ChildTransport { pipes, family, probe: Probe::new(connect) })
    }
}

impl Transport<RoleClient> for ChildTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.probe.sent(&message);
        self.pipes.send(message)
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let message = match self.probe.deadline() {
                None => self.pipes.receive().await,
                Some(deadline) => tokio::select! {
                    message = self.pipes.receive() => message,
                    () = sleep_until(deadline) => return self.probe.answer_ourselves(),
                },
            };
            match message {
                Some(message) if self.probe.is_late(&message) => {}
                message => return message,
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        // A server that reads no more keeps the pipe locked by a message that does not fit.
        let _ = timeout(Duration::from_millis(100), self.pipes.close()).await;
        self.family.end().await;
        Ok(())
    }
}

/// The question for a server's era. Old servers should refuse it; some say nothing, and some
/// answer it long after, when they are asked something else already.
struct Probe {
    patience: Duration,
    asked: Option<(RequestId, Instant)>,
    late: Vec<RequestId>,
}

impl Probe {
    /// Leaves most of the time to connect to the handshake after it.
    fn new(connect: Duration) -> Probe {
        Probe { patience: PROBE.min(connect / 3), asked: None, late: Vec::new() }
    }

    fn sent(&mut self, message: &ClientJsonRpcMessage) {
        let JsonRpcMessage::Request(request) = message else { return };
        if let Some((id, _)) = self.asked.take() {
            self.late.push(id);
        }
        if matches!(request.request, ClientRequest::DiscoverRequest(_)) {
            self.asked = Some((request.id.clone(), Instant::now() + self.patience));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.asked.as_ref().map(|(_, deadline)| *deadline)
    }

    fn answer_ourselves(&mut self) -> Option<ServerJsonRpcMessage> {
        let (id, _) = self.asked.take()?;
        self.late.push(id.clone());
        let refusal = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "no answer", None);
        Some(ServerJsonRpcMessage::error(refusal, Some(id)))
    }

    fn is_late(&mut self, message: &ServerJsonRpcMessage) -> bool {
        let id = match message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        if id.is_some() && self.asked.as_ref().map(|(id, _)| id) == id {
            self.asked = None;
        }
        id.is_some_and(|id| self.late.contains(id))
    }
}

/// A process with all it started. Ends with the value.
struct Family {
    child: Child,
    hold: Hold,
}

enum Hold {
    /// The sandbox's supervisor ends all that ever came of the process.
    Supervised(massgen_sandbox::Tree),
    /// A trusted server's; what leaves the group is trusted to end by itself.
    #[cfg(unix)]
    Group(rustix::process::Pid),
    Alone,
}

impl Family {
    fn of(child: Child, supervised: bool) -> Family {
        if supervised {
            let tree = massgen_sandbox::Tree::of(&child);
            return Family { child, hold: Hold::Supervised(tree) };
        }
        #[cfg(unix)]
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        #[cfg(unix)]
        if let Some(group) = group.and_then(rustix::process::Pid::from_raw) {
            return Family { child, hold: Hold::Group(group) };
        }
        Family { child, hold: Hold::Alone }
    }

    /// Waits for the end that closed pipes mean, then asks for it, then makes it.
    async fn end(&mut self) {
        if timeout(GRACE, self.child.wait()).await.is_err() {
            self.ask();
            let _ = timeout(GRACE, self.child.wait()).await;
        }
        self.kill();
        let _ = timeout(GRACE, self.child.wait()).await;
    }

    fn ask(&self) {
        match &self.hold {
            Hold::Supervised(tree) => tree.ask(),
            #[cfg(unix)]
            Hold::Group(group) => {
                let _ = rustix::process::kill_process_group(*group, rustix::process::Signal::TERM);
            }
            Hold::Alone => {}
        }
    }

    fn kill(&mut self) {
        // Once only: later the number may belong to somebody else.
        match std::mem::replace(&mut self.hold, Hold::Alone) {
            Hold::Supervised(tree) => tree.end(),
            #[cfg(unix)]
            Hold::Group(group) => {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            Hold::Alone => {}
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of what a server wrote to its standard error.
pub(super) struct LastWords {
    redactor: Redactor,
    lines: Arc<Mutex<VecDeque<String>>>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl LastWords {
    pub(super) fn new(redactor: Redactor) -> Arc<LastWords> {
        Arc::new(LastWords { redactor, lines: Arc::default(), listening: Mutex::new(None) })
    }

    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    fn listen(&self, mut stderr: ChildStderr) {
        let lines = self.lines.clone();
        lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let task = tokio::spawn(async move {
            let mut chunk = [0; 4_096];
            let mut line = Vec::new();
            while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
                for &byte in &chunk[..n] {
                    match byte {
                        b'\n' => keep(&lines, &mut line),
                        _ if line.len() < LAST_LINE_MAX => line.push(byte),
                        _ => {}
                    }
                }
            }
            keep(&lines, &mut line);
        });
        let before = self.listening.lock().unwrap_or_else(PoisonError::into_inner).replace(task);
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Returns what the server said last, for a message about its failure; empty if nothing.
    pub(super) async fn take(&self) -> String {
        let task = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task {
            // It has ended, so the pipe soon does too, unless a child of its own holds it.
            if timeout(Duration::from_millis(300), &mut task).await.is_err() {
                task.abort();
            }
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.redactor.clean(&lines.join("\n"))
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let task = self.listening.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

fn keep(lines: &Mutex<VecDeque<String>>, line: &mut Vec<u8>) {
    let said = text::clean(&String::from_utf8_lossy(line));
    line.clear();
    if said.trim().is_empty() {
        return;
    }
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push_back(said.trim_end().to_owned());
    if lines.len() > LAST_LINES {
        lines.pop_front();
    }
}
