//! The tools that the coordinator answers itself.

use massgen_protocol::{Alias, ToolName, ToolSpec};
use serde_json::{Value, json};

use crate::texts::{Prompts, TextName};

impl Prompts {
    /// Returns the tools of a coordinating agent, sorted by name. They are the
    /// same for all agents and all rounds, whoever has answered by then.
    pub fn tools(&self, n_agents: u16) -> Vec<ToolSpec> {
        let aliases: Vec<String> = (1..=n_agents).map(|n| Alias(n).to_string()).collect();
        vec![
            self.tool(
                ToolName::NEW_ANSWER,
                TextName::ToolNewAnswer,
                json!({
                    "type": "object",
                    "properties": { "content": { "type": "string" } },
                    "required": ["content"],
                }),
            ),
            self.tool(
                ToolName::VOTE,
                TextName::ToolVote,
                json!({
                    "type": "object",
                    "properties": {
                        "agent_id": { "type": "string", "enum": aliases },
                        "reason": { "type": "string" },
                    },
                    "required": ["agent_id", "reason"],
                }),
            ),
        ]
    }

    /// Returns the tools of a review, sorted by name.
    pub fn review_tools(&self) -> Vec<ToolSpec> {
        vec![
            self.tool(
                ToolName::RESTART,
                TextName::ToolRestart,
                json!({
                    "type": "object",
                    "properties": {
                        "reason": { "type": "string" },
                        "instructions": { "type": "string" },
                    },
                    "required": ["reason", "instructions"],
                }),
            ),
            self.tool(
                ToolName::SUBMIT,
                TextName::ToolSubmit,
                json!({
                    "type": "object",
                    "properties": { "confirmed": { "type": "boolean", "enum": [true] } },
                    "required": ["confirmed"],
                }),
            ),
        ]
    }

    fn tool(&self, name: &str, description: TextName, parameters: Value) -> ToolSpec {
        let description = self.text(description).to_owned();
        ToolSpec { name: name.to_owned(), description, parameters }
    }
}
