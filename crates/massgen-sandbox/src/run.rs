//! Runs one command to its end.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::{Instant, sleep_until, timeout};

use crate::capture::{Capture, Pieces};
use crate::plan::{Exceeded, Report};
use crate::{Confinement, Sandbox, Stream, Tree};

/// From being asked to end to being made to.
pub(crate) const GRACE: Duration = Duration::from_millis(1_500);

/// How long the supervisor may take to end what is left after that.
const END: Duration = Duration::from_millis(4_000);

/// Once all processes have ended, what they printed is in the pipes and quickly read. Only a
/// process that got away (without a sandbox) could keep one open.
const DRAIN: Duration = Duration::from_millis(500);

/// Read at once.
const PIECE_BYTES: usize = 16 << 10;

/// One command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Found by the `PATH` of the sandbox if it has no slash.
    pub program: String,
    pub args: Vec<String>,
    /// On top of a minimal environment.
    pub env: BTreeMap<String, String>,
    pub stdin: Stdin,
    /// Instead of the limit of the confinement.
    pub time_ms: Option<u64>,
}

impl Run {
    pub fn new<I: Into<String>>(
        program: impl Into<String>,
        args: impl IntoIterator<Item = I>,
    ) -> Run {
        Run {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            ..Run::default()
        }
    }
}

/// What a program reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    #[default]
    Nothing,
    Bytes(Vec<u8>),
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    pub ended: Ended,
    /// With a line that says how much is left out, if any is.
    pub stdout: String,
    pub stderr: String,
    /// Bytes of both that were not kept.
    pub left_out: u64,
    /// The bound that ended it, where that can be told.
    pub exceeded: Option<Exceeded>,
    pub took: Duration,
}

impl Outcome {
    pub fn success(&self) -> bool {
        self.ended == Ended::Exit(0)
    }

    pub fn timed_out(&self) -> bool {
        self.ended == Ended::TimedOut
    }

    fn not_started(why: String) -> Outcome {
        Outcome {
            ended: Ended::NotStarted(why),
            stdout: String::new(),
            stderr: String::new(),
            left_out: 0,
            exceeded: None,
            took: Duration::ZERO,
        }
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Exit(i32),
    Signal(i32),
    TimedOut,
    /// Why, for a person.
    NotStarted(String),
}

/// Why a command could not be made.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Unstartable {
    #[error("`{0}` is no absolute path")]
    Relative(String),
    #[error("the path `{0}` is no UTF-8")]
    NotText(String),
    #[error("the folder `{0}` is not there")]
    NoFolder(String),
    #[error("`{name}` {fault}")]
    Environment { name: String, fault: &'static str },
    #[error("an argument has a NUL in it")]
    Nul,
}

impl Sandbox {
    /// Runs a command to its end, and ends all processes it has started. `on_output` gets what
    /// it prints as it comes. Dropping the future ends them too.
    pub async fn run(
        &self,
        confinement: &Confinement,
        run: Run,
        mut on_output: impl FnMut(Stream, &str) + Send,
    ) -> Outcome {
        let begun = Instant::now();
        let time_ms = run.time_ms.unwrap_or(confinement.limits.time_ms);
        let deadline = begun + Duration::from_millis(time_ms);
        let report = self.new_report();
        let made = self.make(
            confinement,
            &run.program,
            &run.args,
            &run.env,
            report.path().map(Into::into),
        );
        let mut command = match made {
            Ok(command) => command,
            Err(error) => return Outcome::not_started(error.to_string()),
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(match run.stdin {
            Stdin::Nothing => Stdio::null(),
            Stdin::Bytes(_) => Stdio::piped(),
        });
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                return Outcome::not_started(format!("failed to start the sandbox: {error}"));
            }
        };
        let tree = Tree::of(&child);
        let stdin = child.stdin.take();
        let write = async move {
            if let (Some(mut pipe), Stdin::Bytes(bytes)) = (stdin, run.stdin) {
                // A program that does not read to the end is no failure.
                let _ = pipe.write_all(&bytes).await;
            }
        };
        let stdout = Reader::new(child.stdout.take(), Stream::Stdout, confinement);
        let stderr = Reader::new(child.stderr.take(), Stream::Stderr, confinement);
        let (mut stdout, mut stderr) = (stdout, stderr);
        let mut timed_out = false;
        {
            let mut write = std::pin::pin!(write);
            let mut written = false;
            loop {
                tokio::select! {
                    piece = stdout.next() => on_output(Stream::Stdout, &piece),
                    piece = stderr.next() => on_output(Stream::Stderr, &piece),
                    () = &mut write, if !written => written = true,
                    _ = child.wait() => break,
                    () = sleep_until(deadline), if !timed_out => {
                        timed_out = true;
                        tree.ask();
                    }
                    () = sleep_until(deadline + GRACE + END), if timed_out => {
                        end_hard(&mut child, &tree);
                        break;
                    }
                }
            }
        }
        let drained = timeout(DRAIN, async {
            while !(stdout.ended() && stderr.ended()) {
                tokio::select! {
                    piece = stdout.next() => on_output(Stream::Stdout, &piece),
                    piece = stderr.next() => on_output(Stream::Stderr, &piece),
                }
            }
        });
        // What is not in the pipes by now was printed by nobody of this call.
        let _ = drained.await;
        let status = timeout(END, child.wait()).await.ok().and_then(Result::ok);
        let report = report.read();
        let ended = match (timed_out, &report, status) {
            (true, _, _) => Ended::TimedOut,
            (false, Some(Report { signal: Some(signal), .. }), _) => Ended::Signal(*signal),
            (false, Some(Report { code: Some(code), .. }), _) => Ended::Exit(*code),
            (false, _, Some(status)) => plain(status),
            (false, _, None) => Ended::Signal(9),
        };
        let exceeded = report.and_then(|report| report.exceeded);
        let (stdout, left_out_there) = stdout.capture.finish();
        let (stderr, left_out_here) = stderr.capture.finish();
        Outcome {
            ended,
            stdout,
            stderr,
            left_out: left_out_there + left_out_here,
            exceeded,
            took: begun.elapsed(),
        }
    }
}

fn plain(status: std::process::ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt;

    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Signal(9),
    }
}

/// For a supervisor that does not do its work: its processes first, itself last.
fn end_hard(child: &mut Child, tree: &Tree) {
    if let Some(root) = child.id().and_then(|id| i32::try_from(id).ok()) {
        for (pid, _) in crate::tree::descendants(root) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
    tree.end();
    let _ = child.start_kill();
}

/// Reads one stream: all of it, or the program would wait for somebody to read.
struct Reader<R> {
    pipe: Option<R>,
    capture: Capture,
    pieces: Pieces,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    fn new(pipe: Option<R>, stream: Stream, confinement: &Confinement) -> Reader<R> {
        let kept = confinement.limits.output_bytes;
        // Most of what programs print, and what is asked for, is on the standard output.
        let kept = match stream {
            Stream::Stdout => kept - kept / 4,
            Stream::Stderr => kept / 4,
        };
        Reader {
            pipe,
            capture: Capture::new(kept),
            pieces: Pieces::default(),
            buffer: vec![0; PIECE_BYTES],
        }
    }

    fn ended(&self) -> bool {
        self.pipe.is_none()
    }

    /// Returns the next text; never, once the stream has ended.
    async fn next(&mut self) -> String {
        loop {
            let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
            let n_read = pipe.read(&mut self.buffer).await.unwrap_or(0);
            let text = if n_read == 0 {
                self.pipe = None;
                std::mem::take(&mut self.pieces).finish()
            } else {
                let piece = &self.buffer[..n_read];
                self.capture.take(piece);
                self.pieces.take(piece)
            };
            // An empty end tells whoever waits for both streams that this one is through.
            if !text.is_empty() || self.pipe.is_none() {
                return text;
            }
        }
    }
}
