//! What an agent may do without asking a person: nobody sits in front of a team.

use std::path::Path;

use agent_client_protocol::v1::schema::{
    PermissionOption, PermissionOptionKind, RequestPermissionOutcome, RequestPermissionRequest,
    SelectedPermissionOutcome, ToolCallContent, ToolCallUpdateFields, ToolKind,
};
use serde_json::Value;

use super::files::Folder;
use super::lines::quoted;
use super::tools::SERVER_NAME;

/// The request field of a config that sets the mode.
pub(super) const MODE_PARAM: &str = "permission_mode";
/// Arguments under which agents name the files a tool works on.
const PATH_KEYS: &[&str] =
    &["path", "file_path", "filePath", "abs_path", "absolute_path", "notebook_path", "filepath"];
/// How deep arguments are searched for them.
const DEPTH_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Everything but what is told to be outside of the agent's folder.
    Inside,
    /// The team's own tools only.
    Deny,
    Everything,
}

impl Mode {
    pub(super) const NAMES: &'static str = "default, acceptEdits, plan, deny, bypassPermissions";

    /// Returns the mode of this name, which is one of Claude Code's or `deny`.
    pub(super) fn of(name: &str) -> Option<Mode> {
        match name {
            "default" | "acceptEdits" => Some(Mode::Inside),
            "plan" | "deny" => Some(Mode::Deny),
            "bypassPermissions" => Some(Mode::Everything),
            _ => None,
        }
    }

    pub(super) fn may_write(self) -> bool {
        match self {
            Mode::Inside | Mode::Everything => true,
            Mode::Deny => false,
        }
    }
}

/// What was decided, and how it is told.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) outcome: RequestPermissionOutcome,
    pub(super) notice: String,
}

/// Answers a request by the mode.
pub(super) fn decide(
    mode: Mode,
    folder: &Folder,
    tools: &[String],
    request: &RequestPermissionRequest,
) -> Decision {
    let fields = &request.tool_call.fields;
    let what = fields.title.as_deref().or(fields.name.as_deref()).unwrap_or("a tool");
    let what = quoted(&what.split_whitespace().collect::<Vec<_>>().join(" "));
    let outside = outside_path(fields, folder);
    let (is_allowed, why) = match (mode, outside) {
        (_, _) if is_own_tool(fields, tools) => (true, "a tool of the team".to_owned()),
        (Mode::Everything, _) => (true, "everything is allowed".to_owned()),
        (Mode::Deny, _) => (false, "the mode allows nothing".to_owned()),
        (Mode::Inside, None) => (true, "nothing outside of its folder is named".to_owned()),
        (Mode::Inside, Some(path)) => {
            (false, format!("`{}` is outside of its folder", quoted(&path)))
        }
    };
    let option = option(&request.options, is_allowed);
    let word = match (is_allowed, option) {
        (true, Some(_)) => "allowed",
        (false, Some(_)) => "rejected",
        // What cannot be answered as decided is not answered with its opposite.
        (_, None) => "not answered, as no option fits",
    };
    let outcome = option.map_or(RequestPermissionOutcome::Cancelled, |option| {
        let selected = SelectedPermissionOutcome::new(option.option_id.clone());
        RequestPermissionOutcome::Selected(selected)
    });
    Decision { outcome, notice: format!("permission {word}: {what} ({why})") }
}

/// Returns the option of the wanted kind, the narrower one first.
fn option(options: &[PermissionOption], is_allowed: bool) -> Option<&PermissionOption> {
    let kinds = if is_allowed {
        [PermissionOptionKind::AllowOnce, PermissionOptionKind::AllowAlways]
    } else {
        [PermissionOptionKind::RejectOnce, PermissionOptionKind::RejectAlways]
    };
    kinds.iter().find_map(|kind| options.iter().find(|option| option.kind == *kind))
}

/// Returns whether the call is one of the tools we serve. A tool that runs or changes
/// something of the machine's is not, whatever it calls itself.
fn is_own_tool(fields: &ToolCallUpdateFields, tools: &[String]) -> bool {
    let kind = fields.kind.unwrap_or_default();
    let changes = matches!(
        kind,
        ToolKind::Edit | ToolKind::Delete | ToolKind::Move | ToolKind::Execute | ToolKind::Fetch
    );
    let names = [fields.name.as_deref(), fields.title.as_deref()];
    !changes && names.into_iter().flatten().any(|name| names_own_tool(name, tools))
}

/// Returns whether `name` is one of ours as agents write it: `vote`, `massgen_vote`,
/// `mcp__massgen__vote`, `massgen/vote`, `massgen: vote`, `vote (massgen MCP Server)`.
pub(super) fn names_own_tool(name: &str, tools: &[String]) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: Vec<&str> = name.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()).collect();
    let is_tool = |word: &str| tools.iter().any(|tool| tool == word);
    let prefixed = |word: &str| {
        let word = word.strip_prefix("mcp__").or(word.strip_prefix("mcp_")).unwrap_or(word);
        word.strip_prefix(SERVER_NAME).map(|rest| rest.trim_start_matches('_')).is_some_and(is_tool)
    };
    match words.as_slice() {
        [only] => is_tool(only) || prefixed(only),
        many => {
            many.len() <= WORDS_MAX
                && many.iter().any(|word| prefixed(word) || *word == SERVER_NAME)
                && many.iter().any(|word| is_tool(word) || prefixed(word))
        }
    }
}

/// A title with more words is a sentence or a command line, in which our names mean nothing.
const WORDS_MAX: usize = 5;

/// Returns a path the call names that is not in the folder.
fn outside_path(fields: &ToolCallUpdateFields, folder: &Folder) -> Option<String> {
    let mut paths: Vec<String> = Vec::new();
    for location in fields.locations.iter().flatten() {
        paths.push(location.path.display().to_string());
    }
    for content in fields.content.iter().flatten() {
        if let ToolCallContent::Diff(diff) = content {
            paths.push(diff.path.display().to_string());
        }
    }
    if let Some(input) = &fields.raw_input {
        collect_paths(input, DEPTH_MAX, &mut paths);
    }
    paths.into_iter().find(|path| folder.inside(Path::new(path)).is_none())
}

fn collect_paths(value: &Value, depth: usize, paths: &mut Vec<String>) {
    match value {
        Value::Object(object) if depth > 0 => {
            for (key, value) in object {
                match value {
                    Value::String(path) if PATH_KEYS.contains(&key.as_str()) => {
                        paths.push(path.clone());
                    }
                    other => collect_paths(other, depth - 1, paths),
                }
            }
        }
        Value::Array(items) if depth > 0 => {
            items.iter().for_each(|item| collect_paths(item, depth - 1, paths));
        }
        Value::Object(_)
        | Value::Array(_)
        | Value::String(_)
        | Value::Number(_)
        | Value::Bool(_)
        | Value::Null => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tools() -> Vec<String> {
        ["new_answer", "vote"].map(str::to_owned).to_vec()
    }

    #[test]
    fn decisions_follow_the_mode() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path()).unwrap();
        let request = |call: Value| -> RequestPermissionRequest {
            let mut call = call;
            call["toolCallId"] = json!("c1");
            serde_json::from_value(json!({
                "sessionId": "s",
                "toolCall": call,
                "options": [
                    {"optionId": "ever", "name": "Always", "kind": "allow_always"},
                    {"optionId": "yes", "name": "Once", "kind": "allow_once"},
                    {"optionId": "no", "name": "No", "kind": "reject_once"},
                ],
            }))
            .unwrap()
        };
        let check = |mode: &str, call: Value, expected: &str| {
            let decision =
                decide(Mode::of(mode).unwrap(), &folder, &tools(), &request(call.clone()));
            let RequestPermissionOutcome::Selected(selected) = decision.outcome else {
                panic!("{mode} {call}: not answered");
            };
            assert_eq!(&*selected.option_id.0, expected, "{mode} {call}: {}", decision.notice);
        };
        let inside = json!({"title": "Write a.txt", "kind": "edit",
            "locations": [{"path": root.path().join("a.txt")}]});
        let outside = json!({"title": "Write hosts", "kind": "edit",
            "rawInput": {"edits": [{"file_path": "/etc/hosts"}]}});
        let diff = json!({"title": "Edit", "kind": "edit",
            "content": [{"type": "diff", "path": "/etc/hosts", "newText": "x"}]});
        let shell = json!({"title": "cargo test", "kind": "execute", "rawInput": {"command": "x"}});
        let own = json!({"title": "mcp__massgen__vote", "rawInput": {"agent_id": "agent1"}});
        let forged = json!({"title": "massgen vote", "kind": "execute"});
        for mode in ["default", "acceptEdits"] {
            check(mode, inside.clone(), "yes");
            check(mode, shell.clone(), "yes");
            check(mode, outside.clone(), "no");
            check(mode, diff.clone(), "no");
        }
        for mode in ["plan", "deny"] {
            check(mode, inside.clone(), "no");
            check(mode, own.clone(), "yes");
            check(mode, forged.clone(), "no");
        }
        check("bypassPermissions", outside, "yes");
        assert_eq!(Mode::of("yolo"), None);
    }

    #[test]
    fn what_no_option_fits_is_not_answered() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path()).unwrap();
        let request: RequestPermissionRequest = serde_json::from_value(json!({
            "sessionId": "s", "toolCall": {"toolCallId": "c"},
            "options": [{"optionId": "yes", "name": "Yes", "kind": "allow_once"}],
        }))
        .unwrap();
        let decision = decide(Mode::Deny, &folder, &tools(), &request);
        assert_eq!(decision.outcome, RequestPermissionOutcome::Cancelled);
        assert!(decision.notice.contains("no option fits"), "{}", decision.notice);
    }

    #[test]
    fn own_tools_are_known_by_every_way_of_writing_them() {
        let own = |name: &str| names_own_tool(name, &tools());
        for name in [
            "vote",
            "mcp__massgen__vote",
            "massgen_new_answer",
            "massgen/vote",
            "massgen.vote",
            "mcp_massgen_vote",
            "vote (massgen MCP Server)",
            "massgen: vote",
            "Tool: massgen/vote",
        ] {
            assert!(own(name), "{name}");
        }
        for name in [
            "rm -rf vote",
            "echo massgen; rm vote; do other things now",
            "mcp__other__vote",
            "votes",
            "",
            "massgen",
        ] {
            assert!(!own(name), "{name}");
        }
    }
}
