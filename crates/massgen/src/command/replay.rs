//! `massgen replay`: a run shown again, or proved again.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use massgen_log::{Reader, RunDir};
use massgen_protocol::Millis;
use massgen_view::{RunView, words};
use serde_json::{Value, json};

use super::runs::{find, from_log, pretty};
use crate::cli::{Format, GlobalArgs, ReplayArgs};
use crate::error::{CliError, Exit};
use crate::output::{self, Ending, Output, clean, one_line, totals};

/// How often a status line is redrawn during a pause.
const TICK: Duration = Duration::from_millis(250);

/// Characters of an event in a report.
const EVENT_CHARS: usize = 400;

pub fn run(arguments: &ReplayArgs, global: &GlobalArgs) -> Result<Exit, CliError> {
    let run = find(global, &arguments.name)?;
    if arguments.check {
        return check(&run, global);
    }
    let pace = if arguments.no_wait { None } else { Some(arguments.speed) };
    let mut output = output::choose(global, &run);
    show(&run, pace, output.as_mut())
}

/// Shows the run's events as they came, `pace` times as fast.
pub fn show(run: &RunDir, pace: Option<f64>, output: &mut dyn Output) -> Result<Exit, CliError> {
    let mut view = RunView::default();
    let began = Instant::now();
    for event in Reader::open(run).map_err(from_log)? {
        let event = Arc::new(event.map_err(|error| from_log(error.into()))?);
        if let Some(speed) = pace {
            wait_until(event.at, began, speed, output)?;
        }
        view.apply(&event);
        output.event(&event)?;
    }
    output.end(&ending(run, &view))?;
    Ok(Exit::Success)
}

/// Waits until the moment `at` of the run has come.
fn wait_until(
    at: Millis,
    began: Instant,
    speed: f64,
    output: &mut dyn Output,
) -> Result<(), CliError> {
    loop {
        let now_ms = began.elapsed().as_secs_f64() * 1_000.0 * speed;
        let left_ms = (at.0 as f64 - now_ms) / speed;
        // Below a millisecond a pause would only add the system's own delay.
        if left_ms < 1.0 {
            return Ok(());
        }
        output.tick(Millis(now_ms as u64))?;
        thread::sleep(TICK.min(Duration::from_secs_f64(left_ms / 1_000.0)));
    }
}

/// Returns what came of a run, as far as its log tells.
fn ending(run: &RunDir, view: &RunView) -> Ending {
    Ending {
        run: run.id().clone(),
        outcome: view.outcome.clone(),
        answer: view
            .outcome
            .as_ref()
            .and_then(|_| view.final_text())
            .map(|text| Arc::new(text.to_owned())),
        spent: view.ledger.total.total(),
        elapsed_ms: view.at.0,
        is_recorded: view.recording_failed.is_none(),
        interrupted: view.interrupted,
    }
}

/// Feeds the inputs of the log to the rules again and compares every decision.
fn check(run: &RunDir, global: &GlobalArgs) -> Result<Exit, CliError> {
    let report = massgen_runtime::check(run).map_err(super::run::from_start)?;
    let exit = if report.divergence.is_some() { Exit::Execution } else { Exit::Success };
    let text = if global.output == Format::Json {
        let divergence = report.divergence.as_ref().map(|divergence| {
            json!({
                "seq": divergence.seq,
                "recorded": divergence.recorded,
                "replayed": divergence.replayed,
            })
        });
        pretty(&json!({
            "run": run.id(),
            "events": report.events,
            "inputs": report.inputs,
            "decisions": report.decisions,
            "is_finished": report.is_finished,
            "divergence": divergence,
        }))
    } else {
        let mut text = format!(
            "{} events, {} from outside; {} decisions made again",
            report.events, report.inputs, report.decisions
        );
        match &report.divergence {
            None if report.is_finished => text.push_str(", all as recorded\n"),
            None => text.push_str(", all as recorded; the run has not come to its end\n"),
            Some(divergence) => {
                let told = |body| one_line(&json!(body).to_string(), EVENT_CHARS);
                let again = divergence.replayed.as_ref().map_or("nothing".to_owned(), told);
                let _ = write!(
                    text,
                    " before the first difference\n\nevent {}\n  recorded: {}\n  replayed: {again}\n",
                    divergence.seq,
                    told(&divergence.recorded),
                );
            }
        }
        text
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CliError::output)?;
    Ok(exit)
}

/// Returns one run in words or as JSON, for `massgen runs show`.
/// Words keep within `columns`, where they go to a terminal.
pub fn summary(run: &RunDir, json: bool, columns: Option<usize>) -> Result<String, CliError> {
    let view = folded(run)?;
    if json {
        let context = massgen_view::StatusContext {
            log_dir: run.path().display().to_string(),
            started_at: run.manifest().started_at.clone(),
            updated_at: run.manifest().started_at.clone(),
            now: view.at,
            // Here the answer is in the log, which is on disk as far as it was read.
            answer_file: Some(run.events_path().display().to_string()),
        };
        let mut status = massgen_view::status_json(&view, &context);
        if let Some(results) = status.get_mut("results").and_then(Value::as_object_mut) {
            results.remove("final_answer_file");
        }
        if let Some(status) = status.as_object_mut() {
            status.insert("run".to_owned(), json!(run.id()));
            status.insert("outcome".to_owned(), json!(view.outcome));
            status.insert("final_answer".to_owned(), json!(view.final_text()));
        }
        return Ok(pretty(&status));
    }
    let mut text = match columns {
        Some(columns) => massgen_view::coordination_table_within(&view, columns),
        None => massgen_view::coordination_table(&view),
    };
    let end = match &view.outcome {
        Some(outcome) => words::outcome(outcome, &view.names),
        None => format!("not at its end; go on with `massgen resume {}`", run.id()),
    };
    let _ = write!(text, "\n{end}\n{}\n", totals(view.at.0, &view.ledger.total.total()));
    for agent in &view.agents {
        let name = view.names.agent(agent.card.alias);
        let _ = writeln!(text, "  {name}  {}", totals_of(&view, agent));
    }
    let _ = writeln!(text, "{}", run.path().display());
    Ok(clean(&text).into_owned())
}

/// Returns who voted for whom in the end, one voter a line.
pub fn votes(run: &RunDir) -> Result<String, CliError> {
    let view = folded(run)?;
    let mut text = String::new();
    for (voter, ballot) in view.votes.ballots() {
        let (voter, choice) = (view.names.agent(*voter), view.names.agent(ballot.choice));
        let _ = writeln!(text, "{voter} voted for {choice}: {}", ballot.reason);
    }
    Ok(clean(&text).into_owned())
}

/// Returns what a run's log comes to.
pub fn folded(run: &RunDir) -> Result<RunView, CliError> {
    let mut view = RunView::default();
    for event in Reader::open(run).map_err(from_log)? {
        view.apply(&event.map_err(|error| from_log(error.into()))?);
    }
    Ok(view)
}

fn totals_of(view: &RunView, agent: &massgen_view::AgentView) -> String {
    let total = view.ledger.agent(agent.card.alias).total();
    let answers = counted(agent.answers, "answer");
    let votes = counted(agent.votes, "vote");
    let calls = counted(total.calls, "call");
    format!("{answers}, {votes}, {calls}, {} tokens", total.tokens)
}

fn counted(n: u32, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
