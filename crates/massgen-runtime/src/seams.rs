//! What the loop needs of the world besides models: workspaces, and tools.

use std::sync::Arc;

use futures::future::BoxFuture;
use massgen_protocol::{
    AgentIndex, Alias, AnswerId, PermissionAnswer, RoundId, RoundKind, SnapshotId, ToolCall,
    ToolCallId, ToolOutput, ToolReport,
};

/// Copies workspaces, and lays out for an agent what it may see of the others' work.
pub trait Snapshots: Send + Sync {
    /// Copies the agent's workspace as it is now; complete or an error, never half.
    /// The same answer may be asked for twice after a resume.
    fn take(&self, answer: AnswerId) -> BoxFuture<'static, Result<SnapshotId, String>>;

    /// Returns whether the agent has files at all; one without is never asked for a view.
    fn has_files(&self, _agent: AgentIndex) -> bool {
        false
    }

    /// Makes ready what the round's next call may see. Asked before every model and tool
    /// call, also again after a resume; what is there already costs nothing.
    fn prepare(&self, _view: FilesView) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What a round may see of the others' work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesView {
    pub round: RoundId,
    pub kind: RoundKind,
    /// The answers its transcript shows, with their copies: one of each agent.
    pub answers: Vec<(AnswerId, SnapshotId)>,
    /// Evidence of findings: who shared it, which of theirs in this run, and its copy.
    pub evidence: Vec<(Alias, u32, SnapshotId)>,
    /// The answer that is presented; its copy goes into the agent's workspace.
    pub presents: Option<(AnswerId, SnapshotId)>,
}

/// Runs tools for agents. What they are called is in the run's spec.
pub trait Tools: Send + Sync {
    /// Runs one call. Dropping the future cancels it.
    fn call(&self, request: ToolRequest) -> BoxFuture<'static, ToolOutput>;

    /// Passes on what became of a permission that a call asked for.
    fn permit(&self, _round: RoundId, _id: &ToolCallId, _answer: PermissionAnswer) {}
}

/// One call, and where its reports go.
pub struct ToolRequest {
    pub agent: AgentIndex,
    pub round: RoundId,
    pub kind: RoundKind,
    pub call: ToolCall,
    pub reports: ToolReports,
}

/// Takes what a running call has to say. It never waits; what comes too fast is dropped.
pub type ToolReports = Arc<dyn Fn(ToolReport) + Send + Sync>;

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
    fn call(&self, request: ToolRequest) -> BoxFuture<'static, ToolOutput> {
        let text = format!("there is no tool `{}`", request.call.name);
        Box::pin(std::future::ready(ToolOutput::error(text)))
    }
}
