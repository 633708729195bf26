//! Tools for a list of tasks that the agent keeps.

mod list;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use massgen_protocol::{ToolEffect, ToolOutput};
use massgen_workspace::Guard;

use self::list::{Plan, Priority, Status, TASKS_MAX, Task, Wanted};
use super::params::{Given, Kind, Param, Tool};
use super::{Invocation, Toolbox, blocking};

/// Where the list is kept in the workspace, so that others find it there and a resume too.
const FILE: &str = "tasks/plan.json";
/// A plan with all its bounds reached is smaller.
const FILE_BYTES_MAX: u64 = 4 << 20;
const DEPENDENCIES_MAX: usize = 50;

const TASK: &[Param] = &[
    Param::need("description", Kind::Text, "What is to be done")
        .or(&["task", "title", "content", "name"]),
    Param::may("id", Kind::Text, "Short name; made up if none is given").or(&["task_id"]),
    DEPENDS_ON,
    PRIORITY,
];
const DEPENDS_ON: Param = Param::may(
    "depends_on",
    Kind::Texts { max: DEPENDENCIES_MAX },
    "Ids of tasks that come first, or positions from 0",
)
.or(&["dependencies"]);
const PRIORITY: Param =
    Param::may("priority", Kind::Choice(Priority::NAMES), "high, medium or low");
const ID: Param = Param::need("task_id", Kind::Text, "Id of the task").or(&["id"]);

static CREATE: Tool = Tool {
    name: "create_task_plan",
    does: "Begins a new list of tasks in place of the present one. Tasks may depend on each other.",
    effect: ToolEffect::Write,
    takes: &[Param::need(
        "tasks",
        Kind::Objects { of: TASK, max: TASKS_MAX },
        "The tasks: texts, or objects",
    )],
};
static ADD: Tool = Tool {
    name: "add_task",
    does: "Adds a task to the list.",
    effect: ToolEffect::Write,
    takes: &[
        Param::need("description", Kind::Text, "What is to be done").or(&["task", "title"]),
        Param::may("id", Kind::Text, "Short name; made up if none is given").or(&["task_id"]),
        Param::may("after_task_id", Kind::Text, "Id of the task it is put after; the end if none"),
        DEPENDS_ON,
        PRIORITY,
    ],
};
static UPDATE: Tool = Tool {
    name: "update_task_status",
    does: "Says how a task stands. Returns what can be begun next.",
    effect: ToolEffect::Write,
    takes: &[
        ID,
        Param::need(
            "status",
            Kind::Choice(Status::NAMES),
            "pending, in_progress, completed or blocked",
        ),
    ],
};
static EDIT: Tool = Tool {
    name: "edit_task",
    does: "Changes the description, the priority or the dependencies of a task.",
    effect: ToolEffect::Write,
    takes: &[ID, Param::may("description", Kind::Text, "New description"), DEPENDS_ON, PRIORITY],
};
static GET: Tool = Tool {
    name: "get_task_plan",
    does: "Shows all tasks and how they stand.",
    effect: ToolEffect::Read,
    takes: &[],
};
static DELETE: Tool = Tool {
    name: "delete_task",
    does: "Removes a task that no other depends on.",
    effect: ToolEffect::Write,
    takes: &[ID],
};
static READY: Tool = Tool {
    name: "get_ready_tasks",
    does: "Shows the tasks that can be begun now, most important first.",
    effect: ToolEffect::Read,
    takes: &[],
};
static BLOCKED: Tool = Tool {
    name: "get_blocked_tasks",
    does: "Shows the tasks that wait, and what for.",
    effect: ToolEffect::Read,
    takes: &[],
};

/// An agent's list of tasks.
pub(super) struct Planning {
    /// `None` until it is first asked for: then it is read from the workspace.
    plan: Mutex<Option<Plan>>,
    /// None where the agent has no workspace.
    guard: Option<Arc<Guard>>,
}

impl Planning {
    pub fn new(guard: Option<Arc<Guard>>) -> Planning {
        Planning { plan: Mutex::new(None), guard }
    }

    fn answer(&self, name: &str, given: &Given) -> Result<String, String> {
        let mut held = self.lock();
        let (mut plan, note) = match held.take() {
            Some(plan) => (plan, String::new()),
            None => self.kept(),
        };
        let done = act(&mut plan, name, given);
        let kept = match &done {
            Ok((_, Changed::Yes)) => self.keep(&plan),
            Ok((_, Changed::No)) | Err(_) => String::new(),
        };
        *held = Some(plan);
        done.map(|(said, _)| format!("{note}{said}{kept}"))
    }

    /// Reads the plan of an earlier session.
    fn kept(&self) -> (Plan, String) {
        let Some(guard) = &self.guard else { return (Plan::default(), String::new()) };
        let Ok(bytes) = guard.read(FILE, FILE_BYTES_MAX) else {
            return (Plan::default(), String::new());
        };
        let read = serde_json::from_slice::<Plan>(&bytes).map_err(|error| error.to_string());
        match read.and_then(|plan| plan.check().map(|()| plan)) {
            Ok(plan) => (plan, String::new()),
            Err(why) => (
                Plan::default(),
                format!(
                    "({FILE} holds no plan that can be read, so this one begins empty: {why})\n"
                ),
            ),
        }
    }

    fn keep(&self, plan: &Plan) -> String {
        let Some(guard) = &self.guard else { return String::new() };
        let text = match serde_json::to_string_pretty(plan) {
            Ok(text) => text + "\n",
            Err(error) => return format!("\n(not written to {FILE}: {error})"),
        };
        match guard.write(FILE, text.as_bytes()) {
            Ok(_) => String::new(),
            Err(error) => format!("\n(not written to {FILE}: {error})"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Plan>> {
        // A plan is put back whole or not at all, so it is whole after a panic elsewhere too.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Toolbox for Planning {
    fn tools(&self) -> Vec<&'static Tool> {
        vec![&CREATE, &ADD, &UPDATE, &EDIT, &GET, &DELETE, &READY, &BLOCKED]
    }

    fn call(
        self: Arc<Self>,
        tool: &'static Tool,
        given: Given,
        _call: Invocation,
    ) -> BoxFuture<'static, ToolOutput> {
        blocking(move || match self.answer(tool.name, &given) {
            Ok(said) => ToolOutput::text(said),
            Err(problem) => ToolOutput::error(problem),
        })
    }
}

enum Changed {
    Yes,
    No,
}

fn act(plan: &mut Plan, name: &str, given: &Given) -> Result<(String, Changed), String> {
    let said = match name {
        "create_task_plan" => {
            *plan = Plan::create(given.objects("tasks").iter().map(wanted).collect())?;
            return Ok((shown(plan), Changed::Yes));
        }
        "add_task" => {
            let task = plan.add(wanted(given), given.maybe("after_task_id"))?;
            format!("Added {}", line(task, &[]))
        }
        "update_task_status" => {
            let (id, status) = (given.text("task_id"), Status::named(given.text("status")));
            let fresh: Vec<String> =
                plan.set_status(id, status)?.iter().map(|task| line(task, &[])).collect();
            let ready = if fresh.is_empty() {
                String::new()
            } else {
                format!("\nReady now:\n{}", fresh.join("\n"))
            };
            format!("`{id}` is {}.{ready}\n{}", status.name(), tally(plan))
        }
        "edit_task" => {
            let priority = given.maybe("priority").map(Priority::named);
            let task = plan.edit(
                given.text("task_id"),
                given.maybe("description"),
                priority,
                given.texts("depends_on"),
            )?;
            format!("Now {}", line(task, &[]))
        }
        "delete_task" => {
            let task = plan.delete(given.text("task_id"))?;
            format!("Removed `{}`.\n{}", task.id, tally(plan))
        }
        "get_ready_tasks" => {
            let ready: Vec<String> = plan.ready().iter().map(|task| line(task, &[])).collect();
            let said = if ready.is_empty() {
                format!("Nothing is ready. {}", tally(plan))
            } else {
                ready.join("\n")
            };
            return Ok((said, Changed::No));
        }
        "get_blocked_tasks" => {
            let blocked: Vec<String> =
                plan.blocked().iter().map(|(task, waits)| line(task, waits)).collect();
            let said = if blocked.is_empty() {
                "Nothing is blocked.".to_owned()
            } else {
                blocked.join("\n")
            };
            return Ok((said, Changed::No));
        }
        _ => return Ok((shown(plan), Changed::No)),
    };
    Ok((said, Changed::Yes))
}

fn wanted(given: &Given) -> Wanted {
    Wanted {
        id: given.maybe("id").map(str::to_owned),
        description: given.text("description").to_owned(),
        priority: given.maybe("priority").map(Priority::named).unwrap_or_default(),
        depends_on: given.texts("depends_on").unwrap_or_default(),
    }
}

fn shown(plan: &Plan) -> String {
    if plan.is_empty() {
        return "The plan is empty. Begin one with create_task_plan.".to_owned();
    }
    let mut text = tally(plan);
    for task in plan.tasks() {
        let _ = write!(text, "\n{}", line(task, &plan.open_dependencies(task)));
    }
    text
}

fn tally(plan: &Plan) -> String {
    let n_done = plan.tasks().iter().filter(|task| task.status == Status::Completed).count();
    format!("{n_done} of {} tasks completed, {} ready.", plan.tasks().len(), plan.ready().len())
}

fn line(task: &Task, waits: &[&str]) -> String {
    let waiting =
        if waits.is_empty() { String::new() } else { format!(" (waits for {})", waits.join(", ")) };
    let priority = match task.priority {
        Priority::Medium => String::new(),
        Priority::High | Priority::Low => format!(", {}", task.priority.name()),
    };
    format!("`{}` [{}{priority}] {}{waiting}", task.id, task.status.name(), task.description)
}
