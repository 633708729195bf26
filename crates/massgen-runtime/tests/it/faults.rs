//! Servers that misbehave: the run always ends, with the right outcome, within its bounds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use massgen_log::RunDir;
use massgen_protocol::{
    Basis, Budget, CallTimeouts, Deadlines, Event, EventBody, FailReason, FailureKind, Op, Outcome,
    Policy, RetireReason, RunSpec, WrapUpReason,
};
use massgen_runtime::Session;
use massgen_testkit::{Script, Server, behaviour};

use crate::team::{self, Ran, policy, run, run_on, spec};

/// Two healthy agents and one on a faulty server.
async fn two_and(faulty: Script, policy: Policy) -> Ran {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let faulty = Server::start(faulty);
    let mut spec = spec(&[&healthy, &healthy, &faulty], policy);
    quick(&mut spec);
    run(spec).await
}

fn quick(spec: &mut RunSpec) {
    for agent in &mut spec.agents {
        agent.backend.timeouts =
            CallTimeouts { connect_ms: 1_000, first_byte_ms: 300, idle_ms: 300, total_ms: 3_000 };
        agent.backend.tries_max = 2;
    }
}

fn failures(ran: &Ran, kind: FailureKind) -> usize {
    ran.count(|body| match body {
        EventBody::CallFailed { failure, .. } | EventBody::CallRetried { failure, .. } => {
            failure.kind == kind
        }
        _ => false,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_teams_agree() {
    for n in [1, 2, 3, 50] {
        let ran = run_on(behaviour::consensus(&["four"]), n, policy()).await;
        if n == 1 {
            assert_eq!(*ran.basis(), Basis::SoleAgent);
            assert_eq!(ran.answer(), "four");
        } else {
            ran.reached_consensus(u32::try_from(n).unwrap());
        }
        assert_eq!(ran.retired(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passing_faults_are_retried() {
    let consensus = || behaviour::consensus(&["five"]);
    for (faulty, kind) in [
        (behaviour::rate_limited(0), FailureKind::RateLimited),
        (behaviour::fails(500), FailureKind::Unavailable),
        (behaviour::dropped(), FailureKind::Truncated),
        (behaviour::stall(), FailureKind::TimedOut),
        (behaviour::stall_midway(), FailureKind::TimedOut),
    ] {
        let ran = two_and(behaviour::first(1, faulty, consensus()), policy()).await;
        ran.reached_consensus(3);
        let seen: Vec<_> =
            ran.events
                .iter()
                .filter_map(|event| match &event.body {
                    EventBody::CallRetried { failure, .. }
                    | EventBody::CallFailed { failure, .. } => Some(failure),
                    _ => None,
                })
                .collect();
        // A connection that breaks may be told either way.
        let alike = |found: FailureKind| {
            found == kind
                || matches!(found, FailureKind::Unavailable | FailureKind::Overloaded)
                    && matches!(kind, FailureKind::Truncated | FailureKind::Unavailable)
        };
        assert!(seen.iter().any(|failure| alike(failure.kind)), "{kind:?}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_keeps_failing_retires_and_the_others_agree() {
    for faulty in [
        behaviour::fails(500),
        behaviour::fails(401),
        behaviour::garbage(),
        behaviour::dropped(),
        behaviour::stall(),
        behaviour::stall_midway(),
        behaviour::cut_arguments(),
    ] {
        let ran = two_and(faulty, policy()).await;
        ran.reached_consensus(2);
        assert_eq!(ran.retired(), ["agent3"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_key_is_not_tried_again() {
    let ran = two_and(behaviour::fails(401), policy()).await;
    assert_eq!(failures(&ran, FailureKind::Auth), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_never_calls_a_tool_keeps_its_draft_and_loses_its_vote() {
    let ran = two_and(behaviour::only_talks("I think it is 5."), policy()).await;
    ran.reached_consensus(2);
    assert_eq!(
        ran.count(|body| matches!(body, EventBody::AnswerSubmitted { salvaged: true, .. })),
        1
    );
    assert_eq!(ran.retired(), ["agent3"]);
    assert!(ran.events.iter().any(|event| matches!(
        &event.body,
        EventBody::AgentRetired { reason: RetireReason::NoChoice { rounds: 2 }, .. }
    )));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_always_answers_anew_is_bounded() {
    let policy = Policy { answers_per_agent_max: 3, ..policy() };
    let ran = two_and(behaviour::always_answers(), policy).await;
    ran.reached_consensus(2);
    let accepted = ran.count(
        |body| matches!(body, EventBody::AnswerAccepted { answer, .. } if answer.agent.0 == 2),
    );
    assert_eq!(accepted, 3);
    assert_eq!(ran.retired(), ["agent3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_left_is_a_failure_of_its_own() {
    let ran = run_on(behaviour::fails(401), 3, policy()).await;
    let reason = FailReason::AllAgentsFailed;
    assert_eq!(ran.finished.outcome, Some(Outcome::Failed { reason }));
    assert_eq!(ran.retired().len(), 3);
    assert_eq!(ran.finished.answer, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_agent_never_stalls_the_team() {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let hanging = Server::start(behaviour::stall());
    let deadlines = Deadlines {
        first_round_ms: Some(150),
        later_round_ms: Some(150),
        round_grace_ms: 50,
        ..Deadlines::default()
    };
    // Its calls alone would wait for minutes.
    let mut spec = spec(&[&healthy, &healthy, &hanging], Policy { deadlines, ..policy() });
    spec.agents[2].backend.timeouts = CallTimeouts::default();
    let started = Instant::now();
    let ran = run(spec).await;
    ran.reached_consensus(2);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(ran.events.iter().any(|event| matches!(
        &event.body,
        EventBody::AgentRetired { reason: RetireReason::TimedOut { rounds: 3 }, .. }
    )));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_attempts_deadline_gives_the_best_there_is() {
    // A tenth of it is left for the presentation.
    let attempt_ms = 4_000;
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let hanging = Server::start(behaviour::stall());
    let deadlines = |attempt_ms| Deadlines { attempt_ms: Some(attempt_ms), ..Deadlines::default() };
    let ends_by = |attempt_ms| Policy { deadlines: deadlines(attempt_ms), ..policy() };
    let mut team = spec(&[&healthy, &healthy, &hanging], ends_by(attempt_ms));
    team.agents[2].backend.timeouts = CallTimeouts::default();
    let ran = run(team).await;
    assert!(matches!(ran.basis(), Basis::Deadline { .. }), "{:?}", ran.basis());
    assert!(ran.is_presented(), "{:?}", ran.finished.outcome);
    assert!(ran.answer().starts_with("The final answer"), "{}", ran.answer());
    let end = ran.events.last().unwrap().at;
    assert!(end.0 <= attempt_ms, "it took {end:?}");
    let mut silent = spec(&[&hanging, &hanging], ends_by(400));
    for agent in &mut silent.agents {
        agent.backend.timeouts = CallTimeouts::default();
    }
    let ran = run(silent).await;
    assert_eq!(ran.finished.outcome, Some(Outcome::Failed { reason: FailReason::Deadline }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hard_budget_stops_calls_and_still_gives_an_answer() {
    let budget = Budget { calls: Some(4), ..Budget::default() };
    let server = Server::start(behaviour::consensus(&["four"]));
    let ran = run(spec(&[&server, &server, &server], Policy { budget, ..policy() })).await;
    assert!(server.stats().requests <= 4, "{} requests", server.stats().requests);
    assert!(ran.answer().starts_with("four"));
    assert_eq!(ran.finished.spent.calls, 4);
    let none = Budget { money_micros: Some(10), ..Budget::default() };
    let server = Server::start(behaviour::consensus(&["four"]));
    let ran = run(spec(&[&server], Policy { budget: none, ..policy() })).await;
    assert_eq!(server.stats().requests, 0);
    assert_eq!(ran.finished.outcome, Some(Outcome::Failed { reason: FailReason::Budget }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_with_room_for_one_call_at_a_time_is_enough_for_all_in_turn() {
    // A call is estimated at some 9,000 tokens and costs 120.
    let tokens = 15_000;
    let budget = Budget { tokens: Some(tokens), ..Budget::default() };
    let server = Server::start(behaviour::consensus(&["four"]));
    let ran = run(spec(&[&server, &server, &server], Policy { budget, ..policy() })).await;
    ran.reached_consensus(3);
    assert_eq!(ran.retired(), Vec::<String>::new());
    assert_eq!(ran.count(|body| matches!(body, EventBody::WrapUpStarted { .. })), 0);
    assert!(ran.finished.spent.tokens <= tokens, "{:?}", ran.finished.spent);

    let (mut estimates, mut reserved) = (BTreeMap::new(), BTreeMap::new());
    let (mut spent, mut n_waited, mut last) = (0, 0, None);
    for event in &ran.events {
        match &event.body {
            EventBody::CallRequested { call, estimate } => {
                last = Some(*call);
                estimates.insert(*call, estimate.tokens);
            }
            EventBody::CallGranted { call } => {
                n_waited += usize::from(last != Some(*call));
                reserved.insert(*call, estimates[call]);
                assert_eq!(reserved.len(), 1, "at {}", event.seq);
                assert!(spent + estimates[call] <= tokens, "at {}", event.seq);
            }
            EventBody::CallFinished { call, spend, .. }
            | EventBody::CallFailed { call, spend, .. }
            | EventBody::CallCancelled { call, spend } => {
                reserved.remove(call);
                spent += spend.tokens;
            }
            _ => {}
        }
    }
    assert!(n_waited >= 2, "only {n_waited} calls have waited");
    assert_eq!(spent, ran.finished.spent.tokens);
}

/// Starts a team and tells it something once the event is there.
async fn told(spec: RunSpec, awaited: fn(&EventBody) -> bool, op: Op) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start(spec, team::options(dir.path())).unwrap();
    let mut watch = session.subscribe();
    while watch.next().await.is_some_and(|event| !awaited(&event.body)) {}
    session.send(op).await;
    team::finish(session, dir).await
}

fn calls(body: &EventBody) -> bool {
    matches!(body, EventBody::CallGranted { .. })
}

fn is_answered(body: &EventBody) -> bool {
    matches!(body, EventBody::AnswerAccepted { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_wraps_up_and_a_stop_stops() {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let hanging = Server::start(behaviour::stall());
    for op in [Op::Interrupt, Op::Stop] {
        let mut spec = spec(&[&healthy, &hanging], policy());
        spec.agents[1].backend.timeouts = CallTimeouts::default();
        let ran = told(spec, is_answered, op.clone()).await;
        match op {
            Op::Interrupt => {
                assert!(matches!(ran.basis(), Basis::Interrupted { .. }));
                assert!(ran.is_presented(), "{:?}", ran.finished.outcome);
                assert!(ran.answer().starts_with("The final answer"), "{}", ran.answer());
            }
            Op::Stop => assert_eq!(ran.finished.outcome, None),
            Op::Permit { .. } => unreachable!("not among those told"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_before_any_answer_waits_for_the_first_and_presents_it() {
    let slow = behaviour::delayed(Duration::from_secs(1), behaviour::consensus(&["four"]));
    let server = Server::start(slow);
    let ran = told(spec(&[&server, &server], policy()), calls, Op::Interrupt).await;
    assert!(matches!(ran.basis(), Basis::Interrupted { .. }), "{:?}", ran.basis());
    assert!(ran.is_presented(), "{:?}", ran.finished.outcome);
    let wrapped_up = |body: &EventBody| {
        matches!(body, EventBody::WrapUpStarted { reason: WrapUpReason::Interrupted })
    };
    assert_eq!(ran.count(wrapped_up), 1);
    assert_eq!(ran.count(|body| matches!(body, EventBody::VoteCast { .. })), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_after_an_interrupt_leaves_a_run_that_is_resumed_to_its_wrap_up() {
    let script = behaviour::first(2, behaviour::stall(), behaviour::consensus(&["four"]));
    let server = Server::start(script);
    let mut spec = spec(&[&server, &server], policy());
    for agent in &mut spec.agents {
        agent.backend.timeouts = CallTimeouts::default();
    }
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start(spec.clone(), team::options(dir.path())).unwrap();
    server.until(|stats| stats.requests == 2).await;
    session.send(Op::Interrupt).await;
    session.send(Op::Stop).await;
    let stopped = session.join().await;
    assert_eq!(stopped.outcome, None);
    let run = RunDir::open(&stopped.path).unwrap();
    let asked = |event: &Event| matches!(event.body, EventBody::InterruptRequested);
    assert!(team::events(&stopped.path).iter().any(asked));
    let session = Session::resume(run, spec, team::options(dir.path())).unwrap();
    let ran = team::finish(session, dir).await;
    assert!(matches!(ran.basis(), Basis::Interrupted { .. }), "{:?}", ran.basis());
    assert!(ran.is_presented(), "{:?}", ran.finished.outcome);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_ends_with_the_run_while_its_session_is_held() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let dir = tempfile::tempdir().unwrap();
    let session =
        Session::start(spec(&[&server, &server], policy()), team::options(dir.path())).unwrap();
    let mut watch = session.subscribe();
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        let mut seen = 0;
        while watch.next().await.is_some() {
            seen += 1;
        }
        seen
    });
    let seen = seen.await.expect("the watcher waits for ever");
    assert_eq!(seen, team::finish(session, dir).await.events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_sleeps_slows_nobody_and_misses_nothing() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let dir = tempfile::tempdir().unwrap();
    // More events than a watcher's queue holds.
    let session =
        Session::start(spec(&vec![&server; 300], policy()), team::options(dir.path())).unwrap();
    let mut watch = session.subscribe();
    let ran = team::finish(session, dir).await;
    assert!(ran.events.len() > 4_096, "{} events are no test", ran.events.len());
    let mut seen = Vec::new();
    while let Some(event) = watch.next().await {
        seen.push(event.seq);
    }
    assert_eq!(seen, (0..ran.events.len() as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_counts_nothing_is_counted_for() {
    let answer = "four ".repeat(3_000);
    let inner = behaviour::consensus(&[&answer]);
    // The same moves without any usage chunk.
    let server = Server::start(massgen_testkit::script(move |request| {
        let reply = inner(request);
        let body = String::from_utf8(reply.body().to_vec()).unwrap();
        let frames = body.split_inclusive("\n\n").filter(|frame| !frame.contains("\"usage\":{"));
        massgen_testkit::Reply::sse(frames.collect::<String>())
    }));
    let ran = run(spec(&[&server], policy())).await;
    assert!(ran.answer().starts_with("four four"));
    // Most of it was written as a tool's argument: 15,000 bytes are some 5,000 tokens.
    assert!(ran.finished.spent.tokens > 4_000, "{:?}", ran.finished.spent);
}
