//! The Python process itself: what it is started with, and its lines.

use std::collections::{BTreeMap, VecDeque};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use massgen_sandbox::{Confinement, Sandbox, Tree};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::interpreter::Interpreter;
use super::wire::{Ask, Said};

const RUNNER: &str = include_str!("runner.py");
const SCHEMA: &str = include_str!("schema.py");
const STANDIN: &str = include_str!("standin.py");

/// Of one line: a result with its pictures is shorter.
const LINE_BYTES_MAX: usize = 32 << 20;
/// Lines that were not looked at yet; then the process waits.
const LINES_MAX: usize = 64;
/// Requests that the process did not take yet; calls beyond them are refused.
const REQUESTS_MAX: usize = 64;
/// Kept of what it printed past all calls, to tell why it ended.
const LAST_WORDS_BYTES: usize = 4_096;
/// Between its end and the moment that is known to us.
const END_TIME: Duration = Duration::from_secs(2);

/// All that is needed to start the process, again if need be.
pub(super) struct Launch {
    pub interpreter: Interpreter,
    pub sandbox: Arc<Sandbox>,
    pub confinement: Confinement,
}

/// A running process. Dropping it ends it and what it started.
pub(super) struct Process {
    child: Child,
    // Ends all that it started, too.
    _tree: Tree,
    requests: mpsc::Sender<Vec<u8>>,
    heard: mpsc::Receiver<Heard>,
    last_words: VecDeque<u8>,
    // Ended with the process.
    _tasks: JoinSet<()>,
}

/// What came from the process.
pub(super) enum Heard {
    Said(Said),
    /// Printed past Python's own streams: by C code, or programs it started.
    Aside(String),
    /// A line longer than any of ours: it does not speak our language any more.
    Flood,
}

impl Launch {
    /// # Errors
    /// Why it does not start, in words for people.
    pub fn start(&self) -> Result<Process, String> {
        let path = serde_json::to_string(&self.interpreter.path).unwrap_or_default();
        // Apart from all settings (`-I`), so that neither the environment nor a file in the
        // workspace decides what runs here; modules are looked for where the user's Python does.
        let args =
            ["-I", "-X", "utf8", "-c", RUNNER, SCHEMA, STANDIN, path.as_str()].map(str::to_owned);
        let env = BTreeMap::from([("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())]);
        let program = self.interpreter.program.to_string_lossy();
        let command = self.sandbox.command(&self.confinement, &program, &args, &env);
        let mut command = command.map_err(|error| format!("Python cannot be confined: {error}"))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| format!("Python does not start: {error}"))?;
        let tree = Tree::of(&child);
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("Python started without its pipes".to_owned());
        };
        let (requests, taken) = mpsc::channel(REQUESTS_MAX);
        let (tell, heard) = mpsc::channel(LINES_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(write_lines(stdin, taken));
        tasks.spawn(read_lines(BufReader::new(stdout), tell.clone()));
        tasks.spawn(read_asides(stderr, tell));
        Ok(Process {
            child,
            _tree: tree,
            requests,
            heard,
            last_words: VecDeque::new(),
            _tasks: tasks,
        })
    }
}

impl Process {
    /// # Errors
    /// If it takes nothing: it hangs, or it is gone.
    pub fn ask(&self, ask: &Ask<'_>) -> Result<(), String> {
        let mut line = serde_json::to_vec(ask).map_err(|error| error.to_string())?;
        line.push(b'\n');
        self.requests.try_send(line).map_err(|_| "Python takes no more calls".to_owned())
    }

    /// Returns what comes next; `None` after its end. Safe to give up.
    pub async fn hear(&mut self) -> Option<Heard> {
        let heard = self.heard.recv().await?;
        if let Heard::Aside(text) = &heard {
            self.last_words.extend(text.bytes());
            let over = self.last_words.len().saturating_sub(LAST_WORDS_BYTES);
            self.last_words.drain(..over);
        }
        Some(heard)
    }

    /// Waits for the end and tells how it came.
    pub async fn end(mut self) -> String {
        let status = match tokio::time::timeout(END_TIME, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "closed its output".to_owned(),
        };
        let (front, back) = self.last_words.as_slices();
        let said = String::from_utf8_lossy(&[front, back].concat()).trim().to_owned();
        if said.is_empty() { status } else { format!("{status}; last it said: {said}") }
    }
}

async fn write_lines(mut stdin: ChildStdin, mut lines: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn read_lines(mut stdout: impl AsyncBufReadExt + Unpin, tell: mpsc::Sender<Heard>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut stdout).take(LINE_BYTES_MAX as u64);
        match bounded.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let heard =
            if line.ends_with(b"\n") { Heard::Said(Said::read(&line)) } else { Heard::Flood };
        let is_flood = matches!(heard, Heard::Flood);
        if tell.send(heard).await.is_err() || is_flood {
            return;
        }
    }
}

async fn read_asides(mut stderr: impl AsyncRead + Unpin, tell: mpsc::Sender<Heard>) {
    let mut piece = vec![0; 8_192];
    while let Ok(n @ 1..) = stderr.read(&mut piece).await {
        let text = String::from_utf8_lossy(&piece[..n]).into_owned();
        if tell.send(Heard::Aside(text)).await.is_err() {
            return;
        }
    }
}
