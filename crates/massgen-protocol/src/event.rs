//! Everything that happens, one variant a fact.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AgentIndex, AnswerId, AssistantTurn, AttemptIndex, Ballot, Basis, CallFailure, CallId,
    Enforcement, Epoch, Kept, Media, Millis, Outcome, Question, Rejection, Review, RoundEnd,
    RoundId, RunId, SnapshotId, Spend, ToolCallId, ToolEffect, WrapUpReason,
};

/// One fact of a run. `seq` counts from 0 without gaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub seq: u64,
    pub at: Millis,
    #[serde(flatten)]
    pub body: EventBody,
}

/// What is known of an agent to those who watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentCard {
    pub id: AgentId,
    pub alias: AgentIndex,
    pub model: String,
    pub backend: String,
}

/// What a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundKind {
    Coordinate,
    Present,
    Review,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextChannel {
    Text,
    Reasoning,
}

/// A moment the coordinator asked to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "deadline", rename_all = "snake_case")]
pub enum Deadline {
    /// Tell everybody to decide with what exists.
    WrapUp { attempt: AttemptIndex },
    /// Coordination of this attempt ends now; what is left of its time is for the presentation.
    Coordination { attempt: AttemptIndex },
    /// All of this attempt ends now, a presentation too.
    Attempt { attempt: AttemptIndex },
    /// The time in the budget of the whole run is used up.
    Budget,
    /// Tell this round to decide with what it has.
    RoundSoft { round: RoundId },
    /// The round ends now.
    Round { round: RoundId },
    /// A failing agent may try again.
    Backoff { agent: AgentIndex, failures: u32 },
}

/// Why a round was closed from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Its submission counted.
    Submitted,
    /// It ended by itself; see `round_ended`.
    Ended,
    /// Its time was over.
    TimedOut,
    /// The winner is known.
    Decided,
    Budget,
    Interrupted,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum RetireReason {
    /// Its provider failed as often as the policy allows, or in a way that no retry mends.
    CallsFailed {
        failures: u32,
        last: CallFailure,
    },
    /// It made no valid choice as often as the policy allows.
    NoChoice {
        rounds: u32,
    },
    /// Its rounds ran out of time as often as the policy allows.
    TimedOut {
        rounds: u32,
    },
    /// Its workspace could not be copied as often as the policy allows.
    SnapshotsFailed {
        failures: u32,
    },
    Panicked {
        message: String,
    },
    /// The budget allows no further call.
    Budget,
}

/// Which bound of the budget stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    Calls,
    Tokens,
    Money,
    Time,
}

/// The facts. Those marked *input* are what the coordinator was told and make up
/// the replay; those marked *decision* are what it made of them and follow their
/// input directly; the others are for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    RunStarted {
        run: RunId,
        build: String,
        agents: Vec<AgentCard>,
    },
    /// A later process took the run up again after the event before this one.
    RunResumed {
        build: String,
    },
    /// *Input.*
    QuestionAsked {
        question: Question,
    },
    /// *Decision.*
    AttemptStarted {
        attempt: AttemptIndex,
    },
    /// *Decision.*
    RoundOpened {
        round: RoundId,
        kind: RoundKind,
        epoch: Epoch,
        vote_only: bool,
    },
    /// *Input.* A round wants to call its model; `estimate` is what the call may cost at most.
    CallRequested {
        call: CallId,
        estimate: Spend,
    },
    /// *Decision.* The estimate is reserved and the call starts.
    CallGranted {
        call: CallId,
    },
    /// *Decision.* The call does not start.
    CallRefused {
        call: CallId,
        reason: RefusalReason,
    },
    /// Streamed output, coalesced.
    TextStreamed {
        call: CallId,
        channel: TextChannel,
        text: String,
    },
    /// The model is writing the arguments of a tool call; `bytes` so far.
    ToolCallStreaming {
        call: CallId,
        name: String,
        bytes: u64,
    },
    CallRetried {
        call: CallId,
        failure: CallFailure,
        after_ms: u64,
        attempt: u32,
    },
    /// A tool of the provider, or of an agent that is a program, has begun: it runs there.
    RemoteToolStarted {
        call: CallId,
        id: String,
        name: String,
        input: Kept<String>,
    },
    RemoteToolFinished {
        call: CallId,
        id: String,
        name: String,
        output: Kept<String>,
        is_error: bool,
    },
    /// The call waits for its turn within the rate limits of its key.
    CallThrottled {
        call: CallId,
        wait_ms: u64,
    },
    /// The model in use cannot serve the call; `to` is asked instead.
    CallFellBack {
        call: CallId,
        failure: CallFailure,
        to: String,
    },
    /// *Input.* Settles the reservation.
    CallFinished {
        call: CallId,
        turn: Kept<AssistantTurn>,
        spend: Spend,
    },
    /// *Input.* Settles the reservation.
    CallFailed {
        call: CallId,
        failure: CallFailure,
        spend: Spend,
    },
    /// *Input.* The call was given up by us: superseded or closed. Settles the reservation.
    CallCancelled {
        call: CallId,
        spend: Spend,
    },
    ToolStarted {
        round: RoundId,
        id: ToolCallId,
        name: String,
        effect: ToolEffect,
        arguments: Kept<String>,
    },
    ToolFinished {
        round: RoundId,
        id: ToolCallId,
        name: String,
        output: Kept<String>,
        is_error: bool,
        /// Shown to the model with the next call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media: Option<Kept<Vec<Media>>>,
    },
    /// A piece of a running tool's output.
    ToolOutputStreamed {
        round: RoundId,
        id: ToolCallId,
        text: String,
    },
    /// Something about tools that people should know: a server that is slow, gone or back.
    ToolNotice {
        agent: AgentIndex,
        what: String,
    },
    /// A call waits for somebody to allow it; see [`Op::Permit`](crate::Op::Permit).
    PermissionAsked {
        round: RoundId,
        id: ToolCallId,
        name: String,
        what: String,
        reason: String,
    },
    /// `by`: the rule, the user, a file, a hook or the policy that decided.
    PermissionDecided {
        round: RoundId,
        id: ToolCallId,
        name: String,
        allowed: bool,
        by: String,
        reason: String,
    },
    /// A finding of an agent, which the others get at their next safe point.
    InsightShared {
        round: RoundId,
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<SnapshotId>,
    },
    /// What confines the agents' commands, and what of the protection is not to be had here.
    SandboxChosen {
        rung: String,
        missing: Vec<String>,
    },
    /// *Input.* `salvaged`: plain text taken for the answer of a model that calls no tool.
    AnswerSubmitted {
        round: RoundId,
        seen: Epoch,
        text: Kept<String>,
        salvaged: bool,
    },
    /// *Input.*
    VoteSubmitted {
        round: RoundId,
        seen: Epoch,
        choice: String,
        reason: String,
    },
    /// *Input.*
    RoundEnded {
        round: RoundId,
        end: RoundEnd,
    },
    /// *Input.*
    SnapshotTaken {
        answer: AnswerId,
        snapshot: SnapshotId,
    },
    /// *Input.*
    SnapshotFailed {
        answer: AnswerId,
        message: String,
    },
    /// *Input.*
    DeadlineReached {
        deadline: Deadline,
    },
    /// *Input.* The presenter's final text.
    Presented {
        round: RoundId,
        text: Kept<String>,
    },
    /// *Input.*
    AttemptReviewed {
        round: RoundId,
        review: Review,
    },
    /// *Input.* The user asked to wrap up.
    InterruptRequested,
    /// The user asked to stop at once; the run can be resumed.
    StopRequested,
    /// *Decision.* The workspace is being copied; until then nobody sees the answer.
    AnswerProposed {
        answer: AnswerId,
        round: RoundId,
    },
    /// *Decision.* The answer is in view of all; it opens `epoch`.
    AnswerAccepted {
        answer: AnswerId,
        epoch: Epoch,
        snapshot: SnapshotId,
    },
    /// *Decision.*
    SubmissionRejected {
        round: RoundId,
        rejection: Rejection,
    },
    /// *Decision.*
    VoteCast {
        ballot: Ballot,
        epoch: Epoch,
    },
    /// *Decision.* A new answer made `n` votes worthless.
    VotesVoided {
        epoch: Epoch,
        n: u32,
    },
    /// *Decision.* `interrupt`: the running call may be given up for it.
    UpdateSent {
        round: RoundId,
        epoch: Epoch,
        interrupt: bool,
    },
    /// The update is in the round's transcript.
    UpdateSeen {
        round: RoundId,
        epoch: Epoch,
    },
    /// The model was told which rule it broke; `n` of at most `max` in this round.
    RuleEnforced {
        round: RoundId,
        enforcement: Enforcement,
        n: u32,
        max: u32,
    },
    /// *Decision.*
    RoundClosed {
        round: RoundId,
        reason: CloseReason,
    },
    /// *Decision.* It tries again after `backoff_ms`.
    AgentFailed {
        agent: AgentIndex,
        failures: u32,
        max: u32,
        backoff_ms: u64,
    },
    /// *Decision.* It no longer votes; its answers stand.
    AgentRetired {
        agent: AgentIndex,
        reason: RetireReason,
    },
    /// *Decision.*
    WrapUpStarted {
        reason: WrapUpReason,
    },
    /// *Decision.*
    WinnerSelected {
        winner: AnswerId,
        basis: Basis,
    },
    /// *Decision.* A review ordered another attempt.
    AttemptRestarted {
        reason: String,
        instructions: String,
    },
    /// *Decision.* The last event of a run that ended.
    TurnFinished {
        outcome: Outcome,
    },
    /// An input that came too late or out of place; it changed nothing. *Decision.*
    InputIgnored {
        why: String,
    },
    /// The disk refused a write; the run goes on but cannot be resumed from here.
    RecordingFailed {
        message: String,
    },
    /// Something a provider sent that its format does not define.
    ProviderNotice {
        call: CallId,
        what: String,
    },
}

impl EventBody {
    /// Returns whether the coordinator made this of an input, so that a replay must make it again.
    pub fn is_decision(&self) -> bool {
        match self {
            EventBody::AttemptStarted { .. }
            | EventBody::RoundOpened { .. }
            | EventBody::CallGranted { .. }
            | EventBody::CallRefused { .. }
            | EventBody::AnswerProposed { .. }
            | EventBody::AnswerAccepted { .. }
            | EventBody::SubmissionRejected { .. }
            | EventBody::VoteCast { .. }
            | EventBody::VotesVoided { .. }
            | EventBody::UpdateSent { .. }
            | EventBody::RoundClosed { .. }
            | EventBody::AgentFailed { .. }
            | EventBody::AgentRetired { .. }
            | EventBody::WrapUpStarted { .. }
            | EventBody::WinnerSelected { .. }
            | EventBody::AttemptRestarted { .. }
            | EventBody::TurnFinished { .. }
            | EventBody::InputIgnored { .. } => true,
            EventBody::RunStarted { .. }
            | EventBody::RunResumed { .. }
            | EventBody::QuestionAsked { .. }
            | EventBody::CallRequested { .. }
            | EventBody::TextStreamed { .. }
            | EventBody::ToolCallStreaming { .. }
            | EventBody::CallRetried { .. }
            | EventBody::RemoteToolStarted { .. }
            | EventBody::RemoteToolFinished { .. }
            | EventBody::CallThrottled { .. }
            | EventBody::CallFellBack { .. }
            | EventBody::CallFinished { .. }
            | EventBody::CallFailed { .. }
            | EventBody::CallCancelled { .. }
            | EventBody::ToolStarted { .. }
            | EventBody::ToolFinished { .. }
            | EventBody::ToolOutputStreamed { .. }
            | EventBody::ToolNotice { .. }
            | EventBody::PermissionAsked { .. }
            | EventBody::PermissionDecided { .. }
            | EventBody::InsightShared { .. }
            | EventBody::SandboxChosen { .. }
            | EventBody::AnswerSubmitted { .. }
            | EventBody::VoteSubmitted { .. }
            | EventBody::RoundEnded { .. }
            | EventBody::SnapshotTaken { .. }
            | EventBody::SnapshotFailed { .. }
            | EventBody::DeadlineReached { .. }
            | EventBody::Presented { .. }
            | EventBody::AttemptReviewed { .. }
            | EventBody::InterruptRequested
            | EventBody::StopRequested
            | EventBody::UpdateSeen { .. }
            | EventBody::RuleEnforced { .. }
            | EventBody::RecordingFailed { .. }
            | EventBody::ProviderNotice { .. } => false,
        }
    }

    /// Returns the texts that may be large enough to become payloads.
    pub fn kept_texts(&mut self) -> Option<&mut Kept<String>> {
        match self {
            EventBody::AnswerSubmitted { text, .. } | EventBody::Presented { text, .. } => {
                Some(text)
            }
            EventBody::ToolStarted { arguments, .. } => Some(arguments),
            EventBody::RemoteToolStarted { input, .. } => Some(input),
            EventBody::ToolFinished { output, .. }
            | EventBody::RemoteToolFinished { output, .. } => Some(output),
            _ => None,
        }
    }

    /// Returns the images that may be large enough to become payloads.
    pub fn kept_media(&mut self) -> Option<&mut Kept<Vec<Media>>> {
        match self {
            EventBody::ToolFinished { media, .. } => media.as_mut(),
            _ => None,
        }
    }

    /// Returns the model turn that may be large enough to become a payload.
    pub fn kept_turn(&mut self) -> Option<&mut Kept<AssistantTurn>> {
        match self {
            EventBody::CallFinished { turn, .. } => Some(turn),
            _ => None,
        }
    }
}
