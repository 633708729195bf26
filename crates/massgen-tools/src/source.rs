//! What a source of tools is to the host.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use massgen_protocol::{
    AgentIndex, OfferedTool, RoundId, RoundKind, ToolCallId, ToolOutput, ToolReport,
};
use serde_json::{Map, Value};

/// Offers tools to one agent, or to all where it is shared.
///
/// Contract: `tools` is the same during a run. `call` bounds its own time and output, never
/// panics on any argument, and dropping its future ends all that it started. What the model
/// got wrong is a [`ToolOutput`] with `is_error` that says what to do instead.
pub trait ToolSource: Send + Sync {
    fn tools(&self) -> Vec<OfferedTool>;

    fn call(&self, call: Invocation) -> BoxFuture<'static, ToolOutput>;
}

/// One call of a tool that the gate has let through.
#[derive(Clone)]
pub struct Invocation {
    pub agent: AgentIndex,
    pub round: RoundId,
    pub kind: RoundKind,
    pub id: ToolCallId,
    /// As offered, prefix included.
    pub name: String,
    pub arguments: Map<String, Value>,
    pub reports: Reports,
}

/// Takes what a running call has to say.
#[derive(Clone)]
pub struct Reports(Arc<dyn Fn(ToolReport) + Send + Sync>);

impl Reports {
    pub fn new(take: impl Fn(ToolReport) + Send + Sync + 'static) -> Reports {
        Reports(Arc::new(take))
    }

    /// For calls that nobody listens to.
    pub fn none() -> Reports {
        Reports::new(|_| {})
    }

    pub fn say(&self, report: ToolReport) {
        (self.0)(report);
    }
}

/// What a source is made with: an agent's folders and what confines what it runs.
#[derive(Clone)]
pub struct Equipment {
    pub agent: AgentIndex,
    /// Opens files as the agent may.
    pub guard: Arc<massgen_workspace::Guard>,
    pub sandbox: Arc<massgen_sandbox::Sandbox>,
    /// Where its commands run, and what they may touch.
    pub confinement: massgen_sandbox::Confinement,
    /// The agent's workspace.
    pub workspace: PathBuf,
}

/// What became of making a source.
pub struct Sourced {
    pub source: Arc<dyn ToolSource>,
    /// What was asked for and is not to be had, in words for the model and the user.
    pub missing: Vec<String>,
}
