//! Tools that run at the provider: what they are called, asked, and came to.

use massgen_protocol::ModelEvent;
use serde_json::Value;

use super::event::{list, text};

/// Shown of what such a tool was asked or came to; the whole goes back to the provider
/// with its item.
const SHOWN_BYTES_MAX: usize = 16 * 1024;

/// Whether a function's call is one of xAI's own tools: they come mixed with ours.
pub(super) fn is_theirs(name: &str, call_id: Option<&str>, is_offered: bool) -> bool {
    let by_id = call_id.is_some_and(|id| id.starts_with("xs_"));
    !is_offered && (by_id || name.starts_with("x_"))
}

/// Whether an item of this type is a call that the provider carries out.
pub(super) fn is_remote(kind: &str) -> bool {
    // What has an output of its own is not what we answer.
    kind == "custom_tool_call" || (kind.ends_with("_call") && kind != "function_call")
}

pub(super) fn name(kind: &str, item: &Value) -> String {
    let plain = kind.strip_suffix("_call").unwrap_or(kind);
    text(item, "name").unwrap_or(plain).to_owned()
}

/// Returns what a tool was asked, as far as its item says it.
pub(super) fn input(item: &Value) -> String {
    for key in ["input", "arguments", "code"] {
        if let Some(input) = text(item, key) {
            return shown(input);
        }
    }
    for key in ["action", "queries"] {
        if let Some(value) = item.get(key).filter(|value| !value.is_null()) {
            return shown(&value.to_string());
        }
    }
    String::new()
}

/// Returns the end of a call: its output, or where a provider keeps that to itself, what
/// was looked for.
pub(super) fn finished(id: String, name: String, item: &Value) -> ModelEvent {
    let error = item.get("error").filter(|error| !error.is_null());
    let is_error = error.is_some() || matches!(text(item, "status"), Some("failed" | "incomplete"));
    let logs: Vec<&str> =
        list(item, "outputs").iter().filter_map(|output| text(output, "logs")).collect();
    let output = if let Some(error) = error {
        error.as_str().map_or_else(|| error.to_string(), str::to_owned)
    } else if let Some(output) = text(item, "output") {
        output.to_owned()
    } else if logs.is_empty() {
        looked_for(item)
    } else {
        logs.join("\n")
    };
    ModelEvent::RemoteToolFinished { id, name, output: shown(&output), is_error }
}

/// Returns the query, the page or the pattern of a search: any of them may be missing.
fn looked_for(item: &Value) -> String {
    let Some(action) = item.get("action") else { return String::new() };
    let mut words: Vec<&str> =
        ["query", "url", "pattern"].into_iter().filter_map(|key| text(action, key)).collect();
    if words.is_empty() {
        words = list(action, "queries").iter().filter_map(Value::as_str).collect();
    }
    words.join(" ")
}

pub(super) fn shown(text: &str) -> String {
    text[..text.floor_char_boundary(SHOWN_BYTES_MAX)].to_owned()
}
