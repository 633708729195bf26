//! What a round is told, before it becomes prose.

use serde::{Deserialize, Serialize};

use crate::{AnswerId, Epoch, Rejection};

/// What a round is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "brief", rename_all = "snake_case")]
pub enum Brief {
    /// Decide: answer, or vote.
    Coordinate {
        /// Answers in view are the newest of each agent at this epoch.
        epoch: Epoch,
        /// New answers are not taken from this agent any more.
        vote_only: bool,
    },
    /// Write the final answer.
    Present { winner: AnswerId, epoch: Epoch },
    /// Judge the presented answer: submit it, or order another attempt.
    Review { winner: AnswerId },
}

/// What a round is told while it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The newest answers at this epoch come into view.
    pub epoch: Epoch,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_up: Option<WrapUpReason>,
    /// New answers are not taken from this agent any more.
    pub vote_only: bool,
}

/// Why the team is told to decide with what exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrapUpReason {
    /// The attempt's time is nearly over.
    Deadline,
    /// The round's own time is nearly over; this agent alone is told.
    RoundDeadline,
    /// The budget is nearly spent.
    Budget,
    /// The user asked to wrap up, and nobody has answered yet.
    Interrupted,
}

/// What is said to a model that broke the rules of the binary choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Enforcement {
    /// The reply held neither `vote` nor `new_answer`.
    NoChoice,
    /// The reply held both.
    BothChoices,
    /// The reply held several different votes or several answers.
    ManyChoices { n: u32 },
    /// The arguments could not be read, or one is missing.
    BadArguments { tool: String, problem: String },
    /// The output bound cut the reply off.
    CutOff,
    /// There is no such tool.
    UnknownTool { name: String },
    /// The team has decided: `vote` has no place in the final presentation, nor in a review.
    AfterDecision { tool: String },
}

/// One thing to say to a model; `massgen-prompts` finds the words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum Item {
    Brief(Brief),
    /// `after` is the epoch this conversation had in view before.
    Update {
        after: Epoch,
        update: Update,
    },
    Enforce(Enforcement),
    Rejected(Rejection),
    /// Goes into the tool result of an accepted answer.
    Accepted {
        answer: AnswerId,
    },
    /// Goes into the tool result of a counted vote.
    Counted,
    /// The call was not carried out, because the reply was sent back as a whole.
    NotRun,
    /// The tool was running when its round ended: it may or may not have taken effect.
    Interrupted,
}
