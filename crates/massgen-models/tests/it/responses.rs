//! What is sent as OpenAI Responses, and what becomes of a refusal.

use std::path::Path;

use massgen_models::connect;
use massgen_protocol::{
    Arguments, BackendSpec, FailureKind, HostedTools, Media, MediaKind, MediaSource, Message,
    ModelCall, Part, Reasoning, Role, ToolCall, ToolCallId, ToolResult,
};
use massgen_testkit::{Reply, Request, Server, behaviour, script};
use serde_json::{Map, Value, json};

use crate::support::{Heard, KEY, call, listen, question, spec};

fn fixture(name: &str) -> Reply {
    let path = format!("../../fixtures/wire/openai-responses/{name}.sse");
    Reply::sse(std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap())
}

fn backend(server: &Server, kind: &str, model: &str) -> BackendSpec {
    BackendSpec { kind: kind.to_owned(), model: model.to_owned(), ..spec(&server.base_url()) }
}

fn params(params: Value) -> Map<String, Value> {
    params.as_object().unwrap().clone()
}

async fn sent_as(
    kind: &str,
    model: &str,
    change: impl FnOnce(&mut BackendSpec),
    call: ModelCall,
) -> Value {
    let reply = fixture("text");
    let server = Server::start(script(move |_| reply.clone()));
    let mut spec = backend(&server, kind, model);
    change(&mut spec);
    let heard = listen(&connect(&spec).unwrap(), call).await;
    assert_eq!(heard.text, "The answer is 8 Gpc.", "{:?}", heard.failure);
    server.requests()[0].body.clone()
}

async fn sent(change: impl FnOnce(&mut BackendSpec)) -> Value {
    sent_as("openai", "gpt-5.4", change, question()).await
}

fn text(text: &str) -> Part {
    Part::Text { text: text.to_owned() }
}

fn vote(id: &str, arguments: Arguments) -> Part {
    let id = ToolCallId(id.to_owned());
    Part::ToolCall(ToolCall { id, name: "vote".to_owned(), arguments })
}

fn for_agent1() -> Arguments {
    Arguments::Object { value: params(json!({"agent_id": "agent1"})) }
}

fn result(id: &str, text: &str) -> Part {
    Part::ToolResult(ToolResult {
        id: ToolCallId(id.to_owned()),
        name: "vote".to_owned(),
        text: text.to_owned(),
        is_error: true,
    })
}

fn assistant(parts: Vec<Part>) -> Message {
    Message { role: Role::Assistant, parts }
}

fn tool(parts: Vec<Part>) -> Message {
    Message { role: Role::Tool, parts }
}

#[tokio::test]
async fn a_request_keeps_nothing_at_the_provider_and_names_its_cache() {
    let mut question = call(vec![
        Message::text(Role::System, "Be right."),
        Message { role: Role::User, parts: vec![text("How "), text("far?")] },
    ]);
    question.max_output_tokens = Some(500);
    let with_effort = |spec: &mut BackendSpec| spec.reasoning.effort = Some("max".to_owned());
    let body = sent_as("openai", "gpt-5.4", with_effort, question).await;
    let tools = ["new_answer", "submit", "vote"].map(|name| {
        json!({
            "type": "function",
            "name": name,
            "description": format!("{name} it"),
            "parameters": {"type": "object", "properties": {"content": {"type": "string"}}},
            "strict": false,
        })
    });
    let expected = json!({
        "model": "gpt-5.4",
        "input": [
            {"type": "message", "role": "system",
             "content": [{"type": "input_text", "text": "Be right."}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "How "}, {"type": "input_text", "text": "far?"}]},
        ],
        "tools": tools,
        "store": false,
        "stream": true,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "xhigh", "summary": "auto"},
        "max_output_tokens": 500,
        "prompt_cache_key": "run/agent1",
    });
    // As text, because the order of fields decides whether a prompt cache holds.
    assert_eq!(body.to_string(), expected.to_string());
}

/// Has the model say a fixture, goes on with `then`, and returns the next request's items.
async fn after(kind: &str, name: &str, then: Vec<Message>) -> Vec<Value> {
    let first = fixture(name);
    let server = Server::start(script(move |_| first.clone()));
    let driver = connect(&backend(&server, kind, "gpt-5.4")).unwrap();
    let turn = listen(&driver, question()).await.turn.unwrap();
    let mut messages = vec![Message::text(Role::User, "How far?"), assistant(turn.parts)];
    messages.extend(then);
    listen(&driver, call(messages)).await;
    let input = server.requests()[1].body["input"].as_array().unwrap().clone();
    assert_eq!(input[0]["role"], "user");
    input[1..].to_vec()
}

fn stale() -> Vec<Message> {
    vec![tool(vec![result("call_1", "stale")])]
}

fn own_call() -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "vote",
        "arguments": "{\"agent_id\":\"agent1\"}", "status": "completed"})
}

fn output(id: &str, text: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": text})
}

#[tokio::test]
async fn what_the_model_said_goes_back_as_it_said_it_and_in_its_order() {
    // Encrypted reasoning stays before the call it led to, without its plain text.
    assert_eq!(
        after("openai", "reasoning_encrypted", stale()).await,
        [
            json!({"type": "reasoning", "id": "rs_1", "summary": [],
                "encrypted_content": "gAAAA-opaque"}),
            own_call(),
            output("call_1", "stale"),
        ]
    );
    // The phase of each message stays, and the call between the two.
    let items = after("openai", "phases", stale()).await;
    let phases: Vec<&Value> = items.iter().map(|item| &item["phase"]).collect();
    assert_eq!(phases, [&json!("commentary"), &Value::Null, &json!("final_answer"), &Value::Null]);
    assert_eq!(items[1], own_call());
    // Items of the provider's own tools stay, without what is null in them.
    let items = after("openai", "web_search", vec![]).await;
    assert_eq!(items[0]["action"], json!({"type": "search", "query": "horizon distance"}));
    assert_eq!((&items[0]["id"], &items[1]["id"]), (&json!("ws_1"), &json!("msg_1")));
    assert_eq!(after("openai", "code_interpreter", vec![]).await[0]["outputs"][0]["logs"], "8\n");
    let items = after("openai", "other_tools", vec![]).await;
    assert_eq!(items[1].as_object().unwrap().get("error"), None);
    assert_eq!(
        items[3],
        json!({"id": "cmp_1", "type": "compaction", "encrypted_content": "opaque"})
    );
    // Grok's reasoning goes round too; what only replies have is taken off.
    assert_eq!(
        after("grok", "xai_encrypted", vec![]).await[0],
        json!({"type": "reasoning", "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "I add."}],
            "encrypted_content": "xai-opaque"})
    );
    // Its own searches are not ours to answer.
    let items = after("grok", "xai_search_as_function", vec![]).await;
    assert_eq!(items.iter().filter(|item| item["type"] == "function_call_output").count(), 0);
}

#[tokio::test]
async fn what_would_be_refused_is_not_sent_back() {
    // Thoughts that led to nothing, and arguments that break off.
    assert_eq!(after("openai", "incomplete_reasoning", vec![]).await, [] as [Value; 0]);
    let items = after("openai", "incomplete_call", stale()).await;
    assert_eq!(items[0]["arguments"], "{\"unreadable\":\"{\\\"agent_id\\\":\\\"ag\"}");
    assert_eq!(items[1], output("call_1", "stale"));
    // An object where a text belongs.
    let items = after("openai", "arguments_object", stale()).await;
    assert_eq!(items[0], own_call());
    // A server of open weights takes its plain reasoning back.
    let items = after("openai", "reasoning_text", vec![]).await;
    assert_eq!(items[0]["content"][0]["text"], "Four and four.");
    // A call without a result.
    let go_on = vec![Message::text(Role::User, "Go on.")];
    let items = after("openai", "function_call", go_on).await;
    assert_eq!(items[1], output("call_1", "[This call was not run.]"));
    assert_eq!(items[2]["role"], "user");
}

#[tokio::test]
async fn history_of_other_providers_is_converted() {
    let foreign =
        |format: &str| Part::Native { format: format.to_owned(), value: json!([{"x": 1}]) };
    let broken = Arguments::Malformed { raw: "{\"agent".to_owned(), error: "cut".to_owned() };
    let long_id = format!("call_{}", "x".repeat(100));
    let messages = vec![
        Message::text(Role::User, "How far?"),
        assistant(vec![
            foreign("anthropic_messages/claude"),
            foreign("openai_responses/grok"),
            Part::Reasoning { text: "hm".to_owned(), field: Some("reasoning".to_owned()) },
            text("I "),
            text("vote."),
            vote(&long_id, for_agent1()),
            vote("b", broken),
            text("So."),
        ]),
        tool(vec![result(&long_id, "stale"), result("b", "unreadable"), result("gone", "8")]),
        assistant(vec![text("")]),
        assistant(vec![vote("c", for_agent1())]),
        Message::text(Role::User, ""),
    ];
    let body = sent_as("openai", "gpt-4o", |_| {}, call(messages)).await;
    let input = body["input"].as_array().unwrap();
    let id = input[2]["call_id"].as_str().unwrap();
    assert!(id.len() <= 64, "{id}");
    let said = |texts: &[&str]| {
        let content: Vec<Value> =
            texts.iter().map(|text| json!({"type": "output_text", "text": text})).collect();
        json!({"type": "message", "role": "assistant", "content": content})
    };
    let called = |id: &str, arguments: &str| json!({"type": "function_call", "call_id": id, "name": "vote", "arguments": arguments});
    assert_eq!(
        input[1..],
        [
            said(&["I ", "vote."]),
            called(id, "{\"agent_id\":\"agent1\"}"),
            called("b", "{\"unreadable\":\"{\\\"agent\"}"),
            said(&["So."]),
            output(id, "stale"),
            output("b", "unreadable"),
            json!({"type": "message", "role": "user",
                "content": [{"type": "input_text", "text": "Result of `vote`: 8"}]}),
            called("c", "{\"agent_id\":\"agent1\"}"),
            output("c", "[This call was not run.]"),
        ]
    );
}

#[tokio::test]
async fn images_and_files_are_shown() {
    let media = |kind, media_type: &str, source| {
        let media_type = media_type.to_owned();
        Part::Media(Media { kind, media_type, name: Some("a.pdf".to_owned()), source })
    };
    let inline = || MediaSource::Inline { base64: "QQ==".to_owned() };
    let url = || MediaSource::Url { url: "https://example.com/a".to_owned() };
    let parts = vec![
        text("What is it?"),
        media(MediaKind::Image, "image/png", inline()),
        media(MediaKind::Image, "image/png", url()),
        media(MediaKind::File, "application/pdf", inline()),
        media(MediaKind::File, "application/pdf", url()),
        media(MediaKind::File, "text/plain", inline()),
    ];
    let question = call(vec![Message { role: Role::User, parts }]);
    let body = sent_as("openai", "gpt-5.4", |_| {}, question).await;
    assert_eq!(
        body["input"][0]["content"],
        json!([
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,QQ=="},
            {"type": "input_image", "detail": "auto", "image_url": "https://example.com/a"},
            {"type": "input_file", "filename": "a.pdf",
             "file_data": "data:application/pdf;base64,QQ=="},
            {"type": "input_file", "file_url": "https://example.com/a"},
            {"type": "input_text", "text": "The file `a.pdf`:\n\nA"},
        ])
    );
    let server = Server::start(behaviour::only_talks("8"));
    let driver = connect(&backend(&server, "openai", "gpt-5.4")).unwrap();
    let unread = media(MediaKind::File, "text/plain", MediaSource::File { path: "a".to_owned() });
    let question = call(vec![Message { role: Role::User, parts: vec![unread] }]);
    let failure = listen(&driver, question).await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::BadRequest);
    assert_eq!(server.stats().requests, 0);
}

#[tokio::test]
async fn tools_that_run_at_the_provider_are_offered_as_it_names_them() {
    let all = HostedTools { web_search: true, code_execution: true, x_search: true };
    let hosted = |body: &Value| body["tools"].as_array().unwrap()[3..].to_vec();
    let body = sent(|spec| spec.hosted_tools = all).await;
    assert_eq!(
        hosted(&body),
        [
            json!({"type": "web_search"}),
            json!({"type": "code_interpreter", "container": {"type": "auto"}}),
        ]
    );
    let body = sent_as("grok", "grok-4", |spec| spec.hosted_tools = all, question()).await;
    assert_eq!(
        hosted(&body),
        [
            json!({"type": "web_search"}),
            json!({"type": "code_interpreter"}),
            json!({"type": "x_search"}),
        ]
    );
    // What a config of before tools were tools asks for.
    let legacy = json!({"mode": "auto", "sources": [{"type": "web"}, {"type": "x"}]});
    let with = |spec: &mut BackendSpec| spec.params = params(json!({"search_parameters": legacy}));
    let body = sent_as("grok", "grok-4", with, question()).await;
    assert_eq!(hosted(&body), [json!({"type": "web_search"}), json!({"type": "x_search"})]);
    assert_eq!(body.get("search_parameters"), None);
    // A name that is the provider's own.
    let mut question = question();
    let mut tools = (*question.tools).clone();
    tools[0].name = "python".to_owned();
    question.tools = tools.into();
    let with = |spec: &mut BackendSpec| {
        let choice = json!({"type": "function", "function": {"name": "python"}});
        spec.params = params(json!({"tool_choice": choice}));
    };
    let body = sent_as("openai", "gpt-5.4", with, question).await;
    assert_eq!(body["tools"][0]["name"], "python_tool");
    assert_eq!(body["tool_choice"], json!({"type": "function", "name": "python_tool"}));
}

#[tokio::test]
async fn reasoning_is_asked_for_as_its_model_takes_it() {
    let high = || Reasoning {
        effort: Some("xhigh".to_owned()),
        summary: Some("detailed".to_owned()),
        ..Reasoning::default()
    };
    let check = async |kind: &str, model: &str, reasoning: Value, has_include: bool| {
        let body = sent_as(kind, model, |spec| spec.reasoning = high(), question()).await;
        assert_eq!(body.get("reasoning").unwrap_or(&Value::Null), &reasoning, "{model}");
        assert_eq!(body.get("include").is_some(), has_include, "{model}");
    };
    check("openai", "gpt-5.4", json!({"effort": "xhigh", "summary": "detailed"}), true).await;
    check("openai", "o3", json!({"effort": "high", "summary": "detailed"}), true).await;
    check("openai", "gpt-4o", Value::Null, false).await;
    check("openai", "my-own", json!({"effort": "xhigh", "summary": "detailed"}), false).await;
    check("grok", "grok-4", Value::Null, true).await;
    check("grok", "grok-4.20-0309-non-reasoning", Value::Null, false).await;
    check("grok", "grok-4.3", json!({"effort": "high", "summary": "detailed"}), true).await;
    // By default the model decides how much it thinks, and says what it thought.
    assert_eq!(sent(|_| {}).await["reasoning"], json!({"summary": "auto"}));
    // The one effort that no search goes with.
    let with = |spec: &mut BackendSpec| {
        spec.reasoning.effort = Some("minimal".to_owned());
        spec.hosted_tools.web_search = true;
    };
    assert_eq!(sent_as("openai", "gpt-5", with, question()).await["reasoning"]["effort"], "low");
}

#[tokio::test]
async fn the_users_own_fields_win_and_cannot_break_the_request() {
    let own = json!({
        "model": "other", "input": [], "stream": false, "tools": [], "n": 3,
        "previous_response_id": "resp_0", "max_tokens": 77, "temperature": 0.5, "top_p": 0.5,
        "reasoning": {"summary": null}, "reasoning_effort": "low", "verbosity": "low",
        "text": {"format": {"type": "text"}}, "include": ["web_search_call.action.sources"],
        "prompt_cache_key": "mine", "parallel_tool_calls": false, "service_tier": "flex",
        "store": true, "metadata": {"a": "b"}, "search_parameters": {},
    });
    let body = sent(|spec| spec.params = params(own.clone())).await;
    assert_eq!((&body["model"], &body["stream"]), (&json!("gpt-5.4"), &json!(true)));
    assert_eq!(body["input"].as_array().unwrap().len(), 1);
    assert_eq!(body["tools"].as_array().unwrap().len(), 3);
    for field in ["n", "previous_response_id", "max_tokens", "temperature", "top_p", "verbosity"] {
        assert_eq!(body.get(field), None, "{field}");
    }
    assert_eq!(body["max_output_tokens"], 77);
    assert_eq!(body["reasoning"], json!({"effort": "low"}));
    assert_eq!(body["text"], json!({"verbosity": "low", "format": {"type": "text"}}));
    assert_eq!(
        body["include"],
        json!(["reasoning.encrypted_content", "web_search_call.action.sources"])
    );
    let passed = ["prompt_cache_key", "parallel_tool_calls", "service_tier", "store", "metadata"];
    for field in passed {
        assert_eq!(body[field], own[field], "{field}");
    }
    // Null takes one of ours out; a model that does not think takes a temperature.
    let own = json!({"include": null, "prompt_cache_key": null, "temperature": 0.5,
        "reasoning": null, "reasoning_effort": null});
    let with = |spec: &mut BackendSpec| spec.params = params(own);
    let mut bare = question();
    bare.tools = Default::default();
    let body = sent_as("openai", "gpt-4.1", with, bare).await;
    assert_eq!(body["temperature"], 0.5);
    for field in ["include", "prompt_cache_key", "tools"] {
        assert_eq!(body.get(field), None, "{field}");
    }
    // Without tools nothing may be said about them; the call's own bound wins, and
    // is never below what is taken.
    let mut bare = question();
    bare.tools = Default::default();
    bare.max_output_tokens = Some(1);
    let own = json!({"tool_choice": "auto", "parallel_tool_calls": true, "max_tokens": 9});
    let with = |spec: &mut BackendSpec| spec.params = params(own);
    let body = sent_as("openai", "gpt-5.1", with, bare).await;
    assert_eq!(body["max_output_tokens"], 16);
    assert_eq!((body.get("tool_choice"), body.get("parallel_tool_calls")), (None, None));
    // Thought that is switched off leaves the sampling to the user.
    let own = json!({"temperature": 0.5, "reasoning_effort": "none"});
    let with = |spec: &mut BackendSpec| spec.params = params(own);
    assert_eq!(sent_as("openai", "gpt-5.1", with, question()).await["temperature"], 0.5);
}

#[tokio::test]
async fn addresses_and_keys_are_those_of_the_type() {
    let asked = async |kind: &str, path: &str, own: Value| -> Request {
        let reply = fixture("text");
        let server = Server::start(script(move |_| reply.clone()));
        let root = server.base_url().replace("/v1", path);
        let spec = BackendSpec {
            base_url: root,
            params: params(own),
            ..backend(&server, kind, "gpt-5.4")
        };
        listen(&connect(&spec).unwrap(), question()).await;
        (*server.requests()[0]).clone()
    };
    let bearer = format!("Bearer {KEY}");
    let request = asked("openai", "", json!({})).await;
    assert_eq!(request.path, "/v1/responses");
    assert_eq!(request.header("authorization"), Some(bearer.as_str()));
    let request = asked("grok", "/v1/responses", json!({})).await;
    assert_eq!(request.path, "/v1/responses");
    let request = asked("azure_openai", "/openai/v1", json!({"api_version": "preview"})).await;
    assert_eq!(request.path, "/openai/v1/responses?api-version=preview");
    assert_eq!(request.header("api-key"), Some(KEY));
    assert_eq!((request.header("authorization"), request.body.get("api_version")), (None, None));
}

/// Refuses what the first matching pointer of `refusals` finds in a request.
async fn refused(
    kind: &str,
    refusals: Vec<(&'static str, u16, Value)>,
    change: impl FnOnce(&mut BackendSpec),
    call: ModelCall,
    calls: usize,
) -> (Vec<Value>, Heard) {
    let reply = fixture("text");
    let server = Server::start(script(move |request: &Request| {
        let found = refusals.iter().find(|(pointer, ..)| request.body.pointer(pointer).is_some());
        found.map_or(reply.clone(), |(_, status, error)| {
            Reply::json(*status, &json!({"error": error}))
        })
    }));
    let mut spec = backend(&server, kind, "gpt-5.4");
    change(&mut spec);
    let driver = connect(&spec).unwrap();
    let mut heard = Heard::default();
    for _ in 0..calls {
        heard = listen(&driver, call.clone()).await;
    }
    (server.requests().iter().map(|request| request.body.clone()).collect(), heard)
}

fn error(code: Option<&str>, param: Option<&str>) -> Value {
    json!({"message": "no", "type": "invalid_request_error", "code": code, "param": param})
}

#[tokio::test]
async fn what_a_model_refuses_of_ours_is_left_out_and_not_tried_again() {
    let refusals = vec![
        ("/reasoning/summary", 400, error(Some("unsupported_value"), Some("reasoning.summary"))),
        ("/include", 400, error(None, Some("include"))),
    ];
    let (bodies, heard) = refused("openai", refusals, |_| {}, question(), 2).await;
    assert_eq!(heard.text, "The answer is 8 Gpc.");
    assert!(heard.retries.is_empty());
    // Two refusals, then what is taken, and the second call at once.
    assert_eq!(bodies.len(), 4);
    assert_eq!(bodies[2].to_string(), bodies[3].to_string());
    assert_eq!((bodies[3].get("include"), bodies[3].get("reasoning")), (None, None));

    // xAI names no field.
    let refusals = vec![("/reasoning", 400, json!("no such argument"))];
    let (bodies, heard) = refused("grok", refusals, |_| {}, question(), 1).await;
    assert_eq!((heard.text.as_str(), bodies.len()), ("The answer is 8 Gpc.", 2));
}

#[tokio::test]
async fn what_a_model_refuses_of_the_users_is_told_in_its_own_words() {
    let refusals =
        vec![("/temperature", 400, error(Some("unsupported_value"), Some("temperature")))];
    let with = |spec: &mut BackendSpec| {
        spec.model = "gpt-4o".to_owned();
        spec.params = params(json!({"temperature": 9}));
    };
    let (bodies, heard) = refused("openai", refusals, with, question(), 1).await;
    let failure = heard.failure.unwrap();
    assert_eq!((bodies.len(), failure.message.as_str()), (1, "no (unsupported_value)"));
    assert_eq!(failure.kind, FailureKind::BadRequest);
    // Nor is anything tried again that waiting or money would help.
    for (status, code) in [(429, "rate_limit_exceeded"), (429, "insufficient_quota"), (401, "x")] {
        let refusals = vec![("/model", status, error(Some(code), Some("include")))];
        let (bodies, heard) = refused("openai", refusals, |_| {}, question(), 1).await;
        assert_eq!((bodies.len(), heard.failure.is_some()), (1, true), "{code}");
    }
}

#[tokio::test]
async fn reasoning_that_cannot_be_read_any_more_is_left_out_once() {
    let own = |value: Value| Part::Native { format: "openai_responses/openai".to_owned(), value };
    let items = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "stale"},
        {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "vote", "arguments": "{}"},
    ]);
    let messages = vec![
        Message::text(Role::User, "How far?"),
        assistant(vec![own(items), vote("a", for_agent1())]),
        tool(vec![result("a", "stale")]),
    ];
    for (status, code, param) in [
        (400, Some("invalid_encrypted_content"), None),
        (404, None, Some("input")),
        (400, Some("array_above_max_length"), Some("input[1].content")),
    ] {
        let refusals = vec![("/input/1/encrypted_content", status, error(code, param))];
        let question = call(messages.clone());
        let (bodies, heard) = refused("openai", refusals, |_| {}, question, 1).await;
        assert_eq!(heard.text, "The answer is 8 Gpc.", "{code:?}");
        assert_eq!(bodies.len(), 2);
        assert_eq!(
            bodies[1]["input"].as_array().unwrap()[1..],
            [
                json!({"type": "function_call", "call_id": "a", "name": "vote",
                    "arguments": "{}"}),
                output("a", "stale"),
            ]
        );
    }
}

#[tokio::test]
async fn every_wrong_key_model_and_address_is_one_clear_failure() {
    let check = async |reply: Reply, kind: FailureKind, told: &str| {
        let server = Server::start(script(move |_| reply.clone()));
        let driver = connect(&backend(&server, "openai", "gpt-5.4")).unwrap();
        let failure = listen(&driver, question()).await.failure.unwrap();
        assert_eq!(failure.kind, kind);
        assert!(failure.message.contains(told), "{}", failure.message);
        assert!(!format!("{failure:?}").contains(KEY));
    };
    let wrong_key = Reply::error(401, "invalid_api_key", &format!("Incorrect key: {KEY}"));
    check(wrong_key, FailureKind::Auth, "Incorrect key: [key]").await;
    let no_model = Reply::error(404, "model_not_found", "no such model");
    check(no_model, FailureKind::BadRequest, "asked for model `gpt-5.4` at http://127").await;
    let other_format = Reply::json(200, &json!({"object": "chat.completion", "choices": []}));
    check(other_format, FailureKind::Garbled, "use `type: chatcompletion`").await;
    let endless = Reply::stream().raw(vec![b'x'; 17 * 1024 * 1024]);
    check(endless, FailureKind::Garbled, "a line without end").await;
    let deep = format!("data: {}\n\n", "{\"a\":".repeat(100_000));
    check(Reply::sse(deep), FailureKind::Garbled, "an event is no JSON").await;
}
