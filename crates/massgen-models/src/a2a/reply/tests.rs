use massgen_protocol::Arguments;

use super::*;
use crate::provider::conformance::{Kit, asked, decode};
use crate::provider::decode::Decode;
use crate::provider::events::EventStream;

fn decoder() -> Box<dyn Decode> {
    let failures = Failures::default();
    let reply = Reply::new(asked(), failures.clone(), "a2a/a2a".to_owned());
    Box::new(EventStream::new(reply, failures))
}

#[test]
fn every_fixture_in_any_pieces_and_cut_anywhere() {
    Kit { folder: "a2a", fixtures_min: 30, decoder }.check();
}

#[track_caller]
fn failure(reply: &str) -> CallFailure {
    decode(decoder(), &[reply.as_bytes()], None).result.unwrap_err()
}

#[test]
fn a_reply_without_a_stream_is_read() {
    let task = json!({"jsonrpc": "2.0", "id": "1", "result": {"task": {
        "id": "t1", "contextId": "c1", "status": {"state": "TASK_STATE_COMPLETED"},
        "artifacts": [{"artifactId": "a1", "parts": [{"text": "8 Gpc"}]}],
    }}});
    let outcome = decode(decoder(), &[task.to_string().as_bytes()], None);
    assert_eq!(
        (outcome.text.as_str(), outcome.result.unwrap().text().as_str()),
        ("8 Gpc", "8 Gpc")
    );
}

#[test]
fn what_is_no_agents_reply_is_one_clear_failure() {
    let kind_of = |reply: &str| failure(reply).kind;
    assert_eq!(kind_of("<html>Welcome</html>"), FailureKind::Garbled);
    assert_eq!(kind_of("{\"hello\": 1}"), FailureKind::Garbled);
    assert_eq!(kind_of("[]"), FailureKind::Garbled);
    assert_eq!(kind_of("data: {nonsense\n\n"), FailureKind::Garbled);
    assert_eq!(kind_of("data: \u{1}\u{2}\n\n"), FailureKind::Garbled);
    assert_eq!(kind_of(""), FailureKind::Truncated);
    let deep = format!("data: {}\n\n", "[".repeat(100_000));
    assert_eq!(kind_of(&deep), FailureKind::Garbled);
    let refused =
        failure(r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32001,"message":"Task not found"}}"#);
    assert_eq!(
        (refused.kind, refused.message.as_str()),
        (FailureKind::BadRequest, "Task not found")
    );
}

#[test]
fn an_endless_reply_ends_at_our_bound() {
    let piece = "x".repeat(1_000_000);
    let event = json!({"artifactUpdate": {"taskId": "t", "contextId": "c", "append": true,
        "artifact": {"artifactId": "a", "parts": [{"text": piece}]}}});
    let frame = format!("data: {event}\n\n");
    let frames: Vec<&[u8]> = (0..40).map(|_| frame.as_bytes()).collect();
    let turn = decode(decoder(), &frames, None).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    assert!(turn.text().len() <= TURN_BYTES_MAX);
}

#[test]
fn a_turn_keeps_what_the_next_message_needs() {
    let asks = r#"data: {"statusUpdate":{"taskId":"t1","contextId":"c1","status":{"state":"TASK_STATE_INPUT_REQUIRED"}}}"#;
    let turn = decode(decoder(), &[asks.as_bytes(), b"\n\n"], None).result.unwrap();
    let Part::Native { format, value } = &turn.parts[0] else { panic!("{turn:?}") };
    assert_eq!(
        (format.as_str(), &value["context"], &value["open_task"]),
        ("a2a/a2a", &json!("c1"), &json!("t1"))
    );
}

#[test]
fn calls_get_ids_of_their_own() {
    let text = "```json\n{\"tool\": \"vote\", \"arguments\": {}}\n{\"tool\": \"vote\", \"arguments\": {}}\n```";
    let event = json!({"message": {"messageId": "m", "parts": [{"text": text}]}});
    let turn = decode(decoder(), &[format!("data: {event}\n\n").as_bytes()], None).result.unwrap();
    let ids: Vec<&str> = turn.tool_calls().map(|call| call.id.0.as_str()).collect();
    assert_eq!(ids, ["call_2_0", "call_2_1"]);
    assert!(turn.tool_calls().all(|call| matches!(call.arguments, Arguments::Object { .. })));
    assert!(
        !turn.parts.iter().any(|part| matches!(part, Part::Native { .. })),
        "it has no context"
    );
}
