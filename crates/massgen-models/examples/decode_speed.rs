//! One-token events a second on one core, for each family of wire formats: through
//! our codec, and through `rig-core` alone; and what comes before a first request.
//!
//! `cargo run --release -p massgen-models --example decode_speed [TOKENS]`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use massgen_models::{Driver, Script, Scripted, connect};
use massgen_protocol::{
    ApiKey, BackendSpec, CallTimeouts, Message, ModelCall, ModelEvent, Role, Secret,
};
use massgen_testkit::{Reply, Server, script};
use rig_core::completion::CompletionRequest;
use rig_core::providers::anthropic::AnthropicConfig;
use rig_core::providers::gemini::GeminiConfig;
use rig_core::providers::openai::OpenAIConfig;
use rig_core::streaming::{Item, StreamEvent};
use serde_json::{Value, json};

/// The best of so many runs: what else the machine does only adds.
const RUNS: usize = 5;

/// Counts the text events of one rig stream.
macro_rules! rig {
    ($model:expr) => {{
        let model = $model;
        async move || {
            let mut stream = model.stream(CompletionRequest::new("hello")).unwrap();
            let mut n = 0;
            while let Some(item) = stream.next().await {
                n += usize::from(matches!(item.unwrap(), Item::Event(StreamEvent::Text { .. })));
            }
            stream.finish().await.unwrap();
            n
        }
    }};
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tokens = std::env::args().nth(1).map_or(200_000, |n| n.parse().expect("a number"));
    let _ = rustls::crypto::ring::default_provider().install_default();

    let scripted = scripted(tokens);
    report("scripted model", tokens, 0, async || count(&scripted).await).await;

    let server = serve(chat(tokens));
    let base = server.base_url();
    let began = Instant::now();
    let ours = driver("vllm", "m", &base);
    drop(ours.call(call()).next().await.unwrap().unwrap());
    let first = server.stats().first_request.unwrap();
    println!("ours, connect to first request: {:?}", first - began);
    let bytes = chat(tokens).len();
    report("Chat Completions, ours", tokens, bytes, async || count(&ours).await).await;
    drop(server);
    let server = serve(chat(tokens));
    let base = server.base_url();
    let began = Instant::now();
    let rig = OpenAIConfig::new("sk-test").with_base_url(&base).client().chat("m");
    drop(rig.stream(CompletionRequest::new("hello")).unwrap().next().await);
    let first = server.stats().first_request.unwrap();
    println!("rig, client to first request: {:?}", first - began);
    report("Chat Completions, rig", tokens, bytes, rig!(rig)).await;

    let (server, bytes) = (serve(responses(tokens)), responses(tokens).len());
    let base = server.base_url();
    let ours = driver("openai", "gpt-5.4", &base);
    report("Responses, ours", tokens, bytes, async || count(&ours).await).await;
    let rig = OpenAIConfig::new("sk-test").with_base_url(&base).client().completion("gpt-5.4");
    report("Responses, rig", tokens, bytes, rig!(rig)).await;

    let (server, bytes) = (serve(messages(tokens)), messages(tokens).len());
    let root = server.base_url().trim_end_matches("/v1").to_owned();
    let ours = driver("claude", "claude-sonnet-4-5", &root);
    report("Messages, ours", tokens, bytes, async || count(&ours).await).await;
    let rig = AnthropicConfig::new("sk-test").with_base_url(&root).client();
    report("Messages, rig", tokens, bytes, rig!(rig.completion("claude-sonnet-4-5"))).await;

    let (server, bytes) = (serve(generate(tokens)), generate(tokens).len());
    let root = server.base_url().trim_end_matches("/v1").to_owned();
    let ours = driver("gemini", "gemini-2.5-flash", &root);
    report("generateContent, ours", tokens, bytes, async || count(&ours).await).await;
    let rig = GeminiConfig::new("sk-test").with_base_url(&root).client();
    report("generateContent, rig", tokens, bytes, rig!(rig.completion("gemini-2.5-flash"))).await;
}

/// A server with a thread of its own that sends the same bytes to both; it only
/// copies them, so that the decoder is what is measured.
fn serve(stream: String) -> Server {
    Server::start(script(move |_| Reply::sse(stream.clone().into_bytes())))
}

async fn report(name: &str, tokens: usize, bytes: usize, run: impl AsyncFn() -> usize) {
    let mut best = 0.0_f64;
    for _ in 0..RUNS {
        let began = Instant::now();
        assert_eq!(run().await, tokens, "{name}");
        best = best.max(1.0 / began.elapsed().as_secs_f64());
    }
    let (events, megabytes) = (tokens as f64 * best, bytes as f64 * best / 1e6);
    match bytes {
        0 => println!("{name}: {events:.0} events/s"),
        _ => println!("{name}: {events:.0} events/s, {megabytes:.0} MB/s"),
    }
}

async fn count(driver: &Driver) -> usize {
    let mut events = driver.call(call());
    let mut n = 0;
    while let Some(event) = events.next().await {
        n += usize::from(matches!(event.unwrap(), ModelEvent::Text(_)));
    }
    n
}

fn call() -> ModelCall {
    ModelCall {
        messages: Arc::new(vec![Arc::new(Message::text(Role::User, "hello"))]),
        tools: Arc::default(),
        max_output_tokens: None,
        label: "speed".to_owned(),
        seed: 0,
    }
}

fn driver(kind: &str, model: &str, base_url: &str) -> Arc<Driver> {
    let api_key = ApiKey::Given { value: Secret::new("sk-test") };
    let spec = BackendSpec { tries_max: 1, api_key, ..BackendSpec::new(kind, model, base_url) };
    connect(&spec).unwrap()
}

fn scripted(tokens: usize) -> Driver {
    let text = format!("agents: {{ a: {{ replies: [{{ tokens: {tokens} }}] }} }}");
    let scripted = Scripted::new(Script::parse(&text).unwrap(), &BTreeMap::new()).unwrap();
    Driver::new(scripted.agent("a").unwrap(), CallTimeouts::default(), 1)
}

fn event(name: &str, data: &Value) -> String {
    match name {
        "" => format!("data: {data}\n\n"),
        name => format!("event: {name}\ndata: {data}\n\n"),
    }
}

fn chat(tokens: usize) -> String {
    let chunk = |choices: Value, usage: Value| {
        event(
            "",
            &json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                "model": "m", "choices": choices, "usage": usage}),
        )
    };
    let delta = json!([{"index": 0, "delta": {"content": "tok "}, "finish_reason": null}]);
    let mut all = chunk(delta, Value::Null).repeat(tokens);
    all += &chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null);
    let usage = json!({"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": tokens});
    all + &chunk(json!([]), usage) + "data: [DONE]\n\n"
}

fn responses(tokens: usize) -> String {
    let text = "tok ".repeat(tokens);
    let named = |name: &str, mut data: Value| {
        data["type"] = json!(name);
        event(name, &data)
    };
    let response = |status: &str, output: Value, usage: Value| {
        json!({"sequence_number": 0, "response": {"id": "resp_1", "object": "response",
            "created_at": 1, "status": status, "model": "gpt-5.4", "output": output,
            "error": null, "incomplete_details": null, "instructions": null, "tools": [],
            "usage": usage}})
    };
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let item = |status: &str, content: Value| {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "status": status,
            "content": content})
    };
    let mut all = named("response.created", response("in_progress", json!([]), Value::Null));
    let added =
        json!({"sequence_number": 1, "output_index": 0, "item": item("in_progress", json!([]))});
    all += &named("response.output_item.added", added);
    let added = json!({"sequence_number": 2, "item_id": "msg_1", "output_index": 0,
        "content_index": 0, "part": part("")});
    all += &named("response.content_part.added", added);
    let delta = json!({"sequence_number": 3, "item_id": "msg_1", "output_index": 0,
        "content_index": 0, "delta": "tok "});
    all += &named("response.output_text.delta", delta).repeat(tokens);
    let done = json!({"sequence_number": 4, "item_id": "msg_1", "output_index": 0,
        "content_index": 0, "text": text});
    all += &named("response.output_text.done", done);
    let whole = item("completed", json!([part(&text)]));
    let done = json!({"sequence_number": 5, "output_index": 0, "item": whole});
    all += &named("response.output_item.done", done);
    let usage = json!({"input_tokens": 10, "output_tokens": tokens, "total_tokens": tokens + 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0}});
    all + &named("response.completed", response("completed", json!([whole]), usage))
}

fn messages(tokens: usize) -> String {
    let named = |name: &str, mut data: Value| {
        data["type"] = json!(name);
        event(name, &data)
    };
    let start = json!({"message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude-sonnet-4-5", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 1}}});
    let block = json!({"index": 0, "content_block": {"type": "text", "text": ""}});
    let delta = json!({"index": 0, "delta": {"type": "text_delta", "text": "tok "}});
    let end = json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": tokens}});
    named("message_start", start)
        + &named("content_block_start", block)
        + &named("content_block_delta", delta).repeat(tokens)
        + &named("content_block_stop", json!({"index": 0}))
        + &named("message_delta", end)
        + &named("message_stop", json!({}))
}

fn generate(tokens: usize) -> String {
    let chunk = |candidate: Value| {
        event(
            "",
            &json!({"candidates": [candidate], "modelVersion": "gemini-2.5-flash",
                "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": tokens,
                    "totalTokenCount": tokens + 10}}),
        )
    };
    let content = json!({"role": "model", "parts": [{"text": "tok "}]});
    let last = json!({"content": content, "finishReason": "STOP", "index": 0});
    chunk(json!({"content": content, "index": 0})).repeat(tokens - 1) + &chunk(last)
}
