//! Faults of the Python MassGen that show in files and processes; `docs/faults.md` has all.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use massgen_testkit::{Script, Server, behaviour};
use serde_json::Value;

use crate::binary::Place;

fn team(server: &Server) -> String {
    let url = server.base_url();
    let agent = |id: &str| {
        format!(
            "  - id: {id}\n    backend: {{type: chatcompletion, model: m, api_key: k, \
             base_url: \"{url}\"}}\n"
        )
    };
    format!("agents:\n{}{}", agent("a"), agent("b"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Runs a team of two with `--automation` and returns what it left of a file.
fn left_by(script: Script, file: &str) -> String {
    let server = Server::start(script);
    let place = Place::new();
    place.file("team.yaml", &team(&server));
    place.run(&["--config", "team.yaml", "--automation", "6 x 7?"]).expect(0);
    place.run_file(file)
}

/// Fault 22: there it was written after a successful presentation, or not at all.
#[test]
fn a_run_without_an_answer_keeps_its_record() {
    let server = Server::start(behaviour::fails(401));
    let place = Place::new();
    place.file("team.yaml", &team(&server));
    place.run(&["--config", "team.yaml", "--automation", "6 x 7?"]).expect(2);
    let events: Value = serde_json::from_str(&place.run_file("coordination_events.json")).unwrap();
    let failures = events["events"].as_array().unwrap().iter();
    let failures = failures.filter(|event| event["event_type"] == "agent_error");
    assert!(failures.count() >= 2, "{events:#}");
    assert!(place.run_file("coordination_table.txt").contains("agent2"));
}

/// Fault 22: what had happened before the process was killed is there.
#[test]
fn a_killed_run_is_listed_and_shown_as_far_as_it_came() {
    let place = Place::new();
    let mut command = place.command(&["demo", "--fast", "--quiet"]);
    assert_eq!(command.env("MASSGEN_CRASH_AFTER_SEQ", "60").status().unwrap().code(), None);
    let log = place.run_file("events.jsonl");
    assert_eq!(log.lines().count(), 61);
    let listed = place.run(&["runs"]).expect(0).stdout;
    assert!(listed.contains("can be resumed"), "{listed}");
    let shown = place.run(&["replay", "latest", "--no-wait", "--output", "json"]).stdout;
    assert_eq!(shown.lines().count(), 61, "{shown}");
}

/// Faults 26, 27 and 38: nothing is shared and nothing is wiped.
#[test]
fn runs_started_at_once_in_one_folder_keep_apart() {
    let server = Server::start(behaviour::consensus(&[]));
    let place = Place::new();
    place.file("team.yaml", &team(&server));
    let start = |n: usize| {
        let question = format!("How much is {n} and {n}?");
        let mut command = place.command(&["--config", "team.yaml", "--quiet", &question]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let running: Vec<_> = (0..4).map(start).collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let json = place.run(&["runs", "--json"]).expect(0).stdout;
    let runs: Value = serde_json::from_str(&json).unwrap();
    let names = runs.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap());
    let names: Vec<&str> = names.collect();
    assert_eq!(names.len(), 4);
    for name in names {
        place.run(&["replay", "--check", name]).expect(0);
    }
}

/// Faults 23 and 28: every file is whole under its own name.
#[test]
fn nothing_half_written_is_left_behind() {
    let place = Place::new();
    place.run(&["demo", "--fast", "--automation"]).expect(0);
    let left = files(&place.path().join(".massgen/runs"));
    let names: Vec<String> =
        left.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
    for file in ["events.jsonl", "status.json", "answer.txt", "coordination_table.txt"] {
        assert!(names.iter().any(|name| name == file), "no {file} in {names:?}");
    }
}

/// Fault 59: the file that is written again and again does not grow with the run's text.
#[test]
fn status_does_not_grow_with_what_is_streamed() {
    let quiet = left_by(behaviour::talkative(1), "status.json").len();
    let wordy = left_by(behaviour::talkative(20_000), "status.json").len();
    // Who answers before whom is chance, and a round more is a few hundred bytes; the text
    // would be 80,000.
    assert!(wordy < quiet + 4_000, "{wordy} bytes after many tokens, {quiet} after few");
}

/// Fault 67: however a team is named, what is run has the same rules.
#[test]
fn a_quick_team_runs_by_the_same_rules_as_a_written_one() {
    let server = Server::start(behaviour::consensus(&[]));
    let url = server.base_url();
    let rules = |place: &Place| {
        let manifest: Value = serde_json::from_str(&place.run_file("manifest.json")).unwrap();
        assert!(manifest["spec"]["policy"].is_object(), "{manifest:#}");
        manifest["spec"]["policy"].clone()
    };
    let written = Place::new();
    written.file("team.yaml", &team(&server));
    written.run(&["--config", "team.yaml", "6 x 7?"]).expect(0);
    let quick = Place::new().env("OPENAI_API_KEY", "k");
    quick.run(&["--model", "m", "--model", "m", "--base-url", &url, "6 x 7?"]).expect(0);
    let piped = Place::new().env("OPENAI_API_KEY", "k");
    let arguments = ["--model", "m", "--model", "m", "--base-url", &url];
    piped.run_with_stdin(&arguments, b"6 x 7?").expect(0);
    assert_eq!(rules(&quick), rules(&written));
    assert_eq!(rules(&piped), rules(&written));
}
