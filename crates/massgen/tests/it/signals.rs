//! Ctrl-C once wraps up, asking to terminate stops; what was stopped goes on.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use massgen_testkit::{Server, behaviour};
use serde_json::Value;

use crate::binary::Place;

/// `quick` answers and votes; `stuck` never says a word.
const SCRIPT: &str = "agents:\n\
    \x20 quick:\n\
    \x20   replies:\n\
    \x20     - {when: first, new_answer: \"It is 42.\"}\n\
    \x20     - {when: present, text: \"It is 42, finally.\"}\n\
    \x20     - {when: answers_in_view, vote: agent1}\n\
    \x20 stuck:\n\
    \x20   replies:\n\
    \x20     - {fault: {stall: true}}\n";

const TEAM: &str = "agents:\n\
    \x20 - {id: quick, backend: {type: scripted, script: script.yaml, model: quick}}\n\
    \x20 - {id: stuck, backend: {type: scripted, script: script.yaml, model: stuck}}\n";

struct Running {
    child: Child,
    events: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(place: &Place) -> Running {
        let arguments = ["--config", "team.yaml", "--output", "json", "6 x 7?"];
        let mut child = place
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, events }
    }

    /// Waits for the next event of this type.
    fn until(&mut self, kind: &str) -> Value {
        for line in &mut self.events {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if event["type"] == kind {
                return event;
            }
        }
        panic!("the run ended before `{kind}`");
    }

    fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    fn code(mut self) -> i32 {
        for line in self.events {
            line.unwrap();
        }
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

/// Through the shell, which has `kill` built in: a small system has no other.
fn signal(child: &Child, name: &str) {
    let kill = format!("kill {name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

fn place() -> Place {
    let place = Place::new();
    place.file("script.yaml", SCRIPT).file("team.yaml", TEAM);
    place
}

#[test]
fn ctrl_c_wraps_up_with_the_answer_there_is() {
    let place = place();
    let mut run = Running::start(&place);
    run.until("vote_cast");
    run.signal("-INT");
    run.until("interrupt_requested");
    let end = run.until("turn_finished");
    assert_eq!(end["outcome"]["outcome"], "answered");
    assert_eq!(end["outcome"]["basis"]["basis"], "interrupted");
    assert_eq!(run.code(), 4);
    let replay = place.run(&["replay", "latest", "--no-wait", "--quiet"]).expect(0);
    assert!(replay.stdout.contains("42"), "{}", replay.stdout);
}

#[test]
fn ctrl_c_while_the_winner_presents_is_an_interrupt_too() {
    let place = place();
    let stuck = "{when: present, text: \"It is 42, finally.\", fault: {stall: true}}";
    let script = SCRIPT
        .replace("{when: present, text: \"It is 42, finally.\"}", stuck)
        .replace("- {fault: {stall: true}}", "- {when: answers_in_view, vote: agent1}");
    place.file("script.yaml", &script.replace("- {when: first", "- {delay_ms: 1, when: first"));
    let mut run = Running::start(&place);
    while run.until("round_opened")["kind"] != "present" {}
    run.signal("-INT");
    let end = run.until("turn_finished");
    assert_eq!(end["outcome"]["outcome"], "answered");
    assert_eq!(run.code(), 4);
}

#[test]
fn a_watcher_sees_that_time_goes_on_and_that_a_run_was_stopped() {
    let place = place();
    let mut child = place
        .command(&["--config", "team.yaml", "--automation", "6 x 7?"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let file = lines
        .find_map(|line| line.unwrap().strip_prefix("STATUS: ").map(str::to_owned))
        .expect("it is told at the start");
    let status =
        || -> Option<Value> { serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok() };
    let until = |what: &dyn Fn(&Value) -> bool| -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = status().filter(|status| what(status)) {
                return status;
            }
            std::thread::yield_now();
        }
        panic!("it never came: {:#}", status().unwrap_or_default());
    };
    // Nothing happens any more: one has voted, the other never says a word.
    let voted = until(&|status| !status["agents"]["quick"]["vote_cast"].is_null());
    let later = until(&|status| status["meta"]["last_updated"] != voted["meta"]["last_updated"]);
    let seconds = |status: &Value| status["meta"]["elapsed_seconds"].as_f64().unwrap();
    until(&|status| {
        status["meta"]["last_updated"] != later["meta"]["last_updated"]
            && status["meta"]["last_event"] == later["meta"]["last_event"]
            && seconds(status) > seconds(&later)
    });
    signal(&child, "-TERM");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(rest.last().unwrap().starts_with("STOPPED: go on with `massgen resume "), "{rest:?}");
    let stopped = status().unwrap();
    assert_eq!(stopped["finish_reason"], "interrupted");
    assert_eq!(stopped["is_complete"], false);
    assert_eq!(stopped["resumable"], true);
}

#[test]
fn a_run_that_was_stopped_says_how_to_go_on_and_gives_no_answer() {
    let place = place();
    let mut child = place
        .command(&["--config", "team.yaml", "6 x 7?"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(progress.any(|line| line.unwrap().contains("votes for")));
    signal(&child, "-TERM");
    let rest: Vec<String> = progress.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.contains("`massgen resume ")), "{rest:?}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn what_was_told_to_terminate_stops_and_goes_on_later() {
    let place = place();
    let mut run = Running::start(&place);
    run.until("vote_cast");
    run.signal("-TERM");
    assert_eq!(run.code(), 4);
    let runs = place.run(&["runs"]).expect(0);
    assert!(runs.stdout.contains("can be resumed"), "{}", runs.stdout);

    // The stuck one comes to its senses.
    place.file("script.yaml", &SCRIPT.replace("{fault: {stall: true}}", "{vote: agent1}"));
    let resumed = place.run(&["resume", "latest"]).expect(0);
    assert!(resumed.stdout.contains("It is 42, finally."), "{}", resumed.stdout);
    assert!(resumed.stderr.contains("2 of 2 votes"), "{}", resumed.stderr);
    place.run(&["replay", "--check", "latest"]).expect(0);
}

#[test]
fn a_reader_that_leaves_stops_the_run_and_leaves_it_resumable() {
    let place = place();
    let mut run = Running::start(&place);
    run.until("vote_cast");
    let Running { mut child, events } = run;
    drop(events);
    // The next line fails to be written; the stuck agent's deadline is far away, so
    // something has to be said: a wish of the user's is.
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn two_processes_do_not_write_one_run() {
    let place = place();
    let mut run = Running::start(&place);
    run.until("vote_cast");
    let second = place.run(&["resume", "latest"]).expect(1);
    assert!(second.stderr.contains("being written by"), "{}", second.stderr);
    run.signal("-TERM");
    assert_eq!(run.code(), 4);
}

#[test]
fn a_resumed_run_finds_its_keys_where_they_were() {
    let server = Server::start(behaviour::first(2, behaviour::stall(), behaviour::consensus(&[])));
    let url = server.base_url();
    let team = format!(
        "agents:\n  - {{id: a, backend: {{type: chatcompletion, model: m, api_key: given, \
         base_url: \"{url}\"}}}}\n  - {{id: b, backend: {{type: chatcompletion, model: m, \
         api_key: \"${{B_KEY}}\", base_url: \"{url}\"}}}}\n"
    );
    let place = Place::new().env("B_KEY", "from-env");
    place.file("team.yaml", &team);
    let mut run = Running::start(&place);
    run.until("call_granted");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(server.until(|stats| stats.requests == 2));
    run.signal("-TERM");
    assert_eq!(run.code(), 4);

    std::fs::rename(place.path().join("team.yaml"), place.path().join("gone.yaml")).unwrap();
    let lost = place.run(&["resume", "latest"]).expect(1);
    assert!(lost.stderr.contains("team.yaml"), "{}", lost.stderr);
    std::fs::rename(place.path().join("gone.yaml"), place.path().join("team.yaml")).unwrap();
    place.run(&["resume", "latest"]).expect(0);
    let keys: BTreeSet<String> = server
        .requests()
        .iter()
        .filter_map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["Bearer from-env", "Bearer given"]);
}
