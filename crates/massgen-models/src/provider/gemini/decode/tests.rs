use massgen_protocol::{ModelEvent, Secret};
use serde_json::json;

use super::*;
use crate::backend::Beat;
use crate::provider::conformance::{Kit, Outcome, asked, decode};
use crate::provider::decode::{Decode, TURN_BYTES_MAX};
use crate::provider::events::EventStream;

fn decoder() -> Box<dyn Decode> {
    noticing(None)
}

fn noticing(notice: Option<&str>) -> Box<dyn Decode> {
    let failures = Failures::new(Some(Secret::new("AIza-not-to-be-shown")));
    let notice = notice.map(str::to_owned);
    let native = "gemini_generate/gemini".to_owned();
    let format = Generate::new(asked(), failures.clone(), notice, native);
    Box::new(EventStream::new(format, failures))
}

fn whole(bytes: &str) -> Outcome {
    decode(decoder(), &[bytes.as_bytes()], None)
}

fn sse(responses: &[Value]) -> String {
    responses.iter().map(|response| format!("data: {response}\r\n\r\n")).collect()
}

fn said(parts: Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate]})
}

#[test]
fn fixtures_decode_the_same_in_any_pieces_and_never_when_cut() {
    let kit = Kit { folder: "gemini-generate", fixtures_min: 22, decoder };
    kit.check();
}

#[test]
fn a_list_of_responses_is_read_where_no_stream_came() {
    let first = said(json!([{"text": "8 "}]), None);
    let last = said(json!([{"text": "Gpc", "thoughtSignature": "c2ln"}]), Some("STOP"));
    let list = json!([first, last]).to_string();
    let outcome = whole(&list);
    let turn = outcome.result.unwrap();
    assert_eq!((outcome.text.as_str(), turn.text().as_str()), ("8 Gpc", "8 Gpc"));
    let expected = json!({"role": "model", "parts": [
        {"text": "8 "}, {"text": "Gpc", "thoughtSignature": "c2ln"},
    ]});
    let Part::Native { value, .. } = &turn.parts[0] else { panic!("{turn:?}") };
    assert_eq!(*value, expected);

    // One response, as of the method that does not stream.
    let turn = whole(&said(json!([{"text": "8"}]), Some("STOP")).to_string()).result.unwrap();
    assert_eq!(turn.text(), "8");

    // A list that breaks off, or holds no end, was cut; it is never half a success.
    let endless = json!([first]).to_string();
    for cut in [&list[..list.len() - 1], &list[..40], endless.as_str()] {
        let failure = whole(cut).result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Truncated, "{cut}");
    }
}

#[test]
fn documents_that_are_no_reply_fail_with_what_they_say() {
    let check = |document: &str, kind, told: &str| {
        let failure = whole(document).result.unwrap_err();
        assert_eq!(failure.kind, kind, "{document}: {failure:?}");
        assert!(failure.message.contains(told), "{failure:?}");
    };
    let error =
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;
    check(error, FailureKind::Overloaded, "The model is overloaded. (unavailable)");
    check(&format!("[{error}]"), FailureKind::Overloaded, "overloaded");
    let key = r#"{"error":{"code":400,"message":"bad AIza-not-to-be-shown","status":"INVALID_ARGUMENT"}}"#;
    check(key, FailureKind::BadRequest, "bad [key] (invalid_argument)");
    check("[]", FailureKind::Garbled, "JSON without a candidate");
    check("{}", FailureKind::Garbled, "JSON without a candidate");
    check(r#"{"candidates": []}"#, FailureKind::Garbled, "JSON without a candidate");
    check(r#"{"candidates": 3}"#, FailureKind::Garbled, "expected a sequence");
    check("<html>Sign in</html>", FailureKind::Garbled, "is `base_url` the root");
    check("[3]", FailureKind::Garbled, "not Gemini");
}

#[test]
fn garbage_in_a_stream_is_one_clear_failure() {
    let deep = format!("data: {}\n\n", "{\"candidates\":[".repeat(10_000));
    for bytes in ["data: {\"candidates\":3}\n\n", "data: nonsense\n\n", "data: []\n\n", &deep] {
        let failure = whole(bytes).result.unwrap_err();
        let kind = failure.kind;
        assert!(matches!(kind, FailureKind::Garbled | FailureKind::Truncated), "{failure:?}");
    }
    // An event that breaks off is the end, and garbage if there is more.
    let broken = "data: {\"candidates\":[{}\n\n";
    assert_eq!(whole(broken).result.unwrap_err().kind, FailureKind::Truncated);
    let more = format!("{broken}{}", sse(&[said(json!([{"text": "8"}]), Some("STOP"))]));
    assert_eq!(whole(&more).result.unwrap_err().kind, FailureKind::Garbled);

    // A character that breaks off is lost, and nothing else.
    let mut bytes = b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a".to_vec();
    bytes.push(0xe2);
    bytes.extend_from_slice(b"b\"}]},\"finishReason\":\"STOP\"}]}\n\n");
    let outcome = decode(decoder(), &[&bytes], None);
    assert_eq!(outcome.result.unwrap().text(), "a\u{fffd}b");
}

#[test]
fn an_endless_reply_ends_at_its_bound() {
    let piece = said(json!([{"text": "x".repeat(1 << 20)}]), None);
    let replies = vec![piece; TURN_BYTES_MAX / (1 << 20) + 4];
    let turn = whole(&sse(&replies)).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    assert!(turn.text().len() <= TURN_BYTES_MAX + (1 << 20));
}

#[test]
fn arguments_that_are_no_object_are_read_and_not_replayed() {
    let call = json!([{"functionCall": {"name": "vote", "args": "{\"agent_id\": \"agent1\"}"}}]);
    let turn = whole(&sse(&[said(call, Some("STOP"))])).result.unwrap();
    assert!(!turn.parts.iter().any(|part| matches!(part, Part::Native { .. })), "{turn:?}");
    let call = turn.tool_calls().next().unwrap();
    let value = Map::from_iter([("agent_id".to_owned(), json!("agent1"))]);
    assert_eq!(call.arguments, massgen_protocol::Arguments::Object { value });
}

#[test]
fn arguments_too_long_to_be_sent_again_are_not_replayed() {
    let args = json!({"content": "x".repeat(ARGUMENT_BYTES_MAX)});
    let call = json!([{"functionCall": {"name": "new_answer", "args": args}}]);
    let turn = whole(&sse(&[said(call, Some("STOP"))])).result.unwrap();
    assert!(!turn.parts.iter().any(|part| matches!(part, Part::Native { .. })), "{turn:?}");
    let call = turn.tool_calls().next().unwrap();
    assert!(matches!(call.arguments, massgen_protocol::Arguments::Malformed { .. }));
}

#[test]
fn what_had_to_be_left_out_is_said_once_and_after_the_start() {
    let bytes = sse(&[said(json!([{"text": "8"}]), None), said(json!([]), Some("STOP"))]);
    let outcome = decode(noticing(Some("left out")), &[bytes.as_bytes()], None);
    assert_eq!(outcome.notices, ["left out"]);
    assert_eq!(outcome.text, "8");
}

#[test]
fn calls_found_in_the_text_are_not_replayed_as_text() {
    let leaked = r#"{"name":"vote","arguments":{"agent_id":"agent1"}}"#;
    let turn = whole(&sse(&[said(json!([{"text": leaked}]), Some("STOP"))])).result.unwrap();
    assert_eq!((turn.finish, turn.tool_calls().count()), (FinishReason::ToolCalls, 1));
    assert!(!turn.parts.iter().any(|part| matches!(part, Part::Native { .. })));
}

#[test]
fn a_tool_of_googles_that_failed_says_so() {
    let parts = json!([
        {"executableCode": {"language": "PYTHON", "code": "1/0"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "ZeroDivisionError"}},
    ]);
    let bytes = sse(&[said(parts, Some("STOP"))]);
    let mut out = Out::new();
    let mut decoder = decoder();
    decoder.push(bytes.as_bytes(), &mut out).unwrap();
    assert!(out.contains(&Beat::Event(ModelEvent::RemoteToolFinished {
        id: "code_execution_1".to_owned(),
        name: "code_execution".to_owned(),
        output: "ZeroDivisionError".to_owned(),
        is_error: true,
    })));
}
