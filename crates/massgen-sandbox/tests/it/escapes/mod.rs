//! Escapes, tried for real in every sandbox that works on this machine. None succeeds.
//!
//! Whether one did is not asked of it alone: after each, everything outside is as it was,
//! nobody who listens was reached, and nothing of it is left running.

mod outside;
mod page;
mod table;

use massgen_protocol::{SandboxLimits, SandboxSpec};
use massgen_sandbox::{Confinement, Ended, Outcome, Run, Rung, Sandbox};

use crate::world::{helper, run, sandboxes};
use outside::{Outside, SECRET};
use table::{Attempt, Bare, PARTS, PRELUDE, RESOURCES, Script};

/// Tried side by side, where they do not use up what the others need.
const SIDE_BY_SIDE: usize = 4;

fn limits() -> SandboxLimits {
    SandboxLimits {
        processes: 64,
        memory_bytes: 256 << 20,
        cpu_seconds: 1,
        file_bytes: 16 << 20,
        open_files: 128,
        output_bytes: 64 << 10,
        time_ms: 15_000,
    }
}

/// Makes an attempt and returns how it succeeded, if it did, and what it said.
async fn attempt(sandbox: &Sandbox, attempt: &Attempt) -> (Option<String>, Outcome) {
    let outside = Outside::new();
    let confinement = Confinement { limits: limits(), ..outside.world.confinement() };
    let mut call = match attempt.script {
        Script::Shell(line) => Run::new("sh", ["-c".to_owned(), format!("echo TRIED\n{line}")]),
        Script::Python(script) => {
            Run::new("python3", ["-c".to_owned(), format!("{PRELUDE}{script}")])
        }
    };
    call.env = outside.told();
    // Version managers put scripts before their programs, which take longer than any attempt.
    if std::path::Path::new("/usr/bin/python3").exists() {
        call.env.insert("PATH".to_owned(), "/usr/bin:/bin:/usr/sbin:/sbin".to_owned());
    }
    if attempt.name == "loader" {
        let trace = outside.world.path("agent2/trace").display().to_string();
        call.env.insert("LD_DEBUG".to_owned(), "libs".to_owned());
        call.env.insert("LD_DEBUG_OUTPUT".to_owned(), trace);
    }
    let outcome = run(sandbox, &confinement, call).await;
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    let success = if said.contains("ESCAPED") {
        Some("it says so".to_owned())
    } else if said.contains(SECRET) {
        Some("it read a secret".to_owned())
    } else {
        outside.changes()
    };
    (success, outcome)
}

/// An attempt that never came to its point holds nobody back.
fn came_to_its_point(outcome: &Outcome) -> bool {
    const FAULTS: [&str; 6] =
        ["SyntaxError", "NameError", "TypeError", "AttributeError", "ImportError", "not found"];
    let missing = |line: &&str| FAULTS.iter().any(|fault| line.contains(fault));
    outcome.stdout.contains("TRIED") && !outcome.stderr.lines().any(|line| missing(&line))
}

async fn none_succeeds(name: &'static str) {
    let Some((_, sandbox)) = sandboxes().iter().find(|(found, _)| *found == name) else { return };
    let mut failures = Vec::new();
    let mut n_held = 0;
    for (_, part) in PARTS {
        let n_at_once = if std::ptr::eq(part, RESOURCES) { 1 } else { SIDE_BY_SIDE };
        for group in part.chunks(n_at_once) {
            let mut tried = tokio::task::JoinSet::new();
            for entry in group {
                tried.spawn(async move { (entry, attempt(sandbox, entry).await) });
            }
            for (entry, (success, outcome)) in tried.join_all().await {
                match success {
                    Some(how) => {
                        failures.push(format!("{} succeeded: {how}: {outcome:?}", entry.name))
                    }
                    None if came_to_its_point(&outcome) => n_held += 1,
                    None => failures.push(format!("{} was not tried: {outcome:?}", entry.name)),
                }
            }
        }
    }
    println!("{name}: {n_held} attempts held back, {} not", failures.len());
    assert!(failures.is_empty(), "{name}:\n{}", failures.join("\n"));
    assert!(n_held >= 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_succeeds_under_bubblewrap() {
    none_succeeds("bubblewrap").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_succeeds_under_landlock_with_namespaces() {
    none_succeeds("landlock with namespaces").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_succeeds_under_landlock_alone() {
    none_succeeds("landlock").await;
}

/// Without this the suite could be held back by its own mistakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_succeed_where_nothing_confines() {
    let sandbox = Sandbox::at(Rung::Off, &SandboxSpec::default(), helper()).unwrap();
    let mut failures = Vec::new();
    let mut n_succeeded = 0;
    for (_, part) in PARTS {
        for entry in part.iter().filter(|entry| entry.bare == Bare::Succeeds) {
            match attempt(&sandbox, entry).await {
                (Some(_), _) => n_succeeded += 1,
                (None, outcome) => failures.push(format!("{}: {outcome:?}", entry.name)),
            }
        }
    }
    assert!(failures.is_empty(), "held back by nothing:\n{}", failures.join("\n"));
    assert!(n_succeeded >= 40, "{n_succeeded}");
}

#[tokio::test]
async fn output_without_an_end_is_bounded_and_so_is_its_time() {
    for (name, sandbox) in sandboxes() {
        let outside = Outside::new();
        let confinement = Confinement { limits: limits(), ..outside.world.confinement() };
        let endless = Run { time_ms: Some(500), ..Run::new("yes", ["endless"]) };
        let outcome = run(sandbox, &confinement, endless).await;
        assert_eq!(outcome.ended, Ended::TimedOut, "{name}");
        assert!(outcome.stdout.len() < (64 << 10) + 100, "{name}: {}", outcome.stdout.len());
        assert!(outcome.left_out > 1 << 20, "{name}: {}", outcome.left_out);
        assert!(outcome.stdout.contains("bytes left out"), "{name}");

        let mark = outside.told()["MARK"].clone();
        let deaf =
            format!("trap '' TERM; setsid sleep 300.{mark} & sleep 300.{mark}; echo ESCAPED");
        let deaf = Run { time_ms: Some(300), ..Run::new("sh", ["-c".to_owned(), deaf]) };
        let outcome = run(sandbox, &confinement, deaf).await;
        assert_eq!(outcome.ended, Ended::TimedOut, "{name}");
        assert_eq!(outside.changes(), None, "{name}");
        assert!(!outcome.stdout.contains("ESCAPED"), "{name}");
    }
}
