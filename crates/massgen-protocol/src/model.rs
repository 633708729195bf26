//! Calls to models and what comes back, the same for every provider.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ToolCallId, ToolSpec};

/// One request to a model: the whole conversation, as providers are stateless.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCall {
    /// System message first, if there is one. Earlier messages never change
    /// between calls of one conversation, so that prompt caches hold.
    pub messages: Arc<Vec<Arc<Message>>>,
    /// Sorted by name.
    pub tools: Arc<Vec<ToolSpec>>,
    /// Output bound in tokens; the provider's default where absent.
    pub max_output_tokens: Option<u64>,
    /// Names this call in logs and in the provider's own records: `RUN/agent1#2.1`.
    pub label: String,
    /// Seed of everything random around the call (retry jitter).
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    System,
    User,
    Assistant,
    /// Carries tool results only.
    Tool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
}

impl Message {
    pub fn text(role: Role, text: impl Into<String>) -> Message {
        Message { role, parts: vec![Part::Text { text: text.into() }] }
    }
}

/// A piece of a message, in the order the provider gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    Text {
        text: String,
    },
    Reasoning {
        text: String,
        /// The request field it must be played back in (`reasoning_content`, …), where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
    },
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    /// A provider's own form, replayed to the same provider unchanged and to no other.
    ///
    /// `format` says of what: `<wire format>/<backend type>` (`anthropic_messages/claude`) stands for
    /// the *whole* message, which then is replayed instead of the parts beside it;
    /// `openai_chat/reasoning_details` for that one field.
    Native {
        format: String,
        value: Value,
    },
    /// An image or a file; in a user's message only.
    Media(Media),
}

/// An image, a sound, a film or a document that is input to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    pub kind: MediaKind,
    /// `image/png`, `application/pdf`, …
    pub media_type: String,
    /// File name for people and for providers that show one to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub source: MediaSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    File,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum MediaSource {
    /// Not read yet; whoever starts a run replaces it by `Inline`.
    File {
        path: String,
    },
    Url {
        url: String,
    },
    /// In base64, standard alphabet, padded.
    Inline {
        base64: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: ToolCallId,
    pub name: String,
    pub arguments: Arguments,
}

/// Tool arguments; broken JSON is never taken for `{}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
pub enum Arguments {
    Object {
        value: Map<String, Value>,
    },
    /// What the model wrote where it cannot be read as a JSON object.
    Malformed {
        raw: String,
        error: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    pub id: ToolCallId,
    pub name: String,
    pub text: String,
    pub is_error: bool,
}

/// One decoded item of a provider's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// The answer's first byte has come.
    Started,
    Text(String),
    Reasoning(String),
    /// A tool call has begun; `index` tells parallel ones apart.
    ToolCallStarted {
        index: usize,
        name: String,
    },
    /// A piece of its arguments, as written.
    ToolArguments {
        index: usize,
        delta: String,
    },
    /// The driver gave up on one try and makes another.
    Retrying {
        failure: CallFailure,
        after_ms: u64,
        attempt: u32,
    },
    /// A tool of the provider, or of an agent that is a program, has begun: it runs there.
    RemoteToolStarted {
        id: String,
        name: String,
        /// What it was asked, as text or JSON.
        input: String,
    },
    RemoteToolFinished {
        id: String,
        name: String,
        output: String,
        is_error: bool,
    },
    /// The call waits for its turn within the rate limits of its key.
    Throttled {
        wait_ms: u64,
    },
    /// The model in use cannot serve the call; the next one of `fallbacks` does.
    FellBack {
        failure: CallFailure,
        /// Name for people of the one that is called now.
        to: String,
    },
    /// Something the format does not define; logged and passed over.
    Unknown {
        what: String,
    },
    /// The last event of a call that succeeded: the whole turn, assembled.
    Finished(Box<AssistantTurn>),
}

/// All a model said in one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssistantTurn {
    pub parts: Vec<Part>,
    pub finish: FinishReason,
    pub usage: Usage,
    /// Model that really answered, where the provider tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl AssistantTurn {
    /// Returns the visible text, reasoning left out.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Native { .. }
            | Part::Media(_) => None,
        });
        texts.collect::<Vec<_>>().concat()
    }

    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            Part::Text { .. }
            | Part::Reasoning { .. }
            | Part::ToolResult(_)
            | Part::Native { .. }
            | Part::Media(_) => None,
        })
    }
}

/// Why a model stopped, decided by what it produced rather than by what the server claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    Stop,
    ToolCalls,
    /// The output bound was reached; the last part may be cut.
    Length,
    /// Refusal or content filter.
    Refused,
    Other,
}

/// Tokens of one call, in disjoint classes, plus the provider's own price where it tells one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_uncached: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub output: u64,
    /// Part of what was generated but not shown; not contained in `output`.
    pub reasoning: u64,
    /// In millionths of a US dollar; wins over the price table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
}

impl Usage {
    pub fn input(&self) -> u64 {
        self.input_uncached.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    pub fn generated(&self) -> u64 {
        self.output.saturating_add(self.reasoning)
    }
}

/// Why a call did not succeed. Kinds come from codes and fields, never from message text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailure {
    pub kind: FailureKind,
    /// For people; redacted and bounded.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the server asked for, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    RateLimited,
    /// The account is out of credit: waiting does not help.
    Quota,
    Overloaded,
    ContextTooLong,
    BadRequest,
    Auth,
    /// Not reachable, connection lost, 5xx.
    Unavailable,
    /// The certificate or the protocol of the connection was refused.
    Tls,
    /// The stream ended without its format's own end.
    Truncated,
    /// What came is not the format.
    Garbled,
    /// No connection, no first byte, silence, or too long in all.
    TimedOut,
    /// The budget of retries was used up by the driver's circuit breaker.
    CircuitOpen,
}

impl FailureKind {
    /// Returns whether the same call may succeed later.
    pub fn is_retryable(self) -> bool {
        match self {
            FailureKind::RateLimited
            | FailureKind::Overloaded
            | FailureKind::Unavailable
            | FailureKind::Truncated
            | FailureKind::Garbled
            | FailureKind::TimedOut
            | FailureKind::CircuitOpen => true,
            FailureKind::Quota
            | FailureKind::ContextTooLong
            | FailureKind::BadRequest
            | FailureKind::Auth
            | FailureKind::Tls => false,
        }
    }

    /// Returns whether a call that failed like this, without a word from the model, was
    /// turned away before a model saw it, and so cost nothing.
    pub fn is_refusal(self) -> bool {
        match self {
            FailureKind::RateLimited
            | FailureKind::Quota
            | FailureKind::Overloaded
            | FailureKind::ContextTooLong
            | FailureKind::BadRequest
            | FailureKind::Auth
            | FailureKind::Unavailable
            | FailureKind::Tls
            | FailureKind::CircuitOpen => true,
            FailureKind::Truncated | FailureKind::Garbled | FailureKind::TimedOut => false,
        }
    }
}
