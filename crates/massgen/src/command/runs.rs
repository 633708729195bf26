//! `massgen runs`: what there is, and one of it.

use std::io::{self, Write};

use massgen_log::{LogError, RunDir, RunStatus, RunSummary};
use massgen_protocol::Outcome;
use massgen_view::words;
use serde_json::{Value, json};

use super::{cost, files, gc};
use crate::cli::{Format, GlobalArgs, RunsArgs, RunsCommand};
use crate::error::{CliError, Exit};
use crate::output::{Look, clean, one_line};

/// Characters of a winner's name in the list.
const NAME_CHARS: usize = 24;

/// Characters of a question in the list.
const QUESTION_CHARS: usize = 48;

pub fn run(arguments: &RunsArgs, global: &GlobalArgs) -> Result<Exit, CliError> {
    let json = arguments.json || global.output == Format::Json;
    let text = match &arguments.command {
        None => {
            let runs = massgen_log::list(&global.state_dir).map_err(from_log)?;
            if json { pretty(&runs.iter().map(as_json).collect()) } else { table(&runs, global) }
        }
        Some(RunsCommand::Show { name, files: true, .. }) => {
            files::listing(&find(global, name)?, json)?
        }
        Some(RunsCommand::Diff { from, to, run }) => {
            files::diff(&find(global, run)?, from, to, json)?
        }
        Some(RunsCommand::Restore { answer, dir, run }) => {
            files::restore(&find(global, run)?, answer, dir)?
        }
        Some(RunsCommand::Gc { older_than, dry_run }) => gc::gc(global, *older_than, *dry_run)?,
        Some(RunsCommand::Show { name, cost: true, .. }) => {
            let run = find(global, name)?;
            let view = super::replay::folded(&run)?;
            if json { pretty(&cost::to_json(&run, &view)) } else { cost::tables(&view) }
        }
        Some(RunsCommand::Show { name, cost: false, .. }) => {
            let run = find(global, name)?;
            super::replay::summary(&run, json, Look::of_stdout(global.no_color).terminal)?
        }
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CliError::output)?;
    Ok(Exit::Success)
}

/// A run that cannot be found or read is the user's to correct.
pub fn from_log(error: LogError) -> CliError {
    let hint = match &error {
        LogError::NoRuns { .. } => Some("make one with `massgen demo`".to_owned()),
        _ => error.hint(),
    };
    let mut told = CliError::configuration(error.to_string());
    if let Some(source) = std::error::Error::source(&error) {
        told = told.because(source.to_string());
    }
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

fn table(runs: &[RunSummary], global: &GlobalArgs) -> String {
    if runs.is_empty() {
        let state_dir = global.state_dir.display();
        return format!("no runs in `{state_dir}`; start with `massgen demo`\n");
    }
    let rows: Vec<[String; 4]> = runs
        .iter()
        .map(|run| {
            [
                run.id.to_string(),
                local_time(&run.started_at),
                status(run),
                one_line(&run.question, QUESTION_CHARS),
            ]
        })
        .collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut table = String::new();
    for [id, started, status, question] in &rows {
        let [w0, w1, w2] = widths;
        let line = format!("{id:<w0$}  {started:<w1$}  {status:<w2$}  {question}");
        table.push_str(clean(&line).trim_end());
        table.push('\n');
    }
    table
}

fn status(run: &RunSummary) -> String {
    match &run.status {
        RunStatus::Finished { outcome: Outcome::Answered { winner, basis, .. } } => {
            let alias = winner.agent.alias().to_string();
            let name = run.agents.get(winner.agent.at()).map_or(alias.as_str(), |id| &id.0);
            format!("{} wins ({})", one_line(name, NAME_CHARS), words::basis(basis))
        }
        RunStatus::Finished { outcome: Outcome::Failed { reason } } => {
            format!("no answer: {}", words::fail_reason(*reason))
        }
        RunStatus::Running => "running".to_owned(),
        RunStatus::Interrupted { resumable: true } => "can be resumed".to_owned(),
        RunStatus::Interrupted { resumable: false } => "broken off, log incomplete".to_owned(),
        RunStatus::Unreadable { why } => one_line(&format!("unreadable: {why}"), 60),
    }
}

/// The start in the user's own time zone; as written where it is no time.
fn local_time(utc: &str) -> String {
    let Ok(moment) = utc.parse::<jiff::Timestamp>() else { return utc.to_owned() };
    moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn as_json(run: &RunSummary) -> Value {
    let status = match &run.status {
        RunStatus::Finished { outcome } => json!({ "status": "finished", "outcome": outcome }),
        RunStatus::Running => json!({ "status": "running" }),
        RunStatus::Interrupted { resumable } => {
            json!({ "status": "interrupted", "resumable": resumable })
        }
        RunStatus::Unreadable { why } => json!({ "status": "unreadable", "why": why }),
    };
    let mut value = json!({
        "run": run.id,
        "started_at": run.started_at,
        "question": run.question,
        "agents": run.agents,
        "path": run.path,
    });
    if let (Some(value), Value::Object(status)) = (value.as_object_mut(), status) {
        value.extend(status);
    }
    value
}

pub fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Returns the run that is meant, so that every command names runs alike.
pub fn find(global: &GlobalArgs, name: &str) -> Result<RunDir, CliError> {
    massgen_log::resolve(&global.state_dir, name).map_err(from_log)
}
