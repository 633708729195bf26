//! A call → the body of its request.

use std::sync::Arc;

use massgen_protocol::{
    Arguments, Media, MediaKind, MediaSource, Message, ModelCall, Part, Reasoning, Role, ToolCall,
    ToolSpec,
};
use serde_json::{Map, Value, json};

/// Names under which other formats have the output bound.
const BOUND: [&str; 4] =
    ["max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict"];
/// How a model runs, which this format keeps apart from what is asked of it.
const OPTIONS: [&str; 22] = [
    "num_ctx",
    "num_keep",
    "num_batch",
    "num_gpu",
    "num_thread",
    "main_gpu",
    "use_mmap",
    "seed",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "stop",
    "repeat_last_n",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "penalize_newline",
];
/// Fields that are ours alone: a config that sets them is about something else.
const RESERVED: [&str; 5] = ["model", "messages", "tools", "stream", "n"];

/// Something that this format cannot show to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotShown(pub(super) String);

/// What all requests to one model have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    model: String,
    options: Map<String, Value>,
    think: Option<Value>,
    /// The user's own fields; a null removes what we would send.
    fields: Map<String, Value>,
    /// Of the turns that are replayed as they came.
    pub(super) native: String,
}

impl Plan {
    pub(super) fn new(spec: &massgen_protocol::BackendSpec, params: &Map<String, Value>) -> Plan {
        let mut plan = Plan {
            model: spec.model.clone(),
            options: Map::new(),
            think: think(&spec.model, &spec.reasoning),
            fields: Map::new(),
            native: format!("ollama_chat/{}", spec.kind),
        };
        // Without it the server takes a size of its own, and cuts what does not fit without
        // a word.
        if let Some(size) = spec.context_window {
            plan.options.insert("num_ctx".to_owned(), json!(size));
        }
        if let Some(bound) = spec.max_output_tokens {
            plan.options.insert("num_predict".to_owned(), json!(bound));
        }
        for (name, value) in params {
            match (name.as_str(), value) {
                (name, _) if RESERVED.contains(&name) => {}
                (name, _) if BOUND.contains(&name) => plan.option("num_predict", value),
                (name, _) if OPTIONS.contains(&name) => plan.option(name, value),
                ("options", Value::Object(options)) => {
                    for (name, value) in options {
                        plan.option(name, value);
                    }
                }
                (name, _) => {
                    plan.fields.insert(name.to_owned(), value.clone());
                }
            }
        }
        plan
    }

    /// Returns the size of the context that is asked for.
    pub(super) fn context_size(&self) -> Option<u64> {
        self.options.get("num_ctx").and_then(Value::as_u64)
    }

    /// Returns whether this call's reply has a bound that we asked for.
    pub(super) fn is_bounded(&self, call: &ModelCall) -> bool {
        let bound = self.options.get("num_predict").and_then(Value::as_i64);
        call.max_output_tokens.is_some() || bound.is_some_and(|bound| bound > 0)
    }

    /// Returns whether `think` is a wish of ours rather than the user's own field.
    pub(super) fn may_leave_out_think(&self) -> bool {
        !self.fields.contains_key("think")
    }

    pub(super) fn body(&self, call: &ModelCall) -> Result<Value, NotShown> {
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(self.model));
        body.insert("messages".to_owned(), Value::Array(self.messages(&call.messages)?));
        if !call.tools.is_empty() {
            body.insert("tools".to_owned(), call.tools.iter().map(tool).collect());
        }
        body.insert("stream".to_owned(), json!(true));
        if let Some(think) = &self.think {
            body.insert("think".to_owned(), think.clone());
        }
        let mut options = self.options.clone();
        if let Some(bound) = call.max_output_tokens {
            options.insert("num_predict".to_owned(), json!(bound));
        }
        if !options.is_empty() {
            body.insert("options".to_owned(), Value::Object(options));
        }
        for (name, value) in &self.fields {
            if value.is_null() {
                body.shift_remove(name);
            } else {
                body.insert(name.clone(), value.clone());
            }
        }
        Ok(Value::Object(body))
    }

    fn option(&mut self, name: &str, value: &Value) {
        if value.is_null() {
            self.options.shift_remove(name);
        } else if name == "stop" && value.is_string() {
            self.options.insert(name.to_owned(), json!([value]));
        } else {
            self.options.insert(name.to_owned(), value.clone());
        }
    }

    fn messages(&self, messages: &[Arc<Message>]) -> Result<Vec<Value>, NotShown> {
        let mut out = Vec::with_capacity(messages.len());
        for message in messages {
            match message.role {
                Role::System => out.push(json!({"role": "system", "content": text(message)})),
                Role::User => out.push(user(message)?),
                Role::Assistant => out.push(assistant(message, &self.native)),
                Role::Tool => out.extend(results(message)),
            }
        }
        Ok(out)
    }
}

/// Returns how much the model is to think; `None` to leave it to the server. Models think
/// or do not, but for `gpt-oss`, which always does and takes a level.
fn think(model: &str, wish: &Reasoning) -> Option<Value> {
    let effort = match (wish.effort.as_deref(), wish.budget_tokens) {
        (Some(effort), _) => effort,
        (None, Some(0)) => "none",
        (None, Some(_)) => "medium",
        (None, None) => return None,
    };
    let has_levels = model.to_ascii_lowercase().contains("gpt-oss");
    Some(match effort {
        "none" | "minimal" | "low" if has_levels => json!("low"),
        "medium" if has_levels => json!("medium"),
        _ if has_levels => json!("high"),
        effort => json!(effort != "none"),
    })
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }})
}

fn text(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        Part::Reasoning { .. }
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Native { .. }
        | Part::Media(_) => None,
    });
    texts.collect::<Vec<_>>().concat()
}

fn user(message: &Message) -> Result<Value, NotShown> {
    let mut images = Vec::new();
    for part in &message.parts {
        match part {
            Part::Media(media) => images.push(image(media)?),
            Part::Text { .. }
            | Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Native { .. } => {}
        }
    }
    let mut said = json!({"role": "user", "content": text(message)});
    if !images.is_empty() {
        said["images"] = Value::Array(images);
    }
    Ok(said)
}

fn image(media: &Media) -> Result<Value, NotShown> {
    let name = media.name.as_deref().unwrap_or(&media.media_type);
    match (media.kind, &media.source) {
        (MediaKind::Image, MediaSource::Inline { base64 }) => Ok(json!(base64)),
        (MediaKind::Image, MediaSource::Url { .. } | MediaSource::File { .. }) => Err(NotShown(
            format!("the image `{name}` cannot be shown: Ollama fetches none, it must be sent"),
        )),
        (MediaKind::Audio | MediaKind::Video | MediaKind::File, _) => {
            Err(NotShown(format!("`{name}` cannot be shown: Ollama takes images only")))
        }
    }
}

/// Returns an earlier turn of the model: its own message as it came, or one made of what
/// another model said. What that one thought is no use to this one.
fn assistant(message: &Message, native: &str) -> Value {
    let own = message.parts.iter().find_map(|part| match part {
        Part::Native { format, value } if format == native => Some(value.clone()),
        Part::Native { .. }
        | Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Media(_) => None,
    });
    own.unwrap_or_else(|| {
        let mut said = json!({"role": "assistant", "content": text(message)});
        let calls: Vec<Value> = message.parts.iter().filter_map(tool_call).collect();
        if !calls.is_empty() {
            said["tool_calls"] = Value::Array(calls);
        }
        said
    })
}

fn tool_call(part: &Part) -> Option<Value> {
    let Part::ToolCall(ToolCall { id, name, arguments }) = part else { return None };
    let arguments = match arguments {
        Arguments::Object { value } => Value::Object(value.clone()),
        Arguments::Malformed { raw, .. } => json!({"unreadable": raw}),
    };
    Some(json!({"id": id, "function": {"name": name, "arguments": arguments}}))
}

fn results(message: &Message) -> impl Iterator<Item = Value> + '_ {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolResult(result) => Some(json!({
            "role": "tool",
            "tool_name": result.name,
            "tool_call_id": result.id,
            "content": result.text,
        })),
        Part::Text { .. }
        | Part::Reasoning { .. }
        | Part::ToolCall(_)
        | Part::Native { .. }
        | Part::Media(_) => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
