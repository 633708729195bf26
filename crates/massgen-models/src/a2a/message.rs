//! A conversation → the one message that is sent to an agent.
//!
//! An agent remembers what it was told in a context; then a message holds what is new. One that
//! does not remember, or has forgotten, is told the whole conversation again.

use massgen_protocol::{Media, MediaSource, Message, ModelCall, Part, Role, ToolSpec};
use serde_json::{Value, json};

use super::card::{Card, Version};
use crate::text_calls;

/// What an agent is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outgoing {
    pub(super) pieces: Vec<Piece>,
    /// Of the agent's; `None` begins a new one.
    pub(super) context: Option<String>,
    /// One that waits for this message.
    pub(super) task: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Media(Media),
}

/// What an agent knows of a conversation, as the turn it ended in says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    context: String,
    task: Option<String>,
    tools: String,
    /// Messages up to and with that turn.
    n_messages: usize,
}

impl Known {
    /// Returns what the agent was told last; `format` is that of its native parts.
    pub(super) fn of(call: &ModelCall, format: &str) -> Option<Known> {
        let turns = call.messages.iter().enumerate().rev();
        let mut turns = turns.filter(|(_, message)| message.role == Role::Assistant);
        turns.find_map(|(n, message)| {
            message.parts.iter().find_map(|part| match part {
                Part::Native { format: of, value } if of == format => Some(Known {
                    context: value["context"].as_str()?.to_owned(),
                    task: value["open_task"].as_str().map(str::to_owned),
                    tools: value["tools"].as_str().unwrap_or_default().to_owned(),
                    n_messages: n + 1,
                }),
                Part::Native { .. }
                | Part::Text { .. }
                | Part::Reasoning { .. }
                | Part::ToolCall(_)
                | Part::ToolResult(_)
                | Part::Media(_) => None,
            })
        })
    }

    pub(super) fn context(&self) -> &str {
        &self.context
    }
}

/// Returns what a turn has to keep for the next message; see [`Known`].
pub(super) fn native(
    context: &str,
    task: Option<&str>,
    is_open: bool,
    tools: &[ToolSpec],
) -> Value {
    let mut value = json!({"context": context, "task": task, "tools": fingerprint(tools)});
    if is_open {
        value["open_task"] = json!(task);
    }
    value
}

impl Outgoing {
    /// Returns the message that goes on from what is known, or tells all of it.
    pub(super) fn of(call: &ModelCall, known: Option<&Known>, card: &Card) -> Outgoing {
        let mut pieces = Pieces { done: Vec::new(), text: String::new(), card };
        let is_told = known.is_some_and(|known| known.tools == fingerprint(&call.tools));
        let new = &call.messages[known.map_or(0, |known| known.n_messages)..];
        let has_history = new.iter().any(|message| message.role == Role::Assistant);
        for message in new {
            pieces.message(message, has_history);
        }
        pieces.paragraph(&match is_told {
            true => text_calls::remind(&call.tools),
            false => text_calls::describe(&call.tools),
        });
        Outgoing {
            pieces: pieces.finish(),
            context: known.map(|known| known.context.clone()),
            task: known.and_then(|known| known.task.clone()),
        }
    }

    /// Returns the message in the form of a version.
    pub(super) fn message(&self, version: Version, id: &str) -> Value {
        let parts: Vec<Value> = self.pieces.iter().map(|piece| part(piece, version)).collect();
        let mut message = match version {
            Version::V1 => json!({"messageId": id, "role": "ROLE_USER", "parts": parts}),
            Version::V03 => {
                json!({"kind": "message", "messageId": id, "role": "user", "parts": parts})
            }
        };
        if let Some(context) = &self.context {
            message["contextId"] = json!(context);
        }
        if let Some(task) = &self.task {
            message["taskId"] = json!(task);
        }
        message
    }
}

struct Pieces<'c> {
    done: Vec<Piece>,
    text: String,
    card: &'c Card,
}

impl Pieces<'_> {
    fn paragraph(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            if !self.text.is_empty() {
                self.text.push_str("\n\n");
            }
            self.text.push_str(text);
        }
    }

    /// Adds a message; `is_labelled` says who spoke, where more than one did.
    fn message(&mut self, message: &Message, is_labelled: bool) {
        let label = match message.role {
            Role::System | Role::Tool => None,
            Role::User => Some("[You were told]"),
            Role::Assistant => Some("[You replied]"),
        };
        if let Some(label) = label.filter(|_| is_labelled) {
            self.paragraph(label);
        }
        for part in &message.parts {
            match part {
                Part::Text { text } => self.paragraph(text),
                Part::ToolCall(call) => self.paragraph(&text_calls::render(call)),
                Part::ToolResult(result) => {
                    let what = if result.is_error { "failed" } else { "returned" };
                    let label = format!("[Your tool `{}` {what}]\n{}", result.name, result.text);
                    self.paragraph(&label);
                }
                Part::Media(media) => self.media(media),
                // Thoughts are the thinker's own, and so are a provider's own forms.
                Part::Reasoning { .. } | Part::Native { .. } => {}
            }
        }
    }

    fn media(&mut self, media: &Media) {
        let is_at_hand = !matches!(media.source, MediaSource::File { .. });
        if self.card.takes(media) && is_at_hand {
            self.break_off();
            self.done.push(Piece::Media(media.clone()));
        } else {
            let name = media.name.as_deref().unwrap_or("a file");
            self.paragraph(&format!(
                "[{name} ({}) belongs here; you cannot take it]",
                media.media_type
            ));
        }
    }

    fn break_off(&mut self) {
        if !self.text.is_empty() {
            self.done.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }

    fn finish(mut self) -> Vec<Piece> {
        self.break_off();
        if self.done.is_empty() {
            // A message without parts is refused.
            self.done.push(Piece::Text("Go on.".to_owned()));
        }
        self.done
    }
}

fn part(piece: &Piece, version: Version) -> Value {
    let media = match piece {
        Piece::Text(text) => {
            return match version {
                Version::V1 => json!({"text": text}),
                Version::V03 => json!({"kind": "text", "text": text}),
            };
        }
        Piece::Media(media) => media,
    };
    let (key_v1, key_v03, content) = match &media.source {
        MediaSource::Inline { base64 } => ("raw", "bytes", base64),
        MediaSource::Url { url } | MediaSource::File { path: url } => ("url", "uri", url),
    };
    match version {
        Version::V1 => {
            let mut part = json!({key_v1: content, "mediaType": media.media_type});
            if let Some(name) = &media.name {
                part["filename"] = json!(name);
            }
            part
        }
        Version::V03 => {
            let mut file = json!({key_v03: content, "mimeType": media.media_type});
            if let Some(name) = &media.name {
                file["name"] = json!(name);
            }
            json!({"kind": "file", "file": file})
        }
    }
}

/// Returns a short text that differs where the tools do (FNV-1a: the same in every build).
fn fingerprint(tools: &[ToolSpec]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text_calls::describe(tools).bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::sync::Arc;

    use massgen_protocol::{Arguments, MediaKind, ToolCall, ToolCallId, ToolResult};
    use reqwest::Url;
    use serde_json::Map;

    use super::*;

    const FORMAT: &str = "a2a/a2a";

    fn card() -> Card {
        let card = json!({"url": "http://h", "defaultInputModes": ["text/plain", "image/png"]});
        Card::read(&card, &Url::parse("http://h").unwrap()).unwrap()
    }

    fn tools(name: &str) -> Vec<ToolSpec> {
        vec![ToolSpec {
            name: name.to_owned(),
            description: "It.".to_owned(),
            parameters: json!({}),
        }]
    }

    fn call(messages: Vec<Message>, tool: &str) -> ModelCall {
        ModelCall {
            messages: Arc::new(messages.into_iter().map(Arc::new).collect()),
            tools: Arc::new(tools(tool)),
            max_output_tokens: None,
            label: "run/agent1#1.1".to_owned(),
            seed: 1,
        }
    }

    fn turn(context: &str, is_open: bool, format: &str) -> Message {
        let value = native(context, Some("t-1"), is_open, &tools("vote"));
        let arguments = Arguments::Object { value: Map::new() };
        let call = ToolCall { id: ToolCallId("c".to_owned()), name: "vote".to_owned(), arguments };
        Message {
            role: Role::Assistant,
            parts: vec![
                Part::Native { format: format.to_owned(), value },
                Part::Reasoning { text: "secretly".to_owned(), field: None },
                Part::Text { text: "I vote.".to_owned() },
                Part::ToolCall(call),
            ],
        }
    }

    fn result() -> Message {
        let id = ToolCallId("c".to_owned());
        let (name, text) = ("vote".to_owned(), "no such agent".to_owned());
        let result = ToolResult { id, name, text, is_error: true };
        Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] }
    }

    fn text(outgoing: &Outgoing) -> String {
        let texts = outgoing.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Media(media) => format!("<{}>", media.media_type),
        });
        texts.collect::<Vec<_>>().join("|")
    }

    fn told() -> Vec<Message> {
        vec![Message::text(Role::System, "Be brief."), Message::text(Role::User, "How far?")]
    }

    #[test]
    fn a_first_message_tells_all() {
        let call = call(told(), "vote");
        assert_eq!(Known::of(&call, FORMAT), None);
        let first = Outgoing::of(&call, None, &card());
        assert_eq!((first.context.as_deref(), first.task.as_deref()), (None, None));
        let text = text(&first);
        assert!(text.starts_with("Be brief.\n\nHow far?\n\n# How to use your tools"), "{text}");
        assert!(text.contains("## `vote`"), "{text}");
    }

    #[test]
    fn later_ones_tell_what_is_new() {
        let mut messages = told();
        messages.extend([
            turn("c-1", false, FORMAT),
            result(),
            Message::text(Role::User, "And now?"),
        ]);
        let next = call(messages.clone(), "vote");
        let known = Known::of(&next, FORMAT).unwrap();
        assert_eq!(known.context(), "c-1");
        let outgoing = Outgoing::of(&next, Some(&known), &card());
        assert_eq!((outgoing.context.as_deref(), outgoing.task.as_deref()), (Some("c-1"), None));
        let told = text(&outgoing);
        assert!(
            told.starts_with("[Your tool `vote` failed]\nno such agent\n\nAnd now?\n\n# How"),
            "{told}"
        );
        assert!(told.contains("still `vote`") && !told.contains("## `vote`"), "{told}");
        // Other tools are described again.
        let changed = Outgoing::of(&call(messages, "submit"), Some(&known), &card());
        assert!(text(&changed).contains("## `submit`"));
    }

    #[test]
    fn a_task_that_waits_is_gone_on_with() {
        let mut messages = told();
        messages.extend([turn("c-1", true, FORMAT), Message::text(Role::User, "To the Moon.")]);
        let next = call(messages, "vote");
        let known = Known::of(&next, FORMAT).unwrap();
        let outgoing = Outgoing::of(&next, Some(&known), &card());
        let message = outgoing.message(Version::V1, "m-1");
        assert_eq!((&message["contextId"], &message["taskId"]), (&json!("c-1"), &json!("t-1")));
    }

    #[test]
    fn one_that_forgot_is_told_all_again() {
        let mut messages = told();
        messages.extend([turn("c-1", false, "a2a/other"), result()]);
        let next = call(messages, "vote");
        assert_eq!(Known::of(&next, FORMAT), None, "another agent's context is not ours");
        let told = text(&Outgoing::of(&next, None, &card()));
        let expected = "Be brief.\n\n[You were told]\n\nHow far?\n\n[You replied]\n\nI vote.\n\n\
                        ```json\n{\"tool\":\"vote\",\"arguments\":{}}\n```\n\n\
                        [Your tool `vote` failed]\nno such agent\n\n# How to use your tools";
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.contains("secretly"));
    }

    #[test]
    fn media_go_where_they_are_taken() {
        let media = |media_type: &str, source: MediaSource| {
            let name = Some("x".to_owned());
            let media_type = media_type.to_owned();
            Part::Media(Media { kind: MediaKind::Image, media_type, name, source })
        };
        let inline = MediaSource::Inline { base64: "AAAA".to_owned() };
        let url = MediaSource::Url { url: "https://h/x.png".to_owned() };
        let parts = vec![
            Part::Text { text: "See:".to_owned() },
            media("image/png", inline.clone()),
            media("image/png", url),
            media("image/gif", inline),
        ];
        let mut call = call(vec![Message { role: Role::User, parts }], "vote");
        call.tools = Arc::default();
        let outgoing = Outgoing::of(&call, None, &card());
        let message = outgoing.message(Version::V1, "m");
        assert_eq!(
            message["parts"],
            json!([
                {"text": "See:"},
                {"raw": "AAAA", "mediaType": "image/png", "filename": "x"},
                {"url": "https://h/x.png", "mediaType": "image/png", "filename": "x"},
                {"text": "[x (image/gif) belongs here; you cannot take it]"},
            ])
        );
        let message = outgoing.message(Version::V03, "m");
        assert_eq!(message["parts"][0], json!({"kind": "text", "text": "See:"}));
        assert_eq!(
            message["parts"][1],
            json!({"kind": "file", "file": {"bytes": "AAAA", "mimeType": "image/png", "name": "x"}})
        );
        call.messages = Arc::default();
        assert_eq!(text(&Outgoing::of(&call, None, &card())), "Go on.");
    }
}
