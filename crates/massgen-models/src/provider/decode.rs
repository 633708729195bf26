//! What every decoder of a wire format offers, and what it is told of the call.
//!
//! Decoders are pure: no clock and no IO, so that each can be tried with every
//! split and every cut of every fixture.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use massgen_protocol::{AssistantTurn, CallFailure, Message, ModelCall, Part, Role, ToolSpec};
use serde_json::Value;

use crate::backend::Beat;

/// Text and reasoning of one call, and with it the memory a runaway model can
/// take: some four million tokens. The reply ends there, as if by its own bound.
pub(crate) const TURN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A reply that is no event stream: one JSON document or an error page.
pub(crate) const DOCUMENT_BYTES_MAX: usize = TURN_BYTES_MAX;
/// Notices of what the format does not define, per call: one tells it all.
pub(crate) const NOTICES_MAX: usize = 8;
/// Of such a frame as it is quoted.
pub(crate) const QUOTE_BYTES_MAX: usize = 160;
/// Calls in one turn; no team needs as many, and a server that sends more is stuck.
pub(crate) const CALLS_MAX: usize = 128;
/// Arguments of one call. The largest useful ones hold an answer, and what is
/// longer would make every later request of the conversation fail.
pub(crate) const ARGUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Decoded and not yet taken.
pub(crate) type Out = VecDeque<Beat>;
pub(crate) type Decoded = Result<(), CallFailure>;

/// How far a reply has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    /// The model may still say something.
    Open,
    /// The model has stopped; only usage and the format's own end may follow.
    Stopped,
    /// Nothing that matters follows.
    Complete,
}

/// A reply's bytes → model events and the assembled turn.
pub(crate) trait Decode: Send {
    /// Takes bytes in as they came.
    fn push(&mut self, bytes: &[u8], out: &mut Out) -> Decoded;

    /// Takes the end of the bytes in. `lost` is why they ended, if not by the
    /// rules of HTTP.
    fn end(&mut self, lost: Option<&str>, out: &mut Out) -> Decoded;

    fn progress(&self) -> Progress;

    /// Whether the tokens are known, which some formats send last.
    fn has_usage(&self) -> bool;

    /// Returns what the reply comes to. Called when [`Decode::progress`] says that
    /// the model has stopped and nothing more is waited for. `may_continue` is
    /// false when the turn has been continued as often as it may be.
    fn finish(&mut self, may_continue: bool, out: &mut Out) -> Finish;
}

/// What a complete reply leads to.
#[derive(Debug)]
pub(crate) enum Finish {
    Turn(Box<AssistantTurn>),
    /// The provider paused: the turn goes on with another request, which the wire
    /// makes of this value. The same decoder reads its reply.
    Continue(Value),
}

/// What a decoder needs to know of the call it decodes the reply to.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) tools: Arc<Vec<ToolSpec>>,
    /// Of the assistant's turns in this conversation; makes ids of ours unique.
    pub(crate) turn: usize,
    /// Of tool calls before.
    pub(crate) ids: BTreeSet<String>,
}

impl Asked {
    pub(crate) fn of(call: &ModelCall) -> Asked {
        let assistant = |message: &&Arc<Message>| message.role == Role::Assistant;
        let turns = call.messages.iter().filter(assistant);
        let ids = turns.clone().flat_map(|message| &message.parts).filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.id.0.clone()),
            Part::Text { .. }
            | Part::Reasoning { .. }
            | Part::ToolResult(_)
            | Part::Native { .. }
            | Part::Media(_) => None,
        });
        Asked { tools: call.tools.clone(), turn: turns.clone().count(), ids: ids.collect() }
    }

    pub(crate) fn is_offered(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }

    /// Returns the provider's id, or one of ours if it has none or has used it before.
    pub(crate) fn unique_id(&mut self, id: Option<String>) -> String {
        let id = match id.filter(|id| !id.is_empty() && !self.ids.contains(id)) {
            Some(id) => id,
            None => (0..)
                .map(|n| format!("call_{}_{n}", self.turn))
                .find(|id| !self.ids.contains(id))
                .unwrap_or_default(),
        };
        self.ids.insert(id.clone());
        id
    }
}
