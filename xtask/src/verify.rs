//! The proofs, run at full length: exploration, kill campaign.
//!
//! `cargo xtask verify` prints them; `--write` also keeps them in
//! `docs/verification.md`. The same checks run in the tests, on smaller rosters.

use std::process::{Command, ExitCode};

use crate::repo::{root, say, write_doc};

pub fn run(arguments: &[String]) -> ExitCode {
    match report() {
        Ok(report) => {
            say(&report);
            if arguments.iter().any(|argument| argument == "--write")
                && let Err(problem) = write_doc("verification.md", &report)
            {
                say(&format!("error: {problem}"));
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            say(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn report() -> Result<String, String> {
    let explored =
        cargo(&["run", "--release", "-q", "-p", "massgen-coordination", "--example", "explore"])?;
    let broken = mutants(&cargo(&[
        "test",
        "-q",
        "-p",
        "massgen-coordination",
        "--lib",
        "mutants",
        "--",
        "--nocapture",
    ])?);
    if broken.is_empty() {
        return Err("no broken rule was reported as found".to_owned());
    }
    let tested =
        cargo(&["test", "-q", "-p", "massgen", "--test", "it", "kill", "--", "--nocapture"])?;
    let campaign: Vec<&str> = tested
        .lines()
        .filter_map(|line| line.split_once("kill campaign: "))
        .map(|(_, said)| said)
        .collect();
    if campaign.is_empty() {
        return Err("the kill campaign printed no count".to_owned());
    }
    let campaign: Vec<String> = campaign.iter().map(|line| format!("- {line}")).collect();
    Ok(format!(
        "# Verification\n\n\
         Printed by `cargo xtask verify --write`.\n\n\
         ## Exploration\n\n\
         The production coordinator, every input in every order, for small teams \
         (`crates/massgen-coordination/tests`). *Always*: a counted ballot is of the newest \
         epoch and names an agent with an answer; one open round an agent; nobody presents \
         before all have voted, unless time, budget, user or the lack of voters decides; never \
         failed while an answer exists; never finished with a snapshot in flight; no command \
         after the end; every request for a call is answered. *Liveness*, without any deadline: \
         the graph of states has no cycle and only ends are ends.\n\n{explored}\n\
         ## Rules broken on purpose\n\n\
         Each is built into a copy of the machine that only tests have, and has to be found by \
         the same exploration (`crates/massgen-coordination/src/mutants.rs`).\n\n\
         | broken rule | found as | by |\n|---|---|---|\n{broken}\n\
         ## Kill campaign\n\n\
         A scripted run of three agents is killed (SIGKILL) after every single event, resumed by \
         a new process, and has to end with the same winner and the same answer, with no model \
         call made again that had finished, and with a log that replays to itself \
         (`crates/massgen/tests/it/kill.rs`). A second one does the same to a run whose agents \
         write by tools: what a tool has done is never done again.\n\n{}\n",
        campaign.join("\n")
    ))
}

/// Returns a row for each line like `KeepBallots: Breach(Agreement) by begin; …`.
fn mutants(told: &str) -> String {
    let rows = told.lines().filter_map(|line| {
        let (rule, rest) = line.split_once(": ")?;
        let (found, way) = rest.split_once(" by ")?;
        let found = found.strip_prefix("Some(").and_then(|found| found.strip_suffix(')'))?;
        let is_name =
            rule.starts_with(char::is_uppercase) && rule.chars().all(char::is_alphanumeric);
        is_name.then(|| format!("| {rule} | {found} | {way} |\n"))
    });
    rows.collect()
}

/// Runs cargo and returns what it prints.
fn cargo(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root()?)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // Tests may print to either.
    let text = if arguments.contains(&"--nocapture") { stdout + &stderr } else { stdout };
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("`cargo {}` failed:\n{text}\n{stderr}", arguments.join(" ")))
}
