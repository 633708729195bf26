//! How fast one-token events are folded, on one core.
//!
//! `cargo run --release -p massgen-view --example apply_speed`
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;

use massgen_protocol::{
    AgentCard, AgentId, AgentIndex, CallId, Event, EventBody, Millis, RoundId, RunId, TextChannel,
};
use massgen_view::RunView;

const EVENTS: u32 = 3_000_000;

fn main() {
    let agents = (0..3).map(|n| AgentCard {
        id: AgentId(format!("agent{n}")),
        alias: AgentIndex(n),
        model: "m".to_owned(),
        backend: "scripted".to_owned(),
    });
    let run = RunId("20261123-220101-ab12".to_owned());
    let started = EventBody::RunStarted { run, build: String::new(), agents: agents.collect() };
    let mut view = RunView::default();
    view.apply(&Event { seq: 0, at: Millis(0), body: started });

    let mut tokens: Vec<Event> = (0..64).map(token).collect();
    // The crate itself has no clock; an example may look at one.
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let start = std::time::Instant::now();
    for n in 0..EVENTS {
        let event = &mut tokens[n as usize % 64];
        event.seq = u64::from(n) + 1;
        view.apply(black_box(event));
    }
    let seconds = start.elapsed().as_secs_f64();
    let each = seconds * 1e9 / f64::from(EVENTS);
    println!("apply {each:.0} ns an event, {:.0} a second", f64::from(EVENTS) / seconds);
}

fn token(n: u16) -> Event {
    let call = CallId { round: RoundId { agent: AgentIndex(n % 3), n: 1 }, n: 1 };
    let text = if n.is_multiple_of(2) { " the" } else { " answer" }.to_owned();
    let body = EventBody::TextStreamed { call, channel: TextChannel::Text, text };
    Event { seq: 0, at: Millis(0), body }
}
