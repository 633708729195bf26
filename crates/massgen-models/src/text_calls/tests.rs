use massgen_protocol::ToolCallId;

use super::*;

fn offered(name: &str) -> bool {
    matches!(name, "vote" | "new_answer")
}

#[track_caller]
fn check(text: &str, calls: &[(&str, Value)], kept: &str) {
    let found = find(text, &offered);
    let read: Vec<(&str, Value)> = found
        .calls
        .iter()
        .map(|call| match &call.arguments {
            Arguments::Object { value } => (call.name.as_str(), Value::Object(value.clone())),
            Arguments::Malformed { raw, error } => panic!("{text}: {error}: {raw}"),
        })
        .collect();
    assert_eq!(read, calls, "{text}");
    assert_eq!(found.text, kept, "{text}");
}

#[track_caller]
fn broken(text: &str, name: &str, error: &str, kept: &str) {
    let found = find(text, &offered);
    let [call] = &found.calls[..] else { panic!("{text}: {found:?}") };
    let Arguments::Malformed { raw: _, error: told } = &call.arguments else {
        panic!("{text}: {found:?}")
    };
    assert_eq!((call.name.as_str(), told.as_str(), found.text.as_str()), (name, error, kept));
}

#[test]
fn a_block_at_the_end_is_a_call() {
    let vote = ("vote", json!({"agent_id": "agent1"}));
    let written = r#"{"tool": "vote", "arguments": {"agent_id": "agent1"}}"#;
    check(&format!("I vote.\n\n```json\n{written}\n```"), std::slice::from_ref(&vote), "I vote.");
    check(
        &format!("```\n{written}\n```\nThat is all."),
        std::slice::from_ref(&vote),
        "That is all.",
    );
    check(&format!("~~~json\n{written}\n~~~"), std::slice::from_ref(&vote), "");
    check(&format!("```JSON\r\n{written}\r\n```\r\n"), std::slice::from_ref(&vote), "");
    check(&format!("  ```tool\n  {written}```"), std::slice::from_ref(&vote), "");
    // The closing fence, and then the rest of it, is the first thing to be forgotten.
    check(&format!("Well.\n```json\n{written}\n"), std::slice::from_ref(&vote), "Well.");
    check(&format!("```json\n{written}}}\n```"), std::slice::from_ref(&vote), "");
    check(&format!("Well.\n{written}"), std::slice::from_ref(&vote), "Well.");
    check(&format!("<tool_call>{written}</tool_call> So."), std::slice::from_ref(&vote), "So.");
    check(&format!("<tool_call>\n{written}"), std::slice::from_ref(&vote), "");
}

#[test]
fn several_blocks_are_several_calls_in_their_order() {
    let calls = [("new_answer", json!({"content": "4"})), ("vote", json!({"agent_id": "agent2"}))];
    let (answer, vote) = (
        r#"{"tool": "new_answer", "arguments": {"content": "4"}}"#,
        r#"{"tool": "vote", "arguments": {"agent_id": "agent2"}}"#,
    );
    check(&format!("A\n```json\n{answer}\n```\nB\n```json\n{vote}\n```\nC"), &calls, "A\n\nB\n\nC");
    check(&format!("```json\n{answer}\n{vote}\n```"), &calls, "");
    check(&format!("```json\n[{answer}, {vote}]\n```"), &calls, "");
    check(&format!("```json\n{answer},\n{vote}\n```"), &calls, "");
    check(&format!("```json\n{{\"tool_calls\": [{answer}, {vote}]}}\n```"), &calls, "");
    check(&format!("{answer}\n{vote}"), &calls, "");
}

#[test]
fn an_answer_with_code_in_it_is_one_call() {
    let content = "Use:\n```python\nprint({'tool': 'vote'})\n```\nDone.";
    let strict = json!({"tool": "new_answer", "arguments": {"content": content}}).to_string();
    let expected = [("new_answer", json!({"content": content}))];
    check(&format!("Here.\n```json\n{strict}\n```"), &expected, "Here.");
    // With the line breaks written as they are, the inner fence stands at the start of a line.
    let loose = strict.replace("\\n", "\n");
    check(&format!("Here.\n```json\n{loose}\n```"), &expected, "Here.");
}

#[test]
fn fences_in_fences_are_told_apart() {
    let call = r#"{"tool": "vote", "arguments": {"agent_id": "agent1"}}"#;
    let vote = [("vote", json!({"agent_id": "agent1"}))];
    // A longer fence around it makes it an example.
    let example = format!("So it looks:\n````md\n```json\n{call}\n```\n````\nClear?");
    check(&example, &[], &example);
    let other = format!("~~~\n```json\n{call}\n```\n~~~");
    check(&other, &[], &other);
    // A block in a block of one length leaves a fence open, which hides no call.
    let unbalanced = "```markdown\nRun:\n```sh\nls\n```\nSo.\n```";
    check(&format!("{unbalanced}\n```json\n{call}\n```"), &vote, unbalanced);
    let open = "```python\nprint(1)";
    check(&format!("{open}\n```json\n{call}\n```"), &vote, open);
}

#[test]
fn what_is_not_quite_json_is_read() {
    let vote = [("vote", json!({"agent_id": "agent1"}))];
    for written in [
        "{'tool': 'vote', 'arguments': {'agent_id': 'agent1'}}",
        "{tool: 'vote', arguments: {agent_id: 'agent1',},}",
        r#"{"tool": "vote", "arguments": "{\"agent_id\": \"agent1\"}"}"#,
        r#"{"tool": "vote", "arguments": "{'agent_id': 'agent1'}"}"#,
        r#"{"tool": "vote", "agent_id": "agent1"}"#,
        r#"{"name": "vote", "parameters": {"agent_id": "agent1"}}"#,
        r#"{"tool_name": "vote", "args": {"agent_id": "agent1"}}"#,
        r#"{"type": "function", "function": {"name": "vote", "arguments": "{\"agent_id\": \"agent1\"}"}}"#,
    ] {
        check(&format!("```json\n{written}\n```"), &vote, "");
    }
    check("```json\n{\"tool\": \"vote\", \"arguments\": null}\n```", &[("vote", json!({}))], "");
}

#[test]
fn what_cannot_be_read_is_told_and_never_empty() {
    let cut = "So.\n```json\n{\"tool\": \"new_answer\", \"arguments\": {\"content\": \"The dist";
    broken(cut, "new_answer", "the call breaks off", "So.");
    let garbled = "```json\n{\"tool\": \"vote\", \"arguments\": {agent one}}\n```\nBye.";
    broken(garbled, "vote", "the call is no JSON", "Bye.");
    let list = "```json\n{\"tool\": \"vote\", \"arguments\": [1]}\n```";
    broken(list, "vote", "the arguments are no object", "");
    let long = json!({"tool": "vote", "arguments": {"reason": "x".repeat(ARGUMENT_BYTES_MAX + 1)}});
    broken(&format!("```json\n{long}\n```"), "vote", "the arguments are too long", "");
}

#[test]
fn an_answer_stays_an_answer() {
    for text in [
        "8 Gpc",
        "",
        "```",
        "```json\n```",
        "```json\n{}\n```",
        "```json\n[]\n```",
        "```json\n{\"tool\": \"dance\", \"arguments\": {}}\n```",
        "```json\n{\"name\": \"vote\"}\n```",
        "```json\n{\"tool\": 3}\n```",
        "```json\n[{\"tool\": \"vote\", \"arguments\": {}}, 3]\n```",
        "```rust\nlet x = { 1 };\n```",
        "I would write {\"tool\": \"vote\", \"arguments\": {}} here.",
        "{\"tool\": \"vote\", \"arguments\": {}} is what I would write.",
        "{\"a\": 1}",
        "{",
        "<tool_call>",
        "~~~~~",
    ] {
        check(text, &[], text);
    }
}

#[test]
fn garbage_takes_no_time() {
    let braces = "{\n".repeat(200_000);
    let strings = "{\"tool\n".repeat(100_000);
    let fences = "```json\n{\"tool\": \"".repeat(50_000);
    for text in [braces, strings, fences] {
        let found = find(&text, &|name| name == "vote");
        assert!(found.calls.is_empty());
    }
    let many = "```json\n{\"tool\": \"vote\", \"arguments\": {}}\n```\n".repeat(2_000);
    assert_eq!(find(&many, &offered).calls.len(), CALLS_MAX);
}

#[test]
fn what_is_described_can_be_written_and_read() {
    let tools = [ToolSpec {
        name: "vote".to_owned(),
        description: "Votes.".to_owned(),
        parameters: json!({"type": "object", "properties": {"agent_id": {"enum": ["agent1"]}}}),
    }];
    let told = describe(&tools);
    assert!(
        told.contains("## `vote`\nVotes.\n") && told.contains(r#"{"enum":["agent1"]}"#),
        "{told}"
    );
    assert!(find(&told, &offered).calls.is_empty(), "the description itself calls nothing");
    assert!(remind(&tools).contains("`vote`"));
    assert_eq!(describe(&[]) + &remind(&[]), "");
    let Value::Object(value) = json!({"agent_id": "agent1"}) else { unreachable!() };
    let id = ToolCallId("call_1".to_owned());
    let arguments = Arguments::Object { value };
    let written = render(&ToolCall { id, name: "vote".to_owned(), arguments });
    check(&written, &[("vote", json!({"agent_id": "agent1"}))], "");
}
