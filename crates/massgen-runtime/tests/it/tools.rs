//! The seam for tools: receipts before and after, results back to the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use massgen_protocol::{
    EventBody, OfferedTool, Policy, RunSpec, ToolEffect, ToolOutput, ToolSpec, Toolset,
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
