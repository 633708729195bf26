//! What a call does, in the words of rules.

mod location;

use std::path::Path;

use massgen_protocol::{RuleAction, ToolEffect};
use serde_json::{Map, Value};

use super::risk::{self, Risk};
use super::shell::{self, Script};
pub(super) use location::Location;

/// Longest text shown to whoever decides.
const SHOWN_CHARS_MAX: usize = 400;

/// Most paths of one call that are looked at; more are asked about.
pub(super) const PATHS_MAX: usize = 1_000;

/// Servers whose tools are file tools under other names.
const FILE_SERVERS: [&str; 3] = ["filesystem", "workspace_tools", "workspace_copy"];

/// Tools of ours that run a command, under the names of their arguments.
const COMMAND_TOOLS: [&str; 4] =
    ["execute_command", "start_background_shell", "bash", "run_command"];
const COMMAND_KEYS: [&str; 3] = ["command", "cmd", "script"];

/// Tools of ours that touch files.
const FILE_TOOLS: [&str; 19] = [
    "read_text_file",
    "read_file",
    "read_multiple_files",
    "read_media",
    "get_file_info",
    "list_directory",
    "list_directory_with_sizes",
    "directory_tree",
    "search_files",
    "search_text",
    "compare_files",
    "compare_directories",
    "write_file",
    "edit_file",
    "create_directory",
    "move_file",
    "delete_file",
    "delete_files_batch",
    "share_insight",
];
const COPYING: [&str; 2] = ["copy_file", "copy_files_batch"];

/// Tools of ours that touch neither files of the agent's choice nor anything outside.
#[cfg(test)]
const NOTES: [&str; 13] = [
    "add_task",
    "create_task_plan",
    "delete_task",
    "edit_task",
    "get_background_shell_output",
    "get_background_shell_status",
    "get_blocked_tasks",
    "get_ready_tasks",
    "get_task_plan",
    "kill_background_shell",
    "list_allowed_directories",
    "list_background_shells",
    "update_task_status",
];

/// Arguments of file tools that are no paths, without `_` and in small letters. Tools take
/// paths under many names, so that every other text counts as one.
const CONTENTS: [&str; 27] = [
    "content",
    "contents",
    "text",
    "data",
    "edits",
    "oldtext",
    "newtext",
    "oldstring",
    "newstring",
    "pattern",
    "regex",
    "query",
    "glob",
    "name",
    "include",
    "exclude",
    "includepatterns",
    "excludepatterns",
    "filepattern",
    "sortby",
    "encoding",
    "insight",
    "finding",
    "message",
    "context",
    "description",
    "type",
];
/// Of a tool that copies, what is only read.
const SOURCES: [&str; 4] = ["source", "sourcepath", "sourcebasepath", "from"];

/// One thing that a call does.
#[derive(Debug)]
pub(super) enum Subject {
    Command {
        line: String,
        script: Script,
        is_confined: bool,
    },
    ReadFile(Location),
    WriteFile(Location),
    ReadUrl(String),
    /// `server/tool`, and the names it has besides.
    Tool {
        name: String,
        aliases: Vec<String>,
    },
    /// A tool of ours that touches none of these.
    Own(String),
}

/// A call to decide about.
#[derive(Debug)]
pub(super) struct Facts {
    /// For whoever decides.
    pub what: String,
    pub subjects: Vec<(Subject, Risk)>,
    /// There were more paths than anybody looks at.
    pub is_cut: bool,
}

/// Where a call is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    /// Relative paths start there.
    pub workspace: Option<&'a Path>,
    /// What it runs is kept to the agent's own folders.
    pub is_confined: bool,
}

impl Facts {
    /// Looks at a call. Links are followed on the disk: call it where that may block.
    pub fn of(
        name: &str,
        arguments: &Map<String, Value>,
        effect: ToolEffect,
        scene: Scene<'_>,
    ) -> Facts {
        let (server, tool) = names(name);
        let mut subjects: Vec<(Subject, Risk)> = Vec::new();
        let mut is_cut = false;
        let is_file_server = server.is_some_and(|server| FILE_SERVERS.contains(&server));
        let copies = COPYING.contains(&tool);
        let is_file_tool =
            is_file_server || (server.is_none() && (copies || FILE_TOOLS.contains(&tool)));
        let runs_command =
            COMMAND_TOOLS.contains(&tool) && server.is_none_or(|server| server == "command_line");
        if runs_command {
            let lines = COMMAND_KEYS.iter().filter_map(|key| arguments.get(*key));
            for line in lines {
                let line = command_line(line);
                let script = shell::split(&line);
                let locate = |path: &String| Location::of(path, scene.workspace);
                let reads = script.reads.iter().map(locate);
                subjects.extend(reads.map(|file| (Subject::ReadFile(file), Risk::Read)));
                let writes = script.writes.iter().map(locate);
                subjects.extend(writes.map(|file| (Subject::WriteFile(file), Risk::Undoable)));
                let is_confined = scene.is_confined;
                let risk = risk::of_script(&script, is_confined);
                subjects.push((Subject::Command { line, script, is_confined }, risk));
            }
        } else if is_file_tool {
            let mut paths = Vec::new();
            collect(arguments, &mut paths);
            is_cut = paths.len() > PATHS_MAX;
            for (key, path) in paths.into_iter().take(PATHS_MAX) {
                let location = Location::of(&path, scene.workspace);
                let is_source =
                    (copies || tool.contains("copy")) && SOURCES.contains(&key.as_str());
                let only_reads = effect == ToolEffect::Read || is_source || tool == "share_insight";
                subjects.push(if only_reads {
                    (Subject::ReadFile(location), Risk::Read)
                } else {
                    (Subject::WriteFile(location), Risk::Undoable)
                });
            }
        } else if is_fetch(tool) {
            let texts = || arguments.iter().filter_map(|(name, text)| Some((name, text.as_str()?)));
            // Without `https://` it may be an address all the same.
            let named =
                |name: &str| ["url", "uri", "link", "address"].iter().any(|w| name.contains(w));
            let urls =
                texts().filter(|(name, text)| is_url(text) || named(&name.to_ascii_lowercase()));
            let url =
                |(_, url): (_, &str)| (Subject::ReadUrl(url.trim().to_owned()), Risk::Network);
            subjects.extend(urls.map(url));
            if subjects.is_empty() && server.is_none() {
                subjects.extend(texts().map(url));
            }
        }
        // A server's tool is that too, so that whoever denies the server denies it; how bad it
        // is, is known from what it does where that is known.
        let known = if subjects.is_empty() { risk::of_effect(effect) } else { Risk::Read };
        match server {
            Some(server) => {
                let aliases = vec![server.to_owned(), name.to_owned(), tool.to_owned()];
                let name = format!("{server}/{tool}");
                subjects.push((Subject::Tool { name, aliases }, known));
            }
            // A tool of ours without a path changes nothing but its own notes.
            None if subjects.is_empty() => {
                subjects.push((Subject::Own(tool.to_owned()), known.min(Risk::Undoable)));
            }
            None => {}
        }
        Facts { what: what(name, arguments, &subjects), subjects, is_cut }
    }

    /// Of a call that could not be looked at.
    pub fn unknown(name: &str) -> Facts {
        let subject = Subject::Tool { name: name.to_owned(), aliases: Vec::new() };
        let what = format!("call `{}`", shortened(name));
        Facts { what, subjects: vec![(subject, Risk::Irreversible)], is_cut: true }
    }

    pub fn risk(&self) -> Risk {
        let worst = self.subjects.iter().map(|(_, risk)| *risk).max();
        worst.unwrap_or(Risk::Irreversible)
    }

    /// Returns what stands for calls like it, where one is allowed for good.
    pub fn likeness(&self) -> String {
        let names = self.subjects.iter().map(|(subject, _)| subject.likeness());
        names.collect::<Vec<_>>().join("\n")
    }
}

impl Subject {
    pub fn action(&self) -> RuleAction {
        match self {
            Subject::Command { .. } => RuleAction::Command,
            Subject::ReadFile(_) => RuleAction::ReadFile,
            Subject::WriteFile(_) => RuleAction::WriteFile,
            Subject::ReadUrl(_) => RuleAction::ReadUrl,
            Subject::Tool { .. } => RuleAction::Mcp,
            Subject::Own(_) => RuleAction::Any,
        }
    }

    fn likeness(&self) -> String {
        let target = match self {
            Subject::Command { line, .. } => line,
            Subject::ReadFile(file) | Subject::WriteFile(file) => &file.absolute,
            // One page of a site is like the next.
            Subject::ReadUrl(url) => host(url),
            Subject::Tool { name, .. } => name,
            Subject::Own(name) => name,
        };
        format!("{}({target})", self.action().name())
    }
}

/// `mcp__server__tool` and `custom_tool__tool` to both names; tools of ours have no server.
fn names(name: &str) -> (Option<&str>, &str) {
    if let Some(rest) = name.strip_prefix("mcp__") {
        let (server, tool) = rest.split_once("__").unwrap_or((rest, rest));
        return (Some(server), tool);
    }
    match name.strip_prefix("custom_tool__") {
        Some(tool) => (Some("custom_tool"), tool),
        None => (None, name),
    }
}

fn is_fetch(tool: &str) -> bool {
    ["fetch", "read_url", "browse", "web_search"].iter().any(|word| tool.contains(word))
}

/// A command is a text, or a list of words.
fn command_line(value: &Value) -> String {
    match value {
        Value::String(line) => line.clone(),
        Value::Array(words) => {
            let quoted = words.iter().map(|word| match word {
                Value::String(word) => format!("'{}'", word.replace('\'', "'\\''")),
                other => other.to_string(),
            });
            quoted.collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// Finds what may be paths, at any depth, each with the plain name of its argument.
fn collect(arguments: &Map<String, Value>, paths: &mut Vec<(String, String)>) {
    for (name, value) in arguments {
        let name = name.to_ascii_lowercase().replace('_', "");
        if !CONTENTS.contains(&name.as_str()) {
            collect_value(value, &name, paths);
        }
    }
}

fn collect_value(value: &Value, name: &str, paths: &mut Vec<(String, String)>) {
    match value {
        // Numbers and flags may come as text.
        Value::String(text) if text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok() => {}
        Value::String(path) if paths.len() <= PATHS_MAX => {
            paths.push((name.to_owned(), path.clone()));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_value(item, name, paths)),
        Value::Object(inner) => collect(inner, paths),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_url(text: &str) -> bool {
    let text = text.trim_start().to_ascii_lowercase();
    text.starts_with("http://") || text.starts_with("https://")
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn what(name: &str, arguments: &Map<String, Value>, subjects: &[(Subject, Risk)]) -> String {
    let told = subjects.iter().rev().find_map(|(subject, _)| match subject {
        Subject::Command { line, .. } => Some(format!("run `{}`", line.trim())),
        Subject::ReadUrl(url) => Some(format!("fetch {url}")),
        Subject::ReadFile(_) | Subject::WriteFile(_) | Subject::Tool { .. } | Subject::Own(_) => {
            None
        }
    });
    let told = told.unwrap_or_else(|| {
        let arguments = Value::Object(arguments.clone()).to_string();
        format!("call `{name}` with {arguments}")
    });
    shortened(&told)
}

/// Makes a text of somebody else's one line that can be shown.
pub(super) fn shortened(text: &str) -> String {
    let mut short = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN_CHARS_MAX {
            short.push('…');
            break;
        }
        let steers = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        short.push(if c.is_control() || steers { ' ' } else { c });
    }
    short
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
