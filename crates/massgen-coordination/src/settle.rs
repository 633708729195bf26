//! What follows from a step: updates, new rounds, or the end of coordination.

use massgen_protocol::{
    AgentIndex, Brief, Epoch, EventBody, OnNewAnswer, RetireReason, RoundId, RoundKind, Update,
    WrapUpReason,
};

use crate::agent::AgentState;
use crate::coordinator::{Coordinator, Phase};
use crate::presentation::Ending;
use crate::sabotage::sabotaged;
use crate::{Command, Effects};

impl Coordinator {
    /// Draws the conclusions of a step. Called at the end of each, and changes
    /// nothing where nothing has changed.
    pub(crate) fn settle(&mut self, fx: &mut Effects) {
        match self.phase {
            Phase::New
            | Phase::Presenting { .. }
            | Phase::Reviewing { .. }
            | Phase::Finished(_) => {}
            Phase::Coordinating => self.settle_coordination(fx),
            Phase::Draining(ending) => {
                if !self.awaits_snapshots() {
                    self.conclude(ending, fx);
                }
            }
        }
    }

    fn settle_coordination(&mut self, fx: &mut Effects) {
        // A vote cast while an answer is being frozen would be stale on arrival, so nobody
        // starts a round for it and nobody is called back: with a thousand agents answering
        // at once, everybody is told once, not a thousand times.
        if self.awaits_snapshots() {
            return;
        }
        self.announce(fx);
        if self.is_sole_agent() && self.epoch > Epoch(0) {
            return self.conclude(Ending::SoleAgent, fx);
        }
        self.open_rounds_of_idle(fx);
        let n_agents = self.agents.len();
        let n_done = self.census.voted + self.census.retired;
        if sabotaged!(self, PresentEarly) && self.census.voted * 2 >= n_agents {
            return self.conclude(Ending::AllVoted, fx);
        }
        if n_done == n_agents {
            let ending = match self.census.voted {
                0 if self.awaited_end == Some(Ending::Interrupted) => Ending::Interrupted,
                0 if self.has_retired_for_budget() => Ending::Budget,
                0 => Ending::NoVoters,
                _ => Ending::AllVoted,
            };
            self.conclude(ending, fx);
        }
    }

    fn awaits_snapshots(&self) -> bool {
        self.census.freezing > 0 && !sabotaged!(self, OverlookFreezing)
    }

    fn has_retired_for_budget(&self) -> bool {
        let reasons = self.agents.iter().filter_map(|agent| agent.state.retired_for());
        reasons.into_iter().any(|reason| *reason == RetireReason::Budget)
    }

    /// Tells those who work of the answers accepted since, as the policy has it.
    fn announce(&mut self, fx: &mut Effects) {
        if self.announced == self.epoch || sabotaged!(self, ForgetUpdates) {
            return;
        }
        self.announced = self.epoch;
        for agent in self.roster.agents() {
            let AgentState::Working { told, .. } = self.agents[agent.at()].state else { continue };
            if told == self.epoch {
                continue;
            }
            // A first draft is worth waiting for only if it can still be handed in.
            let is_first_draft = told == Epoch(0)
                && !self.is_vote_only(agent)
                && !sabotaged!(self, DisturbFirstDrafts);
            match (self.policy.on_new_answer, is_first_draft) {
                (OnNewAnswer::Graceful | OnNewAnswer::Wait, true) => {}
                (OnNewAnswer::Interrupt, _) | (OnNewAnswer::Graceful, false) => {
                    self.update(agent, None, true, fx);
                }
                (OnNewAnswer::Wait, false) => self.update(agent, None, false, fx),
            }
        }
    }

    /// Brings the newest answers into view of an agent that works.
    ///
    /// Whoever is to come to an end but still waits for its call is called back: nothing is
    /// lost, and a call that knows less would be paid for from the little that is left.
    pub(crate) fn update(
        &mut self,
        agent: AgentIndex,
        wrap_up: Option<WrapUpReason>,
        interrupt: bool,
        fx: &mut Effects,
    ) {
        let (epoch, vote_only) = (self.epoch, self.is_vote_only(agent));
        if let AgentState::Working { round, told } = &mut self.agents[agent.at()].state {
            *told = epoch;
            let interrupt = interrupt || wrap_up.is_some() && self.ledger.awaits_call(*round);
            fx.update(*round, Update { epoch, wrap_up, vote_only }, interrupt);
        }
    }

    /// Tells everybody, once an attempt, to decide with what exists.
    pub(crate) fn start_wrap_up(&mut self, reason: WrapUpReason, fx: &mut Effects) {
        if self.phase != Phase::Coordinating || self.wrap_up.is_some() {
            return;
        }
        self.wrap_up = Some(reason);
        fx.event(EventBody::WrapUpStarted { reason });
        for agent in self.roster.agents() {
            self.update(agent, Some(reason), false, fx);
        }
    }

    fn open_rounds_of_idle(&mut self, fx: &mut Effects) {
        if self.census.idle == 0 {
            return;
        }
        let voting_is_deferred = self.policy.defer_voting
            && !sabotaged!(self, OpenVotingEarly)
            && self.roster.agents().any(|agent| self.owes_first_draft(agent));
        for agent in self.roster.agents() {
            let entry = &self.agents[agent.at()];
            let waits = voting_is_deferred && entry.newest(self.epoch).is_some();
            if entry.state == AgentState::Idle && !waits {
                self.open_coordinate_round(agent, fx);
            }
        }
    }

    /// Returns whether this agent is still to give its first answer.
    fn owes_first_draft(&self, agent: AgentIndex) -> bool {
        let entry = &self.agents[agent.at()];
        let is_at_it = match entry.state {
            AgentState::Idle
            | AgentState::Working { .. }
            | AgentState::Freezing { .. }
            | AgentState::BackingOff { .. } => true,
            AgentState::Voted | AgentState::Retired { .. } => false,
        };
        is_at_it && entry.newest(self.epoch).is_none() && !self.is_vote_only(agent)
    }

    /// Returns whether new answers are not taken from this agent any more.
    pub(crate) fn is_vote_only(&self, agent: AgentIndex) -> bool {
        self.wrap_up.is_some() && self.epoch > Epoch(0)
            || self.policy.answers_max.is_some_and(|answers_max| self.epoch.0 >= answers_max)
            || self.agents[agent.at()].n_accepted() >= self.policy.answers_per_agent_max
    }

    fn open_coordinate_round(&mut self, agent: AgentIndex, fx: &mut Effects) {
        let (epoch, vote_only) = (self.epoch, self.is_vote_only(agent));
        let is_first = self.agents[agent.at()].rounds_in_attempt == 0;
        let round = self.next_round(agent);
        self.enter(agent, AgentState::Working { round, told: epoch });
        fx.event(EventBody::RoundOpened { round, kind: RoundKind::Coordinate, epoch, vote_only });
        fx.command(Command::OpenRound { round, brief: Brief::Coordinate { epoch, vote_only } });
        self.arm_coordinate_round(round, is_first, fx);
    }

    /// Names the next round of an agent.
    pub(crate) fn next_round(&mut self, agent: AgentIndex) -> RoundId {
        let entry = &mut self.agents[agent.at()];
        entry.rounds += 1;
        entry.rounds_in_attempt += 1;
        RoundId { agent, n: entry.rounds }
    }
}
