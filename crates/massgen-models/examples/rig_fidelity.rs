//! What `rig-core` alone makes of the wire fixtures: the figures of
//! `docs/design/rig-fidelity.md`.
//!
//! `cargo run --release -p massgen-models --example rig_fidelity`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt;
use massgen_testkit::{Reply, Server, script};
use rig_core::completion::CompletionRequest;
use rig_core::message::AssistantContent;
use rig_core::providers::openai::OpenAIConfig;
use rig_core::providers::openai::wire::Chat;
use rig_core::streaming::Item;

/// A fixture that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/wire/openai-chat");
    let mut fixtures: HashMap<String, Vec<u8>> = HashMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sse") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            fixtures.insert(name, std::fs::read(path).unwrap());
        }
    }
    let mut names: Vec<String> = fixtures.keys().cloned().collect();
    names.sort();
    names.push("finish without [DONE], connection kept open".to_owned());
    names.push("JSON error body with status 200".to_owned());
    let server = Server::start(script(move |request| match request.model() {
        "finish without [DONE], connection kept open" => {
            Reply::stream().text("8 Gpc").finish("stop").stall()
        }
        "JSON error body with status 200" => Reply::error(200, "insufficient_quota", "no credit"),
        name => Reply::sse(fixtures[name].clone()),
    }));
    let started = Instant::now();
    let config = OpenAIConfig::new("sk-test").with_base_url(server.base_url());
    let client = config.client();
    for (n, name) in names.iter().enumerate() {
        println!("{name}: {}", outcome(&client.chat(name)).await);
        if n == 0 {
            let first = server.stats().first_request.unwrap();
            println!("  (from client to first request: {:?})", first - started);
        }
    }
}

async fn outcome(model: &rig_core::Model<Chat>) -> String {
    let mut stream = match model.stream(CompletionRequest::new("hello")) {
        Ok(stream) => stream,
        Err(error) => return format!("not sent: {error}"),
    };
    let mut unknown = 0;
    loop {
        match tokio::time::timeout(PATIENCE, stream.next()).await {
            Err(_) => return "hangs: no event tells that the reply is complete".to_owned(),
            Ok(None) => break,
            Ok(Some(Err(error))) => return format!("error: {error}"),
            Ok(Some(Ok(Item::Event(_)))) => {}
            Ok(Some(Ok(Item::Unknown(_)))) => unknown += 1,
        }
    }
    match stream.finish().await {
        Err(error) => format!("error at the end: {error}"),
        Ok(response) => {
            let parts: Vec<String> = response.choice.iter().map(describe).collect();
            let finish = format!("{:?}", response.finish_reason());
            let usage = (response.usage.input_tokens, response.usage.output_tokens);
            format!("{} | {finish} | usage {usage:?} | unknown {unknown}", parts.join(" + "))
        }
    }
}

fn describe(content: &AssistantContent) -> String {
    match content {
        AssistantContent::Text(text) => format!("text {:?}", text.text),
        AssistantContent::Reasoning(reasoning) => format!("reasoning {:?}", reasoning.text),
        AssistantContent::ToolCall(call) => {
            let arguments = serde_json::to_string(&call.function.arguments).unwrap();
            format!("call {}({arguments})", call.function.name.as_str())
        }
        AssistantContent::Image(_) => "image".to_owned(),
        AssistantContent::Opaque(opaque) => format!("opaque {}", opaque.item),
        _ => "something newer".to_owned(),
    }
}
