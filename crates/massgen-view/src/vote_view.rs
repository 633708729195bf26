//! Answers and ballots.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use massgen_protocol::{AgentIndex, AnswerId, AttemptIndex, Ballot, Epoch, Millis, SnapshotId};

/// Void ballots kept to be looked at; more are only counted.
const VOID_KEPT_MAX: usize = 200;

/// Answers kept with their text; more are refused by any sensible policy.
const ANSWERS_MAX: usize = 10_000;

/// The answers of the run and the ballots of the current epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VoteView {
    /// In the order they were accepted, superseded ones included.
    answers: Vec<AnswerView>,
    ballots: BTreeMap<AgentIndex, Ballot>,
    void: VecDeque<VoidBallot>,
    n_void: u64,
}

/// One accepted answer; its label is its id as printed, `agent1.2`.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerView {
    pub id: AnswerId,
    pub text: Arc<String>,
    /// The epoch it opened.
    pub epoch: Epoch,
    pub attempt: AttemptIndex,
    pub snapshot: SnapshotId,
    pub at: Millis,
    /// Whether it is its author's newest in this attempt, and so can be voted for.
    pub is_current: bool,
}

/// A ballot that a newer answer or another attempt made worthless.
#[derive(Clone, Debug, PartialEq)]
pub struct VoidBallot {
    pub ballot: Ballot,
    pub voided_at: Millis,
}

impl VoteView {
    /// Returns all accepted answers in order.
    pub fn answers(&self) -> &[AnswerView] {
        &self.answers
    }

    /// Returns the answers that can be voted for.
    pub fn current_answers(&self) -> impl Iterator<Item = &AnswerView> {
        self.answers.iter().filter(|answer| answer.is_current)
    }

    pub fn answer(&self, id: AnswerId) -> Option<&AnswerView> {
        self.answers.iter().rev().find(|answer| answer.id == id)
    }

    /// Returns an agent's newest answer of this attempt.
    pub fn current_answer_of(&self, agent: AgentIndex) -> Option<&AnswerView> {
        self.answers.iter().rev().find(|answer| answer.id.agent == agent && answer.is_current)
    }

    /// Returns the ballots that count, by voter.
    pub fn ballots(&self) -> &BTreeMap<AgentIndex, Ballot> {
        &self.ballots
    }

    /// Returns the counted ballots by choice, most first, then in roster order.
    pub fn tally(&self) -> Vec<(AgentIndex, u32)> {
        let mut counts: BTreeMap<AgentIndex, u32> = BTreeMap::new();
        for ballot in self.ballots.values() {
            *counts.entry(ballot.choice).or_default() += 1;
        }
        let mut tally: Vec<(AgentIndex, u32)> = counts.into_iter().collect();
        tally.sort_by_key(|&(choice, n)| (std::cmp::Reverse(n), choice));
        tally
    }

    /// Returns the newest of the void ballots, and how many there were in all.
    pub fn void(&self) -> (impl Iterator<Item = &VoidBallot>, u64) {
        (self.void.iter(), self.n_void)
    }

    pub(crate) fn accept(&mut self, answer: AnswerView) {
        for earlier in &mut self.answers {
            if earlier.id.agent == answer.id.agent {
                earlier.is_current = false;
            }
        }
        if self.answers.len() < ANSWERS_MAX {
            self.answers.push(answer);
        }
    }

    pub(crate) fn cast(&mut self, ballot: Ballot) {
        self.ballots.insert(ballot.voter, ballot);
    }

    pub(crate) fn void_ballots(&mut self, at: Millis) {
        for ballot in std::mem::take(&mut self.ballots).into_values() {
            self.n_void += 1;
            if self.void.len() == VOID_KEPT_MAX {
                self.void.pop_front();
            }
            self.void.push_back(VoidBallot { ballot, voided_at: at });
        }
    }

    /// Another attempt begins: nothing of the last one can be voted for.
    pub(crate) fn begin_attempt(&mut self, at: Millis) {
        self.void_ballots(at);
        for answer in &mut self.answers {
            answer.is_current = false;
        }
    }
}
