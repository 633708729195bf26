//! The configs that MassGen users have, read with what this build understands.
//!
//! `cargo xtask corpus` reads every config of `../shared/corpus` with a made-up key for
//! every provider, prints what became of each, and fails if one that could be read
//! before, by `xtask/corpus.txt`, no longer can. `--write` keeps the new state there.
//! It fails too if a key that MassGen keeps to itself, by the lists of its own code,
//! would be sent to a provider.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use massgen_config::{Environment, Overrides, Problem, RateTable, Source, decode, load};
use massgen_protocol::{
    BackendType, McpServerSpec, RunSpec, SandboxMode, Tooling, WireFormat, backend_types,
};
use serde_json::Value;

use crate::repo::{root, say};

/// Beside the work tree, where this is developed.
const CORPUS: &str = "../shared/corpus";
const EXPECTED: &str = "xtask/corpus.txt";
/// Keys that MassGen keeps out of requests, by version and by format.
const KEPT_OUT: &str = "../shared/reference/excluded_params.json";

/// Fields that MassGen only moves to another place of the same request.
const MOVED: [&str; 5] =
    ["chat_template_kwargs", "reasoning", "repetition_penalty", "separate_reasoning", "top_k"];

/// Variables besides keys that configs of the corpus name.
const VARIABLES: &[(&str, &str)] = &[
    ("AZURE_OPENAI_ENDPOINT", "https://made-up.openai.azure.com"),
    ("AZURE_OPENAI_API_VERSION", "2024-10-21"),
    ("BRAVE_API_KEY", "made-up"),
    ("DISCORD_TOKEN", "made-up"),
    ("EXA_API_KEY", "made-up"),
    ("HOME", "/home/somebody"),
    ("LOGFIRE_READ_TOKEN", "made-up"),
    ("NOTION_TOKEN_ONE", "made-up"),
    ("NOTION_TOKEN_TWO", "made-up"),
    ("NOTION_TOKEN_THREE", "made-up"),
    ("NOTION_TOKEN_FOUR", "made-up"),
    ("NOTION_TOKEN_FIVE", "made-up"),
    ("PARALLEL_API_KEY", "made-up"),
];

pub fn run(arguments: &[String]) -> ExitCode {
    match report(arguments.iter().any(|argument| argument == "--write")) {
        Ok(is_good) if is_good => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(problem) => {
            say(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

/// What became of one file.
enum Read {
    Loads {
        /// Keys without effect.
        n_notices: usize,
        /// What its agents are given to work with.
        features: BTreeSet<&'static str>,
    },
    RateTable,
    Needs(Vec<String>),
}

fn report(writes: bool) -> Result<bool, String> {
    let root = root()?;
    let corpus = root.join(CORPUS);
    let files = configs(&corpus)?;
    let env = environment();
    let mut loading: BTreeSet<String> = BTreeSet::new();
    let mut needs: BTreeMap<String, usize> = BTreeMap::new();
    let mut table = String::new();
    let mut given: BTreeMap<&str, usize> = BTreeMap::new();
    for path in &files {
        let name = path.strip_prefix(&corpus).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let bytes = std::fs::read(path).map_err(|error| format!("cannot read {name}: {error}"))?;
        let read = read(&name, &bytes, &env);
        let (verdict, detail) = match &read {
            Read::Loads { n_notices, .. } => ("loads", format!("{n_notices} notices")),
            Read::RateTable => ("loads", "a table of rate limits".to_owned()),
            Read::Needs(what) => ("needs", what.join("; ")),
        };
        let _ = writeln!(table, "{verdict:<6} {name:<90} {detail}");
        match read {
            Read::Loads { features, .. } => {
                loading.insert(name);
                features.into_iter().for_each(|feature| *given.entry(feature).or_default() += 1);
            }
            Read::RateTable => drop(loading.insert(name)),
            Read::Needs(what) => what.into_iter().for_each(|what| {
                *needs.entry(what).or_default() += 1;
            }),
        }
    }
    say(table.trim_end());
    say(&format!("\n{} of {} configs load; the others need:", loading.len(), files.len()));
    for (what, n) in &needs {
        say(&format!("  {n:>4}  {what}"));
    }
    say("\nof those that load, so many have:");
    for (feature, n) in &given {
        say(&format!("  {n:>4}  {feature}"));
    }
    if writes {
        let text: String = loading.iter().map(|name| format!("{name}\n")).collect();
        let path = root.join(EXPECTED);
        std::fs::write(&path, text).map_err(|error| format!("cannot write {EXPECTED}: {error}"))?;
        return Ok(true);
    }
    let expected = std::fs::read_to_string(root.join(EXPECTED))
        .map_err(|error| format!("cannot read {EXPECTED}: {error}"))?;
    let lost: Vec<&str> = expected.lines().filter(|name| !loading.contains(*name)).collect();
    for name in &lost {
        say(&format!("error: `{name}` loaded before and does no longer"));
    }
    let n_new = loading.len() + lost.len() - expected.lines().count();
    if n_new > 0 {
        say(&format!("{n_new} load for the first time; keep it with `cargo xtask corpus --write`"));
    }
    let lists = std::fs::read_to_string(root.join(KEPT_OUT))
        .map_err(|error| format!("cannot read {KEPT_OUT}: {error}"))?;
    let leaks = leaks(&lists, &env)?;
    for leak in &leaks {
        say(&format!("error: {leak}"));
    }
    Ok(lost.is_empty() && leaks.is_empty())
}

/// Returns the keys that would reach a provider although MassGen keeps them to itself.
fn leaks(lists: &str, env: &Environment) -> Result<Vec<String>, String> {
    let lists: Value = serde_json::from_str(lists).map_err(|error| error.to_string())?;
    let lists = lists.as_object().into_iter().flat_map(|versions| versions.values());
    let lists = lists.filter_map(Value::as_object).flat_map(|formats| formats.values());
    let names = lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    let names: BTreeSet<&str> = names.filter(|name| !MOVED.contains(name)).collect();
    if names.is_empty() {
        return Err(format!("{KEPT_OUT} names no key"));
    }
    let mut leaks = Vec::new();
    for kind in backend_types().iter().filter(|kind| kind.is_callable()) {
        for name in &names {
            for value in ["true", "x", "[x]", "{x: y}"] {
                let text = format!(
                    "agent: {{backend: {{type: {}, model: m, {name}: {value}}}}}",
                    kind.name
                );
                let overrides =
                    Overrides { question: Some("Why?".to_owned()), ..Overrides::default() };
                let loaded = load(&Source { name: "leaks", text: &text }, env, &overrides);
                let sent = loaded.spec.is_ok_and(|spec| {
                    spec.agents.iter().any(|agent| agent.backend.params.contains_key(*name))
                });
                // Programs are given their own options; no provider sees them.
                if sent && has_provider(kind) {
                    leaks.push(format!("`{}` sends `{name}`", kind.name));
                }
            }
        }
    }
    leaks.dedup();
    say(&format!("{} keys of MassGen's own were tried on every type", names.len()));
    Ok(leaks)
}

fn has_provider(kind: &BackendType) -> bool {
    !matches!(kind.format, WireFormat::Acp | WireFormat::A2a | WireFormat::Scripted)
}

fn configs(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| format!("cannot read {}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_config = path
                .extension()
                .is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known));
            if path.is_dir() {
                folders.push(path);
            } else if is_config {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn environment() -> Environment {
    let keys = backend_types().iter().flat_map(|kind| kind.key_env);
    let keys = keys.map(|name| (*name, "made-up"));
    Environment::new(keys.chain(VARIABLES.iter().copied()))
}

fn read(name: &str, bytes: &[u8], env: &Environment) -> Read {
    let text = match decode(name, bytes) {
        Ok(text) => text,
        Err(problem) => return Read::Needs(vec![problem.message]),
    };
    let source = Source { name, text: &text };
    let overrides = Overrides { question: Some("Why?".to_owned()), ..Overrides::default() };
    let loaded = load(&source, env, &overrides);
    match loaded.spec {
        Ok(spec) => Read::Loads { n_notices: loaded.notices.len(), features: features(&spec) },
        Err(_) if RateTable::load(&source, env).is_ok() => Read::RateTable,
        Err(problems) => Read::Needs(wants(&problems)),
    }
}

/// Returns what the agents of a config work with.
fn features(spec: &RunSpec) -> BTreeSet<&'static str> {
    let tools = || spec.agents.iter().map(|agent| &agent.tooling);
    let any = |has: fn(&Tooling) -> bool| tools().any(has);
    let files = &spec.files;
    let table = [
        ("a workspace", any(|tools| tools.workspace.is_some())),
        ("a command line", any(|tools| tools.commands.is_some())),
        ("MCP servers", any(|tools| !tools.mcp_servers.is_empty())),
        ("MCP servers that all share", any(|tools| tools.mcp_servers.iter().any(|s| s.shared))),
        ("Python tools", any(|tools| !tools.python_tools.is_empty())),
        ("a list of tasks", any(|tools| tools.planning)),
        ("a look at images", any(|tools| tools.read_media)),
        ("permissions", any(|tools| tools.permissions.is_some())),
        ("hooks", any(|tools| !tools.hooks.is_empty())),
        (
            "names of tools allowed or excluded",
            any(|tools| {
                let of_servers =
                    |s: &McpServerSpec| s.allowed_tools.is_some() || !s.exclude_tools.is_empty();
                tools.allowed_tools.is_some()
                    || !tools.exclude_tools.is_empty()
                    || tools.mcp_servers.iter().any(of_servers)
            }),
        ),
        ("context paths", !files.context_paths.is_empty()),
        ("planning mode", files.planning_mode),
        (
            "commands in a container",
            any(|tools| {
                let mode = tools.commands.as_ref().and_then(|commands| commands.sandbox);
                mode == Some(SandboxMode::Container)
            }),
        ),
    ];
    table.into_iter().filter(|(_, has)| *has).map(|(feature, _)| feature).collect()
}

/// Returns what is missing, each once.
fn wants(problems: &[Problem]) -> Vec<String> {
    let wants: BTreeSet<String> = problems.iter().map(|problem| problem.message.clone()).collect();
    wants.into_iter().collect()
}
