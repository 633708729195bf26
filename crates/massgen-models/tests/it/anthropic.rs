//! Anthropic Messages over real connections: what is asked, refused, paused and replayed.

use std::sync::Arc;

use massgen_models::{Driver, connect};
use massgen_protocol::{
    BackendSpec, CallFailure, FailureKind, FinishReason, Message, Part, Role, ToolResult,
};
use massgen_testkit::{PrefixCache, Reply, Request, Script, Server, Setup, script};
use serde_json::{Value, json};

use crate::support::{KEY, call, listen, question, spec};

fn driver(server: &Server, change: impl FnOnce(&mut BackendSpec)) -> Arc<Driver> {
    let mut spec = BackendSpec {
        kind: "claude".to_owned(),
        model: "claude-opus-4-6".to_owned(),
        ..spec(&server.base_url())
    };
    change(&mut spec);
    connect(&spec).unwrap()
}

fn events(events: &[Value]) -> Reply {
    let lines = events.iter().map(|event| {
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    });
    Reply::sse(lines.collect::<String>())
}

/// A reply of these blocks, each whole.
fn reply(container: Option<&str>, blocks: &[Value], stop: &str) -> Reply {
    let container = container.map(|id| json!({"id": id}));
    let mut all = vec![json!({"type": "message_start", "message": {
        "model": "claude-opus-4-6", "container": container,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }})];
    for (index, block) in blocks.iter().enumerate() {
        all.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        all.push(json!({"type": "content_block_stop", "index": index}));
    }
    all.push(json!({"type": "message_delta", "delta": {"stop_reason": stop},
        "usage": {"output_tokens": 5}}));
    all.push(json!({"type": "message_stop"}));
    events(&all)
}

fn said(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn thought() -> Value {
    json!({"type": "thinking", "thinking": "Hm.", "signature": "sig"})
}

fn refused(status: u16, kind: &str, message: &str) -> Reply {
    let error = json!({"type": kind, "message": message});
    Reply::json(status, &json!({"type": "error", "error": error, "request_id": "req_1"}))
}

fn blocks_of(request: &Request, turn: usize) -> Vec<Value> {
    let blocks = request.messages()[turn]["content"].as_array().unwrap().clone();
    blocks.into_iter().map(without_mark).collect()
}

fn without_mark(mut block: Value) -> Value {
    block.as_object_mut().unwrap().shift_remove("cache_control");
    block
}

#[tokio::test]
async fn key_version_and_label_go_where_they_belong() {
    let server = Server::start(script(|_| reply(None, &[said("8")], "end_turn")));
    let heard = listen(&driver(&server, |_| {}), question()).await;
    assert_eq!(heard.text, "8");
    let requests = server.requests();
    let request = &requests[0];
    assert_eq!(request.path, "/v1/messages");
    assert_eq!(request.header("x-api-key"), Some(KEY));
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("anthropic-beta"), None);
    assert_eq!(request.header("x-client-request-id"), Some("run/agent1#1.1"));
}

#[tokio::test]
async fn refusals_have_their_kind_and_the_providers_words() {
    let check = async |reply: Reply, kind: FailureKind, message: &str| -> CallFailure {
        let server = Server::start(script(move |_| reply.clone()));
        let failure = listen(&driver(&server, |_| {}), question()).await.failure.unwrap();
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.contains(message), "{failure:?}");
        assert_eq!(server.stats().requests, 1);
        failure
    };
    use FailureKind::*;
    let key = refused(401, "authentication_error", "invalid x-api-key");
    check(key, Auth, "invalid x-api-key (authentication_error)").await;
    let mine = refused(403, "permission_error", "not for you");
    check(mine, Auth, "not for you (permission_error)").await;
    let model = refused(404, "not_found_error", "model: claude-opus-4-6");
    check(model, BadRequest, "asked for model `claude-opus-4-6` at http://127.0.0.1:").await;
    let large = refused(413, "request_too_large", "Request exceeds the maximum size");
    check(large, ContextTooLong, "exceeds the maximum size").await;
    let busy = refused(529, "overloaded_error", "Overloaded");
    check(busy, Overloaded, "Overloaded").await;
    let poor = refused(402, "billing_error", "Your credit balance is too low");
    check(poor, Quota, "credit balance").await;
    let bad = refused(400, "invalid_request_error", "max_tokens: too large");
    check(bad, BadRequest, "max_tokens: too large (invalid_request_error)").await;
    let slow = refused(429, "rate_limit_error", "This would exceed").header("retry-after", "12");
    let failure = check(slow, RateLimited, "This would exceed").await;
    assert_eq!((failure.status, failure.retry_after_ms), (Some(429), Some(12_000)));
}

#[tokio::test]
async fn a_turn_and_its_results_are_replayed_as_they_came() {
    let turn = [
        thought(),
        json!({"type": "tool_use", "id": "toolu_1", "name": "vote", "input": {"z": 1, "a": 2}}),
        json!({"type": "thinking", "thinking": "Then.", "signature": "sig2"}),
        json!({"type": "tool_use", "id": "toolu_2", "name": "submit", "input": {}}),
    ];
    let first = turn.clone();
    let server = Server::start(script(move |request| match request.n {
        0 => reply(None, &first, "tool_use"),
        _ => reply(None, &[said("8 Gpc")], "end_turn"),
    }));
    let driver = driver(&server, |_| {});
    let question = Message::text(Role::User, "How far?");
    let heard = listen(&driver, call(vec![question.clone()])).await.turn.unwrap();
    let result = |call: &massgen_protocol::ToolCall| {
        Part::ToolResult(ToolResult {
            id: call.id.clone(),
            name: call.name.clone(),
            text: "ok".to_owned(),
            is_error: false,
        })
    };
    let results = Message { role: Role::Tool, parts: heard.tool_calls().map(result).collect() };
    let answer = Message { role: Role::Assistant, parts: heard.parts };
    // As a resumed run reads it.
    let answer = serde_json::from_str(&serde_json::to_string(&answer).unwrap()).unwrap();
    let heard = listen(&driver, call(vec![question, answer, results])).await;
    assert_eq!(heard.text, "8 Gpc");

    let requests = server.requests();
    let replayed = Value::Array(blocks_of(&requests[1], 1));
    assert_eq!(replayed.to_string(), Value::Array(turn.to_vec()).to_string());
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "ok"});
    assert_eq!(blocks_of(&requests[1], 2), [result("toolu_1"), result("toolu_2")]);
    for field in ["system", "tools", "max_tokens"] {
        assert_eq!(requests[0].body.get(field), requests[1].body.get(field), "{field}");
    }
}

#[tokio::test]
async fn a_paused_turn_is_continued_in_the_same_container() {
    let run = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "bash_code_execution",
        "input": {"command": "sleep 60"}});
    let done = json!({"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1",
        "content": {"type": "bash_code_execution_result", "stdout": "8", "return_code": 0}});
    let (begun, rest) = ([said("I run it."), run.clone()], [done.clone(), said("8")]);
    let server = Server::start(script(move |request| match request.n {
        0 => reply(Some("container_1"), &begun, "pause_turn"),
        _ => reply(Some("container_1"), &rest, "end_turn"),
    }));
    let driver = driver(&server, |spec| spec.hosted_tools.code_execution = true);
    let heard = listen(&driver, question()).await;
    assert_eq!(heard.text, "I run it.8");
    let remote = [
        ("bash_code_execution".to_owned(), r#"{"command":"sleep 60"}"#.to_owned()),
        ("bash_code_execution".to_owned(), "8".to_owned()),
    ];
    assert_eq!(heard.remote, remote);
    let turn = heard.turn.unwrap();
    assert_eq!(turn.finish, FinishReason::Stop);
    assert_eq!((turn.usage.input_uncached, turn.usage.output), (20, 10));
    let whole = json!({"content": [said("I run it."), run, done, said("8")],
        "container": "container_1"});
    let format = "anthropic_messages/claude".to_owned();
    assert_eq!(turn.parts[0], Part::Native { format, value: whole });

    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].body.get("container").is_none());
    assert_eq!(requests[1].body["container"], "container_1");
    assert_eq!(blocks_of(&requests[1], 1), [said("I run it."), run]);
    assert_eq!(requests[1].header("anthropic-beta"), Some("code-execution-2025-08-25"));
}

#[tokio::test]
async fn a_provider_that_never_ends_a_pause_is_left_with_what_it_said() {
    let server = Server::start(script(|_| reply(None, &[said("8")], "pause_turn")));
    let turn = listen(&driver(&server, |_| {}), question()).await.turn.unwrap();
    assert_eq!(turn.finish, FinishReason::Stop);
    let n = server.stats().requests;
    assert_eq!((turn.text(), n > 2 && n < 20), ("8".repeat(n as usize), true));
}

fn refuses_thoughts() -> Script {
    script(|request| {
        if request.body["messages"].to_string().contains("\"signature\"") {
            refused(400, "invalid_request_error", "Invalid `signature` in `thinking` block")
        } else {
            reply(None, &[said("8")], "end_turn")
        }
    })
}

#[tokio::test]
async fn thoughts_that_are_refused_are_left_out_in_one_more_try() {
    let server = Server::start(refuses_thoughts());
    let driver = driver(&server, |_| {});
    let value = json!({"content": [thought(), said("7")]});
    let format = "anthropic_messages/claude".to_owned();
    let answer = Message { role: Role::Assistant, parts: vec![Part::Native { format, value }] };
    let user = |text: &str| Message::text(Role::User, text);
    let heard = listen(&driver, call(vec![user("How far?"), answer, user("Sure?")])).await;
    assert_eq!(heard.text, "8");
    assert_eq!(server.stats().requests, 2);
    assert_eq!(blocks_of(&server.requests()[1], 1), [said("7")]);
}

#[tokio::test]
async fn a_bad_request_that_is_about_something_else_is_told_as_it_is() {
    let server = Server::start(script(|_| {
        refused(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")
    }));
    let value = json!({"content": [thought(), said("7")]});
    let format = "anthropic_messages/claude".to_owned();
    let answer = Message { role: Role::Assistant, parts: vec![Part::Native { format, value }] };
    let user = |text: &str| Message::text(Role::User, text);
    let messages = vec![user("How far?"), answer, user("Sure?")];
    let failure = listen(&driver(&server, |_| {}), call(messages)).await.failure.unwrap();
    assert!(failure.message.contains("prompt is too long"), "{failure:?}");
    assert_eq!(server.stats().requests, 2);
}

#[tokio::test]
async fn after_the_first_call_nearly_all_input_comes_from_the_cache() {
    let vote = json!({"agent_id": "agent1"});
    let setup = Setup { prefix_cache: Some(PrefixCache::default()), ..Setup::default() };
    let server = Server::start_with(
        setup,
        script(move |request| {
            let id = format!("toolu_{}", request.n);
            Reply::stream()
                .text("I vote.")
                .tool_call(0, &id, "vote", &vote)
                .finish("tool_calls")
                .usage(1, 1)
                .done()
        }),
    );
    let driver = driver(&server, |_| {});
    let mut messages = vec![
        Message::text(Role::System, "Be right. ".repeat(2_000)),
        Message::text(Role::User, "How far? ".repeat(1_000)),
    ];
    let (mut input, mut cached) = (0, 0);
    for n in 0..5 {
        let turn = listen(&driver, call(messages.clone())).await.turn.unwrap();
        if n > 0 {
            input += turn.usage.input();
            cached += turn.usage.cache_read;
        }
        let result = |call: &massgen_protocol::ToolCall| {
            Part::ToolResult(ToolResult {
                id: call.id.clone(),
                name: call.name.clone(),
                text: "stale".to_owned(),
                is_error: true,
            })
        };
        let results = turn.tool_calls().map(result).collect();
        messages.push(Message { role: Role::Assistant, parts: turn.parts });
        messages.push(Message { role: Role::Tool, parts: results });
        messages.push(Message::text(Role::User, format!("Answers of round {n}: 8 Gpc.")));
    }
    let share = cached * 100 / input;
    assert!(share >= 95, "{share} % of {input}");
}
