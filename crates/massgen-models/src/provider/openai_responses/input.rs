//! A conversation → the items of a request.
//!
//! What the provider has said goes back as it said it: items in their order, reasoning
//! with its encrypted form, none left out whose neighbour needs it. Only fields that
//! exist in replies and are refused in requests are taken off.

use std::collections::BTreeSet;
use std::sync::Arc;

use massgen_protocol::{
    Arguments, CallFailure, FailureKind, Media, MediaKind, MediaSource, Message, Part, Role,
    ToolResult,
};
use serde_json::{Map, Value, json};

use super::names::Names;
use crate::failure::Failures;
use crate::provider::openai_chat::inline_text;

/// Longest id of a call that is taken.
const CALL_ID_BYTES_MAX: usize = 64;
/// What a call says that was never carried out: without a result the request is refused.
const NOT_RUN: &str = "[This call was not run.]";
/// Fields of an item that may be null in requests too.
const NULLABLE: [&str; 2] = ["code", "outputs"];
/// Fields of replies that requests may not have, whatever the item.
const OUTPUT_ONLY: [&str; 3] = ["created_by", "parsed", "parsed_arguments"];
/// All that a request may say of a function's call.
const CALL_FIELDS: [&str; 6] = ["type", "id", "call_id", "name", "arguments", "status"];

pub(super) struct Conversation<'a> {
    /// Of native parts that are ours.
    pub(super) native: &'a str,
    pub(super) names: &'a Names,
    pub(super) failures: &'a Failures,
}

impl Conversation<'_> {
    pub(super) fn items(&self, messages: &[Arc<Message>]) -> Result<Vec<Value>, CallFailure> {
        let answered = answered(messages);
        let mut called: BTreeSet<String> = BTreeSet::new();
        let mut items = Vec::with_capacity(messages.len());
        for message in messages {
            match message.role {
                Role::System => items.extend(self.said("system", message)?),
                Role::User => items.extend(self.said("user", message)?),
                Role::Assistant => {
                    items.extend(self.turn(message));
                    for id in calls(message) {
                        if !answered.contains(&id) {
                            items.push(output(&id, NOT_RUN));
                        }
                        called.insert(id);
                    }
                }
                Role::Tool => items.extend(message.parts.iter().filter_map(|part| match part {
                    Part::ToolResult(result) => Some(outcome(result, &called)),
                    Part::Text { .. }
                    | Part::Reasoning { .. }
                    | Part::ToolCall(_)
                    | Part::Native { .. }
                    | Part::Media(_) => None,
                })),
            }
        }
        Ok(items)
    }

    /// Returns what the system or the user said; nothing if that is nothing.
    fn said(&self, role: &str, message: &Message) -> Result<Option<Value>, CallFailure> {
        let mut content = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            match part {
                Part::Text { text } if text.is_empty() => {}
                Part::Text { text } => content.push(json!({"type": "input_text", "text": text})),
                Part::Media(media) => content.push(self.media(media)?),
                // Not theirs to say.
                Part::Reasoning { .. }
                | Part::ToolCall(_)
                | Part::ToolResult(_)
                | Part::Native { .. } => {}
            }
        }
        let message = json!({"type": "message", "role": role, "content": content});
        Ok((!content.is_empty()).then_some(message))
    }

    fn media(&self, media: &Media) -> Result<Value, CallFailure> {
        let is_image = media.kind == MediaKind::Image;
        let data = |base64: &str| format!("data:{};base64,{base64}", media.media_type);
        let name = media.name.as_deref().unwrap_or("file");
        if let Some(text) = inline_text(media) {
            return Ok(json!({"type": "input_text", "text": text}));
        }
        match &media.source {
            MediaSource::Url { url } if is_image => {
                Ok(json!({"type": "input_image", "detail": "auto", "image_url": url}))
            }
            MediaSource::Inline { base64 } if is_image => {
                Ok(json!({"type": "input_image", "detail": "auto", "image_url": data(base64)}))
            }
            // Which documents, sounds and films it reads is for the provider to say.
            MediaSource::Url { url } => Ok(json!({"type": "input_file", "file_url": url})),
            MediaSource::Inline { base64 } => {
                Ok(json!({"type": "input_file", "filename": name, "file_data": data(base64)}))
            }
            MediaSource::File { path } => {
                let message = format!("`{path}` was to be read before the call and was not");
                Err(self.failures.of(FailureKind::BadRequest, &message))
            }
        }
    }

    /// Returns the items of an earlier turn of the model's.
    fn turn(&self, message: &Message) -> Vec<Value> {
        let native = message.parts.iter().find_map(|part| match part {
            Part::Native { format, value: Value::Array(items) } if format == self.native => {
                Some(items)
            }
            Part::Native { .. }
            | Part::Text { .. }
            | Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Media(_) => None,
        });
        match native {
            Some(items) => replayed(items),
            None => self.converted(message),
        }
    }

    /// Returns the items for a turn of another provider's: what was said and called.
    fn converted(&self, message: &Message) -> Vec<Value> {
        let mut items = Vec::new();
        let mut content = Vec::new();
        let say = |content: &mut Vec<Value>, items: &mut Vec<Value>| {
            if !content.is_empty() {
                let content = std::mem::take(content);
                items.push(json!({"type": "message", "role": "assistant", "content": content}));
            }
        };
        for part in &message.parts {
            match part {
                Part::Text { text } if text.is_empty() => {}
                Part::Text { text } => content.push(json!({"type": "output_text", "text": text})),
                Part::ToolCall(call) => {
                    say(&mut content, &mut items);
                    let arguments = match &call.arguments {
                        Arguments::Object { value } => Value::Object(value.clone()).to_string(),
                        Arguments::Malformed { raw, .. } => unreadable(raw),
                    };
                    items.push(json!({
                        "type": "function_call",
                        "call_id": call_id(&call.id.0),
                        "name": self.names.outgoing(&call.name),
                        "arguments": arguments,
                    }));
                }
                // Thoughts of another provider's are no use to this one.
                Part::Reasoning { .. }
                | Part::Native { .. }
                | Part::ToolResult(_)
                | Part::Media(_) => {}
            }
        }
        say(&mut content, &mut items);
        items
    }
}

/// Bytes shown of arguments that are no JSON; enough for a model to see what it did.
const UNREADABLE_BYTES_MAX: usize = 4 * 1024;

/// Returns arguments that stand for some that cannot be read. Broken JSON, or JSON
/// without end, would fail every later request of the conversation.
pub(super) fn unreadable(raw: &str) -> String {
    let shown = &raw[..raw.floor_char_boundary(UNREADABLE_BYTES_MAX)];
    json!({"unreadable": shown}).to_string()
}

fn answered(messages: &[Arc<Message>]) -> BTreeSet<String> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let ids = parts.filter_map(|part| match part {
        Part::ToolResult(result) => Some(call_id(&result.id.0)),
        Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolCall(_)
        | Part::Native { .. }
        | Part::Media(_) => None,
    });
    ids.collect()
}

fn outcome(result: &ToolResult, called: &BTreeSet<String>) -> Value {
    let id = call_id(&result.id.0);
    if called.contains(&id) {
        return output(&id, &result.text);
    }
    // The call is not part of the conversation, and a result without one is refused.
    let text = format!("Result of `{}`: {}", result.name, result.text);
    let content = [json!({"type": "input_text", "text": text})];
    json!({"type": "message", "role": "user", "content": content})
}

fn output(id: &str, text: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": text})
}

/// Returns the ids of the calls a turn makes of us; its items may hold others, which the
/// provider makes of itself.
fn calls(message: &Message) -> impl Iterator<Item = String> + '_ {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call_id(&call.id.0)),
        Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolResult(_)
        | Part::Native { .. }
        | Part::Media(_) => None,
    })
}

/// Returns an id of another provider's as this one takes it.
fn call_id(id: &str) -> String {
    if id.len() <= CALL_ID_BYTES_MAX { id.to_owned() } else { format!("call_{}", hash(id)) }
}

/// Returns sixteen hex digits that stand for a text: the same in every build, as what
/// is sent has to stay the same for a resumed run (FNV-1a).
pub(super) fn hash(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Returns the provider's own items as they are sent back.
fn replayed(items: &[Value]) -> Vec<Value> {
    let mut replayed: Vec<Value> = items.iter().filter_map(item).collect();
    // Thoughts that led to nothing (the output bound came first) are refused.
    while replayed.last().is_some_and(|item| item["type"] == "reasoning") {
        replayed.pop();
    }
    replayed
}

fn item(item: &Value) -> Option<Value> {
    let fields = item.as_object()?;
    match fields.get("type").and_then(Value::as_str)? {
        "reasoning" => reasoning(fields),
        "function_call" => Some(Value::Object(function_call(fields))),
        _ => Some(Value::Object(without_nulls(fields))),
    }
}

/// Returns a reasoning item with its encrypted form and without its plain one, which is
/// refused beside it. Without either there is nothing to send: an id alone stands for
/// what the provider was told not to keep.
fn reasoning(fields: &Map<String, Value>) -> Option<Value> {
    let is_given = |key: &str| match fields.get(key) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(parts)) => !parts.is_empty(),
        Some(_) | None => false,
    };
    let content = if is_given("encrypted_content") {
        "encrypted_content"
    } else if is_given("content") {
        // A server of open weights; it takes its own text back.
        "content"
    } else {
        return None;
    };
    let mut kept = Map::new();
    for key in ["type", "id", "summary", content] {
        match fields.get(key) {
            Some(Value::Null) | None if key == "summary" => {
                kept.insert(key.to_owned(), json!([]));
            }
            Some(Value::Null) | None => {}
            Some(value) => {
                kept.insert(key.to_owned(), value.clone());
            }
        }
    }
    Some(Value::Object(kept))
}

fn function_call(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for key in CALL_FIELDS {
        match fields.get(key) {
            Some(Value::Null) | None => {}
            Some(arguments @ Value::Object(_)) if key == "arguments" => {
                kept.insert(key.to_owned(), Value::String(arguments.to_string()));
            }
            // As in the result that answers it.
            Some(Value::String(id)) if key == "call_id" => {
                kept.insert(key.to_owned(), Value::String(call_id(id)));
            }
            Some(value) => {
                kept.insert(key.to_owned(), value.clone());
            }
        }
    }
    kept
}

fn without_nulls(fields: &Map<String, Value>) -> Map<String, Value> {
    let is_kept = |key: &str, value: &Value| {
        !OUTPUT_ONLY.contains(&key) && (!value.is_null() || NULLABLE.contains(&key))
    };
    let kept = fields.iter().filter(|(key, value)| is_kept(key, value));
    kept.map(|(key, value)| (key.clone(), inside_without_nulls(value))).collect()
}

fn inside_without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(without_nulls(fields)),
        Value::Array(values) => Value::Array(values.iter().map(inside_without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
