//! Python functions of the user's that see calls before and after they are made.
//!
//! Each runs in a process of its own, confined as the agent's commands are, and ends with its
//! time. It gets `{"hook_type", "agent_id", "round", "tool_call_id", "tool_name", "tool_input"}`,
//! after a call `"tool_output"` and `"is_error"` besides, and returns nothing, or a map:
//!
//! | key | meaning |
//! |---|---|
//! | `decision` | `allow` (nobody is asked any more), `deny`, `ask`; `allowed: false` denies too |
//! | `reason` | told to the model |
//! | `arguments` (`updated_input`, `modified_args`) | instead of the call's |
//! | `replace`, `append` (`inject: {content}`) | after a call: instead of, or behind its result |
//!
//! What a hook changes goes through the rules like any other call: a hook can spare the
//! question, never a denial.

use std::path::{Path, PathBuf};

use massgen_protocol::{HookEvent, HookSpec, ToolOutput, ToolReport};
use massgen_sandbox::{Ended, Run, Stdin};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::facts::shortened;
use super::glob::fits;
use crate::{Equipment, Invocation};

const RUNNER: &str = include_str!("hooks/runner.py");

/// Largest answer of a hook; a result that is replaced is no longer than any other.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The hooks of one agent, in the order of its config.
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    equipment: Option<Equipment>,
}

struct Hook {
    spec: HookSpec,
    /// For people: `checks.py:check`.
    name: String,
    file: Option<PathBuf>,
    module: String,
    function: String,
}

/// What hooks say of a call that they do not deny.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Nothing,
    /// Nobody needs to be asked.
    Allow {
        by: String,
    },
    /// Somebody has to be asked.
    Ask {
        reason: String,
    },
}

/// A hook that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HookFault {
    Handler(String),
    /// Where the agent could rewrite it.
    InWorkspace(String),
}

/// What is read of an answer.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    allowed: Option<bool>,
    decision: Option<String>,
    reason: Option<Value>,
    #[serde(alias = "updated_input", alias = "modified_args")]
    arguments: Option<Value>,
    replace: Option<Value>,
    append: Option<Value>,
    inject: Option<Value>,
}

impl Hooks {
    pub fn of(specs: &[HookSpec], equipment: Option<Equipment>) -> Result<Hooks, HookFault> {
        let workspace = equipment.as_ref().map(|equipment| equipment.workspace.as_path());
        let hooks = specs.iter().map(|spec| Hook::of(spec, workspace)).collect::<Result<_, _>>()?;
        Ok(Hooks { hooks, equipment })
    }

    pub fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Asks the hooks that see a call before it is made, which may change it.
    ///
    /// # Errors
    /// Who denies it, and why.
    pub async fn before(&self, invocation: &mut Invocation) -> Result<Word, (String, String)> {
        let mut word = Word::Nothing;
        for hook in self.of_event(HookEvent::PreToolUse, &invocation.name) {
            let by = format!("hook {}", hook.name);
            let event = event(invocation, "PreToolUse");
            let answer = match self.run(hook, event).await {
                Ok(answer) => answer,
                Err(fault) if hook.spec.fail_closed => return Err((by, failed(&fault))),
                Err(fault) => {
                    notice(invocation, format!("{by} {}: the call goes on", failed(&fault)));
                    continue;
                }
            };
            let reason = answer.reason();
            if answer.denies() {
                let reason = reason.unwrap_or_else(|| "it gave no reason".to_owned());
                return Err((by, reason));
            }
            match answer.arguments {
                None => {}
                Some(given) => match object(given) {
                    Some(arguments) if arguments == invocation.arguments => {}
                    Some(arguments) => {
                        let what = format!("{by} changed the arguments of `{}`", invocation.name);
                        notice(invocation, what);
                        invocation.arguments = arguments;
                    }
                    None => return Err((by, "it gave arguments that are no map".to_owned())),
                },
            }
            let decision = answer.decision.as_deref().map(str::to_ascii_lowercase);
            match decision.as_deref() {
                Some("ask") => {
                    let reason = reason.unwrap_or_else(|| format!("{by} asks"));
                    word = Word::Ask { reason };
                }
                Some("allow" | "approve") if word == Word::Nothing => word = Word::Allow { by },
                Some(_) | None => {}
            }
        }
        Ok(word)
    }

    /// Shows a result to the hooks that see it, which may change it.
    pub async fn after(&self, invocation: &Invocation, output: &mut ToolOutput) {
        for hook in self.of_event(HookEvent::PostToolUse, &invocation.name) {
            let by = format!("hook {}", hook.name);
            let mut event = event(invocation, "PostToolUse");
            if let Value::Object(event) = &mut event {
                event.insert("tool_output".to_owned(), json!(output.text));
                event.insert("is_error".to_owned(), json!(output.is_error));
            }
            let answer = match self.run(hook, event).await {
                Ok(answer) => answer,
                Err(fault) => {
                    let fault = failed(&fault);
                    if hook.spec.fail_closed {
                        notice(invocation, format!("{by} {fault}: the result is held back"));
                        *output = held_back(&by, &fault);
                    } else {
                        notice(invocation, format!("{by} {fault}: the result goes on"));
                    }
                    continue;
                }
            };
            if answer.denies() {
                let reason = answer.reason().unwrap_or_else(|| "it gave no reason".to_owned());
                notice(invocation, format!("{by} holds the result back: {reason}"));
                *output = held_back(&by, &reason);
                continue;
            }
            if let Some(text) = answer.replace.as_ref().map(text) {
                notice(invocation, format!("{by} replaced the result of `{}`", invocation.name));
                // Pictures belong to what was there.
                *output = ToolOutput { text, is_error: output.is_error, media: Vec::new() };
            }
            if let Some(more) = answer.appended().filter(|more| !more.is_empty()) {
                notice(invocation, format!("{by} added to the result of `{}`", invocation.name));
                let end =
                    if output.text.is_empty() || output.text.ends_with('\n') { "" } else { "\n" };
                output.text = format!("{}{end}{more}", output.text);
            }
        }
    }

    fn of_event<'h>(&'h self, event: HookEvent, tool: &'h str) -> impl Iterator<Item = &'h Hook> {
        self.hooks.iter().filter(move |hook| hook.spec.event == event && hook.matches(tool))
    }

    /// Runs a hook to its end, and reads its answer.
    async fn run(&self, hook: &Hook, event: Value) -> Result<Answer, String> {
        let Some(equipment) = &self.equipment else {
            return Err("there is nowhere to run it".to_owned());
        };
        let mut confinement = equipment.confinement.clone();
        if let Some(folder) = hook.file.as_deref().and_then(Path::parent) {
            confinement.read.push(folder.to_owned());
        }
        confinement.limits.output_bytes = confinement.limits.output_bytes.max(ANSWER_BYTES_MAX);
        let file = hook.file.as_ref().map(|file| file.to_string_lossy().into_owned());
        let mut run = Run::new(
            "python3",
            [
                "-I",
                "-X",
                "utf8",
                "-c",
                RUNNER,
                &file.unwrap_or_default(),
                &hook.module,
                &hook.function,
            ],
        );
        run.env.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
        run.stdin = Stdin::Bytes(event.to_string().into_bytes());
        run.time_ms = Some(hook.spec.timeout_ms);
        let outcome = equipment.sandbox.run(&confinement, run, |_, _| {}).await;
        match &outcome.ended {
            Ended::Exit(0) => {}
            Ended::Exit(code) => {
                let said = outcome.stderr.lines().last().unwrap_or_default();
                return Err(format!("ended with status {code}: {}", shortened(said)));
            }
            Ended::Signal(signal) => return Err(format!("was ended by signal {signal}")),
            Ended::TimedOut => {
                return Err(format!("took longer than {} s", hook.spec.timeout_ms as f64 / 1e3));
            }
            Ended::NotStarted(why) => return Err(format!("did not start: {}", shortened(why))),
        }
        #[derive(Deserialize)]
        struct Said {
            result: Option<Answer>,
            error: Option<String>,
        }
        let said: Said = serde_json::from_str(&outcome.stdout)
            .map_err(|error| format!("gave no answer that can be read: {error}"))?;
        match said {
            Said { error: Some(error), .. } => Err(format!("raised {}", shortened(&error))),
            Said { result: Some(answer), .. } => Ok(answer),
            Said { .. } => Err("gave no answer".to_owned()),
        }
    }
}

impl Hook {
    fn of(spec: &HookSpec, workspace: Option<&Path>) -> Result<Hook, HookFault> {
        let fault = || HookFault::Handler(spec.handler.clone());
        let (file, module, function) = match spec.handler.rsplit_once(".py:") {
            Some((file, function)) => {
                let file = PathBuf::from(format!("{file}.py"));
                if !file.is_absolute() {
                    return Err(fault());
                }
                (Some(file), String::new(), function.to_owned())
            }
            None => {
                let (module, function) = spec.handler.rsplit_once('.').ok_or_else(fault)?;
                (None, module.to_owned(), function.to_owned())
            }
        };
        if let (Some(file), Some(workspace)) = (&file, workspace)
            && file.starts_with(workspace)
        {
            return Err(HookFault::InWorkspace(spec.handler.clone()));
        }
        let name = spec.handler.rsplit('/').next().unwrap_or(&spec.handler);
        Ok(Hook { spec: spec.clone(), name: shortened(name), file, module, function })
    }

    /// A tool is known by its whole name and by the one its server has for it, a tool of ours
    /// also by those it has elsewhere.
    fn matches(&self, tool: &str) -> bool {
        let bare = tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__"));
        let bare = bare.map(|(_, tool)| tool).or(tool.strip_prefix("custom_tool__"));
        self.spec.matcher.split('|').map(str::trim).any(|pattern| {
            fits(pattern, tool)
                || bare.is_some_and(|bare| fits(pattern, bare))
                || crate::builtin::native(pattern) == tool
        })
    }
}

impl Answer {
    fn denies(&self) -> bool {
        let decision = self.decision.as_deref().map(str::to_ascii_lowercase);
        self.allowed == Some(false) || matches!(decision.as_deref(), Some("deny" | "block"))
    }

    fn reason(&self) -> Option<String> {
        let reason = self.reason.as_ref().map(text)?;
        let reason = shortened(reason.trim());
        (!reason.is_empty()).then_some(reason)
    }

    fn appended(&self) -> Option<String> {
        let injected = self.inject.as_ref().map(|inject| inject.get("content").unwrap_or(inject));
        self.append.as_ref().or(injected).map(text)
    }
}

fn event(invocation: &Invocation, kind: &str) -> Value {
    json!({
        "hook_type": kind,
        "agent_id": invocation.agent.alias().to_string(),
        "round": invocation.round.to_string(),
        "tool_call_id": invocation.id.0,
        "tool_name": invocation.name,
        "tool_input": invocation.arguments,
    })
}

/// Arguments as a map, or as its text.
fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        Value::String(text) => serde_json::from_str(&text).ok(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn failed(fault: &str) -> String {
    format!("failed, it {fault}")
}

fn held_back(by: &str, reason: &str) -> ToolOutput {
    ToolOutput::error(format!(
        "The call was made, but {by} holds its result back: {reason}. Do not make it again."
    ))
}

fn notice(invocation: &Invocation, what: String) {
    invocation.reports.say(ToolReport::Notice { what });
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_sees_the_tools_it_is_for() {
        for (matcher, tool, is_for) in [
            ("*", "execute_command", true),
            ("execute_*", "execute_command", true),
            ("write_file|execute_command", "execute_command", true),
            ("write_file | execute_command", "execute_command", true),
            ("mcp__command_line__execute_command", "execute_command", true),
            ("create_issue", "mcp__linear__create_issue", true),
            ("mcp__linear__*", "mcp__linear__create_issue", true),
            ("add", "custom_tool__add", true),
            ("write_file|edit_*", "execute_command", false),
            ("linear", "mcp__linear__create_issue", false),
            ("", "execute_command", false),
        ] {
            let spec = HookSpec {
                event: HookEvent::PreToolUse,
                matcher: matcher.to_owned(),
                handler: "a.b".to_owned(),
                timeout_ms: 1,
                fail_closed: false,
            };
            let hook = Hook::of(&spec, None).unwrap();
            assert_eq!(hook.matches(tool), is_for, "{matcher} on {tool}");
        }
    }

    #[test]
    fn answers_are_read_in_every_form() {
        let read = |text: &str| serde_json::from_str::<Answer>(text).unwrap();
        assert!(!read("{}").denies());
        assert!(read(r#"{"allowed": false}"#).denies());
        assert!(read(r#"{"decision": "Deny"}"#).denies());
        assert!(read(r#"{"decision": "block", "allowed": true}"#).denies());
        assert!(!read(r#"{"decision": "perhaps"}"#).denies());
        assert_eq!(read(r#"{"reason": " a\nb "}"#).reason().as_deref(), Some("a b"));
        assert_eq!(read(r#"{"inject": {"content": "x"}}"#).appended().as_deref(), Some("x"));
        assert_eq!(read(r#"{"inject": "y"}"#).appended().as_deref(), Some("y"));
        assert_eq!(object(json!("{\"a\": 1}")), object(json!({"a": 1})));
        assert_eq!(object(json!("[1]")), None);
        assert!(serde_json::from_str::<Answer>("[]").is_err_and(|error| error.is_data()));
    }
}
