//! What becomes of an answer or a vote.

use std::sync::Arc;

use massgen_protocol::{
    AgentIndex, AnswerId, Ballot, CloseReason, Epoch, EventBody, Kept, Rejection, Reply, RoundId,
    RoundKind, SelfVote, SnapshotId, Submission, Update,
};

use crate::agent::{AgentState, Answer, Mishap, Standing};
use crate::answer_rules::{Known, Words, check_duplicate, check_empty, check_novelty};
use crate::ballot::Ballots;
use crate::coordinator::{Coordinator, Phase};
use crate::roster::Choice;
use crate::sabotage::sabotaged;
use crate::{Command, Effects};

impl Coordinator {
    pub(crate) fn on_submitted(
        &mut self,
        round: RoundId,
        seen: Epoch,
        submission: Submission,
        fx: &mut Effects,
    ) {
        if self.kind_of_open(round) != Some(RoundKind::Coordinate) {
            return fx.ignore(format!("{round} submitted, but it takes no submission"));
        }
        if let AgentState::Freezing { answer, .. } = self.agents[round.agent.at()].state {
            return fx.ignore(format!("{round} submitted again, but it waits for {answer}"));
        }
        assert!(seen <= self.epoch, "{round} has seen {seen:?}, but now is {:?}", self.epoch);
        match submission {
            Submission::NewAnswer { text } => self.on_answer(round, &text, fx),
            Submission::Vote { choice, reason } => {
                match self.judge_vote(round.agent, seen, &choice, &reason) {
                    Ok(choice) => self.count(round, choice, reason, fx),
                    Err(rejection) => self.reject(round, rejection, fx),
                }
            }
        }
    }

    /// An answer is taken whatever its agent had seen: it is judged by what it says.
    fn on_answer(&mut self, round: RoundId, text: &Kept<String>, fx: &mut Effects) {
        let agent = round.agent;
        let text = text.get().cloned().unwrap_or_default();
        let words = Words::of(&text, self.policy.answer_novelty);
        if let Err(rejection) = self.judge_answer(agent, &text, &words) {
            return self.reject(round, rejection, fx);
        }
        let answer = self.agents[agent.at()].next_answer(agent);
        let proposed = Answer { text, words: Arc::new(words), standing: Standing::Freezing };
        self.agents[agent.at()].answers.push(proposed);
        self.enter(agent, AgentState::Freezing { answer, round: Some(round) });
        fx.propose(answer, round);
    }

    fn judge_answer(&self, agent: AgentIndex, text: &str, words: &Words) -> Result<(), Rejection> {
        check_empty(text)?;
        if self.wrap_up.is_some() && self.epoch > Epoch(0) {
            return Err(Rejection::VoteOnly);
        }
        let (used, allowed) =
            (self.agents[agent.at()].n_accepted(), self.policy.answers_per_agent_max);
        if used >= allowed {
            return Err(Rejection::AnswerLimit { used, allowed });
        }
        // Answers that are being frozen take their place already: a limit of 1 is not 2.
        let used = self.epoch.0.saturating_add(crate::agent::number(self.census.freezing));
        if let Some(allowed) = self.policy.answers_max
            && used >= allowed
        {
            return Err(Rejection::TotalAnswerLimit { used, allowed });
        }
        check_duplicate(text, words, self.known_answers())?;
        check_novelty(words, self.policy.answer_novelty, self.known_newest_answers())
    }

    /// All answers of the attempt, those that are being frozen too.
    fn known_answers(&self) -> impl Iterator<Item = Known<'_>> {
        self.roster.agents().zip(&self.agents).flat_map(|(id, agent)| {
            agent
                .standing_answers()
                .map(move |(n, answer)| known(AnswerId { agent: id, n }, answer))
        })
    }

    fn known_newest_answers(&self) -> impl Iterator<Item = Known<'_>> {
        self.roster.agents().zip(&self.agents).filter_map(|(id, agent)| {
            let (n, _, answer) = agent.newest(self.epoch)?;
            Some(known(AnswerId { agent: id, n }, answer))
        })
    }

    fn judge_vote(
        &self,
        voter: AgentIndex,
        seen: Epoch,
        choice: &str,
        reason: &str,
    ) -> Result<AgentIndex, Rejection> {
        if reason.trim().is_empty() {
            return Err(Rejection::NoReason);
        }
        if self.epoch == Epoch(0) {
            return Err(Rejection::NoAnswers);
        }
        // Before the choice: one who has not seen the answers cannot know who has one.
        if seen < self.epoch && !sabotaged!(self, CountStaleVotes) {
            return Err(Rejection::Stale { seen, current: self.epoch });
        }
        let chosen = self.roster.read_choice(choice).filter(|&choice| self.is_eligible(choice));
        let Some(chosen) = chosen.map(Choice::agent) else {
            let valid = self.newest_answers().into_iter().map(|answer| answer.agent);
            let valid: Vec<AgentIndex> = valid.collect();
            let may_choose = |agent: &AgentIndex| !self.is_forbidden_self_vote(voter, *agent);
            let valid = valid.iter().copied().filter(may_choose).collect();
            return Err(Rejection::UnknownChoice { choice: choice.to_owned(), valid });
        };
        if self.is_forbidden_self_vote(voter, chosen) && !sabotaged!(self, CountForbiddenSelfVotes)
        {
            return Err(Rejection::SelfVote);
        }
        Ok(chosen)
    }

    fn is_eligible(&self, choice: Choice) -> bool {
        let newest = self.agents[choice.agent().at()].newest(self.epoch);
        match (choice, newest) {
            (Choice::Agent(_), newest) => newest.is_some() || sabotaged!(self, VoteForNobody),
            (Choice::Answer(answer), Some((n, _, _))) => answer.n == n,
            (Choice::Answer(_), None) => false,
        }
    }

    /// A vote for oneself is allowed where there is nothing else to vote for.
    fn is_forbidden_self_vote(&self, voter: AgentIndex, choice: AgentIndex) -> bool {
        let has_other = || {
            let mut agents = self.roster.agents().zip(&self.agents);
            agents.any(|(id, agent)| id != voter && agent.newest(self.epoch).is_some())
        };
        match self.policy.self_vote {
            SelfVote::Allow | SelfVote::Discount => false,
            SelfVote::Forbid => voter == choice && has_other(),
        }
    }

    fn count(&mut self, round: RoundId, choice: AgentIndex, reason: String, fx: &mut Effects) {
        let voter = round.agent;
        let ballot = Ballot { voter, choice, reason };
        self.ballots.cast(&ballot);
        fx.event(EventBody::VoteCast { ballot, epoch: self.epoch });
        fx.command(Command::Reply { round, reply: Reply::Counted { choice }, update: None });
        fx.close_round(round, CloseReason::Submitted);
        self.agents[voter.at()].failures = 0;
        self.enter(voter, AgentState::Voted);
    }

    /// Refuses a submission. The round goes on; how often is its own to bound.
    ///
    /// Where a newer view is what the agent lacks, it comes with the reply.
    fn reject(&mut self, round: RoundId, rejection: Rejection, fx: &mut Effects) {
        let wants_view = match &rejection {
            // All that is left is a vote, and a vote needs the view.
            Rejection::Stale { .. }
            | Rejection::Duplicate { .. }
            | Rejection::TooSimilar { .. }
            | Rejection::AnswerLimit { .. }
            | Rejection::TotalAnswerLimit { .. }
            | Rejection::VoteOnly => true,
            Rejection::NoAnswers
            | Rejection::UnknownChoice { .. }
            | Rejection::SelfVote
            | Rejection::NoReason
            | Rejection::Empty
            | Rejection::SnapshotFailed => false,
        };
        let is_stale = matches!(rejection, Rejection::Stale { .. });
        fx.event(EventBody::SubmissionRejected { round, rejection: rejection.clone() });
        let epoch = self.epoch;
        let vote_only = self.is_vote_only(round.agent);
        let mut update = None;
        if let AgentState::Working { told, .. } = &mut self.agents[round.agent.at()].state
            && wants_view
            && (is_stale || *told < epoch)
        {
            *told = epoch;
            update = Some(Update { epoch, wrap_up: None, vote_only });
            fx.event(EventBody::UpdateSent { round, epoch, interrupt: false });
        }
        fx.command(Command::Reply { round, reply: Reply::Rejected(rejection), update });
    }

    pub(crate) fn on_snapshot_taken(
        &mut self,
        answer: AnswerId,
        snapshot: Option<SnapshotId>,
        fx: &mut Effects,
    ) {
        let waiting = self.agents.get(answer.agent.at()).map(|agent| &agent.state);
        let round = match waiting {
            Some(AgentState::Freezing { answer: awaited, round }) if *awaited == answer => *round,
            Some(_) | None => {
                return fx.ignore(format!("nobody waits for the snapshot of {answer}"));
            }
        };
        match snapshot {
            Some(snapshot) => self.accept(answer, round, snapshot, fx),
            None if sabotaged!(self, ForgetFailedSnapshot) => {}
            None => {
                self.stand(answer, Standing::Dropped);
                if let Some(round) = round {
                    self.reject(round, Rejection::SnapshotFailed, fx);
                    fx.close_round(round, CloseReason::Ended);
                }
                self.fail(answer.agent, Mishap::Snapshot, fx);
            }
        }
    }

    /// Puts an answer in view of all: a new epoch, and no ballot counts any more.
    fn accept(
        &mut self,
        answer: AnswerId,
        round: Option<RoundId>,
        snapshot: SnapshotId,
        fx: &mut Effects,
    ) {
        let epoch = Epoch(self.epoch.0 + 1);
        self.epoch = epoch;
        self.stand(answer, Standing::Accepted { epoch, snapshot: Arc::new(snapshot.clone()) });
        fx.event(EventBody::AnswerAccepted { answer, epoch, snapshot });
        if !sabotaged!(self, KeepBallots) {
            self.void_ballots(fx);
        }
        if sabotaged!(self, OpenSecondRounds) && self.phase == Phase::Coordinating {
            for agent in self.roster.agents() {
                if let AgentState::Working { .. } = self.agents[agent.at()].state {
                    self.enter(agent, AgentState::Idle);
                }
            }
        }
        if let Some(round) = round {
            let reply = Reply::Accepted { answer };
            fx.command(Command::Reply { round, reply, update: None });
            fx.close_round(round, CloseReason::Submitted);
        }
        self.agents[answer.agent.at()].failures = 0;
        self.enter(answer.agent, AgentState::Idle);
    }

    fn void_ballots(&mut self, fx: &mut Effects) {
        let n_void = self.ballots.n_cast();
        self.ballots = Ballots::open(self.epoch);
        if n_void == 0 {
            return;
        }
        fx.event(EventBody::VotesVoided { epoch: self.epoch, n: crate::agent::number(n_void) });
        for agent in self.roster.agents() {
            if self.agents[agent.at()].state == AgentState::Voted {
                self.enter(agent, AgentState::Idle);
            }
        }
    }

    fn stand(&mut self, id: AnswerId, standing: Standing) {
        // `on_snapshot_taken` has seen that this agent waits for it, so it is its newest.
        if let Some(answer) = self.agents[id.agent.at()].answers.last_mut() {
            answer.standing = standing;
        }
    }
}

fn known(id: AnswerId, answer: &Answer) -> Known<'_> {
    Known { answer: id, text: &answer.text, words: &answer.words }
}
