//! Tools of ours: files, commands, plans, pictures, pages.

mod command;
mod fetch;
mod files;
mod insight;
mod media;
mod names;
mod params;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use massgen_protocol::{NetworkPolicy, OfferedTool, ToolEffect, ToolOutput, Tooling};

pub use self::insight::InsightKeeper;
pub(crate) use self::media::picture_type;
pub use self::names::native;
use self::params::{Given, Tool};
use crate::{Equipment, Invocation, Sourced, ToolSource};

/// Work with files that takes longer is given up: the disk hangs, or there is far too much.
const FILES_TIME: Duration = Duration::from_secs(120);

/// Returns the tools of ours that an agent has. `keeper` takes the evidence of its findings.
pub fn source(tooling: &Tooling, equipment: &Equipment, keeper: Arc<dyn InsightKeeper>) -> Sourced {
    let mut boxes: Vec<Arc<dyn Toolbox>> = Vec::new();
    let mut missing = Vec::new();
    if tooling.file_tools {
        boxes.push(Arc::new(files::Files::new(equipment.guard.clone())));
    }
    if let Some(spec) = &tooling.commands {
        let (commands, problems) = command::Commands::new(spec, equipment);
        missing.extend(problems);
        boxes.push(Arc::new(commands));
    }
    if tooling.planning {
        let guard = tooling.workspace.is_some().then(|| equipment.guard.clone());
        boxes.push(Arc::new(plan::Planning::new(guard)));
    }
    if tooling.read_media {
        boxes.push(Arc::new(media::Pictures::new(equipment.guard.clone())));
    }
    if tooling.web_fetch {
        let reach = match equipment.confinement.network {
            NetworkPolicy::Off => fetch::Reach::Public,
            NetworkPolicy::On => fetch::Reach::Private,
        };
        boxes.push(Arc::new(fetch::Fetch::new(reach)));
    }
    if tooling.insights {
        let guard = tooling.workspace.is_some().then(|| equipment.guard.clone());
        boxes.push(Arc::new(insight::Insights::new(guard, keeper)));
    }
    let mut tools = BTreeMap::new();
    for toolbox in boxes {
        for tool in toolbox.tools() {
            if wanted(tooling, tool.name) {
                tools.insert(tool.name, (toolbox.clone(), tool));
            }
        }
    }
    Sourced { source: Arc::new(Builtin { tools }), missing }
}

/// A list of allowed tools that names none of ours is about servers only.
fn wanted(tooling: &Tooling, name: &str) -> bool {
    let names = |list: &[String], name: &str| list.iter().any(|other| native(other) == name);
    let is_ours = |other: &String| OURS.contains(&native(other));
    let allowed = match &tooling.allowed_tools {
        Some(list) if list.iter().any(is_ours) => names(list, name),
        Some(_) | None => true,
    };
    allowed && !names(&tooling.exclude_tools, name)
}

/// Names of all tools of ours.
pub const OURS: &[&str] = &[
    "add_task",
    "compare_directories",
    "compare_files",
    "copy_file",
    "copy_files_batch",
    "create_directory",
    "create_task_plan",
    "delete_file",
    "delete_files_batch",
    "delete_task",
    "directory_tree",
    "edit_file",
    "edit_task",
    "execute_command",
    "get_background_shell_output",
    "get_background_shell_status",
    "get_blocked_tasks",
    "get_file_info",
    "get_ready_tasks",
    "get_task_plan",
    "kill_background_shell",
    "list_allowed_directories",
    "list_background_shells",
    "list_directory",
    "list_directory_with_sizes",
    "move_file",
    "read_media",
    "read_multiple_files",
    "read_text_file",
    "search_files",
    "search_text",
    "share_insight",
    "start_background_shell",
    "update_task_status",
    "web_fetch",
    "write_file",
];

/// Some tools with what they share.
trait Toolbox: Send + Sync {
    fn tools(&self) -> Vec<&'static Tool>;

    fn effect(&self, tool: &Tool) -> ToolEffect {
        tool.effect
    }

    fn call(
        self: Arc<Self>,
        tool: &'static Tool,
        given: Given,
        call: Invocation,
    ) -> BoxFuture<'static, ToolOutput>;
}

struct Builtin {
    // By name, so that the offer is sorted.
    tools: BTreeMap<&'static str, (Arc<dyn Toolbox>, &'static Tool)>,
}

impl ToolSource for Builtin {
    fn tools(&self) -> Vec<OfferedTool> {
        self.tools.values().map(|(toolbox, tool)| tool.offered(toolbox.effect(tool))).collect()
    }

    fn call(&self, call: Invocation) -> BoxFuture<'static, ToolOutput> {
        let Some((toolbox, tool)) = self.tools.get(call.name.as_str()) else {
            let said = format!("there is no tool `{}`", call.name);
            return Box::pin(async move { ToolOutput::error(said) });
        };
        match tool.read(call.arguments.clone()) {
            Ok(given) => toolbox.clone().call(tool, given, call),
            Err(problem) => Box::pin(async move { ToolOutput::error(problem) }),
        }
    }
}

/// Tells work that runs in a thread that nobody waits for it any more.
#[derive(Clone, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets it when the call is given up.
struct Stopper(Stop);

impl Drop for Stopper {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Runs work with files in a thread for it.
fn blocking(work: impl FnOnce() -> ToolOutput + Send + 'static) -> BoxFuture<'static, ToolOutput> {
    stoppable(move |_| work())
}

/// The same for work that looks now and then whether it is still wanted.
fn stoppable(
    work: impl FnOnce(&Stop) -> ToolOutput + Send + 'static,
) -> BoxFuture<'static, ToolOutput> {
    Box::pin(async move {
        let stopper = Stopper(Stop::default());
        let stop = stopper.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&stop));
        match tokio::time::timeout(FILES_TIME, done).await {
            Ok(Ok(output)) => output,
            Ok(Err(_)) => ToolOutput::error(
                "the tool failed inside; this is a fault of the program, not of the call",
            ),
            Err(_) => ToolOutput::error(format!("given up after {}", clock(FILES_TIME))),
        }
    })
}

/// A span of time for people.
fn clock(time: Duration) -> String {
    match time.as_millis() {
        n if n < 1_000 => format!("{n} ms"),
        n if n < 120_000 => format!("{:.1} s", n as f64 / 1_000.0),
        n => format!("{:.1} min", n as f64 / 60_000.0),
    }
}

/// A size for people.
fn size(bytes: u64) -> String {
    match bytes {
        n if n < 1_000 => format!("{n} B"),
        n if n < 1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        n if n < 1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        n => format!("{:.2} GB", n as f64 / 1e9),
    }
}
