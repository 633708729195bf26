//! Messages → what an agent is told.
//!
//! An agent keeps its own history, so that it is told only what is new. What it does not
//! know, because another spoke before it or its session is lost, is told as text.

use std::sync::Arc;

use agent_client_protocol::v1::schema::{
    AudioContent, BlobResourceContents, ContentBlock, EmbeddedResource, EmbeddedResourceResource,
    ImageContent, PromptCapabilities, ResourceLink, TextContent,
};
use massgen_protocol::{
    Arguments, Media, MediaKind, MediaSource, Message, Part, Role, ToolCall, ToolSpec,
};
use serde_json::{Value, json};

use super::tools::SERVER_NAME;

/// What is new to an agent.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    /// Of [`Part::Native`] that hold an agent's session: `acp/claude_code`.
    pub(super) format: &'a str,
    /// The session it is told in; its own turns in it are known to it.
    pub(super) session: &'a str,
    /// Nothing was said in this session yet.
    pub(super) is_new: bool,
    pub(super) messages: &'a [Arc<Message>],
    pub(super) tools: &'a [ToolSpec],
    pub(super) takes: &'a PromptCapabilities,
}

/// Returns the note of a session that goes with a turn, for a run that is resumed.
pub(super) fn session_note(format: &str, session: &str) -> Part {
    Part::Native { format: format.to_owned(), value: json!({"session": session}) }
}

/// Returns the session this turn was made in, if it was made by this type of agent.
pub(super) fn session_of<'a>(message: &'a Message, format: &str) -> Option<&'a str> {
    message.parts.iter().find_map(|part| match part {
        Part::Native { format: of, value } if of == format => value.get("session")?.as_str(),
        Part::Native { .. }
        | Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Media(_) => None,
    })
}

/// What the agent is told where its last turn was broken off and nothing new was said.
const GO_ON: &str = "Your last turn was broken off before it ended. Go on.";
const SO_FAR: &str = "What follows is the conversation so far, in which your own words and calls \
                      are marked. Go on from its end.";

impl Telling<'_> {
    /// Returns the prompt, and what could not be told.
    pub(super) fn blocks(&self) -> (Vec<ContentBlock>, Vec<String>) {
        let mut told = Told { takes: self.takes, blocks: Vec::new(), left_out: Vec::new() };
        let is_foreign = |message: &&Arc<Message>| {
            message.role == Role::Assistant
                && session_of(message, self.format) != Some(self.session)
        };
        if self.is_new && self.messages.iter().any(|message| is_foreign(&message)) {
            told.text(SO_FAR);
        }
        for message in self.messages {
            if message.role == Role::Assistant && !is_foreign(&message) {
                continue;
            }
            for part in &message.parts {
                told.part(message.role, part);
            }
        }
        if told.blocks.is_empty() {
            told.text(GO_ON);
        }
        if self.is_new && !self.tools.is_empty() {
            let names: Vec<String> =
                self.tools.iter().map(|tool| format!("`{}`", tool.name)).collect();
            told.text(&format!(
                "The tools named above ({}) are those of the MCP server `{SERVER_NAME}`. Call them \
                 as tools; written as text they have no effect.",
                names.join(", ")
            ));
        }
        (told.blocks, told.left_out)
    }
}

struct Told<'a> {
    takes: &'a PromptCapabilities,
    blocks: Vec<ContentBlock>,
    left_out: Vec<String>,
}

impl Told<'_> {
    /// Adds a paragraph.
    fn text(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        match self.blocks.last_mut() {
            Some(ContentBlock::Text(last)) => {
                last.text.push_str("\n\n");
                last.text.push_str(text);
            }
            _ => self.blocks.push(ContentBlock::Text(TextContent::new(text))),
        }
    }

    fn part(&mut self, role: Role, part: &Part) {
        match part {
            Part::Text { text } => match role {
                Role::Assistant => self.text(&format!("You said:\n{text}")),
                Role::System | Role::User | Role::Tool => self.text(text),
            },
            Part::ToolCall(call) => self.text(&called(call)),
            Part::ToolResult(result) if result.is_error => {
                self.text(&format!("error of {}: {}", result.name, result.text));
            }
            Part::ToolResult(result) => {
                self.text(&format!("result of {}: {}", result.name, result.text));
            }
            Part::Media(media) => self.media(media),
            // Thoughts are not replayed as words, and another's own form says nothing here.
            Part::Reasoning { .. } | Part::Native { .. } => {}
        }
    }

    fn media(&mut self, media: &Media) {
        let name = media.name.as_deref().unwrap_or("file");
        let kind = media.media_type.as_str();
        let block = match (&media.source, media.kind) {
            (MediaSource::Inline { base64 }, MediaKind::Image) if self.takes.image => {
                Some(ContentBlock::Image(ImageContent::new(base64.as_str(), kind)))
            }
            (MediaSource::Inline { base64 }, MediaKind::Audio) if self.takes.audio => {
                Some(ContentBlock::Audio(AudioContent::new(base64.as_str(), kind)))
            }
            (MediaSource::Inline { base64 }, _) if self.takes.embedded_context => {
                let uri = format!("attachment:///{name}");
                let blob = BlobResourceContents::new(base64.as_str(), uri).mime_type(kind);
                let resource = EmbeddedResourceResource::BlobResourceContents(blob);
                Some(ContentBlock::Resource(EmbeddedResource::new(resource)))
            }
            (MediaSource::Inline { .. }, _) => None,
            (MediaSource::Url { url }, _) => Some(ContentBlock::ResourceLink(
                ResourceLink::new(name, url.as_str()).mime_type(kind),
            )),
            (MediaSource::File { path }, _) => {
                let uri = format!("file://{path}");
                Some(ContentBlock::ResourceLink(ResourceLink::new(name, uri).mime_type(kind)))
            }
        };
        match block {
            Some(block) => self.blocks.push(block),
            None => {
                self.left_out
                    .push(format!("`{name}` ({kind}) is not shown: this agent takes none"));
            }
        }
    }
}

fn called(call: &ToolCall) -> String {
    let arguments = match &call.arguments {
        Arguments::Object { value } => Value::Object(value.clone()).to_string(),
        Arguments::Malformed { raw, .. } => raw.clone(),
    };
    format!("You called `{}` with: {arguments}", call.name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::{ToolCallId, ToolResult};

    use super::*;

    const FORMAT: &str = "acp/test";

    fn told(is_new: bool, messages: Vec<Message>) -> Vec<String> {
        let messages: Vec<Arc<Message>> = messages.into_iter().map(Arc::new).collect();
        let tools = [ToolSpec {
            name: "vote".to_owned(),
            description: String::new(),
            parameters: json!({"type": "object"}),
        }];
        let takes = PromptCapabilities::new();
        let telling = Telling {
            format: FORMAT,
            session: "s1",
            is_new,
            messages: &messages,
            tools: &tools,
            takes: &takes,
        };
        let (blocks, left_out) = telling.blocks();
        let text = |block| match block {
            ContentBlock::Text(text) => text.text,
            other => serde_json::to_string(&other).unwrap(),
        };
        blocks.into_iter().map(text).chain(left_out).collect()
    }

    fn turn(session: &str) -> Message {
        let call = ToolCall {
            id: ToolCallId("c".to_owned()),
            name: "vote".to_owned(),
            arguments: Arguments::Object { value: Default::default() },
        };
        let said = Part::Text { text: "I think".to_owned() };
        let thought = Part::Reasoning { text: "secretly".to_owned(), field: None };
        let parts = vec![session_note(FORMAT, session), thought, said, Part::ToolCall(call)];
        Message { role: Role::Assistant, parts }
    }

    fn result() -> Message {
        let (id, name) = (ToolCallId("c".to_owned()), "vote".to_owned());
        let result = ToolResult { id, name, text: "counted".to_owned(), is_error: false };
        Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] }
    }

    #[test]
    fn a_new_session_is_told_system_question_and_where_the_tools_are() {
        let messages =
            vec![Message::text(Role::System, "Be brief."), Message::text(Role::User, "Why?")];
        let told = told(true, messages);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("Be brief.\n\nWhy?\n\nThe tools named above (`vote`)"));
    }

    #[test]
    fn what_an_agent_said_itself_is_not_told_to_it_again() {
        assert_eq!(told(false, vec![turn("s1"), result()]), ["result of vote: counted"]);
        assert_eq!(told(false, vec![turn("s1")]), [GO_ON]);
    }

    #[test]
    fn a_lost_session_is_told_everything_but_thoughts() {
        let told = told(true, vec![Message::text(Role::User, "Why?"), turn("s0"), result()]);
        assert!(told[0].starts_with(SO_FAR));
        for said in ["Why?", "You said:\nI think", "You called `vote` with: {}", "counted"] {
            assert!(told[0].contains(said), "{said} in {}", told[0]);
        }
        assert!(!told[0].contains("secretly"));
    }

    #[test]
    fn what_an_agent_cannot_take_is_named() {
        let media = |source| {
            Part::Media(Media {
                kind: MediaKind::Image,
                media_type: "image/png".to_owned(),
                name: Some("a.png".to_owned()),
                source,
            })
        };
        let inline = media(MediaSource::Inline { base64: "AA==".to_owned() });
        let link = media(MediaSource::Url { url: "https://x.test/a.png".to_owned() });
        let told = told(false, vec![Message { role: Role::User, parts: vec![inline, link] }]);
        assert!(told[0].contains("resource_link") && told[0].contains("https://x.test/a.png"));
        assert_eq!(told[1], "`a.png` (image/png) is not shown: this agent takes none");
    }
}
