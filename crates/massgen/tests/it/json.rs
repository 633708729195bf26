//! `--output json` is the event stream, as it is in the log.

use massgen_protocol::{Event, EventBody};
use serde_json::Value;

use crate::binary::Place;

fn events(jsonl: &str) -> Vec<Value> {
    jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_event_is_a_line_and_the_log_has_the_same() {
    let place = Place::new();
    let demo = place.run(&["demo", "--fast", "--output", "json"]).expect(0);
    let shown = events(&demo.stdout);
    for (seq, event) in shown.iter().enumerate() {
        assert_eq!(event["seq"], seq, "no gap");
        let event: Event = serde_json::from_value(event.clone()).unwrap();
        assert_eq!(matches!(event.body, EventBody::RunStarted { .. }), seq == 0);
    }
    assert_eq!(shown.last().unwrap()["type"], "turn_finished");
    let logged = events(&place.run_file("events.jsonl"));
    assert_eq!(logged.len(), shown.len());
    for (logged, shown) in logged.iter().zip(&shown) {
        assert_eq!((&logged["seq"], &logged["type"]), (&shown["seq"], &shown["type"]));
    }
}

#[test]
fn a_replay_prints_what_the_run_printed() {
    let place = Place::new();
    let demo = place.run(&["demo", "--fast", "--output", "json"]).expect(0);
    let replay = place.run(&["replay", "latest", "--no-wait", "--output", "json"]).expect(0);
    assert_eq!(events(&demo.stdout), events(&replay.stdout));
}

#[test]
fn where_a_call_ends_the_sums_are_told() {
    let place = Place::new();
    let demo = place.run(&["demo", "--fast", "--output", "json"]).expect(0);
    let shown = events(&demo.stdout);
    let mut tokens = 0;
    for event in shown.iter().filter(|event| !event["totals"].is_null()) {
        tokens += event["spend"]["tokens"].as_u64().unwrap();
        assert_eq!(event["totals"]["run"]["tokens"], tokens);
        assert!(event["totals"]["agent"]["tokens"].as_u64().unwrap() <= tokens);
    }
    assert!(tokens > 0);
    let ends = ["call_finished", "call_failed", "call_cancelled"];
    for event in &shown {
        assert_eq!(ends.contains(&event["type"].as_str().unwrap()), !event["totals"].is_null());
    }
    assert!(!place.run_file("events.jsonl").contains("\"totals\""), "the log has facts only");
}
