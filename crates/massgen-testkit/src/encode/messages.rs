//! Anthropic Messages: named events around content blocks.

use serde_json::{Value, json};

use super::{Counts, Encoder, Failure, Setting, ToolCall, Whole, error_body, event, signature};
use crate::format::Format;

pub(crate) struct Messages {
    setting: Setting,
    started: bool,
    /// Blocks that are complete.
    blocks: usize,
    open: Option<Open>,
}

/// The block that is being written.
enum Open {
    Text,
    /// With what was thought, which is what the signature signs.
    Thinking(String),
}

impl Messages {
    pub(crate) fn new(setting: &Setting) -> Messages {
        Messages { setting: setting.clone(), started: false, blocks: 0, open: None }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        // One token is counted before there is any.
        let counts = Counts { output: 1, ..self.setting.counts };
        let message = message(&self.setting, &[], Value::Null, counts);
        event(&json!({"type": "message_start", "message": message}), out);
        event(&json!({"type": "ping"}), out);
    }

    fn open(&mut self, block: &Value, out: &mut Vec<u8>) {
        let start =
            json!({"type": "content_block_start", "index": self.blocks, "content_block": block});
        event(&start, out);
    }

    fn delta(&mut self, delta: &Value, out: &mut Vec<u8>) {
        let value = json!({"type": "content_block_delta", "index": self.blocks, "delta": delta});
        event(&value, out);
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        event(&json!({"type": "content_block_stop", "index": self.blocks}), out);
        self.blocks += 1;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open.take() {
            None => {}
            Some(Open::Text) => self.stop(out),
            Some(Open::Thinking(thought)) => {
                let signature = signature(&thought);
                self.delta(&json!({"type": "signature_delta", "signature": signature}), out);
                self.stop(out);
            }
        }
    }

    fn open_text(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        if !matches!(self.open, Some(Open::Text)) {
            self.close(out);
            self.open(&json!({"type": "text", "text": ""}), out);
            self.open = Some(Open::Text);
        }
    }
}

impl Encoder for Messages {
    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.open_text(out);
        self.delta(&json!({"type": "text_delta", "text": text}), out);
    }

    fn reasoning(&mut self, _field: &str, text: &str, out: &mut Vec<u8>) {
        self.start(out);
        if !matches!(self.open, Some(Open::Thinking(_))) {
            self.close(out);
            self.open(&json!({"type": "thinking", "thinking": "", "signature": ""}), out);
            self.open = Some(Open::Thinking(String::new()));
        }
        self.delta(&json!({"type": "thinking_delta", "thinking": text}), out);
        if let Some(Open::Thinking(thought)) = &mut self.open {
            thought.push_str(text);
        }
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
        self.open(&block, out);
        for piece in std::iter::once("").chain(call.pieces.iter().map(String::as_str)) {
            self.delta(&json!({"type": "input_json_delta", "partial_json": piece}), out);
        }
        self.stop(out);
    }

    fn finish(&mut self, reason: &str, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        let value = json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(reason), "stop_sequence": null},
            "usage": usage(self.setting.counts),
        });
        event(&value, out);
    }

    fn usage(&mut self, _out: &mut Vec<u8>) {}

    fn done(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        event(&json!({"type": "message_stop"}), out);
    }

    fn failure(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        event(&error_body(Format::Messages, failure), out);
    }

    fn frame(&mut self, json: &str, out: &mut Vec<u8>) {
        self.open_text(out);
        let frame = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{},\
             \"delta\":{{\"type\":\"text_delta\",\"text\":{json}}}}}\n\n",
            self.blocks
        );
        out.extend_from_slice(frame.as_bytes());
    }
}

pub(crate) fn whole(setting: &Setting, whole: &Whole) -> Value {
    let mut content = Vec::new();
    let thought = whole.reasoning_text();
    if !thought.is_empty() {
        let signature = signature(&thought);
        content.push(json!({"type": "thinking", "thinking": thought, "signature": signature}));
    }
    if !whole.text.is_empty() {
        content.push(json!({"type": "text", "text": whole.text}));
    }
    for call in &whole.calls {
        // Arguments cut short have no shape here; the provider leaves them out.
        let Ok(input) = serde_json::from_str::<Value>(&call.arguments()) else { continue };
        content.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}));
    }
    message(setting, &content, json!(stop_reason(&whole.finish)), setting.counts)
}

fn message(setting: &Setting, content: &[Value], stop_reason: Value, counts: Counts) -> Value {
    json!({
        "id": format!("msg_loopback{}", setting.n),
        "type": "message",
        "role": "assistant",
        "model": setting.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": usage(counts),
    })
}

/// Here `input_tokens` is what is left after the cache.
fn usage(counts: Counts) -> Value {
    json!({
        "input_tokens": counts.input - counts.cache_read - counts.cache_write,
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cache_read,
        "output_tokens": counts.output,
    })
}

fn stop_reason(reason: &str) -> &str {
    match reason {
        "stop" | "" => "end_turn",
        "tool_calls" => "tool_use",
        "length" => "max_tokens",
        "content_filter" => "refusal",
        other => other,
    }
}
