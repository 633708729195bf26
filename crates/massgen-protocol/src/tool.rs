//! Tools as models see them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
