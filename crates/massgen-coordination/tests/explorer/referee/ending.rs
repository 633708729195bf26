//! How coordination and runs may end, and who may present.

use massgen_coordination::Effects;
use massgen_protocol::{
    AnswerId, Basis, EventBody, FinalPresentation, Outcome, RetireReason, RoundKind, SelfVote,
};

use super::{Books, Referee};
use crate::explorer::law::{Breach, Law};

impl Referee {
    pub(super) fn judge_selection(
        &mut self,
        winner: AnswerId,
        basis: &Basis,
    ) -> Result<(), Breach> {
        self.selected = Some(basis.clone());
        let is_freezing = self.agents.iter().any(|books| books.freezing.is_some());
        Law::FullVote.require(!is_freezing, || format!("{winner} wins too early"))?;
        let is_current = self.agents[winner.agent.at()].newest == Some(winner);
        // Without an answer in this attempt the one before may stand in.
        let is_known = is_current || (!self.answered_in_attempt && self.answered_ever);
        Law::RightWinner.require(is_known, || format!("{winner} is not the newest"))?;
        let may_vote = |books: &&Books| !books.retired;
        let n_waiting =
            self.agents.iter().filter(may_vote).filter(|books| books.ballot.is_none()).count();
        let n_ballots = self.agents.iter().filter(|books| books.ballot.is_some()).count();
        let is_time = match basis {
            Basis::Votes { voters, .. } => {
                n_waiting == 0 && n_ballots > 0 && usize::try_from(*voters) == Ok(n_ballots)
            }
            Basis::SoleAgent => self.agents.len() == 1 && self.answered_in_attempt,
            Basis::NoVoters { .. } => n_waiting == 0 && n_ballots == 0,
            Basis::Budget { .. } => {
                let n_for_budget =
                    self.agents.iter().filter(|books| books.retired_for_budget).count();
                self.budget_over || n_waiting == 0 && n_ballots == 0 && n_for_budget > 0
            }
            Basis::Deadline { .. } => self.coordination_over || self.attempt_over,
            Basis::Interrupted { .. } => self.interrupted,
        };
        Law::FullVote.require(is_time, || {
            format!("{winner} wins by {basis:?} with {n_ballots} ballots, {n_waiting} missing")
        })?;
        let is_discounted = self.policy.self_vote == SelfVote::Discount;
        let count = |candidate: usize| {
            let is_for =
                |books: &Books| books.ballot.is_some_and(|choice| choice.at() == candidate);
            let total = self.agents.iter().filter(|books| is_for(books)).count();
            let own = usize::from(is_discounted && is_for(&self.agents[candidate]));
            (total - own, own)
        };
        let best = (0..self.agents.len()).map(count).max();
        let votes = count(winner.agent.at());
        let is_best = best == Some(votes) || !is_current;
        Law::RightWinner.require(is_best, || format!("{winner} wins with {votes:?} of {best:?}"))
    }

    /// Returns whether nobody may call any more.
    pub(super) fn is_time_over(&self) -> bool {
        self.attempt_over || self.budget_over
    }

    /// Returns whether coordination is to end with what there is.
    pub(super) fn is_to_end(&self) -> bool {
        self.coordination_over && self.answered_in_attempt || self.interrupted && self.answered_ever
    }

    /// Who has a text to write must write it, and nobody else.
    pub(super) fn judge_presenter(&self, fx: &Effects) -> Result<(), Breach> {
        let opens = |wanted: RoundKind| {
            let opens = |event: &EventBody| match event {
                EventBody::RoundOpened { kind, .. } => *kind == wanted,
                _ => false,
            };
            fx.events.iter().any(opens)
        };
        let is_open_to_review =
            matches!(self.selected, None | Some(Basis::Votes { .. } | Basis::SoleAgent));
        Law::Presenter
            .require(!opens(RoundKind::Review) || is_open_to_review, || format!("{fx:?}"))?;
        let selected = fx.events.iter().find_map(|event| match event {
            EventBody::WinnerSelected { winner, basis } => Some((winner, basis)),
            _ => None,
        });
        let Some((winner, basis)) = selected else {
            return Law::Presenter.require(!opens(RoundKind::Present), || format!("{fx:?}"));
        };
        let has_time = match basis {
            Basis::Votes { .. } => true,
            Basis::Deadline { .. } | Basis::Interrupted { .. } => !self.is_time_over(),
            Basis::SoleAgent | Basis::NoVoters { .. } | Basis::Budget { .. } => false,
        };
        let is_alone = self.agents.len() == 1 && !self.policy.sole_agent_votes;
        let may_present = self.policy.final_presentation == FinalPresentation::Present
            && has_time
            && !is_alone
            && self.answered_in_attempt
            && !self.agents[winner.agent.at()].may_not_call;
        Law::Presenter.require(may_present == opens(RoundKind::Present), || {
            format!("{winner} by {basis:?}, may present: {may_present}")
        })
    }

    /// Where the end was asked for and there is an answer, nobody goes on.
    pub(super) fn judge_prompt_end(&self) -> Result<(), Breach> {
        let goes_on = |books: &Books| {
            books.freezing.is_none()
                && books.open.is_some_and(|(_, kind)| kind == RoundKind::Coordinate)
        };
        let has_stopped = !self.agents.iter().any(goes_on);
        let is_freezing = self.agents.iter().any(|books| books.freezing.is_some());
        let is_done = has_stopped && (is_freezing || self.selected.is_some());
        Law::PromptEnd
            .require(is_done || !self.begun || !self.is_to_end(), || format!("{:?}", self.agents))
    }

    pub(super) fn judge_end(&mut self, outcome: &Outcome) -> Result<(), Breach> {
        self.finished = true;
        let may_come =
            self.begun && !self.is_time_over() && self.agents.iter().any(|books| !books.retired);
        let is_vain = matches!(outcome, Outcome::Failed { .. }) && (self.answered_ever || may_come);
        Law::NoVainFailure.require(!is_vain, || format!("{outcome:?}"))?;
        let is_clean =
            self.agents.iter().all(|books| books.open.is_none() && books.freezing.is_none());
        Law::CleanEnd.require(is_clean, || format!("{outcome:?} with {:?}", self.agents))
    }
}

/// Returns whether one that retired for this is not worth another call.
pub(super) fn may_not_call(reason: &RetireReason) -> bool {
    match reason {
        RetireReason::CallsFailed { .. } | RetireReason::Panicked { .. } | RetireReason::Budget => {
            true
        }
        RetireReason::NoChoice { .. }
        | RetireReason::TimedOut { .. }
        | RetireReason::SnapshotsFailed { .. } => false,
    }
}
