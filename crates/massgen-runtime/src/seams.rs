//! What the loop needs of the world besides models: copies of workspaces, and tools.

use std::sync::Arc;

use futures::future::BoxFuture;
use massgen_protocol::{AgentIndex, AnswerId, SnapshotId, ToolCall, ToolEffect, ToolSpec};

/// Takes copies of workspaces.
pub trait Snapshots: Send + Sync {
    /// Copies the agent's workspace as it is now; complete or an error, never half.
    /// The same answer may be asked for twice after a resume.
    fn take(&self, answer: AnswerId) -> BoxFuture<'static, Result<SnapshotId, String>>;
}

/// Runs tools for agents.
pub trait Tools: Send + Sync {
    /// Tools of an agent, the same during the whole run; sorted by name by the caller.
    fn specs(&self, agent: AgentIndex) -> Vec<ToolSpec>;

    /// What a call of this tool does to the world.
    fn effect(&self, agent: AgentIndex, name: &str) -> ToolEffect;

    /// Runs one call. Dropping the future cancels it.
    fn call(&self, agent: AgentIndex, call: ToolCall) -> BoxFuture<'static, ToolOutput>;
}

/// What a tool gave back; bounded by the tool host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    pub text: String,
    pub is_error: bool,
}

/// Both seams of a session.
#[derive(Clone)]
pub struct Seams {
    pub snapshots: Arc<dyn Snapshots>,
    pub tools: Arc<dyn Tools>,
}

impl Default for Seams {
    fn default() -> Seams {
        Seams { snapshots: Arc::new(NoFiles), tools: Arc::new(NoTools) }
    }
}

/// Agents without workspaces: every answer has the empty snapshot.
pub struct NoFiles;

impl Snapshots for NoFiles {
    fn take(&self, _answer: AnswerId) -> BoxFuture<'static, Result<SnapshotId, String>> {
        Box::pin(std::future::ready(Ok(SnapshotId::empty())))
    }
}

/// Agents without tools of their own.
pub struct NoTools;

impl Tools for NoTools {
    fn specs(&self, _agent: AgentIndex) -> Vec<ToolSpec> {
        Vec::new()
    }

    fn effect(&self, _agent: AgentIndex, _name: &str) -> ToolEffect {
        ToolEffect::Read
    }

    fn call(&self, _agent: AgentIndex, call: ToolCall) -> BoxFuture<'static, ToolOutput> {
        let text = format!("there is no tool `{}`", call.name);
        Box::pin(std::future::ready(ToolOutput { text, is_error: true }))
    }
}
