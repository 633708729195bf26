//! What of a coordinator decides its future, for those who walk through all its states.

use std::hash::{Hash, Hasher};

use massgen_protocol::{Epoch, RetireReason, TieBreak};

use crate::agent::{AgentState, may_return, may_still_call};
use crate::coordinator::{Coordinator, Phase};

/// How much of what there is a round has in view. Which of several older views it
/// is makes no difference to any rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    Nothing,
    Older,
    Newest,
}

impl View {
    pub fn of(seen: Epoch, newest: Epoch) -> View {
        match seen {
            Epoch(0) => View::Nothing,
            seen if seen < newest => View::Older,
            _ => View::Newest,
        }
    }
}

impl Coordinator {
    /// Feeds `state` with all that decides what this coordinator will do, and no more.
    ///
    /// Left out are names that only count up (rounds, answers) and texts: two states
    /// that differ in nothing else behave alike, so a walk through all states need not
    /// tell them apart, and a walk that comes back to one has found a cycle.
    pub fn fingerprint<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(&self.phase).hash(state);
        match &self.phase {
            Phase::New | Phase::Coordinating | Phase::Finished(_) => {}
            Phase::Draining(ending) => ending.hash(state),
            Phase::Presenting { selection, .. } => {
                (selection.winner.agent, selection.is_open_to_review()).hash(state);
            }
            Phase::Reviewing { selection, presented, .. } => {
                (selection.winner.agent, presented).hash(state);
            }
        }
        self.attempt.hash(state);
        (self.wrap_up.is_some(), self.awaited_end).hash(state);
        self.earlier.as_ref().map(|earlier| earlier.presented).hash(state);
        (self.announced == self.epoch).hash(state);
        if self.ledger.has_bounds() {
            (self.ledger.spent(), self.ledger.reserved()).hash(state);
            // Of each agent one round is open at most, so the agent says which.
            for (call, estimate) in self.ledger.waiting() {
                (call.round.agent, estimate).hash(state);
            }
        }
        for (id, agent) in self.roster.agents().zip(&self.agents) {
            std::mem::discriminant(&agent.state).hash(state);
            match &agent.state {
                AgentState::Idle | AgentState::BackingOff { .. } => {}
                AgentState::Working { told, .. } => View::of(*told, self.epoch).hash(state),
                AgentState::Freezing { round, .. } => round.is_some().hash(state),
                AgentState::Voted => {}
                AgentState::Retired { reason } => {
                    let is_for_budget = **reason == RetireReason::Budget;
                    (may_return(reason), may_still_call(reason), is_for_budget).hash(state);
                }
            }
            self.ballots.choice_of(id).hash(state);
            // Beyond its bound a count makes no difference, if it ever gets there.
            agent.failures.min(self.policy.failures_max).hash(state);
            agent.exhausted_rounds.min(self.policy.exhausted_rounds_max).hash(state);
            agent.n_accepted().hash(state);
            match self.policy.tie_break {
                TieBreak::Earliest => {
                    agent.newest(self.epoch).map(|(_, accepted_at, _)| accepted_at).hash(state);
                }
                TieBreak::Roster | TieBreak::Seeded => {}
            }
        }
    }
}
