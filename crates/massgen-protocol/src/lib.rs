//! The words every part of MassGen shares.
//!
//! A **run** answers one [`Question`] with a roster of **agents**. Each agent
//! works in **rounds**; a round ends in a submission, which is either a new
//! **answer** or a **vote**. Every accepted answer opens a new [`Epoch`] and
//! voids all votes. When all who can vote have voted, the winner presents.
//! Everything that happens is an [`Event`]; what a user may ask of a running
//! session is an [`Op`].
//!
//! This crate holds data only: no behaviour beyond parsing and printing, no
//! clock, no files, no network.

mod agents;
mod answer;
mod backends;
mod brief;
mod event;
mod id;
mod kept;
mod model;
mod op;
mod permission;
mod spec;
mod tool;
mod tooling;
mod version;

pub use agents::{AGENT_MODEL_DEFAULT, AgentProgram, ModelWish, agent_program, agent_programs};
pub use answer::{
    Ballot, Basis, FailReason, Outcome, Rejection, Reply, Review, RoundEnd, Submission,
};
pub use backends::{
    BackendType, Capabilities, ModelFacts, Status, WireFormat, backend_type, backend_type_of_url,
    backend_types, infer_backend_type, model_facts, models_of, models_source,
};
pub use brief::{Brief, Enforcement, Item, Update, WrapUpReason};
pub use event::{
    AgentCard, CloseReason, Deadline, Event, EventBody, RefusalReason, RetireReason, RoundKind,
    TextChannel,
};
pub use id::{
    AgentId, AgentIndex, Alias, AnswerId, AttemptIndex, CallId, Epoch, Millis, ParseIdError,
    RoundId, RunId, SnapshotId, ToolCallId,
};
pub use kept::{Kept, PayloadHash};
pub use model::{
    Arguments, AssistantTurn, CallFailure, FailureKind, FinishReason, Media, MediaKind,
    MediaSource, Message, ModelCall, ModelEvent, Part, Role, ToolCall, ToolResult, Usage,
};
pub use op::Op;
pub use permission::{PERMISSION_ROLES, PermissionRule, RULE_BYTES_MAX, RuleAction, RuleFault};
pub use spec::{
    AgentSpec, AnswerNovelty, ApiKey, BackendSpec, Budget, CallTimeouts, Deadlines,
    FinalPresentation, HeaderText, HostedTools, OnNewAnswer, Policy, Prices, Program, Question,
    RateLimits, Reasoning, RunSpec, Secret, SelfVote, Spend, TRIES_MAX_DEFAULT, TieBreak,
    VotingSensitivity,
};
pub use tool::{PermissionAnswer, ToolEffect, ToolName, ToolOutput, ToolReport, ToolSpec};
pub use tooling::{
    Access, Approval, ApprovalBy, AskDefault, CommandSpec, ContainerSpec, ContextPath, ContextTold,
    Drift, FilesSpec, HookEvent, HookSpec, McpServerSpec, McpTransport, NetworkPolicy, OfferedTool,
    PermissionSpec, PlacesTold, PythonToolSpec, SandboxLimits, SandboxMode, SandboxSpec, Tooling,
    Toolset, WorkspaceSpec, WriteMode,
};
pub use version::{EVENTS_VERSION, FormatVersion, MANIFEST_VERSION};
