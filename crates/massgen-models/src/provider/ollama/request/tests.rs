use massgen_protocol::{BackendSpec, ToolCallId, ToolResult};

use super::*;

const NATIVE: &str = "ollama_chat/ollama";

fn plan(model: &str, change: impl FnOnce(&mut BackendSpec)) -> Plan {
    let mut spec = BackendSpec::new("ollama", model, "http://h");
    change(&mut spec);
    Plan::new(&spec, &spec.params)
}

fn call(messages: Vec<Message>, tools: &[&str]) -> ModelCall {
    let tool = |name: &&str| ToolSpec {
        name: (*name).to_owned(),
        description: format!("{name} it"),
        parameters: json!({"type": "object"}),
    };
    ModelCall {
        messages: Arc::new(messages.into_iter().map(Arc::new).collect()),
        tools: Arc::new(tools.iter().map(tool).collect()),
        max_output_tokens: None,
        label: "run/agent1#1.1".to_owned(),
        seed: 1,
    }
}

fn question() -> ModelCall {
    call(vec![Message::text(Role::User, "How far?")], &[])
}

fn made(id: &str, arguments: Arguments) -> Part {
    let (id, name) = (ToolCallId(id.to_owned()), "vote".to_owned());
    Part::ToolCall(ToolCall { id, name, arguments })
}

#[test]
fn a_conversation_is_sent_with_its_own_turns_as_they_came() {
    let own = json!({"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [
        {"function": {"index": 0, "name": "vote", "arguments": {}}, "id": "call_1_0"},
    ]});
    let object = Arguments::Object { value: Map::new() };
    let broken = Arguments::Malformed { raw: "{\"ag".to_owned(), error: "cut".to_owned() };
    let native = Part::Native { format: NATIVE.to_owned(), value: own.clone() };
    let foreign = Part::Native { format: "claude".to_owned(), value: json!([]) };
    let thought = Part::Reasoning { text: "Hm.".to_owned(), field: None };
    let result = Part::ToolResult(ToolResult {
        id: ToolCallId("call_1_0".to_owned()),
        name: "vote".to_owned(),
        text: "stale".to_owned(),
        is_error: true,
    });
    let text = Part::Text { text: "I vote.".to_owned() };
    let turn = |role, parts| Message { role, parts };
    let messages = vec![
        Message::text(Role::System, "Be right."),
        Message::text(Role::User, "How far?"),
        turn(Role::Assistant, vec![native, thought.clone(), made("call_1_0", object.clone())]),
        turn(Role::Tool, vec![result]),
        turn(Role::Assistant, vec![foreign, thought, text, made("a", object), made("b", broken)]),
    ];
    let expected = json!({
        "model": "qwen3:8b",
        "messages": [
            {"role": "system", "content": "Be right."},
            {"role": "user", "content": "How far?"},
            own,
            {"role": "tool", "tool_name": "vote", "tool_call_id": "call_1_0", "content": "stale"},
            {"role": "assistant", "content": "I vote.", "tool_calls": [
                {"id": "a", "function": {"name": "vote", "arguments": {}}},
                {"id": "b", "function": {"name": "vote", "arguments": {"unreadable": "{\"ag"}}},
            ]},
        ],
        "tools": [{"type": "function", "function": {
            "name": "vote", "description": "vote it", "parameters": {"type": "object"},
        }}],
        "stream": true,
    });
    let body = plan("qwen3:8b", |_| {}).body(&call(messages, &["vote"])).unwrap();
    // As text, because the order of fields decides whether a prompt cache holds.
    assert_eq!(body.to_string(), expected.to_string());
}

#[test]
fn the_context_size_is_asked_for_where_it_is_known() {
    let options = |change: fn(&mut BackendSpec)| {
        let plan = plan("m", change);
        (plan.body(&question()).unwrap()["options"].take(), plan.context_size())
    };
    assert_eq!(options(|_| {}), (Value::Null, None));
    let stated = options(|spec| spec.context_window = Some(32_768));
    assert_eq!(stated, (json!({"num_ctx": 32_768}), Some(32_768)));
    let own = options(|spec| {
        spec.context_window = Some(32_768);
        spec.params = Map::from_iter([("num_ctx".to_owned(), json!(8_192))]);
    });
    assert_eq!(own, (json!({"num_ctx": 8_192}), Some(8_192)));
    let none = options(|spec| {
        spec.context_window = Some(32_768);
        spec.params = Map::from_iter([("num_ctx".to_owned(), Value::Null)]);
    });
    assert_eq!(none, (Value::Null, None));
}

#[test]
fn params_are_options_or_fields() {
    let params = json!({
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "stop": "END",
        "max_tokens": 77, "options": {"min_p": 0.1, "mirostat": 2}, "keep_alive": "10m",
        "format": "json", "model": "other", "stream": false, "messages": [], "n": 2,
    });
    let Value::Object(params) = params else { unreachable!() };
    let plan = plan("m", |spec| {
        spec.params = params;
        spec.max_output_tokens = Some(9);
    });
    let mut call = question();
    let body = plan.body(&call).unwrap();
    let options = json!({
        "num_predict": 77, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7,
        "stop": ["END"], "min_p": 0.1, "mirostat": 2,
    });
    assert_eq!(body["options"], options);
    assert_eq!((&body["keep_alive"], &body["format"]), (&json!("10m"), &json!("json")));
    assert_eq!((&body["model"], &body["stream"]), (&json!("m"), &json!(true)));
    assert_eq!((&body["n"], body["messages"].as_array().unwrap().len()), (&Value::Null, 1));
    assert!(plan.is_bounded(&call));
    call.max_output_tokens = Some(5);
    assert_eq!(plan.body(&call).unwrap()["options"]["num_predict"], 5);
}

#[test]
fn thinking_is_a_switch_and_a_level_on_gpt_oss() {
    let check = |model: &str, effort: Option<&str>, budget_tokens: Option<u64>, expected: Value| {
        let plan = plan(model, |spec| {
            spec.reasoning.effort = effort.map(str::to_owned);
            spec.reasoning.budget_tokens = budget_tokens;
        });
        assert_eq!(plan.body(&question()).unwrap()["think"], expected, "{model}, {effort:?}");
    };
    check("qwen3:8b", None, None, Value::Null);
    check("qwen3:8b", Some("none"), None, json!(false));
    check("qwen3:8b", Some("low"), None, json!(true));
    check("qwen3:8b", None, Some(0), json!(false));
    check("qwen3:8b", None, Some(2_000), json!(true));
    check("gpt-oss:20b", Some("none"), None, json!("low"));
    check("gpt-oss:20b", Some("medium"), None, json!("medium"));
    check("gpt-oss:20b", Some("max"), None, json!("high"));
    let plan = plan("gpt-oss:20b", |spec| {
        spec.reasoning.effort = Some("high".to_owned());
        spec.params = Map::from_iter([("think".to_owned(), json!("low"))]);
    });
    assert_eq!(plan.body(&question()).unwrap()["think"], "low");
    assert!(!plan.may_leave_out_think());
}

#[test]
fn images_are_sent_and_what_is_none_is_refused_by_name() {
    let shown = |kind, source| {
        let name = Some("a.bin".to_owned());
        let media = Part::Media(Media { kind, media_type: "x/y".to_owned(), name, source });
        let parts = vec![Part::Text { text: "What?".to_owned() }, media];
        let body = plan("m", |_| {}).body(&call(vec![Message { role: Role::User, parts }], &[]));
        body.map(|mut body| body["messages"][0].take())
    };
    let inline = || MediaSource::Inline { base64: "aQ==".to_owned() };
    let expected = json!({"role": "user", "content": "What?", "images": ["aQ=="]});
    assert_eq!(shown(MediaKind::Image, inline()), Ok(expected));
    let url = MediaSource::Url { url: "https://h/i.png".to_owned() };
    for (kind, source) in [(MediaKind::Image, url), (MediaKind::File, inline())] {
        let NotShown(message) = shown(kind, source).unwrap_err();
        assert!(message.contains("`a.bin`"), "{message}");
    }
}
