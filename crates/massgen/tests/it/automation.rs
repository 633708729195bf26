//! The contract of `--automation`, as `docs/reference/automation.md` gives it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::binary::Place;

/// The value after `NAME: `, which must be there exactly once.
fn line<'a>(stdout: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    let mut found = stdout.lines().filter_map(|line| line.strip_prefix(&prefix));
    let value = found.next().unwrap_or_else(|| panic!("no {name} in:\n{stdout}"));
    assert_eq!(found.next(), None, "{name} twice in:\n{stdout}");
    value
}

fn status(stdout: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(line(stdout, "STATUS")).unwrap()).unwrap()
}

#[test]
fn the_lines_come_in_order_and_their_files_exist() {
    let place = Place::new();
    let demo = place.run(&["demo", "--fast", "--automation"]).expect(0);
    let names: Vec<&str> =
        demo.stdout.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "LOG_DIR",
            "STATUS",
            "QUESTION",
            "WINNER",
            "ANSWER_FILE",
            "DURATION",
            "ANSWER_PREVIEW",
            "COMPLETED",
        ]
    );
    let folder = Path::new(line(&demo.stdout, "LOG_DIR"));
    assert!(folder.is_absolute() && folder.join("events.jsonl").is_file());
    let answer_file = Path::new(line(&demo.stdout, "ANSWER_FILE"));
    assert!(answer_file.starts_with(folder.join("final")), "{}", answer_file.display());
    let answer = std::fs::read_to_string(answer_file).unwrap();
    assert!(answer.contains("A) 8 Gpc"), "{answer}");
    assert!(line(&demo.stdout, "COMPLETED").starts_with("4 agents, "));

    let status = status(&demo.stdout);
    assert_eq!(status["is_complete"], true);
    assert_eq!(status["finish_reason"], "completed");
    assert_eq!(status["results"]["winner"], line(&demo.stdout, "WINNER"));
    assert_eq!(status["results"]["final_answer_file"], answer_file.to_str().unwrap());
    assert_eq!(status["coordination"]["completion_percentage"], 100);

    let events = std::fs::read_to_string(folder.join("coordination_events.json")).unwrap();
    let events: Value = serde_json::from_str(&events).unwrap();
    assert_eq!(events["session_metadata"]["final_winner"], line(&demo.stdout, "WINNER"));
    let kinds = |kind: &str| {
        let events = events["events"].as_array().unwrap();
        events.iter().filter(|event| event["event_type"] == kind).count()
    };
    assert!(kinds("new_answer") >= 5 && kinds("vote_cast") >= 4, "{events:#}");
    let table = std::fs::read_to_string(folder.join("coordination_table.txt")).unwrap();
    assert!(table.contains("agent1"), "{table}");
}

#[test]
fn a_reader_of_the_status_never_sees_half_of_it_or_a_promise() {
    let place = Place::new();
    let mut run = place
        .command(&["demo", "--fast", "--automation"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let status = lines
        .find_map(|line| line.unwrap().strip_prefix("STATUS: ").map(str::to_owned))
        .expect("it is told at the start");
    let (mut n_read, mut n_open) = (0, 0);
    loop {
        let is_over = run.try_wait().unwrap().is_some();
        if let Ok(text) = std::fs::read_to_string(&status) {
            let status: Value = serde_json::from_str(&text).expect("never torn");
            n_read += 1;
            if status["is_complete"] == true {
                let answer = status["results"]["final_answer_file"].as_str().unwrap();
                assert!(Path::new(answer).is_file(), "complete without its answer");
            } else {
                assert_eq!(status["finish_reason"], "in_progress");
                n_open += 1;
            }
        }
        if is_over {
            break;
        }
    }
    assert!(n_open > 0 && n_read > n_open, "{n_open} of {n_read}");
}

#[test]
fn a_run_without_an_answer_says_so_in_line_status_and_code() {
    let place = Place::new();
    place.file("silent.yaml", include_str!("silent.yaml"));
    place.file(
        "team.yaml",
        "agents:\n  - id: mute/one\n    backend: {type: scripted, script: silent.yaml, model: mute/one}\n",
    );
    let arguments = ["--config", "team.yaml", "--automation", "Why?"];
    let done = place.run(&arguments).expect(2);
    assert!(!done.stdout.contains("WINNER"), "{}", done.stdout);
    let failed = line(&done.stdout, "FAILED");
    assert!(failed.starts_with("all agents failed; mute/one: "), "{failed}");
    assert!(failed.contains("request refused"), "{failed}");
    assert!(done.stderr.contains("mute/one: 1 call to scripted failed"), "{}", done.stderr);
    let status = status(&done.stdout);
    assert_eq!(status["is_complete"], true);
    assert_eq!(status["finish_reason"], "error");
    assert_eq!(status["coordination"]["phase"], "initial_answer");
    assert_eq!(status["agents"]["mute/one"]["times_restarted"], 0);
}
