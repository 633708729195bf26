//! A reply's lines → model events and the assembled turn.

use std::borrow::Cow;

use massgen_protocol::{AssistantTurn, CallFailure, FailureKind, FinishReason, Part, Usage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::lines::{LineTooLong, Lines};
use crate::backend::Beat;
use crate::failure::Failures;
use crate::provider::decode::{
    ARGUMENT_BYTES_MAX, Asked, CALLS_MAX, DOCUMENT_BYTES_MAX, Decode, Decoded, Finish, Out,
    Progress,
};
use crate::provider::openai_chat::think::{Splitter, Voice};
use crate::provider::reported::Reported;
use crate::provider::turn::Turn;

/// What the request asked for that explains how a reply ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// Tokens of the context, where they were asked for.
    pub(super) context: Option<u64>,
    /// The reply was given a bound.
    pub(super) is_bounded: bool,
}

#[derive(Debug)]
pub(super) struct Decoder {
    turn: Turn,
    room: Room,
    lines: Lines,
    /// What came is one document over many lines.
    document: Option<Vec<u8>>,
    splitter: Splitter,
    said: Said,
    finish: FinishReason,
    progress: Progress,
    native: String,
}

/// The model's message as it came, for later requests.
#[derive(Debug, Default)]
struct Said {
    content: String,
    thinking: String,
    tool_calls: Vec<Value>,
    /// It cannot be sent again.
    is_spoilt: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Line {
    model: Option<String>,
    message: Option<Message>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Message {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<Value>>,
}

/// What one side says has one block: thoughts, and the text.
const SLOT: u64 = 0;

impl Decoder {
    pub(super) fn new(asked: Asked, failures: Failures, room: Room, native: String) -> Decoder {
        Decoder {
            turn: Turn::new(asked, failures),
            room,
            lines: Lines::default(),
            document: None,
            splitter: Splitter::default(),
            said: Said::default(),
            finish: FinishReason::Stop,
            progress: Progress::Open,
            native,
        }
    }

    fn garbled(&self, what: &str) -> CallFailure {
        let message = format!("the reply is not Ollama's: {what}");
        self.turn.failure(FailureKind::Garbled, &message)
    }

    fn read_lines(&mut self, out: &mut Out) -> Decoded {
        // Taken out for the while, as a line borrows from it.
        let mut lines = std::mem::take(&mut self.lines);
        let result = loop {
            if self.progress == Progress::Complete || self.document.is_some() {
                break Ok(());
            }
            match lines.next() {
                Ok(Some(line)) => {
                    if let Err(failure) = self.line(line, out) {
                        break Err(failure);
                    }
                }
                Ok(None) => break Ok(()),
                Err(LineTooLong) => break Err(self.garbled("a line without end")),
            }
        };
        self.lines = lines;
        result
    }

    fn line(&mut self, line: &[u8], out: &mut Out) -> Decoded {
        // Comments are of no JSON, but proxies keep connections alive with them.
        if line.is_empty() || line.starts_with(b":") {
            out.push_back(Beat::Alive);
            return Ok(());
        }
        match read(line) {
            Ok(read) => self.said(read, line, out),
            Err(error) if error.is_eof() => {
                self.document = Some(line.to_vec());
                Ok(())
            }
            Err(error) => Err(self.garbled(&format!("a line cannot be read: {error}"))),
        }
    }

    fn said(&mut self, line: Line, data: &[u8], out: &mut Out) -> Decoded {
        if let Some(error) = line.error.filter(|error| !error.is_null()) {
            let reported = Reported::of(&error, &Value::Null);
            return Err(reported.failure(None, self.turn.failures()));
        }
        let is_done = line.done.unwrap_or(false);
        self.turn.start(out);
        if line.message.is_none() && !is_done {
            self.turn.unknown(data, out);
            return Ok(());
        }
        if self.turn.model.is_none() {
            self.turn.model = line.model.filter(|name| !name.is_empty());
        }
        let message = line.message.unwrap_or_default();
        if let Some(thinking) = message.thinking {
            self.turn.reasoning(SLOT, &thinking, out);
            self.said.thinking.push_str(&thinking);
        }
        if let Some(content) = message.content.filter(|content| !content.is_empty()) {
            self.said.content.push_str(&content);
            self.content(content, out);
        }
        for call in message.tool_calls.into_iter().flatten() {
            self.call(call, out);
        }
        if self.turn.is_full() {
            self.progress = Progress::Complete;
        } else if is_done {
            let counts = (line.prompt_eval_count, line.eval_count);
            self.done(line.done_reason.as_deref().unwrap_or_default(), counts, out)?;
        }
        Ok(())
    }

    fn content(&mut self, content: String, out: &mut Out) {
        // Taken out for the while, as what it says goes into the rest of us.
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.push(content, &mut |voice, text| self.say(voice, &text, out));
        self.splitter = splitter;
    }

    fn say(&mut self, voice: Voice, text: &str, out: &mut Out) {
        match voice {
            Voice::Text => self.turn.text(SLOT, text, out),
            Voice::Reasoning => self.turn.reasoning(SLOT, text, out),
        }
    }

    fn call(&mut self, call: Value, out: &mut Out) {
        let slot = self.said.tool_calls.len();
        let function = call.get("function");
        let field = |key: &str| function.and_then(|function| function.get(key));
        let name = field("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let arguments = match field("arguments") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(arguments)) => arguments.clone(),
            Some(arguments) => arguments.to_string(),
        };
        let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        self.turn.call(slot as u64, id.map(str::to_owned), &name, out);
        self.turn.arguments(slot as u64, &arguments, out);
        // The server takes nothing but an object back.
        let is_object = field("arguments").is_none_or(|it| it.is_object() || it.is_null());
        let is_good = is_object && !name.is_empty() && arguments.len() <= ARGUMENT_BYTES_MAX;
        self.said.is_spoilt |= !is_good || slot >= CALLS_MAX;
        if slot < CALLS_MAX {
            self.said.tool_calls.push(call);
        }
    }

    fn done(
        &mut self,
        reason: &str,
        (prompt, said): (Option<u64>, Option<u64>),
        out: &mut Out,
    ) -> Decoded {
        self.turn.usage = Some(Usage {
            input_uncached: prompt.unwrap_or(0),
            output: said.unwrap_or(0),
            ..Usage::default()
        });
        self.finish = match reason {
            "" | "stop" => FinishReason::Stop,
            "length" => {
                self.tell_what_is_full(prompt.unwrap_or(0).saturating_add(said.unwrap_or(0)), out);
                FinishReason::Length
            }
            // The server took the request for one to load the model, or to let it go.
            "load" | "unload" => {
                let message = format!("the server did not ask the model (done_reason `{reason}`)");
                return Err(self.turn.failure(FailureKind::Garbled, &message));
            }
            reason => {
                self.turn.notice(&format!("an unknown finish reason: {reason}"), out);
                FinishReason::Other
            }
        };
        self.progress = Progress::Complete;
        Ok(())
    }

    /// Tells of a context that was too small, where the figures show that it was.
    fn tell_what_is_full(&mut self, tokens: u64, out: &mut Out) {
        let remedy = "set `context_window` to more";
        match self.room.context {
            Some(size) if tokens >= size => {
                let what = format!("the context of {size} tokens is full; {remedy}");
                self.turn.notice(&what, out);
            }
            None if !self.room.is_bounded => {
                let what = format!(
                    "the reply was cut at {tokens} tokens though no bound was asked for, so the \
                     context the server chose is full; {remedy}"
                );
                self.turn.notice(&what, out);
            }
            Some(_) | None => {}
        }
    }

    fn document(&mut self, document: &[u8], out: &mut Out) -> Decoded {
        match read(document) {
            Ok(line) => self.said(line, document, out),
            // It broke off, which is what matters of a reply that had begun.
            Err(error) if error.is_eof() || !self.turn.is_empty() => Ok(()),
            Err(error) => Err(self.garbled(&error.to_string())),
        }
    }
}

impl Decode for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Out) -> Decoded {
        if self.document.is_none() {
            self.lines.push(bytes);
            self.read_lines(out)?;
            if let Some(document) = &mut self.document {
                document.push(b'\n');
                document.append(&mut self.lines.take_rest());
            }
            return Ok(());
        }
        if let Some(document) = &mut self.document {
            document.extend_from_slice(bytes);
            if document.len() > DOCUMENT_BYTES_MAX {
                return Err(self.garbled("a document without end instead of lines"));
            }
        }
        out.push_back(Beat::Alive);
        Ok(())
    }

    fn end(&mut self, lost: Option<&str>, out: &mut Out) -> Decoded {
        let rest = self.document.take().unwrap_or_else(|| self.lines.take_rest());
        let rest = rest.trim_ascii();
        if self.progress != Progress::Complete && !rest.is_empty() && !rest.starts_with(b":") {
            self.document(rest, out)?;
        }
        if self.progress == Progress::Complete {
            return Ok(());
        }
        let message = match lost {
            Some(cause) => format!("the connection was lost before the reply ended: {cause}"),
            None => "the reply stopped before its end".to_owned(),
        };
        Err(self.turn.failure(FailureKind::Truncated, &message))
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn has_usage(&self) -> bool {
        self.turn.usage.is_some()
    }

    fn finish(&mut self, _may_continue: bool, out: &mut Out) -> Finish {
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.finish(&mut |voice, text| self.say(voice, &text, out));
        let built = self.turn.build(self.finish, out);
        let mut said = std::mem::take(&mut self.said);
        for (slot, id) in built.renamed {
            let call = usize::try_from(slot).ok().and_then(|at| said.tool_calls.get_mut(at));
            if let Some(Value::Object(call)) = call {
                call.insert("id".to_owned(), Value::String(id));
            }
        }
        let mut parts = built.parts;
        if !built.has_leaked_calls
            && let Some(value) = said.into_message()
        {
            parts.insert(0, Part::Native { format: self.native.clone(), value });
        }
        Finish::Turn(Box::new(AssistantTurn {
            parts,
            finish: built.finish,
            usage: self.turn.usage.unwrap_or_default(),
            model: self.turn.model.take(),
        }))
    }
}

impl Said {
    /// Returns the message; `None` if there is nothing to say again.
    fn into_message(self) -> Option<Value> {
        if self.is_spoilt || (self.content.is_empty() && self.tool_calls.is_empty()) {
            return None;
        }
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        message.insert("content".to_owned(), json!(self.content));
        if !self.thinking.is_empty() {
            message.insert("thinking".to_owned(), json!(self.thinking));
        }
        if !self.tool_calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(self.tool_calls));
        }
        Some(Value::Object(message))
    }
}

/// Reads one line. Broken UTF-8 inside a text loses a character, not the call.
fn read(line: &[u8]) -> Result<Line, serde_json::Error> {
    serde_json::from_slice(line).or_else(|error| match String::from_utf8_lossy(line) {
        Cow::Owned(mended) => serde_json::from_str(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
