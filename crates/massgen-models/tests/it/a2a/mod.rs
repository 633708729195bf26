//! Remote agents over real connections: found, told, heard, and left.

mod agent;
mod failures;
mod peers;

use massgen_models::{Driver, connect};
use massgen_protocol::{
    Arguments, AssistantTurn, BackendSpec, FailureKind, Message, ModelCall, Part, Role,
};
use serde_json::json;
use std::sync::Arc;

use crate::support::{self, Heard, KEY, call, listen, question};
use agent::{Agent, Answer, Asked, card, rpc_card, status, task, told};

const CARD: &str = "/.well-known/agent-card.json";

fn spec(base_url: &str) -> BackendSpec {
    BackendSpec { kind: "a2a".to_owned(), model: "agent".to_owned(), ..support::spec(base_url) }
}

fn driver(agent: &Agent) -> Arc<Driver> {
    connect(&spec(&agent.url())).unwrap()
}

async fn ask(agent: &Agent) -> Heard {
    listen(&driver(agent), question()).await
}

/// An agent whose card is this and whose operations are the script's.
fn agent_with(
    card: serde_json::Value,
    script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
) -> Agent {
    Agent::start(move |asked, n| match asked.path.as_str() {
        CARD => Answer::json(&card),
        _ => script(asked, n),
    })
}

/// The question, the turn it led to, and what comes after it.
fn going_on(turn: AssistantTurn, then: &str) -> ModelCall {
    call(vec![
        Message::text(Role::System, "Be brief."),
        Message::text(Role::User, "How far?"),
        Message { role: Role::Assistant, parts: turn.parts },
        Message::text(Role::User, then),
    ])
}

#[tokio::test]
async fn an_agent_is_found_told_and_heard() {
    let agent = agent_with(rpc_card(true), |_, _| told("c-1", "8 Gpc"));
    let heard = ask(&agent).await;
    assert_eq!((heard.text.as_str(), heard.turn.unwrap().text().as_str()), ("8 Gpc", "8 Gpc"));
    assert_eq!(agent.operations(), [format!("GET {CARD}"), "SendStreamingMessage".to_owned()]);
    let sent = &agent.messages()[0];
    assert_eq!((sent.path.as_str(), sent.header("a2a-version")), ("/rpc", Some("1.0")));
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(sent.header("accept"), Some("text/event-stream"));
    assert_eq!(sent.header("x-client-request-id"), Some("run/agent1#1.1"));
    let text = sent.text();
    assert!(text.starts_with("How far?") && text.contains("## `vote`"), "{text}");
    assert!(sent.message()["messageId"].as_str().is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn its_tools_are_called_in_words() {
    let words = "Well.\n\n```json\n{\"tool\": \"vote\", \"arguments\": {\"content\": \"x\"}}\n```";
    let agent = agent_with(rpc_card(true), move |_, _| told("c-1", words));
    let turn = ask(&agent).await.turn.unwrap();
    assert_eq!(turn.text(), "Well.");
    let call = turn.tool_calls().next().unwrap();
    let content = json!({"content": "x"}).as_object().unwrap().clone();
    assert_eq!(
        (call.name.as_str(), &call.arguments),
        ("vote", &Arguments::Object { value: content })
    );
}

#[tokio::test]
async fn later_messages_tell_what_is_new_also_after_a_resume() {
    let agent = agent_with(rpc_card(true), |_, _| told("c-1", "8 Gpc"));
    let first = ask(&agent).await.turn.unwrap();
    // A turn as it comes back from disk, to another driver.
    let first: AssistantTurn =
        serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap();
    listen(&driver(&agent), going_on(first, "And in miles?")).await.turn.unwrap();
    let second = &agent.messages()[1];
    assert_eq!(second.message()["contextId"], "c-1");
    assert!(second.message().get("taskId").is_none(), "that task is done");
    let text = second.text();
    assert!(text.starts_with("And in miles?") && !text.contains("How far?"), "{text}");
}

#[tokio::test]
async fn an_agent_that_asks_is_answered_within_its_task() {
    let agent = agent_with(rpc_card(true), |asked, _| {
        if asked.message()["taskId"] == "t-1" {
            return told("c-1", "8 Gpc");
        }
        let message =
            json!({"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "To which star?"}]});
        let mut status = status("c-1", "INPUT_REQUIRED");
        status["statusUpdate"]["status"]["message"] = message;
        Answer::stream(&[json!({"task": task("c-1", "WORKING", "")}), status])
    });
    let asks = ask(&agent).await.turn.unwrap();
    assert_eq!(asks.text(), "To which star?");
    let turn = listen(&driver(&agent), going_on(asks, "The next one.")).await.turn.unwrap();
    assert_eq!(turn.text(), "8 Gpc");
}

#[tokio::test]
async fn one_that_forgot_is_told_all_of_it() {
    let refusing =
        agent_with(rpc_card(true), |asked, _| match asked.message()["contextId"].as_str() {
            Some("lost") => Answer::error(-32001, "no such context"),
            _ => told("c-2", "8 Gpc"),
        });
    // This one says nothing of it, and begins another conversation.
    let silent =
        agent_with(rpc_card(true), |asked, _| match asked.message()["contextId"].as_str() {
            Some(_) => Answer::stream(&[json!({"task": task("c-9", "WORKING", "")})]).hanging(),
            None => told("c-2", "8 Gpc"),
        });
    for agent in [refusing, silent] {
        let lost = AssistantTurn {
            parts: vec![
                Part::Native { format: "a2a/a2a".to_owned(), value: json!({"context": "lost"}) },
                Part::Text { text: "Which way?".to_owned() },
            ],
            finish: massgen_protocol::FinishReason::Stop,
            usage: Default::default(),
            model: None,
        };
        let turn = listen(&driver(&agent), going_on(lost, "That way.")).await.turn.unwrap();
        assert_eq!(turn.text(), "8 Gpc");
        let sent = agent.messages();
        assert!(sent[0].text().starts_with("That way."), "{}", sent[0].text());
        assert_eq!(sent[1].message().get("contextId"), None);
        let text = sent[1].text();
        let expected = "Be brief.\n\n[You were told]\n\nHow far?\n\n[You replied]\n\nWhich way?\n\n\
                        [You were told]\n\nThat way.\n\n#";
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn one_that_remembers_nothing_is_told_all_each_time() {
    let mut forgetful = rpc_card(true);
    forgetful["capabilities"]["extensions"] = json!([{"uri": "urn:ag2:client-tools:v1"}]);
    let agent = agent_with(forgetful, |_, _| told("c-1", "8 Gpc"));
    let first = ask(&agent).await.turn.unwrap();
    listen(&driver(&agent), going_on(first.clone(), "Sure?")).await.turn.unwrap();
    let text = agent.messages()[1].text();
    assert!(
        text.contains("How far?") && text.contains("8 Gpc") && text.contains("Sure?"),
        "{text}"
    );
    // The user knows better.
    let mut spec = spec(&agent.url());
    spec.params.insert("history".to_owned(), json!("new"));
    spec.params.insert("skill".to_owned(), json!("maths"));
    listen(&connect(&spec).unwrap(), going_on(first, "Sure?")).await.turn.unwrap();
    let third = &agent.messages()[2];
    assert!(third.text().starts_with("Sure?"), "{}", third.text());
    assert_eq!(third.body["params"]["metadata"], json!({"skill": "maths"}));
}

#[tokio::test]
async fn one_without_streams_is_asked_again_until_it_is_done() {
    let agent = agent_with(rpc_card(false), |asked, n| match asked.operation().as_str() {
        "SendMessage" => Answer::result(&json!({"task": task("c-1", "SUBMITTED", "")})),
        "GetTask" if n == 0 => Answer::result(&task("c-1", "WORKING", "")),
        "GetTask" if n == 1 => Answer::new(503, "text/plain", "later"),
        "GetTask" => Answer::result(&task("c-1", "COMPLETED", "8 Gpc")),
        _ => Answer::not_found(),
    });
    let heard = ask(&agent).await;
    assert_eq!((heard.text.as_str(), heard.turn.unwrap().text().as_str()), ("8 Gpc", "8 Gpc"));
    assert_eq!(agent.operations()[1..], ["SendMessage", "GetTask", "GetTask", "GetTask"]);
    let sent = &agent.messages()[0];
    assert_eq!(sent.body["params"]["configuration"], json!({"returnImmediately": true}));
    // One that answers at once, and one that says so only when asked to stream.
    let at_once = agent_with(rpc_card(true), |asked, _| match asked.operation().as_str() {
        "SendStreamingMessage" => Answer::error(-32004, "no streaming here"),
        _ => Answer::result(&json!({"message": {"messageId": "m", "parts": [{"text": "8 Gpc"}]}})),
    });
    assert_eq!(ask(&at_once).await.turn.unwrap().text(), "8 Gpc");
}

#[tokio::test]
async fn version_0_3_is_spoken_too() {
    let agent = Agent::start(|asked, _| match asked.path.as_str() {
        "/.well-known/agent.json" => Answer::json(&json!({
            "name": "old", "url": "/", "protocolVersion": "0.3.0", "capabilities": {"streaming": true},
        })),
        "/" if asked.operation() == "message/stream" => {
            let at = json!({"kind": "status-update", "taskId": "t-1", "contextId": "c-1", "final": true,
                "status": {"state": "completed", "message": {"kind": "message", "messageId": "m",
                    "role": "agent", "parts": [{"kind": "text", "text": "8 Gpc"}]}}});
            Answer::stream(&[at])
        }
        _ => Answer::not_found(),
    });
    assert_eq!(ask(&agent).await.turn.unwrap().text(), "8 Gpc");
    let sent = &agent.messages()[0];
    assert_eq!(
        (sent.header("a2a-version"), &sent.message()["role"]),
        (Some("0.3"), &json!("user"))
    );
}

#[tokio::test]
async fn an_agent_of_another_version_than_it_says_is_spoken_to_in_the_next() {
    let both = card(true, &[("JSONRPC", "1.0", "/rpc"), ("JSONRPC", "0.3", "/old")]);
    let agent = agent_with(both, |asked, _| match asked.operation().as_str() {
        "SendStreamingMessage" => Answer::error(-32009, "0.3 only"),
        "message/stream" => told("c-1", "8 Gpc"),
        _ => Answer::not_found(),
    });
    let driver = driver(&agent);
    for _ in 0..2 {
        assert_eq!(listen(&driver, question()).await.turn.unwrap().text(), "8 Gpc");
    }
    // It is remembered.
    assert_eq!(
        agent.operations()[1..],
        ["SendStreamingMessage", "message/stream", "message/stream"]
    );
}

#[tokio::test]
async fn plain_http_is_spoken_where_there_is_no_json_rpc() {
    let only = card(true, &[("GRPC", "1.0", "h:1"), ("HTTP+JSON", "1.0", "/rest")]);
    let agent = agent_with(only, |asked, _| match asked.path.as_str() {
        "/rest/message:stream" => {
            Answer::plain_stream(&[json!({"task": task("c-1", "WORKING", "8 G")})])
        }
        "/rest/tasks/t-1" => Answer::json(&task("c-1", "WORKING", "8 G")),
        "/rest/tasks/t-1:subscribe" => {
            Answer::plain_stream(&[json!({"task": task("c-1", "COMPLETED", "8 Gpc")})])
        }
        _ => Answer::not_found(),
    });
    let heard = ask(&agent).await;
    assert_eq!((heard.text.as_str(), heard.turn.unwrap().text().as_str()), ("8 Gpc", "8 Gpc"));
    assert_eq!(agent.messages()[0].header("content-type"), Some("application/a2a+json"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_taken_up_again() {
    let begun = || Answer::stream(&[json!({"task": task("c-1", "WORKING", "8 G")})]);
    let done = agent_with(rpc_card(true), move |asked, _| match asked.operation().as_str() {
        "SendStreamingMessage" => begun(),
        _ => Answer::result(&task("c-1", "COMPLETED", "8 Gpc")),
    });
    assert_eq!(ask(&done).await.text, "8 Gpc");
    assert_eq!(done.operations()[1..], ["SendStreamingMessage", "GetTask"]);
    let goes_on = agent_with(rpc_card(true), move |asked, _| match asked.operation().as_str() {
        "SendStreamingMessage" => begun(),
        "GetTask" => Answer::result(&task("c-1", "WORKING", "8 G")),
        _ => Answer::stream(&[json!({"task": task("c-1", "COMPLETED", "8 Gpc")})]),
    });
    assert_eq!(ask(&goes_on).await.text, "8 Gpc");
    assert_eq!(goes_on.operations()[1..], ["SendStreamingMessage", "GetTask", "SubscribeToTask"]);
    // One that never ends is cut off, and is not left at work.
    let endless = agent_with(rpc_card(true), move |asked, _| match asked.operation().as_str() {
        "SendStreamingMessage" | "SubscribeToTask" => begun(),
        _ => Answer::result(&task("c-1", "WORKING", "8 G")),
    });
    let failure = ask(&endless).await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Truncated);
    endless.until("CancelTask").await;
}

#[tokio::test]
async fn a_call_that_is_dropped_cancels_its_task() {
    use futures::StreamExt;
    let agent = agent_with(rpc_card(true), |asked, _| match asked.operation().as_str() {
        "SendStreamingMessage" => {
            Answer::stream(&[json!({"task": task("c-1", "WORKING", "8 G")})]).hanging()
        }
        _ => Answer::result(&task("c-1", "CANCELED", "")),
    });
    let mut events = driver(&agent).call(question());
    events.next().await.unwrap().unwrap();
    drop(events);
    agent.until("CancelTask").await;
    let canceled =
        agent.asked().into_iter().find(|asked| asked.operation() == "CancelTask").unwrap();
    assert_eq!(canceled.body["params"]["id"], "t-1");
}
