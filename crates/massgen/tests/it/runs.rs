//! `runs` and `replay`: what is kept can be listed, shown and proved.

use serde_json::Value;

use crate::binary::Place;

fn with_a_run() -> Place {
    let place = Place::new();
    place.run(&["demo", "--fast", "--quiet"]).expect(0);
    place
}

#[test]
fn runs_are_listed_the_newest_first() {
    let place = with_a_run();
    assert_eq!(Place::new().run(&["runs"]).expect(0).stdout.lines().count(), 1);
    place.run(&["demo", "--fast", "--quiet"]).expect(0);
    let list = place.run(&["runs"]).expect(0);
    assert_eq!(list.stdout.lines().count(), 2);
    assert!(list.stdout.contains("wins"), "{}", list.stdout);
    let json = place.run(&["runs", "--json"]).expect(0);
    let runs: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(runs[0]["status"], "finished");
    assert!(runs[0]["started_at"].as_str() >= runs[1]["started_at"].as_str());
    assert_eq!(runs[0]["agents"].as_array().unwrap().len(), 4);
    assert_eq!(place.run(&["runs", "--output", "json"]).expect(0).stdout, json.stdout);
}

#[test]
fn a_run_is_shown_by_name_by_its_beginning_and_as_latest() {
    let place = with_a_run();
    let json = place.run(&["runs", "--json"]).expect(0);
    let runs: Value = serde_json::from_str(&json.stdout).unwrap();
    let name = runs[0]["run"].as_str().unwrap();
    let latest = place.run(&["runs", "show", "latest"]).expect(0);
    assert!(latest.stdout.contains("3 of 4 votes"), "{}", latest.stdout);
    for name in [name, &name[..name.len() - 1]] {
        assert_eq!(place.run(&["runs", "show", name]).expect(0).stdout, latest.stdout);
    }
}

#[test]
fn a_replay_shows_what_the_run_showed() {
    let place = Place::new();
    let demo = place.run(&["demo", "--fast"]).expect(0);
    let replay = place.run(&["replay", "latest", "--no-wait"]).expect(0);
    assert_eq!(replay.stdout, demo.stdout);
    let said = |stderr: &str| -> Vec<String> {
        stderr.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect()
    };
    assert_eq!(said(&replay.stderr), said(&demo.stderr));
}

#[test]
fn a_replay_comes_to_the_same_decisions() {
    let place = with_a_run();
    let check = place.run(&["replay", "--check", "latest"]).expect(0);
    assert!(check.stdout.contains("all as recorded"), "{}", check.stdout);
    let json = place.run(&["replay", "--check", "latest", "--output", "json"]).expect(0);
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["divergence"], Value::Null);
    assert!(report["decisions"].as_u64() > Some(10), "{report}");
}

#[test]
fn a_log_that_was_changed_is_found_with_its_place() {
    let place = with_a_run();
    let runs: Value =
        serde_json::from_str(&place.run(&["runs", "--json"]).expect(0).stdout).unwrap();
    let log = place.path().join(runs[0]["path"].as_str().unwrap()).join("events.jsonl");
    let events = std::fs::read_to_string(&log).unwrap();
    let (at, vote) = events
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains("\"type\":\"vote_cast\""))
        .expect("somebody voted");
    let mut ballot: Value = serde_json::from_str(vote).unwrap();
    // Whom the first vote is for depends on who was first.
    let other = if ballot["ballot"]["choice"] == "agent2" { "agent3" } else { "agent2" };
    ballot["ballot"]["choice"] = Value::from(other);
    assert_ne!(ballot.to_string(), vote);
    std::fs::write(&log, events.replace(vote, &ballot.to_string())).unwrap();
    let check = place.run(&["replay", "--check", "latest"]).expect(2);
    assert!(check.stdout.contains(&format!("event {at}\n")), "{}", check.stdout);
    assert!(check.stdout.contains("recorded:") && check.stdout.contains("replayed:"));
}

#[test]
fn a_run_that_ended_is_not_resumed() {
    let place = with_a_run();
    let done = place.run(&["resume", "latest"]).expect(1);
    assert!(done.stderr.contains("has come to its end"), "{}", done.stderr);
    assert!(done.stderr.contains("massgen replay"), "{}", done.stderr);
}

#[test]
fn a_torn_log_is_shown_up_to_its_tear() {
    let place = with_a_run();
    let runs: Value =
        serde_json::from_str(&place.run(&["runs", "--json"]).expect(0).stdout).unwrap();
    let log = place.path().join(runs[0]["path"].as_str().unwrap()).join("events.jsonl");
    let events = std::fs::read(&log).unwrap();
    // Twenty cuts: `massgen-log` has the test of every single one.
    for end in (0..events.len()).step_by(events.len() / 20) {
        std::fs::write(&log, &events[..end]).unwrap();
        place.run(&["replay", "latest", "--no-wait"]).expect(0);
        place.run(&["replay", "latest", "--check"]).expect(0);
        place.run(&["runs", "show", "latest"]).expect(0);
    }
}

#[test]
fn a_run_that_is_over_is_shown_as_complete() {
    let place = with_a_run();
    let shown = place.run(&["runs", "show", "latest", "--json"]).expect(0);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["is_complete"], true);
    assert_eq!(shown["finish_reason"], "completed");
    assert!(shown["final_answer"].as_str().unwrap().contains("A) 8 Gpc"));
}

#[test]
fn what_a_run_cost_is_split_by_agent_round_model_and_tool() {
    let place = with_a_run();
    let shown = place.run(&["runs", "show", "latest", "--cost"]).expect(0);
    for word in ["agent1", "  round 1", "all", "model", "new_answer", "cached"] {
        assert!(shown.stdout.contains(word), "no `{word}`:\n{}", shown.stdout);
    }
    let json = place.run(&["runs", "show", "latest", "--cost", "--json"]).expect(0);
    let cost: Value = serde_json::from_str(&json.stdout).unwrap();
    let tokens = |costs: Vec<&Value>| -> u64 {
        costs.iter().map(|cost| cost["tokens"].as_u64().unwrap()).sum()
    };
    let total = cost["total"]["tokens"].as_u64().unwrap();
    let agents: Vec<&Value> = cost["agents"].as_object().unwrap().values().collect();
    let rounds = agents.iter().flat_map(|agent| agent["rounds"].as_array().unwrap());
    assert!(total > 0 && agents.len() == 4, "{cost}");
    assert_eq!(tokens(agents.iter().map(|agent| &agent["total"]).collect()), total);
    assert_eq!(tokens(rounds.collect()), total);
    assert_eq!(tokens(cost["models"].as_object().unwrap().values().collect()), total);
}
