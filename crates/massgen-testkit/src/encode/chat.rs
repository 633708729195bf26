//! OpenAI Chat Completions: chunks with deltas, then usage, then `[DONE]`.

use serde_json::{Map, Value, json};

use super::{Counts, Encoder, Failure, Setting, ToolCall, Whole, data};

pub(crate) struct Chat {
    model: String,
    counts: Counts,
    /// Who speaks is said once, in the first delta.
    introduced: bool,
}

impl Chat {
    pub(crate) fn new(setting: &Setting) -> Chat {
        Chat { model: setting.model.clone(), counts: setting.counts, introduced: false }
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> Value {
        json!({
            "id": "chatcmpl-loopback",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        })
    }

    fn delta(&mut self, fields: Value, out: &mut Vec<u8>) {
        let mut delta = json!({});
        if !self.introduced {
            self.introduced = true;
            delta["role"] = json!("assistant");
        }
        if let (Value::Object(delta), Value::Object(fields)) = (&mut delta, fields) {
            delta.extend(fields);
        }
        data(&self.chunk(&delta, None), out);
    }
}

impl Encoder for Chat {
    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.delta(json!({ "content": text }), out);
    }

    fn reasoning(&mut self, field: &str, text: &str, out: &mut Vec<u8>) {
        self.delta(json!({ field: text }), out);
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        // A call of one piece comes whole, as most servers send it.
        let (first, rest) = match &call.pieces[..] {
            [whole] => (whole.as_str(), &[][..]),
            pieces => ("", pieces),
        };
        self.delta(
            json!({"tool_calls": [{
                "index": call.index, "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": first},
            }]}),
            out,
        );
        for piece in rest {
            let part = json!({"index": call.index, "function": {"arguments": piece}});
            self.delta(json!({ "tool_calls": [part] }), out);
        }
    }

    fn finish(&mut self, reason: &str, out: &mut Vec<u8>) {
        data(&self.chunk(&json!({}), Some(reason)), out);
    }

    fn usage(&mut self, out: &mut Vec<u8>) {
        data(
            &json!({
                "id": "chatcmpl-loopback",
                "object": "chat.completion.chunk",
                "created": 1_700_000_000,
                "model": self.model,
                "choices": [],
                "usage": usage(self.counts),
            }),
            out,
        );
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn failure(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        let mut chunk = self.chunk(&json!({"content": ""}), Some("error"));
        chunk["error"] = json!({"code": failure.status, "message": failure.message});
        data(&chunk, out);
    }

    fn frame(&mut self, json: &str, out: &mut Vec<u8>) {
        let frame =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{json}}}}}]}}\n\n");
        out.extend_from_slice(frame.as_bytes());
    }
}

pub(crate) fn whole(setting: &Setting, whole: &Whole) -> Value {
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    let content = if whole.text.is_empty() { Value::Null } else { json!(whole.text) };
    message.insert("content".to_owned(), content);
    for (field, text) in &whole.reasoning {
        message.insert(field.clone(), json!(text));
    }
    if !whole.calls.is_empty() {
        let calls = whole.calls.iter().map(|call| {
            json!({
                "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments()},
            })
        });
        message.insert("tool_calls".to_owned(), calls.collect());
    }
    json!({
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": setting.model,
        "choices": [{"index": 0, "message": message, "finish_reason": whole.finish}],
        "usage": usage(setting.counts),
    })
}

fn usage(counts: Counts) -> Value {
    let mut usage = json!({
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
    });
    if counts.cache_read > 0 {
        usage["prompt_tokens_details"] = json!({"cached_tokens": counts.cache_read});
    }
    if counts.reasoning > 0 {
        usage["completion_tokens_details"] = json!({"reasoning_tokens": counts.reasoning});
    }
    usage
}
