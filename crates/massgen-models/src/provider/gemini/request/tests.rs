use std::sync::Arc;

use massgen_protocol::{
    Arguments, BackendSpec, Media, MediaKind, MediaSource, Message, Part, Role, ToolCall,
    ToolCallId, ToolResult,
};

use super::*;

const THREE: &str = "gemini-3-flash-preview";
const OLD: &str = "gemini-2.5-flash";
const NATIVE: &str = "gemini_generate/gemini";

fn plan(model: &str, change: impl FnOnce(&mut BackendSpec)) -> Plan {
    let mut spec = BackendSpec::new("gemini", model, "http://h");
    change(&mut spec);
    Plan {
        model: Model::of(model),
        hosted: spec.hosted_tools,
        reasoning: spec.reasoning,
        params: Params::of(&spec.params),
        max_output_tokens: spec.max_output_tokens,
        native: NATIVE.to_owned(),
    }
}

fn call(messages: Vec<Message>, tools: &[&str]) -> ModelCall {
    let tool = |name: &&str| ToolSpec {
        name: (*name).to_owned(),
        description: format!("{name} it"),
        parameters: json!({"type": "object", "properties": {"agent_id": {"enum": ["agent1"]}}}),
    };
    ModelCall {
        messages: Arc::new(messages.into_iter().map(Arc::new).collect()),
        tools: Arc::new(tools.iter().map(tool).collect()),
        max_output_tokens: None,
        label: "run/agent1#1.1".to_owned(),
        seed: 1,
    }
}

fn contents(model: &str, messages: Vec<Message>) -> Value {
    plan(model, |_| {}).body(&call(messages, &["vote"])).unwrap()["contents"].take()
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts }
}

fn text(text: &str) -> Part {
    Part::Text { text: text.to_owned() }
}

fn made(id: &str, name: &str) -> Part {
    let arguments =
        Arguments::Object { value: Map::from_iter([("agent_id".to_owned(), json!("agent1"))]) };
    Part::ToolCall(ToolCall { id: ToolCallId(id.to_owned()), name: name.to_owned(), arguments })
}

fn result(id: &str, name: &str, text: &str, is_error: bool) -> Part {
    let (id, name) = (ToolCallId(id.to_owned()), name.to_owned());
    Part::ToolResult(ToolResult { id, name, text: text.to_owned(), is_error })
}

fn native(format: &str, parts: Value) -> Part {
    let value = json!({"role": "model", "parts": parts});
    Part::Native { format: format.to_owned(), value }
}

fn sent(id: &str, name: &str) -> Value {
    json!({"functionCall": {"id": id, "name": name, "args": {"agent_id": "agent1"}}})
}

#[test]
fn a_request_has_its_fields_in_order() {
    let messages =
        vec![Message::text(Role::System, "Be right."), Message::text(Role::User, "How far?")];
    let spec = |spec: &mut BackendSpec| spec.max_output_tokens = Some(500);
    let body = plan(OLD, spec).body(&call(messages, &["vote"])).unwrap();
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be right."}]},
        "contents": [{"role": "user", "parts": [{"text": "How far?"}]}],
        "tools": [{"functionDeclarations": [{
            "name": "vote",
            "description": "vote it",
            "parametersJsonSchema":
                {"type": "object", "properties": {"agent_id": {"enum": ["agent1"]}}},
        }]}],
        "generationConfig":
            {"maxOutputTokens": 500, "thinkingConfig": {"includeThoughts": true}},
    });
    // As text, because the order of fields decides whether a prompt cache holds.
    assert_eq!(body.to_string(), expected.to_string());
}

#[test]
fn what_one_side_says_in_a_row_is_one_content() {
    let messages = vec![
        Message::text(Role::System, "Be right."),
        Message::text(Role::System, "Be brief."),
        Message::text(Role::User, "How far?"),
        Message::text(Role::User, "And why?"),
        message(Role::Assistant, vec![text("Let me"), text("")]),
        message(Role::Assistant, vec![text(" see.")]),
        // Of a model that only thought, nothing is left to replay.
        Message::text(Role::User, "Well?"),
        message(Role::Assistant, vec![Part::Reasoning { text: "hm".to_owned(), field: None }]),
        Message::text(Role::System, "Time is up."),
    ];
    let body = plan(OLD, |_| {}).body(&call(messages, &[])).unwrap();
    let system = json!({"parts": [{"text": "Be right."}, {"text": "Be brief."}]});
    assert_eq!(body["systemInstruction"], system);
    let expected = json!([
        {"role": "user", "parts": [{"text": "How far?"}, {"text": "And why?"}]},
        {"role": "model", "parts": [{"text": "Let me"}, {"text": " see."}]},
        {"role": "user", "parts": [{"text": "Well?"}, {"text": "Time is up."}]},
    ]);
    assert_eq!(body["contents"], expected);
    assert_eq!(body.get("tools"), None);
}

#[test]
fn results_come_in_one_content_in_the_order_of_the_calls() {
    let messages = vec![
        Message::text(Role::User, "Go."),
        message(Role::Assistant, vec![made("a", "vote"), made("b", "new_answer")]),
        message(Role::Tool, vec![result("b", "new_answer", "taken", false)]),
        message(Role::Tool, vec![result("a", "vote", "stale", true)]),
        Message::text(Role::User, "Go on."),
    ];
    let expected = json!({"role": "user", "parts": [
        {"functionResponse": {"id": "a", "name": "vote", "response": {"error": "stale"}}},
        {"functionResponse": {"id": "b", "name": "new_answer", "response": {"output": "taken"}}},
        {"text": "Go on."},
    ]});
    let sent = contents(OLD, messages);
    assert_eq!((sent.as_array().unwrap().len(), &sent[2]), (3, &expected));
}

#[test]
fn a_models_own_turn_is_replayed_as_it_came() {
    let parts = json!([
        {"text": "Hm.", "thought": true},
        {"text": "I vote twice."},
        {"functionCall": {"id": "x1", "name": "vote", "args": {}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "x2", "name": "vote", "args": {}}},
        {"text": "", "thoughtSignature": "dGFpbA=="},
    ]);
    let turn = vec![native(NATIVE, parts.clone()), text("I vote twice."), made("x1", "vote")];
    let messages = vec![Message::text(Role::User, "Go."), message(Role::Assistant, turn)];
    for model in [THREE, OLD] {
        let sent = contents(model, messages.clone());
        let expected = json!({"role": "model", "parts": parts});
        assert_eq!(sent[1].to_string(), expected.to_string(), "{model}");
    }
}

#[test]
fn another_models_turn_is_converted_and_its_first_call_marked_on_gemini_3_only() {
    let foreign = || {
        let parts = json!([{"type": "thinking", "signature": "of another"}]);
        let thought = Part::Reasoning { text: "Hm.".to_owned(), field: None };
        let calls = [made("toolu_1", "vote"), made("toolu_2", "vote")];
        let head = [native("anthropic_messages/claude", parts), thought, text("So.")];
        message(Role::Assistant, head.into_iter().chain(calls).collect())
    };
    let mut signed = sent("toolu_1", "vote");
    let unsigned = signed.clone();
    signed["thoughtSignature"] = json!("skip_thought_signature_validator");
    for (model, first) in [(THREE, signed), (OLD, unsigned)] {
        let messages = vec![Message::text(Role::User, "Go."), foreign()];
        let expected = json!([{"text": "So."}, first, sent("toolu_2", "vote")]);
        assert_eq!(contents(model, messages)[1]["parts"], expected, "{model}");
    }
    // A turn of Gemini 2.5 in front of Gemini 3 has no signature either.
    let old = native(NATIVE, json!([{"functionCall": {"name": "vote", "args": {}}}]));
    let messages = vec![Message::text(Role::User, "Go."), message(Role::Assistant, vec![old])];
    let part = &contents(THREE, messages)[1]["parts"][0];
    assert_eq!(part["thoughtSignature"], "skip_thought_signature_validator");
}

#[test]
fn arguments_nobody_could_read_are_sent_as_what_they_were() {
    let arguments = Arguments::Malformed { raw: "{\"ag".to_owned(), error: "cut".to_owned() };
    let (id, name) = (ToolCallId("a".to_owned()), "vote".to_owned());
    let call = Part::ToolCall(ToolCall { id, name, arguments });
    let sent = contents(OLD, vec![message(Role::Assistant, vec![call])]);
    let args = &sent[0]["parts"][0]["functionCall"]["args"];
    assert_eq!(*args, json!({"unreadable": "{\"ag"}));
}

#[test]
fn pictures_sounds_films_and_documents_are_shown() {
    let media = |kind, media_type: &str, source| {
        let (media_type, name) = (media_type.to_owned(), None);
        Part::Media(Media { kind, media_type, name, source })
    };
    let inline = |base64: &str| MediaSource::Inline { base64: base64.to_owned() };
    let url = |url: &str| MediaSource::Url { url: url.to_owned() };
    let parts = vec![
        text("What is this?"),
        media(MediaKind::Image, "image/png", inline("aQ==")),
        media(MediaKind::Audio, "audio/mp3", inline("YQ==")),
        media(MediaKind::Video, "", url("https://youtu.be/x")),
        media(MediaKind::File, "application/pdf", url("https://h/files/1")),
    ];
    let expected = json!([
        {"text": "What is this?"},
        {"inlineData": {"mimeType": "image/png", "data": "aQ=="}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "YQ=="}},
        {"fileData": {"fileUri": "https://youtu.be/x"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://h/files/1"}},
    ]);
    assert_eq!(contents(OLD, vec![message(Role::User, parts)])[0]["parts"], expected);

    let path = MediaSource::File { path: "a.png".to_owned() };
    let unread = message(Role::User, vec![media(MediaKind::Image, "image/png", path)]);
    let refused = plan(OLD, |_| {}).body(&call(vec![unread], &[]));
    assert_eq!(refused, Err(UnreadFile("a.png".to_owned())));
}

#[test]
fn googles_tools_are_mixed_with_ours_where_the_model_can() {
    let hosted = |spec: &mut BackendSpec| {
        spec.hosted_tools = HostedTools { web_search: true, code_execution: true, x_search: false };
    };
    let question = |tools: &[&str]| call(vec![Message::text(Role::User, "How far?")], tools);
    let both = json!([{"googleSearch": {}}, {"codeExecution": {}}]);

    let three = plan(THREE, hosted);
    let body = three.body(&question(&["vote"])).unwrap();
    assert!(body["tools"][0].get("functionDeclarations").is_some());
    assert_eq!((&body["tools"][1], &body["tools"][2]), (&both[0], &both[1]));
    let expected = json!({
        "functionCallingConfig": {"mode": "VALIDATED"},
        "includeServerSideToolInvocations": true,
    });
    assert_eq!(body["toolConfig"], expected);
    assert_eq!(three.notice(&question(&["vote"])), None);
    let body = three.body(&question(&[])).unwrap();
    assert_eq!(body["toolConfig"], json!({"includeServerSideToolInvocations": true}));

    // On 2.5 ours go first: without them there is no vote and no answer.
    let old = plan(OLD, hosted);
    let body = old.body(&question(&["vote"])).unwrap();
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body.get("toolConfig"), None);
    let notice = old.notice(&question(&["vote"])).unwrap();
    assert!(
        notice.starts_with("left out of this call: web_search and code_execution;"),
        "{notice}"
    );
    assert_eq!(old.body(&question(&[])).unwrap()["tools"], both);
    assert_eq!(old.notice(&question(&[])), None);
    assert_eq!(plan(OLD, |_| {}).notice(&question(&["vote"])), None);
}

#[test]
fn params_go_where_the_format_has_them() {
    let params = json!({
        "temperature": 0.5, "top_p": 0.9, "topK": 40, "stop": "END", "seed": 7,
        "max_tokens": 77, "response_mime_type": "text/plain", "model": "other", "n": 3,
        "contents": [], "stream": false, "tools": [], "system_instruction": "no",
        "generation_config": {"presence_penalty": 0.1},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "labels": null, "tool_choice": "required", "service_tier": "flex",
    });
    let Value::Object(params) = params else { unreachable!() };
    let with_params = |spec: &mut BackendSpec| {
        spec.params = params;
        spec.max_output_tokens = Some(9);
    };
    let plan = plan("gemini-2.0-flash", with_params);
    let mut call = call(vec![Message::text(Role::User, "How far?")], &["vote"]);
    let body = plan.body(&call).unwrap();
    let generation = json!({
        "maxOutputTokens": 77, "temperature": 0.5, "topP": 0.9, "topK": 40,
        "stopSequences": ["END"], "seed": 7, "responseMimeType": "text/plain",
        "presencePenalty": 0.1,
    });
    assert_eq!(body["generationConfig"], generation);
    assert_eq!(body["toolConfig"], json!({"functionCallingConfig": {"mode": "ANY"}}));
    assert_eq!(body["safety_settings"][0]["threshold"], "OFF");
    assert_eq!(body["service_tier"], "flex");
    let fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["contents", "tools", "toolConfig", "generationConfig", "safety_settings", "service_tier"];
    assert_eq!(fields, expected);

    // The call's own bound wins, and of functions nothing is said where there are none.
    call.max_output_tokens = Some(5);
    call.tools = Arc::default();
    let body = plan.body(&call).unwrap();
    assert_eq!(body["generationConfig"]["maxOutputTokens"], 5);
    assert_eq!(body.get("toolConfig"), None);
}

#[test]
fn a_users_own_words_about_thinking_replace_ours() {
    let check = |model: &str, params: Value, expected: Value| {
        let Value::Object(params) = params else { unreachable!() };
        let plan = plan(model, |spec| {
            spec.params = params;
            spec.reasoning.effort = Some("high".to_owned());
        });
        let body = plan.body(&call(vec![Message::text(Role::User, "?")], &[])).unwrap();
        assert_eq!(body["generationConfig"]["thinkingConfig"], expected, "{model}");
    };
    let level = |level: &str| json!({"includeThoughts": true, "thinkingLevel": level});
    check(THREE, json!({}), level("high"));
    check(THREE, json!({"thinking_level": "low"}), level("low"));
    check(THREE, json!({"thinking_config": {"thinking_level": "low"}}), level("low"));
    let quiet = json!({"generationConfig": {"thinkingConfig": {"includeThoughts": false}}});
    check(THREE, quiet, json!({"includeThoughts": false, "thinkingLevel": "high"}));
    check(
        OLD,
        json!({"thinking_budget": -1}),
        json!({"includeThoughts": true, "thinkingBudget": -1}),
    );
    check(OLD, json!({"thinkingBudget": 0}), json!({"thinkingBudget": 0}));
    check(THREE, json!({"thinking_config": null}), Value::Null);
    check("gemini-2.0-flash", json!({"thinking_budget": 5}), json!({"thinkingBudget": 5}));
}

#[test]
fn earlier_contents_are_the_same_bytes_in_a_later_call() {
    let mut messages = vec![
        Message::text(Role::System, "Be right."),
        Message::text(Role::User, "Go."),
        message(Role::Assistant, vec![made("a", "vote")]),
        message(Role::Tool, vec![result("a", "vote", "stale", true)]),
    ];
    let plan = plan(THREE, |_| {});
    let before = plan.body(&call(messages.clone(), &["vote"])).unwrap();
    messages.push(message(Role::Assistant, vec![text("8")]));
    messages.push(Message::text(Role::User, "A new answer came."));
    let after = plan.body(&call(messages, &["vote"])).unwrap();
    for field in ["systemInstruction", "tools", "generationConfig"] {
        assert_eq!(before[field].to_string(), after[field].to_string());
    }
    let earlier = before["contents"].to_string();
    assert!(after["contents"].to_string().starts_with(earlier.trim_end_matches(']')));
}
