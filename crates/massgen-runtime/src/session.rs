//! A running question: start it, watch it, tell it something, wait for its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use massgen_log::{
    LogError, NewRun, ReadError, Redactor, ReservedRun, RunDir, Writer, WriterOptions,
};
use massgen_models::ConnectError;
use massgen_prompts::{PromptError, Prompts};
use massgen_protocol::{
    AgentCard, AgentId, AgentIndex, AgentSpec, EventBody, Op, Outcome, RunId, RunSpec, Spend,
};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::driver::{Driver, Parts};
use crate::fanout::{Fanout, Watch};
use crate::replay::{Divergence, rebuild};
use crate::{Engine, Seams, Subscription};

/// Wishes that may wait for the loop; a user types no faster.
const OPS_MAX: usize = 16;

/// Reaches the model of an agent.
pub type Connect =
    Arc<dyn Fn(&AgentSpec) -> Result<Arc<massgen_models::Driver>, ConnectError> + Send + Sync>;

/// What a session needs besides its spec.
pub struct SessionOptions {
    /// Runs are kept under `<state_dir>/runs`.
    pub state_dir: PathBuf,
    pub config_path: Option<PathBuf>,
    /// The program and its version, for the log.
    pub build: String,
    pub connect: Connect,
    pub seams: Seams,
    /// The folder claimed for the run, if its workspaces and servers had to be made before.
    pub reserved: Option<ReservedRun>,
    /// What there is to say of the machine when the run begins or goes on: events for people.
    pub opening: Vec<EventBody>,
    /// Texts that replace ours, by name.
    pub prompts: BTreeMap<String, String>,
    /// Planted crash, for tests: the process kills itself after this event.
    pub crash_after: Option<u64>,
}

/// Why a session does not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("failed to keep the run's log")]
    Log(#[source] LogError),
    #[error("failed to read the run's log")]
    Read(#[source] ReadError),
    #[error("failed to start agent `{agent}`")]
    Connect {
        agent: AgentId,
        #[source]
        source: ConnectError,
    },
    #[error("failed to load the prompt texts")]
    Prompts(#[source] PromptError),
    #[error("event {} of the log does not follow from those before it", .0.seq)]
    Diverges(Box<Divergence>),
    #[error("the run is already finished")]
    Finished,
}

/// How a session's process part ended.
#[derive(Clone, Debug)]
pub struct Finished {
    pub run: RunId,
    pub path: PathBuf,
    /// `None`: stopped by the user; the run can be resumed.
    pub outcome: Option<Outcome>,
    /// The text to give to the user.
    pub answer: Option<Arc<String>>,
    pub spent: Spend,
    /// Wall time of the run so far, pauses between processes left out.
    pub elapsed_ms: u64,
    /// Whether the log is complete.
    pub is_recorded: bool,
}

/// A running question.
pub struct Session {
    run: RunDir,
    ops: mpsc::Sender<Op>,
    watch: Watch,
    task: JoinHandle<Finished>,
}

impl Session {
    /// Starts a new run. Nothing is called before the run's folder exists.
    pub fn start(spec: RunSpec, options: SessionOptions) -> Result<Session, StartError> {
        let prompts = Prompts::new(options.prompts.clone()).map_err(StartError::Prompts)?;
        let backends = connect_all(&spec, &options)?;
        let redactor = Arc::new(Redactor::for_spec(&spec).map_err(StartError::Log)?);
        let new = NewRun {
            started_at: SystemTime::now(),
            build: options.build.clone(),
            config_path: options.config_path.as_ref().map(|path| path.display().to_string()),
            cwd: std::env::current_dir().unwrap_or_default().display().to_string(),
            spec: spec.clone(),
        };
        let reserved = match options.reserved {
            Some(reserved) => reserved,
            None => RunDir::reserve(&options.state_dir, new.started_at).map_err(StartError::Log)?,
        };
        let run = RunDir::create_in(reserved, new, &redactor).map_err(StartError::Log)?;
        let writer_options = WriterOptions { crash_after: options.crash_after };
        let writer =
            Writer::create(&run, redactor.clone(), writer_options).map_err(StartError::Log)?;
        let mut first = vec![
            EventBody::RunStarted {
                run: run.id().clone(),
                build: options.build,
                agents: cards(&spec),
            },
            EventBody::QuestionAsked { question: run.manifest().spec.question.clone() },
        ];
        first.extend(options.opening);
        // What the log keeps is what the run is about: a resumed one knows no other spec.
        let kept = Arc::new(run.manifest().spec.clone());
        let engine = Engine::new(kept, prompts);
        let seams = options.seams;
        let parts = Parts { run, writer, engine, backends, redactor, seams, offset_ms: 0 };
        Ok(Session::spawn(parts, first))
    }

    /// Continues a run that was killed or stopped. `spec` is the manifest's, with its
    /// keys looked up again. Calls that had finished are not made again.
    pub fn resume(
        run: RunDir,
        spec: RunSpec,
        options: SessionOptions,
    ) -> Result<Session, StartError> {
        let prompts = Prompts::new(options.prompts.clone()).map_err(StartError::Prompts)?;
        let backends = connect_all(&spec, &options)?;
        let redactor = Arc::new(Redactor::for_spec(&spec).map_err(StartError::Log)?);
        let writer_options = WriterOptions { crash_after: options.crash_after };
        let resumed =
            Writer::resume(&run, redactor.clone(), writer_options).map_err(StartError::Log)?;
        let writer = resumed.writer;
        let mut engine = Engine::new(Arc::new(spec.clone()), prompts);
        let last = rebuild(&mut engine, &resumed.events)?;
        if engine.is_finished() {
            return Err(StartError::Finished);
        }
        let mut first = Vec::new();
        if writer.next_seq() == 0 {
            // Killed before its first event: nothing has happened yet.
            first.push(EventBody::RunStarted {
                run: run.id().clone(),
                build: options.build.clone(),
                agents: cards(&spec),
            });
        } else {
            first.push(EventBody::RunResumed { build: options.build.clone() });
        }
        if engine.is_fresh() {
            first.push(EventBody::QuestionAsked { question: spec.question.clone() });
        }
        first.extend(options.opening);
        let seams = options.seams;
        let offset_ms = last.0;
        let parts = Parts { run, writer, engine, backends, redactor, seams, offset_ms };
        Ok(Session::spawn(parts, first))
    }

    fn spawn(parts: Parts, first: Vec<EventBody>) -> Session {
        let run = parts.run.clone();
        let (fanout, watch) = Fanout::new(run.clone());
        let (ops, wishes) = mpsc::channel(OPS_MAX);
        let task = tokio::spawn(Driver::new(parts, fanout).run(first, wishes));
        Session { run, ops, watch, task }
    }

    pub fn run(&self) -> &RunDir {
        &self.run
    }

    pub fn path(&self) -> &Path {
        self.run.path()
    }

    /// Watches the run from its first event on, those of earlier processes included.
    pub fn subscribe(&self) -> Subscription {
        self.watch.watch(0)
    }

    /// Watches from event `seq` on.
    pub fn subscribe_from(&self, seq: u64) -> Subscription {
        self.watch.watch(seq)
    }

    /// Tells the session what the user wants. Too late is no error.
    pub async fn send(&self, op: Op) {
        let _ = self.ops.send(op).await;
    }

    /// Returns a handle that can tell the session something from elsewhere.
    pub fn ops(&self) -> mpsc::Sender<Op> {
        self.ops.clone()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If the loop itself panicked; its message names the event to replay from.
    pub async fn join(self) -> Finished {
        match self.task.await {
            Ok(finished) => finished,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => unreachable!("nobody aborts the loop: {error}"),
        }
    }
}

/// Rebuilds the start of a run's engine, without anything of the outside.
pub(crate) fn engine_of(run: &RunDir) -> Result<Engine, StartError> {
    let prompts = Prompts::new(BTreeMap::new()).map_err(StartError::Prompts)?;
    Ok(Engine::new(Arc::new(run.manifest().spec.clone()), prompts))
}

fn connect_all(
    spec: &RunSpec,
    options: &SessionOptions,
) -> Result<Vec<Arc<massgen_models::Driver>>, StartError> {
    spec.agents
        .iter()
        .map(|agent| {
            (options.connect)(agent)
                .map_err(|source| StartError::Connect { agent: agent.id.clone(), source })
        })
        .collect()
}

fn cards(spec: &RunSpec) -> Vec<AgentCard> {
    let card = |(at, agent): (u16, &AgentSpec)| AgentCard {
        id: agent.id.clone(),
        alias: AgentIndex(at),
        model: agent.backend.model.clone(),
        backend: agent.backend.kind.clone(),
    };
    (0..).zip(&spec.agents).map(card).collect()
}
