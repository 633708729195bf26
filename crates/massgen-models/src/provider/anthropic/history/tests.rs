use massgen_protocol::{Media, MediaKind, MediaSource, ToolCallId};

use super::*;

const OWN: Native<'static> = Native { format: "anthropic_messages/claude", needs_signatures: true };

fn text(text: &str) -> Part {
    Part::Text { text: text.to_owned() }
}

fn call(id: &str) -> Part {
    let arguments = Arguments::Object { value: Map::from_iter([("a".to_owned(), json!(1))]) };
    Part::ToolCall(ToolCall { id: ToolCallId(id.to_owned()), name: "vote".to_owned(), arguments })
}

fn result(id: &str, text: &str) -> Part {
    Part::ToolResult(ToolResult {
        id: ToolCallId(id.to_owned()),
        name: "vote".to_owned(),
        text: text.to_owned(),
        is_error: false,
    })
}

fn own(content: Value) -> Part {
    Part::Native { format: OWN.format.to_owned(), value: json!({"content": content}) }
}

fn message(role: Role, parts: Vec<Part>) -> Arc<Message> {
    Arc::new(Message { role, parts })
}

fn turns(messages: &[Arc<Message>]) -> Value {
    let history = History::of(messages, OWN, None);
    let turn = |turn: Turn| match turn.side {
        Side::User => json!({"user": turn.blocks}),
        Side::Assistant => json!({"assistant": turn.blocks}),
    };
    Value::Array(history.turns.into_iter().map(turn).collect())
}

fn said(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn used(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "vote", "input": {"a": 1}})
}

fn answer(id: &str, text: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": text})
}

#[test]
fn results_of_parallel_calls_are_one_message_directly_after_and_come_first() {
    let messages = [
        message(Role::User, vec![text("How far?")]),
        message(Role::Assistant, vec![call("a"), call("b")]),
        message(Role::Tool, vec![result("b", "two")]),
        message(Role::User, vec![text("New answers.")]),
        message(Role::Tool, vec![result("a", "one")]),
        message(Role::User, vec![text("Go on.")]),
    ];
    let expected = json!([
        {"user": [said("How far?")]},
        {"assistant": [used("a"), used("b")]},
        {"user": [answer("b", "two"), answer("a", "one"), said("New answers."), said("Go on.")]},
    ]);
    assert_eq!(turns(&messages), expected);
}

#[test]
fn every_call_has_one_result_and_every_result_its_call() {
    let interrupted = json!({"type": "tool_result", "tool_use_id": "a",
        "content": "(no result: the call was interrupted)", "is_error": true});
    let question = || message(Role::User, vec![text("How far?")]);
    let calls = || message(Role::Assistant, vec![call("a")]);
    let begin = [json!({"user": [said("How far?")]}), json!({"assistant": [used("a")]})];
    let check = |rest: Vec<Arc<Message>>, expected: Value| {
        let messages = [vec![question(), calls()], rest].concat();
        let expected = [begin.to_vec(), vec![json!({"user": expected})]].concat();
        assert_eq!(turns(&messages), Value::Array(expected));
    };
    // None at all, and none before the user goes on.
    check(vec![], json!([interrupted]));
    check(vec![message(Role::User, vec![text("Go on.")])], json!([interrupted, said("Go on.")]));
    // One too many, and one of another call.
    let twice = message(Role::Tool, vec![result("a", "1"), result("a", "2"), result("x", "3")]);
    check(vec![twice], json!([answer("a", "1"), said("2"), said("3")]));
    let empty = message(Role::Tool, vec![result("a", " \n")]);
    check(vec![empty], json!([answer("a", "(no output)")]));
}

#[test]
fn what_was_said_to_this_provider_goes_back_verbatim_and_in_order() {
    let content = json!([
        {"type": "thinking", "thinking": "First.", "signature": "s1"},
        {"type": "tool_use", "id": "toolu_1", "name": "vote", "input": {"z": 1, "a": 2}},
        {"type": "redacted_thinking", "data": "R"},
        {"type": "thinking", "thinking": "", "signature": "s2"},
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "d"}},
        {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [
            {"type": "web_search_result", "url": "https://h", "encrypted_content": "E",
             "page_age": null}]},
        {"type": "text", "text": "8", "citations": [{"url": "https://h", "title": "t"}]},
        {"type": "future", "x": {"y": null}},
    ]);
    let messages = [
        // The parts beside it say something else, to be sure which is sent.
        message(Role::Assistant, vec![own(content.clone()), text("other"), call("toolu_9")]),
        message(Role::Tool, vec![result("toolu_1", "ok")]),
    ];
    let expected = json!([{"assistant": content}, {"user": [answer("toolu_1", "ok")]}]);
    // As text, so that the order of the fields counts too.
    assert_eq!(turns(&messages).to_string(), expected.to_string());
}

#[test]
fn what_only_comes_with_a_reply_does_not_go_back() {
    let long = "t".repeat(300);
    let content = json!([
        {"type": "thinking", "thinking": "cut", "signature": ""},
        {"type": "thinking", "thinking": "without"},
        {"type": "text", "text": "\n\n"},
        {"type": "text", "text": "So.", "citations": null, "parsed_output": {"x": 1}},
        {"type": "text", "text": "8", "citations": [{"title": long}, {"document_title": "d"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "vote", "input": {},
         "caller": {"type": "direct"}},
        {"type": "tool_use", "id": "toolu_2", "name": "vote", "input": {},
         "caller": {"type": "code_execution_20250825", "tool_id": "srv"}},
        "no block",
        {"no": "type"},
        // Nothing follows this thought.
        {"type": "thinking", "thinking": "End.", "signature": "s"},
    ]);
    let messages = [
        message(Role::Assistant, vec![own(content)]),
        message(Role::Tool, vec![result("toolu_1", "ok"), result("toolu_2", "ok")]),
    ];
    let short = "t".repeat(255);
    let expected = json!([
        {"type": "text", "text": "So."},
        {"type": "text", "text": "8", "citations": [{"title": short}, {"document_title": "d"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "vote", "input": {}},
        {"type": "tool_use", "id": "toolu_2", "name": "vote", "input": {},
         "caller": {"type": "code_execution_20250825", "tool_id": "srv"}},
    ]);
    assert_eq!(turns(&messages)[0]["assistant"], expected);
    // A message of which nothing is left is none.
    let thought = json!([{"type": "thinking", "thinking": "cut", "signature": ""}]);
    let messages = [
        message(Role::User, vec![text("How far?")]),
        message(Role::Assistant, vec![own(thought)]),
        message(Role::User, vec![text("Well?")]),
    ];
    assert_eq!(turns(&messages), json!([{"user": [said("How far?"), said("Well?")]}]));
}

#[test]
fn a_makers_thoughts_without_signature_go_back_to_it() {
    let native = Native { format: "anthropic_messages/glm", needs_signatures: false };
    let content = json!([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "8"}]);
    let part =
        Part::Native { format: native.format.to_owned(), value: json!({"content": content}) };
    let history = History::of(&[message(Role::Assistant, vec![part])], native, None);
    assert_eq!(history.turns[0].blocks, *content.as_array().unwrap());
}

#[test]
fn what_another_provider_said_is_converted() {
    let foreign = Part::Native { format: "openai_responses/openai".to_owned(), value: json!([1]) };
    let arguments = Arguments::Malformed { raw: "{\"a".to_owned(), error: "cut".to_owned() };
    let broken = Part::ToolCall(ToolCall {
        id: ToolCallId("call.1".to_owned()),
        name: "functions.vote".to_owned(),
        arguments,
    });
    let reasoning = Part::Reasoning { text: "hm".to_owned(), field: None };
    let messages = [
        message(Role::Assistant, vec![foreign, reasoning, text("I vote."), text(" "), broken]),
        message(Role::Tool, vec![result("call.1", "unreadable")]),
    ];
    let turns = turns(&messages);
    let id = turns[0]["assistant"][1]["id"].as_str().unwrap();
    assert!(id.starts_with("call_1_") && id.chars().all(is_plain), "{id}");
    let expected = json!([
        {"assistant": [said("I vote."), {"type": "tool_use", "id": id, "name": "functions_vote",
            "input": {"unreadable": "{\"a"}}]},
        {"user": [answer(id, "unreadable")]},
    ]);
    assert_eq!(turns, expected);
}

#[test]
fn ids_of_other_providers_stay_apart_and_plain_ones_stay() {
    assert_eq!(clean_id("toolu_01-A"), "toolu_01-A");
    let odd = ["functions.vote:0", "functions_vote.0", "functions:vote:0", "", "ü", "é"];
    let cleaned: std::collections::BTreeSet<String> = odd.iter().map(|id| clean_id(id)).collect();
    assert_eq!(cleaned.len(), odd.len(), "{cleaned:?}");
    assert!(cleaned.iter().all(|id| !id.is_empty() && id.chars().all(is_plain)), "{cleaned:?}");
}

#[test]
fn system_messages_come_first_or_as_reminders() {
    let messages = [
        message(Role::System, vec![text("Be right."), text(" ")]),
        message(Role::User, vec![text("How far?")]),
        message(Role::System, vec![text("Time is short.")]),
    ];
    let history = History::of(&messages, OWN, None);
    assert_eq!(history.system, [said("Be right.")]);
    let reminder = said("<system-reminder>\nTime is short.\n</system-reminder>");
    assert_eq!(history.turns.len(), 1);
    assert_eq!(history.turns[0].blocks, [said("How far?"), reminder]);
}

#[test]
fn a_last_word_of_the_assistant_has_no_blanks_at_its_end() {
    let first = own(json!([{"type": "text", "text": "So. \n"}]));
    let messages = [
        message(Role::Assistant, vec![first.clone()]),
        message(Role::User, vec![text("Well? ")]),
        message(Role::Assistant, vec![text("8 Gpc \n")]),
    ];
    let expected = json!([
        {"assistant": [said("So. \n")]}, {"user": [said("Well? ")]}, {"assistant": [said("8 Gpc")]},
    ]);
    assert_eq!(turns(&messages), expected);
}

#[test]
fn a_paused_turn_is_its_own_continuation() {
    let search = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}});
    let paused = json!({"content": [said("I look."), search], "container": "container_2"});
    let earlier = Part::Native {
        format: OWN.format.to_owned(),
        value: json!({"content": [said("8")], "container": "container_1"}),
    };
    let messages =
        [message(Role::Assistant, vec![earlier]), message(Role::User, vec![text("Sure?")])];
    let history = History::of(&messages, OWN, None);
    assert_eq!(history.container.as_deref(), Some("container_1"));
    let history = History::of(&messages, OWN, Some(&paused));
    assert_eq!(history.container.as_deref(), Some("container_2"));
    assert_eq!(history.turns.last().unwrap().blocks, [said("I look."), search]);
}

#[test]
fn attachments_stand_where_they_were_put() {
    let media = Part::Media(Media {
        kind: MediaKind::Image,
        media_type: "image/png".to_owned(),
        name: None,
        source: MediaSource::Inline { base64: "aGk=".to_owned() },
    });
    let turns = turns(&[message(Role::User, vec![text("Look:"), media, text("So?")])]);
    let kinds: Vec<&str> = turns[0]["user"].as_array().unwrap().iter().map(kind).collect();
    assert_eq!(kinds, ["text", "image", "text"]);
}
