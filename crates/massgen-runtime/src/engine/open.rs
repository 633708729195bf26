//! What is under way outside: what a resumed run has to take up again.

use std::collections::{BTreeMap, BTreeSet};

use massgen_protocol::{
    AnswerId, CallId, Deadline, EventBody, Millis, RoundId, ToolCall, ToolCallId,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct OpenWork {
    calls: BTreeSet<CallId>,
    snapshots: BTreeSet<AnswerId>,
    tools: BTreeMap<(RoundId, ToolCallId), ToolCall>,
    /// Ordered by time, and found by what they are.
    due: BTreeSet<(Millis, Deadline)>,
    armed: BTreeMap<Deadline, Millis>,
}

impl OpenWork {
    /// Takes off the list what an event of the log ends.
    pub(crate) fn note(&mut self, body: &EventBody) {
        match body {
            EventBody::CallFinished { call, .. }
            | EventBody::CallFailed { call, .. }
            | EventBody::CallCancelled { call, .. } => {
                self.calls.remove(call);
            }
            EventBody::SnapshotTaken { answer, .. } | EventBody::SnapshotFailed { answer, .. } => {
                self.snapshots.remove(answer);
            }
            EventBody::ToolFinished { round, id, .. } => {
                self.tools.remove(&(*round, id.clone()));
            }
            EventBody::DeadlineReached { deadline } => self.disarm(deadline),
            // A closed round's own deadlines would come to nothing; without them a
            // long run's list stays as short as its roster.
            EventBody::RoundClosed { round, .. } => {
                self.disarm(&Deadline::Round { round: *round });
                self.disarm(&Deadline::RoundSoft { round: *round });
            }
            _ => {}
        }
    }

    pub(crate) fn call_granted(&mut self, call: CallId) {
        self.calls.insert(call);
    }

    pub(crate) fn is_running(&self, call: CallId) -> bool {
        self.calls.contains(&call)
    }

    /// Returns whether no call and no tool is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.tools.is_empty()
    }

    pub(crate) fn calls_of(&self, round: RoundId) -> impl Iterator<Item = CallId> {
        self.calls.range(CallId { round, n: 0 }..=CallId { round, n: u32::MAX }).copied()
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = CallId> {
        self.calls.iter().copied()
    }

    pub(crate) fn snapshot_asked(&mut self, answer: AnswerId) {
        self.snapshots.insert(answer);
    }

    pub(crate) fn snapshots(&self) -> impl Iterator<Item = AnswerId> {
        self.snapshots.iter().copied()
    }

    pub(crate) fn tool_started(&mut self, round: RoundId, call: ToolCall) {
        self.tools.insert((round, call.id.clone()), call);
    }

    pub(crate) fn has_tools(&self, round: RoundId) -> bool {
        self.tools.keys().any(|(open, _)| *open == round)
    }

    pub(crate) fn tools(&self) -> impl Iterator<Item = (RoundId, &ToolCall)> {
        self.tools.iter().map(|((round, _), call)| (*round, call))
    }

    pub(crate) fn arm(&mut self, deadline: Deadline, at: Millis) {
        self.disarm(&deadline);
        self.armed.insert(deadline, at);
        self.due.insert((at, deadline));
    }

    fn disarm(&mut self, deadline: &Deadline) {
        if let Some(at) = self.armed.remove(deadline) {
            self.due.remove(&(at, *deadline));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<(Millis, Deadline)> {
        self.due.first().copied()
    }
}
