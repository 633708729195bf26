//! Ollama: one JSON object a line, the last one with `done` and the counts.

use serde_json::{Value, json};

use super::{Counts, Encoder, Failure, Setting, ToolCall, Whole, error_body};
use crate::format::Format;

pub(crate) struct Ollama {
    model: String,
    counts: Counts,
}

impl Ollama {
    pub(crate) fn new(setting: &Setting) -> Ollama {
        Ollama { model: setting.model.clone(), counts: setting.counts }
    }

    fn message(&self, message: &Value, out: &mut Vec<u8>) {
        line(&head(&self.model, message), out);
    }
}

impl Encoder for Ollama {
    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.message(&json!({"role": "assistant", "content": text}), out);
    }

    fn reasoning(&mut self, _field: &str, text: &str, out: &mut Vec<u8>) {
        self.message(&json!({"role": "assistant", "content": "", "thinking": text}), out);
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        // Calls come whole or not at all.
        if let Some(call) = whole_call(call) {
            let message = json!({"role": "assistant", "content": "", "tool_calls": [call]});
            self.message(&message, out);
        }
    }

    fn finish(&mut self, reason: &str, out: &mut Vec<u8>) {
        let message = json!({"role": "assistant", "content": ""});
        line(&last(&self.model, &message, reason, self.counts), out);
    }

    fn usage(&mut self, _out: &mut Vec<u8>) {}

    fn done(&mut self, _out: &mut Vec<u8>) {}

    fn failure(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        line(&error_body(Format::Ollama, failure), out);
    }

    fn frame(&mut self, json: &str, out: &mut Vec<u8>) {
        let text = format!(
            "{{\"model\":\"m\",\"message\":{{\"role\":\"assistant\",\"content\":{json}}},\
             \"done\":false}}\n"
        );
        out.extend_from_slice(text.as_bytes());
    }
}

pub(crate) fn whole(setting: &Setting, whole: &Whole) -> Value {
    let mut message = json!({"role": "assistant", "content": whole.text});
    let thought = whole.reasoning_text();
    if !thought.is_empty() {
        message["thinking"] = json!(thought);
    }
    let calls: Vec<Value> = whole.calls.iter().filter_map(whole_call).collect();
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    last(&setting.model, &message, &whole.finish, setting.counts)
}

fn whole_call(call: &ToolCall) -> Option<Value> {
    let arguments: Value = serde_json::from_str(&call.arguments()).ok()?;
    Some(json!({"function": {"index": call.index, "name": call.name, "arguments": arguments}}))
}

fn head(model: &str, message: &Value) -> Value {
    json!({
        "model": model, "created_at": "2025-01-01T00:00:00.000000Z",
        "message": message, "done": false,
    })
}

fn last(model: &str, message: &Value, reason: &str, counts: Counts) -> Value {
    let mut value = head(model, message);
    value["done"] = json!(true);
    // It says `stop` after tool calls, too.
    value["done_reason"] = json!(if reason == "length" { "length" } else { "stop" });
    for (field, count) in [
        ("total_duration", 1_000_000),
        ("load_duration", 1_000),
        ("prompt_eval_count", counts.input),
        ("prompt_eval_duration", 1_000),
        ("eval_count", counts.output),
        ("eval_duration", 1_000),
    ] {
        value[field] = json!(count);
    }
    value
}

fn line(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{value}\n").as_bytes());
}
