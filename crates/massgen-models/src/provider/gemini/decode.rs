//! A reply's responses → model events and the assembled turn.

use massgen_protocol::{AssistantTurn, FailureKind, FinishReason, Part};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::chunk::{self, Candidate, Chunk, Counts, Piece};
use super::remote::Remote;
use super::said::{Said, is_thought};
use crate::failure::Failures;
use crate::provider::decode::{
    ARGUMENT_BYTES_MAX, Asked, CALLS_MAX, Decoded, Finish, Out, Progress,
};
use crate::provider::events::Format;
use crate::provider::reported::Reported;
use crate::provider::turn::Turn;

/// Models put these before the names of functions, as they were trained on code.
const NAMESPACES: [&str; 2] = ["default_api:", "default_api."];

#[derive(Debug)]
pub(super) struct Generate {
    turn: Turn,
    said: Said,
    remote: Remote,
    counts: Option<Counts>,
    /// Whether what is being said is a thought; `None` after anything but text.
    voice: Option<bool>,
    /// Of the text that is being said.
    slot: u64,
    calls: usize,
    /// Anything but thoughts has come.
    has_content: bool,
    finish: Option<FinishReason>,
    progress: Progress,
    /// An event broke off in the middle, which only the last one may.
    is_broken: bool,
    /// Told with the first response.
    notice: Option<String>,
    /// Of the content that is replayed.
    native: String,
}

impl Generate {
    pub(super) fn new(
        asked: Asked,
        failures: Failures,
        notice: Option<String>,
        native: String,
    ) -> Generate {
        Generate {
            turn: Turn::new(asked, failures),
            said: Said::default(),
            remote: Remote::default(),
            counts: None,
            voice: None,
            slot: 0,
            calls: 0,
            has_content: false,
            finish: None,
            progress: Progress::Open,
            is_broken: false,
            notice,
            native,
        }
    }

    fn chunk(&mut self, chunk: Chunk, out: &mut Out) -> Decoded {
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            let reported = Reported::of(&error, &Value::Null);
            return Err(reported.failure(None, self.turn.failures()));
        }
        self.turn.start(out);
        if let Some(notice) = self.notice.take() {
            self.turn.notice(&notice, out);
        }
        if let Some(counts) = chunk.usage_metadata {
            self.counts.get_or_insert_default().update(counts);
        }
        if self.turn.model.is_none() {
            self.turn.model = chunk.model_version.filter(|name| !name.is_empty());
        }
        if let Some(feedback) = chunk.prompt_feedback
            && let Some(reason) = feedback.block_reason.filter(|reason| is_said(reason))
        {
            let message = feedback.block_reason_message;
            let message = message.map(|message| format!(": {message}")).unwrap_or_default();
            self.turn.notice(&format!("the prompt was blocked ({reason}){message}"), out);
            self.stop(FinishReason::Refused);
        }
        let mut candidates = chunk.candidates.into_iter().flatten();
        match candidates.find(|candidate| matches!(candidate.index, None | Some(0))) {
            Some(candidate) => self.candidate(candidate, out),
            None => Ok(()),
        }
    }

    fn candidate(&mut self, candidate: Candidate, out: &mut Out) -> Decoded {
        for piece in candidate.content.and_then(|content| content.parts).into_iter().flatten() {
            match piece {
                Piece::Text { text, is_thought } if !self.turn.is_full() => {
                    self.text(is_thought, &text, out);
                    self.said.text(text, is_thought);
                }
                Piece::Other(part) if !self.turn.is_full() => self.part(part, out),
                Piece::Text { .. } | Piece::Other(_) => break,
            }
        }
        if let Some(metadata) = &candidate.grounding_metadata {
            self.remote.grounding(metadata);
        }
        if self.turn.is_full() {
            self.progress = Progress::Complete;
            return Ok(());
        }
        match candidate.finish_reason.filter(|reason| is_said(reason)) {
            Some(reason) => self.finished(&reason, candidate.finish_message, out),
            None => Ok(()),
        }
    }

    fn part(&mut self, mut part: Map<String, Value>, out: &mut Out) {
        if let Some(Value::String(signature)) = part.get("thoughtSignature") {
            self.turn.weigh(signature.len());
        }
        if let Some(Value::Object(call)) = part.get_mut("functionCall") {
            let (id, name, arguments) = read_call(call);
            // The server takes nothing but an object back.
            let is_object = call.get("args").is_none_or(|args| args.is_object() || args.is_null());
            self.voice = None;
            self.has_content = true;
            let is_nameless = name.is_empty();
            // One without a name can be neither called nor replayed.
            let at = if is_nameless { usize::MAX } else { self.said.part(part) };
            self.calls += 1;
            if !is_object || arguments.len() > ARGUMENT_BYTES_MAX || self.calls > CALLS_MAX {
                self.said.spoil();
            }
            self.turn.call(at as u64, id, &name, out);
            self.turn.arguments(at as u64, &arguments, out);
        } else if let Some(Value::String(text)) = part.get("text") {
            self.text(is_thought(&part), text, out);
            self.said.part(part);
        } else if self.remote.part(&part, out) {
            self.other(part);
        } else if part.keys().all(|key| key == "thoughtSignature" || key == "thought") {
            self.said.part(part);
        } else {
            let what = part.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            self.turn.notice(&format!("a part of another kind: {what}"), out);
            self.other(part);
        }
    }

    fn text(&mut self, is_thought: bool, text: &str, out: &mut Out) {
        if text.is_empty() {
            return;
        }
        if self.voice != Some(is_thought) {
            self.voice = Some(is_thought);
            self.slot += 1;
        }
        if is_thought {
            self.turn.reasoning(self.slot, text, out);
        } else {
            self.has_content = true;
            self.turn.text(self.slot, text, out);
        }
    }

    /// Keeps a part that is neither text nor a call.
    fn other(&mut self, part: Map<String, Value>) {
        self.voice = None;
        self.has_content = true;
        let bytes: usize = part.values().map(|value| value.to_string().len()).sum();
        self.turn.weigh(bytes);
        self.said.part(part);
    }

    fn finished(&mut self, reason: &str, message: Option<String>, out: &mut Out) -> Decoded {
        let finish = match reason {
            "STOP" if self.has_content => FinishReason::Stop,
            "MAX_TOKENS" => FinishReason::Length,
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "MODEL_ARMOR"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => FinishReason::Refused,
            // The model wrote what cannot be used, or nothing: asked again it mostly can.
            "STOP" => return self.useless("an empty reply", reason, message),
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MALFORMED_RESPONSE"
            | "OTHER"
            | "NO_IMAGE"
            | "IMAGE_OTHER" => {
                return self.useless("a reply that cannot be used", reason, message);
            }
            // What was sent is at fault, and would be the next time.
            "MISSING_THOUGHT_SIGNATURE" => {
                let message = "the history lacks a thought signature (MISSING_THOUGHT_SIGNATURE)";
                return Err(self.turn.failure(FailureKind::BadRequest, message));
            }
            reason => {
                self.turn.notice(&format!("an unknown finish reason: {reason}"), out);
                FinishReason::Other
            }
        };
        self.stop(finish);
        Ok(())
    }

    fn useless(&self, what: &str, reason: &str, message: Option<String>) -> Decoded {
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        let message = format!("{what} ({reason}){message}");
        Err(self.turn.failure(FailureKind::Garbled, &message))
    }

    fn stop(&mut self, finish: FinishReason) {
        self.finish = Some(finish);
        // Nothing but the end of the response tells that no more comes.
        self.progress = Progress::Stopped;
    }

    fn garbled(&self, what: &str) -> Decoded {
        let message = format!("the reply is not {}: {what}", Self::NAME);
        Err(self.turn.failure(FailureKind::Garbled, &message))
    }
}

impl Format for Generate {
    const NAME: &'static str = "Gemini generateContent";

    fn event(&mut self, _name: &str, data: &[u8], out: &mut Out) -> Decoded {
        if self.is_broken {
            return self.garbled("an event breaks off");
        }
        let chunk = match chunk::read(data) {
            Ok(chunk) => chunk,
            Err(error) if error.is_eof() => {
                self.is_broken = true;
                return Ok(());
            }
            Err(error) => return self.garbled(&format!("an event cannot be read: {error}")),
        };
        if is_of_nothing(&chunk) {
            let value = serde_json::from_slice(data).unwrap_or(Value::Null);
            if let Some(reported) = Reported::in_body(&value) {
                return Err(reported.failure(None, self.turn.failures()));
            }
            self.turn.start(out);
            self.turn.unknown(data, out);
            return Ok(());
        }
        self.chunk(chunk, out)
    }

    /// A list of responses is what comes where `alt=sse` got lost on the way.
    fn document(&mut self, document: &Value, out: &mut Out) -> Decoded {
        let responses = match document {
            Value::Array(responses) => responses.as_slice(),
            other => std::slice::from_ref(other),
        };
        let mut is_empty = true;
        for response in responses {
            let chunk = match Chunk::deserialize(response) {
                Ok(chunk) => chunk,
                Err(error) => return self.garbled(&error.to_string()),
            };
            if is_of_nothing(&chunk)
                && let Some(reported) = Reported::in_body(response)
            {
                return Err(reported.failure(None, self.turn.failures()));
            }
            is_empty &= is_without_word(&chunk);
            self.chunk(chunk, out)?;
        }
        if is_empty { self.garbled("JSON without a candidate") } else { Ok(()) }
    }

    /// One that lies on one line is looked at once only, when it is read.
    fn is_whole(data: &[u8]) -> bool {
        let is_on_one_line = data.last() == Some(&b'}') && !data.contains(&b'\n');
        is_on_one_line || serde_json::from_slice::<IgnoredAny>(data).is_ok()
    }

    fn done(&mut self, _out: &mut Out) -> Decoded {
        if self.progress == Progress::Stopped {
            self.progress = Progress::Complete;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn has_usage(&self) -> bool {
        self.counts.is_some()
    }

    fn finish(&mut self, _may_continue: bool, out: &mut Out) -> Finish {
        self.remote.finish(out);
        let built = self.turn.build(self.finish.unwrap_or(FinishReason::Stop), out);
        let mut said = std::mem::take(&mut self.said);
        for (at, id) in built.renamed {
            said.rename(at, id);
        }
        let mut parts = built.parts;
        if !built.has_leaked_calls
            && let Some(value) = said.into_content()
        {
            parts.insert(0, Part::Native { format: self.native.clone(), value });
        }
        Finish::Turn(Box::new(AssistantTurn {
            parts,
            finish: built.finish,
            usage: self.counts.map(Counts::normalised).unwrap_or_default(),
            model: self.turn.model.take(),
        }))
    }
}

/// Takes a call apart, and its namespace off its name, as functions are declared without.
fn read_call(call: &mut Map<String, Value>) -> (Option<String>, String, String) {
    let id = call.get("id").and_then(Value::as_str).map(str::to_owned);
    let written = call.get("name").and_then(Value::as_str).unwrap_or_default().trim();
    let name = NAMESPACES.iter().find_map(|space| written.strip_prefix(space));
    let name = name.unwrap_or(written).to_owned();
    call.insert("name".to_owned(), Value::String(name.clone()));
    let arguments = match call.get("args") {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(arguments)) => arguments.clone(),
        Some(arguments) => arguments.to_string(),
    };
    (id.filter(|id| !id.is_empty()), name, arguments)
}

/// Returns whether a reason says anything: empty and unset ones come with every response of
/// some servers.
fn is_said(reason: &str) -> bool {
    !reason.is_empty() && !reason.ends_with("_UNSPECIFIED")
}

fn is_of_nothing(chunk: &Chunk) -> bool {
    is_without_word(chunk) && chunk.usage_metadata.is_none() && chunk.error.is_none()
}

fn is_without_word(chunk: &Chunk) -> bool {
    chunk.candidates.as_ref().is_none_or(Vec::is_empty) && chunk.prompt_feedback.is_none()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
