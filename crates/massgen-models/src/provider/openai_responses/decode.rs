//! Events of a reply → model events and the assembled turn.
//!
//! Pure: no clock and no IO, so that it can be tried with every split and every cut of
//! every fixture.

use std::collections::BTreeSet;

use massgen_protocol::{AssistantTurn, FailureKind, FinishReason, ModelEvent, Part};
use serde_json::Value;

use super::event::{Event, list, text, usage, whole};
use super::input::unreadable;
use super::items::{Items, item_of, slot, thought_slot};
use super::names::Names;
use super::remote;
use crate::backend::Beat;
use crate::failure::Failures;
use crate::provider::decode::{Asked, Decoded, Finish, NOTICES_MAX, Out, Progress};
use crate::provider::events::Format;
use crate::provider::reported::Reported;
use crate::provider::turn::{Built, Turn};

/// Between two summaries, or two texts of thought, of one item.
const PARAGRAPH: &str = "\n\n";

#[derive(Debug)]
pub(super) struct Responses {
    turn: Turn,
    items: Items,
    names: Names,
    offered: BTreeSet<String>,
    /// Format of the native part.
    native: String,
    progress: Progress,
    claimed: FinishReason,
    is_refused: bool,
    /// Kinds of event that were told of.
    unknown: BTreeSet<String>,
}

impl Responses {
    pub(super) fn new(asked: Asked, failures: Failures, native: String, names: Names) -> Responses {
        let offered = asked.tools.iter().map(|tool| tool.name.clone()).collect();
        Responses {
            turn: Turn::new(asked, failures),
            items: Items::default(),
            names,
            offered,
            native,
            progress: Progress::Open,
            claimed: FinishReason::Stop,
            is_refused: false,
            unknown: BTreeSet::new(),
        }
    }

    /// Takes a piece of an item in.
    fn piece(&mut self, kind: &str, event: &Event<'_>, out: &mut Out) {
        let Some(at) = self.items.at(event.output_index) else { return };
        let delta = event.delta.as_deref().unwrap_or_default();
        match kind {
            "response.output_text.delta" => {
                self.turn.text(slot(at, event.content_index.unwrap_or(0)), delta, out);
            }
            "response.refusal.delta" => {
                self.is_refused = true;
                self.turn.text(slot(at, event.content_index.unwrap_or(0)), delta, out);
            }
            "response.reasoning_summary_text.delta" => {
                let index = event.summary_index.unwrap_or(0);
                let last = std::mem::replace(&mut self.items.get(at).summaries, index);
                self.thought(slot(at, 0), last != index, delta, out);
            }
            "response.reasoning_text.delta" => {
                let index = event.content_index.unwrap_or(0);
                let last = std::mem::replace(&mut self.items.get(at).thoughts, index);
                self.thought(thought_slot(at), last != index, delta, out);
            }
            "response.function_call_arguments.delta" => {
                self.turn.arguments(slot(at, 0), delta, out);
            }
            // What a tool of the provider's is asked; it is told with the whole of it.
            _ => {
                self.turn.weigh(delta.len());
                self.items.get(at).remote.input.push_str(delta);
                out.push_back(Beat::Alive);
            }
        }
    }

    fn thought(&mut self, slot: u64, begins: bool, delta: &str, out: &mut Out) {
        if begins && !delta.is_empty() {
            self.turn.reasoning(slot, PARAGRAPH, out);
        }
        self.turn.reasoning(slot, delta, out);
    }

    /// Takes in what was told in pieces, as a whole.
    fn told(&mut self, kind: &str, event: &Event<'_>, value: &Value, out: &mut Out) {
        let Some(at) = self.items.at(event.output_index) else { return };
        let part = slot(at, event.content_index.unwrap_or(0));
        match kind {
            "response.output_text.done" => {
                self.turn.whole_text(part, text(value, "text").unwrap_or_default(), out);
            }
            "response.refusal.done" => {
                self.is_refused = true;
                self.turn.whole_text(part, text(value, "refusal").unwrap_or_default(), out);
            }
            "response.function_call_arguments.done" => {
                let arguments = text(value, "arguments").unwrap_or_default();
                self.turn.whole_arguments(slot(at, 0), arguments, out);
            }
            // The code is whole: now it runs.
            _ => {
                let remote = &mut self.items.get(at).remote;
                if let Some(code) = text(value, "code").or_else(|| text(value, "input")) {
                    code.clone_into(&mut remote.input);
                }
                if !remote.name.is_empty() {
                    self.start_remote(at, out);
                }
            }
        }
    }

    fn begin(&mut self, event: &Event<'_>, value: &Value, out: &mut Out) {
        let item = &value["item"];
        let Some(at) = self.items.begin(event.output_index, item) else { return };
        let kind = text(item, "type").unwrap_or_default();
        if kind == "function_call" {
            self.call(at, item, out);
        } else if remote::is_remote(kind) {
            let remote = &mut self.items.get(at).remote;
            remote.name = remote::name(kind, item);
            remote.input = remote::input(item);
            // Code comes in pieces, a search at once or at the end.
            if kind == "web_search_call" || !remote.input.is_empty() {
                self.start_remote(at, out);
            }
        }
        out.push_back(Beat::Alive);
    }

    /// Begins a call of ours, or one of the provider's that comes like ours.
    fn call(&mut self, at: usize, item: &Value, out: &mut Out) {
        let Some(name) = text(item, "name") else { return };
        let name = self.names.incoming(name);
        let call_id = text(item, "call_id").or_else(|| text(item, "id"));
        if remote::is_theirs(name, call_id, self.offered.contains(name)) {
            name.clone_into(&mut self.items.get(at).remote.name);
        } else {
            self.turn.call(slot(at, 0), call_id.map(str::to_owned), name, out);
        }
    }

    fn start_remote(&mut self, at: usize, out: &mut Out) {
        let id = self.items.id(at);
        let remote = &mut self.items.get(at).remote;
        if !remote.is_started {
            remote.is_started = true;
            let (name, input) = (remote.name.clone(), remote::shown(&remote.input));
            out.push_back(Beat::Event(ModelEvent::RemoteToolStarted { id, name, input }));
        }
    }

    /// Says of a whole item what has not been said.
    fn say(&mut self, at: usize, item: &Value, out: &mut Out) {
        let kind = text(item, "type").unwrap_or_default();
        match kind {
            "message" => {
                for (n, part) in list(item, "content").iter().enumerate() {
                    let refusal = text(part, "refusal");
                    self.is_refused |= refusal.is_some();
                    let said = text(part, "text").or(refusal).unwrap_or_default();
                    self.turn.whole_text(slot(at, n as u64), said, out);
                }
            }
            "reasoning" => {
                self.turn.whole_reasoning(slot(at, 0), &joined(item, "summary"), out);
                self.turn.whole_reasoning(thought_slot(at), &joined(item, "content"), out);
            }
            "function_call" => {
                self.call(at, item, out);
                if self.items.get(at).remote.name.is_empty() {
                    let arguments = match item.get("arguments") {
                        Some(Value::String(arguments)) => arguments.clone(),
                        Some(arguments @ Value::Object(_)) => arguments.to_string(),
                        Some(_) | None => String::new(),
                    };
                    if !arguments.is_empty() {
                        self.turn.whole_arguments(slot(at, 0), &arguments, out);
                    }
                } else {
                    self.finish_remote(at, kind, item, out);
                }
            }
            kind if remote::is_remote(kind) => self.finish_remote(at, kind, item, out),
            // Kept for the provider, and nothing to say: a list of tools, a summary of its own.
            _ => {}
        }
    }

    fn finish_remote(&mut self, at: usize, kind: &str, item: &Value, out: &mut Out) {
        let known = &mut self.items.get(at).remote;
        if known.name.is_empty() {
            known.name = remote::name(kind, item);
        }
        let input = remote::input(item);
        if !input.is_empty() {
            known.input = input;
        }
        self.start_remote(at, out);
        let id = self.items.id(at);
        let known = &mut self.items.get(at).remote;
        if !known.is_finished {
            known.is_finished = true;
            let name = known.name.clone();
            out.push_back(Beat::Event(remote::finished(id, name, item)));
        }
    }

    /// Takes the end of the reply in: `kind` is what the server calls it.
    fn end(&mut self, kind: &str, response: &Value, out: &mut Out) -> Decoded {
        // Some say only inside how it ended.
        let status = match text(response, "status") {
            Some(status @ ("failed" | "incomplete" | "cancelled")) => status,
            Some(_) | None => kind,
        };
        let error = response.get("error").filter(|error| !error.is_null());
        match status {
            "failed" => {
                let nothing = Value::Null;
                let reported = Reported::of(error.unwrap_or(&nothing), &Value::Null);
                if error.and_then(|error| text(error, "code")) != Some("content_filter") {
                    return Err(reported.failure(None, self.turn.failures()));
                }
                // The provider's filter stopped it: that is an answer, if a poor one.
                self.is_refused = true;
            }
            "cancelled" => {
                let message = "the provider cancelled the reply";
                return Err(self.turn.failure(FailureKind::Unavailable, message));
            }
            "incomplete" => {
                let details = &response["incomplete_details"];
                self.claimed = match text(details, "reason") {
                    Some("max_output_tokens") => FinishReason::Length,
                    Some("content_filter") => FinishReason::Refused,
                    Some(_) | None => FinishReason::Other,
                };
            }
            _ => self.claimed = FinishReason::Stop,
        }
        self.about(response);
        let mut concluded = Vec::new();
        for (place, item) in list(response, "output").iter().enumerate() {
            if let Some(at) = self.items.conclude(place, item.clone(), &mut concluded) {
                self.say(at, item, out);
            }
        }
        self.progress = Progress::Complete;
        Ok(())
    }

    fn about(&mut self, response: &Value) {
        if let Some(model) = text(response, "model") {
            self.turn.model = Some(model.to_owned());
        }
        if let Some(usage) = response.get("usage").and_then(usage) {
            self.turn.usage = Some(usage);
        }
    }

    fn unknown(&mut self, kind: &str, data: &[u8], out: &mut Out) {
        // Once a kind, as some come with every token.
        if self.unknown.len() < NOTICES_MAX && self.unknown.insert(kind.to_owned()) {
            self.turn.unknown(data, out);
        } else {
            out.push_back(Beat::Alive);
        }
    }

    fn error(&self, value: &Value) -> Decoded {
        let reported = Reported::in_body(value).unwrap_or_else(|| {
            // Its `type` is that of the event and says nothing.
            let mut error = value.clone();
            if let Value::Object(fields) = &mut error {
                fields.shift_remove("type");
            }
            Reported::of(&error, &Value::Null)
        });
        Err(reported.failure(None, self.turn.failures()))
    }

    /// Returns the provider's own form of the turn, with the ids and arguments that ours
    /// has; `None` if it would not say the same.
    fn own_form(&mut self, built: &Built) -> Option<Value> {
        if built.has_leaked_calls || self.turn.is_full() {
            return None;
        }
        let mut items = std::mem::take(&mut self.items).into_native()?;
        if items.is_empty() {
            return None;
        }
        for (slot, id) in &built.renamed {
            items.get_mut(item_of(*slot))?["call_id"] = Value::String(id.clone());
        }
        for part in &built.parts {
            if let Part::ToolCall(call) = part
                && let massgen_protocol::Arguments::Malformed { raw, .. } = &call.arguments
            {
                let item = items.iter_mut().find(|item| {
                    item["type"] == "function_call" && item["call_id"] == call.id.0.as_str()
                });
                item?["arguments"] = Value::String(unreadable(raw));
            }
        }
        Some(Value::Array(items))
    }
}

/// Returns the texts of a reasoning item as they are streamed.
fn joined(item: &Value, key: &str) -> String {
    // Some servers have one text where others have a list.
    if let Some(plain) = text(item, key) {
        return plain.to_owned();
    }
    let texts: Vec<&str> = list(item, key).iter().filter_map(|part| text(part, "text")).collect();
    texts.join(PARAGRAPH)
}

/// Whether an event only says that something goes on, or tells in another form what
/// other events tell as well.
fn is_sign_of_life(kind: &str) -> bool {
    let Some(rest) = kind.strip_prefix("response.") else {
        return matches!(kind, "keepalive" | "ping");
    };
    let head = rest.split('.').next().unwrap_or(rest);
    head.contains("_call")
        || matches!(
            head,
            "created"
                | "queued"
                | "in_progress"
                | "content_part"
                | "reasoning_summary_part"
                | "reasoning_part"
                | "reasoning_summary_text"
                | "reasoning_summary"
                | "reasoning_text"
                | "reasoning"
                | "mcp_list_tools"
        )
        || rest.starts_with("output_text.annotation")
}

impl Format for Responses {
    const NAME: &'static str = "OpenAI Responses";

    fn event(&mut self, name: &str, data: &[u8], out: &mut Out) -> Decoded {
        let Some(event) = Event::read(data) else {
            self.unknown("", data, out);
            return Ok(());
        };
        let kind = if event.kind.is_empty() { name.into() } else { event.kind.clone() };
        let kind = kind.as_ref();
        match kind {
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_summary_text.delta"
            | "response.reasoning_text.delta"
            | "response.function_call_arguments.delta"
            | "response.code_interpreter_call_code.delta"
            | "response.code_interpreter_call.code.delta"
            | "response.custom_tool_call_input.delta"
            | "response.mcp_call_arguments.delta" => {
                self.turn.start(out);
                self.piece(kind, &event, out);
                return Ok(());
            }
            _ => {}
        }
        let Some(value) = whole(data) else { return Ok(()) };
        match kind {
            "response.completed" | "response.done" => {
                self.turn.start(out);
                self.end("completed", &value["response"], out)
            }
            "response.incomplete" => {
                self.turn.start(out);
                self.end("incomplete", &value["response"], out)
            }
            "response.failed" => self.end("failed", &value["response"], out),
            "response.cancelled" | "response.canceled" => {
                self.end("cancelled", &value["response"], out)
            }
            "error" | "response.error" => self.error(&value),
            _ if value.get("error").is_some_and(|error| !error.is_null()) => self.error(&value),
            "response.output_item.added" => {
                self.turn.start(out);
                self.begin(&event, &value, out);
                Ok(())
            }
            "response.output_item.done" => {
                self.turn.start(out);
                // Texts and calls are counted as they are said.
                if !matches!(text(&value["item"], "type"), Some("message" | "function_call")) {
                    self.turn.weigh(data.len());
                }
                let item = value["item"].clone();
                if let Some(at) = self.items.end(event.output_index, item) {
                    self.say(at, &value["item"], out);
                }
                out.push_back(Beat::Alive);
                Ok(())
            }
            "response.output_text.done"
            | "response.refusal.done"
            | "response.function_call_arguments.done"
            | "response.code_interpreter_call_code.done"
            | "response.code_interpreter_call.code.done"
            | "response.custom_tool_call_input.done" => {
                self.turn.start(out);
                self.told(kind, &event, &value, out);
                out.push_back(Beat::Alive);
                Ok(())
            }
            kind if is_sign_of_life(kind) => {
                if kind.starts_with("response.") {
                    self.turn.start(out);
                    self.about(&value["response"]);
                }
                out.push_back(Beat::Alive);
                Ok(())
            }
            kind => {
                self.turn.start(out);
                self.unknown(kind, data, out);
                Ok(())
            }
        }
    }

    fn document(&mut self, document: &Value, out: &mut Out) -> Decoded {
        if document["object"] == "response" || document["output"].is_array() {
            let status = text(document, "status").unwrap_or("completed");
            if matches!(status, "in_progress" | "queued") {
                let message = "the provider took the call and left the reply for later";
                return Err(self.turn.failure(FailureKind::Truncated, message));
            }
            if status != "failed" {
                self.turn.start(out);
            }
            return self.end(status, document, out);
        }
        if let Some(reported) = Reported::in_body(document) {
            return Err(reported.failure(None, self.turn.failures()));
        }
        let message = if document["choices"].is_array() {
            "the server answers with OpenAI Chat Completions; use `type: chatcompletion` for it"
        } else {
            "the reply is not OpenAI Responses: JSON without an output"
        };
        Err(self.turn.failure(FailureKind::Garbled, message))
    }

    fn done(&mut self, _out: &mut Out) -> Decoded {
        // Not of this format; who sends it sends nothing more.
        let message = "the reply stopped before its end";
        match self.progress {
            Progress::Open => Err(self.turn.failure(FailureKind::Truncated, message)),
            Progress::Stopped | Progress::Complete => Ok(()),
        }
    }

    fn progress(&self) -> Progress {
        if self.turn.is_full() { Progress::Complete } else { self.progress }
    }

    fn has_usage(&self) -> bool {
        self.turn.usage.is_some()
    }

    fn finish(&mut self, _may_continue: bool, out: &mut Out) -> Finish {
        let claimed = if self.is_refused { FinishReason::Refused } else { self.claimed };
        let mut built = self.turn.build(claimed, out);
        if let Some(value) = self.own_form(&built) {
            built.parts.insert(0, Part::Native { format: self.native.clone(), value });
        }
        Finish::Turn(Box::new(AssistantTurn {
            parts: built.parts,
            finish: built.finish,
            usage: self.turn.usage.unwrap_or_default(),
            model: self.turn.model.take(),
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
