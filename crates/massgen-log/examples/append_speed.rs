//! How fast events are appended, flushed and read: one-token events on one core.
//!
//! `cargo run --release -p massgen-log --example append_speed`
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use massgen_log::{NewRun, Reader, Redactor, RunDir, StreamRedactor, Writer, WriterOptions};
use massgen_protocol::{
    AgentIndex, CallId, EventBody, Millis, Policy, RoundId, RunSpec, TextChannel,
};

const EVENTS: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let state = std::env::temp_dir().join(format!("massgen-append-speed-{}", std::process::id()));
    let result = measure(&state);
    std::fs::remove_dir_all(&state)?;
    result
}

fn measure(state: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let keys = [format!("sk-proj-{}", "0a1B".repeat(9)), format!("xai-{}", "9z8Y".repeat(6))];
    let redactor = Arc::new(Redactor::new(keys.iter().map(String::as_str))?);
    let spec = RunSpec::new("How fast?", Vec::new(), Policy::default());
    let new = NewRun {
        started_at: SystemTime::now(),
        build: "append_speed".to_owned(),
        config_path: None,
        cwd: String::new(),
        spec,
    };
    let dir = RunDir::create(state, new, &redactor)?;

    for (name, flush_every) in [("one flush each", 1), ("a flush for 32", 32)] {
        std::fs::remove_file(dir.events_path()).ok();
        let mut writer = Writer::create(&dir, Arc::clone(&redactor), WriterOptions::default())?;
        let start = Instant::now();
        for n in 0..EVENTS {
            writer.append(Millis(u64::from(n) / 100), token(n));
            if n % flush_every == 0 {
                writer.flush();
            }
        }
        report(&format!("append, {name}"), start);
        if let Some(failure) = writer.close() {
            return Err(failure.into());
        }
    }

    let start = Instant::now();
    let n_read = Reader::open(&dir)?.filter(Result::is_ok).count();
    report("read", start);
    let len = std::fs::metadata(dir.events_path())?.len();
    println!("{n_read} events, {} bytes each", len / u64::from(EVENTS));

    let mut stream = StreamRedactor::new(redactor);
    let start = Instant::now();
    let mut shown = 0;
    for n in 0..EVENTS {
        let EventBody::TextStreamed { text, .. } = token(n) else { continue };
        shown += stream.push(&text).len();
    }
    shown += stream.flush().len();
    report("redact as a stream", start);
    println!("{shown} bytes shown");
    Ok(())
}

fn token(n: u32) -> EventBody {
    let words = [" the", " answer", " is", " forty", "-two", ",", " because", " tasks"];
    let agent = AgentIndex((n % 3) as u16);
    let call = CallId { round: RoundId { agent, n: 1 }, n: 1 };
    let text = words[n as usize % words.len()].to_owned();
    EventBody::TextStreamed { call, channel: TextChannel::Text, text }
}

fn report(what: &str, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    let each = seconds * 1e9 / f64::from(EVENTS);
    println!("{what:<24} {each:>7.0} ns an event, {:>9.0} a second", f64::from(EVENTS) / seconds);
}
