//! What models are sent: conversations that only grow, aliases only, no call without a result.

use std::collections::{BTreeMap, BTreeSet};

use massgen_protocol::{EventBody, Policy};
use massgen_testkit::{Reply, Server, behaviour, script};
use serde_json::{Value, json};

use crate::team::{policy, run, spec};

/// Requests by agent; each of these teams has a model of its own name for each.
fn by_model(server: &Server) -> BTreeMap<String, Vec<Value>> {
    let mut requests: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for request in server.requests() {
        requests.entry(request.model().to_owned()).or_default().push(request.body.clone());
    }
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_only_grows_so_that_prompt_caches_hold() {
    let server = Server::start(behaviour::consensus(&["four", "five", "six"]));
    let mut spec = spec(&[&server, &server, &server], policy());
    for (at, agent) in spec.agents.iter_mut().enumerate() {
        agent.backend.model = format!("model-{at}");
    }
    let ran = run(spec).await;
    ran.reached_consensus(3);
    let mut restarts = 0;
    for requests in by_model(&server).values_mut() {
        // A call that was given up may reach the server after the one in its place.
        requests.sort_by_key(|request| request["messages"].as_array().unwrap().len());
        for pair in requests.windows(2) {
            let (before, after) = (&pair[0]["messages"], &pair[1]["messages"]);
            let (before, after) = (before.as_array().unwrap(), after.as_array().unwrap());
            assert!(after.len() > before.len());
            assert_eq!(before[..], after[..before.len()], "earlier messages never change");
            assert_eq!(pair[0]["tools"], pair[1]["tools"]);
            restarts += 1;
        }
    }
    assert!(restarts >= 3, "{restarts} pairs prove little");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_see_aliases_never_ids_and_never_a_call_without_its_result() {
    let inner = behaviour::consensus(&["four"]);
    // After its answer each agent breaks three rules: both tools, a stray tool, an unknown alias.
    let server = Server::start(script(move |request| {
        let said = request.messages().iter().filter(|message| message["role"] == "assistant");
        let broken = Reply::stream();
        match said.count() {
            1 => broken
                .tool_call(0, "x1", "vote", &json!({"agent_id": "agent1", "reason": "r"}))
                .tool_call(1, "x2", "new_answer", &json!({"content": "both"})),
            2 => broken.tool_call(0, "y1", "no_such_tool", &json!({})),
            3 => broken.tool_call(0, "z1", "vote", &json!({"agent_id": "agent9", "reason": "r"})),
            _ => return inner(request),
        }
        .finish("tool_calls")
        .done()
    }));
    let mut spec = spec(&[&server, &server, &server], policy());
    for (at, agent) in spec.agents.iter_mut().enumerate() {
        agent.id.0 = format!("zaphod-{at}");
    }
    let ran = run(spec).await;
    ran.reached_consensus(3);
    assert!(ran.count(|body| matches!(body, EventBody::RuleEnforced { .. })) > 0);
    for request in server.requests() {
        assert!(!request.body.to_string().contains("zaphod"), "an id leaked: {}", request.body);
        let mut open: BTreeSet<String> = BTreeSet::new();
        for message in request.messages() {
            if message["role"] == "tool" {
                assert!(
                    open.remove(message["tool_call_id"].as_str().unwrap()),
                    "a result of nothing"
                );
                continue;
            }
            assert!(open.is_empty(), "calls without results: {open:?}");
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                open.insert(call["id"].as_str().unwrap().to_owned());
            }
        }
        assert!(open.is_empty(), "calls without results: {open:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_can_send_the_team_back_once() {
    let inner = behaviour::consensus(&["four", "five", "six", "seven"]);
    let reviews = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(script(move |request| {
        if request.last_user_has("<previous_attempt>") {
            let n = request.n;
            let answer = json!({"content": format!("{n} Gpc")});
            return Reply::stream()
                .tool_call(0, "n", "new_answer", &answer)
                .finish("tool_calls")
                .done();
        }
        if request.tool("restart_orchestration").is_none() {
            return inner(request);
        }
        reviews.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let again = json!({"reason": "no unit", "instructions": "give the unit"});
        Reply::stream()
            .tool_call(0, "r", "restart_orchestration", &again)
            .finish("tool_calls")
            .done()
    }));
    let ran = run(spec(&[&server, &server], Policy { restarts_max: 1, ..policy() })).await;
    ran.reached_consensus(2);
    assert_eq!(ran.count(|body| matches!(body, EventBody::AttemptRestarted { .. })), 1);
    assert_eq!(ran.count(|body| matches!(body, EventBody::AttemptStarted { .. })), 2);
    let told = server
        .requests()
        .iter()
        .filter(|request| request.body.to_string().contains("give the unit"))
        .count();
    assert!(told >= 2, "both agents are told why");
}
