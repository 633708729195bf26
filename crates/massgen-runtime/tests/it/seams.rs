//! What happens behind the seams, good or bad, ends, counts once and stops nobody else.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use massgen_protocol::{
    AgentIndex, AnswerId, Deadlines, EventBody, Outcome, Policy, RetireReason, SnapshotId,
    ToolEffect, ToolOutput,
};
use massgen_runtime::{Seams, Session, Snapshots, ToolRequest, Tools};
use massgen_testkit::{Reply, Request, Script, Server, behaviour, script};
use serde_json::json;
use tokio::sync::Barrier;

use crate::team::{self, policy, spec};
use crate::tools::{Counter, offer};

/// Copies that are all under way before one of them is ready.
struct Copies {
    all_under_way: Arc<Barrier>,
    taken: Arc<Mutex<Vec<AnswerId>>>,
}

impl Snapshots for Copies {
    fn take(&self, answer: AnswerId) -> BoxFuture<'static, Result<SnapshotId, String>> {
        self.taken.lock().unwrap().push(answer);
        let all = self.all_under_way.clone();
        Box::pin(async move {
            all.wait().await;
            Ok(SnapshotId(format!("copy of {answer}")))
        })
    }
}

/// How the copy of the third agent's workspace goes wrong.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Error,
    PanicAtOnce,
    PanicLater,
}

impl Snapshots for Mishap {
    fn take(&self, answer: AnswerId) -> BoxFuture<'static, Result<SnapshotId, String>> {
        let mishap = (answer.agent == AgentIndex(2)).then_some(*self);
        assert!(!matches!(mishap, Some(Mishap::PanicAtOnce)), "no such folder");
        Box::pin(async move {
            match mishap {
                None => Ok(SnapshotId::empty()),
                Some(Mishap::Error) => Err("no such folder".to_owned()),
                Some(Mishap::PanicAtOnce | Mishap::PanicLater) => panic!("no such folder"),
            }
        })
    }
}

/// A tool that never comes back, or not in one piece.
struct Bad {
    panics: bool,
}

impl Tools for Bad {
    fn call(&self, _request: ToolRequest) -> BoxFuture<'static, ToolOutput> {
        assert!(!self.panics, "index out of bounds");
        Box::pin(std::future::pending())
    }
}

/// Calls the tool `n` times and then plays a reasonable agent.
fn counts_first(n: usize) -> Script {
    let inner = behaviour::consensus(&["counted"]);
    script(move |request| {
        if request.earlier_calls("count") == n {
            return inner(request);
        }
        let id = format!("count_{}", request.n);
        Reply::stream().tool_call(0, &id, "count", &json!({})).finish("tool_calls").done()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_has_its_own_copy_and_a_vote_takes_none() {
    let server = Server::start(behaviour::consensus(&["four", "five", "six"]));
    let dir = tempfile::tempdir().unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let copies = Copies { all_under_way: Arc::new(Barrier::new(3)), taken: taken.clone() };
    let mut options = team::options(dir.path());
    options.seams = Seams { snapshots: Arc::new(copies), ..Seams::default() };
    let session = Session::start(spec(&[&server; 3], policy()), options).unwrap();
    let ran = team::finish(session, dir).await;
    ran.reached_consensus(3);
    let accepted: Vec<(AnswerId, SnapshotId)> = ran
        .events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::AnswerAccepted { answer, snapshot, .. } => Some((*answer, snapshot.clone())),
            _ => None,
        })
        .collect();
    for (answer, snapshot) in &accepted {
        assert_eq!(*snapshot, SnapshotId(format!("copy of {answer}")));
    }
    let taken: Vec<AnswerId> = taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 3, "one copy an answer, whoever looks at it: {taken:?}");
    let accepted: BTreeSet<AnswerId> = accepted.iter().map(|(answer, _)| *answer).collect();
    assert_eq!(accepted, taken.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_is_told_and_holds_up_nobody() {
    for mishap in [Mishap::Error, Mishap::PanicAtOnce, Mishap::PanicLater] {
        let server = Server::start(behaviour::consensus(&["four", "five", "six"]));
        // Each agent answers, so that the third has something to copy.
        let eager = Server::start(behaviour::always_answers());
        let dir = tempfile::tempdir().unwrap();
        let mut options = team::options(dir.path());
        options.seams = Seams { snapshots: Arc::new(mishap), ..Seams::default() };
        let spec = spec(&[&server, &server, &eager], policy());
        let ran = team::finish(Session::start(spec, options).unwrap(), dir).await;
        ran.reached_consensus(2);
        assert_eq!(ran.retired(), ["agent3"], "{mishap:?}");
        let told = ran.events.iter().filter_map(|event| match &event.body {
            EventBody::SnapshotFailed { message, .. } => Some(message.as_str()),
            _ => None,
        });
        let told: Vec<&str> = told.collect();
        assert_eq!(told.len(), policy().failures_max as usize, "{mishap:?}: {told:?}");
        assert!(told.iter().all(|message| message.contains("no such folder")), "{told:?}");
        // Python emptied the workspace all the same; here the answer is not even shown.
        let shown = server.requests().iter().any(|r| r.body.to_string().contains("answer number"));
        assert!(!shown, "{mishap:?}: an answer without its files was shown");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_only_calls_tools_is_bounded() {
    let healthy = Server::start(counts_first(1));
    let looping = Server::start(counts_first(usize::MAX));
    let dir = tempfile::tempdir().unwrap();
    let counted = Arc::new(AtomicUsize::new(0));
    let mut options = team::options(dir.path());
    options.seams = Seams { tools: Arc::new(Counter(counted)), ..Seams::default() };
    let policy = Policy { turns_max: 5, exhausted_rounds_max: 2, ..policy() };
    let mut team = spec(&[&healthy, &healthy, &looping], policy);
    offer(&mut team, "count", ToolEffect::Read);
    let session = Session::start(team, options).unwrap();
    let finished = tokio::time::timeout(Duration::from_secs(60), session.join()).await.unwrap();
    assert!(matches!(finished.outcome, Some(Outcome::Answered { presented: true, .. })));
    assert_eq!(looping.stats().requests, 10, "two rounds of five calls");
    let retired = team::events(&finished.path).into_iter().any(|event| {
        let EventBody::AgentRetired { agent, reason } = event.body else { return false };
        agent == AgentIndex(2) && matches!(reason, RetireReason::NoChoice { rounds: 2 })
    });
    assert!(retired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_panics_is_an_error_its_model_reads() {
    let server = Server::start(counts_first(1));
    let dir = tempfile::tempdir().unwrap();
    let mut options = team::options(dir.path());
    options.seams = Seams { tools: Arc::new(Bad { panics: true }), ..Seams::default() };
    let mut team = spec(&[&server], policy());
    offer(&mut team, "count", ToolEffect::Read);
    let session = Session::start(team, options).unwrap();
    let finished = tokio::time::timeout(Duration::from_secs(60), session.join()).await.unwrap();
    assert_eq!(finished.answer.as_deref().map(String::as_str), Some("counted"));
    let sent = server.requests()[1].body.to_string();
    assert!(sent.contains("the tool panicked: index out of bounds"), "{sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_never_returns_ends_with_its_round() {
    let healthy = Server::start(behaviour::consensus(&["four"]));
    let stuck = Server::start(counts_first(1));
    let dir = tempfile::tempdir().unwrap();
    let mut options = team::options(dir.path());
    options.seams = Seams { tools: Arc::new(Bad { panics: false }), ..Seams::default() };
    let deadlines = Deadlines {
        first_round_ms: Some(200),
        later_round_ms: Some(200),
        round_grace_ms: 50,
        ..Deadlines::default()
    };
    let policy = Policy { deadlines, failures_max: 1, ..policy() };
    // The healthy ones never call it.
    let mut team = spec(&[&healthy, &healthy, &stuck], policy);
    offer(&mut team, "count", ToolEffect::Read);
    let session = Session::start(team, options).unwrap();
    let finished = tokio::time::timeout(Duration::from_secs(60), session.join()).await.unwrap();
    assert!(matches!(finished.outcome, Some(Outcome::Answered { .. })));
    let events = team::events(&finished.path);
    let outputs: Vec<&str> = events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::ToolFinished { output, is_error: true, .. } => Some(output.text()),
            _ => None,
        })
        .collect();
    assert_eq!(outputs, ["cancelled: the round is over"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_prompt_speaks_of_tools_only_where_there_are_some() {
    for has_tools in [true, false] {
        let server = Server::start(behaviour::consensus(&["four"]));
        let dir = tempfile::tempdir().unwrap();
        let options = team::options(dir.path());
        let mut team = spec(&[&server], policy());
        if has_tools {
            offer(&mut team, "count", ToolEffect::Read);
        }
        let session = Session::start(team, options).unwrap();
        assert!(session.join().await.outcome.is_some());
        let requests = server.requests();
        let system = Request::text_of(&requests[0].messages()[0]);
        assert_eq!(requests[0].tool("count").is_some(), has_tools);
        assert_eq!(system.contains("your other tools"), has_tools, "{system}");
    }
}
