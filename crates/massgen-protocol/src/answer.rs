//! Submissions, what becomes of them, and how a run ends.

use serde::{Deserialize, Serialize};

use crate::{AgentIndex, AnswerId, CallFailure, Epoch, Kept};

/// What a round ends in: the binary choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "submission", rename_all = "snake_case")]
pub enum Submission {
    NewAnswer {
        text: Kept<String>,
    },
    /// `choice` is the alias as the model wrote it; the roster resolves it.
    Vote {
        choice: String,
        reason: String,
    },
}

/// What became of a submission; the model reads it as the tool's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Accepted { answer: AnswerId },
    Counted { choice: AgentIndex },
    Rejected(Rejection),
}

/// Why a submission does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Rejection {
    /// The voter had not seen the newest answers; they come with the reply.
    Stale {
        seen: Epoch,
        current: Epoch,
    },
    /// There is nothing to vote for.
    NoAnswers,
    /// The alias names nobody, or nobody with an answer.
    UnknownChoice {
        choice: String,
        valid: Vec<AgentIndex>,
    },
    SelfVote,
    /// A vote needs a reason.
    NoReason,
    Empty,
    /// The same text as an answer that exists.
    Duplicate {
        of: AnswerId,
    },
    /// Too much of its words are those of an answer that exists, in percent.
    TooSimilar {
        to: AnswerId,
        percent: u8,
        allowed: u8,
    },
    AnswerLimit {
        used: u32,
        allowed: u32,
    },
    TotalAnswerLimit {
        used: u32,
        allowed: u32,
    },
    /// The team is wrapping up: only votes are taken.
    VoteOnly,
    /// The workspace could not be copied, so the answer was not published.
    SnapshotFailed,
}

impl Rejection {
    /// Returns whether the agent did something wrong, which counts against its round.
    pub fn is_violation(&self) -> bool {
        match self {
            Rejection::Stale { .. } | Rejection::SnapshotFailed => false,
            Rejection::NoAnswers
            | Rejection::UnknownChoice { .. }
            | Rejection::SelfVote
            | Rejection::NoReason
            | Rejection::Empty
            | Rejection::Duplicate { .. }
            | Rejection::TooSimilar { .. }
            | Rejection::AnswerLimit { .. }
            | Rejection::TotalAnswerLimit { .. }
            | Rejection::VoteOnly => true,
        }
    }
}

/// How a round ended without a submission that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum RoundEnd {
    /// Re-asked as often as the policy allows, and still no valid choice.
    Exhausted {
        violations: u32,
    },
    /// As many model calls as a round may make, all spent on tools.
    TooManyTurns {
        turns: u32,
    },
    CallFailed {
        failure: CallFailure,
    },
    /// Our own fault; the message is the panic's.
    Panicked {
        message: String,
    },
}

/// One counted vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    pub voter: AgentIndex,
    pub choice: AgentIndex,
    pub reason: String,
}

/// What a reviewer decides about the presented answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Review {
    Submit,
    Restart { reason: String, instructions: String },
}

/// Why the winner is the winner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum Basis {
    /// All who could vote had voted.
    Votes {
        votes: u32,
        voters: u32,
        tie: bool,
    },
    /// A team of one: its answer stands without a vote.
    SoleAgent,
    /// Nobody was left to vote; the votes cast so far decided.
    NoVoters {
        votes: u32,
        tie: bool,
    },
    /// The time to coordinate was over; the winner presents in what is left of the attempt.
    Deadline {
        votes: u32,
        tie: bool,
    },
    Budget {
        votes: u32,
        tie: bool,
    },
    /// The user asked to wrap up; the winner still presents.
    Interrupted {
        votes: u32,
        tie: bool,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Answered {
        winner: AnswerId,
        basis: Basis,
        /// Whether the winner wrote the final text, or its stored answer was taken as it is.
        presented: bool,
    },
    Failed {
        reason: FailReason,
    },
}

/// Why there is no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    AllAgentsFailed,
    Deadline,
    Budget,
    Interrupted,
}
