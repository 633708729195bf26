use std::sync::Arc;

use massgen_protocol::{Message, Part, Role, ToolCallId, ToolResult};

use super::*;

const FORMAT: &str = "anthropic_messages/claude";

fn spec(model: &str) -> BackendSpec {
    BackendSpec::new("claude", model, "https://h")
}

fn options(spec: &BackendSpec) -> Options {
    Options::of(spec, FORMAT.to_owned())
}

fn text(role: Role, text: &str) -> Message {
    Message::text(role, text)
}

fn own(content: Value) -> Message {
    let native = Part::Native { format: FORMAT.to_owned(), value: json!({"content": content}) };
    Message { role: Role::Assistant, parts: vec![native] }
}

fn results(ids: &[&str]) -> Message {
    let result = |id: &&str| {
        Part::ToolResult(ToolResult {
            id: ToolCallId((*id).to_owned()),
            name: "vote".to_owned(),
            text: "ok".to_owned(),
            is_error: false,
        })
    };
    Message { role: Role::Tool, parts: ids.iter().map(result).collect() }
}

fn call(messages: Vec<Message>) -> ModelCall {
    let tool = |name: &str| ToolSpec {
        name: name.to_owned(),
        description: format!("{name} it"),
        parameters: json!({"type": "object", "properties": {"z": {}, "a": {}}}),
    };
    ModelCall {
        messages: Arc::new(messages.into_iter().map(Arc::new).collect()),
        tools: Arc::new(["new_answer", "vote"].map(tool).to_vec()),
        max_output_tokens: None,
        label: "run/agent1#1.1".to_owned(),
        seed: 1,
    }
}

fn question() -> ModelCall {
    call(vec![text(Role::System, "Be right."), text(Role::User, "How far?")])
}

fn without_tools(mut call: ModelCall) -> ModelCall {
    call.tools = Arc::default();
    call
}

/// Returns the body for a question, after a change of the config.
fn body(model: &str, change: impl FnOnce(&mut BackendSpec)) -> Value {
    let mut spec = spec(model);
    change(&mut spec);
    options(&spec).body(&question(), None)
}

fn effort(effort: &str) -> impl FnOnce(&mut BackendSpec) {
    move |spec| spec.reasoning.effort = Some(effort.to_owned())
}

#[test]
fn a_request_has_the_form_of_the_reference() {
    let mark = json!({"type": "ephemeral"});
    let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}});
    let expected = json!({
        "model": "claude-opus-4-6",
        "max_tokens": 32_000,
        "stream": true,
        "system": [{"type": "text", "text": "Be right.", "cache_control": mark}],
        "tools": [
            {"name": "new_answer", "description": "new_answer it", "input_schema": schema},
            {"name": "vote", "description": "vote it", "input_schema": schema,
             "cache_control": mark},
        ],
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "How far?", "cache_control": mark}]}],
    });
    assert_eq!(body("claude-opus-4-6", |_| {}).to_string(), expected.to_string());
}

#[test]
fn hosted_tools_come_before_ours_and_give_way_to_them() {
    let body = body("claude-opus-4-6", |spec| {
        spec.hosted_tools.web_search = true;
        spec.hosted_tools.code_execution = true;
    });
    let tools = body["tools"].as_array().unwrap();
    assert_eq!(tools[0], json!({"type": "web_search_20250305", "name": "web_search"}));
    assert_eq!(tools[1], json!({"type": "code_execution_20250825", "name": "code_execution"}));
    assert_eq!(tools[3]["cache_control"]["type"], "ephemeral");

    let mut spec = spec("claude-opus-4-6");
    spec.hosted_tools.web_search = true;
    let mut call = question();
    let mine = ToolSpec { name: "web_search".to_owned(), ..call.tools[0].clone() };
    call.tools = Arc::new(vec![mine]);
    let body = options(&spec).body(&call, None);
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert!(body["tools"][0].get("input_schema").is_some());
    let alone = options(&spec).body(&without_tools(question()), None);
    assert_eq!(alone["tools"][0]["cache_control"]["type"], "ephemeral");
}

fn marks(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("cache_control") {
                found.push(format!(
                    "{at} {}",
                    fields.get("type").and_then(Value::as_str).unwrap_or("tool")
                ));
            }
            for (name, value) in fields {
                marks(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                marks(item, &format!("{at}/{n}"), found);
            }
        }
        _ => {}
    }
}

fn conversation() -> Vec<Message> {
    vec![
        text(Role::System, "Be right."),
        text(Role::User, "How far?"),
        own(json!([
            {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
            {"type": "tool_use", "id": "toolu_1", "name": "vote", "input": {}},
            {"type": "tool_use", "id": "toolu_2", "name": "vote", "input": {}},
        ])),
        results(&["toolu_1", "toolu_2"]),
        own(json!([
            {"type": "thinking", "thinking": "So.", "signature": "s2"},
            {"type": "text", "text": "8 Gpc"},
        ])),
        text(Role::User, "New answers: …"),
    ]
}

#[test]
fn four_breakpoints_are_set_and_none_on_a_thought() {
    let body = options(&spec("claude-opus-4-6")).body(&call(conversation()), None);
    let mut found = Vec::new();
    marks(&body, "", &mut found);
    assert_eq!(
        found,
        [
            "/system/0 text",
            "/tools/1 tool",
            "/messages/2/content/1 tool_result",
            "/messages/4/content/0 text",
        ]
    );
}

#[test]
fn breakpoints_live_as_long_as_the_config_says() {
    let find = |control: Value| {
        let body = body("claude-opus-4-6", |spec| {
            spec.params.insert("cache_control".to_owned(), control);
        });
        assert!(body.get("cache_control").is_none());
        body["system"][0].get("cache_control").cloned()
    };
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(find(hour.clone()), Some(hour));
    assert_eq!(find(Value::Null), None);
}

fn without_marks(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| name.as_str() != "cache_control")
            .map(|(name, value)| (name.clone(), without_marks(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_marks).collect(),
        other => other.clone(),
    }
}

/// Everything a provider's cache looks at, in its order, as it is sent.
fn cached(body: &Value) -> String {
    let body = without_marks(body);
    let blocks = body["messages"].as_array().unwrap().iter().flat_map(|message| {
        let role = message["role"].to_string();
        let blocks = message["content"].as_array().unwrap().clone();
        blocks.into_iter().map(move |block| format!("{role} {block}\n"))
    });
    format!("{}\n{}\n{}", body["tools"], body["system"], blocks.collect::<String>())
}

#[test]
fn each_request_begins_with_all_of_the_one_before_also_after_a_resume() {
    let spec = BackendSpec {
        reasoning: Reasoning { effort: Some("high".to_owned()), ..Reasoning::default() },
        ..spec("claude-sonnet-4-5")
    };
    let whole = conversation();
    // Where a model is called: after what the user or a tool has said.
    let ends = [2, 4, 6];
    let bodies = ends.map(|end| options(&spec).body(&call(whole[..end].to_vec()), None));
    for pair in bodies.windows(2) {
        let (before, after) = (cached(&pair[0]), cached(&pair[1]));
        assert!(after.starts_with(&before), "{after}\ndoes not begin with\n{before}");
    }
    // All that is not in the prefix stays too: another thinking would void it.
    for field in ["thinking", "tool_choice", "output_config", "max_tokens"] {
        assert_eq!(bodies[0].get(field), bodies[2].get(field), "{field}");
    }
    // A resumed run reads its messages from the log.
    let resumed: Vec<Message> =
        serde_json::from_str(&serde_json::to_string(&whole).unwrap()).unwrap();
    let resumed = options(&spec).body(&call(resumed), None);
    assert_eq!(resumed.to_string(), bodies[2].to_string());
}

#[test]
fn the_output_bound_is_there_and_within_what_the_model_can() {
    let check = |model: &str, change: fn(&mut BackendSpec), expected: u64| {
        assert_eq!(body(model, change)["max_tokens"], expected, "{model}");
    };
    check("claude-opus-4-6", |_| {}, 32_000);
    check("claude-3-5-haiku-latest", |_| {}, 8_192);
    check("claude-3-5-haiku-latest", |spec| spec.max_output_tokens = Some(9_000), 8_192);
    check("claude-opus-4-6", |spec| spec.max_output_tokens = Some(500), 500);
    check("glm-4.6", |spec| spec.max_output_tokens = Some(90_000), 90_000);
    // What the user writes as a field of the request is sent as written.
    let given = |spec: &mut BackendSpec| {
        spec.max_output_tokens = Some(500);
        spec.params.insert("max_tokens".to_owned(), json!(90_000));
    };
    check("claude-3-5-haiku-latest", given, 90_000);
    let null = |spec: &mut BackendSpec| {
        spec.params.insert("max_tokens".to_owned(), Value::Null);
    };
    check("claude-opus-4-6", null, 32_000);
    let mut call = question();
    call.max_output_tokens = Some(64);
    let mut spec = spec("claude-opus-4-6");
    given(&mut spec);
    assert_eq!(options(&spec).body(&call, None)["max_tokens"], 64);
}

#[track_caller]
fn thinks(body: &Value, thinking: Value, effort: Value) {
    let field = |at: &str| body.pointer(at).cloned().unwrap_or_default();
    assert_eq!((field("/thinking"), field("/output_config/effort")), (thinking, effort));
}

#[test]
fn each_model_is_asked_to_think_in_its_own_way() {
    let nothing = Value::Null;
    let adaptive = json!({"type": "adaptive"});
    let shown = json!({"type": "adaptive", "display": "summarized"});
    let disabled = json!({"type": "disabled"});
    let enabled = |budget: u64| json!({"type": "enabled", "budget_tokens": budget});
    let asked = |model: &str, wish: &str| body(model, effort(wish));

    thinks(&body("claude-opus-4-6", |_| {}), nothing.clone(), nothing.clone());
    thinks(&asked("claude-opus-4-6", "high"), adaptive, json!("high"));
    thinks(&asked("claude-opus-4-7", "xhigh"), shown.clone(), json!("xhigh"));
    thinks(&asked("claude-sonnet-5", "none"), disabled.clone(), nothing.clone());
    thinks(&asked("claude-fable-5", "none"), shown.clone(), json!("low"));
    thinks(&asked("claude-sonnet-4-5", "low"), enabled(2_048), nothing.clone());
    thinks(&asked("claude-sonnet-4-5", "max"), enabled(24_000), nothing.clone());
    thinks(&asked("claude-sonnet-4-5", "none"), disabled.clone(), nothing.clone());
    thinks(&asked("claude-3-5-haiku-latest", "high"), nothing.clone(), nothing.clone());
    thinks(&asked("glm-4.6", "low"), enabled(2_048), nothing.clone());

    let budget = |model: &str, tokens: u64, bound: u64| {
        body(model, |spec| {
            spec.reasoning.budget_tokens = Some(tokens);
            spec.max_output_tokens = Some(bound);
        })
    };
    thinks(&budget("claude-opus-4-5", 5_000, 32_000), enabled(5_000), nothing.clone());
    thinks(&budget("claude-opus-4-5", 5_000, 4_000), enabled(3_000), nothing.clone());
    thinks(&budget("claude-opus-4-5", 1, 4_000), enabled(1_024), nothing.clone());
    // No room for any thought.
    thinks(&budget("claude-opus-4-5", 5_000, 1_200), nothing.clone(), nothing.clone());
    thinks(&budget("claude-opus-4-5", 0, 4_000), disabled, nothing.clone());
    // These take no number.
    thinks(&budget("claude-opus-4-8", 5_000, 32_000), shown, nothing);
}

#[test]
fn the_users_own_thinking_wins_and_an_answers_format_stands_beside_the_effort() {
    let body = body("claude-opus-4-6", |spec| {
        spec.reasoning.effort = Some("high".to_owned());
        spec.params.insert("thinking".to_owned(), json!({"type": "disabled"}));
        spec.params.insert("output_config".to_owned(), json!({"format": {"type": "json_schema"}}));
    });
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    let expected = json!({"effort": "high", "format": {"type": "json_schema"}});
    assert_eq!(body["output_config"], expected);
}

#[test]
fn sampling_goes_where_it_would_be_refused() {
    let sampling = |model: &str, wish: Option<&str>| {
        let body = body(model, |spec| {
            spec.reasoning.effort = wish.map(str::to_owned);
            for (name, value) in
                [("temperature", json!(0.2)), ("top_p", json!(0.9)), ("top_k", json!(4))]
            {
                spec.params.insert(name.to_owned(), value);
            }
        });
        SAMPLING.iter().filter(|name| body.get(**name).is_some()).count()
    };
    assert_eq!(sampling("claude-sonnet-4-5", None), 3);
    assert_eq!(sampling("claude-sonnet-4-5", Some("none")), 3);
    assert_eq!(sampling("claude-sonnet-4-5", Some("high")), 0);
    assert_eq!(sampling("claude-opus-4-6", None), 3);
    assert_eq!(sampling("claude-opus-4-6", Some("high")), 0);
    assert_eq!(sampling("claude-opus-4-7", None), 0);
    assert_eq!(sampling("claude-sonnet-5", Some("none")), 0);
    // Other makers allow it with thinking.
    assert_eq!(sampling("glm-4.6", Some("high")), 3);
}

#[test]
fn unknown_fields_pass_through_and_ours_are_kept() {
    let body = body("claude-opus-4-6", |spec| {
        let fields = json!({"metadata": {"user_id": "u"}, "service_tier": "auto", "betas": ["x"],
            "messages": [], "tools": [], "model": "other", "system": "other", "stream": null,
            "tool_choice": {"type": "any"}});
        spec.params = fields.as_object().unwrap().clone();
    });
    assert_eq!(body["metadata"]["user_id"], "u");
    assert_eq!(body["service_tier"], "auto");
    assert_eq!(body["tool_choice"]["type"], "any");
    assert_eq!((&body["model"], &body["stream"]), (&json!("claude-opus-4-6"), &json!(true)));
    assert_eq!(body["messages"].as_array().unwrap().len(), 1);
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    assert_eq!(body["system"][0]["text"], "Be right.");
    assert!(body.get("betas").is_none());

    let mut spec = spec("claude-opus-4-6");
    spec.params.insert("tool_choice".to_owned(), json!({"type": "any"}));
    let body = options(&spec).body(&without_tools(question()), None);
    assert!(body.get("tool_choice").is_none() && body.get("tools").is_none());
}

#[test]
fn interleaved_thinking_is_a_beta_of_claude_4_with_tools() {
    let betas = |model: &str, has_tools: bool| {
        let mut spec = spec(model);
        spec.reasoning.effort = Some("high".to_owned());
        let options = options(&spec);
        let call = if has_tools { question() } else { without_tools(question()) };
        options.betas(&options.body(&call, None))
    };
    assert_eq!(betas("claude-sonnet-4-20250514", true), INTERLEAVED_BETA);
    assert_eq!(betas("claude-opus-4-5", true), INTERLEAVED_BETA);
    assert_eq!(betas("claude-opus-4-5", false), "");
    assert_eq!(betas("claude-opus-4-6", true), "");
    assert_eq!(betas("claude-3-7-sonnet-latest", true), "");
}

#[test]
fn thinking_by_budget_rests_while_a_turn_goes_on_that_began_without_it() {
    let messages =
        |content: Value| vec![text(Role::User, "How far?"), own(content), results(&["toolu_1"])];
    let used = json!({"type": "tool_use", "id": "toolu_1", "name": "vote", "input": {}});
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "s"});
    let body = |model: &str, messages: Vec<Message>| {
        let mut spec = spec(model);
        spec.reasoning.effort = Some("high".to_owned());
        options(&spec).body(&call(messages), None)
    };
    let without = messages(json!([used]));
    assert!(body("claude-sonnet-4-5", without.clone()).get("thinking").is_none());
    assert!(body("claude-opus-4-6", without.clone()).get("thinking").is_some());
    assert!(body("claude-sonnet-4-5", messages(json!([thought, used]))).get("thinking").is_some());
    let over = [without, vec![own(json!([said_block()])), text(Role::User, "Sure?")]].concat();
    assert!(body("claude-sonnet-4-5", over).get("thinking").is_some());
}

fn said_block() -> Value {
    json!({"type": "text", "text": "8"})
}

#[test]
fn a_container_is_reused_where_code_may_run() {
    let native = Part::Native {
        format: FORMAT.to_owned(),
        value: json!({"content": [said_block()], "container": "container_1"}),
    };
    let ran = Message { role: Role::Assistant, parts: vec![native] };
    let call = call(vec![text(Role::User, "How far?"), ran, text(Role::User, "Sure?")]);
    let mut spec = spec("claude-opus-4-6");
    assert!(options(&spec).body(&call, None).get("container").is_none());
    spec.hosted_tools.code_execution = true;
    let body = options(&spec).body(&call, None);
    assert_eq!(body["container"], "container_1");
    // It has expired: once more without it.
    let amended = options(&spec).amended(&body).unwrap();
    assert!(amended.get("container").is_none());
    assert_eq!(options(&spec).amended(&amended), None);
}

#[test]
fn refused_thoughts_are_left_out_once() {
    let spec = BackendSpec {
        reasoning: Reasoning { effort: Some("high".to_owned()), ..Reasoning::default() },
        ..spec("claude-sonnet-4-5")
    };
    let options = options(&spec);
    let body = options.body(&call(conversation()[..4].to_vec()), None);
    assert!(body.to_string().contains("\"signature\""));
    let amended = options.amended(&body).unwrap();
    assert!(!amended.to_string().contains("\"signature\""));
    let kinds: Vec<&Value> = amended["messages"][1]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| &block["type"])
        .collect();
    assert_eq!(kinds, ["tool_use", "tool_use"]);
    // The turn goes on without a thought, so this model may not think in it.
    assert!(amended.get("thinking").is_none());
    assert_eq!(options.amended(&amended), None);
    // Nothing to leave out: the refusal is about something else.
    assert_eq!(options.amended(&options.body(&question(), None)), None);
}

#[test]
fn refused_blocks_of_an_unknown_kind_are_left_out_once() {
    let options = options(&spec("claude-sonnet-4-5"));
    let unknown = json!({"type": "hologram", "light": 1});
    let mut refused = options.body(&question(), None);
    let asked = refused["messages"][0].clone();
    let text = json!({"type": "text", "text": "4"});
    refused["messages"] = json!([
        asked,
        {"role": "assistant", "content": [unknown.clone(), text.clone()]},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": [unknown]},
    ]);
    let amended = options.amended(&refused).unwrap();
    let turns = amended["messages"].as_array().unwrap();
    assert_eq!(turns.len(), 3, "a turn of nothing else goes with it");
    assert_eq!(turns[0], asked);
    assert_eq!(turns[1]["content"], json!([text]));
    assert_eq!(turns[2]["content"], "And now?");
    assert_eq!(options.amended(&amended), None);
}

#[test]
fn a_model_that_cannot_but_think_is_let() {
    let mut spec = spec("claude-sonnet-7");
    spec.reasoning.effort = Some("none".to_owned());
    let refused = options(&spec).body(&question(), None);
    assert_eq!(refused["thinking"]["type"], "disabled");
    assert!(options(&spec).amended(&refused).unwrap().get("thinking").is_none());
    // What the user has written stands.
    spec.params.insert("thinking".to_owned(), json!({"type": "disabled"}));
    assert_eq!(options(&spec).amended(&refused), None);
}
