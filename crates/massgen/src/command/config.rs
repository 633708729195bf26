//! `massgen config`: what a config comes to, before it costs anything.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use massgen_config::{Environment, Overrides, Problem, Severity, Source, load};
use serde_json::{Value, json};

use super::runs::pretty;
use crate::cli::{ConfigArgs, ConfigCommand, Format, GlobalArgs};
use crate::error::{CliError, Exit};
use crate::{settings, team};

/// Stands for the question, which a config need not have.
const QUESTION: &str = "?";

pub fn run(arguments: &ConfigArgs, global: &GlobalArgs) -> Result<Exit, CliError> {
    let ConfigCommand::Check { files, json } = &arguments.command;
    let env = settings::environment(global)?;
    let files = match files.as_slice() {
        [] => vec![settings::config_found().ok_or_else(|| {
            CliError::configuration("there is no config here")
                .hint("name one: `massgen config check team.yaml`")
        })?],
        named => named.to_vec(),
    };
    let checked: Vec<Checked> = files.iter().map(|path| check(path, &env)).collect();
    let text = if *json || global.output == Format::Json {
        pretty(&checked.iter().map(Checked::as_json).collect())
    } else {
        checked.iter().map(Checked::as_text).collect::<Vec<_>>().concat()
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CliError::output)?;
    let is_good = checked.iter().all(|checked| checked.n(Severity::Error) == 0);
    Ok(if is_good { Exit::Success } else { Exit::Configuration })
}

/// One config, and all there is to say of it.
struct Checked {
    file: PathBuf,
    problems: Vec<Problem>,
    /// Why it could not even be read, in full.
    unreadable: Option<String>,
    agents: Vec<String>,
}

fn check(path: &Path, env: &Environment) -> Checked {
    let mut checked = Checked {
        file: path.to_owned(),
        problems: Vec::new(),
        unreadable: None,
        agents: Vec::new(),
    };
    let text = match team::read_config(path) {
        Ok(text) => text,
        Err(error) => {
            checked.unreadable = Some(error.to_string());
            return checked;
        }
    };
    let overrides = Overrides { question: Some(QUESTION.to_owned()), ..Overrides::default() };
    let name = path.display().to_string();
    let loaded = load(&Source { name: &name, text: &text }, env, &overrides);
    checked.problems = loaded.notices;
    match loaded.spec {
        Ok(spec) => {
            checked.agents = spec
                .agents
                .iter()
                .map(|agent| format!("{} ({})", agent.id, agent.backend.model))
                .collect();
        }
        Err(errors) => checked.problems.extend(errors),
    }
    checked.problems.sort_by_key(|problem| (problem.line, problem.column));
    checked
}

impl Checked {
    fn n(&self, severity: Severity) -> usize {
        let n = self.problems.iter().filter(|problem| problem.severity == severity).count();
        n + usize::from(severity == Severity::Error && self.unreadable.is_some())
    }

    fn verdict(&self) -> String {
        let s = |n: usize| if n == 1 { "" } else { "s" };
        match (self.n(Severity::Error), self.n(Severity::Notice)) {
            (0, 0) => "runs".to_owned(),
            (0, notices) => format!("runs, with {notices} notice{}", s(notices)),
            (errors, _) => format!("cannot run: {errors} error{}", s(errors)),
        }
    }

    fn as_text(&self) -> String {
        let problems: String =
            self.problems.iter().map(|problem| format!("{problem}\n\n")).collect();
        let unreadable =
            self.unreadable.as_ref().map_or(String::new(), |error| format!("{error}\n\n"));
        let agents = match self.agents.as_slice() {
            [] => String::new(),
            agents => format!("; agents: {}", agents.join(", ")),
        };
        format!("{problems}{unreadable}{}: {}{agents}\n", self.file.display(), self.verdict())
    }

    fn as_json(&self) -> Value {
        let problems = self.problems.iter().map(|problem| {
            json!({
                "severity": match problem.severity {
                    Severity::Error => "error",
                    Severity::Notice => "notice",
                },
                "line": problem.line,
                "column": problem.column,
                "path": problem.path,
                "message": problem.message,
                "hint": problem.hint,
            })
        });
        json!({
            "file": self.file,
            "verdict": self.verdict(),
            "agents": self.agents,
            "unreadable": self.unreadable,
            "problems": problems.collect::<Vec<_>>(),
        })
    }
}
