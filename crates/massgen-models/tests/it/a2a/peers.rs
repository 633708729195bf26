//! Agents on the official SDK, and AG2's, as child processes on loopback.

use futures::StreamExt;
use massgen_models::{Driver, connect};
use massgen_protocol::{FailureKind, Message, ModelEvent, Role};
use massgen_testkit::{Reply, Server, script};
use std::sync::Arc;

use super::{going_on, spec};
use crate::peer::{self, Peer};
use crate::support::{Heard, call, listen};

/// Everything that card, binding, version and streaming can be together.
const KINDS: [&str; 8] = [
    "JSONRPC/1.0/streaming",
    "JSONRPC/1.0/polling",
    "JSONRPC/0.3/streaming",
    "JSONRPC/0.3/polling",
    "HTTP+JSON/1.0/streaming",
    "HTTP+JSON/1.0/polling",
    "HTTP+JSON/0.3/streaming",
    "HTTP+JSON/0.3/polling",
];

async fn order(driver: &Driver, order: &str) -> Heard {
    listen(driver, call(vec![Message::text(Role::User, order)])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_sdk_is_understood_in_every_form() {
    let Some(mut command) = peer::python("agents", "a2a") else { return };
    command.arg(peer::script("a2a_agent.py")).args(KINDS);
    let agent = Peer::start(command);
    let agents: Vec<(&str, Arc<Driver>)> =
        KINDS.into_iter().map(|kind| (kind, connect(&spec(&agent.line())).unwrap())).collect();
    for (kind, driver) in &agents {
        let heard = order(driver, "stars").await;
        let turn = heard.turn.unwrap_or_else(|| panic!("{kind}: {:?}", heard.failure));
        assert_eq!(turn.text(), "stars: told 1", "{kind}");
        assert_eq!(heard.text, "stars: told 1", "{kind}");
        if kind.ends_with("streaming") {
            assert_eq!(heard.reasoning, "Looking it up.", "{kind}");
        }
        assert!(heard.notices.is_empty(), "{kind}: {:?}", heard.notices);
        // The agent remembers.
        let turn = listen(driver, going_on(turn, "again")).await.turn.unwrap();
        assert_eq!(turn.text(), "again: told 2", "{kind}");

        let turn = order(driver, "vote").await.turn.unwrap();
        assert_eq!(turn.text(), "I vote.", "{kind}");
        let call = turn.tool_calls().next().unwrap();
        assert_eq!(call.name, "vote", "{kind}");

        assert_eq!(order(driver, "just say it").await.turn.unwrap().text(), "8 Gpc", "{kind}");

        let asks = order(driver, "ask").await.turn.unwrap();
        assert_eq!(asks.text(), "To which star?", "{kind}");
        let turn = listen(driver, going_on(asks, "that one")).await.turn.unwrap();
        assert_eq!(turn.text(), "that one: told 2", "{kind}");

        let failure = order(driver, "fail").await.failure.unwrap();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{kind}");
        assert_eq!(failure.message, "the agent failed: The archive is down.", "{kind}");
    }
    for (kind, driver) in agents.iter().filter(|(kind, _)| kind.ends_with("streaming")) {
        let mut events = driver.call(call(vec![Message::text(Role::User, "hang")]));
        while let Some(event) = events.next().await {
            if matches!(event.unwrap(), ModelEvent::Reasoning(_)) {
                break;
            }
        }
        drop(events);
        // The agent's own word for it, beside which the cancellation has to be sent.
        let word = tokio::task::block_in_place(|| agent.line());
        assert_eq!(word, "canceled", "{kind}");
    }
}

#[tokio::test]
async fn an_ag2_agent_votes_and_is_told_all_each_time() {
    let Some(mut command) = peer::python("agents", "ag2/a2a") else { return };
    let vote =
        "I vote.\n\n```json\n{\"tool\": \"vote\", \"arguments\": {\"content\": \"agent1\"}}\n```";
    let model = Server::start(script(move |request| match request.n {
        0 => Reply::stream().texts(&["8 ", "Gpc"]).finish("stop").usage(10, 2).done(),
        1 => Reply::stream().texts(&[&vote[..20], &vote[20..]]).finish("stop").usage(20, 9).done(),
        _ => Reply::error(500, "server_error", "the model is down"),
    }));
    command.arg(peer::script("ag2_agent.py")).arg(model.base_url());
    let agent = Peer::start(command);
    let driver = connect(&spec(&agent.line())).unwrap();

    let heard = order(&driver, "How far?").await;
    let first = heard.turn.unwrap_or_else(|| panic!("{:?}", heard.failure));
    assert_eq!((heard.text.as_str(), first.text().as_str()), ("8 Gpc", "8 Gpc"));
    let turn = listen(&driver, going_on(first, "Vote now.")).await.turn.unwrap();
    assert_eq!(turn.text(), "I vote.");
    assert_eq!(turn.tool_calls().next().unwrap().name, "vote");

    // What its model was told, at a server of ours.
    let requests = model.requests();
    assert_eq!(requests[0].key(), Some("sk-of-the-agent"));
    let told = |n: usize| requests[n].body["messages"].to_string();
    assert!(told(0).contains("You know the stars.") && told(0).contains("How far?"), "{}", told(0));
    assert!(told(0).contains("## `vote`"), "{}", told(0));
    for part in ["How far?", "8 Gpc", "Vote now."] {
        assert!(told(1).contains(part), "`{part}` is not in {}", told(1));
    }

    let failure = order(&driver, "Once more.").await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
}
