//! Anthropic Messages through the conformance kit, and what no fixture can show.

use massgen_protocol::ToolCallId;

use super::*;
use crate::provider::conformance::{self, Kit, Outcome, asked};
use crate::provider::decode::{Decode, NOTICES_MAX, TURN_BYTES_MAX};
use crate::provider::events::EventStream;

const FORMAT: &str = "anthropic_messages/claude";

fn decoder() -> Box<dyn Decode> {
    let failures = Failures::default();
    let decoder = Decoder::new(asked(), FORMAT.to_owned(), failures.clone());
    Box::new(EventStream::new(decoder, failures))
}

fn decode(bytes: &str) -> Outcome {
    conformance::decode(decoder(), &[bytes.as_bytes()], None)
}

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}

fn begin(index: u64, block: Value) -> String {
    event(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

fn piece(index: u64, delta: Value) -> String {
    event(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn text(index: u64, text: &str) -> String {
    piece(index, json!({"type": "text_delta", "text": text}))
}

fn ended(reason: &str, output_tokens: u64) -> String {
    event(&json!({"type": "message_delta", "delta": {"stop_reason": reason},
        "usage": {"output_tokens": output_tokens}}))
        + &event(&json!({"type": "message_stop"}))
}

fn begun(input_tokens: u64) -> String {
    event(&json!({"type": "message_start", "message": {"model": "claude-sonnet-4-5",
        "usage": {"input_tokens": input_tokens, "output_tokens": 1}}}))
}

fn native(turn: &AssistantTurn) -> &Value {
    match &turn.parts[0] {
        Part::Native { format, value } if format == FORMAT => value,
        other => panic!("{other:?} comes first"),
    }
}

#[test]
fn every_fixture_is_decoded_as_expected_in_any_pieces_and_fails_cleanly_cut_anywhere() {
    Kit { folder: "anthropic-messages", fixtures_min: 40, decoder }.check();
}

#[test]
fn a_paused_turn_goes_on_in_another_reply_and_becomes_one_turn() {
    let mut decoder = decoder();
    let mut out = Out::new();
    let search = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search",
        "input": {"query": "d"}});
    let container = event(&json!({"type": "message_delta",
        "delta": {"stop_reason": "pause_turn", "container": {"id": "container_1"}}}));
    let first = begun(10)
        + &text(0, "I look.")
        + &begin(1, search.clone())
        + &container
        + &ended("pause_turn", 5);
    decoder.push(first.as_bytes(), &mut out).unwrap();
    assert_eq!(decoder.progress(), Progress::Complete);
    let Finish::Continue(paused) = decoder.finish(true, &mut out) else { panic!("not paused") };
    let said = json!({"type": "text", "text": "I look."});
    assert_eq!(paused, json!({"content": [said, search], "container": "container_1"}));
    assert_eq!(decoder.progress(), Progress::Open);

    let result = json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "title": "t", "url": "https://h"}]});
    let second = begun(20) + &begin(0, result.clone()) + &text(1, "8 Gpc") + &ended("end_turn", 7);
    // In pieces, as the second reply is read from its beginning.
    for piece in second.as_bytes().chunks(7) {
        decoder.push(piece, &mut out).unwrap();
    }
    let Finish::Turn(turn) = decoder.finish(true, &mut out) else { panic!("paused again") };
    assert_eq!(turn.text(), "I look.8 Gpc");
    assert_eq!(turn.finish, FinishReason::Stop);
    assert_eq!((turn.usage.input_uncached, turn.usage.output), (30, 12));
    let answer = json!({"type": "text", "text": "8 Gpc"});
    let content = json!([said, search, result, answer]);
    assert_eq!(native(&turn), &json!({"content": content, "container": "container_1"}));
    let remote = out.iter().filter_map(|beat| match beat {
        Beat::Event(ModelEvent::RemoteToolStarted { id, input, .. }) => {
            Some((id.as_str(), input.as_str()))
        }
        Beat::Event(ModelEvent::RemoteToolFinished { id, output, .. }) => {
            Some((id.as_str(), output.as_str()))
        }
        _ => None,
    });
    let expected = [("srvtoolu_1", r#"{"query":"d"}"#), ("srvtoolu_1", "t: https://h")];
    assert_eq!(remote.collect::<Vec<_>>(), expected);
    let started = out.iter().filter(|beat| **beat == Beat::Event(ModelEvent::Started));
    assert_eq!(started.count(), 1);
}

#[test]
fn a_reply_that_breaks_off_after_a_pause_is_truncated() {
    let mut decoder = decoder();
    let mut out = Out::new();
    let first = begun(1) + &text(0, "I look.") + &ended("pause_turn", 5);
    decoder.push(first.as_bytes(), &mut out).unwrap();
    assert!(matches!(decoder.finish(true, &mut out), Finish::Continue(_)));
    decoder.push((begun(1) + &text(0, "8")).as_bytes(), &mut out).unwrap();
    let failure = decoder.end(None, &mut out).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Truncated);
}

#[track_caller]
fn check(bytes: &str, expected: Result<&str, (FailureKind, &str)>) {
    let outcome = decode(bytes);
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
    let whole = json!({"type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "text", "text": "8 Gpc"},
            {"type": "tool_use", "id": "toolu_1", "name": "vote", "input": {"agent_id": "agent1"}}],
        "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 4}});
    check(&whole.to_string(), Ok("8 Gpc"));
    let turn = decode(&whole.to_string()).result.unwrap();
    assert_eq!(native(&turn)["content"], whole["content"]);
    assert_eq!(turn.finish, FinishReason::ToolCalls);
    assert_eq!((turn.usage.input_uncached, turn.usage.output), (3, 4));
    assert_eq!(turn.tool_calls().next().unwrap().id, ToolCallId("toolu_1".to_owned()));
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#;
    check(overloaded, Err((Overloaded, "Busy (overloaded_error)")));
    let other = "the reply is not Anthropic Messages: JSON without content";
    check(r#"{"choices":[]}"#, Err((Garbled, other)));
    check("", Err((Truncated, "the reply stopped before its end")));
    check("hello", Err((Truncated, "the reply stopped before its end")));
    let stop = event(&json!({"type": "message_stop"}));
    check(&stop, Err((Truncated, "the reply ended before it began")));
    check("data: [DONE]\n\n", Err((Truncated, "the reply stopped before its end")));
    check(
        &(begun(1) + &text(0, "8") + "data: [DONE]\n\n"),
        Err((Truncated, "the reply stopped before its end")),
    );
}

#[test]
fn garbage_is_named_and_breaks_nothing() {
    let garbled = |bytes: &str| {
        let failure = decode(bytes).result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Garbled, "{bytes}");
    };
    garbled("data: {\"type\": \"content_block_delta\" oops\n\ndata: x\n\n");
    garbled(&format!("data: {}\n\n", "[".repeat(100_000)));
    // Fields of other types than they should have are passed over.
    let odd = [
        json!({"type": "message_start", "message": 3}),
        json!({"type": "content_block_start", "index": "a", "content_block": []}),
        json!({"type": "content_block_delta", "index": 9, "delta": {"type": "input_json_delta"}}),
        json!({"type": "content_block_delta", "index": u64::MAX, "delta": null}),
        json!({"type": "content_block_stop", "index": -1}),
        json!({"type": "message_delta", "delta": [], "usage": "many"}),
        json!([1]),
    ];
    let odd: String = odd.iter().map(event).collect();
    let outcome = decode(&(begun(1) + &odd + &text(3, "8") + &ended("end_turn", 1)));
    assert_eq!(outcome.result.unwrap().text(), "8");
    assert!(outcome.notices.len() >= 3, "{:?}", outcome.notices);
}

#[test]
fn broken_utf_8_loses_a_character_and_not_the_call() {
    let mut bytes = begun(1).into_bytes();
    bytes.extend_from_slice(
        b"data: {\"type\":\"content_block_delta\",\"index\":0,\
          \"delta\":{\"type\":\"text_delta\",\"text\":\"8\xff Gpc\"}}\n\n",
    );
    bytes.extend_from_slice(ended("end_turn", 1).as_bytes());
    let outcome = conformance::decode(decoder(), &[&bytes], None);
    assert_eq!(outcome.result.unwrap().text(), "8\u{fffd} Gpc");
}

#[test]
fn notices_blocks_and_text_are_bounded() {
    let odd = event(&json!({"type": "odd"})).repeat(100);
    let outcome = decode(&(begun(1) + &odd + &ended("end_turn", 1)));
    assert_eq!(outcome.notices.len(), NOTICES_MAX);

    let half = "x".repeat(TURN_BYTES_MAX / 4);
    let endless = begun(1) + &text(0, &half).repeat(6);
    let turn = decode(&endless).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    assert!(turn.text().len() <= TURN_BYTES_MAX + half.len());

    // Opaque blocks count too: signatures, results, input of the provider's own tools.
    let thought = begin(0, json!({"type": "thinking", "thinking": "", "signature": ""}));
    let signature = piece(0, json!({"type": "signature_delta", "signature": half}));
    let turn = decode(&(begun(1) + &thought + &signature.repeat(6))).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    let search = begin(0, json!({"type": "server_tool_use", "id": "s", "name": "web_search"}));
    let query = piece(0, json!({"type": "input_json_delta", "partial_json": half}));
    let turn = decode(&(begun(1) + &search + &query.repeat(6))).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    let blocks = begin(0, json!({"type": "redacted_thinking", "data": half})).repeat(6);
    let turn = decode(&(begun(1) + &blocks)).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
}

#[test]
fn a_text_that_comes_to_a_block_of_thoughts_spoils_neither() {
    let thought = begin(0, json!({"type": "thinking", "thinking": "", "signature": ""}))
        + &piece(0, json!({"type": "thinking_delta", "thinking": "Hm."}))
        + &piece(0, json!({"type": "signature_delta", "signature": "s"}))
        + &event(&json!({"type": "content_block_stop", "index": 0}));
    let turn = decode(&(begun(1) + &thought + &text(0, "8 Gpc") + &ended("end_turn", 2)));
    let turn = turn.result.unwrap();
    let expected = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "8 Gpc"},
    ]);
    assert_eq!((native(&turn)["content"].clone(), turn.text().as_str()), (expected, "8 Gpc"));
}
