//! One agent's conversation: it grows at its end and never changes before.
//!
//! Providers cache the longest prefix they have seen, so a restart that only
//! appends is served from the cache.

use std::sync::Arc;

use massgen_protocol::{
    AssistantTurn, Epoch, Media, Message, ModelCall, Part, Role, ToolCallId, ToolResult, ToolSpec,
};

/// Bytes a token takes at least, on average; few enough to estimate rather too much.
const BYTES_PER_TOKEN: u64 = 3;

/// Tokens a message costs besides its text (role, separators).
const TOKENS_PER_MESSAGE: u64 = 8;

/// Output a call is assumed to need at most where the config sets no bound.
const OUTPUT_TOKENS_ASSUMED: u64 = 8_192;

/// A turn that is longer is a model that did not stop: no model writes as many tokens on
/// purpose, and sent back whole it would fill the window of every later call.
const TURN_BYTES_KEPT: u64 = 2 * 1024 * 1024;

/// Of each end of such a turn's text.
const RUNAWAY_BYTES_KEPT: usize = 64 * 1024;

/// An image or a page counts as this much text: some 1,600 tokens, what providers
/// bill for an image of full size.
const MEDIA_BYTES: usize = 4_800;

/// Pictures that the tools of one turn may show together.
const MEDIA_AT_ONCE_MAX: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    messages: Vec<Arc<Message>>,
    tools: Arc<Vec<ToolSpec>>,
    tools_bytes: u64,
    bytes: u64,
    /// What this attempt's answers the transcript shows, if it shows any brief of it.
    pub(crate) shown: Option<Epoch>,
    /// Of tools, to be shown after their results.
    media: Vec<Media>,
}

impl Conversation {
    /// `tools_bytes`: what [`tools_bytes`] says of `tools`, which many share.
    pub(crate) fn new(tools: Arc<Vec<ToolSpec>>, tools_bytes: u64) -> Conversation {
        Conversation {
            messages: Vec::new(),
            tools,
            tools_bytes,
            bytes: 0,
            shown: None,
            media: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn say(&mut self, role: Role, text: String) {
        self.push(Message::text(role, text));
    }

    /// Says a text about files, which come first: models read a question better after
    /// what it is about.
    pub(crate) fn show(&mut self, media: &[Media], text: String) {
        let media = media.iter().cloned().map(Part::Media);
        let parts = media.chain([Part::Text { text }]).collect();
        self.push(Message { role: Role::User, parts });
    }

    pub(crate) fn turn(&mut self, turn: &AssistantTurn) {
        if !turn.parts.is_empty() {
            let mut parts = turn.parts.clone();
            if parts_bytes(&parts) > TURN_BYTES_KEPT {
                shorten(&mut parts);
            }
            self.push(Message { role: Role::Assistant, parts });
        }
    }

    pub(crate) fn results(&mut self, results: Vec<(ToolCallId, String, String, bool)>) {
        let parts = results
            .into_iter()
            .map(|(id, name, text, is_error)| {
                Part::ToolResult(ToolResult { id, name, text, is_error })
            })
            .collect();
        self.push(Message { role: Role::Tool, parts });
    }

    /// Keeps what a tool has given to look at until its result is said.
    pub(crate) fn media_waits(&mut self, media: &[Media]) {
        let room = MEDIA_AT_ONCE_MAX.saturating_sub(self.media.len());
        self.media.extend(media.iter().take(room).cloned());
    }

    /// Says after the results what does not fit into them: pictures, which only some providers
    /// take there, and news.
    pub(crate) fn follow_up(&mut self, news: Option<String>) {
        let media = std::mem::take(&mut self.media);
        match (media.is_empty(), news) {
            (true, None) => {}
            (_, Some(text)) => self.show(&media, text),
            (false, None) => {
                let parts = media.into_iter().map(Part::Media).collect();
                self.push(Message { role: Role::User, parts });
            }
        }
    }

    fn push(&mut self, message: Message) {
        self.bytes += parts_bytes(&message.parts);
        self.messages.push(Arc::new(message));
    }

    /// Returns the tokens the next call will send, rather too many than too few.
    pub(crate) fn input_tokens(&self) -> u64 {
        let messages = self.messages.len() as u64;
        (self.bytes + self.tools_bytes) / BYTES_PER_TOKEN + messages * TOKENS_PER_MESSAGE
    }

    pub(crate) fn output_tokens(max_output_tokens: Option<u64>) -> u64 {
        max_output_tokens.unwrap_or(OUTPUT_TOKENS_ASSUMED)
    }

    pub(crate) fn call(
        &self,
        tools: Option<&Arc<Vec<ToolSpec>>>,
        max_output_tokens: Option<u64>,
        label: String,
        seed: u64,
    ) -> ModelCall {
        ModelCall {
            messages: Arc::new(self.messages.clone()),
            tools: tools.unwrap_or(&self.tools).clone(),
            max_output_tokens,
            label,
            seed,
        }
    }
}

/// Leaves of a runaway turn its beginning and its end. The provider's own form of it is as
/// long, so it goes.
fn shorten(parts: &mut Vec<Part>) {
    parts.retain(|part| !matches!(part, Part::Native { .. }));
    for part in parts {
        match part {
            Part::Text { text } | Part::Reasoning { text, .. } => {
                let (head, tail) = (
                    text.floor_char_boundary(RUNAWAY_BYTES_KEPT),
                    text.ceil_char_boundary(text.len().saturating_sub(RUNAWAY_BYTES_KEPT)),
                );
                if head < tail {
                    let left_out = tail - head;
                    *text = format!("{} […{left_out} bytes…] {}", &text[..head], &text[tail..]);
                }
            }
            // Each has a bound of its own.
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Native { .. } | Part::Media(_) => {}
        }
    }
}

/// Returns the tokens of a text, rather too many than too few.
pub(crate) fn tokens_of(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Returns what a model has written.
pub(crate) fn turn_bytes(turn: &AssistantTurn) -> u64 {
    parts_bytes(&turn.parts)
}

/// A whole message in its provider's form says the same as the parts beside it, so the
/// larger of the two counts.
fn parts_bytes(parts: &[Part]) -> u64 {
    let is_native = |part: &&Part| matches!(part, Part::Native { .. });
    let native: u64 = parts.iter().filter(is_native).map(part_bytes).sum();
    let told: u64 = parts.iter().filter(|part| !is_native(part)).map(part_bytes).sum();
    native.max(told)
}

/// Returns what a list of tools takes in a request.
pub(crate) fn tools_bytes(tools: &[ToolSpec]) -> u64 {
    tools.iter().map(tool_bytes).sum()
}

fn tool_bytes(tool: &ToolSpec) -> u64 {
    (tool.name.len() + tool.description.len() + tool.parameters.to_string().len()) as u64
}

fn part_bytes(part: &Part) -> u64 {
    let bytes = match part {
        Part::Text { text } | Part::Reasoning { text, .. } => text.len(),
        Part::ToolCall(call) => {
            call.name.len()
                + match &call.arguments {
                    massgen_protocol::Arguments::Object { value } => {
                        value.values().map(value_bytes).sum::<usize>() + value.len() * 8
                    }
                    massgen_protocol::Arguments::Malformed { raw, .. } => raw.len(),
                }
        }
        Part::ToolResult(result) => result.text.len() + result.name.len(),
        Part::Native { value, .. } => value_bytes(value),
        Part::Media(_) => MEDIA_BYTES,
    };
    bytes as u64
}

fn value_bytes(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len() + 2,
        other => other.to_string().len(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::{FinishReason, Usage};

    use super::*;

    #[test]
    fn a_runaway_turn_does_not_fill_every_later_call() {
        let said = |text: String| AssistantTurn {
            parts: vec![
                Part::Native { format: "f/k".to_owned(), value: text.clone().into() },
                Part::Text { text },
            ],
            finish: FinishReason::Length,
            usage: Usage::default(),
            model: None,
        };
        let kept = |text: String| {
            let mut conversation = Conversation::new(Arc::default(), 0);
            conversation.turn(&said(text));
            conversation.messages.remove(0).parts.clone()
        };
        assert_eq!(kept("ü".repeat(500_000)), said("ü".repeat(500_000)).parts);
        let parts = kept(format!("begin{}end", "ü".repeat(4_000_000)));
        let [Part::Text { text }] = parts.as_slice() else { panic!("{} parts", parts.len()) };
        assert!(text.len() < 3 * RUNAWAY_BYTES_KEPT);
        assert!(text.starts_with("beginü") && text.ends_with("üend") && text.contains("bytes"));
    }
}
