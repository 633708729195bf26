//! One agent as the coordinator sees it: what it is doing, what it has answered, how it fails.

use std::sync::Arc;

use massgen_protocol::{
    AgentIndex, AnswerId, CallFailure, Epoch, RetireReason, RoundId, SnapshotId,
};

use crate::answer_rules::Words;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) state: AgentState,
    /// Rounds opened in the whole run; the last one's number.
    pub(crate) rounds: u32,
    pub(crate) rounds_in_attempt: u32,
    /// All it proposed in the run: the n-th, from 1, is `AnswerId { n }`.
    pub(crate) answers: Vec<Answer>,
    /// Where the answers of this attempt begin.
    pub(crate) attempt_from: usize,
    /// Mishaps in a row; an accepted answer or a counted vote ends the row.
    pub(crate) failures: u32,
    /// Rounds without a choice in this attempt. Successes do not reset it: an
    /// agent that every now and then answers would never be done with.
    pub(crate) exhausted_rounds: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AgentState {
    /// Wants a round and has none.
    Idle,
    /// Its round is open and was last told of the answers of `told`.
    Working { round: RoundId, told: Epoch },
    /// It answered; the round, unless it is over meanwhile, waits for the reply.
    Freezing { answer: AnswerId, round: Option<RoundId> },
    /// Its ballot is in the ballots of the current epoch.
    Voted,
    /// It failed and waits for [`massgen_protocol::Deadline::Backoff`].
    BackingOff { failures: u32 },
    /// It takes no more part; its answers stand.
    Retired { reason: Arc<RetireReason> },
}

/// A proposed answer and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: Arc<String>,
    pub(crate) words: Arc<Words>,
    pub(crate) standing: Standing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its snapshot is being taken; nobody sees it.
    Freezing,
    /// In view of all since `epoch`.
    Accepted { epoch: Epoch, snapshot: Arc<SnapshotId> },
    /// Its snapshot failed; it never was an answer.
    Dropped,
}

/// What may happen to an agent that counts as a failure.
#[derive(Clone, Debug)]
pub(crate) enum Mishap {
    Call(CallFailure),
    Panic { message: String },
    Timeout,
    Snapshot,
}

/// How many agents are in each state, so that most steps need not look at all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) idle: usize,
    pub(crate) working: usize,
    pub(crate) freezing: usize,
    pub(crate) voted: usize,
    pub(crate) backing_off: usize,
    pub(crate) retired: usize,
}

impl Agent {
    pub(crate) fn new() -> Agent {
        Agent {
            state: AgentState::Idle,
            rounds: 0,
            rounds_in_attempt: 0,
            answers: Vec::new(),
            attempt_from: 0,
            failures: 0,
            exhausted_rounds: 0,
        }
    }

    /// Returns the name the next proposed answer gets.
    pub(crate) fn next_answer(&self, agent: AgentIndex) -> AnswerId {
        AnswerId { agent, n: number(self.answers.len() + 1) }
    }

    /// Returns the answers of this attempt, accepted or still freezing, with their numbers.
    pub(crate) fn standing_answers(&self) -> impl Iterator<Item = (u32, &Answer)> {
        let numbers = self.attempt_from + 1..;
        let answers = numbers.map(number).zip(&self.answers[self.attempt_from..]);
        answers.filter(|(_, answer)| answer.standing != Standing::Dropped)
    }

    /// Returns how many answers of this attempt were accepted.
    pub(crate) fn n_accepted(&self) -> u32 {
        let accepted = |answer: &&Answer| matches!(answer.standing, Standing::Accepted { .. });
        number(self.answers[self.attempt_from..].iter().filter(accepted).count())
    }

    /// Returns the number, the epoch and the text of the newest answer accepted until `epoch`.
    pub(crate) fn newest(&self, epoch: Epoch) -> Option<(u32, Epoch, &Answer)> {
        for (at, answer) in self.answers.iter().enumerate().skip(self.attempt_from).rev() {
            if let Standing::Accepted { epoch: accepted_at, .. } = answer.standing
                && accepted_at <= epoch
            {
                return Some((number(at + 1), accepted_at, answer));
            }
        }
        None
    }

    /// Forgets what belongs to the attempt that is over.
    pub(crate) fn start_over(&mut self) {
        self.rounds_in_attempt = 0;
        self.attempt_from = self.answers.len();
        self.failures = 0;
        self.exhausted_rounds = 0;
    }
}

impl AgentState {
    /// Returns the round that is open in this state.
    pub(crate) fn open_round(&self) -> Option<RoundId> {
        match self {
            AgentState::Working { round, .. } => Some(*round),
            AgentState::Freezing { round, .. } => *round,
            AgentState::Idle
            | AgentState::Voted
            | AgentState::BackingOff { .. }
            | AgentState::Retired { .. } => None,
        }
    }

    /// Returns why the agent takes no more part, if so.
    pub(crate) fn retired_for(&self) -> Option<&RetireReason> {
        match self {
            AgentState::Retired { reason } => Some(reason),
            AgentState::Idle
            | AgentState::Working { .. }
            | AgentState::Freezing { .. }
            | AgentState::Voted
            | AgentState::BackingOff { .. } => None,
        }
    }
}

/// Returns whether an agent retired for this reason can still be trusted with a call,
/// such as presenting the answer others voted for.
pub(crate) fn may_still_call(reason: &RetireReason) -> bool {
    match reason {
        RetireReason::NoChoice { .. }
        | RetireReason::TimedOut { .. }
        | RetireReason::SnapshotsFailed { .. } => true,
        RetireReason::CallsFailed { .. } | RetireReason::Panicked { .. } | RetireReason::Budget => {
            false
        }
    }
}

/// Returns whether another attempt may mend this reason.
pub(crate) fn may_return(reason: &RetireReason) -> bool {
    match reason {
        RetireReason::CallsFailed { last, .. } => last.kind.is_retryable(),
        RetireReason::NoChoice { .. }
        | RetireReason::TimedOut { .. }
        | RetireReason::SnapshotsFailed { .. }
        | RetireReason::Panicked { .. } => true,
        RetireReason::Budget => false,
    }
}

impl Mishap {
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Mishap::Call(failure) => failure.kind.is_retryable(),
            Mishap::Panic { .. } | Mishap::Timeout | Mishap::Snapshot => true,
        }
    }

    /// Returns the pause the other side asked for.
    pub(crate) fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Mishap::Call(failure) => failure.retry_after_ms,
            Mishap::Panic { .. } | Mishap::Timeout | Mishap::Snapshot => None,
        }
    }

    /// Returns the reason to retire for, when this was the last of `failures` in a row.
    pub(crate) fn retire_reason(self, failures: u32) -> RetireReason {
        match self {
            Mishap::Call(last) => RetireReason::CallsFailed { failures, last },
            Mishap::Panic { message } => RetireReason::Panicked { message },
            Mishap::Timeout => RetireReason::TimedOut { rounds: failures },
            Mishap::Snapshot => RetireReason::SnapshotsFailed { failures },
        }
    }
}

impl Census {
    pub(crate) fn of<'a>(states: impl Iterator<Item = &'a AgentState>) -> Census {
        let mut census = Census::default();
        for state in states {
            *census.count_mut(state) += 1;
        }
        census
    }

    pub(crate) fn move_one(&mut self, from: &AgentState, to: &AgentState) {
        *self.count_mut(from) -= 1;
        *self.count_mut(to) += 1;
    }

    fn count_mut(&mut self, state: &AgentState) -> &mut usize {
        match state {
            AgentState::Idle => &mut self.idle,
            AgentState::Working { .. } => &mut self.working,
            AgentState::Freezing { .. } => &mut self.freezing,
            AgentState::Voted => &mut self.voted,
            AgentState::BackingOff { .. } => &mut self.backing_off,
            AgentState::Retired { .. } => &mut self.retired,
        }
    }
}

/// Numbers of answers are bounded by the answer limits, far below what a `u32` holds.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
