//! An event of every kind, its parts made of a few numbers and a text. The view
//! folds the same samples, in any order.

use massgen_protocol::{
    AgentCard, AgentId, AgentIndex, AnswerId, Arguments, AssistantTurn, AttemptIndex, Ballot,
    Basis, CallFailure, CallId, CloseReason, Deadline, Enforcement, Epoch, EventBody, FailReason,
    FailureKind, FinishReason, Kept, Outcome, Part, Question, RefusalReason, Rejection,
    RetireReason, Review, RoundEnd, RoundId, RoundKind, RunId, SnapshotId, Spend, TextChannel,
    ToolCall, ToolCallId, ToolEffect, ToolResult, Usage, WrapUpReason,
};
use proptest::prelude::*;

/// How many kinds of events there are; the log's tests hold the number to the enum.
pub const KINDS: usize = 52;

/// What a sample is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    pub agent: u16,
    pub n: u32,
    pub text: String,
    pub flag: bool,
    pub number: f64,
}

impl Parts {
    pub fn plain(text: &str) -> Parts {
        Parts { agent: 1, n: 3, text: text.to_owned(), flag: true, number: 0.1 + 0.2 }
    }
}

/// Parts of any kind: texts of all characters, agents in and out of a roster of three.
pub fn parts() -> impl Strategy<Value = Parts> {
    (0..5_u16, 0..4_u32, ".{0,40}", any::<bool>(), any::<f64>()).prop_map(
        |(agent, n, text, flag, number)| {
            // JSON has no infinities; a tool's arguments cannot bring them.
            let number = if number.is_finite() { number } else { 0.5 };
            Parts { agent, n, text, flag, number }
        },
    )
}

pub fn any_body() -> impl Strategy<Value = EventBody> {
    (0..KINDS, parts()).prop_map(|(kind, parts)| sample(kind, &parts))
}

pub fn one_of_each(text: &str) -> Vec<EventBody> {
    (0..KINDS).map(|kind| sample(kind, &Parts::plain(text))).collect()
}

/// Returns the event of this kind.
pub fn sample(kind: usize, parts: &Parts) -> EventBody {
    let agent = AgentIndex(parts.agent);
    let round = RoundId { agent, n: parts.n };
    let call = CallId { round, n: 1 };
    let answer = AnswerId { agent, n: parts.n };
    let epoch = Epoch(parts.n);
    let text = || parts.text.clone();
    let kept = || Kept::from(text());
    let spend = Spend { calls: 1, tokens: u64::from(parts.n) * 100, money_micros: 7 };
    let id = ToolCallId(format!("call-{}", parts.n));
    let failure = CallFailure {
        kind: if parts.flag { FailureKind::RateLimited } else { FailureKind::Auth },
        message: text(),
        status: parts.flag.then_some(429),
        retry_after_ms: parts.flag.then_some(1_500),
    };
    match kind {
        0 => EventBody::RunStarted {
            run: RunId("20261123-220101-ab12".to_owned()),
            build: "massgen 0.1.0".to_owned(),
            agents: (0..3)
                .map(|n| AgentCard {
                    id: AgentId(format!("{n}{}", parts.text)),
                    alias: AgentIndex(n),
                    model: text(),
                    backend: "scripted".to_owned(),
                })
                .collect(),
        },
        1 => EventBody::RunResumed { build: text() },
        2 => EventBody::QuestionAsked { question: Question { text: text() } },
        3 => EventBody::AttemptStarted { attempt: AttemptIndex(parts.n) },
        4 => EventBody::RoundOpened {
            round,
            kind: kind_of_round(parts),
            epoch,
            vote_only: parts.flag,
        },
        5 => EventBody::CallRequested { call, estimate: spend },
        6 => EventBody::CallGranted { call },
        7 => EventBody::CallRefused { call, reason: RefusalReason::Money },
        8 => EventBody::TextStreamed { call, channel: channel(parts), text: text() },
        9 => EventBody::ToolCallStreaming { call, name: text(), bytes: u64::from(parts.n) },
        10 => EventBody::CallRetried { call, failure, after_ms: 250, attempt: 2 },
        11 => EventBody::CallFinished { call, turn: Kept::inline(turn(parts)), spend },
        12 => EventBody::CallFailed { call, failure, spend },
        13 => EventBody::CallCancelled { call, spend },
        14 => EventBody::ToolStarted {
            round,
            id,
            name: text(),
            effect: ToolEffect::Write,
            arguments: kept(),
        },
        15 => EventBody::ToolFinished {
            round,
            id,
            name: text(),
            output: kept(),
            is_error: parts.flag,
            media: None,
        },
        16 => EventBody::AnswerSubmitted { round, seen: epoch, text: kept(), salvaged: parts.flag },
        17 => EventBody::VoteSubmitted { round, seen: epoch, choice: text(), reason: text() },
        18 => EventBody::RoundEnded { round, end: round_end(parts, failure) },
        19 => EventBody::SnapshotTaken { answer, snapshot: SnapshotId::empty() },
        20 => EventBody::SnapshotFailed { answer, message: text() },
        21 => EventBody::DeadlineReached { deadline: deadline(parts, round) },
        22 => EventBody::Presented { round, text: kept() },
        23 => EventBody::AttemptReviewed { round, review: review(parts) },
        24 => EventBody::InterruptRequested,
        25 => EventBody::StopRequested,
        26 => EventBody::AnswerProposed { answer, round },
        27 => EventBody::AnswerAccepted { answer, epoch, snapshot: SnapshotId(text()) },
        28 => EventBody::SubmissionRejected { round, rejection: rejection(parts, answer) },
        29 => EventBody::VoteCast {
            ballot: Ballot { voter: agent, choice: AgentIndex(0), reason: text() },
            epoch,
        },
        30 => EventBody::VotesVoided { epoch, n: parts.n },
        31 => EventBody::UpdateSent { round, epoch, interrupt: parts.flag },
        32 => EventBody::UpdateSeen { round, epoch },
        33 => EventBody::RuleEnforced { round, enforcement: enforcement(parts), n: 1, max: 3 },
        34 => EventBody::RoundClosed { round, reason: CloseReason::Decided },
        35 => EventBody::AgentFailed { agent, failures: 1, max: 3, backoff_ms: 1_000 },
        36 => EventBody::AgentRetired { agent, reason: retire_reason(parts, failure) },
        37 => EventBody::WrapUpStarted { reason: WrapUpReason::Budget },
        38 => EventBody::WinnerSelected { winner: answer, basis: basis(parts) },
        39 => EventBody::AttemptRestarted { reason: text(), instructions: text() },
        40 => EventBody::TurnFinished { outcome: outcome(parts, answer) },
        41 => match parts.n % 3 {
            0 => EventBody::InputIgnored { why: text() },
            1 => EventBody::RecordingFailed { message: text() },
            _ => EventBody::ProviderNotice { call, what: text() },
        },
        42 => EventBody::RemoteToolStarted { call, id: text(), name: text(), input: kept() },
        43 => EventBody::RemoteToolFinished {
            call,
            id: text(),
            name: text(),
            output: kept(),
            is_error: parts.flag,
        },
        44 => EventBody::CallThrottled { call, wait_ms: u64::from(parts.n) },
        45 => EventBody::CallFellBack { call, failure, to: text() },
        46 => EventBody::ToolOutputStreamed { round, id, text: text() },
        47 => EventBody::ToolNotice { agent, what: text() },
        48 => EventBody::PermissionAsked { round, id, name: text(), what: text(), reason: text() },
        49 => EventBody::PermissionDecided {
            round,
            id,
            name: text(),
            allowed: parts.flag,
            by: text(),
            reason: text(),
        },
        50 => EventBody::InsightShared {
            round,
            text: text(),
            file: parts.flag.then(&text),
            evidence: parts.flag.then(SnapshotId::empty),
        },
        51 => EventBody::SandboxChosen { rung: text(), missing: vec![text()] },
        _ => unreachable!("there are {KINDS} kinds of samples"),
    }
}

fn turn(parts: &Parts) -> AssistantTurn {
    let value = serde_json::json!({ "z": parts.text, "a": { "nested": [parts.number, null, -1] } });
    let id = ToolCallId("call-1".to_owned());
    let arguments = match value {
        serde_json::Value::Object(value) if parts.flag => Arguments::Object { value },
        _ => Arguments::Malformed { raw: parts.text.clone(), error: "expected `}`".to_owned() },
    };
    AssistantTurn {
        parts: vec![
            Part::Text { text: parts.text.clone() },
            Part::Reasoning { text: parts.text.clone(), field: parts.flag.then(|| "r".to_owned()) },
            Part::ToolCall(ToolCall { id: id.clone(), name: "vote".to_owned(), arguments }),
            Part::ToolResult(ToolResult {
                id,
                name: "vote".to_owned(),
                text: parts.text.clone(),
                is_error: parts.flag,
            }),
            Part::Native { format: "own".to_owned(), value: serde_json::json!([parts.number]) },
        ],
        finish: FinishReason::ToolCalls,
        usage: Usage {
            input_uncached: 100,
            cache_read: 10,
            cache_write: 1,
            output: u64::from(parts.n),
            reasoning: 5,
            cost_micros: parts.flag.then_some(42),
        },
        model: parts.flag.then(|| parts.text.clone()),
    }
}

fn kind_of_round(parts: &Parts) -> RoundKind {
    [RoundKind::Coordinate, RoundKind::Present, RoundKind::Review][parts.n as usize % 3]
}

fn channel(parts: &Parts) -> TextChannel {
    if parts.flag { TextChannel::Text } else { TextChannel::Reasoning }
}

fn round_end(parts: &Parts, failure: CallFailure) -> RoundEnd {
    match parts.n % 4 {
        0 => RoundEnd::Exhausted { violations: 3 },
        1 => RoundEnd::TooManyTurns { turns: 50 },
        2 => RoundEnd::CallFailed { failure },
        _ => RoundEnd::Panicked { message: parts.text.clone() },
    }
}

fn deadline(parts: &Parts, round: RoundId) -> Deadline {
    let attempt = AttemptIndex(1);
    match parts.n % 8 {
        0 => Deadline::WrapUp { attempt },
        1 | 5 => Deadline::Attempt { attempt },
        2 | 6 => Deadline::Round { round },
        4 => Deadline::Coordination { attempt },
        _ => Deadline::Backoff { agent: round.agent, failures: 2 },
    }
}

fn review(parts: &Parts) -> Review {
    if parts.flag {
        Review::Restart { reason: parts.text.clone(), instructions: parts.text.clone() }
    } else {
        Review::Submit
    }
}

fn rejection(parts: &Parts, of: AnswerId) -> Rejection {
    match parts.n % 4 {
        0 => Rejection::Stale { seen: Epoch(0), current: Epoch(1) },
        1 => Rejection::UnknownChoice { choice: parts.text.clone(), valid: vec![of.agent] },
        2 => Rejection::Duplicate { of },
        _ => Rejection::TooSimilar { to: of, percent: 90, allowed: 70 },
    }
}

fn enforcement(parts: &Parts) -> Enforcement {
    match parts.n % 3 {
        0 => Enforcement::NoChoice,
        1 => Enforcement::ManyChoices { n: 2 },
        _ => Enforcement::BadArguments { tool: "vote".to_owned(), problem: parts.text.clone() },
    }
}

fn retire_reason(parts: &Parts, last: CallFailure) -> RetireReason {
    match parts.n % 3 {
        0 => RetireReason::CallsFailed { failures: 3, last },
        1 => RetireReason::NoChoice { rounds: 2 },
        _ => RetireReason::TimedOut { rounds: 3 },
    }
}

fn basis(parts: &Parts) -> Basis {
    match parts.n % 3 {
        0 => Basis::Votes { votes: 2, voters: 3, tie: parts.flag },
        1 => Basis::SoleAgent,
        _ => Basis::Deadline { votes: 1, tie: parts.flag },
    }
}

fn outcome(parts: &Parts, winner: AnswerId) -> Outcome {
    if parts.n == 0 {
        Outcome::Failed { reason: FailReason::AllAgentsFailed }
    } else {
        Outcome::Answered { winner, basis: basis(parts), presented: parts.flag }
    }
}
