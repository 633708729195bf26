//! A conversation as this format wants it: turns of a user and an assistant.
//!
//! What a model of this provider said before goes back block by block, as it came:
//! the signatures of its thoughts hold only in their place. All else is converted.
//! Each message becomes the same blocks in every request, so that what a provider
//! has cached stays good.

use std::sync::Arc;

use massgen_protocol::{Arguments, Message, Part, Role, ToolCall, ToolResult};
use serde_json::{Map, Value, json};

use super::media;

/// Longer titles come with citations and are refused when they go back.
const CITATION_TITLE_CHARS_MAX: usize = 255;
/// What stands for the result of a call that has none, as the format insists on one.
const NO_RESULT: &str = "(no result: the call was interrupted)";
/// The same for a result that says nothing.
const NO_OUTPUT: &str = "(no output)";

#[derive(Debug, Default)]
pub(super) struct History {
    /// Blocks of the system prompt.
    pub(super) system: Vec<Value>,
    pub(super) turns: Vec<Turn>,
    /// Where the provider ran code for this conversation.
    pub(super) container: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) side: Side,
    /// Never empty.
    pub(super) blocks: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    User,
    Assistant,
}

/// Whose native parts are replayed, and how strictly they are checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Native<'a> {
    pub(super) format: &'a str,
    /// Thoughts without a signature are refused; other makers' models give none.
    pub(super) needs_signatures: bool,
}

impl History {
    /// `paused` is what the assistant has said of a turn that is to be continued.
    pub(super) fn of(
        messages: &[Arc<Message>],
        native: Native<'_>,
        paused: Option<&Value>,
    ) -> History {
        let mut history = History::default();
        for message in messages {
            match message.role {
                Role::System if history.turns.is_empty() => {
                    history.system.extend(texts(message).map(text_block));
                }
                Role::System => {
                    // Most models refuse this role in the middle of a conversation.
                    let reminder = |text| format!("<system-reminder>\n{text}\n</system-reminder>");
                    let blocks = texts(message).map(|text| text_block(&reminder(text)));
                    history.push(Side::User, blocks.collect());
                }
                Role::User | Role::Tool => history.push(Side::User, said_to_model(message)),
                Role::Assistant => history.assistant(message, native),
            }
        }
        if let Some(paused) = paused {
            history.replay(paused, native);
        }
        history.pair_calls_with_results();
        history.end_without_blanks();
        history
    }

    fn assistant(&mut self, message: &Message, native: Native<'_>) {
        let own = message.parts.iter().find_map(|part| match part {
            Part::Native { format, value } if format == native.format => Some(value),
            Part::Native { .. }
            | Part::Text { .. }
            | Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Media(_) => None,
        });
        match own {
            Some(own) => self.replay(own, native),
            None => self.push(Side::Assistant, converted(message)),
        }
    }

    fn replay(&mut self, own: &Value, native: Native<'_>) {
        let content = own.get("content").and_then(Value::as_array);
        let blocks = content.into_iter().flatten();
        let mut blocks: Vec<Value> =
            blocks.filter_map(|block| replayed(block, native.needs_signatures)).collect();
        // A thought that nothing follows was cut off, and is refused as the last block.
        while blocks.last().is_some_and(is_thought) {
            blocks.pop();
        }
        if let Some(container) = own.get("container").and_then(Value::as_str) {
            self.container = Some(container.to_owned());
        }
        self.push(Side::Assistant, blocks);
    }

    fn push(&mut self, side: Side, blocks: Vec<Value>) {
        if blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.side == side => last.blocks.extend(blocks),
            Some(_) | None => self.turns.push(Turn { side, blocks }),
        }
    }

    /// Sees to it that every call is answered, once and directly after its turn, before
    /// anything else is said; one breach makes every later request fail.
    fn pair_calls_with_results(&mut self) {
        let mut calls: Vec<String> = Vec::new();
        let mut paired: Vec<Turn> = Vec::with_capacity(self.turns.len() + 1);
        for turn in std::mem::take(&mut self.turns) {
            match turn.side {
                Side::Assistant => {
                    calls = turn.blocks.iter().filter_map(call_id).collect();
                    paired.push(turn);
                }
                Side::User => paired.push(answered(turn.blocks, std::mem::take(&mut calls))),
            }
        }
        if !calls.is_empty() {
            paired.push(answered(Vec::new(), calls));
        }
        self.turns = paired;
    }

    /// A last text of the assistant may not end in blanks.
    fn end_without_blanks(&mut self) {
        if let Some(last) = self.turns.last_mut().filter(|turn| turn.side == Side::Assistant)
            && let Some(Value::Object(block)) = last.blocks.last_mut()
            && let Some(Value::String(text)) = block.get_mut("text")
        {
            text.truncate(text.trim_end().len());
        }
    }
}

pub(super) fn is_thought(block: &Value) -> bool {
    matches!(kind(block), "thinking" | "redacted_thinking")
}

/// Whether nobody here has heard of such a block: it went back as it came, which may not be
/// how the provider wants it.
pub(super) fn is_unknown(block: &Value) -> bool {
    let kind = kind(block);
    let is_known = matches!(
        kind,
        "text" | "image" | "document" | "tool_use" | "server_tool_use" | "mcp_tool_use"
    );
    !is_known && !is_thought(block) && !kind.ends_with("tool_result")
}

fn kind(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn call_id(block: &Value) -> Option<String> {
    (kind(block) == "tool_use").then(|| block.get("id")?.as_str().map(str::to_owned)).flatten()
}

/// Returns a user's turn with the results of `calls` first.
fn answered(blocks: Vec<Value>, mut calls: Vec<String>) -> Turn {
    let mut results = Vec::new();
    let mut others = Vec::new();
    for block in blocks {
        if kind(&block) != "tool_result" {
            others.push(block);
            continue;
        }
        let id = block.get("tool_use_id").and_then(Value::as_str);
        match calls.iter().position(|call| Some(call.as_str()) == id) {
            Some(at) => {
                calls.remove(at);
                results.push(block);
            }
            // The call it answers is not in the turn before.
            None => others.extend(block.get("content").and_then(Value::as_str).map(text_block)),
        }
    }
    results.extend(calls.into_iter().map(|id| {
        json!({"type": "tool_result", "tool_use_id": id, "content": NO_RESULT, "is_error": true})
    }));
    results.extend(others);
    Turn { side: Side::User, blocks: results }
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// Returns the texts that hold something; blank ones are refused.
fn texts(message: &Message) -> impl Iterator<Item = &str> {
    message.parts.iter().filter_map(|part| match part {
        Part::Text { text } if !text.trim().is_empty() => Some(text.as_str()),
        Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Native { .. }
        | Part::Media(_) => None,
    })
}

fn said_to_model(message: &Message) -> Vec<Value> {
    let block = |part: &Part| match part {
        Part::Text { text } => (!text.trim().is_empty()).then(|| text_block(text)),
        Part::ToolResult(result) => Some(tool_result(result)),
        Part::Media(media) => Some(media::block(media)),
        Part::Reasoning { .. } | Part::ToolCall(_) | Part::Native { .. } => None,
    };
    message.parts.iter().filter_map(block).collect()
}

fn tool_result(result: &ToolResult) -> Value {
    let text = if result.text.trim().is_empty() { NO_OUTPUT } else { &result.text };
    let id = clean_id(&result.id.0);
    let mut block = json!({"type": "tool_result", "tool_use_id": id, "content": text});
    if result.is_error {
        block["is_error"] = json!(true);
    }
    block
}

/// Returns what a model of another provider said; its thoughts are its own.
fn converted(message: &Message) -> Vec<Value> {
    let block = |part: &Part| match part {
        Part::Text { text } => (!text.trim().is_empty()).then(|| text_block(text)),
        Part::ToolCall(call) => Some(tool_use(call)),
        Part::Reasoning { .. } | Part::Native { .. } | Part::ToolResult(_) | Part::Media(_) => None,
    };
    message.parts.iter().filter_map(block).collect()
}

fn tool_use(call: &ToolCall) -> Value {
    let name: String = call.name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let input = input(&call.arguments);
    json!({"type": "tool_use", "id": clean_id(&call.id.0), "name": name, "input": input})
}

/// Returns the input of a call; only an object may stand there, whatever was written.
pub(super) fn input(arguments: &Arguments) -> Value {
    match arguments {
        Arguments::Object { value } => Value::Object(value.clone()),
        Arguments::Malformed { raw, .. } => json!({"unreadable": raw}),
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Returns an id of plain characters: the id itself if it is one, otherwise one that
/// is the same for every part that names it and for no other id.
fn clean_id(id: &str) -> String {
    if !id.is_empty() && id.chars().all(is_plain) {
        return id.to_owned();
    }
    // FNV-1a, which is the same on every machine and in every version.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let plain: String = id.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("{plain}_{hash:016x}")
}

/// Returns a block as it may go back: without the fields that only come with a reply.
fn replayed(block: &Value, needs_signatures: bool) -> Option<Value> {
    let block = block.as_object()?;
    let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "text" if text("text").trim().is_empty() => return None,
        "thinking" if needs_signatures && text("signature").is_empty() => return None,
        "" => return None,
        _ => {}
    }
    let is_output_only = |name: &str, value: &Value| match name {
        "parsed_output" => true,
        // Who called the tool: taken back only where it was not the model itself.
        "caller" => value.get("type").is_none_or(|kind| kind == "direct"),
        _ => value.is_null(),
    };
    let fields = block.iter().filter(|(name, value)| !is_output_only(name, value));
    let mut fields: Map<String, Value> =
        fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    if text("type") == "tool_use" {
        fields.insert("id".to_owned(), json!(clean_id(text("id"))));
    }
    if let Some(Value::Array(citations)) = fields.get_mut("citations") {
        citations.iter_mut().for_each(shorten_title);
    }
    Some(Value::Object(fields))
}

fn shorten_title(citation: &mut Value) {
    for key in ["title", "document_title"] {
        if let Some(Value::String(title)) = citation.get_mut(key)
            && let Some((end, _)) = title.char_indices().nth(CITATION_TITLE_CHARS_MAX)
        {
            title.truncate(end);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
