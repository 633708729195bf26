//! One block of a reply, kept as the provider gives it.

use serde_json::{Map, Value, json};

use super::history;
use massgen_protocol::ToolCall;

#[derive(Debug)]
pub(super) struct Block {
    pub(super) slot: u64,
    pub(super) fields: Map<String, Value>,
    /// Input of a tool of the provider's own, as far as it is written.
    pub(super) input: String,
    pub(super) is_open: bool,
    /// It cannot go back: it broke off, or nothing can be made of it.
    pub(super) is_broken: bool,
}

/// What a block is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thinking,
    RedactedThinking,
    /// A call of one of our tools.
    Call,
    /// A call of a tool that runs at the provider.
    RemoteCall,
    /// What such a call came to.
    RemoteResult,
    Unknown,
}

impl Block {
    pub(super) fn new(slot: u64, fields: Map<String, Value>) -> Block {
        Block { slot, fields, input: String::new(), is_open: true, is_broken: false }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.text("type") {
            "text" => Kind::Text,
            "thinking" => Kind::Thinking,
            "redacted_thinking" => Kind::RedactedThinking,
            "tool_use" => Kind::Call,
            "server_tool_use" | "mcp_tool_use" => Kind::RemoteCall,
            other if other.ends_with("_tool_result") => Kind::RemoteResult,
            _ => Kind::Unknown,
        }
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Adds to a field that is a text.
    pub(super) fn append(&mut self, field: &str, more: &str) {
        match self.fields.get_mut(field) {
            Some(Value::String(text)) => text.push_str(more),
            _ => {
                self.fields.insert(field.to_owned(), json!(more));
            }
        }
    }

    /// Adds to a field that is a list.
    pub(super) fn push(&mut self, field: &str, more: Value) {
        match self.fields.get_mut(field) {
            Some(Value::Array(items)) => items.push(more),
            _ => {
                self.fields.insert(field.to_owned(), json!([more]));
            }
        }
    }

    /// Takes in a delta we do not know: its texts are added to those of the block.
    pub(super) fn merge(&mut self, delta: &Map<String, Value>) {
        for (name, value) in delta.iter().filter(|(name, _)| name.as_str() != "type") {
            match value {
                Value::String(more) => self.append(name, more),
                value => {
                    self.fields.insert(name.clone(), value.clone());
                }
            }
        }
    }

    /// Reads the input that came in pieces.
    pub(super) fn close_input(&mut self) {
        if self.input.trim().is_empty() {
            return;
        }
        match serde_json::from_str::<Value>(&self.input) {
            Ok(input @ Value::Object(_)) => {
                self.fields.insert("input".to_owned(), input);
            }
            Ok(_) | Err(_) => self.is_broken = true,
        }
    }

    /// Returns the input of a call that came whole, if it holds anything.
    pub(super) fn whole_input(&self) -> Option<String> {
        let input = self.fields.get("input").filter(|input| **input != json!({}))?;
        Some(input.to_string())
    }
}

/// Returns the blocks of a turn as they can go back: `calls` are the calls that were
/// made of them, in order, with the ids and arguments that everybody else sees.
/// A call of the provider's own without its result goes back only if it `is_awaited`.
pub(super) fn finished<'a>(
    blocks: &[Block],
    mut calls: impl Iterator<Item = &'a ToolCall>,
    is_awaited: bool,
) -> Vec<Value> {
    let has_result = |call: &Block| {
        blocks.iter().any(|block| {
            block.kind() == Kind::RemoteResult && block.text("tool_use_id") == call.text("id")
        })
    };
    let kept = blocks.iter().filter(|block| !block.is_broken).filter_map(|block| {
        let mut fields = block.fields.clone();
        match block.kind() {
            Kind::Call if block.text("name").is_empty() => return None,
            Kind::Call => {
                let call = calls.next()?;
                fields.insert("id".to_owned(), json!(call.id));
                fields.insert("input".to_owned(), history::input(&call.arguments));
            }
            Kind::RemoteCall if !is_awaited && !has_result(block) => return None,
            Kind::RemoteCall
            | Kind::Text
            | Kind::Thinking
            | Kind::RedactedThinking
            | Kind::RemoteResult
            | Kind::Unknown => {}
        }
        Some(Value::Object(fields))
    });
    kept.collect()
}
