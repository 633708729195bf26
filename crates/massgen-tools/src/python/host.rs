//! Owns the Python process of one agent: starts it, passes calls on, ends it where a call that
//! nobody waits for any more cannot be ended otherwise, and starts it again when it is needed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use massgen_protocol::{PythonToolSpec, ToolReport};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::child::{Heard, Launch, Process};
use super::wire::{Answer, Ask, Loaded, Said, Wanted};
use crate::Reports;

/// To load all files: importing what they need may take long, but not as long as a call.
pub(super) const LOAD_TIME: Duration = Duration::from_secs(60);
/// For a call that was given up to end by itself, before the process is.
const GRACE: Duration = Duration::from_millis(500);
/// Of what one call prints, passed on to people.
const PRINTED_BYTES_MAX: usize = 256 << 10;
const REQUESTS_MAX: usize = 64;

/// The way to the process. The last one dropped ends it.
#[derive(Clone)]
pub(super) struct Host {
    requests: mpsc::Sender<Request>,
    next: Arc<AtomicU64>,
}

/// What was found when the tools were first loaded.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub tools: BTreeMap<String, Result<Loaded, String>>,
    /// Set if it did not come to the end.
    pub broke: Option<String>,
}

enum Request {
    Call { id: u64, tool: String, arguments: Map<String, Value>, reports: Reports, reply: Reply },
    GiveUp { id: u64 },
}

type Reply = oneshot::Sender<Result<Answer, String>>;

impl Host {
    /// Starts the process and loads the tools.
    pub async fn start(
        launch: Launch,
        specs: Vec<PythonToolSpec>,
        given: Map<String, Value>,
    ) -> (Host, Found) {
        let (requests, taken) = mpsc::channel(REQUESTS_MAX);
        let mut actor = Actor {
            launch,
            specs,
            given,
            process: None,
            calls: BTreeMap::new(),
            grace: BTreeMap::new(),
        };
        let found = actor.load_first().await;
        tokio::spawn(actor.run(taken));
        (Host { requests, next: Arc::new(AtomicU64::new(1)) }, found)
    }

    /// Makes one call. Giving up the future ends the call, if need be with the process.
    ///
    /// # Errors
    /// What the function raised, or what became of the process, in words for the model.
    pub async fn call(
        &self,
        tool: String,
        arguments: Map<String, Value>,
        reports: Reports,
        time: Duration,
    ) -> Result<Answer, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let _hangup = Hangup { id, requests: self.requests.clone() };
        let ended = || "the Python process of this agent has ended".to_owned();
        let asked = async {
            let request = Request::Call { id, tool, arguments, reports, reply };
            self.requests.send(request).await.map_err(|_| ended())?;
            answer.await.map_err(|_| ended())?
        };
        match tokio::time::timeout(time, asked).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(format!("it did not end within {:.1} s, and was ended", time.as_secs_f64()))
            }
        }
    }
}

/// Tells that nobody waits for a call; one that has been answered is unknown then.
struct Hangup {
    id: u64,
    requests: mpsc::Sender<Request>,
}

impl Drop for Hangup {
    fn drop(&mut self) {
        let give_up = Request::GiveUp { id: self.id };
        if let Err(mpsc::error::TrySendError::Full(give_up)) = self.requests.try_send(give_up) {
            let requests = self.requests.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { requests.send(give_up).await });
            }
        }
    }
}

struct Call {
    reports: Reports,
    reply: Reply,
    n_printed: usize,
}

struct Actor {
    launch: Launch,
    specs: Vec<PythonToolSpec>,
    given: Map<String, Value>,
    process: Option<Process>,
    calls: BTreeMap<u64, Call>,
    /// Calls that were given up, and when the process is ended for them.
    grace: BTreeMap<u64, Instant>,
}

enum Happened {
    Asked(Option<Request>),
    Heard(Option<Heard>),
    GraceOver,
}

impl Actor {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            let patience = self.grace.values().min().copied();
            let happened = tokio::select! {
                request = requests.recv() => Happened::Asked(request),
                heard = hear(&mut self.process) => Happened::Heard(heard),
                () = until(patience) => Happened::GraceOver,
            };
            match happened {
                Happened::Asked(None) => return,
                Happened::Asked(Some(Request::GiveUp { id })) => self.give_up(id),
                Happened::Asked(Some(Request::Call { id, tool, arguments, reports, reply })) => {
                    // Given up before it was passed on.
                    if !reply.is_closed() {
                        self.pass_on(id, &tool, &arguments, Call { reports, reply, n_printed: 0 });
                    }
                }
                Happened::Heard(Some(Heard::Said(said))) => self.take(said),
                Happened::Heard(Some(Heard::Aside(text))) => self.aside(text),
                Happened::Heard(Some(Heard::Flood)) => {
                    self.end("Python was ended, because it wrote a line without end where results go");
                }
                Happened::Heard(None) => self.ended().await,
                Happened::GraceOver => self.end(
                    "Python was ended with this call in it, because another call did not end; try it again",
                ),
            }
        }
    }

    async fn load_first(&mut self) -> Found {
        let mut found = Found::default();
        if let Err(problem) = self.start() {
            found.broke = Some(problem);
            return found;
        }
        let mut loading = String::new();
        let read = async {
            loop {
                match hear(&mut self.process).await {
                    Some(Heard::Said(Said::Ready)) => return None,
                    Some(Heard::Said(Said::Loading { tool })) => loading = tool,
                    Some(Heard::Said(Said::Loaded { tool, loaded })) => {
                        found.tools.insert(tool, loaded);
                    }
                    Some(Heard::Said(_) | Heard::Aside(_)) => {}
                    Some(Heard::Flood) | None => return Some(()),
                }
            }
        };
        let place = |loading: &str| {
            if loading.is_empty() { String::new() } else { format!(" while it loaded `{loading}`") }
        };
        match tokio::time::timeout(LOAD_TIME, read).await {
            Ok(None) => {}
            Ok(Some(())) => {
                let how = match self.process.take() {
                    Some(process) => process.end().await,
                    None => String::new(),
                };
                found.broke = Some(format!("Python ended{} ({how})", place(&loading)));
            }
            Err(_) => {
                self.process = None;
                found.broke = Some(format!(
                    "Python was not ready after {} s{}",
                    LOAD_TIME.as_secs(),
                    place(&loading)
                ));
            }
        }
        found
    }

    fn start(&mut self) -> Result<(), String> {
        let process = self.launch.start()?;
        let tools = self.specs.iter().map(Wanted::new).collect();
        process.ask(&Ask::Load { tools, given: self.given.clone() })?;
        self.process = Some(process);
        Ok(())
    }

    fn pass_on(&mut self, id: u64, tool: &str, arguments: &Map<String, Value>, call: Call) {
        let started = if self.process.is_some() { Ok(()) } else { self.start() };
        let asked = started.and_then(|()| match &self.process {
            Some(process) => process.ask(&Ask::Call { id, tool, arguments }),
            None => Err("Python is not there".to_owned()),
        });
        match asked {
            Ok(()) => drop(self.calls.insert(id, call)),
            Err(problem) => drop(call.reply.send(Err(problem))),
        }
    }

    fn give_up(&mut self, id: u64) {
        if self.calls.remove(&id).is_none() {
            return;
        }
        let asked = self.process.as_ref().map(|process| process.ask(&Ask::Cancel { id }));
        let grace = if matches!(asked, Some(Ok(()))) { GRACE } else { Duration::ZERO };
        self.grace.insert(id, Instant::now() + grace);
    }

    fn take(&mut self, said: Said) {
        match said {
            Said::Printed { id, text } => self.print(id, text),
            Said::Ended { id, answer } => {
                self.grace.remove(&id);
                if let Some(call) = self.calls.remove(&id) {
                    drop(call.reply.send(answer));
                }
            }
            Said::Cancelled { id, ended: true } => drop(self.grace.remove(&id)),
            // It runs in a thread, which only ends with the process.
            Said::Cancelled { id, ended: false } => {
                if let Some(patience) = self.grace.get_mut(&id) {
                    *patience = Instant::now();
                }
            }
            // A process that was started again loads the same files.
            Said::Loading { .. } | Said::Loaded { .. } | Said::Ready => {}
            Said::Garbage => {
                self.aside("(a line on Python's result channel that is no result)\n".to_owned())
            }
        }
    }

    /// Goes to the one call that runs; with several it cannot be told whose it is.
    fn aside(&mut self, text: String) {
        if let (1, Some(id)) = (self.calls.len(), self.calls.keys().next().copied()) {
            self.print(id, text);
        }
    }

    fn print(&mut self, id: u64, text: String) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.n_printed > PRINTED_BYTES_MAX {
            return;
        }
        call.n_printed += text.len();
        call.reports.say(ToolReport::Output { text });
        if call.n_printed > PRINTED_BYTES_MAX {
            call.reports.say(ToolReport::Output {
                text: "\n[what it prints from here on is not shown]\n".to_owned(),
            });
        }
    }

    fn end(&mut self, why: &str) {
        self.process = None;
        self.fail_all(why);
    }

    async fn ended(&mut self) {
        if let Some(process) = self.process.take() {
            let how = process.end().await;
            self.fail_all(&format!(
                "Python ended during the call ({how}); it is started again for the next one"
            ));
        }
    }

    fn fail_all(&mut self, why: &str) {
        self.grace.clear();
        for (_, call) in std::mem::take(&mut self.calls) {
            drop(call.reply.send(Err(why.to_owned())));
        }
    }
}

async fn hear(process: &mut Option<Process>) -> Option<Heard> {
    match process {
        Some(process) => process.hear().await,
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
