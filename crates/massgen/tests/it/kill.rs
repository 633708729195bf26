//! The kill campaign: a run is killed after every single event, and nothing is lost.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use massgen_log::{Reader, RunDir};
use massgen_protocol::{CallId, EventBody, Outcome};

/// More events than the run has; a bound for a campaign that would not end.
pub const EVENTS_MAX: u64 = 1_000;

const SIGKILL: i32 = 9;

/// Three agents with something of everything: a failing call that is retried by the
/// coordinator, a broken rule, an answer that voids votes, a stale vote now and then.
const SCRIPT: &str = r#"
agents:
  a:
    replies:
      - { when: first, text: "Two and two.", new_answer: "four" }
      - { when: answers_in_view, delay_ms: 5, vote: { for: agent1, reason: "counted" } }
      - { when: present, text: "It is four." }
  b:
    replies:
      - { text: "I", fault: { fail: unavailable } }
      - { when: first, delay_ms: 3, new_answer: "five" }
      - { when: { situation: answers_in_view, turn: 2 }, text: "Let me see." }
      - { when: answers_in_view, delay_ms: 2, vote: { for: agent1, reason: "my five was a slip" } }
  c:
    replies:
      - { when: first, delay_ms: 1, new_answer: "about three" }
      - { when: { situation: answers_in_view, sees_not: "exactly three" }, delay_ms: 8, new_answer: "exactly three" }
      - { when: answers_in_view, vote: { for: agent1, reason: "three is one short" } }
"#;

fn team(dir: &Path) -> PathBuf {
    let script = dir.join("script.yaml");
    std::fs::write(&script, SCRIPT).unwrap();
    let mut config = String::from("agents:\n");
    for id in ["a", "b", "c"] {
        config.push_str(&format!(
            "  - id: {id}\n    backend: {{ type: scripted, model: {id}, tries_max: 1, script: \"{}\" }}\n",
            script.display()
        ));
    }
    config.push_str("orchestrator: { backoff_seconds: 0.01 }\n");
    let path = dir.join("team.yaml");
    std::fs::write(&path, config).unwrap();
    path
}

pub fn massgen(state: &Path, arguments: &[&str], crash_after: Option<u64>) -> (ExitStatus, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_massgen"));
    command.arg("--state-dir").arg(state).args(arguments).stdin(Stdio::null());
    command.env_remove("MASSGEN_CRASH_AFTER_SEQ");
    if let Some(seq) = crash_after {
        command.env("MASSGEN_CRASH_AFTER_SEQ", seq.to_string());
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status, told)
}

/// Returns whether a process ended by the planted crash.
pub fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(SIGKILL)
}

pub fn only_run(state: &Path) -> RunDir {
    let runs: Vec<_> = std::fs::read_dir(state.join("runs")).unwrap().collect();
    assert_eq!(runs.len(), 1);
    RunDir::open(&runs.into_iter().next().unwrap().unwrap().path()).unwrap()
}

fn finished_calls(run: &RunDir) -> Vec<CallId> {
    let calls: Vec<CallId> = Reader::open(run)
        .unwrap()
        .filter_map(|event| match event.unwrap().body {
            EventBody::CallFinished { call, .. } => Some(call),
            _ => None,
        })
        .collect();
    let unique: BTreeSet<CallId> = calls.iter().copied().collect();
    assert_eq!(unique.len(), calls.len(), "a finished call was made again: {calls:?}");
    calls
}

/// What a run has to come to, however often it was killed.
fn check_end(run: &RunDir, context: &str) {
    let mut winner = None;
    let mut answer = None;
    for event in Reader::open(run).unwrap() {
        match event.unwrap().body {
            EventBody::TurnFinished { outcome: Outcome::Answered { winner: of, .. } } => {
                winner = Some(of.to_string());
            }
            EventBody::Presented { text, .. } => answer = Some(text.text().to_owned()),
            _ => {}
        }
    }
    assert_eq!(winner.as_deref(), Some("agent1.1"), "{context}");
    assert_eq!(answer.as_deref(), Some("It is four."), "{context}");
    let report = massgen_runtime::check(run).unwrap();
    assert_eq!(report.divergence, None, "{context}");
    assert!(report.is_finished, "{context}");
}

/// Kills a fresh run after event `seq`, and the run that resumes it two events later;
/// returns how many kills there were, none if the run was over before.
fn kill_at(config: &Path, seq: u64) -> usize {
    let scratch = tempfile::tempdir().unwrap();
    let state = scratch.path();
    let config = config.display().to_string();
    let ask = ["--config", &config, "--quiet", "How much is two and two?"];
    let mut kills = 0;
    let (mut status, mut told) = massgen(state, &ask, Some(seq));
    for planted in [Some(seq + 2), None] {
        if status.signal() != Some(SIGKILL) {
            break;
        }
        kills += 1;
        let before = finished_calls(&only_run(state));
        (status, told) = massgen(state, &["--quiet", "resume", "latest"], planted);
        let after = finished_calls(&only_run(state));
        assert_eq!(after[..before.len()], before[..], "killed after event {seq}");
        if planted.is_some() && status.code() == Some(1) && told.contains("its end") {
            // The very last event was written: there is nothing to resume.
            break;
        }
    }
    if kills == 0 {
        assert!(status.success(), "{told}");
    }
    check_end(&only_run(state), &format!("killed after event {seq}: {told}"));
    kills
}

#[test]
#[expect(clippy::print_stdout, reason = "`cargo xtask verify` reads the figures")]
fn kill_campaign() {
    let dir = tempfile::tempdir().unwrap();
    let config = team(dir.path());
    let next = AtomicU64::new(0);
    let kills = AtomicUsize::new(0);
    let events = AtomicU64::new(0);
    // Two at a time: a killed process waits for nobody.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seq = next.fetch_add(1, Ordering::Relaxed);
                    assert!(seq < EVENTS_MAX, "the run has no end");
                    match kill_at(&config, seq) {
                        0 => break,
                        n => {
                            kills.fetch_add(n, Ordering::Relaxed);
                            events.fetch_max(seq + 1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (kills, events) = (kills.into_inner(), events.into_inner());
    assert!(events > 50, "a run of {events} events shows little");
    println!(
        "kill campaign: {kills} kills, one after each of the first {events} events of a run and \
         one more in the resumed run; every run ended with the same winner and answer, no \
         finished call was made again, every log replays to itself"
    );
}
