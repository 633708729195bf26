//! The order in which the tools of a round run: those that only read side by side, one with
//! an effect alone, in the order in which the model called them.

use std::collections::VecDeque;

use massgen_protocol::{ToolCall, ToolCallId, ToolEffect};

/// The tools of one round that are asked for and not done.
#[derive(Debug)]
pub(crate) struct Lane {
    running: Vec<(ToolCallId, ToolEffect)>,
    waiting: VecDeque<(ToolCall, ToolEffect)>,
    /// Side by side at most.
    room: usize,
}

impl Lane {
    pub(crate) fn new(room: u32) -> Lane {
        let room = usize::try_from(room).unwrap_or(usize::MAX).max(1);
        Lane { running: Vec::new(), waiting: VecDeque::new(), room }
    }

    pub(crate) fn push(&mut self, call: ToolCall, effect: ToolEffect) {
        self.waiting.push_back((call, effect));
    }

    pub(crate) fn done(&mut self, id: &ToolCallId) {
        self.running.retain(|(running, _)| running != id);
    }

    /// Returns the next one that may start now.
    pub(crate) fn next(&mut self) -> Option<ToolCall> {
        let effect = self.waiting.front()?.1;
        let only_reads = self.running.iter().all(|(_, effect)| *effect == ToolEffect::Read);
        let may_join = effect == ToolEffect::Read && only_reads && self.running.len() < self.room;
        if !self.running.is_empty() && !may_join {
            return None;
        }
        let (call, effect) = self.waiting.pop_front()?;
        self.running.push((call.id.clone(), effect));
        Some(call)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Returns those that never started.
    pub(crate) fn into_waiting(self) -> impl Iterator<Item = ToolCall> {
        self.waiting.into_iter().map(|(call, _)| call)
    }
}

#[cfg(test)]
mod tests {
    use massgen_protocol::Arguments;

    use super::*;

    fn call(id: &str) -> ToolCall {
        let arguments = Arguments::Object { value: serde_json::Map::new() };
        ToolCall { id: ToolCallId(id.to_owned()), name: "t".to_owned(), arguments }
    }

    fn started(lane: &mut Lane) -> Vec<String> {
        std::iter::from_fn(|| lane.next()).map(|call| call.id.0).collect()
    }

    #[test]
    fn reads_run_together_and_an_effect_runs_alone_in_its_place() {
        let mut lane = Lane::new(2);
        for (id, effect) in [
            ("r1", ToolEffect::Read),
            ("r2", ToolEffect::Read),
            ("r3", ToolEffect::Read),
            ("w1", ToolEffect::Write),
            ("r4", ToolEffect::Read),
            ("w2", ToolEffect::Irreversible),
        ] {
            lane.push(call(id), effect);
        }
        assert_eq!(started(&mut lane), ["r1", "r2"]);
        lane.done(&ToolCallId("r2".to_owned()));
        assert_eq!(started(&mut lane), ["r3"]);
        lane.done(&ToolCallId("r1".to_owned()));
        assert!(started(&mut lane).is_empty(), "r3 still reads");
        lane.done(&ToolCallId("r3".to_owned()));
        assert_eq!(started(&mut lane), ["w1"]);
        lane.done(&ToolCallId("w1".to_owned()));
        assert_eq!(started(&mut lane), ["r4"]);
        assert_eq!(lane.into_waiting().map(|call| call.id.0).collect::<Vec<_>>(), ["w2"]);
    }
}
