//! An agent that is a program: its command line, its environment and where it works.

use std::collections::BTreeMap;

use massgen_protocol::{BackendType, HeaderText, Program, WireFormat};

use crate::command_line::words;
use crate::node::Kind;
use crate::problem::shown;
use crate::reader::Reader;
use crate::section::{Field, Section};

/// Most variables and most arguments of one program.
const VARIABLES_MAX: usize = 256;
const ARGUMENTS_MAX: usize = 256;

/// Where MassGen keeps the folders its agents work in.
const STATE: &str = ".massgen/";
const WORKSPACES: &str = ".massgen/workspaces/";

/// The keys, which mean nothing to a type that is no program.
const KEYS: [&str; 3] = ["command", "args", "env"];

/// Reads what is started. The inner `None`: nothing is. The outer one comes with an error.
pub(super) fn program(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
    agent: &str,
) -> Option<Option<Program>> {
    let Some(kind) = kind.filter(|kind| kind.format == WireFormat::Acp) else {
        for key in KEYS {
            let Some(field) = section.given(key).filter(|_| kind.is_some()) else { continue };
            let message = format!("`{key}` has an effect with types that are programs only");
            let hint = "for example `type: acp`".to_owned();
            reader.report.notice(field.key_at, &field.path, message, Some(hint));
        }
        return Some(None);
    };
    let n_errors = reader.report.n_errors();
    let mut words = command(reader, section.given("command")).unwrap_or_default();
    let needs_command = kind.name == "acp";
    if words.is_empty() && needs_command && reader.report.n_errors() == n_errors {
        let message = format!("`{}` needs the program to start", kind.name);
        let hint = "give it with `command:`, for example `command: goose acp`".to_owned();
        reader.error(section.at, &section.path_of("command"), message, Some(hint));
    }
    let args_field = section.given("args");
    let args_at = args_field.as_ref().map(|field| (field.key_at, field.path.clone()));
    let more = match args_field {
        // One text is a command line, a list is its words.
        Some(field) if matches!(field.node.kind, Kind::Scalar { .. }) => {
            command(reader, Some(field)).unwrap_or_default()
        }
        field => reader.texts(field).unwrap_or_default(),
    };
    let command = if words.is_empty() { String::new() } else { words.remove(0) };
    let args: Vec<String> = words.into_iter().chain(more).collect();
    if args.len() > ARGUMENTS_MAX {
        let (at, path) = args_at.unwrap_or_else(|| (section.at, section.path_of("command")));
        let message = format!("{} arguments, at most {ARGUMENTS_MAX} are taken", args.len());
        reader.error(at, &path, message, None);
    }
    let env = env(reader, section.given("env"));
    let cwd = cwd(reader, section.given("cwd"), agent);
    if reader.report.n_errors() > n_errors {
        return None;
    }
    Some(Some(Program { command, args, env: env?, cwd: cwd? }))
}

/// Reads a command line: one text, split as a shell would, or a list of words.
fn command(reader: &mut Reader<'_>, field: Option<Field<'_>>) -> Option<Vec<String>> {
    let field = field?;
    if !matches!(field.node.kind, Kind::Scalar { .. }) {
        return reader.texts(Some(field));
    }
    let (at, path) = (field.node.at, field.path.clone());
    let line = reader.text(Some(field))?;
    let split = words(&line);
    if split.is_none() {
        let message = "a quote in this command line is not closed".to_owned();
        reader.error(at, &path, message, Some("or write the words as a list".to_owned()));
    }
    split
}

fn env(reader: &mut Reader<'_>, field: Option<Field<'_>>) -> Option<BTreeMap<String, HeaderText>> {
    let mut env = BTreeMap::new();
    let Some(field) = field else { return Some(env) };
    let Kind::Map(entries) = &field.node.kind else {
        reader.mismatch(&field, "a map of variables");
        return None;
    };
    if entries.len() > VARIABLES_MAX {
        let message = format!("{} variables, at most {VARIABLES_MAX} are taken", entries.len());
        reader.error(field.key_at, &field.path, message, None);
        return None;
    }
    for entry in entries.iter() {
        let name = entry.key.trim();
        let path = format!("{}.{}", field.path, shown(name));
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("`{}` is no name of a variable", shown(name));
            reader.error(entry.key_at, &path, message, None);
            continue;
        }
        // Nothing is the empty text, which switches a variable off.
        if entry.value.is_null() {
            env.insert(name.to_owned(), HeaderText::Plain { value: String::new() });
            continue;
        }
        let field = Field { node: &entry.value, key_at: entry.key_at, path };
        if let Some(text) = reader.secret_text(name, &field) {
            env.insert(name.to_owned(), text);
        }
    }
    Some(env)
}

/// Places the folder as MassGen does: as it is if it is absolute or lies in the state
/// folder, else among the workspaces. Whoever starts a run makes it absolute.
fn cwd(reader: &mut Reader<'_>, field: Option<Field<'_>>, agent: &str) -> Option<String> {
    let Some(field) = field else { return Some(format!("{WORKSPACES}{}", file_name(agent))) };
    let (at, path) = (field.node.at, field.path.clone());
    let cwd = reader.text(Some(field))?;
    let cwd = cwd.trim();
    let cwd = cwd.strip_prefix("./").unwrap_or(cwd);
    if cwd.is_empty() || cwd.contains('\0') {
        reader.error(at, &path, "expected the path of a folder".to_owned(), None);
        return None;
    }
    if cwd.starts_with(['/', '\\']) || cwd.get(1..3) == Some(":\\") {
        return Some(cwd.to_owned());
    }
    if cwd.split(['/', '\\']).any(|part| part == "..") {
        let message = "this folder leads out of the workspaces".to_owned();
        let hint = "write an absolute path, or one without `..`".to_owned();
        reader.error(at, &path, message, Some(hint));
        return None;
    }
    let inside = if cwd.starts_with(STATE) { "" } else { WORKSPACES };
    Some(format!("{inside}{cwd}"))
}

/// Returns an agent's name as a file may be called.
pub(crate) fn file_name(agent: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = agent.chars().map(safe).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}
