//! A reply's bytes → model events and the assembled turn.
//!
//! Pure: no clock and no IO, so that it can be tried with every split and every
//! cut of every fixture. What the server claims is checked against what it sent.

use massgen_protocol::{
    Arguments, AssistantTurn, CallFailure, FailureKind, FinishReason, ModelEvent, Part, ToolCall,
    ToolCallId, Usage,
};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::chunk::{self, Choice, Chunk};
use super::think::{Splitter, Voice};
use super::tool_calls::{Calls, Open};
use super::{FIELD_PARTS, FIELD_TAGS, NATIVE_DETAILS};
use crate::backend::Beat;
use crate::failure::Failures;
use crate::provider::decode::{
    ARGUMENT_BYTES_MAX, Asked, DOCUMENT_BYTES_MAX, Decode, Decoded, Finish, NOTICES_MAX, Out,
    Progress, QUOTE_BYTES_MAX, TURN_BYTES_MAX,
};
use crate::provider::reported::Reported;
use crate::provider::{arguments, leaked};
use crate::sse::{Frame, Frames};

#[derive(Debug)]
pub(crate) struct Decoder {
    asked: Asked,
    failures: Failures,
    shape: Shape,
    frames: Frames,
    document: Vec<u8>,
    progress: Progress,
    started: bool,
    notices: usize,

    splitter: Splitter,
    text: String,
    reasoning: String,
    reasoning_field: Option<&'static str>,
    details: Vec<Value>,
    calls: Calls,
    finish: Option<String>,
    refused: bool,
    overflowed: bool,
    usage: Option<Usage>,
    model: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Only blanks have come.
    Unknown,
    Events,
    /// Not an event stream, though one was asked for.
    Document,
}

impl Decoder {
    pub(crate) fn new(asked: Asked, failures: Failures) -> Decoder {
        Decoder {
            asked,
            failures,
            shape: Shape::Unknown,
            frames: Frames::default(),
            document: Vec::new(),
            progress: Progress::Open,
            started: false,
            notices: 0,
            splitter: Splitter::default(),
            text: String::new(),
            reasoning: String::new(),
            reasoning_field: None,
            details: Vec::new(),
            calls: Calls::default(),
            finish: None,
            refused: false,
            overflowed: false,
            usage: None,
            model: None,
        }
    }

    fn read_frames(&mut self, out: &mut Out) -> Decoded {
        // Taken out for the while, as a frame borrows from it.
        let mut frames = std::mem::take(&mut self.frames);
        let result = loop {
            if self.progress == Progress::Complete {
                break Ok(());
            }
            match frames.next() {
                Ok(Some(Frame::Comment)) => out.push_back(Beat::Alive),
                Ok(Some(Frame::Data { event, data })) => {
                    if let Err(failure) = self.frame(event, data, out) {
                        break Err(failure);
                    }
                }
                Ok(None) => break Ok(()),
                Err(crate::sse::LineTooLong) => break Err(self.garbled("a line without end")),
            }
        };
        self.frames = frames;
        result
    }

    fn frame(&mut self, event: &str, data: &[u8], out: &mut Out) -> Decoded {
        let data = data.trim_ascii();
        if data.is_empty() {
            out.push_back(Beat::Alive);
            return Ok(());
        }
        self.start(out);
        if data == b"[DONE]" {
            return self.done();
        }
        if event == "error" {
            let value = serde_json::from_slice(data)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned()));
            let reported =
                Reported::in_body(&value).unwrap_or_else(|| Reported::of(&value, &Value::Null));
            return Err(reported.failure(None, &self.failures));
        }
        match chunk::read(data, self.model.is_none()) {
            Ok(chunk) => self.chunk(chunk, data, out),
            Err(error) => {
                // Frames that lack the blank line between them arrive as one.
                let lines = data.split(|&byte| byte == b'\n');
                if lines.clone().count() > 1
                    && lines.clone().all(|line| {
                        line == b"[DONE]" || serde_json::from_slice::<Value>(line).is_ok()
                    })
                {
                    return lines.into_iter().try_for_each(|line| self.frame(event, line, out));
                }
                Err(self.garbled(&format!("a frame is no JSON: {error}")))
            }
        }
    }

    fn done(&mut self) -> Decoded {
        // Some servers leave the finish reason out; [DONE] alone is an end, if
        // there was anything it can be the end of.
        let said = !self.text.is_empty() || !self.reasoning.is_empty() || !self.calls.is_empty();
        if self.progress == Progress::Open && !said {
            let message = "the reply ended before it began";
            return Err(self.failures.of(FailureKind::Truncated, message));
        }
        self.progress = Progress::Complete;
        Ok(())
    }

    fn chunk(&mut self, chunk: Chunk, data: &[u8], out: &mut Out) -> Decoded {
        if let Some(error) = chunk.error.filter(is_populated) {
            let around = serde_json::from_slice(data).unwrap_or(Value::Null);
            return Err(Reported::of(&error, &around).failure(None, &self.failures));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage);
        }
        if self.model.is_none() {
            self.model = chunk.model;
        }
        match chunk.choice {
            Some(choice) => self.choice(choice, out),
            None if chunk.has_choices || chunk.usage.is_some() => Ok(()),
            None => self.unknown_frame(data, out),
        }
    }

    fn unknown_frame(&mut self, data: &[u8], out: &mut Out) -> Decoded {
        let value = serde_json::from_slice(data).unwrap_or(Value::Null);
        if let Some(reported) = Reported::in_body(&value) {
            return Err(reported.failure(None, &self.failures));
        }
        let quote = String::from_utf8_lossy(data);
        let quote = &quote[..quote.floor_char_boundary(QUOTE_BYTES_MAX)];
        self.notice(format!("a frame without choices: {quote}"), out);
        Ok(())
    }

    fn choice(&mut self, choice: Choice, out: &mut Out) -> Decoded {
        if let Some((field, text)) = choice.reasoning {
            self.reasoning_field.get_or_insert(field);
            self.say(Voice::Reasoning, text, out);
        }
        if !choice.reasoning_details.is_empty() {
            merge_details(&mut self.details, choice.reasoning_details);
        }
        if let Some(thought) = choice.thinking {
            self.reasoning_field.get_or_insert(FIELD_PARTS);
            self.say(Voice::Reasoning, thought, out);
        }
        if let Some(content) = choice.content {
            self.content(content, out);
        }
        if let Some(refusal) = choice.refusal {
            self.refused = true;
            self.say(Voice::Text, refusal, out);
        }
        for delta in choice.tool_calls {
            self.calls.push(delta, &mut |event| out.push_back(Beat::Event(event)));
        }
        if let Some(reason) = choice.finish {
            if reason == "error" {
                let message = "the server ended the reply with an error";
                return Err(self.failures.of(FailureKind::Unavailable, message));
            }
            self.finish = Some(reason);
            self.progress = Progress::Stopped;
        }
        if self.text.len() + self.reasoning.len() > TURN_BYTES_MAX {
            self.overflowed = true;
            self.notice(format!("the reply is longer than {TURN_BYTES_MAX} bytes"), out);
            self.progress = Progress::Complete;
        }
        Ok(())
    }

    fn content(&mut self, content: String, out: &mut Out) {
        // Taken out for the while, as what it says goes into the rest of us.
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.push(content, &mut |voice, text| self.say_content(voice, text, out));
        self.splitter = splitter;
    }

    fn say_content(&mut self, voice: Voice, text: String, out: &mut Out) {
        if voice == Voice::Reasoning {
            self.reasoning_field.get_or_insert(FIELD_TAGS);
        }
        self.say(voice, text, out);
    }

    fn say(&mut self, voice: Voice, text: String, out: &mut Out) {
        out.push_back(Beat::Event(match voice {
            Voice::Text => {
                self.text.push_str(&text);
                ModelEvent::Text(text)
            }
            Voice::Reasoning => {
                self.reasoning.push_str(&text);
                ModelEvent::Reasoning(text)
            }
        }));
    }

    fn start(&mut self, out: &mut Out) {
        if !self.started {
            self.started = true;
            out.push_back(Beat::Event(ModelEvent::Started));
        }
    }

    fn notice(&mut self, what: String, out: &mut Out) {
        if self.notices < NOTICES_MAX {
            self.notices += 1;
            let what = self.failures.clean(&what);
            out.push_back(Beat::Event(ModelEvent::Unknown { what }));
        }
    }

    fn garbled(&self, what: &str) -> CallFailure {
        self.failures.of(FailureKind::Garbled, &format!("the reply is not the format: {what}"))
    }

    /// Reads a reply that is one document: an error under a status of success,
    /// or the whole completion of a server that does not stream.
    fn document(&mut self, document: &[u8], out: &mut Out) -> Decoded {
        let Ok(value) = serde_json::from_slice::<Value>(document) else {
            return Err(self.garbled(
                "neither an event stream nor JSON; is `base_url` the root of an API that speaks \
                 OpenAI Chat Completions?",
            ));
        };
        if let Some(reported) = Reported::in_body(&value).filter(|_| value["choices"].is_null()) {
            return Err(reported.failure(None, &self.failures));
        }
        let chunk = chunk::lenient(&value);
        if chunk.choice.is_none() {
            return Err(self.garbled("JSON without a choice"));
        }
        self.start(out);
        self.chunk(chunk, document, out)?;
        self.progress = Progress::Complete;
        Ok(())
    }

    fn turn(&mut self, out: &mut Out) -> AssistantTurn {
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.finish(&mut |voice, text| self.say_content(voice, text, out));

        let mut calls = std::mem::take(&mut self.calls).into_vec();
        // A piece of arguments that never got a name belongs to nothing we could call.
        let named = calls.len();
        calls.retain(|call| !call.name.is_empty());
        if calls.len() < named {
            self.notice("a tool call without a name".to_owned(), out);
        }
        let mut read: Vec<(ToolCall, bool)> =
            calls.into_iter().map(|open| self.tool_call(open)).collect();
        if read.is_empty() {
            read = self.leaked_calls(out);
        }
        let finish = self.finish_reason(&read, out);

        let mut parts = Vec::new();
        if !self.reasoning.is_empty() {
            let field = self.reasoning_field.map(str::to_owned);
            parts.push(Part::Reasoning { text: std::mem::take(&mut self.reasoning), field });
        }
        if !self.details.is_empty() {
            let value = Value::Array(std::mem::take(&mut self.details));
            parts.push(Part::Native { format: NATIVE_DETAILS.to_owned(), value });
        }
        if !self.text.is_empty() {
            parts.push(Part::Text { text: std::mem::take(&mut self.text) });
        }
        parts.extend(read.into_iter().map(|(call, _)| Part::ToolCall(call)));
        AssistantTurn {
            parts,
            finish,
            usage: self.usage.unwrap_or_default(),
            model: self.model.take(),
        }
    }

    /// Returns the call, and whether its arguments break off.
    fn tool_call(&mut self, open: Open) -> (ToolCall, bool) {
        let mut read = arguments::read(&open.arguments);
        if open.too_long {
            let error = format!("the arguments are longer than {ARGUMENT_BYTES_MAX} bytes");
            read.arguments = Arguments::Malformed { raw: open.arguments, error };
        } else if open.arguments.trim().is_empty() && self.finish.as_deref().is_some_and(is_length)
        {
            // Nothing was written because there was no room, not because nothing was meant.
            let error = "the arguments break off".to_owned();
            read.arguments = Arguments::Malformed { raw: open.arguments, error };
            read.is_cut = true;
        }
        let id = ToolCallId(self.asked.unique_id(open.id));
        (ToolCall { id, name: open.name, arguments: read.arguments }, read.is_cut)
    }

    fn leaked_calls(&mut self, out: &mut Out) -> Vec<(ToolCall, bool)> {
        let tools = self.asked.tools.clone();
        let Some((calls, text)) = leaked::find(&self.text, &tools) else { return Vec::new() };
        self.text = text;
        let mut read = Vec::new();
        for (index, call) in calls.into_iter().enumerate() {
            let started = ModelEvent::ToolCallStarted { index, name: call.name.clone() };
            let delta = call.arguments.clone();
            out.push_back(Beat::Event(started));
            out.push_back(Beat::Event(ModelEvent::ToolArguments { index, delta }));
            let arguments = arguments::read(&call.arguments);
            let id = ToolCallId(self.asked.unique_id(None));
            let is_cut = arguments.is_cut;
            read.push((ToolCall { id, name: call.name, arguments: arguments.arguments }, is_cut));
        }
        read
    }

    fn finish_reason(&mut self, calls: &[(ToolCall, bool)], out: &mut Out) -> FinishReason {
        if self.overflowed {
            return FinishReason::Length;
        }
        // Whatever the server says: what breaks off was cut, and a call that is
        // whole was made. Only the last can be cut, as nothing follows it.
        match calls.last() {
            Some((_, true)) => return FinishReason::Length,
            Some((_, false)) => return FinishReason::ToolCalls,
            None => {}
        }
        let Some(reason) = self.finish.take() else {
            return if self.refused { FinishReason::Refused } else { FinishReason::Stop };
        };
        match reason.as_str() {
            "content_filter" | "refusal" | "safety" | "sensitive" => FinishReason::Refused,
            _ if self.refused => FinishReason::Refused,
            // Calls were promised and none came.
            "tool_calls" | "function_call" => FinishReason::Stop,
            "stop" | "end" | "eos" | "end_turn" | "stop_sequence" | "completed" => {
                FinishReason::Stop
            }
            reason if is_length(reason) => FinishReason::Length,
            reason => {
                self.notice(format!("an unknown finish reason: {reason}"), out);
                FinishReason::Other
            }
        }
    }
}

impl Decode for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Out) -> Decoded {
        if self.shape == Shape::Unknown
            && let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            self.shape = match first {
                b'{' | b'[' | b'<' => Shape::Document,
                _ => Shape::Events,
            };
        }
        match self.shape {
            Shape::Unknown => {
                out.push_back(Beat::Alive);
                Ok(())
            }
            Shape::Document => {
                self.document.extend_from_slice(bytes);
                if self.document.len() > DOCUMENT_BYTES_MAX {
                    return Err(self.garbled("a document without end instead of a stream"));
                }
                out.push_back(Beat::Alive);
                Ok(())
            }
            Shape::Events => {
                self.frames.push(bytes);
                self.read_frames(out)
            }
        }
    }

    fn end(&mut self, lost: Option<&str>, out: &mut Out) -> Decoded {
        if self.shape == Shape::Document && lost.is_none() {
            let document = std::mem::take(&mut self.document);
            return self.document(&document, out);
        }
        let mut frames = std::mem::take(&mut self.frames);
        if let Some(Frame::Data { event, data }) = frames.rest()
            && self.progress != Progress::Complete
            // A last frame that cannot be read was cut off in the middle.
            && (data == b"[DONE]" || serde_json::from_slice::<IgnoredAny>(data).is_ok())
        {
            self.frame(event, data, out)?;
        }
        if self.progress >= Progress::Stopped {
            return Ok(());
        }
        let message = match lost {
            Some(cause) => format!("the connection was lost before the reply ended: {cause}"),
            None => "the reply stopped before its end".to_owned(),
        };
        Err(self.failures.of(FailureKind::Truncated, &message))
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn has_usage(&self) -> bool {
        self.usage.is_some()
    }

    fn finish(&mut self, _may_continue: bool, out: &mut Out) -> Finish {
        Finish::Turn(Box::new(self.turn(out)))
    }
}

fn is_length(reason: &str) -> bool {
    matches!(reason, "length" | "max_tokens" | "max_output_tokens" | "model_length")
}

/// Returns whether an `error` field says anything: some servers always send one.
fn is_populated(error: &Value) -> bool {
    match error {
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

/// Appends pieces of `reasoning_details`: text of the same type and index goes
/// on, everything else (signatures, encrypted blocks) is kept as it came.
fn merge_details(details: &mut Vec<Value>, pieces: Vec<Value>) {
    for piece in pieces {
        let continues =
            matches!(piece["type"].as_str(), Some("reasoning.text" | "reasoning.summary"))
                && details.last().is_some_and(|last| {
                    last["type"] == piece["type"] && last["index"] == piece["index"]
                });
        match (details.last_mut(), piece) {
            (Some(Value::Object(last)), Value::Object(piece)) if continues => {
                for (key, value) in piece {
                    match (last.get_mut(&key), value) {
                        (Some(Value::String(text)), Value::String(more))
                            if key == "text" || key == "summary" =>
                        {
                            text.push_str(&more);
                        }
                        (None | Some(Value::Null), value) => {
                            last.insert(key, value);
                        }
                        (Some(_), _) => {}
                    }
                }
            }
            (_, piece) => details.push(piece),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
