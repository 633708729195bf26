//! What one agent said and did, piece by piece.

use std::collections::VecDeque;
use std::sync::Arc;

use massgen_protocol::{
    AnswerId, CallId, Epoch, Millis, RoundId, RoundKind, TextChannel, ToolCallId, ToolEffect,
};

use crate::Level;

/// Cells kept of one agent. A screen shows dozens; the log has them all.
pub const CELLS_MAX: usize = 1_000;

/// Bytes of text kept of one agent: about sixty thousand tokens, so that fifty
/// agents stay within 12 MB.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one text cell, after which the next one begins, so that the oldest
/// part of a long text can be dropped.
const CELL_BYTES_MAX: usize = 16 * 1024;

/// The cells of one agent, oldest first, bounded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    cells: VecDeque<Cell>,
    dropped: u64,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The event that began it.
    pub seq: u64,
    pub at: Millis,
    pub body: CellBody,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CellBody {
    Round {
        round: RoundId,
        kind: RoundKind,
        epoch: Epoch,
        vote_only: bool,
    },
    Text {
        call: CallId,
        channel: TextChannel,
        text: String,
    },
    /// A tool call that the model is still writing.
    ToolCallComing {
        call: CallId,
        name: String,
        bytes: u64,
    },
    Tool {
        id: ToolCallId,
        name: String,
        /// `None`: it ran at the provider, or inside an agent that is a program.
        effect: Option<ToolEffect>,
        arguments: Arc<String>,
        state: ToolState,
    },
    Answer {
        answer: AnswerId,
        epoch: Epoch,
        text: Arc<String>,
    },
    Vote {
        /// For whom, as users know it.
        choice: String,
        reason: String,
        epoch: Epoch,
    },
    Notice {
        level: Level,
        text: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum ToolState {
    Running,
    Done { output: Arc<String>, is_error: bool },
}

impl Transcript {
    /// Returns the cells that are kept, oldest first.
    pub fn cells(&self) -> impl DoubleEndedIterator<Item = &Cell> + ExactSizeIterator {
        self.cells.iter()
    }

    /// Returns how many older cells are no longer kept.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn push(&mut self, seq: u64, at: Millis, body: CellBody) {
        self.bytes = self.bytes.saturating_add(size(&body));
        self.cells.push_back(Cell { seq, at, body });
        self.shrink();
    }

    /// Appends streamed text, to the last cell where that goes on.
    pub(crate) fn stream(
        &mut self,
        seq: u64,
        at: Millis,
        call: CallId,
        channel: TextChannel,
        piece: &str,
    ) {
        if let Some(Cell { body: CellBody::Text { call: last, channel: of, text }, .. }) =
            self.cells.back_mut()
            && *last == call
            && *of == channel
            && text.len() < CELL_BYTES_MAX
        {
            text.push_str(piece);
            self.bytes = self.bytes.saturating_add(piece.len());
            if self.bytes > TEXT_BYTES_MAX {
                self.shrink();
            }
            return;
        }
        self.push(seq, at, CellBody::Text { call, channel, text: piece.to_owned() });
    }

    /// Notes how much of a tool call has come.
    pub(crate) fn tool_call_coming(
        &mut self,
        seq: u64,
        at: Millis,
        call: CallId,
        name: &str,
        n: u64,
    ) {
        if let Some(Cell { body: CellBody::ToolCallComing { call: last, name: of, bytes }, .. }) =
            self.cells.back_mut()
            && *last == call
            && of == name
        {
            *bytes = n;
            return;
        }
        self.push(seq, at, CellBody::ToolCallComing { call, name: name.to_owned(), bytes: n });
    }

    /// Puts the output to the tool call that is running under this id.
    pub(crate) fn tool_done(
        &mut self,
        id: &ToolCallId,
        output: &Arc<String>,
        failed: bool,
    ) -> bool {
        let running = self.cells.iter_mut().rev().find_map(|cell| match &mut cell.body {
            CellBody::Tool { id: of, state: state @ ToolState::Running, .. } if of == id => {
                Some(state)
            }
            CellBody::Tool { .. }
            | CellBody::Round { .. }
            | CellBody::Text { .. }
            | CellBody::ToolCallComing { .. }
            | CellBody::Answer { .. }
            | CellBody::Vote { .. }
            | CellBody::Notice { .. } => None,
        });
        let Some(state) = running else { return false };
        *state = ToolState::Done { output: Arc::clone(output), is_error: failed };
        self.bytes = self.bytes.saturating_add(output.len());
        self.shrink();
        true
    }

    /// Returns whether the kept cells hold text of this call.
    pub(crate) fn has_text_of(&self, of: CallId) -> bool {
        self.cells.iter().rev().any(|cell| {
            matches!(&cell.body, CellBody::Text { call, channel: TextChannel::Text, .. } if *call == of)
        })
    }

    /// Drops the oldest cells until both bounds hold; the newest stays in any case.
    fn shrink(&mut self) {
        while self.cells.len() > 1 && (self.cells.len() > CELLS_MAX || self.bytes > TEXT_BYTES_MAX)
        {
            let Some(oldest) = self.cells.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(size(&oldest.body));
            self.dropped += 1;
        }
    }
}

fn size(body: &CellBody) -> usize {
    match body {
        CellBody::Round { .. } => 0,
        CellBody::Text { text, .. } | CellBody::Notice { text, .. } => text.len(),
        CellBody::ToolCallComing { name, .. } => name.len(),
        CellBody::Tool { arguments, state, .. } => {
            arguments.len()
                + match state {
                    ToolState::Running => 0,
                    ToolState::Done { output, .. } => output.len(),
                }
        }
        CellBody::Answer { text, .. } => text.len(),
        CellBody::Vote { choice, reason, .. } => choice.len() + reason.len(),
    }
}
