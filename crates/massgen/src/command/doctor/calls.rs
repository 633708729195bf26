//! The backends of a team, each tried with one tiny call, all at once.

use massgen_config::{Environment, Overrides, QuickModel, quick_team, team_from_env};
use massgen_models::{LocalServer, Probe, ProbeError, probe};
use massgen_protocol::{
    AGENT_MODEL_DEFAULT, ApiKey, BackendSpec, FailureKind, RunSpec, WireFormat, backend_type,
};
use massgen_view::{Called, words};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Verdict;
use crate::cli::DoctorArgs;
use crate::command::follow;
use crate::error::CliError;
use crate::output::totals;
use crate::team;

/// Never asked: a team is described together with a question.
const QUESTION: &str = "doctor";

/// Calls under way at once: a doctor must not be what exhausts a rate limit.
const CALLS_MAX: usize = 16;

/// One backend, whoever uses it, and what came of its call.
pub struct Tried {
    /// Agents that use it, in the order of the roster; none without a config.
    pub agents: Vec<String>,
    /// `openai gpt-5.4`
    pub backend: String,
    pub verdict: Verdict,
    pub found: String,
    pub remedy: Option<String>,
    probe: Option<Probe>,
    /// A word for programs: `auth`, `timed_out`, …
    failure: Option<Value>,
}

/// Returns the team that is tried: the config's, or one agent for every key that is set and
/// every server that answers. `None` if there is nobody.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn team(
    arguments: &DoctorArgs,
    env: &Environment,
    servers: &[LocalServer],
) -> Result<Option<RunSpec>, CliError> {
    if let Some(path) = &arguments.config {
        return team::spec_of_config(path, QUESTION, env).map(Some);
    }
    let served = servers.iter().filter_map(|server| {
        Some(QuickModel {
            model: server.models.first()?.clone(),
            base_url: Some(server.base_url.clone()),
            kind: Some(server.kind.to_owned()),
        })
    });
    let models: Vec<QuickModel> = team_from_env(env).into_iter().chain(served).collect();
    if models.is_empty() {
        return Ok(None);
    }
    let overrides = Overrides { question: Some(QUESTION.to_owned()), ..Overrides::default() };
    quick_team(&models, env, &overrides).map(Some).map_err(team::told)
}

/// Tries every backend of the team, fallbacks too, each once however many agents use it.
///
/// # Errors
/// If no thread can be started.
pub fn try_all(spec: &RunSpec, is_named: bool) -> Result<Vec<Tried>, CliError> {
    let backends = backends(spec, is_named);
    let tried = follow::runtime()?.block_on(async {
        let mut waiting = backends.iter().map(|(backend, _)| backend.clone()).enumerate();
        let mut calls = JoinSet::new();
        let mut done: Vec<Option<Result<Probe, ProbeError>>> = Vec::new();
        done.resize_with(backends.len(), || None);
        loop {
            while calls.len() < CALLS_MAX {
                let Some((at, backend)) = waiting.next() else { break };
                calls.spawn(async move { (at, probe(&backend).await) });
            }
            match calls.join_next().await {
                Some(Ok((at, result))) => done[at] = Some(result),
                // A panic is told by its hook; the call counts as failed below.
                Some(Err(_)) => {}
                None => return done,
            }
        }
    });
    let tried = backends.into_iter().zip(tried);
    Ok(tried.map(|((backend, agents), result)| told(&backend, agents, result)).collect())
}

/// Every backend with the agents that use it; fallbacks are named after their agent.
fn backends(spec: &RunSpec, is_named: bool) -> Vec<(BackendSpec, Vec<String>)> {
    let mut backends: Vec<(BackendSpec, Vec<String>)> = Vec::new();
    let mut add = |backend: &BackendSpec, agent: String| {
        let alone = BackendSpec { fallbacks: Vec::new(), ..backend.clone() };
        let agents = Some(agent).filter(|_| is_named);
        match backends.iter_mut().find(|(known, _)| *known == alone) {
            Some((_, users)) => users.extend(agents),
            None => backends.push((alone, agents.into_iter().collect())),
        }
    };
    for agent in &spec.agents {
        add(&agent.backend, agent.id.0.clone());
        for (n, fallback) in (1..).zip(&agent.backend.fallbacks) {
            add(fallback, format!("{} (fallback {n})", agent.id));
        }
    }
    // A script is played, not called.
    let is_called =
        |kind: &str| backend_type(kind).is_none_or(|kind| kind.format != WireFormat::Scripted);
    backends.retain(|(backend, _)| is_called(&backend.kind));
    backends
}

fn told(
    backend: &BackendSpec,
    agents: Vec<String>,
    result: Option<Result<Probe, ProbeError>>,
) -> Tried {
    let name = match backend.model.as_str() {
        // Its own choice.
        AGENT_MODEL_DEFAULT => backend.kind.clone(),
        model => format!("{} {model}", backend.kind),
    };
    let failed = |found: String, remedy: Option<String>, failure: Value| Tried {
        agents: agents.clone(),
        backend: name.clone(),
        verdict: Verdict::Broken,
        found: format!("{name}: {found}"),
        remedy,
        probe: None,
        failure: Some(failure),
    };
    match result {
        Some(Ok(probe)) => {
            let spent = massgen_protocol::Spend {
                calls: 1,
                tokens: probe.usage.input().saturating_add(probe.usage.generated()),
                money_micros: probe.cost_micros.unwrap_or(0),
            };
            let answered = match &probe.model {
                Some(model) if *model != backend.model && !model.is_empty() => {
                    format!(", answered by {model}")
                }
                Some(_) | None => String::new(),
            };
            Tried {
                found: format!("{name}: {}{answered}", totals(probe.latency_ms, &spent)),
                agents,
                backend: name,
                verdict: Verdict::Ok,
                remedy: None,
                probe: Some(probe),
                failure: None,
            }
        }
        Some(Err(ProbeError::Call(failure))) => failed(
            words::failure(&failure),
            Some(remedy(backend, failure.kind)),
            json!(failure.kind),
        ),
        Some(Err(ProbeError::Connect(error))) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            failed(format!("{error}{}", cause.unwrap_or_default()), None, json!("connect"))
        }
        None => failed("the call ended in a fault of ours".to_owned(), None, json!("fault")),
    }
}

/// What helps against a failure of a call that was made as the config says.
fn remedy(backend: &BackendSpec, kind: FailureKind) -> String {
    let key = match &backend.api_key {
        ApiKey::Env { name, .. } => format!("the key in `{name}`"),
        ApiKey::Given { .. } => "the `api_key` of the config".to_owned(),
        ApiKey::None => "whether the server asks for a key".to_owned(),
    };
    let called = Called {
        backend: &backend.kind,
        model: &backend.model,
        key: &key,
        base_url: Some(backend.base_url.as_str()).filter(|url| !url.is_empty()),
    };
    massgen_view::remedy(called, kind)
}

impl Tried {
    /// Returns the same for programs, money in millionths of a dollar.
    pub fn to_json(&self) -> Value {
        json!({
            "agents": self.agents,
            "backend": self.backend,
            "verdict": self.verdict.word(),
            "found": self.found,
            "failure": self.failure,
            "remedy": self.remedy,
            "latency_ms": self.probe.as_ref().map(|probe| probe.latency_ms),
            "model": self.probe.as_ref().and_then(|probe| probe.model.clone()),
            "usage": self.probe.as_ref().map(|probe| probe.usage),
            "cost_micros": self.probe.as_ref().and_then(|probe| probe.cost_micros),
        })
    }

    /// Returns who uses it, for the first column.
    pub fn users(&self) -> String {
        if self.agents.is_empty() { "call".to_owned() } else { self.agents.join(", ") }
    }
}
