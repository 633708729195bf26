//! What cannot be done is said in one message with place and remedy, under its exit code.

use std::process::Stdio;

use crate::binary::{Done, Place};

#[track_caller]
fn refused(done: &Done, code: i32, parts: &[&str]) {
    assert_eq!(done.code, code, "{}", done.stderr);
    assert_eq!(done.stdout, "");
    for part in parts {
        assert!(done.stderr.contains(part), "`{part}` is missing in:\n{}", done.stderr);
    }
}

#[test]
fn without_a_team_the_message_says_what_to_do() {
    // A server may well answer on the tester's machine.
    let place = Place::new().env("MASSGEN_LOCAL_SERVERS", "off");
    let done = place.run(&["Why?"]);
    refused(&done, 1, &["there is no team", "OPENAI_API_KEY", "`massgen demo`"]);
    assert!(!place.path().join(".massgen").exists(), "nothing was run");
}

#[test]
fn without_a_question_the_message_says_how_to_ask() {
    refused(&Place::new().run(&[]), 1, &["there is no question", "`massgen demo`"]);
    refused(&Place::new().run_with_stdin(&["-"], b"  \n"), 1, &["there is no question"]);
}

#[test]
fn a_question_that_is_no_text_is_refused() {
    let done = Place::new().run_with_stdin(&["--config", "x.yaml"], b"\xff\xfe");
    refused(&done, 1, &["failed to read the question", "UTF-8"]);
}

#[test]
fn a_config_that_is_not_there_is_named() {
    let done = Place::new().run(&["--config", "team.yaml", "Why?"]);
    refused(&done, 1, &["failed to read config `team.yaml`", "Caused by:", "hint:"]);
    let done = Place::new().run(&["--config", ".", "Why?"]);
    refused(&done, 1, &["failed to read config `.`"]);
}

#[test]
fn a_broken_config_is_told_with_its_places() {
    let place = Place::new();
    let broken = [
        ("agents: [", "team.yaml:1:"),
        ("agents: []\n", "agents"),
        ("agents:\n  - backend: {type: opnai, model: m}\n", "did you mean `openai`?"),
        (
            "agents:\n  - {id: a, backend: {type: ollama, model: m}}\n  \
             - {id: a, backend: {type: ollama, model: m}}\n",
            "team.yaml:3:",
        ),
        ("agents:\n  - backend: {type: openai, model: m}\n", "OPENAI_API_KEY"),
        ("\u{0}", "error:"),
    ];
    for (config, part) in broken {
        place.file("team.yaml", config);
        let done = place.run(&["--config", "team.yaml", "Why?"]);
        refused(&done, 1, &["error:", part]);
    }
    assert!(!place.path().join(".massgen").exists(), "nothing was run");
}

#[test]
fn all_problems_of_a_config_come_at_once() {
    let place = Place::new();
    place.file("team.yaml", "agents:\n  - backend: {type: nobody}\n  - backend: {type: noone}\n");
    let done = place.run(&["--config", "team.yaml", "Why?"]);
    refused(&done, 1, &["`nobody`", "`noone`"]);
}

#[test]
fn what_a_config_may_not_mean_is_told_and_the_run_goes_on() {
    let place = Place::new();
    place.file("silent.yaml", include_str!("silent.yaml"));
    place.file(
        "team.yaml",
        "agents:\n  - id: a\n    sytem_message: Be brief.\n    \
         backend: {type: scripted, script: silent.yaml, model: mute/one}\n",
    );
    let done = place.run(&["--config", "team.yaml", "Why?"]);
    refused(&done, 2, &["warning:", "team.yaml:3:", "did you mean `system_message`?"]);
    let quiet = place.run(&["--config", "team.yaml", "--quiet", "Why?"]);
    assert_eq!(quiet.stderr, "error: no answer: all agents failed\n");
}

#[test]
fn a_command_line_that_cannot_be_read_ends_with_two() {
    let place = Place::new();
    for (arguments, part) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--config"], "--config"),
        (&["--seed", "many", "q"], "many"),
        (&["--config", "a", "--model", "b", "q"], "--model"),
        (&["--base-url", "http://x", "q"], "--model"),
        (&["--seed", "1", "demo"], "`--seed` is for a new question"),
        (&["replay"], "RUN"),
        (&["replay", "latest", "--check", "--speed", "2"], "--speed"),
        (&["rnus"], "did you mean `runs`?"),
        (&["--automation", "--output", "json", "q"], "--output"),
        (&["--quiet", "--output", "json", "q"], "--output"),
        (&["--quiet", "--automation", "q"], "--quiet"),
        (&["runs", "--quiet"], "`--quiet`"),
        (&["doctor", "--automation"], "`--automation`"),
        (&["replay", "latest", "--automation"], "--automation"),
    ] {
        refused(&place.run(arguments), 2, &[part]);
    }
}

#[test]
fn a_run_that_is_not_there_is_the_users_to_correct() {
    let place = Place::new();
    for command in ["resume", "replay"] {
        refused(&place.run(&[command, "latest"]), 1, &["there are no runs", "massgen demo"]);
    }
    refused(&place.run(&["runs", "show", "x"]), 1, &["error:", "`x`", "massgen runs"]);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named() {
    let place = Place::new();
    place.file("taken", "a file where a folder is needed");
    let done = place.run(&["demo", "--fast", "--state-dir", "taken"]);
    refused(&done, 1, &["taken", "Caused by:"]);
    let doctor = place.run(&["doctor", "--state-dir", "taken"]).expect(1);
    assert!(doctor.stdout.contains("`taken` cannot be written"), "{}", doctor.stdout);
    let doctor = place.run(&["doctor", "--state-dir", "deep/er"]);
    assert!(doctor.stdout.contains("deep/er, 0 runs"), "{}", doctor.stdout);
    assert!(!place.path().join("deep").exists(), "what was only tried is taken away again");
}

#[test]
fn a_key_never_shows_in_an_error() {
    // Built here, so that no file holds what looks like a key.
    let key = ["sk", "-", &"k9".repeat(20)].concat();
    let place = Place::new().env("OPENAI_API_KEY", &key);
    place.file("team.yaml", "agents:\n  - backend: {type: openai, model: m, base_url: \"://\"}\n");
    for arguments in [
        &["--config", "team.yaml", "q"][..],
        &["doctor", "--no-calls"],
        &["doctor", "--no-calls", "--json"],
        &["doctor", "--config", "team.yaml"],
    ] {
        let done = place.run(arguments);
        assert!(!done.stdout.contains(&key) && !done.stderr.contains(&key), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_success() {
    let place = Place::new();
    place.run(&["demo", "--fast", "--quiet"]).expect(0);
    for arguments in
        [&["--help"][..], &["replay", "latest", "--no-wait", "--output", "json"], &["runs"]]
    {
        let mut child =
            place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("error"), "{stderr}");
    }
}
