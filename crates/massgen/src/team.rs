//! Who is asked: from a config, from flags, or from what is found on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use massgen_config::{
    Environment, Loaded, Overrides, Problem, QUESTION_BYTES_MAX, QuickModel, RateTable,
    SOURCE_BYTES_MAX, Source, decode, load, place_paths, quick_team, team_from_env,
};
use massgen_models::LocalServer;
use massgen_protocol::RunSpec;

use crate::attachments;
use crate::cli::RunArgs;
use crate::context;
use crate::error::CliError;
use crate::settings;

/// Agents of a team that nobody described. More cost more than they help.
pub const FOUND_AGENTS_MAX: usize = 5;

/// What a run is started with.
#[derive(Debug)]
pub struct Team {
    pub spec: RunSpec,
    pub config_path: Option<PathBuf>,
    /// What the user should know and the run can live with.
    pub notices: Vec<Problem>,
}

/// Returns whether local servers may be looked for; `MASSGEN_LOCAL_SERVERS=off` says no.
pub fn may_look_for_servers(env: &Environment) -> bool {
    env.vars.get("MASSGEN_LOCAL_SERVERS").is_none_or(|wish| wish != "off")
}

/// Builds the team of a new run. `servers` finds local servers, and is asked only
/// where nothing else names a team.
///
/// # Errors
/// Everything that stands in the way of the run.
pub fn build(
    arguments: &RunArgs,
    env: &Environment,
    servers: impl FnOnce() -> Vec<LocalServer>,
) -> Result<Team, CliError> {
    let overrides = Overrides {
        question: question(arguments)?,
        orchestrator_timeout_s: arguments.orchestrator_timeout,
        seed: arguments.seed,
        rate_limits: rate_limits(arguments, env)?,
        ..Overrides::default()
    };
    let mut media_bytes_max = BTreeMap::new();
    let named = !arguments.models.is_empty() || arguments.backend.is_some();
    let found = if named { None } else { settings::config_found() };
    let mut team = match arguments.config.as_ref().or(found.as_ref()) {
        Some(path) => {
            let loaded = from_config(path, env, &overrides)?;
            media_bytes_max = loaded.media_bytes_max;
            // A run may be resumed from another folder.
            let config_path = Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
            let spec = loaded.spec.map_err(told)?;
            Team { spec, config_path, notices: loaded.notices }
        }
        None if overrides.question.is_none() => return Err(no_question()),
        None => {
            let models = match (arguments.models.as_slice(), &arguments.backend) {
                ([], None) => found_models(env, servers)?,
                // The type's own model.
                ([], Some(_)) => quick_models(&[String::new()], arguments),
                (named, _) => quick_models(named, arguments),
            };
            let spec = quick_team(&models, env, &overrides).map_err(told)?;
            Team { spec, config_path: None, notices: Vec::new() }
        }
    };
    attachments::attach(&mut team.spec, &arguments.attachments)?;
    attachments::read(&mut team.spec, &media_bytes_max, team.config_path.as_deref())?;
    let cwd = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = &arguments.output_dir {
        team.spec.files.output_dir = Some(cwd(folder).to_string_lossy().into_owned());
    }
    team.spec.files.confirm |= arguments.confirm;
    if let Ok(here) = std::env::current_dir() {
        place_paths(&mut team.spec, &here);
    }
    context::add(&mut team.spec, &arguments.context)?;
    let budget = &mut team.spec.policy.budget;
    if let Some(dollars) = arguments.max_cost {
        // Bounded by the command line, so nothing is lost.
        budget.money_micros = Some((dollars * 1e6).ceil() as u64);
    }
    budget.calls = arguments.max_calls.or(budget.calls);
    Ok(team)
}

/// Reads a config; what is wrong with it is told with what else is to be said of it.
fn from_config(path: &Path, env: &Environment, overrides: &Overrides) -> Result<Loaded, CliError> {
    let name = path.display().to_string();
    let text = read_config(path)?;
    let loaded = load(&Source { name: &name, text: &text }, env, overrides);
    match loaded.spec {
        Ok(spec) => Ok(Loaded { spec: Ok(spec), ..loaded }),
        Err(errors) => Err(told([loaded.notices, errors].concat())),
    }
}

/// Returns the spec that a config has for a question.
///
/// # Errors
/// Everything that is wrong with the config now.
pub fn spec_of_config(path: &Path, question: &str, env: &Environment) -> Result<RunSpec, CliError> {
    let overrides = Overrides { question: Some(question.to_owned()), ..Overrides::default() };
    from_config(path, env, &overrides)?.spec.map_err(told)
}

/// Reads the file of `--rate-limit`; without one, the limits that come with MassGen hold.
fn rate_limits(arguments: &RunArgs, env: &Environment) -> Result<Option<RateTable>, CliError> {
    let Some(file) = &arguments.rate_limit else { return Ok(None) };
    let Some(path) = file else { return Ok(Some(RateTable::built_in())) };
    let text = read_config(path)?;
    let name = path.display().to_string();
    RateTable::load(&Source { name: &name, text: &text }, env).map(Some).map_err(told)
}

/// Reads the text of a config.
///
/// # Errors
/// If it cannot be read, is no text or too long.
pub fn read_config(path: &Path) -> Result<String, CliError> {
    let name = path.display();
    let failed = |error: io::Error| {
        let failed = CliError::configuration(format!("failed to read config `{name}`"));
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "give the path of a file that exists with `--config`",
            io::ErrorKind::IsADirectory => "give the path of a file, not of a folder",
            _ => "check that the file can be read",
        };
        failed.because(error).hint(hint)
    };
    // One byte more than is taken, so that the config itself says it is too long.
    let mut bytes = Vec::new();
    let most = u64::try_from(SOURCE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(failed)?;
    decode(&name.to_string(), &bytes).map_err(|problem| told(vec![problem]))
}

fn quick_models(named: &[String], arguments: &RunArgs) -> Vec<QuickModel> {
    let quick = |model: &String| QuickModel {
        model: model.clone(),
        base_url: arguments.base_url.clone(),
        kind: arguments.backend.clone(),
    };
    named.iter().map(quick).collect()
}

/// The models whose keys are set, then those of local servers.
fn found_models(
    env: &Environment,
    servers: impl FnOnce() -> Vec<LocalServer>,
) -> Result<Vec<QuickModel>, CliError> {
    let mut models = team_from_env(env);
    if models.len() < FOUND_AGENTS_MAX && may_look_for_servers(env) {
        models.extend(servers().into_iter().flat_map(|server| server_models(&server)));
    }
    models.truncate(FOUND_AGENTS_MAX);
    if models.is_empty() {
        return Err(nobody_found());
    }
    Ok(models)
}

fn server_models(server: &LocalServer) -> Vec<QuickModel> {
    let quick = |model: &String| QuickModel {
        model: model.clone(),
        base_url: Some(server.base_url.clone()),
        kind: Some(server.kind.to_owned()),
    };
    server.models.iter().map(quick).collect()
}

fn nobody_found() -> CliError {
    CliError::configuration("there is no team: no API key is set and no local server answers")
        .hint("set a key, for example `export OPENAI_API_KEY=…`; `massgen doctor` lists them all")
        .hint("or start Ollama, LM Studio, vLLM or llama.cpp on its usual port")
        .hint("or describe the team: `--config team.yaml`, or `--model M --base-url URL`")
        .hint("to see a whole run without any of these: `massgen demo`")
}

fn no_question() -> CliError {
    CliError::configuration("there is no question")
        .hint("ask one: `massgen \"Which of these proofs is wrong?\"`, or pipe it in")
        .hint("to see a whole run first: `massgen demo`; for all flags: `massgen --help`")
}

/// Reads the question from the command line or from stdin.
fn question(arguments: &RunArgs) -> Result<Option<String>, CliError> {
    let written = arguments.question.join(" ");
    let stdin = io::stdin();
    let from_stdin = written == "-" || (written.is_empty() && !stdin.is_terminal());
    if !from_stdin {
        return Ok(Some(written).filter(|text| !text.trim().is_empty()));
    }
    let most = u64::try_from(QUESTION_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    stdin
        .lock()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|error| CliError::configuration("failed to read the question").because(error))?;
    Ok(Some(text.trim_end().to_owned()).filter(|text| !text.trim().is_empty()))
}

/// Returns all that is wrong with a team as one report.
pub fn told(problems: Vec<Problem>) -> CliError {
    let reports: Vec<String> = problems.iter().map(ToString::to_string).collect();
    CliError::told(reports.join("\n\n"))
}

/// Prints what the user should know before the run.
pub fn print_notices(notices: &[Problem]) {
    for notice in notices {
        // Whoever closed stderr does not want to know.
        let _ = writeln!(io::stderr(), "{notice}");
    }
}

/// Texts that replace ours: `NAME.md` in the folder the spec names.
///
/// # Errors
/// If the folder or a text in it cannot be read.
pub fn prompt_texts(spec: &RunSpec) -> Result<BTreeMap<String, String>, CliError> {
    let Some(folder) = &spec.prompts_dir else { return Ok(BTreeMap::new()) };
    let failed = |path: &Path, error: io::Error| {
        CliError::configuration(format!("failed to read prompt texts `{}`", path.display()))
            .because(error)
    };
    let folder = Path::new(folder);
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        let is_text = path.extension().is_some_and(|extension| extension == "md");
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_text) else {
            continue;
        };
        let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
        texts.insert(name.to_owned(), text);
    }
    Ok(texts)
}
