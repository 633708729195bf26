//! What an agent says of a task → model events and the turn.
//!
//! A task's artifacts, and the message it ends with, are the reply. What is said while it is at
//! work is told as thoughts. Agents repeat themselves: the task as a whole holds the artifacts
//! that were streamed, and the last message is often one of them. Nothing is said twice.

use massgen_protocol::{
    AssistantTurn, CallFailure, FailureKind, FinishReason, ModelEvent, Part, ToolCall, ToolCallId,
    Usage,
};
use serde_json::{Value, json};

use super::event::{self, Artifact, At, Event, Message, State, Status};
use super::message::native;
use super::part::{self, Said};
use super::refusal::{self, Refusal};
use crate::backend::Beat;
use crate::failure::Failures;
use crate::provider::decode::{
    Asked, Decoded, Finish, NOTICES_MAX, Out, Progress, QUOTE_BYTES_MAX, TURN_BYTES_MAX,
};
use crate::provider::events::Format;
use crate::text_calls;

#[derive(Debug)]
pub(super) struct Reply {
    asked: Asked,
    failures: Failures,
    /// Of the native part.
    format: String,
    task: Option<String>,
    context: Option<String>,
    /// Whether anything was said of a task, other than its name.
    has_task: bool,
    end: Option<End>,
    /// Artifacts and final messages, in the order they began.
    texts: Vec<Piece>,
    /// Messages of a task at work.
    thoughts: Vec<Piece>,
    /// Tools of the agent's own: id, and whether it is done.
    tools: Vec<(String, bool)>,
    refusal: Option<Refusal>,
    bytes: usize,
    is_full: bool,
    has_started: bool,
    notices: usize,
}

/// Something the agent said, by the id it gave it.
#[derive(Debug)]
struct Piece {
    id: String,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Completed,
    /// The task waits for another message.
    Asks,
    /// It failed, or was turned away.
    Lost,
}

impl Reply {
    pub(super) fn new(asked: Asked, failures: Failures, format: String) -> Reply {
        Reply {
            asked,
            failures,
            format,
            task: None,
            context: None,
            has_task: false,
            end: None,
            texts: Vec::new(),
            thoughts: Vec::new(),
            tools: Vec::new(),
            refusal: None,
            bytes: 0,
            is_full: false,
            has_started: false,
            notices: 0,
        }
    }

    pub(super) fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }

    pub(super) fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Why the server refused, if it did so under a status of success.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Whether anything was said that a reader has seen.
    pub(super) fn has_spoken(&self) -> bool {
        !self.texts.is_empty() || !self.thoughts.is_empty() || !self.tools.is_empty()
    }

    /// Whether the agent has nothing more to do for us.
    pub(super) fn is_settled(&self) -> bool {
        self.end.is_some()
    }

    fn take(&mut self, payload: &Value, out: &mut Out) -> Decoded {
        let is_rpc = payload.get("jsonrpc").is_some() || payload.get("result").is_some();
        if payload.get("error").is_some_and(|error| !error.is_null())
            && let Some(refusal) = refusal::in_body(payload, None, &self.failures)
        {
            let failure = refusal.failure.clone();
            self.refusal = Some(refusal);
            return Err(failure);
        }
        let value = if is_rpc { &payload["result"] } else { payload };
        let Some(event) = event::read(value) else {
            self.unknown(payload, out);
            return Ok(());
        };
        self.start(out);
        match event {
            Event::Task { at, status, artifacts, last_message } => {
                self.has_task = true;
                self.note(at);
                for artifact in &artifacts {
                    self.artifact(artifact, false, out);
                }
                let is_mute = status.message.is_none() && artifacts.is_empty();
                let mut status = status;
                if status.state == State::Completed && is_mute && self.texts.is_empty() {
                    // Some keep their answer in the history alone.
                    status.message = last_message;
                }
                self.status(&status, out)
            }
            Event::Status { at, status } => {
                self.has_task = true;
                self.note(at);
                self.status(&status, out)
            }
            Event::Artifact { at, artifact, append } => {
                self.has_task = true;
                self.note(at);
                self.artifact(&artifact, append, out);
                Ok(())
            }
            Event::Message { at, message } => {
                self.note(at);
                self.message(&message, out);
                // A message amid the news of a task is more of it; one alone is the reply, even if
                // it names a task, which its server does not know of.
                if !self.has_task {
                    self.end = Some(End::Completed);
                    self.task = None;
                }
                Ok(())
            }
        }
    }

    fn note(&mut self, at: At<'_>) {
        if let Some(task) = at.task {
            self.task = Some(task.to_owned());
        }
        if let Some(context) = at.context {
            self.context = Some(context.to_owned());
        }
    }

    fn status(&mut self, status: &Status<'_>, out: &mut Out) -> Decoded {
        let words = || {
            let words = status.message.as_ref().map(|message| part::text(message.parts));
            words.filter(|words| !words.trim().is_empty())
        };
        if matches!(status.state, State::Failed | State::Rejected | State::Canceled) {
            self.end = Some(End::Lost);
        }
        let failure = |kind, what: &str| {
            let message = match words() {
                Some(words) => format!("the agent {what}: {words}"),
                None => format!("the agent {what}, without a word"),
            };
            Err(self.failures.of(kind, &message))
        };
        match status.state {
            State::Open => {
                if let Some(message) = &status.message {
                    self.thought(message, out);
                }
                Ok(())
            }
            State::Completed | State::InputRequired => {
                if let Some(message) = &status.message {
                    self.message(message, out);
                }
                let asks = status.state == State::InputRequired;
                self.end = Some(if asks { End::Asks } else { End::Completed });
                Ok(())
            }
            State::AuthRequired => failure(FailureKind::Auth, "asks for credentials"),
            State::Failed => failure(FailureKind::Unavailable, "failed"),
            State::Rejected => failure(FailureKind::BadRequest, "rejected the task"),
            State::Canceled => failure(FailureKind::Unavailable, "canceled the task"),
        }
    }

    /// Takes in an artifact or a piece of one.
    fn artifact(&mut self, artifact: &Artifact<'_>, append: bool, out: &mut Out) {
        let text = self.spoken(artifact.parts, out);
        let known = self.texts.iter().position(|said| said.id == artifact.id);
        match known {
            Some(at) if append => self.add(at, &text, out),
            Some(at) => self.set(at, &text, out),
            None => self.begin(artifact.id, &text, out),
        }
    }

    /// Takes in a message that is part of the reply.
    fn message(&mut self, message: &Message<'_>, out: &mut Out) {
        let text = self.spoken(message.parts, out);
        let repeated = |said: &Piece| said.id == message.id || said.text.trim() == text.trim();
        // As a thought it was not yet known to be the answer, so there it may stand too.
        if !text.trim().is_empty() && !self.texts.iter().any(repeated) {
            let id = message.id.to_owned();
            self.begin(&id, &text, out);
        }
    }

    fn begin(&mut self, id: &str, text: &str, out: &mut Out) {
        if text.is_empty() {
            return;
        }
        self.texts.push(Piece { id: id.to_owned(), text: String::new() });
        self.add(self.texts.len() - 1, text, out);
    }

    fn set(&mut self, at: usize, whole: &str, out: &mut Out) {
        let known = self.texts[at].text.clone();
        if let Some(rest) = whole.strip_prefix(known.as_str()) {
            self.add(at, rest, out);
        } else {
            // What was shown cannot be taken back; the turn holds what counts.
            self.texts[at].text.clear();
            self.say(at, GAP, whole, out);
        }
    }

    fn add(&mut self, at: usize, text: &str, out: &mut Out) {
        let begins = self.texts[at].text.is_empty();
        let follows = self.texts.iter().any(|said| !said.text.is_empty());
        self.say(at, if begins && follows { GAP } else { "" }, text, out);
    }

    fn say(&mut self, at: usize, gap: &str, text: &str, out: &mut Out) {
        if !text.is_empty() && self.may_take(text.len()) {
            self.texts[at].text.push_str(text);
            out.push_back(Beat::Event(ModelEvent::Text(format!("{gap}{text}"))));
        }
    }

    fn thought(&mut self, message: &Message<'_>, out: &mut Out) {
        let text = self.spoken(message.parts, out);
        let known =
            self.thoughts.iter().rev().find(|said| {
                (!message.id.is_empty() && said.id == message.id) || said.text == text
            });
        if known.is_some() {
            return;
        }
        let id = message.id.to_owned();
        self.think(id, &text, out);
    }

    fn think(&mut self, id: String, text: &str, out: &mut Out) {
        if text.trim().is_empty() || !self.may_take(text.len()) {
            return;
        }
        let gap = self.thoughts.last().map_or("", |last| gap_between(&last.text, text));
        let text = format!("{gap}{text}");
        out.push_back(Beat::Event(ModelEvent::Reasoning(text.clone())));
        self.thoughts.push(Piece { id, text });
    }

    /// Returns the text of parts, after telling of what else they say.
    fn spoken(&mut self, parts: &[Value], out: &mut Out) -> String {
        let mut spoken = String::new();
        for said in parts.iter().map(part::read) {
            match said {
                Said::Text(text) => spoken.push_str(&text),
                Said::Thought(text) => {
                    if !self.thoughts.iter().any(|said| said.text.trim() == text.trim()) {
                        self.think(String::new(), &text, out);
                    }
                }
                Said::ToolStarted { id, name, input } => {
                    if !self.tools.iter().any(|(known, _)| *known == id) {
                        self.tools.push((id.clone(), false));
                        let event = ModelEvent::RemoteToolStarted { id, name, input };
                        out.push_back(Beat::Event(event));
                    }
                }
                Said::ToolFinished { id, name, output } => {
                    let open = self.tools.iter_mut().find(|(known, done)| *known == id && !done);
                    if let Some((_, done)) = open {
                        *done = true;
                        let event =
                            ModelEvent::RemoteToolFinished { id, name, output, is_error: false };
                        out.push_back(Beat::Event(event));
                    }
                }
            }
        }
        spoken
    }

    fn may_take(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        self.is_full |= self.bytes > TURN_BYTES_MAX;
        !self.is_full
    }

    fn start(&mut self, out: &mut Out) {
        if !self.has_started {
            self.has_started = true;
            out.push_back(Beat::Event(ModelEvent::Started));
        }
    }

    fn unknown(&mut self, payload: &Value, out: &mut Out) {
        self.start(out);
        if self.notices < NOTICES_MAX {
            self.notices += 1;
            let quote = payload.to_string();
            let quote = &quote[..quote.floor_char_boundary(QUOTE_BYTES_MAX)];
            let what = self.failures.clean(&format!("an unknown event: {quote}"));
            out.push_back(Beat::Event(ModelEvent::Unknown { what }));
        }
    }

    fn turn(&mut self) -> AssistantTurn {
        let texts = |said: &[Piece]| said.iter().map(|said| said.text.clone()).collect::<Vec<_>>();
        let shown: Vec<String> =
            texts(&self.texts).into_iter().filter(|text| !text.trim().is_empty()).collect();
        let mut thoughts = texts(&self.thoughts).concat();
        let mut text = shown.join(GAP);
        if text.trim().is_empty() {
            // An agent that speaks only while it works has answered so.
            text = std::mem::take(&mut thoughts);
        }
        let asked = &self.asked;
        let found = text_calls::find(&text, &|name| asked.is_offered(name));
        let mut parts = Vec::new();
        if let Some(context) = &self.context {
            let is_open = self.end == Some(End::Asks);
            let value = native(context, self.task.as_deref(), is_open, &self.asked.tools);
            parts.push(Part::Native { format: self.format.clone(), value });
        }
        if !thoughts.is_empty() {
            parts.push(Part::Reasoning { text: thoughts, field: None });
        }
        if !found.text.is_empty() {
            parts.push(Part::Text { text: found.text });
        }
        let finish = match (self.is_full, found.calls.is_empty()) {
            (true, _) => FinishReason::Length,
            (false, true) => FinishReason::Stop,
            (false, false) => FinishReason::ToolCalls,
        };
        for call in found.calls {
            let id = ToolCallId(self.asked.unique_id(None));
            parts.push(Part::ToolCall(ToolCall { id, name: call.name, arguments: call.arguments }));
        }
        AssistantTurn { parts, finish, usage: Usage::default(), model: None }
    }
}

/// Between two pieces that have nothing to do with each other.
const GAP: &str = "\n\n";

/// Returns what stands between two messages of an agent at work: nothing between the pieces of
/// one sentence, which some send so, and a line break between two sentences.
fn gap_between(before: &str, after: &str) -> &'static str {
    let is_apart = before.ends_with(char::is_whitespace) || after.starts_with(char::is_whitespace);
    let goes_on = after.starts_with(|c: char| c.is_lowercase() || c.is_ascii_punctuation());
    if is_apart || goes_on { "" } else { "\n" }
}

impl Format for Reply {
    const NAME: &'static str = "Agent2Agent";

    fn event(&mut self, _name: &str, data: &[u8], out: &mut Out) -> Decoded {
        let payload: Value = serde_json::from_slice(data).map_err(|error| self.garbled(&error))?;
        self.take(&payload, out)
    }

    fn document(&mut self, document: &Value, out: &mut Out) -> Decoded {
        self.take(document, out)?;
        if self.has_task || self.end.is_some() {
            return Ok(());
        }
        let message = "the reply is nothing of Agent2Agent; is `base_url` the address of an agent?";
        Err(self.failures.of(FailureKind::Garbled, message))
    }

    fn progress(&self) -> Progress {
        if self.end.is_some() || self.is_full { Progress::Complete } else { Progress::Open }
    }

    fn has_usage(&self) -> bool {
        // The protocol has none.
        true
    }

    fn finish(&mut self, may_continue: bool, out: &mut Out) -> Finish {
        if may_continue && self.progress() == Progress::Open {
            return Finish::Continue(json!({"task": self.task}));
        }
        for (id, done) in std::mem::take(&mut self.tools) {
            if !done {
                let (name, output) = (String::new(), String::new());
                let event = ModelEvent::RemoteToolFinished { id, name, output, is_error: false };
                out.push_back(Beat::Event(event));
            }
        }
        Finish::Turn(Box::new(self.turn()))
    }
}

impl Reply {
    fn garbled(&self, error: &serde_json::Error) -> CallFailure {
        self.failures.of(FailureKind::Garbled, &format!("an event is no JSON: {error}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
