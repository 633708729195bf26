//! The seam for tools: receipts before and after, results back to the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use massgen_protocol::{
    EventBody, Media, MediaKind, MediaSource, OfferedTool, Policy, RunSpec, SnapshotId, ToolEffect,
    ToolOutput, ToolReport, ToolSpec, Toolset,
};
use massgen_runtime::{Seams, Session, ToolRequest, Tools};
use massgen_testkit::{Reply, Server, behaviour, script};
use serde_json::json;

use crate::team::{self, policy, spec};

/// Counts how often it is called.
pub struct Counter(pub Arc<AtomicUsize>);

impl Tools for Counter {
    fn call(&self, _request: ToolRequest) -> BoxFuture<'static, ToolOutput> {
        let n = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Box::pin(async move { ToolOutput::text(format!("count is {n}")) })
    }
}

/// Offers a tool of this name to all agents.
pub fn offer(spec: &mut RunSpec, name: &str, effect: ToolEffect) {
    let parameters = json!({"type": "object", "properties": {}});
    let tool = ToolSpec { name: name.to_owned(), description: "Counts.".to_owned(), parameters };
    let tools = vec![OfferedTool { spec: tool, effect }];
    spec.toolsets = vec![Toolset { tools, ..Toolset::default() }];
    for agent in &mut spec.agents {
        agent.toolset = Some(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_run_with_a_receipt_and_their_results_reach_the_model() {
    let inner = behaviour::consensus(&["four"]);
    let server = Server::start(script(move |request| {
        // First count, then write the answer and count again in one reply.
        match request.earlier_calls("count") {
            0 => Reply::stream().tool_call(0, "c1", "count", &json!({})),
            1 => Reply::stream().tool_call(0, "c2", "count", &json!({})).tool_call(
                1,
                "a1",
                "new_answer",
                &json!({"content": "counted"}),
            ),
            _ => return inner(request),
        }
        .finish("tool_calls")
        .done()
    }));
    let dir = tempfile::tempdir().unwrap();
    let counted = Arc::new(AtomicUsize::new(0));
    let mut options = team::options(dir.path());
    options.seams = Seams { tools: Arc::new(Counter(counted.clone())), ..Seams::default() };
    let mut team = spec(&[&server], Policy { sole_agent_votes: true, ..policy() });
    offer(&mut team, "count", ToolEffect::Write);
    let session = Session::start(team, options).unwrap();
    let finished = session.join().await;
    let events = team::events(&finished.path);
    assert_eq!(counted.load(Ordering::SeqCst), 2, "no call is lost and none is run twice");
    let started =
        events.iter().filter(|event| matches!(event.body, EventBody::ToolStarted { .. })).count();
    let done: Vec<&str> = events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::ToolFinished { output, .. } => Some(output.text()),
            _ => None,
        })
        .collect();
    assert_eq!((started, done), (2, vec!["count is 1", "count is 2"]));
    let sent = server.requests().last().unwrap().body.to_string();
    assert!(sent.contains("count is 1") && sent.contains("count is 2"), "{sent}");
}

/// A tool that shows a picture, shares what it found, and says what it does meanwhile.
struct Finds;

impl Tools for Finds {
    fn call(&self, request: ToolRequest) -> BoxFuture<'static, ToolOutput> {
        (request.reports)(ToolReport::Output { text: "looking".to_owned() });
        (request.reports)(ToolReport::Insight {
            text: format!("{} has counted two", request.agent.alias()),
            file: Some("count.txt".to_owned()),
            evidence: Some(SnapshotId("ab".repeat(32))),
        });
        let picture = Media {
            kind: MediaKind::Image,
            media_type: "image/png".to_owned(),
            name: None,
            source: MediaSource::Inline { base64: "aGk=".to_owned() },
        };
        Box::pin(
            async move { ToolOutput { media: vec![picture], ..ToolOutput::text("see below") } },
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_reach_the_others_without_a_restart_and_pictures_are_shown() {
    let calls_first = |inner: massgen_testkit::Script| {
        script(move |request| {
            if request.earlier_calls("look") == 0 {
                let reply = Reply::stream().tool_call(0, "l1", "look", &json!({}));
                return reply.finish("tool_calls").done();
            }
            inner(request)
        })
    };
    let first = Server::start(calls_first(behaviour::consensus(&["four"])));
    let second = Server::start(calls_first(behaviour::consensus(&["four"])));
    let dir = tempfile::tempdir().unwrap();
    let mut options = team::options(dir.path());
    options.seams = Seams { tools: Arc::new(Finds), ..Seams::default() };
    let mut team = spec(&[&first, &second], policy());
    offer(&mut team, "look", ToolEffect::Write);
    let ran = team::finish(Session::start(team, options).unwrap(), dir).await;
    ran.reached_consensus(2);
    // Each is told what the other found, and nobody what it found itself.
    for (server, own, other) in [(&first, "agent1", "agent2"), (&second, "agent2", "agent1")] {
        let last = server.requests().last().unwrap().body.to_string();
        assert!(last.contains(&format!("{other} has counted two")), "{last}");
        assert!(last.contains(&format!("{other}-insight-1/count.txt")), "{last}");
        assert!(!last.contains(&format!("{own} has counted two")), "{last}");
        assert!(last.contains("data:image/png;base64,aGk="), "{last}");
    }
    let opened = ran.events.iter().filter(
        |event| matches!(&event.body, EventBody::RoundOpened { round, .. } if round.n == 1),
    );
    assert_eq!(opened.count(), 2, "nobody started over for a finding");
    let kinds: Vec<&str> = ran
        .events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::ToolStarted { round, .. } if round.agent.0 == 0 => Some("started"),
            EventBody::ToolOutputStreamed { round, .. } if round.agent.0 == 0 => Some("output"),
            EventBody::InsightShared { round, .. } if round.agent.0 == 0 => Some("insight"),
            EventBody::ToolFinished { round, .. } if round.agent.0 == 0 => Some("finished"),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["started", "output", "insight", "finished"]);
}
