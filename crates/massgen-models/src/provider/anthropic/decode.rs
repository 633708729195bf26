//! Events of a reply → model events and the assembled turn.

use std::borrow::Cow;

use massgen_protocol::{AssistantTurn, CallFailure, FailureKind, FinishReason, ModelEvent, Part};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::block::{self, Block, Kind};
use super::results;
use super::usage::Tally;
use crate::backend::Beat;
use crate::failure::Failures;
use crate::provider::decode::{Asked, Decoded, Finish, Out, Progress};
use crate::provider::events::Format;
use crate::provider::reported::Reported;
use crate::provider::turn::Turn;

#[derive(Debug)]
pub(super) struct Decoder {
    turn: Turn,
    /// Of the native part the turn is kept in.
    format: String,
    blocks: Vec<Block>,
    /// Slot of the first block of the reply that is being read: a turn that is continued
    /// has several, and each counts its blocks from zero.
    base: u64,
    begun: bool,
    progress: Progress,
    /// Never empty.
    stop: Option<String>,
    container: Option<String>,
    tally: Tally,
}

/// By far the most frequent event, read without a detour.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    index: u64,
    #[serde(borrow)]
    delta: Piece<'a>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    text: Option<String>,
    thinking: Option<String>,
    partial_json: Option<String>,
}

impl Decoder {
    pub(super) fn new(asked: Asked, format: String, failures: Failures) -> Decoder {
        Decoder {
            turn: Turn::new(asked, failures),
            format,
            blocks: Vec::new(),
            base: 0,
            begun: false,
            progress: Progress::Open,
            stop: None,
            container: None,
            tally: Tally::default(),
        }
    }

    /// Takes in a piece of text, thought or input; false if the event is anything else.
    fn usual_delta(&mut self, data: &[u8], out: &mut Out) -> bool {
        let Ok(Delta { kind: "content_block_delta", index, delta }) = serde_json::from_slice(data)
        else {
            return false;
        };
        let slot = self.slot(index);
        match (delta.kind, delta.text, delta.thinking, delta.partial_json) {
            ("text_delta", Some(text), ..) => {
                self.turn.start(out);
                self.say_text(slot, &text, out);
            }
            ("thinking_delta", _, Some(thought), _) => {
                self.turn.start(out);
                self.say_thought(slot, &thought, out);
            }
            ("input_json_delta", _, _, Some(json)) => {
                self.turn.start(out);
                self.write_input(slot, &json, out);
            }
            _ => return false,
        }
        true
    }

    fn any_event(&mut self, name: &str, data: &[u8], out: &mut Out) -> Decoded {
        let event = match serde_json::from_slice::<Value>(data) {
            Ok(event) => event,
            // Broken UTF-8 inside a string loses a character, not the call.
            Err(error) => match String::from_utf8_lossy(data) {
                Cow::Owned(mended) => {
                    serde_json::from_str(&mended).map_err(|e| self.garbled(&e))?
                }
                Cow::Borrowed(_) => return Err(self.garbled(&error)),
            },
        };
        let kind = event["type"].as_str().unwrap_or(name);
        if kind == "ping" {
            out.push_back(Beat::Alive);
            return Ok(());
        }
        if kind == "error" || event.get("error").is_some_and(|error| !error.is_null()) {
            return self.error(&event, out);
        }
        self.turn.start(out);
        let index = event["index"].as_u64();
        match kind {
            "message_start" => self.message(&event["message"]),
            "content_block_start" => {
                self.turn.weigh(data.len());
                let slot = index.map_or_else(|| self.next_slot(), |index| self.slot(index));
                match event.get("content_block") {
                    Some(Value::Object(fields)) => self.open(slot, fields.clone(), out),
                    _ => self.turn.unknown(data, out),
                }
            }
            "content_block_delta" => {
                let slot = index.map_or_else(|| self.last_slot(), |index| self.slot(index));
                match event.get("delta") {
                    Some(Value::Object(delta)) => self.delta(slot, delta, data.len(), out),
                    _ => self.turn.unknown(data, out),
                }
            }
            "content_block_stop" => {
                let slot = index.map_or_else(|| self.last_slot(), |index| self.slot(index));
                self.close(slot, out);
            }
            "message_delta" => self.message_delta(&event, out),
            "message_stop" => return self.message_stop(out),
            _ => self.turn.unknown(data, out),
        }
        Ok(())
    }

    fn garbled(&self, error: &serde_json::Error) -> CallFailure {
        let message = format!("the reply is not {}: {error}", Self::NAME);
        self.turn.failure(FailureKind::Garbled, &message)
    }

    fn slot(&self, index: u64) -> u64 {
        self.base.saturating_add(index)
    }

    fn last_slot(&self) -> u64 {
        self.blocks.last().map_or(self.base, |block| block.slot)
    }

    fn next_slot(&self) -> u64 {
        let last = self.blocks.iter().map(|block| block.slot).max();
        last.map_or(self.base, |last| last.saturating_add(1))
    }

    fn find(&mut self, slot: u64) -> Option<&mut Block> {
        self.blocks.iter_mut().rev().find(|block| block.slot == slot)
    }

    /// Returns the block of this slot, begun now if its beginning was not sent.
    fn find_or_begin(&mut self, slot: u64, kind: &str) -> &mut Block {
        self.begun = true;
        // A delta of another kind than its block would spoil both: it gets a block of its own.
        let fits = |block: &Block| block.text("type") == kind || block.kind() == Kind::Unknown;
        let at = match self.blocks.iter().rposition(|block| block.slot == slot) {
            Some(at) if fits(&self.blocks[at]) => at,
            Some(_) | None => {
                let fields = Map::from_iter([("type".to_owned(), json!(kind))]);
                self.blocks.push(Block::new(slot, fields));
                self.blocks.len() - 1
            }
        };
        &mut self.blocks[at]
    }

    fn message(&mut self, message: &Value) {
        self.begun = true;
        if let Some(model) = message["model"].as_str().filter(|model| !model.is_empty()) {
            self.turn.model = Some(model.to_owned());
        }
        self.note_container(&message["container"]);
        self.note_usage(&message["usage"]);
    }

    fn note_container(&mut self, container: &Value) {
        if let Some(id) = container["id"].as_str() {
            self.container = Some(id.to_owned());
        }
    }

    fn note_usage(&mut self, usage: &Value) {
        if usage.is_object() {
            self.tally.note(usage);
            self.turn.usage = Some(self.tally.total());
        }
    }

    fn message_delta(&mut self, event: &Value, out: &mut Out) {
        let delta = &event["delta"];
        if let Some(reason) = delta["stop_reason"].as_str().filter(|reason| !reason.is_empty()) {
            self.stop = Some(reason.to_owned());
        }
        if let Some(why) = delta.pointer("/stop_details/explanation").and_then(Value::as_str) {
            self.turn.notice(why, out);
        }
        self.note_container(&delta["container"]);
        self.note_usage(&event["usage"]);
    }

    fn message_stop(&mut self, out: &mut Out) -> Decoded {
        if !self.begun {
            let message = "the reply ended before it began";
            return Err(self.turn.failure(FailureKind::Truncated, message));
        }
        let open = self.blocks.iter().filter(|block| block.is_open).map(|block| block.slot);
        for slot in open.collect::<Vec<_>>() {
            self.close(slot, out);
        }
        self.progress = Progress::Complete;
        Ok(())
    }

    fn error(&mut self, event: &Value, out: &mut Out) -> Decoded {
        let reported = Reported::in_body(event)
            .unwrap_or_else(|| Reported::of(event.get("error").unwrap_or(event), &Value::Null));
        // The request was good enough for the model to begin. What is called an invalid
        // request from then on is the filter of its output.
        if self.begun && event["error"]["type"] == "invalid_request_error" {
            self.turn.notice(&reported.message, out);
            self.stop = Some("refusal".to_owned());
            return self.message_stop(out);
        }
        Err(reported.failure(None, self.turn.failures()))
    }

    fn open(&mut self, slot: u64, fields: Map<String, Value>, out: &mut Out) {
        self.begun = true;
        if self.turn.is_full() {
            return;
        }
        let block = Block::new(slot, fields);
        match block.kind() {
            Kind::Text => self.turn.text(slot, block.text("text"), out),
            Kind::Thinking => self.turn.reasoning(slot, block.text("thinking"), out),
            Kind::Call => {
                let id = Some(block.text("id")).filter(|id| !id.is_empty());
                self.turn.call(slot, id.map(str::to_owned), block.text("name"), out);
            }
            Kind::Unknown => {
                self.turn.notice(&format!("an unknown block: {}", block.text("type")), out);
            }
            Kind::RedactedThinking | Kind::RemoteCall | Kind::RemoteResult => {}
        }
        self.blocks.push(block);
    }

    fn say_text(&mut self, slot: u64, text: &str, out: &mut Out) {
        if !self.turn.is_full() {
            self.find_or_begin(slot, "text").append("text", text);
            self.turn.text(slot, text, out);
        }
    }

    fn say_thought(&mut self, slot: u64, thought: &str, out: &mut Out) {
        if !self.turn.is_full() {
            self.find_or_begin(slot, "thinking").append("thinking", thought);
            self.turn.reasoning(slot, thought, out);
        }
    }

    fn write_input(&mut self, slot: u64, json: &str, out: &mut Out) {
        let is_full = self.turn.is_full();
        let Some(block) = self.find(slot) else {
            return self.turn.notice("input of a tool that was not called", out);
        };
        if block.kind() == Kind::Call {
            // What came with the beginning is a placeholder for it.
            if block.whole_input().is_some() {
                block.fields.insert("input".to_owned(), json!({}));
            }
            self.turn.arguments(slot, json, out);
        } else if !is_full {
            block.input.push_str(json);
            self.turn.weigh(json.len());
        }
    }

    /// Takes in a delta of any kind; `bytes` is the length of its event.
    fn delta(&mut self, slot: u64, delta: &Map<String, Value>, bytes: usize, out: &mut Out) {
        let text = |key: &str| delta.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind = text("type");
        match kind {
            "text_delta" => return self.say_text(slot, text("text"), out),
            "thinking_delta" => return self.say_thought(slot, text("thinking"), out),
            "input_json_delta" => return self.write_input(slot, text("partial_json"), out),
            "signature_delta" | "citations_delta" => {}
            other => self.turn.notice(&format!("an unknown delta: {other}"), out),
        }
        self.turn.weigh(bytes);
        if self.turn.is_full() {
            return;
        }
        let Some(block) = self.find(slot) else { return };
        match kind {
            "signature_delta" => {
                block.fields.insert("signature".to_owned(), json!(text("signature")));
            }
            "citations_delta" => {
                block.push("citations", delta.get("citation").cloned().unwrap_or_default());
            }
            _ => block.merge(delta),
        }
    }

    fn close(&mut self, slot: u64, out: &mut Out) {
        let Some(at) = self.blocks.iter().rposition(|block| block.slot == slot && block.is_open)
        else {
            return;
        };
        let block = &mut self.blocks[at];
        block.is_open = false;
        match block.kind() {
            Kind::Call => {
                if let Some(input) = block.whole_input() {
                    self.turn.whole_arguments(slot, &input, out);
                }
            }
            Kind::RemoteCall => {
                block.close_input();
                let input = if block.is_broken {
                    block.input.clone()
                } else {
                    block.whole_input().unwrap_or_default()
                };
                let (id, name) = (block.text("id").to_owned(), block.text("name").to_owned());
                out.push_back(Beat::Event(ModelEvent::RemoteToolStarted { id, name, input }));
            }
            Kind::RemoteResult => self.tell_result(at, out),
            Kind::Text | Kind::Thinking | Kind::RedactedThinking | Kind::Unknown => {}
        }
    }

    fn tell_result(&self, at: usize, out: &mut Out) {
        let result = &self.blocks[at];
        let id = result.text("tool_use_id").to_owned();
        let is_call = |block: &&Block| {
            block.kind() == Kind::RemoteCall && block.text("id") == id && !block.is_open
        };
        let call = self.blocks[..at].iter().find(is_call);
        let name = match call {
            Some(call) => call.text("name"),
            None => result.text("type").trim_end_matches("_tool_result"),
        };
        let name = name.to_owned();
        if call.is_none() {
            let (id, name, input) = (id.clone(), name.clone(), String::new());
            out.push_back(Beat::Event(ModelEvent::RemoteToolStarted { id, name, input }));
        }
        let results::Outcome { output, is_error } =
            results::outcome(&Value::Object(result.fields.clone()));
        let finished = ModelEvent::RemoteToolFinished { id, name, output, is_error };
        out.push_back(Beat::Event(finished));
    }

    fn native(&self, content: Vec<Value>) -> Value {
        let mut native = json!({"content": content});
        if let Some(container) = &self.container {
            native["container"] = json!(container);
        }
        native
    }

    fn pause(&mut self) -> Value {
        let paused = self.native(block::finished(&self.blocks, std::iter::empty(), true));
        self.base = self.next_slot();
        self.stop = None;
        self.progress = Progress::Open;
        self.tally.next_request();
        paused
    }

    fn claimed(&mut self, out: &mut Out) -> FinishReason {
        match self.stop.as_deref() {
            None | Some("end_turn" | "stop_sequence") => FinishReason::Stop,
            Some("tool_use") => FinishReason::ToolCalls,
            Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
            Some("refusal") => FinishReason::Refused,
            // It was paused more often than a turn may be continued.
            Some("pause_turn") => FinishReason::Stop,
            Some(other) => {
                let what = format!("an unknown stop reason: {other}");
                self.turn.notice(&what, out);
                FinishReason::Other
            }
        }
    }
}

impl Format for Decoder {
    const NAME: &'static str = "Anthropic Messages";

    fn event(&mut self, name: &str, data: &[u8], out: &mut Out) -> Decoded {
        let is_said = matches!(name, "content_block_delta" | "") && self.usual_delta(data, out);
        let result = if is_said { Ok(()) } else { self.any_event(name, data, out) };
        if self.turn.is_full() {
            self.progress = Progress::Complete;
        }
        result
    }

    fn document(&mut self, document: &Value, out: &mut Out) -> Decoded {
        if document["type"] == "error" || document.get("error").is_some_and(|e| !e.is_null()) {
            return self.error(document, out);
        }
        let Some(content) = document["content"].as_array() else {
            let message = format!("the reply is not {}: JSON without content", Self::NAME);
            return Err(self.turn.failure(FailureKind::Garbled, &message));
        };
        self.turn.start(out);
        self.message(document);
        for fields in content.iter().filter_map(Value::as_object) {
            let slot = self.next_slot();
            self.open(slot, fields.clone(), out);
            self.close(slot, out);
        }
        self.message_delta(&json!({"delta": document}), out);
        self.message_stop(out)
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn has_usage(&self) -> bool {
        self.turn.usage.is_some()
    }

    fn finish(&mut self, may_continue: bool, out: &mut Out) -> Finish {
        let is_paused = self.stop.as_deref() == Some("pause_turn");
        // Calls of ours are answered first; the rest of the turn waits for that.
        let can_go_on = !self.turn.has_calls() && !self.turn.is_full() && !self.blocks.is_empty();
        if is_paused && may_continue && can_go_on {
            return Finish::Continue(self.pause());
        }
        let claimed = self.claimed(out);
        let built = self.turn.build(claimed, out);
        let mut parts = built.parts;
        let calls = parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            Part::Text { .. }
            | Part::Reasoning { .. }
            | Part::ToolResult(_)
            | Part::Native { .. }
            | Part::Media(_) => None,
        });
        // What runs at the provider may be waited for until our own calls are answered.
        let is_awaited = built.finish == FinishReason::ToolCalls;
        let content = block::finished(&self.blocks, calls, is_awaited);
        if !content.is_empty() && !built.has_leaked_calls {
            let (format, value) = (self.format.clone(), self.native(content));
            parts.insert(0, Part::Native { format, value });
        }
        Finish::Turn(Box::new(AssistantTurn {
            parts,
            finish: built.finish,
            usage: self.turn.usage.unwrap_or_default(),
            model: self.turn.model.clone(),
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
