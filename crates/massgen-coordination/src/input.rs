//! What the coordinator can be told, what it can ask for, and which events are inputs.

use massgen_protocol::{
    AnswerId, Brief, CallFailure, CallId, CloseReason, Deadline, Epoch, EventBody, Outcome, Reply,
    Review, RoundEnd, RoundId, SnapshotId, Spend, Submission, Update,
};

/// Everything the coordinator can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Begin,
    /// A round wants to call its model. Answered by exactly one [`Command::StartCall`] or
    /// [`Command::CloseRound`]: at once, or, if the budget has no room for it before
    /// other calls are settled, then. A round that asks anew takes back what it asked before.
    CallRequested {
        call: CallId,
        estimate: Spend,
    },
    /// A call that was granted is over, whatever came of it. All that is granted must
    /// be settled, because others may wait for what is reserved for it.
    CallSettled {
        call: CallId,
        spend: Spend,
        failure: Option<CallFailure>,
    },
    /// Answered by exactly one [`Command::Reply`], for an answer only once its
    /// snapshot is taken, or by [`Command::CloseRound`].
    Submitted {
        round: RoundId,
        seen: Epoch,
        submission: Submission,
    },
    RoundEnded {
        round: RoundId,
        end: RoundEnd,
    },
    SnapshotTaken {
        answer: AnswerId,
        snapshot: Option<SnapshotId>,
    },
    Due(Deadline),
    Presented {
        round: RoundId,
    },
    Reviewed {
        round: RoundId,
        review: Review,
    },
    Interrupt,
}

/// Everything it can ask for. Commands are idempotent by the ids they name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command that is not carried out leaves its round waiting"]
pub enum Command {
    OpenRound {
        round: RoundId,
        brief: Brief,
    },
    StartCall {
        call: CallId,
    },
    DeliverUpdate {
        round: RoundId,
        update: Update,
        interrupt: bool,
    },
    /// `update` comes with a rejection whose cause is that there is something newer to see.
    Reply {
        round: RoundId,
        reply: Reply,
        update: Option<Update>,
    },
    /// The round is over; a running call is given up. After a counted vote or an
    /// accepted answer this follows its reply.
    CloseRound {
        round: RoundId,
        reason: CloseReason,
    },
    TakeSnapshot {
        answer: AnswerId,
    },
    Arm {
        deadline: Deadline,
        after_ms: u64,
    },
    Finish(Outcome),
}

/// What one step brings about: facts to record first, then commands to carry out.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Effects {
    pub events: Vec<EventBody>,
    pub commands: Vec<Command>,
}

impl Input {
    /// Returns the input that an event records, or `None` if it is not one.
    pub fn of_event(body: &EventBody) -> Option<Input> {
        Some(match body {
            EventBody::QuestionAsked { .. } => Input::Begin,
            EventBody::CallRequested { call, estimate } => {
                Input::CallRequested { call: *call, estimate: *estimate }
            }
            EventBody::CallFinished { call, spend, .. }
            | EventBody::CallCancelled { call, spend } => {
                Input::CallSettled { call: *call, spend: *spend, failure: None }
            }
            EventBody::CallFailed { call, spend, failure } => {
                Input::CallSettled { call: *call, spend: *spend, failure: Some(failure.clone()) }
            }
            EventBody::AnswerSubmitted { round, seen, text, .. } => Input::Submitted {
                round: *round,
                seen: *seen,
                submission: Submission::NewAnswer { text: text.clone() },
            },
            EventBody::VoteSubmitted { round, seen, choice, reason } => Input::Submitted {
                round: *round,
                seen: *seen,
                submission: Submission::Vote { choice: choice.clone(), reason: reason.clone() },
            },
            EventBody::RoundEnded { round, end } => {
                Input::RoundEnded { round: *round, end: end.clone() }
            }
            EventBody::SnapshotTaken { answer, snapshot } => {
                Input::SnapshotTaken { answer: *answer, snapshot: Some(snapshot.clone()) }
            }
            EventBody::SnapshotFailed { answer, .. } => {
                Input::SnapshotTaken { answer: *answer, snapshot: None }
            }
            EventBody::DeadlineReached { deadline } => Input::Due(*deadline),
            EventBody::Presented { round, .. } => Input::Presented { round: *round },
            EventBody::AttemptReviewed { round, review } => {
                Input::Reviewed { round: *round, review: review.clone() }
            }
            EventBody::InterruptRequested => Input::Interrupt,
            _ => return None,
        })
    }
}
