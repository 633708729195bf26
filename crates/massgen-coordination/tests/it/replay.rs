//! A log is enough to decide everything again.

use std::sync::Arc;

use massgen_coordination::{Command, Coordinator, Input};
use massgen_protocol::{
    AssistantTurn, Event, EventBody, FinishReason, Kept, Millis, Policy, Question, Submission,
    Usage,
};

use crate::explorer::World;
use crate::random::{Random, setup};

/// A run as it is kept: what is needed to make the coordinator, then the events.
struct Recorded {
    n_agents: u16,
    policy: Policy,
    events: Vec<Event>,
}

/// Plays a random run and returns the log it would leave.
fn record(seed: u64) -> Recorded {
    let mut random = Random::new(seed);
    let n_agents = u16::try_from(1 + random.below(8)).unwrap();
    let mut setup = setup(&mut random, n_agents);
    setup.trouble.noise = false;
    let mut world = World::new(&setup);
    let mut events = Vec::new();
    let mut actions = Vec::new();
    while !world.is_finished() {
        actions.clear();
        world.actions(&setup, &mut actions);
        let action = actions.swap_remove(random.below(actions.len()));
        // As rare as in life, or no run would get far.
        if action.is_outside_end() && random.below(100) < 90 && !actions.is_empty() {
            continue;
        }
        let input = world.apply(&setup, &action);
        let told = [event_of(&input)].into_iter().chain(world.said().iter().cloned());
        for body in told {
            let seq = u64::try_from(events.len()).unwrap();
            events.push(Event { seq, at: Millis(0), body });
        }
    }
    Recorded { n_agents, policy: setup.policy, events }
}

/// The other way round than `Input::of_event`.
fn event_of(input: &Input) -> EventBody {
    match input.clone() {
        Input::Begin => {
            EventBody::QuestionAsked { question: Question { text: "2 + 2?".to_owned() } }
        }
        Input::CallRequested { call, estimate } => EventBody::CallRequested { call, estimate },
        Input::CallSettled { call, spend, failure: None } => {
            let (finish, usage) = (FinishReason::Stop, Usage::default());
            let turn = AssistantTurn { parts: Vec::new(), finish, usage, model: None };
            EventBody::CallFinished { call, turn: Kept::Inline(Arc::new(turn)), spend }
        }
        Input::CallSettled { call, spend, failure: Some(failure) } => {
            EventBody::CallFailed { call, failure, spend }
        }
        Input::Submitted { round, seen, submission: Submission::NewAnswer { text } } => {
            EventBody::AnswerSubmitted { round, seen, text, salvaged: false }
        }
        Input::Submitted { round, seen, submission: Submission::Vote { choice, reason } } => {
            EventBody::VoteSubmitted { round, seen, choice, reason }
        }
        Input::RoundEnded { round, end } => EventBody::RoundEnded { round, end },
        Input::SnapshotTaken { answer, snapshot: Some(snapshot) } => {
            EventBody::SnapshotTaken { answer, snapshot }
        }
        Input::SnapshotTaken { answer, snapshot: None } => {
            EventBody::SnapshotFailed { answer, message: "disk full".to_owned() }
        }
        Input::Due(deadline) => EventBody::DeadlineReached { deadline },
        Input::Presented { round } => EventBody::Presented { round, text: "4".into() },
        Input::Reviewed { round, review } => EventBody::AttemptReviewed { round, review },
        Input::Interrupt => EventBody::InterruptRequested,
    }
}

/// Feeds the inputs of a log to a new coordinator; its decisions must be those of the log.
fn replay(recorded: &Recorded) -> (Coordinator, Vec<Command>) {
    let mut coordinator = Coordinator::new(recorded.n_agents, recorded.policy.clone(), 7);
    let mut commands = Vec::new();
    let mut decided = Vec::new().into_iter();
    for event in &recorded.events {
        if let Some(input) = Input::of_event(&event.body) {
            assert_eq!(decided.next(), None, "before {}: the log lacks a decision", event.seq);
            let fx = coordinator.step(event.at, input);
            decided = fx.events.into_iter();
            commands.extend(fx.commands);
        } else {
            assert!(event.body.is_decision(), "{:?} is neither", event.body);
            assert_eq!(decided.next().as_ref(), Some(&event.body), "at {}", event.seq);
        }
    }
    assert_eq!(decided.next(), None, "the log lacks the last decision");
    (coordinator, commands)
}

#[test]
fn a_log_written_and_read_decides_the_same_again() {
    for seed in 0..60 {
        let recorded = record(seed);
        let line = |event: &Event| serde_json::to_string(event).unwrap();
        let read = |line: String| serde_json::from_str::<Event>(&line).unwrap();
        let events: Vec<Event> = recorded.events.iter().map(line).map(read).collect();
        assert_eq!(events, recorded.events);
        let (coordinator, commands) = replay(&Recorded { events, ..recorded });
        assert!(coordinator.is_finished(), "seed {seed}");
        assert!(matches!(commands.last(), Some(Command::Finish(_))), "seed {seed}");
    }
}

#[test]
fn two_coordinators_told_alike_are_alike() {
    for seed in 0..20 {
        let recorded = record(seed);
        assert_eq!(replay(&recorded), replay(&recorded), "seed {seed}");
    }
}

/// Runs of earlier builds. When a change of the rules alters one, this shows what it
/// alters; if that is what was wanted, record it anew with `UPDATE_RUNS=1`.
#[test]
#[expect(clippy::disallowed_methods, reason = "asks whether to record anew")]
fn runs_of_earlier_builds_decide_the_same() {
    let runs = [
        ("runs/seed_3.jsonl", include_str!("runs/seed_3.jsonl")),
        ("runs/seed_8.jsonl", include_str!("runs/seed_8.jsonl")),
        ("runs/seed_21.jsonl", include_str!("runs/seed_21.jsonl")),
        // With calls that wait for others.
        ("runs/seed_220.jsonl", include_str!("runs/seed_220.jsonl")),
    ];
    for (path, text) in runs {
        if std::env::var_os("UPDATE_RUNS").is_some() {
            update(path);
            continue;
        }
        let mut lines = text.lines();
        let head: (u16, Policy) = serde_json::from_str(lines.next().unwrap()).unwrap();
        let events: Vec<Event> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let (coordinator, _) = replay(&Recorded { n_agents: head.0, policy: head.1, events });
        assert!(coordinator.is_finished(), "{path} does not end");
    }
}

#[expect(clippy::disallowed_methods, reason = "only on request, to be read before it is kept")]
fn update(path: &str) {
    let seed = path.split(['_', '.']).nth(1).unwrap().parse().unwrap();
    let Recorded { n_agents, policy, events } = record(seed);
    let mut text = serde_json::to_string(&(n_agents, policy)).unwrap() + "\n";
    for event in &events {
        text += &(serde_json::to_string(event).unwrap() + "\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/").to_owned() + path;
    std::fs::write(path, text).unwrap();
}
