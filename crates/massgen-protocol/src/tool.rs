//! Tools as models see them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Media, SnapshotId};

/// Names of the tools the coordinator answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolName;

impl ToolName {
    pub const NEW_ANSWER: &'static str = "new_answer";
    pub const VOTE: &'static str = "vote";
    /// Review only: the presented answer stands.
    pub const SUBMIT: &'static str = "submit";
    /// Review only: the attempt is run again with instructions.
    pub const RESTART: &'static str = "restart_orchestration";

    /// Returns whether the coordinator, not a tool host, answers this tool.
    pub fn is_workflow(name: &str) -> bool {
        matches!(name, Self::NEW_ANSWER | Self::VOTE | Self::SUBMIT | Self::RESTART)
    }
}

/// One tool offered to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments; always an object.
    pub parameters: Value,
}

/// What a tool call does to the world, which decides what a resume may repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolEffect {
    Read,
    Write,
    Irreversible,
}

/// What a tool gave back; bounded by the tool host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolOutput {
    pub text: String,
    pub is_error: bool,
    /// Shown to the model after the text, where its provider takes it.
    pub media: Vec<Media>,
}

impl ToolOutput {
    pub fn text(text: impl Into<String>) -> ToolOutput {
        ToolOutput { text: text.into(), ..ToolOutput::default() }
    }

    pub fn error(text: impl Into<String>) -> ToolOutput {
        ToolOutput { text: text.into(), is_error: true, media: Vec::new() }
    }
}

/// What a running tool call has to say before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolReport {
    /// A piece of its output, for people.
    Output { text: String },
    /// Something about the tool or its server, for people.
    Notice { what: String },
    /// Somebody has to allow it first. `what` is shown as the thing to decide about.
    PermissionAsked { what: String, reason: String },
    /// `by`: the rule, the user, a file, a hook or the policy that decided.
    PermissionDecided { allowed: bool, by: String, reason: String },
    /// A finding for the other agents; `evidence` holds its file, under the name it has there.
    Insight { text: String, file: Option<String>, evidence: Option<SnapshotId> },
}

/// What became of a permission that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionAnswer {
    pub allowed: bool,
    /// Calls like it need not be asked about again in this run.
    #[serde(default)]
    pub always: bool,
    /// Who said so, for the record: `user`, `file`, `policy`.
    pub by: String,
    #[serde(default)]
    pub reason: String,
}
