//! Faults of the Python MassGen that only a whole run can show to be absent.
//!
//! `docs/faults.md` lists them all; the numbers here are those of its rows.

use std::time::Duration;

use massgen_protocol::{
    AgentIndex, Basis, CallTimeouts, Deadlines, EventBody, OnNewAnswer, Outcome, Policy, Rejection,
    RoundKind, RunSpec,
};
use massgen_runtime::Session;
use massgen_testkit::{Gate, Reply, Request, Script, Server, behaviour, script};
use serde_json::json;

use crate::team::{self, Ran, policy, run, spec};

/// A reasonable agent whose `n`-th reply, counted from 0, waits at the gate.
fn held(n: usize, gate: &Gate, answer: &str) -> Script {
    let inner = behaviour::consensus(&[answer]);
    let (gate, answer) = (gate.clone(), answer.to_owned());
    script(move |request| {
        if request.n != n {
            return inner(request);
        }
        let held = Reply::stream().gate(&gate);
        let vote = json!({"agent_id": "agent1", "reason": "right when I looked"});
        let held = if request.shows_answers() || request.earlier_calls("new_answer") > 0 {
            held.tool_call(0, "held", "vote", &vote)
        } else {
            held.tool_call(0, "held", "new_answer", &json!({ "content": answer }))
        };
        held.finish("tool_calls").done()
    })
}

/// Bounds that no slow machine reaches while it waits for a gate.
fn patient(mut spec: RunSpec) -> RunSpec {
    for agent in &mut spec.agents {
        agent.backend.timeouts = CallTimeouts::default();
    }
    spec
}

fn tools_of(request: &Request) -> Vec<&str> {
    let tools = request.body["tools"].as_array().into_iter().flatten();
    tools.filter_map(|tool| tool["function"]["name"].as_str()).collect()
}

/// What the request says that the one before it did not.
fn news(server: &Server, n: usize) -> String {
    let requests = server.requests();
    let (before, after) = (requests[n - 1].messages(), requests[n].messages());
    assert_eq!(before[..], after[..before.len()], "the conversation goes on");
    after[before.len()..].iter().map(Request::text_of).collect::<Vec<_>>().join("\n")
}

/// Faults 13 and 10: each vote counts at once, or its voter is told at once why it does not.
fn each_vote_has_its_reply(ran: &Ran) {
    let mut votes = 0;
    for pair in ran.events.windows(2) {
        let EventBody::VoteSubmitted { round: of, .. } = &pair[0].body else { continue };
        votes += 1;
        match &pair[1].body {
            EventBody::VoteCast { ballot, .. } => assert_eq!(ballot.voter, of.agent),
            EventBody::SubmissionRejected { round, .. } => assert_eq!(round, of),
            other => panic!("a vote is followed by {other:?}"),
        }
    }
    assert!(votes > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_answer_is_refused_without_naming_anybodys_id() {
    let gate = Gate::new();
    let first = Server::start(behaviour::consensus(&["It is four."]));
    let second = Server::start(held(0, &gate, "  It is\nfour. "));
    let mut spec = patient(spec(&[&first, &second], policy()));
    for (at, agent) in spec.agents.iter_mut().enumerate() {
        agent.id.0 = format!("zaphod-{at}");
    }
    let running = tokio::spawn(run(spec));
    // Asked again means: its answer is in view.
    first.until(|stats| stats.requests == 2).await;
    gate.open();
    let ran = running.await.unwrap();
    ran.reached_consensus(2);
    let rejections = ran.events.iter().filter_map(|event| match &event.body {
        EventBody::SubmissionRejected { rejection, .. } => Some(rejection),
        _ => None,
    });
    let rejections: Vec<&Rejection> = rejections.collect();
    assert!(matches!(rejections[..], [Rejection::Duplicate { .. }]), "{rejections:?}");
    assert_eq!(ran.count(|body| matches!(body, EventBody::AnswerAccepted { .. })), 1);
    assert_eq!(ran.count(|body| matches!(body, EventBody::VotesVoided { .. })), 0);
    assert!(news(&second, 1).contains("agent1.1"), "{}", news(&second, 1));
    for request in first.requests().iter().chain(&second.requests()) {
        assert!(!request.body.to_string().contains("zaphod"), "{}", request.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_agent_is_sent_the_news_and_keeps_its_conversation() {
    let gate = Gate::new();
    let quick = Server::start(held(0, &gate, "It is four."));
    let slow = Server::start(behaviour::first(
        1,
        behaviour::stall_midway(),
        behaviour::consensus(&["It is five."]),
    ));
    let policy = Policy { on_new_answer: OnNewAnswer::Interrupt, ..policy() };
    let running = tokio::spawn(run(patient(spec(&[&quick, &slow], policy))));
    slow.until(|stats| stats.requests == 1).await;
    gate.open();
    let ran = running.await.unwrap();
    ran.reached_consensus(2);
    assert!(news(&slow, 1).contains("It is four."), "{}", news(&slow, 1));
    let question = Request::text_of(&slow.requests()[1].messages()[1]);
    assert!(question.contains("two and two"), "{question}");
    // What it was saying when it was called back went with its connection.
    let within = Duration::from_secs(10);
    let left = slow.until(|stats| stats.disconnects == 1);
    tokio::time::timeout(within, left).await.expect("the old call is still open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_that_comes_too_late_is_told_so_and_costs_nothing() {
    let (answer, vote) = (Gate::new(), Gate::new());
    let first = Server::start(held(1, &vote, "It is four."));
    let second = Server::start(held(0, &answer, "It is five."));
    let policy = Policy { on_new_answer: OnNewAnswer::Wait, ..policy() };
    let running = tokio::spawn(run(patient(spec(&[&first, &second], policy))));
    first.until(|stats| stats.requests == 2).await;
    answer.open();
    second.until(|stats| stats.requests == 2).await;
    vote.open();
    let ran = running.await.unwrap();
    ran.reached_consensus(2);
    each_vote_has_its_reply(&ran);
    let stale = |body: &EventBody| {
        let EventBody::SubmissionRejected { rejection, .. } = body else { return false };
        matches!(rejection, Rejection::Stale { .. })
    };
    assert_eq!(ran.count(stale), 1);
    assert_eq!(ran.count(|body| matches!(body, EventBody::RuleEnforced { .. })), 0);
    assert_eq!(ran.count(|body| matches!(body, EventBody::AgentFailed { .. })), 0);
    assert!(news(&first, 2).contains("It is five."), "{}", news(&first, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vote_of_a_large_team_has_its_reply() {
    let ran = team::run_on(behaviour::consensus(&["four"]), 20, policy()).await;
    ran.reached_consensus(20);
    each_vote_has_its_reply(&ran);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_server_is_called_so_many_times_and_no_more() {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let failing = Server::start(behaviour::fails(500));
    let policy = policy();
    let mut spec = spec(&[&healthy, &healthy, &failing], policy.clone());
    spec.agents[2].backend.tries_max = 1;
    let ran = run(spec).await;
    ran.reached_consensus(2);
    assert_eq!(failing.stats().requests, policy.failures_max as usize);
    assert!(ran.events.len() < 200, "{} events", ran.events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_comes_to_its_senses_late_is_not_lost() {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let late = Server::start(behaviour::first(
        3,
        behaviour::only_talks("Let me think."),
        behaviour::consensus(&["five"]),
    ));
    let ran = run(spec(&[&healthy, &late], policy())).await;
    ran.reached_consensus(2);
    assert_eq!(ran.count(|body| matches!(body, EventBody::RuleEnforced { .. })), 3);
    assert_eq!(ran.retired(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_inside_a_reply_is_a_failure_and_no_silence() {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let failing = Server::start(script(|_| {
        let error = json!({"error": {"message": "upstream broke", "code": 502}});
        Reply::stream().text("I was about to ").chunk(&error).done()
    }));
    let mut spec = spec(&[&healthy, &healthy, &failing], policy());
    spec.agents[2].backend.tries_max = 1;
    let ran = run(spec).await;
    ran.reached_consensus(2);
    assert_eq!(ran.retired(), ["agent3"]);
    assert_eq!(ran.count(|body| matches!(body, EventBody::CallFailed { .. })), 3);
    assert_eq!(ran.count(|body| matches!(body, EventBody::RuleEnforced { .. })), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presenter_that_hangs_is_cut_off_and_nobody_presents_again() {
    let inner = behaviour::consensus(&["four"]);
    let server = Server::start(script(move |request| {
        if request.last_user_has("<present>") {
            return Reply::stream().text("The answer is ").stall();
        }
        inner(request)
    }));
    let deadlines = Deadlines { presentation_ms: Some(200), ..Deadlines::default() };
    let ran = run(patient(spec(&[&server, &server], Policy { deadlines, ..policy() }))).await;
    ran.reached_consensus(2);
    assert!(ran.answer().starts_with("four"), "{}", ran.answer());
    let presented = matches!(ran.finished.outcome, Some(Outcome::Answered { presented: true, .. }));
    assert!(!presented, "half a text is no presentation");
    let presentations = ran.count(|body| match body {
        EventBody::RoundOpened { kind, .. } => *kind == RoundKind::Present,
        _ => false,
    });
    assert_eq!(presentations, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_given_up_does_not_outlive_the_run() {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let hanging = Server::start(behaviour::stall_midway());
    let deadlines = Deadlines { attempt_ms: Some(400), ..Deadlines::default() };
    let policy = Policy { deadlines, ..policy() };
    let ran = run(patient(spec(&[&healthy, &hanging], policy))).await;
    assert!(matches!(ran.basis(), Basis::Deadline { .. }), "{:?}", ran.basis());
    let left = hanging.until(|stats| stats.disconnects == stats.requests);
    tokio::time::timeout(Duration::from_secs(10), left).await.expect("a call goes on");
    let requested = ran.count(|body| matches!(body, EventBody::CallGranted { .. }));
    let settled = ran.count(|body| {
        matches!(
            body,
            EventBody::CallFinished { .. }
                | EventBody::CallFailed { .. }
                | EventBody::CallCancelled { .. }
        )
    });
    assert_eq!(requested, settled, "every call has its end in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_of_one_agent_holds_up_nobody_else() {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let limited = Server::start(behaviour::first(
        1,
        behaviour::rate_limited(2),
        behaviour::consensus(&["five"]),
    ));
    let ran = run(spec(&[&healthy, &healthy, &limited], policy())).await;
    ran.reached_consensus(3);
    let of_the_limited = |body: &EventBody| match body {
        EventBody::CallFinished { call, .. } => call.round.agent == AgentIndex(2),
        _ => false,
    };
    let back = ran.events.iter().position(|event| of_the_limited(&event.body)).unwrap();
    let meanwhile = &ran.events[..back];
    let votes = meanwhile.iter().filter(|event| matches!(event.body, EventBody::VoteCast { .. }));
    assert!(votes.count() >= 2, "the others waited for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_of_one_process_keep_apart() {
    let dir = tempfile::tempdir().unwrap();
    let servers = ["north", "south"].map(|answer| Server::start(behaviour::consensus(&[answer])));
    let sessions = ["north", "south"].map(|side| {
        let server = &servers[usize::from(side == "south")];
        let mut spec = spec(&[server, server], policy());
        spec.question.text = format!("Which side is {side}?");
        (side, Session::start(spec, team::options(dir.path())).unwrap())
    });
    assert_ne!(sessions[0].1.path(), sessions[1].1.path());
    for (side, session) in sessions {
        let path = session.path().to_owned();
        assert!(session.join().await.outcome.is_some());
        let asked = team::events(&path).into_iter().filter_map(|event| match event.body {
            EventBody::QuestionAsked { question } => Some(question.text),
            _ => None,
        });
        assert_eq!(asked.collect::<Vec<_>>(), [format!("Which side is {side}?")]);
        let other = if side == "north" { "south" } else { "north" };
        let log = std::fs::read_to_string(path.join("events.jsonl")).unwrap();
        assert!(log.contains(side) && !log.contains(other), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_tokens_are_a_handful_of_events() {
    let ran = team::run_on(behaviour::talkative(3_000), 2, policy()).await;
    ran.reached_consensus(2);
    // Two rounds each at least, every one with its tokens.
    let pieces = ran.count(|body| matches!(body, EventBody::TextStreamed { .. }));
    assert!((1..600).contains(&pieces), "{pieces} pieces");
    let rest = ran.events.len() - pieces;
    assert!(rest < 100, "{rest} events besides");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sole_agents_offer_is_the_same_in_every_round() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let policy = Policy { sole_agent_votes: true, ..policy() };
    run(spec(&[&server], policy)).await.reached_consensus(1);
    let requests = server.requests();
    assert_eq!(requests.len(), 3, "an answer, a vote, a presentation");
    for request in &requests {
        assert_eq!(tools_of(request), ["new_answer", "vote"]);
        assert_eq!(request.body["tools"], requests[0].body["tools"]);
    }
}
