//! One-token events a second through everything a run does with them.
//!
//! `cargo run --release -p massgen --example token_speed -- scripted|http [tokens]`
//!
//! One agent says a million tokens. They pass the model's stream, the coalescing, the
//! log on disk, the fan-out and the view, as in any run. `scripted` is fed by the
//! scripted model, `http` by the loopback server over Chat Completions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use massgen_config::{Environment, Overrides, Source, load};
use massgen_protocol::EventBody;
use massgen_runtime::{Seams, Session, SessionOptions};
use massgen_testkit::{Server, behaviour};
use massgen_view::RunView;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let source = arguments.next().unwrap_or_else(|| "scripted".to_owned());
    let tokens: usize = arguments.next().map_or(1_000_000, |n| n.parse().expect("a number"));
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script.yaml");
    let replies =
        format!("agents:\n  a:\n    replies:\n      - {{ tokens: {tokens}, new_answer: done }}\n");
    std::fs::write(&script, replies).unwrap();
    let server = Server::start(behaviour::talkative(tokens));
    let backend = match source.as_str() {
        "scripted" => format!("{{ type: scripted, model: a, script: \"{}\" }}", script.display()),
        _ => format!("{{ type: chatcompletion, model: a, base_url: \"{}\" }}", server.base_url()),
    };
    let text = format!("agents:\n  - id: a\n    backend: {backend}\n");
    let overrides = Overrides { question: Some("Count.".to_owned()), ..Overrides::default() };
    let loaded = load(
        &Source { name: "team.yaml", text: &text },
        &Environment::new(std::env::vars()),
        &overrides,
    );
    let spec = loaded.spec.unwrap_or_else(|problems| panic!("{problems:?}"));
    let options = SessionOptions {
        state_dir: dir.path().to_owned(),
        config_path: None,
        build: "token_speed".to_owned(),
        connect: Arc::new(|agent| massgen_models::connect(&agent.backend)),
        reserved: None,
        opening: Vec::new(),
        seams: Seams::default(),
        prompts: BTreeMap::new(),
        crash_after: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (seconds, bytes, events) = runtime.block_on(async {
        let session = Session::start(spec, options).unwrap();
        let mut watch = session.subscribe();
        let mut view = RunView::default();
        let mut bytes = 0;
        let mut events = 0_u64;
        let started = Instant::now();
        while let Some(event) = watch.next().await {
            view.apply(&event);
            events += 1;
            if let EventBody::TextStreamed { text, .. } = &event.body {
                bytes += text.len();
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let finished = session.join().await;
        assert!(finished.is_recorded && finished.answer.is_some());
        (seconds, bytes, events)
    });
    let rate = tokens as f64 / seconds;
    println!(
        "{rate:.0}/s ({tokens} tokens, {bytes} bytes, {events} events in the log, {seconds:.2} s)"
    );
}
