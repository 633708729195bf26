//! The command line of an agent, in the sandbox.

mod filter;
mod ring;
mod shells;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use massgen_protocol::{CommandSpec, NetworkPolicy, ToolEffect, ToolOutput, ToolReport};
use massgen_sandbox::{Confinement, Ended, Outcome, Run, Rung, Sandbox, Stream};
use massgen_workspace::{Guard, Kind as FileKind};

use self::filter::Filter;
use self::shells::Shells;
use super::params::{Given, Kind, Param, Tool};
use super::{Invocation, Toolbox, clock};
use crate::{Equipment, Reports};

/// A command line that is longer belongs into a file.
const COMMAND_BYTES_MAX: usize = 100_000;
/// Seconds a model may ask for; what is allowed is a setting.
const TIMEOUT_MAX: u64 = 86_400;
/// Bytes of one command's output that people see while it runs.
const STREAMED_BYTES_MAX: usize = 256 << 10;

const COMMAND: Param =
    Param::need("command", Kind::Text, "The command line").or(&["cmd", "script"]);
const WORK_DIR: Param =
    Param::may("work_dir", Kind::Text, "Folder to run it in; the workspace if none is given")
        .or(&["cwd", "workdir", "working_directory"]);
const SHELL_ID: Param =
    Param::need("shell_id", Kind::Text, "Id of the background command").or(&["id"]);

static EXECUTE: Tool = Tool {
    name: "execute_command",
    does: "Runs a command line in a shell and returns what it prints with its exit code. It may write to your \
           workspace and temporary folders only, and ends with all it started. Use start_background_shell for \
           what is to run on.",
    effect: ToolEffect::Write,
    takes: &[
        COMMAND,
        Param::may("timeout", Kind::Count { min: 1, max: TIMEOUT_MAX }, "Seconds it may take")
            .or(&["timeout_seconds"]),
        WORK_DIR,
    ],
};
static START: Tool = Tool {
    name: "start_background_shell",
    does: "Starts a command line that runs on while you do other things, like a server or a long build. \
           Returns its id. It ends with the run.",
    effect: ToolEffect::Write,
    takes: &[COMMAND, WORK_DIR],
};
static OUTPUT: Tool = Tool {
    name: "get_background_shell_output",
    does: "Returns what a background command has printed since you last asked, and whether it runs.",
    effect: ToolEffect::Read,
    takes: &[SHELL_ID],
};
static STATUS: Tool = Tool {
    name: "get_background_shell_status",
    does: "Tells whether a background command runs, since when, or how it ended.",
    effect: ToolEffect::Read,
    takes: &[SHELL_ID],
};
static KILL: Tool = Tool {
    name: "kill_background_shell",
    does: "Ends a background command with all it started.",
    effect: ToolEffect::Write,
    takes: &[SHELL_ID],
};
static LIST: Tool = Tool {
    name: "list_background_shells",
    does: "Lists background commands and how they stand.",
    effect: ToolEffect::Read,
    takes: &[],
};

pub(super) struct Commands {
    guard: Arc<Guard>,
    sandbox: Arc<Sandbox>,
    confinement: Confinement,
    filter: Filter,
    shell: &'static str,
    time: Duration,
    time_max: Duration,
    shells: Shells,
}

impl Commands {
    /// Returns them with what is wrong in the rules.
    pub fn new(spec: &CommandSpec, equipment: &Equipment) -> (Commands, Vec<String>) {
        let (filter, problems) = Filter::new(spec);
        let limit = equipment.confinement.limits.time_ms;
        let time = spec.timeout_ms.unwrap_or(limit);
        let has_bash = equipment.sandbox.rung() != Rung::Container
            && ["/bin/bash", "/usr/bin/bash"].iter().any(|path| Path::new(path).exists());
        let commands = Commands {
            guard: equipment.guard.clone(),
            sandbox: equipment.sandbox.clone(),
            confinement: equipment.confinement.clone(),
            filter,
            shell: if has_bash { "bash" } else { "sh" },
            time: Duration::from_millis(time),
            time_max: Duration::from_millis(time.max(limit)),
            shells: Shells::default(),
        };
        (commands, problems)
    }

    async fn execute(&self, given: &Given, reports: &Reports) -> ToolOutput {
        let (command, confinement) = match self.prepared(given).await {
            Ok(prepared) => prepared,
            Err(problem) => return ToolOutput::error(problem),
        };
        let asked = given.count("timeout").map(Duration::from_secs);
        let time = asked.unwrap_or(self.time).min(self.time_max);
        let mut streamed = 0;
        let say = |_: Stream, text: &str| {
            if streamed <= STREAMED_BYTES_MAX && !text.is_empty() {
                streamed += text.len();
                let text = if streamed > STREAMED_BYTES_MAX {
                    "\n[what it prints from here on is not shown]\n"
                } else {
                    text
                };
                reports.say(ToolReport::Output { text: text.to_owned() });
            }
        };
        let outcome = self.sandbox.run(&confinement, self.run(&command, time), say).await;
        let cut = asked.is_some_and(|asked| asked > self.time_max);
        let note = if cut {
            format!(" (at most {} are allowed)", clock(self.time_max))
        } else {
            String::new()
        };
        let how = format!("{}{note}", ending(&outcome, time, &confinement));
        let text = [Some(how), part("stdout", &outcome.stdout), part("stderr", &outcome.stderr)];
        ToolOutput {
            text: text.into_iter().flatten().collect::<Vec<_>>().join("\n\n"),
            // A command that says no is an answer; one that was ended is not.
            is_error: !matches!(outcome.ended, Ended::Exit(_)),
            media: Vec::new(),
        }
    }

    async fn start(&self, given: &Given) -> Result<String, String> {
        let (command, confinement) = self.prepared(given).await?;
        let run = self.run(&command, shells::TIME);
        self.shells.start(&command, self.sandbox.clone(), confinement, run)
    }

    /// Checks the command and finds where it runs.
    async fn prepared(&self, given: &Given) -> Result<(String, Confinement), String> {
        let command = given.text("command").to_owned();
        if command.len() > COMMAND_BYTES_MAX {
            return Err(format!(
                "a command has at most {COMMAND_BYTES_MAX} bytes: write it to a file and run that"
            ));
        }
        self.filter.check(&command)?;
        let mut confinement = self.confinement.clone();
        if let Some(folder) = given.maybe("work_dir") {
            let (guard, folder) = (self.guard.clone(), folder.to_owned());
            let found = tokio::task::spawn_blocking(move || {
                match guard.stat(&folder).map_err(|error| error.full_text())?.kind {
                    FileKind::Folder => guard.real_path(&folder).map_err(|error| error.full_text()),
                    FileKind::File | FileKind::Link | FileKind::Special => {
                        Err(format!("`{folder}` is not a folder"))
                    }
                }
            });
            confinement.cwd =
                found.await.map_err(|_| "failed to look for the folder".to_owned())??;
        }
        Ok((command, confinement))
    }

    fn run(&self, command: &str, time: Duration) -> Run {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Run { time_ms: Some(time_ms), ..Run::new(self.shell, ["-c", command]) }
    }
}

impl Toolbox for Commands {
    fn tools(&self) -> Vec<&'static Tool> {
        vec![&EXECUTE, &START, &OUTPUT, &STATUS, &KILL, &LIST]
    }

    /// What a command does in the network, or without a sandbox, cannot be taken back.
    fn effect(&self, tool: &Tool) -> ToolEffect {
        let is_held =
            self.confinement.network == NetworkPolicy::Off && self.sandbox.rung() != Rung::Off;
        match (tool.name, is_held) {
            ("execute_command" | "start_background_shell", false) => ToolEffect::Irreversible,
            (_, _) => tool.effect,
        }
    }

    fn call(
        self: Arc<Self>,
        tool: &'static Tool,
        given: Given,
        call: Invocation,
    ) -> BoxFuture<'static, ToolOutput> {
        Box::pin(async move {
            let id = given.text("shell_id");
            let done = match tool.name {
                "execute_command" => return self.execute(&given, &call.reports).await,
                "start_background_shell" => self.start(&given).await,
                "get_background_shell_output" => self.shells.output(id),
                "get_background_shell_status" => self.shells.status(id),
                "kill_background_shell" => self.shells.kill(id).await,
                _ => Ok(self.shells.list()),
            };
            done.map_or_else(ToolOutput::error, ToolOutput::text)
        })
    }
}

/// How a command ended, in a line.
fn ending(outcome: &Outcome, time: Duration, confinement: &Confinement) -> String {
    let took = clock(outcome.took);
    let how = match &outcome.ended {
        Ended::Exit(code) => format!("Exit code {code} after {took}."),
        Ended::Signal(signal) => format!("Ended by signal {signal} after {took}."),
        Ended::TimedOut => {
            format!("Not done after {}, so it was ended with all it had started.", clock(time))
        }
        Ended::NotStarted(why) => format!("Not started: {why}."),
    };
    match outcome.exceeded {
        Some(exceeded) => format!("{how} It {}.", exceeded.words(&confinement.limits)),
        None => how,
    }
}

fn part(name: &str, text: &str) -> Option<String> {
    let text = text.trim_end();
    (!text.is_empty()).then(|| format!("{name}:\n{text}"))
}
