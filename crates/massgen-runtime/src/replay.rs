//! From a log back to the engine that wrote it.
//!
//! A log holds what came from outside and, directly after each such event, what
//! the engine made of it. Fed with the former it must come to the latter again;
//! where it does not, the log was changed or the rules were.

use massgen_log::{Reader, RunDir};
use massgen_protocol::{Event, EventBody, Millis};

use crate::{Engine, StartError};

/// What a log replays to.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    pub events: u64,
    /// What came from outside.
    pub inputs: u64,
    /// What the engine made of it, all of it again as recorded.
    pub decisions: u64,
    pub divergence: Option<Box<Divergence>>,
    /// Whether the run had come to its end.
    pub is_finished: bool,
}

/// The first event that a replay does not come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    pub seq: u64,
    pub recorded: EventBody,
    /// `None`: nothing was to be decided here.
    pub replayed: Option<EventBody>,
}

/// Replays a run's log and compares every decision. Calls nobody and writes nothing.
pub fn check(run: &RunDir) -> Result<CheckReport, StartError> {
    let mut engine = crate::session::engine_of(run)?;
    let mut replay = Replay::default();
    for event in Reader::open(run).map_err(StartError::Log)? {
        let event = event.map_err(StartError::Read)?;
        if let Err(divergence) = replay.take(&mut engine, &event) {
            return Ok(replay.report(&engine, Some(divergence)));
        }
    }
    Ok(replay.report(&engine, None))
}

/// A replay under way.
#[derive(Default)]
pub(crate) struct Replay {
    events: u64,
    inputs: u64,
    decisions: u64,
    pub(crate) last: Millis,
}

impl Replay {
    /// Takes the next event of the log.
    pub(crate) fn take(
        &mut self,
        engine: &mut Engine,
        event: &Event,
    ) -> Result<(), Box<Divergence>> {
        self.events += 1;
        self.last = self.last.max(event.at);
        match origin(&event.body) {
            Origin::Shown => return Ok(()),
            Origin::Either if engine.peek_record().is_none() => self.inputs += 1,
            Origin::Outside => {
                if let Some(expected) = engine.peek_record() {
                    return Err(diverges(event, Some(expected)));
                }
                self.inputs += 1;
            }
            Origin::Engine | Origin::Either => {
                let expected = engine.peek_record();
                if !expected.is_some_and(|expected| agree(expected, &event.body)) {
                    return Err(diverges(event, expected));
                }
                let _same = engine.next_record();
                self.decisions += 1;
            }
        }
        engine.apply(event);
        // What it asks for was done, or is asked for again at the end.
        let _done = engine.take_outgoing();
        Ok(())
    }

    fn report(self, engine: &Engine, divergence: Option<Box<Divergence>>) -> CheckReport {
        CheckReport {
            events: self.events,
            inputs: self.inputs,
            decisions: self.decisions,
            divergence,
            is_finished: engine.is_finished(),
        }
    }
}

/// Returns whether a replay came to what is recorded. How much a call may cost and what
/// a tool does to the world is told to the engine: it follows from texts and tools that
/// a later build, or the user, may have changed since.
fn agree(replayed: &EventBody, recorded: &EventBody) -> bool {
    match (replayed, recorded) {
        (EventBody::CallRequested { call, .. }, EventBody::CallRequested { call: told, .. }) => {
            call == told
        }
        (
            EventBody::ToolStarted { round, id, name, arguments, effect: _ },
            EventBody::ToolStarted { round: of, id: told, name: called, arguments: with, .. },
        ) => (round, id, name, arguments) == (of, told, called, with),
        (replayed, recorded) => replayed == recorded,
    }
}

fn diverges(event: &Event, expected: Option<&EventBody>) -> Box<Divergence> {
    Box::new(Divergence {
        seq: event.seq,
        recorded: event.body.clone(),
        replayed: expected.cloned(),
    })
}

/// Where an event comes from.
enum Origin {
    /// For people: what it tells has no part in decisions.
    Shown,
    Outside,
    /// Follows from what came before.
    Engine,
    /// Mostly from outside; from the engine for a call that was given up before it began.
    Either,
}

fn origin(body: &EventBody) -> Origin {
    match body {
        EventBody::RunStarted { .. }
        | EventBody::RunResumed { .. }
        | EventBody::TextStreamed { .. }
        | EventBody::ToolCallStreaming { .. }
        | EventBody::CallRetried { .. }
        | EventBody::RemoteToolStarted { .. }
        | EventBody::RemoteToolFinished { .. }
        | EventBody::CallThrottled { .. }
        | EventBody::CallFellBack { .. }
        | EventBody::ToolOutputStreamed { .. }
        | EventBody::ToolNotice { .. }
        | EventBody::PermissionAsked { .. }
        | EventBody::PermissionDecided { .. }
        | EventBody::SandboxChosen { .. }
        | EventBody::StopRequested
        | EventBody::RecordingFailed { .. }
        | EventBody::ProviderNotice { .. } => Origin::Shown,
        EventBody::QuestionAsked { .. }
        | EventBody::CallFinished { .. }
        | EventBody::CallFailed { .. }
        | EventBody::ToolFinished { .. }
        | EventBody::InsightShared { .. }
        | EventBody::SnapshotTaken { .. }
        | EventBody::SnapshotFailed { .. }
        | EventBody::DeadlineReached { .. }
        | EventBody::InterruptRequested => Origin::Outside,
        EventBody::CallCancelled { .. } => Origin::Either,
        EventBody::AttemptStarted { .. }
        | EventBody::RoundOpened { .. }
        | EventBody::CallRequested { .. }
        | EventBody::CallGranted { .. }
        | EventBody::CallRefused { .. }
        | EventBody::ToolStarted { .. }
        | EventBody::AnswerSubmitted { .. }
        | EventBody::VoteSubmitted { .. }
        | EventBody::RoundEnded { .. }
        | EventBody::Presented { .. }
        | EventBody::AttemptReviewed { .. }
        | EventBody::AnswerProposed { .. }
        | EventBody::AnswerAccepted { .. }
        | EventBody::SubmissionRejected { .. }
        | EventBody::VoteCast { .. }
        | EventBody::VotesVoided { .. }
        | EventBody::UpdateSent { .. }
        | EventBody::UpdateSeen { .. }
        | EventBody::RuleEnforced { .. }
        | EventBody::RoundClosed { .. }
        | EventBody::AgentFailed { .. }
        | EventBody::AgentRetired { .. }
        | EventBody::WrapUpStarted { .. }
        | EventBody::WinnerSelected { .. }
        | EventBody::AttemptRestarted { .. }
        | EventBody::TurnFinished { .. }
        | EventBody::InputIgnored { .. } => Origin::Engine,
    }
}

/// Rebuilds the engine from the log of a run that is to go on.
pub(crate) fn rebuild(engine: &mut Engine, events: &[Event]) -> Result<Millis, StartError> {
    let mut replay = Replay::default();
    for event in events {
        replay.take(engine, event).map_err(StartError::Diverges)?;
    }
    Ok(replay.last)
}
