//! `massgen doctor`: what is found on this machine, what is missing, and what to do.
//!
//! Keys are named, never shown.

mod calls;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use calls::Tried;
use massgen_config::{Environment, team_from_env};
use massgen_models::LocalServer;
use massgen_protocol::{BackendType, RunSpec, SandboxSpec, backend_types};
use massgen_sandbox::{Rung, Sandbox};
use serde_json::json;

use super::follow;
use super::run::BUILD;
use super::runs::pretty;
use crate::cli::{DoctorArgs, Format, GlobalArgs};
use crate::error::{CliError, Exit};
use crate::output::{Look, Tone, one_line};
use crate::{settings, team};

/// Characters of who uses a backend.
const NAME_CHARS: usize = 60;

/// One thing looked at.
struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// Not there, and a run may do without.
    Missing,
    /// A run cannot start.
    Broken,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Missing => "missing",
            Verdict::Broken => "broken",
        }
    }
}

pub fn run(arguments: &DoctorArgs, global: &GlobalArgs) -> Result<Exit, CliError> {
    let env = settings::environment(global)?;
    let servers = if team::may_look_for_servers(&env) {
        follow::runtime()?.block_on(massgen_models::local_servers())
    } else {
        Vec::new()
    };
    let mut checks = vec![
        state(&global.state_dir),
        keys(&env),
        local_servers(&servers),
        confinement(),
        terminal(global),
    ];
    let spec = calls::team(arguments, &env, &servers)?;
    checks.push(match (&arguments.config, &spec) {
        (Some(path), Some(spec)) => described_team(path, spec),
        (Some(_) | None, _) => whole_team(&env, &servers),
    });
    let tried = match &spec {
        Some(spec) if !arguments.no_calls => calls::try_all(spec, arguments.config.is_some())?,
        Some(_) | None => Vec::new(),
    };
    let json = arguments.json || global.output == Format::Json;
    let text = if json { as_json(&checks, &tried) } else { table(&checks, &tried, global) };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CliError::output)?;
    let is_broken = checks.iter().any(|check| check.verdict == Verdict::Broken);
    let has_failed = tried.iter().any(|tried| tried.verdict == Verdict::Broken);
    Ok(match (is_broken, has_failed) {
        (true, _) => Exit::Configuration,
        (false, true) => Exit::Execution,
        (false, false) => Exit::Success,
    })
}

/// Whether runs can be kept, tried where they would be.
fn state(folder: &Path) -> Check {
    let name = "state folder";
    let shown = folder.display().to_string();
    match try_to_write(&folder.join("runs")) {
        Ok(()) => {
            let n_runs = massgen_log::list(folder).map_or(0, |runs| runs.len());
            Check {
                name,
                verdict: Verdict::Ok,
                found: format!("{shown}, {n_runs} runs"),
                remedy: None,
            }
        }
        Err(error) => Check {
            name,
            verdict: Verdict::Broken,
            found: format!("`{shown}` cannot be written: {error}"),
            remedy: Some("name another folder with `--state-dir` or MASSGEN_STATE_DIR".to_owned()),
        },
    }
}

/// Makes the folder, writes a file there, and takes away whatever was not there before.
fn try_to_write(folder: &Path) -> io::Result<()> {
    let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<&Path> = folder.ancestors().take_while(is_new).collect();
    let probe = folder.join(format!(".massgen-doctor-{}", std::process::id()));
    let tried = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&probe, "can this be kept?\n"))
        .and_then(|()| fs::remove_file(&probe));
    if tried.is_err() {
        // An empty file is what a full disk leaves.
        let _ = fs::remove_file(&probe);
    }
    for path in made {
        // Not there, or taken by a run that has begun since: both are fine.
        let _ = fs::remove_dir(path);
    }
    tried
}

/// Which keys of backends that this build calls are set.
/// What holds back the commands that agents run.
fn confinement() -> Check {
    let name = "sandbox";
    let probed = super::sandbox::helper().map_err(|error| error.to_string()).and_then(|helper| {
        Sandbox::probe(&SandboxSpec::default(), helper).map_err(|refused| refused.to_string())
    });
    let sandbox = match probed {
        Ok(sandbox) => sandbox,
        Err(found) => return Check { name, verdict: Verdict::Missing, found, remedy: None },
    };
    let found = sandbox.describe().join("; ");
    let (verdict, remedy) = match sandbox.rung() {
        Rung::Off => (
            Verdict::Missing,
            Some(
                "install bubblewrap, or set `sandbox: container` with Docker or Podman".to_owned(),
            ),
        ),
        Rung::Bubblewrap | Rung::Landlock | Rung::Container => (Verdict::Ok, None),
    };
    Check { name, verdict, found, remedy }
}

fn keys(env: &Environment) -> Check {
    let name = "keys";
    let is_set = |key: &str| env.vars.get(key).is_some_and(|value| !value.trim().is_empty());
    let hosted = || backend_types().iter().filter(|kind| kind.needs_key() && kind.is_callable());
    let mut found: Vec<&str> = Vec::new();
    for key in hosted().flat_map(|kind| kind.key_env.iter().copied()).filter(|key| is_set(key)) {
        if !found.contains(&key) {
            found.push(key);
        }
    }
    if found.is_empty() {
        let mut names: Vec<&str> = Vec::new();
        for key in hosted().filter_map(first_key) {
            if !names.contains(&key) {
                names.push(key);
            }
        }
        return Check {
            name,
            verdict: Verdict::Missing,
            found: "none is set".to_owned(),
            remedy: Some(format!("set one of {}", names.join(", "))),
        };
    }
    Check { name, verdict: Verdict::Ok, found: found.join(", "), remedy: None }
}

fn first_key(kind: &BackendType) -> Option<&'static str> {
    kind.key_env.first().copied()
}

fn local_servers(servers: &[LocalServer]) -> Check {
    let name = "local servers";
    if servers.is_empty() {
        return Check {
            name,
            verdict: Verdict::Missing,
            found: "none answers on the usual ports".to_owned(),
            remedy: Some("start Ollama, LM Studio, vLLM, SGLang or llama.cpp".to_owned()),
        };
    }
    let told = |server: &LocalServer| {
        format!("{} at {}, models: {}", server.kind, server.base_url, server.models.join(", "))
    };
    let found = servers.iter().map(told).collect::<Vec<_>>().join("; ");
    Check { name, verdict: Verdict::Ok, found, remedy: None }
}

fn terminal(global: &GlobalArgs) -> Check {
    let look = Look::of_stderr(global.no_color);
    let colour = if look.colour { "colour" } else { "no colour" };
    let found = match look.terminal {
        Some(columns) => format!("{columns} columns, {colour}"),
        None => "stderr is no terminal; plain lines are written".to_owned(),
    };
    Check { name: "terminal", verdict: Verdict::Ok, found, remedy: None }
}

/// Who is asked by a question without a config.
fn whole_team(env: &Environment, servers: &[LocalServer]) -> Check {
    let name = "team";
    let hosted = team_from_env(env);
    let models = hosted.iter().map(|model| model.model.as_str());
    let local = servers.iter().flat_map(|server| server.models.iter().map(String::as_str));
    let models: Vec<&str> = models.chain(local).take(team::FOUND_AGENTS_MAX).collect();
    if models.is_empty() {
        return Check {
            name,
            verdict: Verdict::Broken,
            found: "nobody to ask without a config".to_owned(),
            remedy: Some("see keys and local servers above, or try `massgen demo`".to_owned()),
        };
    }
    Check { name, verdict: Verdict::Ok, found: models.join(", "), remedy: None }
}

/// The team of a config, by name.
fn described_team(path: &Path, spec: &RunSpec) -> Check {
    let agents: Vec<&str> = spec.agents.iter().map(|agent| agent.id.0.as_str()).collect();
    let found = format!("{}: {}", path.display(), agents.join(", "));
    Check { name: "team", verdict: Verdict::Ok, found, remedy: None }
}

fn table(checks: &[Check], tried: &[Tried], global: &GlobalArgs) -> String {
    let look = Look { terminal: None, ..Look::of_stdout(global.no_color) };
    let mut text = format!("{BUILD}\n\n");
    let mut row = |verdict: Verdict, name: &str, found: &str, remedy: Option<&String>| {
        let tone = match verdict {
            Verdict::Ok => Tone::Good,
            Verdict::Missing | Verdict::Broken => Tone::Warning,
        };
        let verdict = look.paint(tone, &format!("{:<8}", verdict.word()));
        // Models are named, and failures told, by whatever answers on a port.
        let (name, found) = (one_line(name, NAME_CHARS), one_line(found, usize::MAX));
        text.push_str(&format!("{verdict} {name:<14} {found}\n"));
        if let Some(remedy) = remedy {
            text.push_str(&format!("{:<23} {}\n", "", one_line(remedy, usize::MAX)));
        }
    };
    for check in checks {
        row(check.verdict, check.name, &check.found, check.remedy.as_ref());
    }
    for tried in tried {
        row(tried.verdict, &tried.users(), &tried.found, tried.remedy.as_ref());
    }
    text
}

fn as_json(checks: &[Check], tried: &[Tried]) -> String {
    let checks: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "verdict": check.verdict.word(),
                "found": check.found,
                "remedy": check.remedy,
            })
        })
        .collect();
    let calls: Vec<_> = tried.iter().map(Tried::to_json).collect();
    pretty(&json!({ "build": BUILD, "checks": checks, "calls": calls }))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn what_a_server_calls_its_models_says_nothing_to_the_terminal() {
        let servers = [LocalServer {
            kind: "ollama",
            base_url: "http://127.0.0.1:11434/v1".to_owned(),
            models: vec!["\x1b]0;owned\x07good\nok  keys  \u{202e}forged".to_owned()],
        }];
        let cli = Cli::parse_from(["massgen", "doctor"]);
        let checks = [local_servers(&servers), whole_team(&Environment::default(), &servers)];
        let table = table(&checks, &[], &cli.global);
        assert!(table.contains("good ok keys forged"), "{table}");
        assert!(!table.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
        assert_eq!(table.lines().count(), 2 + checks.len(), "one line each: {table}");
    }
}
