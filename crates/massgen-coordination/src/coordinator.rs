//! The coordinator: what it knows, and the one function that changes it.

use std::sync::Arc;

use massgen_protocol::{
    AgentIndex, AnswerId, AttemptIndex, Ballot, CloseReason, Epoch, EventBody, Millis, Outcome,
    Policy, RetireReason, RoundEnd, RoundId, RoundKind, SnapshotId, Spend, WrapUpReason,
};

use crate::agent::{Agent, AgentState, Answer, Census, Mishap, Standing};
use crate::ballot::Ballots;
use crate::budget::Ledger;
use crate::deadline::backoff_ms;
use crate::presentation::{Earlier, Ending, Selection};
use crate::roster::Roster;
use crate::sabotage::sabotaged;
use crate::{Command, Effects, Input};

/// Decides between agents: told what happens, it says what follows.
///
/// It never waits, reads a clock or fails. Two coordinators made alike and told
/// alike decide alike, on any machine; a run is resumed and checked that way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordinator {
    pub(crate) policy: Arc<Policy>,
    pub(crate) seed: u64,
    pub(crate) roster: Roster,
    pub(crate) phase: Phase,
    pub(crate) attempt: AttemptIndex,
    pub(crate) agents: Vec<Agent>,
    pub(crate) census: Census,
    pub(crate) epoch: Epoch,
    /// The epoch all who should know of it have been told of.
    pub(crate) announced: Epoch,
    pub(crate) ballots: Ballots,
    pub(crate) wrap_up: Option<WrapUpReason>,
    /// Coordination was told to end, and does so with the first answer that is accepted.
    pub(crate) awaited_end: Option<Ending>,
    pub(crate) ledger: Ledger,
    pub(crate) earlier: Option<Arc<Earlier>>,
    #[cfg(test)]
    pub(crate) sabotage: Option<crate::sabotage::Sabotage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    New,
    Coordinating,
    /// No round works any more; only snapshots in flight are waited for.
    Draining(Ending),
    Presenting {
        selection: Selection,
        round: RoundId,
    },
    Reviewing {
        selection: Selection,
        round: RoundId,
        presented: bool,
    },
    Finished(Outcome),
}

/// What a review said when it ordered another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartNotes {
    pub reason: String,
    pub instructions: String,
    /// The answer that was not good enough.
    pub answer: AnswerId,
}

impl Coordinator {
    /// Returns a coordinator that waits for [`Input::Begin`].
    ///
    /// Limits of 0, with which nothing could ever be answered, count as 1.
    pub fn new(n_agents: u16, policy: Policy, seed: u64) -> Coordinator {
        let policy = Policy {
            answers_per_agent_max: policy.answers_per_agent_max.max(1),
            answers_max: policy.answers_max.map(|answers_max| answers_max.max(1)),
            failures_max: policy.failures_max.max(1),
            exhausted_rounds_max: policy.exhausted_rounds_max.max(1),
            ..policy
        };
        let agents = vec![Agent::new(); usize::from(n_agents)];
        Coordinator {
            census: Census::of(agents.iter().map(|agent| &agent.state)),
            ledger: Ledger::new(policy.budget),
            policy: Arc::new(policy),
            seed,
            roster: Roster::new(n_agents),
            phase: Phase::New,
            attempt: AttemptIndex(1),
            agents,
            epoch: Epoch(0),
            announced: Epoch(0),
            ballots: Ballots::open(Epoch(0)),
            wrap_up: None,
            awaited_end: None,
            earlier: None,
            #[cfg(test)]
            sabotage: None,
        }
    }

    /// Applies one input. Never waits, never fails: what is out of place becomes an event.
    ///
    /// `now` decides only whether the time in the budget is used up; all other
    /// waiting is armed as a deadline and comes back as an input.
    ///
    /// # Panics
    ///
    /// Where our own side breaks its word, as in a vote that has seen an epoch to come.
    pub fn step(&mut self, now: Millis, input: Input) -> Effects {
        let mut fx = Effects::default();
        if self.is_finished() {
            self.step_after_the_end(input, &mut fx);
            return fx;
        }
        let is_request = matches!(input, Input::CallRequested { .. });
        match input {
            Input::Begin => self.begin(&mut fx),
            Input::CallRequested { call, estimate } => {
                self.on_call_requested(call, estimate, &mut fx);
            }
            Input::CallSettled { call, spend, failure: _ } => {
                // A failure also ends the round, which is when it counts.
                self.on_call_settled(call, spend, &mut fx);
            }
            Input::Submitted { round, seen, submission } => {
                self.on_submitted(round, seen, submission, &mut fx);
            }
            Input::RoundEnded { round, end } => self.on_round_ended(round, end, &mut fx),
            Input::SnapshotTaken { answer, snapshot } => {
                self.on_snapshot_taken(answer, snapshot, &mut fx);
            }
            Input::Due(deadline) => self.on_due(deadline, &mut fx),
            Input::Presented { round } => self.on_presented(round, &mut fx),
            Input::Reviewed { round, review } => self.on_reviewed(round, review, &mut fx),
            Input::Interrupt => self.on_interrupt(&mut fx),
        }
        self.end_as_told(&mut fx);
        // Any input may release a reservation or close the round of one who waits for it.
        if is_request || !sabotaged!(self, ForgetWaitingCalls) {
            self.decide_calls(now, &mut fx);
        }
        let retired = |event: &EventBody| matches!(event, EventBody::AgentRetired { .. });
        if !(sabotaged!(self, RetireWithoutSettling) && fx.events.iter().any(retired)) {
            self.settle(&mut fx);
        }
        if cfg!(debug_assertions) {
            self.check();
        }
        fx
    }

    /// Books late spending; everything else comes too late to matter, and silently:
    /// the last event of a run is its end.
    fn step_after_the_end(&mut self, input: Input, fx: &mut Effects) {
        match input {
            Input::CallSettled { call, spend, failure: _ } => self.ledger.settle(call, spend),
            Input::CallRequested { call, .. } if sabotaged!(self, CommandAfterTheEnd) => {
                fx.command(Command::StartCall { call });
            }
            Input::Begin
            | Input::CallRequested { .. }
            | Input::Submitted { .. }
            | Input::RoundEnded { .. }
            | Input::SnapshotTaken { .. }
            | Input::Due(_)
            | Input::Presented { .. }
            | Input::Reviewed { .. }
            | Input::Interrupt => {}
        }
    }

    fn begin(&mut self, fx: &mut Effects) {
        if self.phase != Phase::New {
            return fx.ignore("the run has begun already");
        }
        self.start_attempt(fx);
        self.arm_budget(fx);
    }

    /// Opens the attempt; `settle` opens its rounds.
    pub(crate) fn start_attempt(&mut self, fx: &mut Effects) {
        self.phase = Phase::Coordinating;
        fx.event(EventBody::AttemptStarted { attempt: self.attempt });
        self.arm_attempt(fx);
        self.watch_budget(fx);
    }

    fn on_round_ended(&mut self, round: RoundId, end: RoundEnd, fx: &mut Effects) {
        let Some(kind) = self.kind_of_open(round) else {
            return fx.ignore(format!("{round} ended, but it is closed already"));
        };
        fx.close_round(round, CloseReason::Ended);
        match kind {
            RoundKind::Present | RoundKind::Review => self.finish_with_selection(fx),
            RoundKind::Coordinate => {
                let agent = round.agent;
                if let AgentState::Freezing { round, .. } = &mut self.agents[agent.at()].state {
                    // The submission came first, so it counts; nobody waits for the reply now.
                    *round = None;
                    return;
                }
                match end {
                    RoundEnd::Exhausted { violations: _ } | RoundEnd::TooManyTurns { turns: _ } => {
                        self.exhaust(agent, fx);
                    }
                    RoundEnd::CallFailed { failure } => self.fail(agent, Mishap::Call(failure), fx),
                    RoundEnd::Panicked { message } => {
                        self.fail(agent, Mishap::Panic { message }, fx);
                    }
                }
            }
        }
    }

    /// Counts a round without a choice.
    fn exhaust(&mut self, agent: AgentIndex, fx: &mut Effects) {
        let rounds = self.agents[agent.at()].exhausted_rounds.saturating_add(1);
        self.agents[agent.at()].exhausted_rounds = rounds;
        if rounds >= self.policy.exhausted_rounds_max && !sabotaged!(self, NeverRetireUndecided) {
            self.retire(agent, RetireReason::NoChoice { rounds }, fx);
        } else {
            self.enter(agent, AgentState::Idle);
        }
    }

    /// Counts a failure: the agent pauses, or retires if it was one too many.
    pub(crate) fn fail(&mut self, agent: AgentIndex, mishap: Mishap, fx: &mut Effects) {
        if self.phase != Phase::Coordinating {
            // Coordination is over; there is nothing to try again.
            return self.enter(agent, AgentState::Idle);
        }
        let max = self.policy.failures_max;
        let failures = self.agents[agent.at()].failures.saturating_add(1);
        self.agents[agent.at()].failures = failures;
        let is_last = failures >= max || !mishap.is_retryable();
        if is_last && !sabotaged!(self, NeverRetireFailing) {
            let reason = mishap.retire_reason(failures);
            return self.retire(agent, reason, fx);
        }
        let backoff_ms = backoff_ms(&self.policy, failures, mishap.retry_after_ms());
        fx.event(EventBody::AgentFailed { agent, failures, max, backoff_ms });
        if !sabotaged!(self, ForgetBackoff) {
            self.arm_backoff(agent, failures, backoff_ms, fx);
        }
        self.enter(agent, AgentState::BackingOff { failures });
    }

    pub(crate) fn retire(&mut self, agent: AgentIndex, reason: RetireReason, fx: &mut Effects) {
        fx.event(EventBody::AgentRetired { agent, reason: reason.clone() });
        self.enter(agent, AgentState::Retired { reason: Arc::new(reason) });
    }

    fn on_interrupt(&mut self, fx: &mut Effects) {
        match self.phase {
            Phase::Coordinating => self.interrupt_coordination(fx),
            Phase::New | Phase::Presenting { .. } | Phase::Reviewing { .. } => {
                self.end_now(Ending::Interrupted, fx);
            }
            Phase::Draining(_) | Phase::Finished(_) => {
                fx.ignore("the run is ending already");
            }
        }
    }

    /// Moves an agent to a state; the only place that does.
    pub(crate) fn enter(&mut self, agent: AgentIndex, state: AgentState) {
        let agent = &mut self.agents[agent.at()];
        self.census.move_one(&agent.state, &state);
        agent.state = state;
    }

    /// Returns what an open round is for, or `None` if it is closed or never was.
    pub(crate) fn kind_of_open(&self, round: RoundId) -> Option<RoundKind> {
        match &self.phase {
            Phase::Presenting { round: open, .. } => (*open == round).then_some(RoundKind::Present),
            Phase::Reviewing { round: open, .. } => (*open == round).then_some(RoundKind::Review),
            Phase::New | Phase::Coordinating | Phase::Draining(_) | Phase::Finished(_) => {
                let agent = self.agents.get(round.agent.at())?;
                (agent.state.open_round() == Some(round)).then_some(RoundKind::Coordinate)
            }
        }
    }

    pub(crate) fn answer(&self, id: AnswerId) -> Option<&Answer> {
        let at = usize::try_from(id.n).ok()?.checked_sub(1)?;
        self.agents.get(id.agent.at())?.answers.get(at)
    }

    /// Returns whether this team is one agent whose answer needs no vote.
    pub(crate) fn is_sole_agent(&self) -> bool {
        self.roster.n_agents() == 1 && !self.policy.sole_agent_votes
    }
}

/// What the runtime and the curious may ask.
impl Coordinator {
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn roster(&self) -> Roster {
        self.roster
    }

    pub fn attempt(&self) -> AttemptIndex {
        self.attempt
    }

    /// Returns the number of answers accepted in this attempt.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished(_))
    }

    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Finished(outcome) => Some(outcome),
            Phase::New
            | Phase::Coordinating
            | Phase::Draining(_)
            | Phase::Presenting { .. }
            | Phase::Reviewing { .. } => None,
        }
    }

    /// Returns the newest answer of each agent in this attempt, in the order of the roster.
    pub fn newest_answers(&self) -> Vec<AnswerId> {
        self.newest_at(self.epoch)
    }

    /// Returns the newest answer of each agent as of `epoch`, as `viewer` should read them.
    ///
    /// The order is that of the roster, but each viewer begins elsewhere, so that
    /// no answer stands first for everybody; one's own comes last if all have answered.
    pub fn answers_in_view(&self, viewer: AgentIndex, epoch: Epoch) -> Vec<AnswerId> {
        let mut answers = self.newest_at(epoch);
        if !answers.is_empty() {
            let n_answers = answers.len();
            answers.rotate_left((viewer.at() + 1) % n_answers);
        }
        answers
    }

    fn newest_at(&self, epoch: Epoch) -> Vec<AnswerId> {
        let agents = self.roster.agents().zip(&self.agents);
        let newest = agents.filter_map(|(id, agent)| {
            agent.newest(epoch).map(|(n, _, _)| AnswerId { agent: id, n })
        });
        newest.collect()
    }

    /// Returns the text of an answer of any attempt, accepted or not.
    pub fn answer_text(&self, answer: AnswerId) -> Option<&Arc<String>> {
        self.answer(answer).map(|answer| &answer.text)
    }

    /// Returns the workspace copy of an accepted answer.
    pub fn answer_snapshot(&self, answer: AnswerId) -> Option<&SnapshotId> {
        match &self.answer(answer)?.standing {
            Standing::Accepted { snapshot, .. } => Some(snapshot),
            Standing::Freezing | Standing::Dropped => None,
        }
    }

    /// Returns the open rounds in the order of the roster.
    pub fn open_rounds(&self) -> Vec<RoundId> {
        match &self.phase {
            Phase::Presenting { round, .. } | Phase::Reviewing { round, .. } => vec![*round],
            Phase::New | Phase::Coordinating | Phase::Draining(_) | Phase::Finished(_) => {
                self.agents.iter().filter_map(|agent| agent.state.open_round()).collect()
            }
        }
    }

    /// Returns the answers whose snapshots are awaited, in the order of the roster.
    pub fn freezing_answers(&self) -> Vec<AnswerId> {
        let freezing = self.agents.iter().filter_map(|agent| match agent.state {
            AgentState::Freezing { answer, .. } => Some(answer),
            AgentState::Idle
            | AgentState::Working { .. }
            | AgentState::Voted
            | AgentState::BackingOff { .. }
            | AgentState::Retired { .. } => None,
        });
        freezing.collect()
    }

    /// Returns the ballots that count now, in the order of the roster.
    pub fn ballots(&self) -> Vec<Ballot> {
        self.ballots.iter().collect()
    }

    /// Returns what the last review said, if it ordered this attempt.
    pub fn restart_notes(&self) -> Option<&RestartNotes> {
        self.earlier.as_deref().map(|earlier| &earlier.notes)
    }

    /// Returns what the run has spent so far, calls that still run left out.
    pub fn spent(&self) -> Spend {
        self.ledger.spent()
    }

    /// Returns what is reserved for calls that run.
    pub fn reserved(&self) -> Spend {
        self.ledger.reserved()
    }

    /// Returns whether agents have been told to decide with what exists, and why.
    pub fn wrap_up(&self) -> Option<WrapUpReason> {
        self.wrap_up
    }
}

#[cfg(test)]
mod tests;
