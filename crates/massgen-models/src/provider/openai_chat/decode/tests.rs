//! Chat Completions through the conformance kit, and what no fixture can show.

use massgen_protocol::FailureKind;
use serde_json::json;

use super::*;
use crate::provider::conformance::{self, Kit, Outcome, asked};

fn decoder() -> Box<dyn Decode> {
    Box::new(Decoder::new(asked(), Failures::default()))
}

fn decode(pieces: &[&[u8]], lost: Option<&str>) -> Outcome {
    conformance::decode(decoder(), pieces, lost)
}

#[test]
fn every_fixture_is_decoded_as_expected_in_any_pieces_and_fails_cleanly_cut_anywhere() {
    Kit { folder: "openai-chat", fixtures_min: 40, decoder }.check();
}

#[track_caller]
fn check(bytes: &str, expected: Result<&str, (FailureKind, &str)>) {
    let outcome = decode(&[bytes.as_bytes()], None);
    let result = match &outcome.result {
        Ok(turn) => Ok(turn.text()),
        Err(failure) => Err((failure.kind, failure.message.clone())),
    };
    let expected =
        expected.map(str::to_owned).map_err(|(kind, message)| (kind, message.to_owned()));
    assert_eq!(result, expected, "{bytes}");
}

#[test]
fn a_reply_that_is_no_stream_is_understood_or_named() {
    use FailureKind::*;
    check(
        r#" {"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"8 Gpc"},
            "finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        Ok("8 Gpc"),
    );
    check(
        r#"{"error":{"message":"no credit","code":"insufficient_quota"}}"#,
        Err((Quota, "no credit (insufficient_quota)")),
    );
    check(r#"{"object":"error","message":"no","code":400}"#, Err((BadRequest, "no")));
    check("{}", Err((Garbled, "the reply is not the format: JSON without a choice")));
    check("{\"choi", Err((Garbled, NO_API)));
    check("<html>hello</html>", Err((Garbled, NO_API)));
    check("", Err((Truncated, "the reply stopped before its end")));
    check("\n\n", Err((Truncated, "the reply stopped before its end")));
    check("hello", Err((Truncated, "the reply stopped before its end")));
    check("data: [DONE]\n\n", Err((Truncated, "the reply ended before it began")));
}

const NO_API: &str = "the reply is not the format: neither an event stream nor JSON; is `base_url` \
                      the root of an API that speaks OpenAI Chat Completions?";

#[test]
fn garbage_in_a_stream_is_named() {
    let outcome = decode(&[b"data: {\"choices\": [{\"delta\" oops\n\ndata: [DONE]\n\n"], None);
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Garbled);
    assert!(failure.message.starts_with("the reply is not the format: a frame is no JSON"));
    let outcome = decode(&[b"event: error\ndata: it broke\n\n"], None);
    assert_eq!(outcome.result.unwrap_err().message, "it broke");
    let failure = decode(&[b"data: {\"choices\":[{\"delta\":"], Some("reset")).result.unwrap_err();
    assert_eq!(failure.message, "the connection was lost before the reply ended: reset");
}

#[test]
fn notices_and_text_are_bounded() {
    let odd = b"data: {\"odd\":true}\n\n".repeat(100);
    let end = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(decode(&[&odd, end], None).notices.len(), NOTICES_MAX);

    let content = "x".repeat(TURN_BYTES_MAX / 4);
    let frame = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": content}}]}));
    let frames = [frame.as_bytes(); 6];
    let turn = decode(&frames, None).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    assert!(turn.text().len() <= TURN_BYTES_MAX + content.len());

    let endless = vec![b'['; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(decode(&[&endless], None).result.unwrap_err().kind, FailureKind::Garbled);
}

#[test]
fn ids_are_unique_within_a_conversation() {
    let call =
        |id: &str| json!({"index": 0, "id": id, "function": {"name": "vote", "arguments": "{}"}});
    let frame = |id: &str| {
        let chunk = json!({"choices": [{"delta": {"tool_calls": [call(id)]}}]});
        format!("data: {chunk}\n\n").into_bytes()
    };
    let end = b"data: [DONE]\n\n".to_vec();
    let pieces = [frame("a"), frame("functions.vote:0"), frame(""), end];
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let turn = decode(&pieces, None).result.unwrap();
    let ids: Vec<&str> = turn.tool_calls().map(|call| call.id.0.as_str()).collect();
    assert_eq!(ids, ["a", "call_2_0", "call_2_1"]);
}
