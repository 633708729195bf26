//! A call → the body of its request.

use massgen_protocol::{
    Arguments, BackendSpec, Message, ModelCall, Part, Role, ToolCall, ToolSpec,
};
use serde_json::{Map, Value, json};

use super::{FIELD_PARTS, FIELD_TAGS, NATIVE_DETAILS, media};

/// What one server wants differently from most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// Ask for the price of each call.
    pub(crate) asks_for_cost: bool,
    /// A user's message may not follow a tool's.
    pub(crate) assistant_between_tool_and_user: bool,
    /// Usage cannot be asked for.
    pub(crate) no_stream_options: bool,
}

/// Fields that are ours alone: a config that sets them is about something else.
const RESERVED: [&str; 5] = ["model", "messages", "stream", "tools", "n"];
/// Fields that servers refuse where no tools are offered.
const ONLY_WITH_TOOLS: [&str; 2] = ["tool_choice", "parallel_tool_calls"];

/// Returns the body. `max_output_tokens` is the backend's own bound; the call's wins.
pub(crate) fn body(
    call: &ModelCall,
    model: &str,
    max_output_tokens: Option<u64>,
    params: &Map<String, Value>,
    quirks: Quirks,
) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(model));
    body.insert("messages".to_owned(), Value::Array(messages(&call.messages, quirks)));
    if !call.tools.is_empty() {
        let tools = call.tools.iter().map(tool).collect();
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    let bound_field = bound_field(model);
    if let Some(bound) = call.max_output_tokens.or(max_output_tokens) {
        body.insert(bound_field.to_owned(), json!(bound));
    }
    body.insert("stream".to_owned(), json!(true));
    if !quirks.no_stream_options {
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    if quirks.asks_for_cost {
        body.insert("usage".to_owned(), json!({"include": true}));
    }
    for (name, value) in params {
        let name = match name.as_str() {
            "max_tokens" | "max_completion_tokens" => bound_field,
            name => name,
        };
        let out_of_place = call.tools.is_empty() && ONLY_WITH_TOOLS.contains(&name);
        if RESERVED.contains(&name) || out_of_place {
            continue;
        }
        if value.is_null() {
            // The way to leave out what we would send.
            body.shift_remove(name);
        } else if !(name == bound_field && call.max_output_tokens.is_some()) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(body)
}

/// Returns the user's own fields, and how much the model is to think and whether it is to
/// search, as this server calls it; a field of the user's wins.
pub(crate) fn with_wishes(spec: &BackendSpec) -> Map<String, Value> {
    let mut params = spec.params.clone();
    let effort = spec.reasoning.effort.as_ref();
    if spec.kind == "openrouter" {
        let mut reasoning = Map::new();
        reasoning.extend(effort.map(|effort| ("effort".to_owned(), json!(effort))));
        let budget = spec.reasoning.budget_tokens;
        reasoning.extend(budget.map(|tokens| ("max_tokens".to_owned(), json!(tokens))));
        if !reasoning.is_empty() {
            params.entry("reasoning").or_insert(Value::Object(reasoning));
        }
        if spec.hosted_tools.web_search {
            params.entry("plugins").or_insert(json!([{"id": "web"}]));
        }
    } else if let Some(effort) = effort {
        params.entry("reasoning_effort").or_insert(json!(effort));
    }
    params
}

/// Returns the name of the output bound: OpenAI's reasoning models refuse the old one.
fn bound_field(model: &str) -> &'static str {
    let is_o_series =
        model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let is_gpt_5_or_later = model
        .strip_prefix("gpt-")
        .and_then(|rest| rest.split(['-', '.']).next())
        .and_then(|version| version.parse::<u32>().ok())
        .is_some_and(|version| version >= 5);
    if is_o_series || is_gpt_5_or_later { "max_completion_tokens" } else { "max_tokens" }
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }})
}

fn messages(messages: &[std::sync::Arc<Message>], quirks: Quirks) -> Vec<Value> {
    let mut out = Vec::with_capacity(messages.len());
    let mut last = Role::System;
    for message in messages {
        match message.role {
            Role::System => out.push(json!({"role": "system", "content": text(message)})),
            Role::User => {
                if quirks.assistant_between_tool_and_user && last == Role::Tool {
                    out.push(json!({"role": "assistant", "content": "Understood."}));
                }
                out.push(json!({"role": "user", "content": content(message)}));
            }
            Role::Assistant => out.push(assistant(message)),
            Role::Tool => out.extend(tool_results(message)),
        }
        last = message.role;
    }
    out
}

/// Returns what a user said: one text, which every server takes, unless files are with it.
fn content(message: &Message) -> Value {
    let has_media = message.parts.iter().any(|part| matches!(part, Part::Media(_)));
    if !has_media {
        return Value::String(text(message));
    }
    let part = |part: &Part| match part {
        Part::Text { text } => Some(json!({"type": "text", "text": text})),
        Part::Media(media) => Some(media::part(media)),
        Part::Reasoning { .. } | Part::ToolCall(_) | Part::ToolResult(_) | Part::Native { .. } => {
            None
        }
    };
    Value::Array(message.parts.iter().filter_map(part).collect())
}

fn text(message: &Message) -> String {
    let mut all = String::new();
    for part in &message.parts {
        match part {
            Part::Text { text } => all.push_str(text),
            // Nothing else is text.
            Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Native { .. }
            | Part::Media(_) => {}
        }
    }
    all
}

fn tool_results(message: &Message) -> impl Iterator<Item = Value> + '_ {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolResult(result) => {
            Some(json!({"role": "tool", "tool_call_id": result.id, "content": result.text}))
        }
        Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolCall(_)
        | Part::Native { .. }
        | Part::Media(_) => None,
    })
}

/// Returns an earlier turn of the model, with its reasoning in the field it came
/// from: some servers require it there, and some refuse it anywhere else.
fn assistant(message: &Message) -> Value {
    let mut content = String::new();
    let mut thoughts: Vec<Value> = Vec::new();
    let mut fields = Map::new();
    let mut calls: Vec<Value> = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text } => content.push_str(text),
            Part::Reasoning { text, field } => match field.as_deref() {
                Some(FIELD_TAGS) => content.push_str(&format!("<think>{text}</think>")),
                Some(FIELD_PARTS) => thoughts.push(
                    json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]}),
                ),
                Some(field) => {
                    fields.insert(field.to_owned(), json!(text));
                }
                // It came from a provider of another format, which is no use to this one.
                None => {}
            },
            Part::ToolCall(call) => calls.push(tool_call(call)),
            Part::Native { format, value } if format == NATIVE_DETAILS => {
                fields.insert("reasoning_details".to_owned(), value.clone());
            }
            Part::Native { .. } | Part::ToolResult(_) | Part::Media(_) => {}
        }
    }
    let content = if !thoughts.is_empty() {
        if !content.is_empty() {
            thoughts.push(json!({"type": "text", "text": content}));
        }
        Value::Array(thoughts)
    } else if content.is_empty() && !calls.is_empty() {
        Value::Null
    } else {
        Value::String(content)
    };
    let mut out = Map::new();
    out.insert("role".to_owned(), json!("assistant"));
    out.insert("content".to_owned(), content);
    out.extend(fields);
    if !calls.is_empty() {
        out.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Value::Object(out)
}

fn tool_call(call: &ToolCall) -> Value {
    let arguments = match &call.arguments {
        Arguments::Object { value } => Value::Object(value.clone()).to_string(),
        // Servers parse what they are given back; broken JSON would fail every
        // later request of this conversation.
        Arguments::Malformed { raw, .. } => json!({"unreadable": raw}).to_string(),
    };
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_before_the_text_they_belong_to() {
        let mut message = Message::text(Role::User, "What is it?");
        assert_eq!(content(&message), json!("What is it?"));
        let media = massgen_protocol::Media {
            kind: massgen_protocol::MediaKind::Image,
            media_type: "image/png".to_owned(),
            name: None,
            source: massgen_protocol::MediaSource::Url { url: "https://h/a.png".to_owned() },
        };
        message.parts.insert(0, Part::Media(media));
        let expected = json!([
            {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
            {"type": "text", "text": "What is it?"},
        ]);
        assert_eq!(content(&message), expected);
    }

    #[test]
    fn thinking_is_asked_for_in_the_servers_own_words() {
        let params = |kind: &str, own: Value| {
            let mut spec = BackendSpec::new(kind, "m", "");
            spec.reasoning.effort = Some("low".to_owned());
            spec.reasoning.budget_tokens = Some(9);
            spec.params = own.as_object().unwrap().clone();
            Value::Object(with_wishes(&spec))
        };
        assert_eq!(params("vllm", json!({})), json!({"reasoning_effort": "low"}));
        let both = json!({"reasoning": {"effort": "low", "max_tokens": 9}});
        assert_eq!(params("openrouter", json!({})), both);
        let mut searching = BackendSpec::new("openrouter", "m", "");
        searching.hosted_tools.web_search = true;
        let sent = Value::Object(with_wishes(&searching));
        assert_eq!(sent, json!({"plugins": [{"id": "web"}]}));
        let own = json!({"reasoning_effort": null});
        assert_eq!(params("vllm", own.clone()), own);
    }

    #[test]
    fn the_bound_has_the_name_its_model_takes() {
        for model in ["gpt-5", "gpt-5.4-mini", "gpt-6-sol", "o1", "o3-mini", "o4-mini"] {
            assert_eq!(bound_field(model), "max_completion_tokens", "{model}");
        }
        for model in ["gpt-4o", "gpt-4.1", "gpt-oss-120b", "olmo-2", "llama", "openai/gpt-5", ""] {
            assert_eq!(bound_field(model), "max_tokens", "{model}");
        }
    }
}
