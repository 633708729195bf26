//! Responses through the conformance kit, and what no fixture can show.

use massgen_protocol::{Arguments, HostedTools};
use serde_json::json;

use super::*;
use crate::provider::conformance::{self, Kit, Outcome, asked};
use crate::provider::decode::{ARGUMENT_BYTES_MAX, Decode, TURN_BYTES_MAX};
use crate::provider::events::EventStream;

const NATIVE: &str = "openai_responses/openai";

fn decoder() -> Box<dyn Decode> {
    let names = Names::new(HostedTools { web_search: true, ..HostedTools::default() });
    let format = Responses::new(asked(), Failures::default(), NATIVE.to_owned(), names);
    Box::new(EventStream::new(format, Failures::default()))
}

fn decode(events: &[Value]) -> Outcome {
    let frames: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    conformance::decode(decoder(), &[frames.concat().as_bytes()], None)
}

#[test]
fn every_fixture_is_decoded_as_expected_in_any_pieces_and_fails_cleanly_cut_anywhere() {
    Kit { folder: "openai-responses", fixtures_min: 30, decoder }.check();
}

#[track_caller]
fn check(bytes: &str, expected: Result<&str, (FailureKind, &str)>) {
    let outcome = conformance::decode(decoder(), &[bytes.as_bytes()], None);
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
        r#" {"object":"response","status":"completed","error":null,"model":"m","tools":null,
            "output":[{"type":"message","role":"assistant","content":[{"type":"output_text",
            "text":"8 Gpc"}]}],"usage":{"input_tokens":1,"output_tokens":2}}"#,
        Ok("8 Gpc"),
    );
    check(
        r#"{"object":"response","status":"failed","output":[],
            "error":{"code":"rate_limit_exceeded","message":"slow"}}"#,
        Err((RateLimited, "slow (rate_limit_exceeded)")),
    );
    check(
        r#"{"object":"response","status":"queued","output":[]}"#,
        Err((Truncated, "the provider took the call and left the reply for later")),
    );
    check(
        r#"{"error":{"message":"no credit","code":"insufficient_quota"}}"#,
        Err((Quota, "no credit (insufficient_quota)")),
    );
    check(
        r#"{"object":"chat.completion","choices":[]}"#,
        Err((
            Garbled,
            "the server answers with OpenAI Chat Completions; use `type: chatcompletion` for it",
        )),
    );
    check("{}", Err((Garbled, "the reply is not OpenAI Responses: JSON without an output")));
    check("", Err((Truncated, "the reply stopped before its end")));
    check("data: [DONE]\n\n", Err((Truncated, "the reply stopped before its end")));
    check(
        "data: {\"type\": oops\n\n",
        Err((
            Garbled,
            "the reply is not OpenAI Responses: an event is no JSON: expected value at line 1 \
             column 10",
        )),
    );
}

fn call_item(arguments: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "vote",
        "arguments": arguments, "status": "completed"})
}

fn completed(output: Value) -> Value {
    json!({"type": "response.completed", "response": {"status": "completed", "output": output}})
}

#[test]
fn arguments_without_end_do_not_stay_in_the_conversation() {
    let long = format!("{{\"agent_id\":\"{}\"}}", "x".repeat(ARGUMENT_BYTES_MAX));
    let item = call_item(&long);
    let turn = decode(&[
        json!({"type": "response.output_item.added", "output_index": 0, "item": call_item("")}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        completed(json!([item])),
    ])
    .result
    .unwrap();
    let call = turn.tool_calls().next().unwrap();
    assert!(matches!(call.arguments, Arguments::Malformed { .. }), "{call:?}");
    let Part::Native { value, .. } = &turn.parts[0] else { panic!("{turn:?}") };
    let sent = value[0]["arguments"].as_str().unwrap();
    assert!(sent.len() < 10_000 && sent.starts_with("{\"unreadable\":"), "{}", sent.len());
}

#[test]
fn items_notices_and_text_are_bounded() {
    let odd = |n: usize| json!({"type": format!("response.odd_{n}"), "n": n});
    let mut events: Vec<Value> = (0..100).chain(0..100).map(odd).collect();
    events.push(completed(json!([])));
    assert_eq!(decode(&events).notices.len(), NOTICES_MAX);

    let text = "x".repeat(TURN_BYTES_MAX / 4);
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "delta": text});
    let turn = decode(&vec![delta; 6]).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    assert!(turn.text().len() <= TURN_BYTES_MAX + text.len());
    assert!(!matches!(turn.parts[0], Part::Native { .. }), "it is not whole");

    let many: Vec<Value> = (0..5_000)
        .map(|n| {
            json!({"type": "response.output_item.done", "output_index": n,
            "item": {"type": "web_search_call", "id": format!("ws_{n}")}})
        })
        .chain([completed(json!(null))])
        .collect();
    let outcome = decode(&many);
    assert!(outcome.remote.len() < 2_000, "{}", outcome.remote.len());
}

#[test]
fn an_id_that_was_used_before_is_replaced_in_both_forms_of_the_turn() {
    let mut item = call_item("{}");
    item["call_id"] = json!("functions.vote:0");
    let turn = decode(&[completed(json!([item]))]).result.unwrap();
    let id = &turn.tool_calls().next().unwrap().id.0;
    assert_eq!(id, "call_2_0");
    let Part::Native { value, format } = &turn.parts[0] else { panic!("{turn:?}") };
    assert_eq!((format.as_str(), &value[0]["call_id"]), (NATIVE, &json!("call_2_0")));
}

#[test]
fn a_turn_with_a_call_in_its_text_is_not_replayed_as_it_came() {
    let text = "<tool_call>{\"name\":\"vote\",\"arguments\":{\"agent_id\":\"agent1\"}}</tool_call>";
    let message = json!({"type": "message", "role": "assistant",
        "content": [{"type": "output_text", "text": text}]});
    let turn = decode(&[completed(json!([message]))]).result.unwrap();
    assert_eq!(turn.tool_calls().count(), 1);
    assert!(!turn.parts.iter().any(|part| matches!(part, Part::Native { .. })), "{turn:?}");
}

#[test]
fn a_reserved_name_comes_back_as_the_tool_it_is() {
    let mut asked = asked();
    let mut tools = (*asked.tools).clone();
    tools[0].name = "python".to_owned();
    asked.tools = tools.into();
    let names = Names::new(HostedTools::default());
    let format = Responses::new(asked, Failures::default(), NATIVE.to_owned(), names);
    let decoder = Box::new(EventStream::new(format, Failures::default()));
    let mut item = call_item("{}");
    item["name"] = json!("python_tool");
    let frame = format!("data: {}\n\n", completed(json!([item])));
    let turn = conformance::decode(decoder, &[frame.as_bytes()], None).result.unwrap();
    assert_eq!(turn.tool_calls().next().unwrap().name, "python");
    let Part::Native { value, .. } = &turn.parts[0] else { panic!("{turn:?}") };
    assert_eq!(value[0]["name"], "python_tool");
}
