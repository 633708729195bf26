//! A list of tasks and what may be done with it. Pure: no clock, no files.

use serde::{Deserialize, Serialize};

/// More than anybody keeps an eye on, and short enough to be shown whole.
pub const TASKS_MAX: usize = 200;
/// Characters of one description.
pub const DESCRIPTION_MAX: usize = 2_000;
/// Characters of a task's name.
const ID_MAX: usize = 80;

/// Tasks in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    tasks: Vec<Task>,
    /// Number of the next task that comes without a name; never used twice.
    #[serde(default)]
    n_named: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub id: String,
    pub description: String,
    #[serde(default)]
    pub status: Status,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default)]
    pub dependencies: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Pending,
    InProgress,
    Completed,
    Blocked,
}

impl Status {
    pub const NAMES: &[&str] = &["pending", "in_progress", "completed", "blocked"];

    pub fn named(name: &str) -> Status {
        match name {
            "in_progress" => Status::InProgress,
            "completed" => Status::Completed,
            "blocked" => Status::Blocked,
            _ => Status::Pending,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Blocked => "blocked",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    High,
    #[default]
    Medium,
    Low,
}

impl Priority {
    pub const NAMES: &[&str] = &["high", "medium", "low"];

    pub fn named(name: &str) -> Priority {
        match name {
            "high" => Priority::High,
            "low" => Priority::Low,
            _ => Priority::Medium,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Medium => "medium",
            Priority::Low => "low",
        }
    }
}

/// A task as it is asked for. Dependencies are names, or positions in the same call from 0.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub id: Option<String>,
    pub description: String,
    pub priority: Priority,
    pub depends_on: Vec<String>,
}

impl Plan {
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Makes a plan of tasks that may depend on each other.
    ///
    /// # Errors
    /// What is wrong with it, in words for the model.
    pub fn create(wanted: Vec<Wanted>) -> Result<Plan, String> {
        let mut plan = Plan::default();
        let mut ids = Vec::new();
        for task in &wanted {
            let id = plan.fresh_id(task.id.as_deref(), &ids)?;
            ids.push(id);
        }
        for (id, task) in ids.iter().zip(wanted) {
            let dependencies = task.depends_on.iter().map(|name| named_or_nth(name, &ids));
            let dependencies = dependencies.collect::<Result<Vec<_>, _>>()?;
            plan.tasks.push(Task {
                id: id.clone(),
                description: described(&task.description)?,
                status: Status::Pending,
                priority: task.priority,
                dependencies: distinct(dependencies),
            });
        }
        plan.check()?;
        Ok(plan)
    }

    /// Adds a task after another, or at the end.
    ///
    /// # Errors
    /// What is wrong with it; the plan is as before.
    pub fn add(&mut self, wanted: Wanted, after: Option<&str>) -> Result<&Task, String> {
        let taken: Vec<String> = self.tasks.iter().map(|task| task.id.clone()).collect();
        let mut plan = self.clone();
        let id = plan.fresh_id(wanted.id.as_deref(), &taken)?;
        let at = match after {
            Some(after) => self.position(after)? + 1,
            None => self.tasks.len(),
        };
        let dependencies =
            wanted.depends_on.iter().map(|name| self.position(name).map(|_| name.clone()));
        plan.tasks.insert(
            at,
            Task {
                id,
                description: described(&wanted.description)?,
                status: Status::Pending,
                priority: wanted.priority,
                dependencies: distinct(dependencies.collect::<Result<Vec<_>, _>>()?),
            },
        );
        plan.check()?;
        *self = plan;
        Ok(&self.tasks[at])
    }

    /// Sets a status; returns the tasks that have become ready by it.
    ///
    /// # Errors
    /// If there is no such task, or it waits for others and was to begin or end.
    pub fn set_status(&mut self, id: &str, status: Status) -> Result<Vec<&Task>, String> {
        let at = self.position(id)?;
        if matches!(status, Status::InProgress | Status::Completed) {
            let open = self.open_dependencies(&self.tasks[at]);
            if !open.is_empty() {
                return Err(format!("`{id}` waits for {}: complete those first", quoted(&open)));
            }
        }
        let before: Vec<String> = self.ready().iter().map(|task| task.id.clone()).collect();
        self.tasks[at].status = status;
        let fresh = self.ready().into_iter().filter(|task| !before.contains(&task.id));
        Ok(fresh.collect())
    }

    /// Changes what is given of a task.
    ///
    /// # Errors
    /// What is wrong with it; the plan is as before.
    pub fn edit(
        &mut self,
        id: &str,
        description: Option<&str>,
        priority: Option<Priority>,
        depends_on: Option<Vec<String>>,
    ) -> Result<&Task, String> {
        let at = self.position(id)?;
        let mut plan = self.clone();
        let task = &mut plan.tasks[at];
        if let Some(description) = description {
            task.description = described(description)?;
        }
        task.priority = priority.unwrap_or(task.priority);
        if let Some(names) = depends_on {
            for name in &names {
                self.position(name)?;
            }
            task.dependencies = distinct(names);
        }
        plan.check()?;
        *self = plan;
        Ok(&self.tasks[at])
    }

    /// Removes a task nobody waits for.
    ///
    /// # Errors
    /// If there is no such task, or others depend on it.
    pub fn delete(&mut self, id: &str) -> Result<Task, String> {
        let at = self.position(id)?;
        let waiting: Vec<&str> = self
            .tasks
            .iter()
            .filter(|task| task.dependencies.iter().any(|name| name == id))
            .map(|task| task.id.as_str())
            .collect();
        if !waiting.is_empty() {
            return Err(format!(
                "{} depend on `{id}`: change those first with edit_task",
                quoted(&waiting)
            ));
        }
        Ok(self.tasks.remove(at))
    }

    /// Returns what can be begun now, most important first.
    pub fn ready(&self) -> Vec<&Task> {
        let mut ready: Vec<&Task> = self
            .tasks
            .iter()
            .filter(|task| {
                task.status == Status::Pending && self.open_dependencies(task).is_empty()
            })
            .collect();
        ready.sort_by_key(|task| task.priority);
        ready
    }

    /// Returns what waits, each with the tasks it waits for; none where it is blocked by itself.
    pub fn blocked(&self) -> Vec<(&Task, Vec<&str>)> {
        let open = self.tasks.iter().filter(|task| task.status != Status::Completed);
        open.map(|task| (task, self.open_dependencies(task)))
            .filter(|(task, waits)| task.status == Status::Blocked || !waits.is_empty())
            .collect()
    }

    pub fn open_dependencies<'a>(&'a self, task: &'a Task) -> Vec<&'a str> {
        let done = |name: &str| {
            self.tasks.iter().any(|other| other.id == name && other.status == Status::Completed)
        };
        task.dependencies.iter().map(String::as_str).filter(|name| !done(name)).collect()
    }

    /// Checks what must hold of any plan, also of one that was read from a file.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(&self) -> Result<(), String> {
        if self.tasks.len() > TASKS_MAX {
            return Err(format!("a plan has at most {TASKS_MAX} tasks"));
        }
        for (at, task) in self.tasks.iter().enumerate() {
            if self.tasks[..at].iter().any(|other| other.id == task.id) {
                return Err(format!("there are two tasks `{}`", task.id));
            }
            described(&task.description)?;
            for name in &task.dependencies {
                self.position(name)?;
            }
        }
        match self.cycle() {
            Some(cycle) => {
                Err(format!("tasks wait for each other in a circle: {}", cycle.join(" → ")))
            }
            None => Ok(()),
        }
    }

    fn cycle(&self) -> Option<Vec<String>> {
        // Take away what waits for nothing that is left, until nothing more can be taken.
        let mut left: Vec<&Task> = self.tasks.iter().collect();
        loop {
            let ids: Vec<&str> = left.iter().map(|task| task.id.as_str()).collect();
            let n_before = left.len();
            left.retain(|task| task.dependencies.iter().any(|name| ids.contains(&name.as_str())));
            if left.len() == n_before {
                break;
            }
        }
        let mut path = vec![left.first()?.id.clone()];
        loop {
            let last = left.iter().find(|task| Some(&task.id) == path.last())?;
            let next =
                last.dependencies.iter().find(|name| left.iter().any(|task| task.id == **name))?;
            let seen = path.iter().position(|id| id == next);
            path.push(next.clone());
            if let Some(begin) = seen {
                return Some(path.split_off(begin));
            }
        }
    }

    fn position(&self, id: &str) -> Result<usize, String> {
        self.tasks.iter().position(|task| task.id == id).ok_or_else(|| {
            let some: Vec<&str> = self.tasks.iter().take(20).map(|task| task.id.as_str()).collect();
            if some.is_empty() {
                format!("there is no task `{id}`: the plan is empty, begin with create_task_plan")
            } else {
                format!("there is no task `{id}`; tasks are {}", quoted(&some))
            }
        })
    }

    fn fresh_id(&mut self, wanted: Option<&str>, taken: &[String]) -> Result<String, String> {
        if let Some(id) = wanted.map(str::trim).filter(|id| !id.is_empty()) {
            if id.chars().count() > ID_MAX {
                return Err(format!("the name of a task has at most {ID_MAX} characters"));
            }
            return if taken.iter().any(|other| other == id) {
                Err(format!("there are two tasks `{id}`"))
            } else {
                Ok(id.to_owned())
            };
        }
        loop {
            self.n_named += 1;
            let id = format!("task_{}", self.n_named);
            if !taken.contains(&id) {
                return Ok(id);
            }
        }
    }
}

fn described(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("a task needs a description".to_owned()),
        n if n > DESCRIPTION_MAX => {
            Err(format!("a description has at most {DESCRIPTION_MAX} characters, this one {n}"))
        }
        _ => Ok(text.to_owned()),
    }
}

fn named_or_nth(name: &str, ids: &[String]) -> Result<String, String> {
    if ids.iter().any(|id| id == name) {
        return Ok(name.to_owned());
    }
    name.parse::<usize>()
        .ok()
        .and_then(|nth| ids.get(nth))
        .cloned()
        .ok_or_else(|| format!("there is no task `{name}` to depend on"))
}

fn distinct(names: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn plan(tasks: &[(&str, &[&str])]) -> Result<Plan, String> {
        Plan::create(
            tasks
                .iter()
                .map(|(id, needs)| Wanted {
                    id: (!id.is_empty()).then(|| (*id).to_owned()),
                    description: format!("do {id}."),
                    depends_on: needs.iter().map(|name| (*name).to_owned()).collect(),
                    ..Wanted::default()
                })
                .collect(),
        )
    }

    fn ids(tasks: Vec<&Task>) -> Vec<&str> {
        tasks.into_iter().map(|task| task.id.as_str()).collect()
    }

    #[test]
    fn tasks_become_ready_as_others_are_done() {
        let mut plan = plan(&[("a", &[]), ("b", &["a"]), ("c", &["0", "b"])]).unwrap();
        assert_eq!(ids(plan.ready()), ["a"]);
        assert_eq!(plan.blocked().len(), 2);
        assert!(plan.set_status("b", Status::InProgress).unwrap_err().contains("waits for `a`"));
        assert_eq!(ids(plan.set_status("a", Status::Completed).unwrap()), ["b"]);
        assert_eq!(ids(plan.set_status("b", Status::Completed).unwrap()), ["c"]);
        assert!(plan.blocked().is_empty());
    }

    #[test]
    fn circles_are_refused_and_named() {
        let said = plan(&[("a", &["c"]), ("b", &["a"]), ("c", &["b"]), ("d", &["a"])]).unwrap_err();
        assert!(said.contains("a → c → b → a"), "{said}");
        assert!(plan(&[("a", &["a"])]).unwrap_err().contains("a → a"));
        let mut fine = plan(&[("a", &[]), ("b", &["a"])]).unwrap();
        let before = fine.clone();
        assert!(fine.edit("a", None, None, Some(vec!["b".into()])).unwrap_err().contains("circle"));
        assert_eq!(fine, before);
    }

    #[test]
    fn wrong_plans_are_told() {
        assert!(plan(&[("a", &[]), ("a", &[])]).unwrap_err().contains("two tasks `a`"));
        assert!(plan(&[("a", &["z"])]).unwrap_err().contains("no task `z`"));
        assert!(plan(&[("a", &["7"])]).unwrap_err().contains("no task `7`"));
        assert!(Plan::create(vec![Wanted::default()]).unwrap_err().contains("needs a description"));
        let long = Wanted { description: "x".repeat(DESCRIPTION_MAX + 1), ..Wanted::default() };
        assert!(Plan::create(vec![long]).unwrap_err().contains("at most 2000"));
        let many: Vec<Wanted> = (0..=TASKS_MAX)
            .map(|_| Wanted { description: "x".into(), ..Wanted::default() })
            .collect();
        assert!(Plan::create(many).unwrap_err().contains("at most 200 tasks"));
    }

    #[test]
    fn a_task_others_need_stays() {
        let mut plan = plan(&[("", &[]), ("b", &["task_1"])]).unwrap();
        assert!(plan.delete("task_1").unwrap_err().contains("`b` depend on"));
        plan.delete("b").unwrap();
        plan.delete("task_1").unwrap();
        assert!(plan.delete("task_1").unwrap_err().contains("the plan is empty"));
        let again =
            plan.add(Wanted { description: "x".into(), ..Wanted::default() }, None).unwrap();
        assert_eq!(again.id, "task_2", "a name is not used twice");
    }

    #[test]
    fn added_tasks_stand_where_they_are_put() {
        let mut plan = plan(&[("a", &[]), ("c", &[])]).unwrap();
        let high = Wanted {
            id: Some("b".into()),
            description: "x".into(),
            priority: Priority::High,
            depends_on: Vec::new(),
        };
        plan.add(high, Some("a")).unwrap();
        assert_eq!(
            plan.tasks().iter().map(|task| task.id.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(ids(plan.ready()), ["b", "a", "c"], "most important first");
    }
}
