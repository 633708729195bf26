//! A conversation → `systemInstruction` and `contents`.
//!
//! There are two roles, which take turns: what one side says in a row is one content. A
//! model's own turns are replayed as they came, with the signatures where they were.

use std::sync::Arc;

use massgen_protocol::{Arguments, Media, MediaSource, Message, Part, Role, ToolCall, ToolResult};
use serde_json::{Value, json};

/// Stands where a step's first function call has no signature because another model made
/// it. The one documented way to have such a history taken.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// A file of the conversation that nobody has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnreadFile(pub(super) String);

/// The two fields, as lists of their values.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Conversation {
    /// Parts of the system instruction.
    pub(super) system: Vec<Value>,
    pub(super) contents: Vec<Value>,
}

/// Returns the conversation. `native` is the format of what is replayed as it came;
/// `needs_signatures` says whether the model insists on signatures.
pub(super) fn conversation(
    messages: &[Arc<Message>],
    native: &str,
    needs_signatures: bool,
) -> Result<Conversation, UnreadFile> {
    let mut system = Vec::new();
    let mut sides = Sides::default();
    for message in messages {
        match message.role {
            // Later ones have their place in the conversation, and there is no role for them.
            Role::System if sides.is_empty() => system.extend(spoken(message)?),
            Role::System | Role::User => sides.say("user", spoken(message)?),
            Role::Assistant => sides.answer(message, turn(message, native, needs_signatures)),
            Role::Tool => sides.results(message),
        }
    }
    Ok(Conversation { system, contents: sides.finish() })
}

/// Contents under construction.
#[derive(Debug, Default)]
struct Sides {
    contents: Vec<(&'static str, Vec<Value>)>,
    /// Ids of the model's last calls, in order.
    calls: Vec<String>,
    /// Results of these, not yet in order.
    results: Vec<(usize, Value)>,
}

impl Sides {
    fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.results.is_empty()
    }

    fn say(&mut self, role: &'static str, parts: Vec<Value>) {
        self.flush();
        self.append(role, parts);
    }

    fn answer(&mut self, message: &Message, parts: Vec<Value>) {
        self.say("model", parts);
        self.calls = message.parts.iter().filter_map(call_id).collect();
    }

    fn results(&mut self, message: &Message) {
        for part in &message.parts {
            if let Part::ToolResult(result) = part {
                let at = self.calls.iter().position(|id| *id == result.id.0);
                self.results.push((at.unwrap_or(usize::MAX), response(result)));
            }
        }
    }

    /// Puts the results in the order of the calls, whichever was done first.
    fn flush(&mut self) {
        let mut results = std::mem::take(&mut self.results);
        results.sort_by_key(|&(at, _)| at);
        self.append("user", results.into_iter().map(|(_, response)| response).collect());
    }

    fn append(&mut self, role: &'static str, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        match self.contents.last_mut() {
            Some((last, said)) if *last == role => said.extend(parts),
            _ => self.contents.push((role, parts)),
        }
    }

    fn finish(mut self) -> Vec<Value> {
        self.flush();
        let contents = self.contents.into_iter();
        contents.map(|(role, parts)| json!({"role": role, "parts": parts})).collect()
    }
}

fn call_id(part: &Part) -> Option<String> {
    match part {
        Part::ToolCall(call) => Some(call.id.0.clone()),
        Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolResult(_)
        | Part::Native { .. }
        | Part::Media(_) => None,
    }
}

/// Returns what a user or the system says. Empty texts are left out, as they are refused.
fn spoken(message: &Message) -> Result<Vec<Value>, UnreadFile> {
    let mut parts = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text } if text.is_empty() => {}
            Part::Text { text } => parts.push(json!({"text": text})),
            Part::Media(part) => parts.push(media(part)?),
            Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Native { .. } => {}
        }
    }
    Ok(parts)
}

fn media(media: &Media) -> Result<Value, UnreadFile> {
    match &media.source {
        MediaSource::Inline { base64 } => {
            Ok(json!({"inlineData": {"mimeType": media.media_type, "data": base64}}))
        }
        MediaSource::Url { url } if media.media_type.is_empty() => {
            Ok(json!({"fileData": {"fileUri": url}}))
        }
        MediaSource::Url { url } => {
            Ok(json!({"fileData": {"mimeType": media.media_type, "fileUri": url}}))
        }
        MediaSource::File { path } => Err(UnreadFile(path.clone())),
    }
}

/// Returns an earlier turn of the model.
fn turn(message: &Message, native: &str, needs_signatures: bool) -> Vec<Value> {
    let own = message.parts.iter().find_map(|part| match part {
        Part::Native { format, value } if format == native => {
            value.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty())
        }
        Part::Native { .. }
        | Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Media(_) => None,
    });
    let mut parts = match own {
        Some(parts) => parts.clone(),
        None => converted(message),
    };
    if needs_signatures {
        sign_first_call(&mut parts);
    }
    parts
}

/// Returns a turn that another provider's model, or another format, has made. What it
/// thought is left out: it is no use to this one.
fn converted(message: &Message) -> Vec<Value> {
    let mut parts = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text } if text.is_empty() => {}
            Part::Text { text } => parts.push(json!({"text": text})),
            Part::ToolCall(call) => parts.push(function_call(call)),
            Part::Reasoning { .. } | Part::ToolResult(_) | Part::Native { .. } | Part::Media(_) => {
            }
        }
    }
    parts
}

fn function_call(call: &ToolCall) -> Value {
    let args = match &call.arguments {
        Arguments::Object { value } => Value::Object(value.clone()),
        Arguments::Malformed { raw, .. } => json!({"unreadable": raw}),
    };
    json!({"functionCall": {"id": call.id, "name": call.name, "args": args}})
}

/// Marks the first call of a step that no signature vouches for. Its siblings stay without,
/// as they do in the model's own turns.
fn sign_first_call(parts: &mut [Value]) {
    if parts.iter().any(|part| part.get("thoughtSignature").is_some()) {
        return;
    }
    let first = parts.iter_mut().find(|part| part.get("functionCall").is_some());
    if let Some(Value::Object(first)) = first {
        first.insert("thoughtSignature".to_owned(), json!(UNSIGNED));
    }
}

fn response(result: &ToolResult) -> Value {
    let key = if result.is_error { "error" } else { "output" };
    json!({"functionResponse": {
        "id": result.id, "name": result.name, "response": {key: result.text},
    }})
}
/// Fields of a part that the API's reference names. Those that hold its data come first.
const PART_DATA: [&str; 8] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
];
const PART_EXTRAS: [&str; 5] =
    ["thought", "thoughtSignature", "videoMetadata", "toolResponse", "partMetadata"];

/// Returns the request with the fields and parts left out that nobody has defined; `None` if
/// it holds none.
pub(super) fn without_unknown(body: &Value) -> Option<Value> {
    let mut amended = body.clone();
    let mut is_changed = false;
    let contents = amended.get_mut("contents")?.as_array_mut()?;
    for content in contents.iter_mut() {
        let Some(parts) = content.get_mut("parts").and_then(Value::as_array_mut) else { continue };
        parts.retain_mut(|part| {
            let Some(fields) = part.as_object_mut() else { return true };
            let before = fields.len();
            fields.retain(|name, _| {
                PART_DATA.contains(&name.as_str()) || PART_EXTRAS.contains(&name.as_str())
            });
            is_changed |= fields.len() < before;
            fields.keys().any(|name| PART_DATA.contains(&name.as_str()) || name == "toolResponse")
        });
    }
    contents.retain(|content| content["parts"].as_array().is_none_or(|parts| !parts.is_empty()));
    is_changed.then_some(amended)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_has_defined_is_left_out_and_the_rest_kept() {
        let known = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        assert_eq!(without_unknown(&known), None);
        let strange = json!({"contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [
                {"text": "so", "thoughtSignature": "c2ln", "mood": "good"},
                {"hologram": {"data": "x"}},
            ]},
            {"role": "model", "parts": [{"hologram": {"data": "y"}}]},
        ]});
        let expected = json!({"contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"text": "so", "thoughtSignature": "c2ln"}]},
        ]});
        assert_eq!(without_unknown(&strange), Some(expected));
    }
}
