//! Ollama's own API over a real connection.

use std::sync::Arc;

use massgen_models::{Driver, connect};
use massgen_protocol::{ApiKey, BackendSpec, FailureKind, FinishReason, Message, Part, Role};
use massgen_testkit::{Cut, Reply, Server, script};
use serde_json::{Value, json};

use crate::support::{call, listen, question, spec};

/// As programs that look for local servers name it.
fn ollama(server: &Server, change: impl FnOnce(&mut BackendSpec)) -> Arc<Driver> {
    let mut spec = BackendSpec { api_key: ApiKey::None, ..spec(&server.base_url()) };
    assert!(spec.base_url.ends_with("/v1"));
    spec.kind = "ollama".to_owned();
    change(&mut spec);
    connect(&spec).unwrap()
}

#[tokio::test]
async fn the_native_chat_is_called_with_the_size_of_the_context() {
    let server = Server::start(script(|_| Reply::stream().text("8").finish("stop").done()));
    let driver = ollama(&server, |spec| spec.context_window = Some(32_768));
    assert_eq!(driver.context_window(), Some(32_768));
    let heard = listen(&driver, question()).await;
    assert_eq!(heard.text, "8");
    let request = &server.requests()[0];
    assert_eq!((request.path.as_str(), request.header("authorization")), ("/api/chat", None));
    assert_eq!(request.header("accept"), Some("application/x-ndjson"));
    assert_eq!(request.body["options"], json!({"num_ctx": 32_768}));
    assert_eq!(request.body["tools"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_turn_is_heard_and_replayed_as_it_came() {
    let server = Server::start(script(|request| {
        if request.n > 0 {
            return Reply::stream().text("8").finish("stop").done();
        }
        let reply = Reply::stream().reasoning("thinking", "Hm.").text("I vote.");
        let reply = reply.tool_call(0, "a", "vote", &json!({"agent_id": "agent1"}));
        let reply = reply.tool_call(0, "b", "vote", &json!({"agent_id": "agent2"}));
        reply.finish("stop").done().byte_by_byte()
    }));
    let driver = ollama(&server, |_| {});
    let heard = listen(&driver, question()).await;
    assert_eq!((heard.reasoning.as_str(), heard.text.as_str()), ("Hm.", "I vote."));
    let turn = heard.turn.unwrap();
    assert_eq!((turn.finish, turn.tool_calls().count()), (FinishReason::ToolCalls, 2));
    let Part::Native { value, .. } = &turn.parts[0] else { panic!("{turn:?}") };
    let own = value.to_string();
    assert!(own.contains("\"thinking\":\"Hm.\"") && own.contains("call_0_1"), "{own}");
    let said = Message { role: Role::Assistant, parts: turn.parts };
    listen(&driver, call(vec![Message::text(Role::User, "How far?"), said])).await;
    assert_eq!(server.requests()[1].body["messages"][1].to_string(), own);
}

#[tokio::test]
async fn a_model_that_cannot_think_is_asked_again_without() {
    let refusal = || Reply::json(400, &json!({"error": "\"m-1\" does not support thinking"}));
    let server = Server::start(script(move |request| match request.body.get("think") {
        Some(_) => refusal(),
        None => Reply::stream().text("8").finish("stop").done(),
    }));
    let driver = ollama(&server, |spec| spec.reasoning.effort = Some("high".to_owned()));
    let heard = listen(&driver, question()).await;
    assert_eq!((heard.text.as_str(), heard.retries.len()), ("8", 0));
    assert_eq!(server.stats().requests, 2);

    // What the user wrote is the user's, and the refusal says what to change.
    let own = ollama(&server, |spec| {
        spec.params.insert("think".to_owned(), json!(true));
    });
    let failure = listen(&own, question()).await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::BadRequest);
    assert_eq!(failure.message, "\"m-1\" does not support thinking");
}

#[tokio::test]
async fn failures_have_their_kind() {
    let failure = async |reply: Reply| {
        let server = Server::start(script(move |_| reply.clone()));
        listen(&ollama(&server, |_| {}), question()).await.failure.unwrap()
    };
    let unknown = Reply::json(404, &json!({"error": "model 'm-1' not found"}));
    let failed = failure(unknown).await;
    assert_eq!(failed.kind, FailureKind::BadRequest);
    assert!(failed.message.starts_with("model 'm-1' not found; asked for model `m-1` at http"));
    let loading = Reply::json(500, &json!({"error": "llama runner process has terminated"}));
    assert_eq!(failure(loading).await.kind, FailureKind::Unavailable);

    let line = |value: &Value| format!("{value}\n");
    let said = line(&json!({"message": {"role": "assistant", "content": "The ans"}}));
    let error = line(&json!({"error": "an error was encountered"}));
    let ndjson = |bytes: String| Reply::new(200, "application/x-ndjson").raw(bytes);
    let failed = failure(ndjson(said.clone() + &error)).await;
    assert_eq!(
        (failed.kind, failed.message.as_str()),
        (FailureKind::Unavailable, "an error was encountered")
    );
    let at = said.len() - 1;
    for cut in [Cut::Clean, Cut::Dropped] {
        let failed = failure(ndjson(said.clone() + &said).cut_at(at, cut)).await;
        assert_eq!(failed.kind, FailureKind::Truncated, "{cut:?}");
    }
    assert_eq!(failure(ndjson("upstream error".to_owned())).await.kind, FailureKind::Garbled);
}
