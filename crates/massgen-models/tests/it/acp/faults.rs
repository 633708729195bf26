//! Agents that are missing, broken, silent or garbled: one clear failure each.

use std::time::Duration;

use massgen_models::{ConnectError, Connector};
use massgen_protocol::{BackendSpec, FailureKind};
use serde_json::json;

use super::fake::{Fake, bridge};
use crate::support::KEY;

#[track_caller]
fn has(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` in: {message}");
    }
}

#[tokio::test]
async fn whatever_goes_wrong_at_the_start_is_one_failure() {
    let check = async |start: &str, kind: FailureKind, words: &[&str]| {
        let fake = Fake::new(&["--start", start]);
        let failure = fake.ask("do: say hello").await.failure.expect(start);
        assert_eq!(failure.kind, kind, "{start}: {}", failure.message);
        has(&failure.message, words);
        assert!(!failure.message.contains(KEY), "{}", failure.message);
    };
    let crashed = ["Claude Code: it ended (exit status: 2) while starting", "[key]"];
    check("crash", FailureKind::Unavailable, &crashed).await;
    check("garbage", FailureKind::Garbled, &["text instead of messages", "usage: agent"]).await;
    check("huge", FailureKind::Garbled, &["longer than 16 MiB"]).await;
    check("version", FailureKind::Garbled, &["version 9"]).await;
    check("auth", FailureKind::Auth, &["asks for a login", "ANTHROPIC_API_KEY"]).await;
}

#[tokio::test]
async fn a_greeting_on_stdout_is_passed_over() {
    let heard = Fake::new(&["--start", "stray"]).ask("do: say hello").await;
    assert_eq!(heard.text, "hello");
}

#[tokio::test]
async fn an_agent_that_never_answers_is_given_up_and_ended() {
    let fake = Fake::with(&["--start", "silent"], |spec| {
        spec.timeouts.first_byte_ms = 1_500;
    });
    let failure = fake.ask("do: say hello").await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    has(&failure.message, &["no answer within 1.5 s"]);
}

#[tokio::test]
async fn garbage_in_the_middle_of_a_turn_is_told_from_a_crash() {
    let check = async |line: &str, kind: FailureKind, words: &[&str]| {
        let fake = Fake::new(&[]);
        let heard = fake.ask(&format!("do: say so far\n{line}")).await;
        assert_eq!(heard.text, "so far");
        let failure = heard.failure.expect(line);
        assert_eq!(failure.kind, kind, "{line}: {}", failure.message);
        has(&failure.message, words);
        assert_eq!(fake.ask("do: say back").await.text, "back", "the next call starts it again");
    };
    check("do: garbage", FailureKind::Garbled, &["a message is no JSON", "jsonrpc"]).await;
    check("do: huge", FailureKind::Garbled, &["longer than 16 MiB"]).await;
    check("do: crash bye", FailureKind::Unavailable, &["exit status: 3", "fatal: bye"]).await;
}

#[tokio::test]
async fn an_error_of_the_agent_keeps_its_words_and_its_session() {
    let check = async |code: i32, kind: FailureKind| {
        let fake = Fake::new(&[]);
        let heard = fake.ask(&format!("do: fail {code} the model's words")).await;
        let failure = heard.failure.unwrap();
        assert_eq!(failure.kind, kind, "{code}: {}", failure.message);
        has(&failure.message, &["Claude Code: failed while working", "the model's words"]);
        let again = fake.ask(&format!("do: fail {code} the model's words")).await;
        assert!(again.failure.is_some());
        assert_eq!(fake.got("initialize").len(), 1, "{code}: the process goes on");
        assert_eq!(fake.prompts().len(), 2, "{code}: and is told the same again");
        assert_eq!(fake.prompts()[0], fake.prompts()[1]);
    };
    check(-32603, FailureKind::Unavailable).await;
    check(-32602, FailureKind::BadRequest).await;
    check(429, FailureKind::RateLimited).await;
    check(401, FailureKind::Auth).await;
    check(529, FailureKind::Overloaded).await;
    check(7, FailureKind::Unavailable).await;
}

#[tokio::test]
async fn a_missing_program_is_one_error_with_its_remedy() {
    let fake = Fake::with(&[], |spec| {
        let program = spec.program.as_mut().unwrap();
        program.command = "/nowhere/claude-agent-acp".to_owned();
        spec.tries_max = 3;
    });
    let heard = fake.ask("hello").await;
    let failure = heard.failure.unwrap();
    assert_eq!((failure.kind, heard.retries.len()), (FailureKind::BadRequest, 0));
    has(&failure.message, &["is not installed", "npm install -g @agentclientprotocol"]);
}

#[test]
fn what_cannot_be_started_at_all_is_said_before_the_run() {
    let connector = Connector { bridge: Some(bridge()) };
    let none = connector.connect(&BackendSpec::new("acp", "", "")).err().unwrap();
    assert!(matches!(none, ConnectError::NoProgram { .. }));
    let mut spec = BackendSpec::new("claude_code", "", "");
    spec.params.insert("permission_mode".to_owned(), json!("yolo"));
    let refused = connector.connect(&spec).err().unwrap().to_string();
    has(&refused, &["`permission_mode`", "`yolo`", "bypassPermissions"]);
}

#[tokio::test]
async fn a_flood_of_updates_arrives_whole() {
    let heard = Fake::new(&[]).ask("do: flood 5000").await;
    assert_eq!(heard.turn.unwrap().text().len(), 5_000);
    assert_eq!(heard.text.len(), 5_000);
}

/// Every process the agent has started ends with the backend.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_of_an_agent_outlives_its_backend() {
    let fake = Fake::new(&[]);
    let heard = fake.ask("do: pid\ndo: say  \ndo: child").await;
    let pids: Vec<String> = heard.text.split_whitespace().map(str::to_owned).collect();
    assert_eq!(pids.len(), 2, "{}", heard.text);
    let runs = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A process that waits to be reaped has ended.
        !stat.is_empty() && !stat.contains(") Z ")
    };
    assert!(pids.iter().all(runs));
    drop(fake);
    let ended = async {
        while pids.iter().any(runs) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("they have ended");
}
