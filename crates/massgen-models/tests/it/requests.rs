//! What is sent.

use massgen_models::connect;
use massgen_protocol::{
    Arguments, BackendSpec, Media, MediaKind, MediaSource, Message, Part, Role, ToolCall,
    ToolCallId, ToolResult,
};
use massgen_testkit::{Server, behaviour};
use serde_json::{Map, Value, json};

use crate::support::{KEY, call, driver, listen, question, spec};

fn conversation() -> Vec<Message> {
    let vote = |id: &str, arguments| {
        Part::ToolCall(ToolCall {
            id: ToolCallId(id.to_owned()),
            name: "vote".to_owned(),
            arguments,
        })
    };
    let result = |id: &str, text: &str| {
        Part::ToolResult(ToolResult {
            id: ToolCallId(id.to_owned()),
            name: "vote".to_owned(),
            text: text.to_owned(),
            is_error: true,
        })
    };
    let object =
        Arguments::Object { value: Map::from_iter([("agent_id".to_owned(), json!("agent1"))]) };
    let broken = Arguments::Malformed { raw: "{\"agent".to_owned(), error: "cut".to_owned() };
    let reasoning = |text: &str, field: Option<&str>| Part::Reasoning {
        text: text.to_owned(),
        field: field.map(str::to_owned),
    };
    let text = |text: &str| Part::Text { text: text.to_owned() };
    let native = |format: &str| Part::Native {
        format: format.to_owned(),
        value: json!([{"type": "reasoning.text", "signature": "sig"}]),
    };
    let assistant = |parts| Message { role: Role::Assistant, parts };
    vec![
        Message::text(Role::System, "Be right."),
        Message { role: Role::User, parts: vec![text("How "), text("far?")] },
        assistant(vec![
            reasoning("hm", Some("reasoning_content")),
            text("I vote."),
            vote("a", object.clone()),
            vote("b", broken),
        ]),
        Message { role: Role::Tool, parts: vec![result("a", "stale"), result("b", "unreadable")] },
        assistant(vec![
            reasoning("ah", Some("reasoning")),
            native("openai_chat/reasoning_details"),
            native("anthropic/thinking"),
            vote("c", object),
        ]),
        Message { role: Role::Tool, parts: vec![result("c", "stale")] },
        Message::text(Role::User, "Go on."),
        assistant(vec![reasoning("so", Some("<think>")), text("8")]),
        assistant(vec![reasoning("so", Some("content[thinking]")), text("8")]),
        assistant(vec![reasoning("of another format", None), text("8")]),
    ]
}

async fn sent(change: impl FnOnce(&mut BackendSpec), call: massgen_protocol::ModelCall) -> Value {
    let server = Server::start(behaviour::only_talks("8"));
    let mut spec = spec(&server.base_url());
    change(&mut spec);
    let heard = listen(&connect(&spec).unwrap(), call).await;
    assert_eq!(heard.text, "8");
    server.requests()[0].body.clone()
}

#[tokio::test]
async fn a_conversation_is_sent_as_it_came() {
    let mut call = call(conversation());
    call.max_output_tokens = Some(500);
    let body = sent(|_| {}, call).await;
    let tools = ["new_answer", "submit", "vote"].map(|name| {
        json!({"type": "function", "function": {
            "name": name,
            "description": format!("{name} it"),
            "parameters": {"type": "object", "properties": {"content": {"type": "string"}}},
        }})
    });
    let expected = json!({
        "model": "m-1",
        "messages": [
            {"role": "system", "content": "Be right."},
            {"role": "user", "content": "How far?"},
            {"role": "assistant", "content": "I vote.", "reasoning_content": "hm", "tool_calls": [
                {"id": "a", "type": "function",
                 "function": {"name": "vote", "arguments": "{\"agent_id\":\"agent1\"}"}},
                {"id": "b", "type": "function",
                 "function": {"name": "vote", "arguments": "{\"unreadable\":\"{\\\"agent\"}"}},
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "stale"},
            {"role": "tool", "tool_call_id": "b", "content": "unreadable"},
            {"role": "assistant", "content": null, "reasoning": "ah",
             "reasoning_details": [{"type": "reasoning.text", "signature": "sig"}],
             "tool_calls": [{"id": "c", "type": "function",
                 "function": {"name": "vote", "arguments": "{\"agent_id\":\"agent1\"}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "stale"},
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": "<think>so</think>8"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "so"}]},
                {"type": "text", "text": "8"},
            ]},
            {"role": "assistant", "content": "8"},
        ],
        "tools": tools,
        "max_tokens": 500,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    // As text, because the order of fields decides whether a prompt cache holds.
    assert_eq!(body.to_string(), expected.to_string());
}

#[tokio::test]
async fn what_a_turn_said_goes_back_in_the_field_it_came_from() {
    let fixture = |name: &str| {
        let path = format!("../../fixtures/wire/openai-chat/{name}.sse");
        let bytes = std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
        massgen_testkit::Reply::sse(bytes.unwrap())
    };
    let check = async |name: &str, expected: Value| {
        let reply = fixture(name);
        let server = Server::start(massgen_testkit::script(move |_| reply.clone()));
        let driver = driver(&server);
        let turn = listen(&driver, question()).await.turn.unwrap();
        let said = Message { role: Role::Assistant, parts: turn.parts };
        listen(&driver, call(vec![Message::text(Role::User, "How far?"), said])).await;
        assert_eq!(server.requests()[1].body["messages"][1], expected, "{name}");
    };
    check("reasoning", json!({"role": "assistant", "content": "8 Gpc", "reasoning": "Hm, eight."}))
        .await;
    check(
        "reasoning_details",
        json!({"role": "assistant", "content": "Sum: 8", "reasoning": "I add both.",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "I add both.", "format": "anthropic-claude-v1",
                 "index": 0, "signature": "sig=="},
                {"type": "reasoning.encrypted", "data": "opaque==", "index": 1}]}),
    )
    .await;
    check(
        "reasoning_think_tags",
        json!({"role": "assistant", "content": "<think>first <think>inner</think> last</think>\
            \n\nThe text with a < b and </think> later."}),
    )
    .await;
    check(
        "reasoning_parts",
        json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Carefully. Yes."}]},
            {"type": "text", "text": "8 Gpc"}]}),
    )
    .await;
}

#[tokio::test]
async fn params_pass_through_and_cannot_break_the_request() {
    let params = json!({
        "temperature": 0.5, "max_tokens": 77, "stream": false, "model": "other", "n": 3,
        "messages": [], "stream_options": null, "tool_choice": "auto",
    });
    let Value::Object(params) = params else { unreachable!() };
    let with_params = |spec: &mut BackendSpec| spec.params = params.clone();
    let body = sent(with_params, question()).await;
    assert_eq!(body["temperature"], 0.5);
    assert_eq!(
        (&body["max_tokens"], &body["stream"], &body["model"]),
        (&json!(77), &json!(true), &json!("m-1"))
    );
    assert_eq!((&body["n"], &body["stream_options"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&body["tool_choice"], body["messages"].as_array().unwrap().len()),
        (&json!("auto"), 1)
    );

    // Without tools nothing may be said about them; the call's own bound wins.
    let mut bare = question();
    bare.tools = Default::default();
    bare.max_output_tokens = Some(5);
    let with_model = |spec: &mut BackendSpec| {
        spec.params = params.clone();
        spec.model = "gpt-5.4".to_owned();
        spec.max_output_tokens = Some(9);
    };
    let body = sent(with_model, bare).await;
    assert_eq!((&body["tools"], &body["tool_choice"]), (&Value::Null, &Value::Null));
    assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&json!(5), &Value::Null));
}

#[tokio::test]
async fn kinds_of_server_get_what_they_want() {
    let body = sent(|spec| spec.kind = "openrouter".to_owned(), question()).await;
    assert_eq!(body["usage"], json!({"include": true}));
    let body = sent(|spec| spec.kind = "mistral".to_owned(), call(conversation())).await;
    let messages = body["messages"].as_array().unwrap();
    let at = messages.iter().rposition(|message| message["role"] == "tool").unwrap();
    assert_eq!(messages[at + 1]["role"], "assistant");
    assert_eq!(messages[at + 2]["content"], "Go on.");
}

#[tokio::test]
async fn images_sounds_and_files_are_shown() {
    let media = |kind, media_type: &str| {
        Part::Media(Media {
            kind,
            media_type: media_type.to_owned(),
            name: Some("a".to_owned()),
            source: MediaSource::Inline { base64: "QQ==".to_owned() },
        })
    };
    let picture = MediaSource::Url { url: "https://example.com/a".to_owned() };
    let parts = vec![
        Part::Text { text: "What is it?".to_owned() },
        media(MediaKind::Image, "image/png"),
        media(MediaKind::Audio, "audio/mpeg"),
        media(MediaKind::Video, "video/mp4"),
        media(MediaKind::File, "application/pdf"),
        Part::Media(Media {
            kind: MediaKind::Image,
            media_type: "image/png".to_owned(),
            name: None,
            source: picture,
        }),
    ];
    let body = sent(|_| {}, call(vec![Message { role: Role::User, parts }])).await;
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,QQ=="}},
            {"type": "file",
             "file": {"filename": "a", "file_data": "data:application/pdf;base64,QQ=="}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a"}},
        ])
    );
}

#[tokio::test]
async fn openrouter_gets_the_fields_it_has_of_its_own() {
    let of = |model: &'static str| {
        move |spec: &mut BackendSpec| {
            spec.kind = "openrouter".to_owned();
            spec.model = model.to_owned();
            spec.hosted_tools.web_search = true;
            spec.reasoning.effort = Some("max".to_owned());
        }
    };
    let mut messages = conversation();
    messages.insert(1, Message::text(Role::System, "Be brief."));
    let body = sent(of("anthropic/claude-opus-4.6"), call(messages)).await;
    assert_eq!(body["plugins"], json!([{"id": "web"}]));
    assert_eq!(body["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(body["reasoning"], json!({"effort": "xhigh"}));
    assert_eq!(body["messages"][0]["content"], "Be right.\n\nBe brief.");
    assert_eq!(body["messages"][1]["role"], "user");
    assert_eq!(body["messages"][5]["reasoning_details"][0]["signature"], "sig");

    let body = sent(of("google/gemini-3-pro"), call(conversation())).await;
    assert_eq!(body.get("cache_control"), None);
    assert!(!body.to_string().contains("reasoning_details"), "{body}");
    // What the config says of the plugin wins.
    let own = json!([{"id": "web", "max_results": 3}]);
    let with_own = |spec: &mut BackendSpec| {
        of("x/m")(spec);
        spec.params = Map::from_iter([("plugins".to_owned(), own.clone())]);
    };
    assert_eq!(sent(with_own, question()).await["plugins"], own);
}

#[tokio::test]
async fn ids_are_such_as_the_server_takes() {
    let ids = async |kind: &str, model: &str| {
        let with = |spec: &mut BackendSpec| {
            spec.kind = kind.to_owned();
            spec.model = model.to_owned();
        };
        let body = sent(with, call(conversation())).await;
        let messages = body["messages"].as_array().unwrap().clone();
        let calls = messages.iter().flat_map(|message| message["tool_calls"].as_array().cloned());
        let calls: Vec<Value> = calls.flatten().map(|call| call["id"].clone()).collect();
        let results: Vec<Value> = messages
            .iter()
            .filter(|message| message["role"] == "tool")
            .map(|message| message["tool_call_id"].clone())
            .collect();
        assert_eq!(calls, results, "{kind}");
        calls
    };
    assert_eq!(ids("groq", "m").await, ["a", "b", "c"]);
    let nine = ids("mistral", "mistral-large-latest").await;
    assert!(nine.iter().all(|id| id.as_str().unwrap().len() == 9), "{nine:?}");
    let counted = ["functions.vote:0", "functions.vote:1", "functions.vote:2"];
    assert_eq!(ids("kimi", "kimi-k2").await, counted);
}

#[tokio::test]
async fn what_a_model_does_not_take_is_left_out() {
    let with = |model: &'static str, own: Value| {
        move |spec: &mut BackendSpec| {
            spec.model = model.to_owned();
            spec.reasoning.effort = Some("max".to_owned());
            spec.params = own.as_object().unwrap().clone();
        }
    };
    let sampling = json!({"temperature": 0.5, "top_p": 0.5});
    let body = sent(with("gpt-5.4", sampling.clone()), question()).await;
    assert_eq!(body["reasoning_effort"], "xhigh");
    assert_eq!((body.get("temperature"), body.get("top_p")), (None, None));
    let body = sent(with("gpt-4o", sampling), question()).await;
    assert_eq!((&body["temperature"], body.get("reasoning_effort")), (&json!(0.5), None));
    // What servers of open weights have of their own passes through.
    let own = json!({"chat_template_kwargs": {"enable_thinking": false}, "top_k": 3});
    let body = sent(with("qwen", own.clone()), question()).await;
    assert_eq!(body["chat_template_kwargs"], own["chat_template_kwargs"]);
    assert_eq!((&body["top_k"], &body["reasoning_effort"]), (&json!(3), &json!("max")));
    let strict = |spec: &mut BackendSpec| spec.kind = "fireworks".to_owned();
    assert_eq!(sent(strict, question()).await["tools"][0]["function"]["strict"], true);
}

#[tokio::test]
async fn a_server_that_cannot_count_is_not_asked_to() {
    let refuses = json!({"error": {"message": "no", "param": "stream_options", "code": "x"}});
    let server = Server::start(massgen_testkit::script(move |request| {
        if request.body.get("stream_options").is_some() {
            massgen_testkit::Reply::json(400, &refuses)
        } else {
            massgen_testkit::Reply::stream().text("8").finish("stop").done()
        }
    }));
    let driver = driver(&server);
    for _ in 0..2 {
        assert_eq!(listen(&driver, question()).await.text, "8");
    }
    // One refusal, what is taken, and the second call at once.
    assert_eq!(server.stats().requests, 3);
}

#[tokio::test]
async fn a_deployment_of_azures_is_found_by_its_name() {
    let server = Server::start(behaviour::only_talks("8"));
    let spec = BackendSpec {
        kind: "azure_openai".to_owned(),
        model: "my-gpt".to_owned(),
        base_url: server.base_url().replace("/v1", ""),
        params: Map::from_iter([
            ("api_version".to_owned(), json!("2025-01-01-preview")),
            ("tool_choice".to_owned(), json!("none")),
        ]),
        ..spec("")
    };
    let mut bare = question();
    bare.tools = Default::default();
    assert_eq!(listen(&connect(&spec).unwrap(), bare).await.text, "8");
    let request = &server.requests()[0];
    assert_eq!(
        request.path,
        "/openai/deployments/my-gpt/chat/completions?api-version=2025-01-01-preview"
    );
    assert_eq!((request.header("api-key"), request.header("authorization")), (Some(KEY), None));
    assert_eq!((request.body.get("api_version"), request.body.get("tool_choice")), (None, None));
    let mistral = BackendSpec { model: "Ministral-3B".to_owned(), ..spec };
    listen(&connect(&mistral).unwrap(), question()).await;
    assert_eq!(server.requests()[1].body.get("stream_options"), None);
}

#[tokio::test]
async fn headers_name_the_call_and_carry_the_key_only_if_there_is_one() {
    let server = Server::start(behaviour::only_talks("8"));
    listen(&driver(&server), question()).await;
    let spec = BackendSpec { api_key: massgen_protocol::ApiKey::None, ..spec(&server.base_url()) };
    listen(&connect(&spec).unwrap(), question()).await;
    let requests = server.requests();
    assert_eq!(requests[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(requests[0].header("x-client-request-id"), Some("run/agent1#1.1"));
    assert_eq!(requests[1].header("authorization"), None);
    // Both came over one connection.
    assert_eq!(server.stats().connections, 1);
}
