//! Agents that are none, refuse, or lie.

use massgen_protocol::{CallFailure, FailureKind};
use serde_json::json;

use super::agent::{Agent, Answer, card, rpc_card, status, task, told};
use super::{CARD, agent_with, ask, spec};
use crate::support::{KEY, listen, question};
use massgen_models::connect;

async fn failure(agent: &Agent) -> CallFailure {
    ask(agent).await.failure.unwrap()
}

#[tokio::test]
async fn what_is_no_agent_is_one_clear_failure() {
    let check = async |answer: fn() -> Answer, told: &str| {
        let agent = Agent::start(move |_, _| answer());
        let failure = failure(&agent).await;
        assert_eq!(failure.kind, FailureKind::BadRequest, "{failure:?}");
        assert!(failure.message.contains(told), "{}", failure.message);
        assert!(
            failure.message.contains("`base_url` is an agent's address"),
            "{}",
            failure.message
        );
    };
    check(Answer::not_found, "Not Found: no such path").await;
    check(|| Answer::new(200, "text/html", "<html>Welcome</html>"), "a web page").await;
    check(|| Answer::new(200, "application/json", "{\"a\": "), "no JSON").await;
    check(|| Answer::json(&json!({"name": "x"})), "no card: it names no address").await;
    let grpc = || Answer::json(&card(true, &[("GRPC", "1.0", "http://h:1")]));
    check(grpc, "the agent speaks GRPC only").await;
    // A card without an end.
    check(
        || Answer::new(200, "application/json", "{").endless("\"aaaaaaaaaaaaaaa\","),
        "longer than",
    )
    .await;
    check(
        || Answer::redirect("https://elsewhere.test/card.json"),
        "another host, https://elsewhere.test",
    )
    .await;
    check(|| Answer::redirect("/again"), "from one address to the next").await;
}

#[tokio::test]
async fn a_card_that_has_moved_within_its_host_is_found() {
    let agent = Agent::start(|asked, _| match asked.path.as_str() {
        CARD => Answer::redirect("/cards/mine.json"),
        "/cards/mine.json" => Answer::json(&rpc_card(true)),
        _ => told("c-1", "8 Gpc"),
    });
    assert_eq!(ask(&agent).await.turn.unwrap().text(), "8 Gpc");
    // And one that the user names.
    let named = connect(&spec(&format!("{}/cards/mine.json", agent.url()))).unwrap();
    assert_eq!(listen(&named, question()).await.turn.unwrap().text(), "8 Gpc");
}

#[tokio::test]
async fn refusals_have_their_kind() {
    let check = async |answer: fn() -> Answer, kind, message: &str| {
        let agent = agent_with(rpc_card(true), move |_, _| answer());
        let failure = failure(&agent).await;
        assert_eq!((failure.kind, failure.message.as_str()), (kind, message));
        assert!(!format!("{failure:?}").contains(KEY));
    };
    use FailureKind::*;
    check(|| Answer::error(-32603, "no luck"), Unavailable, "no luck").await;
    check(|| Answer::error(-32005, "text only"), BadRequest, "text only").await;
    let echo = || Answer::new(401, "text/plain", format!("not with Bearer {KEY}"));
    check(echo, Auth, "Unauthorized: not with Bearer [key]").await;
    check(|| Answer::new(429, "text/plain", ""), RateLimited, "Too Many Requests").await;
    let page = || Answer::new(502, "text/html", "<html>");
    check(page, Unavailable, "Bad Gateway (a web page, not an agent)").await;
    let page = || Answer::new(200, "text/html", "<html>");
    check(page, BadRequest, "the reply is a web page, not an agent's").await;
    let failed =
        || Answer::stream(&[json!({"task": task("c-1", "WORKING", "")}), status("c-1", "FAILED")]);
    check(failed, Unavailable, "the agent failed, without a word").await;
}

#[tokio::test]
async fn a_server_that_refuses_every_way_is_believed() {
    let agent = agent_with(rpc_card(true), |_, _| Answer::error(-32601, "no such method"));
    let failure = failure(&agent).await;
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (FailureKind::BadRequest, "no such method")
    );
    assert_eq!(agent.operations()[1..], ["SendStreamingMessage", "SendMessage"]);
}

#[tokio::test]
async fn a_key_goes_to_no_other_host() {
    let other = Agent::start_at("127.0.0.2", |_, _| told("c-1", "8 Gpc"));
    let url = other.url();
    let agent = Agent::start(move |_, _| Answer::json(&card(true, &[("JSONRPC", "1.0", &url)])));
    assert_eq!(ask(&agent).await.turn.unwrap().text(), "8 Gpc");
    let sent = &other.messages()[0];
    assert_eq!(sent.header("authorization"), None);
    assert!(!sent.headers.iter().any(|(_, value)| value.contains(KEY)));
    // Which is said where it is what was missing.
    let other = Agent::start_at("127.0.0.2", |_, _| Answer::new(401, "text/plain", ""));
    let url = other.url();
    let agent = Agent::start(move |_, _| Answer::json(&card(true, &[("JSONRPC", "1.0", &url)])));
    let failure = failure(&agent).await;
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(failure.message.contains("the key was not sent"), "{}", failure.message);
}

#[tokio::test]
async fn an_endless_reply_is_cut_off() {
    let line = agent_with(rpc_card(true), |_, _| {
        Answer::new(200, "text/event-stream", "data: ").endless(&"x".repeat(1 << 20))
    });
    assert_eq!(failure(&line).await.kind, FailureKind::Garbled);
    let document = agent_with(rpc_card(false), |_, _| {
        Answer::new(200, "application/json", "{\"a\":\"").endless(&"x".repeat(1 << 20))
    });
    assert_eq!(failure(&document).await.kind, FailureKind::Garbled);
}
