//! A kept spec holds no secret: before a run is resumed, each is looked up where it came from.

use std::path::Path;

use massgen_config::{Environment, expand_again};
use massgen_protocol::{
    AgentId, ApiKey, BackendSpec, HeaderText, McpTransport, RunSpec, Secret, backend_type,
};

use crate::error::CliError;
use crate::team;

/// Looks all secrets of a kept spec up again.
///
/// # Errors
/// If one is no longer where it came from.
pub fn restore(
    spec: &mut RunSpec,
    env: &Environment,
    config_path: Option<&Path>,
) -> Result<(), CliError> {
    let mut config = Config { path: config_path, question: spec.question.text.clone(), spec: None };
    for agent in &mut spec.agents {
        let fallbacks = agent.backend.fallbacks.len();
        restore_backend(&mut agent.backend, &agent.id, None, env, &mut config)?;
        for n in 0..fallbacks {
            let fallback = &mut agent.backend.fallbacks[n];
            restore_backend(fallback, &agent.id, Some(n), env, &mut config)?;
        }
        for server in &mut agent.tooling.mcp_servers {
            let texts = match &mut server.transport {
                McpTransport::Stdio { env, .. } => env,
                McpTransport::Http { headers, .. } => headers,
            };
            expand_texts(texts.values_mut(), &agent.id, env)?;
        }
    }
    Ok(())
}

/// The config as it is now, read if anything is to be found there.
struct Config<'p> {
    path: Option<&'p Path>,
    question: String,
    spec: Option<RunSpec>,
}

impl Config<'_> {
    /// Returns the backend of an agent as the config has it now, or one of its fallbacks.
    fn backend(
        &mut self,
        agent: &AgentId,
        fallback: Option<usize>,
        env: &Environment,
    ) -> Result<&BackendSpec, CliError> {
        let lost = || {
            let message = format!("the key of agent `{agent}` stood in a config not found now");
            CliError::configuration(message).hint("keep the config where it was when the run began")
        };
        let path = self.path.ok_or_else(lost)?;
        if self.spec.is_none() {
            self.spec = Some(team::spec_of_config(path, &self.question, env)?);
        }
        let agents = self.spec.as_ref().map_or(&[][..], |spec| &spec.agents);
        let main = agents.iter().find(|other| other.id == *agent).map(|other| &other.backend);
        match fallback {
            None => main,
            Some(n) => main.and_then(|main| main.fallbacks.get(n)),
        }
        .ok_or_else(lost)
    }
}

fn restore_backend(
    backend: &mut BackendSpec,
    agent: &AgentId,
    fallback: Option<usize>,
    env: &Environment,
    config: &mut Config<'_>,
) -> Result<(), CliError> {
    match &mut backend.api_key {
        ApiKey::None => {}
        ApiKey::Env { name, value } => {
            let found = env.vars.get(name).filter(|value| !value.trim().is_empty());
            let needs_key = backend_type(&backend.kind).is_none_or(|kind| kind.needs_key());
            match found {
                Some(found) => *value = Secret::new(found.trim()),
                None if !needs_key => {}
                None => return Err(not_set(agent, "the key in", std::slice::from_ref(name))),
            }
        }
        given @ ApiKey::Given { .. } => {
            *given = config.backend(agent, fallback, env)?.api_key.clone();
        }
    }
    let variables = backend.program.iter_mut().flat_map(|program| &mut program.env);
    let texts = backend.headers.iter_mut().chain(variables).map(|(_, text)| text);
    expand_texts(texts, agent, env)
}

fn expand_texts<'t>(
    texts: impl Iterator<Item = &'t mut HeaderText>,
    agent: &AgentId,
    env: &Environment,
) -> Result<(), CliError> {
    for text in texts {
        if let HeaderText::Expanded { written, value } = text {
            *value = expand_again(written, env)
                .map_err(|missing| not_set(agent, "what is in", &missing))?;
        }
    }
    Ok(())
}

fn not_set(agent: &AgentId, what: &str, names: &[String]) -> CliError {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let names = names.join(" and ");
    CliError::configuration(format!("agent `{agent}` needs {what} {names}, not set now"))
        .hint(format!("set {names} as when the run began"))
}
