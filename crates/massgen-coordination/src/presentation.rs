//! From the end of coordination to the end of the run:
//! selection → final presentation → review → another attempt, or the end.

use std::sync::Arc;

use massgen_protocol::{
    AgentIndex, AnswerId, AttemptIndex, Basis, Brief, CloseReason, Epoch, EventBody, FailReason,
    FinalPresentation, Outcome, Review, RoundId, RoundKind,
};

use crate::agent::{AgentState, may_return, may_still_call};
use crate::ballot::{Ballots, Candidate, Tally, TallyRules};
use crate::coordinator::{Coordinator, Phase, RestartNotes};
use crate::sabotage::sabotaged;
use crate::{Command, Effects};

/// Why coordination ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    /// All who still take part have voted.
    AllVoted,
    /// The only agent there is has answered.
    SoleAgent,
    /// All have retired.
    NoVoters,
    /// The time to coordinate is over; what is left of the attempt is for the presentation.
    Deadline,
    /// The attempt's time is over, and with it the time for calls.
    Attempt,
    /// The budget, or its time, is used up.
    Budget,
    /// The user asked to wrap up.
    Interrupted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) winner: AnswerId,
    pub(crate) basis: Basis,
}

/// An attempt that a review sent back: what it said, and what there is if the next one
/// comes to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) notes: RestartNotes,
    pub(crate) presented: bool,
}

impl Coordinator {
    /// Selects the winner and goes on to what the policy and the occasion allow.
    pub(crate) fn conclude(&mut self, ending: Ending, fx: &mut Effects) {
        let tally = self.tally();
        let n_open = self.census.working + self.census.freezing;
        assert!(
            n_open == 0 || self.is_sabotaged(),
            "coordination ends with {n_open} rounds open: {ending:?}"
        );
        let newest = |agent: AgentIndex| self.agents[agent.at()].newest(self.epoch);
        let winner = tally.and_then(|tally| {
            let (n, _, _) = newest(tally.winner)?;
            Some((AnswerId { agent: tally.winner, n }, ending.basis(tally)))
        });
        if sabotaged!(self, FailDespiteAnswers) && ending == Ending::Attempt {
            return self.finish(Outcome::Failed { reason: FailReason::Deadline }, fx);
        }
        match winner {
            Some((winner, basis)) => {
                fx.event(EventBody::WinnerSelected { winner, basis: basis.clone() });
                self.follow_up(ending, Selection { winner, basis }, fx);
            }
            None => self.conclude_without_answer(ending, fx),
        }
    }

    /// Falls back on the attempt before, which a review found wanting: better than nothing.
    fn conclude_without_answer(&mut self, ending: Ending, fx: &mut Effects) {
        let Some(earlier) = self.earlier.clone() else {
            return self.finish(Outcome::Failed { reason: ending.fail_reason() }, fx);
        };
        let winner = earlier.notes.answer;
        let nothing = Tally { winner: winner.agent, votes: 0, voters: 0, tie: false };
        let selection = Selection { winner, basis: ending.basis(nothing) };
        fx.event(EventBody::WinnerSelected { winner, basis: selection.basis.clone() });
        self.finish_answered(selection, earlier.presented, fx);
    }

    fn tally(&self) -> Option<Tally> {
        let agents = self.roster.agents().zip(&self.agents);
        let candidates: Vec<Candidate> = agents
            .filter_map(|(agent, entry)| {
                let (_, accepted_at, _) = entry.newest(self.epoch)?;
                Some(Candidate { agent, accepted_at })
            })
            .collect();
        let rules = TallyRules {
            self_vote: self.policy.self_vote,
            tie_break: self.policy.tie_break,
            seed: self.seed,
        };
        self.ballots.tally(&candidates, rules)
    }

    fn follow_up(&mut self, ending: Ending, selection: Selection, fx: &mut Effects) {
        match ending {
            Ending::AllVoted | Ending::Deadline | Ending::Interrupted => {
                match self.policy.final_presentation {
                    FinalPresentation::Present if self.may_present(selection.winner.agent) => {
                        self.present(selection, fx);
                    }
                    FinalPresentation::Present | FinalPresentation::Reuse => {
                        self.finish_answered(selection, false, fx);
                    }
                }
            }
            // Its answer is final as it stands, but a review may still send it back.
            Ending::SoleAgent => self.review_or_finish(selection, false, fx),
            // Nobody is left to call, or nothing to call with.
            Ending::NoVoters | Ending::Attempt | Ending::Budget => {
                self.finish_answered(selection, false, fx);
            }
        }
    }

    /// Returns whether this agent may put what it answered into its final form.
    fn may_present(&self, winner: AgentIndex) -> bool {
        if sabotaged!(self, NeverPresentEarlyEnds) && self.awaited_end.is_some() {
            return false;
        }
        // Who is alone has nothing to add to what it answered.
        !self.is_sole_agent()
            && self.agents[winner.at()].state.retired_for().is_none_or(may_still_call)
    }

    fn present(&mut self, selection: Selection, fx: &mut Effects) {
        let Selection { winner, .. } = selection;
        let brief = Brief::Present { winner, epoch: self.epoch };
        let round = self.open_final_round(winner.agent, RoundKind::Present, brief, fx);
        self.phase = Phase::Presenting { selection, round };
    }

    fn review_or_finish(&mut self, selection: Selection, presented: bool, fx: &mut Effects) {
        let may_restart = self.attempt.0 <= self.policy.restarts_max;
        if !may_restart || !selection.is_open_to_review() {
            return self.finish_answered(selection, presented, fx);
        }
        let Selection { winner, .. } = selection;
        let brief = Brief::Review { winner };
        let round = self.open_final_round(winner.agent, RoundKind::Review, brief, fx);
        self.phase = Phase::Reviewing { selection, round, presented };
    }

    fn open_final_round(
        &mut self,
        agent: AgentIndex,
        kind: RoundKind,
        brief: Brief,
        fx: &mut Effects,
    ) -> RoundId {
        let round = self.next_round(agent);
        fx.event(EventBody::RoundOpened { round, kind, epoch: self.epoch, vote_only: false });
        fx.command(Command::OpenRound { round, brief });
        self.arm_final_round(round, kind, fx);
        round
    }

    pub(crate) fn on_presented(&mut self, round: RoundId, fx: &mut Effects) {
        match &self.phase {
            Phase::Presenting { selection, round: open } if *open == round => {
                let selection = selection.clone();
                fx.close_round(round, CloseReason::Submitted);
                self.review_or_finish(selection, true, fx);
            }
            Phase::New
            | Phase::Coordinating
            | Phase::Draining(_)
            | Phase::Presenting { .. }
            | Phase::Reviewing { .. }
            | Phase::Finished(_) => fx.ignore(format!("{round} presented, but it is not open")),
        }
    }

    pub(crate) fn on_reviewed(&mut self, round: RoundId, review: Review, fx: &mut Effects) {
        match &self.phase {
            Phase::Reviewing { selection, round: open, presented } if *open == round => {
                let (answer, presented) = (selection.winner, *presented);
                fx.close_round(round, CloseReason::Submitted);
                match review {
                    Review::Submit => self.finish_with_selection(fx),
                    Review::Restart { reason, instructions } => {
                        let notes = RestartNotes { reason, instructions, answer };
                        self.restart(Earlier { notes, presented }, fx);
                    }
                }
            }
            Phase::New
            | Phase::Coordinating
            | Phase::Draining(_)
            | Phase::Presenting { .. }
            | Phase::Reviewing { .. }
            | Phase::Finished(_) => fx.ignore(format!("{round} reviewed, but it is not open")),
        }
    }

    /// Begins another attempt: names go on, everything else starts over.
    fn restart(&mut self, earlier: Earlier, fx: &mut Effects) {
        fx.event(EventBody::AttemptRestarted {
            reason: earlier.notes.reason.clone(),
            instructions: earlier.notes.instructions.clone(),
        });
        self.earlier = Some(Arc::new(earlier));
        self.attempt = AttemptIndex(self.attempt.0 + 1);
        self.epoch = Epoch(0);
        self.announced = Epoch(0);
        self.ballots = Ballots::open(Epoch(0));
        self.wrap_up = None;
        self.awaited_end = None;
        for agent in self.roster.agents() {
            if !sabotaged!(self, RestartKeepsAnswers) {
                self.agents[agent.at()].start_over();
            }
            if self.agents[agent.at()].state.retired_for().is_none_or(may_return) {
                self.enter(agent, AgentState::Idle);
            }
        }
        self.start_attempt(fx);
    }

    /// Finishes with what was selected: the presented text if there is one, or the stored answer.
    pub(crate) fn finish_with_selection(&mut self, fx: &mut Effects) {
        let (selection, presented) = match &self.phase {
            Phase::Presenting { selection, .. } => (selection.clone(), false),
            Phase::Reviewing { selection, presented, .. } => (selection.clone(), *presented),
            Phase::New | Phase::Coordinating | Phase::Draining(_) | Phase::Finished(_) => {
                unreachable!("nothing is selected in {:?}", self.phase)
            }
        };
        self.finish_answered(selection, presented, fx);
    }

    fn finish_answered(&mut self, selection: Selection, presented: bool, fx: &mut Effects) {
        let Selection { winner, basis } = selection;
        self.finish(Outcome::Answered { winner, basis, presented }, fx);
    }

    fn finish(&mut self, outcome: Outcome, fx: &mut Effects) {
        self.phase = Phase::Finished(outcome.clone());
        fx.finish(outcome);
    }
}

impl Selection {
    /// Returns whether a review may still order another attempt. Whoever was told to end,
    /// by the clock or the user, does not begin anew.
    pub(crate) fn is_open_to_review(&self) -> bool {
        match self.basis {
            Basis::Votes { .. } | Basis::SoleAgent | Basis::NoVoters { .. } => true,
            Basis::Deadline { .. } | Basis::Budget { .. } | Basis::Interrupted { .. } => false,
        }
    }
}

impl Ending {
    /// Returns whether nobody may call any more.
    pub(crate) fn is_hard(self) -> bool {
        match self {
            Ending::Attempt | Ending::Budget => true,
            Ending::AllVoted
            | Ending::SoleAgent
            | Ending::NoVoters
            | Ending::Deadline
            | Ending::Interrupted => false,
        }
    }

    fn basis(self, tally: Tally) -> Basis {
        let Tally { votes, voters, tie, .. } = tally;
        match self {
            Ending::AllVoted => Basis::Votes { votes, voters, tie },
            Ending::SoleAgent => Basis::SoleAgent,
            Ending::NoVoters => Basis::NoVoters { votes, tie },
            Ending::Deadline | Ending::Attempt => Basis::Deadline { votes, tie },
            Ending::Budget => Basis::Budget { votes, tie },
            Ending::Interrupted => Basis::Interrupted { votes, tie },
        }
    }

    fn fail_reason(self) -> FailReason {
        match self {
            Ending::AllVoted | Ending::SoleAgent | Ending::NoVoters => FailReason::AllAgentsFailed,
            Ending::Deadline | Ending::Attempt => FailReason::Deadline,
            Ending::Budget => FailReason::Budget,
            Ending::Interrupted => FailReason::Interrupted,
        }
    }

    /// Returns what the rounds are told that this ending closes.
    pub(crate) fn close_reason(self) -> CloseReason {
        match self {
            Ending::AllVoted | Ending::SoleAgent | Ending::NoVoters => CloseReason::Decided,
            Ending::Deadline | Ending::Attempt => CloseReason::TimedOut,
            Ending::Budget => CloseReason::Budget,
            Ending::Interrupted => CloseReason::Interrupted,
        }
    }
}
