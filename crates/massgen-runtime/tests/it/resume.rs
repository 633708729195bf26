//! A run goes on from any point of its log.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use massgen_log::RunDir;
use massgen_protocol::{CallId, Event, EventBody, Outcome, Policy, RunSpec};
use massgen_runtime::{Finished, Session, StartError};
use massgen_testkit::{Reply, Server, behaviour, script};
use serde_json::json;

use crate::team::{self, policy, spec};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn resume(path: &Path, spec: &RunSpec) -> Result<Finished, StartError> {
    let run = RunDir::open(path).unwrap();
    let session = Session::resume(run, spec.clone(), team::options(path.parent().unwrap()))?;
    Ok(tokio::time::timeout(std::time::Duration::from_secs(30), session.join()).await.unwrap())
}

/// Calls that finished, in the order of the log; none may be there twice.
fn finished_calls(path: &Path) -> Vec<CallId> {
    let calls: Vec<CallId> = team::events(path)
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::CallFinished { call, .. } => Some(*call),
            _ => None,
        })
        .collect();
    let unique: BTreeSet<_> = calls.iter().copied().collect();
    assert_eq!(unique.len(), calls.len(), "a finished call was made again: {calls:?}");
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_cut_after_any_event_is_continued_to_the_same_end() {
    let server = Server::start(behaviour::consensus(&["four", "five", "six"]));
    let faulty =
        Server::start(behaviour::first(2, behaviour::fails(500), behaviour::consensus(&["seven"])));
    let mut team = spec(&[&server, &server, &faulty], policy());
    team.agents[2].backend.tries_max = 1;
    let ran = team::run(team.clone()).await;
    ran.reached_consensus(3);
    let scratch = tempfile::tempdir().unwrap();
    let lines = fs::read(ran.finished.path.join("events.jsonl")).unwrap();
    let ends: Vec<usize> =
        (0..lines.len()).filter(|&at| lines[at] == b'\n').map(|at| at + 1).collect();
    for (n, end) in ends.iter().enumerate() {
        // Half of the next line is there too: what a kill in mid-write leaves.
        let torn = ends.get(n + 1).map_or(*end, |next| (end + next) / 2);
        for (cut, name) in [(*end, "whole"), (torn, "torn")] {
            let path = scratch.path().join(format!("{n}-{name}"));
            copy(&ran.finished.path, &path);
            fs::write(path.join("events.jsonl"), &lines[..cut]).unwrap();
            let before = finished_calls(&path);
            match resume(&path, &team).await {
                Ok(finished) => {
                    assert!(finished.outcome.is_some(), "cut after event {n}");
                    let Some(Outcome::Answered { winner, .. }) = finished.outcome else {
                        panic!("cut after event {n}: {:?}", finished.outcome)
                    };
                    assert_eq!(winner.agent.alias().to_string(), "agent1", "cut after event {n}");
                    let after = finished_calls(&path);
                    assert_eq!(after[..before.len()], before[..]);
                    let report = massgen_runtime::check(&RunDir::open(&path).unwrap()).unwrap();
                    assert_eq!(report.divergence, None, "cut after event {n}");
                }
                Err(StartError::Finished) => assert_eq!(n + 1, ends.len(), "cut after event {n}"),
                Err(error) => panic!("cut after event {n}: {error:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_changed_is_told_apart() {
    let ran = team::run_on(behaviour::consensus(&["four"]), 2, policy()).await;
    let file = ran.finished.path.join("events.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let forged =
        text.replacen("\"choice\":\"agent1\",\"reason\"", "\"choice\":\"agent2\",\"reason\"", 1);
    assert_ne!(text, forged, "the vote is where this test looks for it");
    fs::write(&file, forged).unwrap();
    let run = RunDir::open(&ran.finished.path).unwrap();
    let report = massgen_runtime::check(&run).unwrap();
    let divergence = report.divergence.expect("a forged vote is found");
    assert!(matches!(
        divergence.recorded,
        EventBody::VoteSubmitted { .. } | EventBody::VoteCast { .. }
    ));
}

/// The log holds all that a model was sent, what it was told for its broken rules included:
/// taken up after any call was granted, that call is made with the very same words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_resumed_agent_is_sent_is_what_it_would_have_been_sent() {
    let server = Server::start(script(|request| {
        let said = request.messages().iter().filter(|message| message["role"] == "assistant");
        let vote = json!({"agent_id": "agent1", "reason": "counted"});
        let reply = Reply::stream();
        match said.count() {
            0 => return reply.text("Let me think.").finish("stop").done(),
            1 => reply.tool_call(0, "a", "vote", &vote).tool_call(1, "b", "no_such_tool", &vote),
            2 => reply.tool_call(0, "c", "new_answer", &json!({"content": "four"})),
            3 => reply.tool_call(0, "d", "vote", &json!({"agent_id": "agent7", "reason": "r"})),
            4 => reply.tool_call(0, "e", "vote", &vote),
            _ => return reply.text("It is four.").finish("stop").done(),
        }
        .finish("tool_calls")
        .done()
    }));
    let team = spec(&[&server], Policy { sole_agent_votes: true, ..policy() });
    let ran = team::run(team.clone()).await;
    ran.reached_consensus(1);
    let sent = server.requests();
    let lines = fs::read_to_string(ran.finished.path.join("events.jsonl")).unwrap();
    let lines: Vec<&str> = lines.split_inclusive('\n').collect();
    let granted = |event: &Event| matches!(event.body, EventBody::CallGranted { .. });
    let granted = ran.events.iter().enumerate().filter(|(_, event)| granted(event));
    let granted: Vec<usize> = granted.map(|(at, _)| at).collect();
    assert_eq!((granted.len(), sent.len()), (6, 6));
    let scratch = tempfile::tempdir().unwrap();
    for (n, at) in granted.into_iter().enumerate() {
        let path = scratch.path().join(n.to_string());
        copy(&ran.finished.path, &path);
        fs::write(path.join("events.jsonl"), lines[..=at].concat()).unwrap();
        let before = server.stats().requests;
        resume(&path, &team).await.unwrap();
        let again: Vec<_> = server.requests()[before..].iter().map(|r| r.body.clone()).collect();
        let expected: Vec<_> = sent[n..].iter().map(|request| request.body.clone()).collect();
        assert_eq!(again, expected, "taken up at call {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_session_is_let_go_stops_and_can_be_resumed() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let hanging =
        Server::start(behaviour::first(1, behaviour::stall(), behaviour::consensus(&["five"])));
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&[&server, &hanging], policy());
    spec.agents[1].backend.timeouts = massgen_protocol::CallTimeouts::default();
    let session = Session::start(spec.clone(), team::options(dir.path())).unwrap();
    let path = session.path().to_owned();
    let mut watch = session.subscribe();
    while let Some(event) = watch.next().await {
        if matches!(event.body, EventBody::AnswerAccepted { .. }) {
            break;
        }
    }
    // The call that hangs is the one before the stop, not the one after the resume.
    hanging.until(|stats| stats.requests == 1).await;
    drop(session);
    let mut stopped = false;
    while let Some(event) = watch.next().await {
        stopped |= matches!(event.body, EventBody::StopRequested);
    }
    assert!(stopped, "nobody pays for a run that nobody holds");
    // Its loop gives the log back a moment after the last event was shown.
    let finished = loop {
        match resume(&path, &spec).await {
            Ok(finished) => break finished,
            Err(StartError::Log(massgen_log::LogError::Locked { .. })) => {
                tokio::task::yield_now().await
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    assert!(matches!(finished.outcome, Some(Outcome::Answered { presented: true, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_with_a_key_in_it_is_asked_without_and_replays() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let mut spec = spec(&[&server, &server], policy());
    // Put together here, so that this file holds nothing that looks like a key.
    let key = ["sk-", "proj-Ab3dEf6hIj9k", "LmN0pQrStUvWx"].concat();
    spec.question.text = format!("Is {key} a good key?");
    let ran = team::run(spec).await;
    ran.reached_consensus(2);
    assert!(!server.requests()[0].body.to_string().contains(&key), "what is kept is what is asked");
}
