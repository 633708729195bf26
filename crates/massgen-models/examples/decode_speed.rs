//! One-token events a second on one core, through `rig-core` alone and through
//! our codec, and what comes before a first request.
//!
//! `cargo run --release -p massgen-models --example decode_speed [TOKENS]`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use massgen_models::{Driver, Script, Scripted, connect};
use massgen_protocol::{BackendSpec, CallTimeouts, Message, ModelCall, ModelEvent, Role};
use massgen_testkit::{Server, behaviour};
use rig_core::completion::CompletionRequest;
use rig_core::providers::openai::OpenAIConfig;
use rig_core::streaming::{Item, StreamEvent};

/// The best of so many runs: what else the machine does only adds.
const RUNS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tokens = std::env::args().nth(1).map_or(200_000, |n| n.parse().expect("a number"));
    // The server has a thread of its own and sends the same bytes to both; it
    // only copies them, so that the decoder is what is measured.
    let server = Server::start(behaviour::tokens(tokens));

    let began = Instant::now();
    let ours = connect(&spec(&server.base_url())).unwrap();
    first_event(&ours).await;
    println!("ours, connect to first request: {:?}", server.stats().first_request.unwrap() - began);
    let speed = best(tokens, async || count(&ours).await).await;
    println!("ours: {speed:.0} events/s");
    let scripted = scripted(tokens);
    let speed = best(tokens, async || count(&scripted).await).await;
    println!("scripted model: {speed:.0} events/s");
    drop(server);

    let server = Server::start(behaviour::tokens(tokens));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let began = Instant::now();
    let rig = OpenAIConfig::new("sk-test").with_base_url(server.base_url()).client().chat("m");
    drop(rig.stream(CompletionRequest::new("hello")).unwrap().next().await);
    println!("rig, client to first request: {:?}", server.stats().first_request.unwrap() - began);
    let speed = best(tokens, async || {
        let mut stream = rig.stream(CompletionRequest::new("hello")).unwrap();
        let mut n = 0;
        while let Some(item) = stream.next().await {
            n += usize::from(matches!(item.unwrap(), Item::Event(StreamEvent::Text { .. })));
        }
        stream.finish().await.unwrap();
        n
    })
    .await;
    println!("rig: {speed:.0} events/s");
}

async fn best(tokens: usize, run: impl AsyncFn() -> usize) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..RUNS {
        let began = Instant::now();
        assert_eq!(run().await, tokens);
        best = best.max(tokens as f64 / began.elapsed().as_secs_f64());
    }
    best
}

async fn count(driver: &Driver) -> usize {
    let mut events = driver.call(call());
    let mut n = 0;
    while let Some(event) = events.next().await {
        n += usize::from(matches!(event.unwrap(), ModelEvent::Text(_)));
    }
    n
}

async fn first_event(driver: &Driver) {
    drop(driver.call(call()).next().await.unwrap().unwrap());
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

fn spec(base_url: &str) -> BackendSpec {
    BackendSpec { tries_max: 1, ..BackendSpec::new("vllm", "m", base_url) }
}

fn scripted(tokens: usize) -> Driver {
    let text = format!("agents: {{ a: {{ replies: [{{ tokens: {tokens} }}] }} }}");
    let scripted = Scripted::new(Script::parse(&text).unwrap(), &BTreeMap::new()).unwrap();
    Driver::new(scripted.agent("a").unwrap(), CallTimeouts::default(), 1)
}
