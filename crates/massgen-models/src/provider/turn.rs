//! A turn under construction: the same for all formats whose replies are lists of blocks.
//!
//! A codec names each block by a `slot` of its own choosing (an index of the
//! format, or a count of its own); blocks keep the order in which they began.

use massgen_protocol::{
    Arguments, CallFailure, FailureKind, FinishReason, ModelEvent, Part, ToolCall, ToolCallId,
    Usage,
};

use super::decode::{
    ARGUMENT_BYTES_MAX, Asked, CALLS_MAX, NOTICES_MAX, Out, QUOTE_BYTES_MAX, TURN_BYTES_MAX,
};
use super::{arguments, leaked};
use crate::backend::Beat;
use crate::failure::Failures;

#[derive(Debug)]
pub(crate) struct Turn {
    asked: Asked,
    failures: Failures,
    blocks: Vec<(u64, Block)>,
    calls: usize,
    bytes: usize,
    is_full: bool,
    started: bool,
    notices: usize,
    /// As the provider last told it.
    pub(crate) usage: Option<Usage>,
    /// That really answered.
    pub(crate) model: Option<String>,
}

#[derive(Debug)]
enum Block {
    Text(String),
    Reasoning(String),
    Call(Call),
}

#[derive(Debug)]
struct Call {
    /// Among the calls, for the events.
    index: usize,
    id: Option<String>,
    name: String,
    arguments: String,
    too_long: bool,
}

/// What a turn has come to.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) parts: Vec<Part>,
    pub(crate) finish: FinishReason,
    /// Slot and new id of each call whose id was missing or used before, so that
    /// the provider's own form of the turn can be given the same.
    pub(crate) renamed: Vec<(u64, String)>,
    /// Calls were found in the text; the provider's own form of the turn lacks them
    /// and must not be replayed.
    pub(crate) has_leaked_calls: bool,
}

impl Turn {
    pub(crate) fn new(asked: Asked, failures: Failures) -> Turn {
        Turn {
            asked,
            failures,
            blocks: Vec::new(),
            calls: 0,
            bytes: 0,
            is_full: false,
            started: false,
            notices: 0,
            usage: None,
            model: None,
        }
    }

    /// Says that the reply has begun, once.
    pub(crate) fn start(&mut self, out: &mut Out) {
        if !self.started {
            self.started = true;
            out.push_back(Beat::Event(ModelEvent::Started));
        }
    }

    /// Whether anything was said that would be lost.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether the turn has reached the longest we keep; the reply ends here.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Counts bytes that are kept elsewhere (opaque blocks) against the bound.
    pub(crate) fn weigh(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.is_full |= self.bytes > TURN_BYTES_MAX;
    }

    pub(crate) fn text(&mut self, slot: u64, delta: &str, out: &mut Out) {
        if delta.is_empty() || self.is_full {
            return;
        }
        let is_text = |block: &Block| matches!(block, Block::Text(_));
        match self.find(slot, is_text) {
            Some(Block::Text(text)) => text.push_str(delta),
            _ => self.blocks.push((slot, Block::Text(delta.to_owned()))),
        }
        self.weigh(delta.len());
        out.push_back(Beat::Event(ModelEvent::Text(delta.to_owned())));
    }

    pub(crate) fn reasoning(&mut self, slot: u64, delta: &str, out: &mut Out) {
        if delta.is_empty() || self.is_full {
            return;
        }
        let is_reasoning = |block: &Block| matches!(block, Block::Reasoning(_));
        match self.find(slot, is_reasoning) {
            Some(Block::Reasoning(text)) => text.push_str(delta),
            _ => self.blocks.push((slot, Block::Reasoning(delta.to_owned()))),
        }
        self.weigh(delta.len());
        out.push_back(Beat::Event(ModelEvent::Reasoning(delta.to_owned())));
    }

    /// Takes the whole text of a block that may have been streamed before: what has
    /// not been said is said now. Where the two differ the whole one counts; it is not
    /// said again.
    pub(crate) fn whole_text(&mut self, slot: u64, whole: &str, out: &mut Out) {
        let rest = match self.find(slot, |block| matches!(block, Block::Text(_))) {
            Some(Block::Text(text)) => rest_of(text, whole),
            _ => whole.to_owned(),
        };
        self.text(slot, &rest, out);
    }

    /// The same for reasoning.
    pub(crate) fn whole_reasoning(&mut self, slot: u64, whole: &str, out: &mut Out) {
        let rest = match self.find(slot, |block| matches!(block, Block::Reasoning(_))) {
            Some(Block::Reasoning(text)) => rest_of(text, whole),
            _ => whole.to_owned(),
        };
        self.reasoning(slot, &rest, out);
    }

    /// Begins a tool call; a second time for a slot changes nothing.
    pub(crate) fn call(&mut self, slot: u64, id: Option<String>, name: &str, out: &mut Out) {
        if self.find(slot, |block| matches!(block, Block::Call(_))).is_some()
            || self.calls == CALLS_MAX
        {
            return;
        }
        let index = self.calls;
        self.calls += 1;
        let call =
            Call { index, id, name: name.to_owned(), arguments: String::new(), too_long: false };
        self.blocks.push((slot, Block::Call(call)));
        out.push_back(Beat::Event(ModelEvent::ToolCallStarted { index, name: name.to_owned() }));
    }

    pub(crate) fn arguments(&mut self, slot: u64, delta: &str, out: &mut Out) {
        let Some(Block::Call(call)) = self.find(slot, |block| matches!(block, Block::Call(_)))
        else {
            return;
        };
        if delta.is_empty() || call.too_long {
            return;
        }
        if call.arguments.len() + delta.len() > ARGUMENT_BYTES_MAX {
            call.too_long = true;
            return;
        }
        call.arguments.push_str(delta);
        let index = call.index;
        self.weigh(delta.len());
        let delta = delta.to_owned();
        out.push_back(Beat::Event(ModelEvent::ToolArguments { index, delta }));
    }

    /// Takes the whole arguments of a call that may have been streamed before. Where
    /// the two differ the whole ones count.
    pub(crate) fn whole_arguments(&mut self, slot: u64, whole: &str, out: &mut Out) {
        let Some(Block::Call(call)) = self.find(slot, |block| matches!(block, Block::Call(_)))
        else {
            return;
        };
        if let Some(rest) = whole.strip_prefix(call.arguments.as_str()) {
            let rest = rest.to_owned();
            self.arguments(slot, &rest, out);
        } else if whole.len() > ARGUMENT_BYTES_MAX {
            call.too_long = true;
        } else {
            whole.clone_into(&mut call.arguments);
        }
    }

    /// Whether a tool was called.
    pub(crate) fn has_calls(&self) -> bool {
        self.calls > 0
    }

    pub(crate) fn notice(&mut self, what: &str, out: &mut Out) {
        if self.notices < NOTICES_MAX {
            self.notices += 1;
            let what = self.failures.clean(what);
            out.push_back(Beat::Event(ModelEvent::Unknown { what }));
        }
    }

    /// Tells of an event the format does not define.
    pub(crate) fn unknown(&mut self, data: &[u8], out: &mut Out) {
        let quote = String::from_utf8_lossy(data);
        let quote = quote[..quote.floor_char_boundary(QUOTE_BYTES_MAX)].to_owned();
        self.notice(&format!("an unknown event: {quote}"), out);
    }

    pub(crate) fn failure(&self, kind: FailureKind, message: &str) -> CallFailure {
        self.failures.of(kind, message)
    }

    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Assembles the parts, and decides how the turn ended by what was produced:
    /// whatever a provider claims, arguments that break off were cut, and a call that
    /// is whole was made. `claimed` is what it claims.
    pub(crate) fn build(&mut self, claimed: FinishReason, out: &mut Out) -> Built {
        let blocks = std::mem::take(&mut self.blocks);
        let mut parts = Vec::with_capacity(blocks.len());
        let mut renamed = Vec::new();
        let mut last_call_is_cut = None;
        let mut has_leaked_calls = false;
        for (slot, block) in blocks {
            match block {
                Block::Text(text) => parts.push(Part::Text { text }),
                Block::Reasoning(text) => parts.push(Part::Reasoning { text, field: None }),
                Block::Call(call) if call.name.is_empty() => {
                    self.notice("a tool call without a name", out);
                }
                Block::Call(call) => {
                    let mut read = arguments::read(&call.arguments);
                    let is_unwritten =
                        claimed == FinishReason::Length && call.arguments.trim().is_empty();
                    if call.too_long {
                        let error =
                            format!("the arguments are longer than {ARGUMENT_BYTES_MAX} bytes");
                        read.arguments = Arguments::Malformed { raw: call.arguments, error };
                    } else if is_unwritten {
                        // There was no room; that is not the same as no arguments.
                        let error = "the arguments break off".to_owned();
                        read.arguments = Arguments::Malformed { raw: call.arguments, error };
                        read.is_cut = true;
                    }
                    let id = self.asked.unique_id(call.id.clone());
                    if call.id.as_ref() != Some(&id) {
                        renamed.push((slot, id.clone()));
                    }
                    last_call_is_cut = Some(read.is_cut);
                    let id = ToolCallId(id);
                    let arguments = read.arguments;
                    parts.push(Part::ToolCall(ToolCall { id, name: call.name, arguments }));
                }
            }
        }
        if last_call_is_cut.is_none() {
            last_call_is_cut = self.leaked_calls(&mut parts, out);
            has_leaked_calls = last_call_is_cut.is_some();
        }
        let finish = match last_call_is_cut {
            _ if self.is_full => FinishReason::Length,
            Some(true) => FinishReason::Length,
            Some(false) => FinishReason::ToolCalls,
            // Calls were promised and none came.
            None if claimed == FinishReason::ToolCalls => FinishReason::Stop,
            None => claimed,
        };
        Built { parts, finish, renamed, has_leaked_calls }
    }

    /// Takes calls that the server left in the text out of it; returns whether the
    /// last of them is cut, if there are any.
    fn leaked_calls(&mut self, parts: &mut Vec<Part>, out: &mut Out) -> Option<bool> {
        let at = parts.iter().rposition(|part| matches!(part, Part::Text { .. }))?;
        let Part::Text { text } = &parts[at] else { return None };
        let (calls, rest) = leaked::find(text, &self.asked.tools)?;
        if rest.is_empty() {
            parts.remove(at);
        } else {
            parts[at] = Part::Text { text: rest };
        }
        let mut is_cut = None;
        for call in calls {
            let index = self.calls;
            self.calls += 1;
            let (name, delta) = (call.name.clone(), call.arguments.clone());
            out.push_back(Beat::Event(ModelEvent::ToolCallStarted { index, name }));
            out.push_back(Beat::Event(ModelEvent::ToolArguments { index, delta }));
            let read = arguments::read(&call.arguments);
            is_cut = Some(read.is_cut);
            let id = ToolCallId(self.asked.unique_id(None));
            parts.push(Part::ToolCall(ToolCall { id, name: call.name, arguments: read.arguments }));
        }
        is_cut
    }

    fn find(&mut self, slot: u64, is: impl Fn(&Block) -> bool) -> Option<&mut Block> {
        let found = self.blocks.iter_mut().rev().find(|(at, block)| *at == slot && is(block));
        found.map(|(_, block)| block)
    }
}

/// Returns what `known` lacks of `whole`, and corrects it where it is no beginning of it.
fn rest_of(known: &mut String, whole: &str) -> String {
    match whole.strip_prefix(known.as_str()) {
        Some(rest) => rest.to_owned(),
        None => {
            // A server that leaves the whole empty has said what it had to say.
            if !whole.is_empty() {
                whole.clone_into(known);
            }
            String::new()
        }
    }
}
