//! Gemini over a real connection.

use std::sync::Arc;

use massgen_models::{Driver, connect};
use massgen_protocol::{BackendSpec, FailureKind, FinishReason, Message, Part, Role, ToolResult};
use massgen_testkit::{Format, Reply, Script, Server, script};
use serde_json::{Value, json};

use crate::support::{Heard, KEY, call, listen, question, spec};

fn gemini(server: &Server, change: impl FnOnce(&mut BackendSpec)) -> Arc<Driver> {
    let mut spec = spec(&format!("http://{}", server.address()));
    spec.kind = "gemini".to_owned();
    spec.model = "gemini-3-flash-preview".to_owned();
    change(&mut spec);
    connect(&spec).unwrap()
}

async fn hear(script: Script) -> Heard {
    let server = Server::start(script);
    listen(&gemini(&server, |_| {}), question()).await
}

#[tokio::test]
async fn the_key_is_in_a_header_and_the_model_in_the_path() {
    let server = Server::start(script(|_| Reply::stream().text("8").finish("stop").done()));
    let heard = listen(&gemini(&server, |_| {}), question()).await;
    assert_eq!(heard.text, "8");
    let request = &server.requests()[0];
    let path = "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse";
    assert_eq!((request.path.as_str(), request.header("x-goog-api-key")), (path, Some(KEY)));
    assert_eq!(request.header("authorization"), None);
    assert!(!request.path.contains(KEY));

    // The same server, written with its version and its collection.
    let other = gemini(&server, |spec| {
        spec.base_url = server.base_url_of(Format::Gemini);
        spec.model = "models/gemini-3-flash-preview".to_owned();
    });
    assert_eq!(listen(&other, question()).await.text, "8");
    assert_eq!(server.requests()[1].path, path);
}

#[tokio::test]
async fn a_turn_is_replayed_with_its_signatures_and_results_follow_in_order() {
    let vote = json!({"agent_id": "agent1"});
    let server = Server::start(script(move |request| {
        if request.n > 0 {
            return Reply::stream().text("8").finish("stop").done();
        }
        let reply = Reply::stream().reasoning("thought", "Two of them.").text("I vote.");
        let reply = reply.tool_call(0, "a", "vote", &vote).tool_call(1, "b", "submit", &vote);
        reply.finish("tool_calls").done()
    }));
    let driver = gemini(&server, |_| {});
    let turn = listen(&driver, question()).await.turn.unwrap();
    assert_eq!(turn.finish, FinishReason::ToolCalls);
    let mut results: Vec<Part> = turn
        .tool_calls()
        .map(|call| {
            let (id, name) = (call.id.clone(), call.name.clone());
            Part::ToolResult(ToolResult { id, name, text: "done".to_owned(), is_error: false })
        })
        .collect();
    results.reverse();
    let messages = vec![
        Message::text(Role::User, "How far?"),
        Message { role: Role::Assistant, parts: turn.parts.clone() },
        Message { role: Role::Tool, parts: results },
    ];
    assert_eq!(listen(&driver, call(messages)).await.text, "8");
    let contents = &server.requests()[1].body["contents"];
    let Part::Native { value, .. } = &turn.parts[0] else { panic!("{turn:?}") };
    assert_eq!(contents[1].to_string(), value.to_string());
    let parts = contents[1]["parts"].as_array().unwrap();
    let calls: Vec<&Value> =
        parts.iter().filter(|part| part.get("functionCall").is_some()).collect();
    assert_eq!(calls.len(), 2);
    assert!(calls[0]["thoughtSignature"].is_string() && calls[1].get("thoughtSignature").is_none());
    assert_ne!(calls[0]["thoughtSignature"], "skip_thought_signature_validator");
    let answers = contents[2]["parts"].as_array().unwrap();
    let names: Vec<&str> = answers
        .iter()
        .filter_map(|part| part.pointer("/functionResponse/name")?.as_str())
        .collect();
    assert_eq!((contents[2]["role"].as_str(), names), (Some("user"), vec!["vote", "submit"]));
}

#[tokio::test]
async fn a_call_the_model_could_not_write_is_asked_for_again_within_the_bound() {
    let broken = || Reply::stream().finish("MALFORMED_FUNCTION_CALL").done();
    let server = Server::start(script(move |request| match request.n {
        0 => broken(),
        _ => Reply::stream().text("8").finish("stop").done(),
    }));
    let heard = listen(&gemini(&server, |spec| spec.tries_max = 2), question()).await;
    assert_eq!((heard.text.as_str(), heard.retries.len()), ("8", 1));
    assert_eq!(heard.retries[0].kind, FailureKind::Garbled);
    assert!(heard.retries[0].message.contains("MALFORMED_FUNCTION_CALL"), "{heard:?}");

    let server = Server::start(script(move |_| broken()));
    let heard = listen(&gemini(&server, |spec| spec.tries_max = 2), question()).await;
    assert_eq!(heard.failure.unwrap().kind, FailureKind::Garbled);
    assert_eq!(server.stats().requests, 2);
}

#[tokio::test]
async fn refusals_have_the_kind_their_details_tell() {
    let refused = async |status: u16, error: Value| {
        let reply = Reply::json(status, &json!({ "error": error }));
        hear(script(move |_| reply.clone())).await.failure.unwrap()
    };
    let quota = |value: &str| {
        json!({"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
                {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel", "quotaValue": value},
            ]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"},
        ]})
    };
    let failure = refused(429, quota("10")).await;
    assert_eq!((failure.kind, failure.retry_after_ms), (FailureKind::RateLimited, Some(7_500)));
    assert_eq!(failure.message, "Quota exceeded. (resource_exhausted)");
    assert_eq!(refused(429, quota("0")).await.kind, FailureKind::Quota);

    let reason = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID", "domain": "googleapis.com"});
    let wrong = json!({"code": 400, "message": format!("API key {KEY} not valid."),
        "status": "INVALID_ARGUMENT", "details": [reason]});
    let failure = refused(400, wrong).await;
    assert_eq!(failure.kind, FailureKind::Auth);
    assert_eq!(failure.message, "API key [key] not valid. (invalid_argument)");

    let unknown = json!({"code": 404, "message": "models/x is not found.", "status": "NOT_FOUND"});
    let failure = refused(404, unknown).await;
    assert_eq!(failure.kind, FailureKind::BadRequest);
    assert!(
        failure.message.contains("`gemini-3-flash-preview` at http://127.0.0.1:"),
        "{failure:?}"
    );
    let busy = json!({"code": 503, "message": "busy", "status": "UNAVAILABLE"});
    assert_eq!(refused(503, busy).await.kind, FailureKind::Overloaded);
}

#[tokio::test]
async fn a_list_instead_of_a_stream_is_heard() {
    let response = |text: &str, finish: Value| {
        json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]},
            "finishReason": finish}]})
    };
    let list = json!([response("8 ", Value::Null), response("Gpc", json!("STOP"))]);
    let heard = hear(script(move |_| Reply::json(200, &list))).await;
    assert_eq!(heard.text, "8 Gpc");
    assert_eq!(heard.turn.unwrap().finish, FinishReason::Stop);
}

#[tokio::test]
async fn googles_search_is_left_out_with_a_word_where_it_cannot_be_mixed() {
    let server = Server::start(script(|_| Reply::stream().text("8").finish("stop").done()));
    let driver = gemini(&server, |spec| {
        spec.model = "gemini-2.5-flash".to_owned();
        spec.hosted_tools.web_search = true;
    });
    let heard = listen(&driver, question()).await;
    assert_eq!(heard.notices.len(), 1);
    assert!(heard.notices[0].starts_with("left out of this call: web_search;"), "{heard:?}");
    assert_eq!(server.requests()[0].body["tools"].as_array().unwrap().len(), 1);
}
