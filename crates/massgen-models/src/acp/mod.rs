//! Agents of other makers that speak the Agent Client Protocol: one backend for all.
//!
//! The backend belongs to one agent of a team. It starts the agent's program at the first
//! call and keeps it, with one session, over the run. A call tells the agent what is new
//! since the last one (`prompt`), listens to its turn (`heard`, `turn`) and answers what it
//! asks (`link`, `permission`, `files`). The team's tools reach the agent as an MCP server
//! (`tools`, `bridge`); a call of one of them ends the turn. After a crash or a resume the
//! session is opened again where the agent keeps it (`session`), else told anew.

mod bridge;
mod files;
mod heard;
mod launch;
mod lines;
mod link;
mod permission;
mod process;
mod prompt;
mod session;
mod tools;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use massgen_protocol::{BackendSpec, BackendType, CallFailure, FailureKind, ModelCall, Secret};
use tokio::sync::Mutex;

pub use bridge::{BridgeCommand, run_bridge};

use crate::backend::{Backend, Beats};
use crate::failure::Failures;
use crate::registry::ConnectError;
use launch::Launch;
use permission::Mode;
use session::State;

/// An agent that is a program.
pub(crate) struct AcpBackend {
    agent: Arc<Agent>,
    // Locked by the one call that runs; a call that is dropped lets go of it.
    state: Arc<Mutex<State>>,
}

/// What is known of an agent before it runs.
#[derive(Debug)]
struct Agent {
    name: String,
    /// Of the notes of its session: `acp/claude_code`.
    format: String,
    launch: Launch,
    bridge: BridgeCommand,
    mode: Option<Mode>,
    mode_name: Option<String>,
    context_window: Option<u64>,
    words: Words,
    limits: Limits,
}

/// How long an agent is waited for, besides what it does in its turns.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// From its start to its first word: an interpreter is started, settings are read.
    initialize: Duration,
    /// The same where it is fetched before.
    fetch: Duration,
    /// To open a session: it starts its tool servers, ours among them.
    session: Duration,
    /// From then until it has looked at our tools. Those that do so later still do.
    tools: Duration,
    /// From a call that ends the turn to its end, so that the agent's last words are not lost.
    last_words: Duration,
    /// From being told to stop to its doing so; then its process is ended.
    cancel: Duration,
    /// While a tool of the agent's runs, silence is work, told this often.
    busy_beat: Duration,
}

const LIMITS: Limits = Limits {
    initialize: Duration::from_secs(60),
    fetch: Duration::from_secs(150),
    session: Duration::from_secs(60),
    tools: Duration::from_secs(10),
    last_words: Duration::from_secs(5),
    cancel: Duration::from_secs(5),
    busy_beat: Duration::from_secs(15),
};

/// Makes failures without anything secret.
#[derive(Debug)]
struct Words {
    failures: Failures,
    secrets: Vec<Secret>,
}

/// Shorter texts are no keys, and replacing them would garble messages.
const SECRET_BYTES_MIN: usize = 6;

impl Words {
    fn of(&self, kind: FailureKind, message: &str) -> CallFailure {
        let mut clean = message.to_owned();
        for secret in self.secrets.iter().filter(|s| s.expose().len() >= SECRET_BYTES_MIN) {
            clean = clean.replace(secret.expose(), "[key]");
        }
        self.failures.of(kind, &clean)
    }
}

impl Agent {
    /// Returns a failure whose message begins with the agent's name.
    fn fails(&self, kind: FailureKind, what: &str) -> CallFailure {
        self.words.of(kind, &format!("{}: {what}", self.launch.title))
    }
}

/// Makes the backend of an agent. Starts nothing.
pub(crate) fn connect(
    spec: &BackendSpec,
    row: &BackendType,
    bridge: BridgeCommand,
) -> Result<Arc<dyn Backend>, ConnectError> {
    let launch = Launch::new(spec, row)?;
    let mode_name = spec
        .params
        .get(permission::MODE_PARAM)
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let mode = match &mode_name {
        None => None,
        Some(name) => match Mode::of(name) {
            Some(mode) => Some(mode),
            None => {
                return Err(ConnectError::Param {
                    kind: spec.kind.clone(),
                    name: permission::MODE_PARAM,
                    value: name.clone(),
                    choices: Mode::NAMES,
                });
            }
        },
    };
    let model = launch.model.as_deref().unwrap_or(spec.model.trim());
    let agent = Agent {
        name: format!("{} {model}", spec.kind).trim_end().to_owned(),
        format: format!("acp/{}", spec.kind),
        words: Words {
            failures: Failures::new(spec.api_key.secret().cloned()),
            secrets: launch.secrets.clone(),
        },
        launch,
        bridge,
        mode,
        mode_name,
        context_window: spec.context_window,
        limits: LIMITS,
    };
    Ok(Arc::new(AcpBackend { agent: Arc::new(agent), state: Arc::default() }))
}

impl Backend for AcpBackend {
    fn name(&self) -> &str {
        &self.agent.name
    }

    fn call(&self, call: ModelCall) -> Beats {
        turn::beats(self.agent.clone(), self.state.clone(), call)
    }

    fn context_window(&self) -> Option<u64> {
        self.agent.context_window
    }
}
