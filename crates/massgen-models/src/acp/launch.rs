//! What is started for an agent, and how.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use massgen_protocol::{
    AGENT_MODEL_DEFAULT, AgentProgram, ApiKey, BackendSpec, BackendType, HeaderText, ModelWish,
    Secret, agent_program,
};

use crate::registry::ConnectError;

/// An agent's program with all it is started with.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// For people: `Claude Code`.
    pub(super) title: &'static str,
    preset: Option<&'static AgentProgram>,
    command: String,
    args: Vec<String>,
    /// What the preset and the spec set on top of the environment that is inherited.
    pub(super) env: BTreeMap<String, Secret>,
    /// What must not be shown, whoever repeats it.
    pub(super) secrets: Vec<Secret>,
    pub(super) cwd: PathBuf,
    /// Model the user named, if it is not the agent's own choice.
    pub(super) model: Option<String>,
    /// How the user could give a key, for messages.
    key_variable: Option<&'static str>,
}

/// A program that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    /// It is fetched first, which the user should know.
    pub(super) is_fetched: bool,
}

impl Launch {
    pub(super) fn new(spec: &BackendSpec, row: &BackendType) -> Result<Launch, ConnectError> {
        let preset = agent_program(&spec.kind);
        let own = spec.program.as_ref();
        let command = own.map_or("", |program| program.command.trim());
        if command.is_empty() && preset.is_none() {
            return Err(ConnectError::NoProgram { kind: spec.kind.clone() });
        }
        let model = Some(spec.model.trim().to_owned())
            .filter(|model| !model.is_empty() && model != AGENT_MODEL_DEFAULT);
        let mut args = own.map_or_else(Vec::new, |program| program.args.clone());
        let mut env = BTreeMap::new();
        let mut secrets: Vec<Secret> = spec.api_key.secret().cloned().into_iter().collect();
        for &(name, value) in preset.into_iter().flat_map(|preset| preset.env) {
            if env::var_os(name).is_none() {
                env.insert(name.to_owned(), Secret::new(value));
            }
        }
        // A command of the user's own is started as it stands.
        if let (Some(preset), true) = (preset, command.is_empty()) {
            match (preset.model, &model) {
                (ModelWish::Flag(flag), Some(model)) => {
                    args.extend([flag.to_owned(), model.clone()]);
                }
                (ModelWish::Setting { flag, prefix }, Some(model)) => {
                    args.extend([flag.to_owned(), format!("{prefix}{model}")]);
                }
                (ModelWish::Variable(name), Some(model)) => {
                    env.insert(name.to_owned(), Secret::new(model.clone()));
                }
                (ModelWish::Protocol, _) | (_, None) => {}
            }
        }
        let key_variable = preset.and_then(|preset| preset.key).or(row.key_env.first().copied());
        if let Some((name, secret)) = key_of(spec, key_variable) {
            env.insert(name, secret.clone());
        }
        for (name, value) in own.into_iter().flat_map(|program| &program.env) {
            env.insert(name.clone(), Secret::new(value.expose()));
            match value {
                HeaderText::Plain { .. } => {}
                HeaderText::Expanded { value, .. } => secrets.push(value.clone()),
            }
        }
        let cwd = match own.map(|program| program.cwd.trim()).filter(|cwd| !cwd.is_empty()) {
            Some(cwd) => PathBuf::from(cwd),
            None => env::current_dir().unwrap_or_else(|_| env::temp_dir()),
        };
        Ok(Launch {
            title: row.title,
            preset,
            command: command.to_owned(),
            args,
            env,
            secrets,
            cwd,
            model,
            key_variable,
        })
    }

    /// Looks the program up.
    ///
    /// # Errors
    /// Says how to get it, if it is not there.
    pub(super) fn find(&self) -> Result<Found, String> {
        let path = match self.env.get("PATH") {
            Some(path) => OsString::from(path.expose()),
            None => env::var_os("PATH").unwrap_or_default(),
        };
        let Some(preset) = self.preset.filter(|_| self.command.is_empty()) else {
            return match find_program(&self.command, &path) {
                Some(program) => Ok(Found { program, args: self.args.clone(), is_fetched: false }),
                None => Err(self.missing(&self.command)),
            };
        };
        if let Some(program) = find_program(preset.command, &path) {
            let args = self.args_after(preset.args);
            return Ok(Found { program, args, is_fetched: false });
        }
        let fetched = preset
            .fetched
            .and_then(|(command, args)| Some((find_program(command, &path)?, args)))
            .map(|(program, args)| Found {
                program,
                args: self.args_after(args),
                is_fetched: true,
            });
        fetched.ok_or_else(|| self.missing(preset.command))
    }

    fn args_after(&self, first: &[&str]) -> Vec<String> {
        first.iter().map(|&arg| arg.to_owned()).chain(self.args.iter().cloned()).collect()
    }

    fn missing(&self, command: &str) -> String {
        match self.preset {
            Some(preset) => {
                format!("`{command}` is not installed; install {}: {}", self.title, preset.install)
            }
            None => format!("`{command}` is not installed, or not where `PATH` says"),
        }
    }

    /// Returns the agent's ways to log in with a key, if it has been given one.
    pub(super) fn key_logins(&self) -> &'static [&'static str] {
        let has_key = |preset: &AgentProgram| {
            preset.key.is_some_and(|key| {
                self.env.contains_key(key) || env::var_os(key).is_some_and(|key| !key.is_empty())
            })
        };
        self.preset.filter(|preset| has_key(preset)).map_or(&[], |preset| preset.key_logins)
    }

    /// Returns what helps against a missing login.
    pub(super) fn login(&self) -> String {
        let key = self.key_variable.map(|name| format!("set `{name}`"));
        match (self.preset.map(|preset| preset.login), key) {
            (Some(login), Some(key)) => format!("{login}, or {key}"),
            (Some(login), None) => login.to_owned(),
            (None, _) => "log in with the agent's own program, or give its key with `env:`".into(),
        }
    }
}

/// Returns the variable the agent reads its key from, and the key.
fn key_of<'a>(
    spec: &'a BackendSpec,
    variable: Option<&'static str>,
) -> Option<(String, &'a Secret)> {
    match &spec.api_key {
        ApiKey::None => None,
        ApiKey::Given { value } => Some((variable?.to_owned(), value)),
        ApiKey::Env { name, value } => {
            Some((variable.map_or_else(|| name.clone(), str::to_owned), value))
        }
    }
    .filter(|(_, secret)| !secret.is_empty())
}

/// Returns where the program is: as it stands if it names a folder, else by `path`.
fn find_program(command: &str, path: &OsStr) -> Option<PathBuf> {
    if command.contains(std::path::is_separator) {
        let program = std::path::absolute(command).ok()?;
        return is_program(&program).then_some(program);
    }
    let in_path = env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(format!("{command}{}", env::consts::EXE_SUFFIX)));
    in_path.into_iter().find(|program| is_program(program))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::{HeaderText, Program, backend_type};

    use super::*;

    fn launch(spec: &BackendSpec) -> Launch {
        Launch::new(spec, backend_type(&spec.kind).unwrap()).unwrap()
    }

    fn program(command: &str, path: &str) -> Option<Program> {
        let value = HeaderText::Plain { value: path.to_owned() };
        Some(Program {
            command: command.to_owned(),
            args: vec!["--own".to_owned()],
            env: BTreeMap::from([("PATH".to_owned(), value)]),
            cwd: "/".to_owned(),
        })
    }

    #[cfg(unix)]
    fn install(folder: &Path, name: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(folder.join(name), "").unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join(name), executable).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_preset_is_found_then_fetched_then_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let spec = BackendSpec {
            program: program("", path),
            ..BackendSpec::new("gemini_cli", "gemini-3-pro", "")
        };
        let launch = launch(&spec);
        let missing = launch.find().unwrap_err();
        assert_eq!(
            missing,
            "`gemini` is not installed; install Gemini CLI: npm install -g @google/gemini-cli"
        );
        install(folder.path(), "npx");
        let fetched = launch.find().unwrap();
        assert!(fetched.is_fetched);
        assert_eq!(
            fetched.args,
            ["-y", "@google/gemini-cli", "--acp", "--own", "--model", "gemini-3-pro"]
        );
        install(folder.path(), "gemini");
        let found = launch.find().unwrap();
        assert_eq!(found.program, folder.path().join("gemini"));
        assert_eq!(found.args, ["--acp", "--own", "--model", "gemini-3-pro"]);
    }

    #[test]
    fn a_key_goes_where_the_program_reads_it_and_shows_nowhere() {
        let api_key = ApiKey::Env {
            name: "CLAUDE_CODE_API_KEY".to_owned(),
            value: Secret::new("sk-very-secret"),
        };
        let spec = BackendSpec { api_key, ..BackendSpec::new("claude_code", "default", "") };
        let launch = launch(&spec);
        assert_eq!(launch.env["ANTHROPIC_API_KEY"].expose(), "sk-very-secret");
        assert_eq!(launch.env.len(), 1, "no model is set where none is named");
        assert!(!format!("{launch:?}").contains("sk-very-secret"));
        assert!(launch.login().contains("ANTHROPIC_API_KEY"));
    }

    #[test]
    fn a_command_of_the_users_own_is_started_as_it_stands() {
        let spec = BackendSpec {
            program: program("/nowhere/agent", ""),
            ..BackendSpec::new("acp", "m", "")
        };
        let launch = launch(&spec);
        assert_eq!(launch.args, ["--own"]);
        assert!(launch.find().unwrap_err().contains("`/nowhere/agent` is not installed"));
        let none = BackendSpec::new("acp", "m", "");
        let refused = Launch::new(&none, backend_type("acp").unwrap()).unwrap_err();
        assert!(matches!(refused, ConnectError::NoProgram { .. }));
    }
}
