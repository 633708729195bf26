//! Functions in Python files of the user.
//!
//! Each agent has one confined `python3` that runs a script of ours: it loads the files, tells
//! what each function takes, and calls them, several side by side. The process is started again
//! after a crash, and ended with a call that nobody waits for any more.

mod child;
mod host;
mod interpreter;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use massgen_protocol::{
    Media, MediaKind, MediaSource, OfferedTool, PythonToolSpec, ToolEffect, ToolOutput, ToolSpec,
};
use massgen_sandbox::Rung;
use serde_json::{Map, Value, json};

use self::child::Launch;
use self::host::{Found, Host};
use self::interpreter::Interpreter;
use self::wire::Answer;
use crate::builtin::picture_type;
use crate::{Equipment, Invocation, Sourced, ToolSource};

/// What the names of these tools begin with.
pub const PREFIX: &str = "custom_tool__";
/// Of one call, if the team's bound is lower: such functions call other services, which take
/// longer than a command.
const CALL_TIME: Duration = Duration::from_secs(300);
/// Characters of what a function raised.
const PROBLEM_MAX: usize = 8_000;

/// Starts Python and loads the functions. What cannot be had is told in `missing`.
pub async fn source(specs: &[PythonToolSpec], equipment: &Equipment) -> Sourced {
    let time = CALL_TIME.max(Duration::from_millis(equipment.confinement.limits.time_ms));
    source_within(specs, equipment, time).await
}

/// The same with another bound of one call.
pub async fn source_within(
    specs: &[PythonToolSpec],
    equipment: &Equipment,
    time: Duration,
) -> Sourced {
    let mut missing = Vec::new();
    let mut tools = BTreeMap::new();
    let mut host = None;
    if !specs.is_empty() {
        match launch(specs, equipment).await {
            Ok(launch) => {
                let (started, found) = Host::start(launch, specs.to_vec(), given(equipment)).await;
                missing = lacking(specs, &found);
                tools = offered(specs, found);
                host = Some(started);
            }
            Err(problem) => {
                missing.extend(specs.iter().map(|spec| format!("{}: {problem}", called(spec))));
            }
        }
    }
    Sourced { source: Arc::new(Functions { tools, host, time }), missing }
}

async fn launch(specs: &[PythonToolSpec], equipment: &Equipment) -> Result<Launch, String> {
    let mut confinement = equipment.confinement.clone();
    let interpreter = if equipment.sandbox.rung() == Rung::Container {
        Interpreter::of_container()
    } else {
        Interpreter::find().await?
    };
    let files = specs.iter().map(|spec| Path::new(&spec.path)).filter(|path| path.is_absolute());
    confinement.read.extend(interpreter.reads(files));
    Ok(Launch { interpreter, sandbox: equipment.sandbox.clone(), confinement })
}

/// What functions may ask for besides their arguments.
fn given(equipment: &Equipment) -> Map<String, Value> {
    let workspace = equipment.workspace.to_string_lossy();
    [
        ("agent_cwd".to_owned(), json!(workspace)),
        ("agent_id".to_owned(), json!(equipment.agent.alias().to_string())),
        ("allowed_paths".to_owned(), json!([workspace])),
    ]
    .into_iter()
    .collect()
}

fn offered(specs: &[PythonToolSpec], mut found: Found) -> BTreeMap<String, OfferedTool> {
    let loaded = specs.iter().filter_map(|spec| {
        let loaded = found.tools.remove(&spec.name)?.ok()?;
        let own = Some(loaded.description).filter(|text| !text.is_empty());
        let description =
            spec.description.clone().or(own).unwrap_or_else(|| format!("Calls {}.", spec.function));
        let tool = ToolSpec {
            name: format!("{PREFIX}{}", spec.name),
            description,
            parameters: loaded.parameters,
        };
        Some((tool.name.clone(), OfferedTool { spec: tool, effect: ToolEffect::Write }))
    });
    loaded.collect()
}

fn lacking(specs: &[PythonToolSpec], found: &Found) -> Vec<String> {
    let problem = |spec: &PythonToolSpec| match (found.tools.get(&spec.name), &found.broke) {
        (Some(Ok(_)), _) => None,
        (Some(Err(problem)), _) => Some(remedied(problem)),
        (None, Some(broke)) => Some(broke.clone()),
        (None, None) => Some("Python did not say whether it could be loaded".to_owned()),
    };
    specs.iter().filter_map(|spec| Some(format!("{}: {}", called(spec), problem(spec)?))).collect()
}

fn called(spec: &PythonToolSpec) -> String {
    let place = if spec.path.is_empty() {
        "of the program".to_owned()
    } else {
        format!("in `{}`", spec.path)
    };
    format!("custom tool `{}` (function `{}` {place})", spec.name, spec.function)
}

fn remedied(problem: &str) -> String {
    let remedy = if problem.contains("ModuleNotFoundError") {
        "; install the module for the `python3` on your `PATH`"
    } else if problem == "there is no such file" {
        "; correct its `path`"
    } else if problem.starts_with("has no function") {
        "; correct its `function`"
    } else {
        ""
    };
    format!("{problem}{remedy}")
}

struct Functions {
    // By full name.
    tools: BTreeMap<String, OfferedTool>,
    host: Option<Host>,
    time: Duration,
}

impl ToolSource for Functions {
    fn tools(&self) -> Vec<OfferedTool> {
        self.tools.values().cloned().collect()
    }

    fn call(&self, call: Invocation) -> BoxFuture<'static, ToolOutput> {
        let tool = call.name.strip_prefix(PREFIX).filter(|_| self.tools.contains_key(&call.name));
        let (Some(tool), Some(host)) = (tool.map(str::to_owned), self.host.clone()) else {
            let said = format!("there is no tool `{}`", call.name);
            return Box::pin(async move { ToolOutput::error(said) });
        };
        let time = self.time;
        Box::pin(async move {
            match host.call(tool, call.arguments, call.reports, time).await {
                Ok(answer) => output(answer),
                Err(problem) => {
                    ToolOutput::error(problem.chars().take(PROBLEM_MAX).collect::<String>())
                }
            }
        })
    }
}

fn output(answer: Answer) -> ToolOutput {
    let n_all = answer.media.len();
    let media: Vec<Media> = answer.media.into_iter().filter_map(picture).collect();
    let mut text = answer.text;
    if media.len() < n_all {
        text.push_str(&format!(
            "\n[{} pictures of a kind that cannot be shown are left out]",
            n_all - media.len()
        ));
    }
    if text.is_empty() && media.is_empty() {
        text = "It returned nothing.".to_owned();
    }
    ToolOutput { text, is_error: false, media }
}

fn picture(data: String) -> Option<Media> {
    if data.starts_with("https://") || data.starts_with("http://") {
        let source = MediaSource::Url { url: data };
        return Some(Media {
            kind: MediaKind::Image,
            media_type: "image/*".to_owned(),
            name: None,
            source,
        });
    }
    let base64 = match data.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,")?.1.to_owned(),
        None => data,
    };
    let media_type = picture_type(&base64)?.to_owned();
    Some(Media {
        kind: MediaKind::Image,
        media_type,
        name: None,
        source: MediaSource::Inline { base64 },
    })
}
