//! OpenAI Responses: numbered events around items, then the whole response.

use serde_json::{Value, json};

use super::{Counts, Encoder, Failure, Setting, ToolCall, Whole, event, signature};

pub(crate) struct Responses {
    setting: Setting,
    sequence: u64,
    started: bool,
    /// Items that are complete.
    output: Vec<Value>,
    open: Option<Open>,
    finish: String,
}

/// The item that is being written.
enum Open {
    Message(String),
    Reasoning(String),
}

impl Responses {
    pub(crate) fn new(setting: &Setting) -> Responses {
        Responses {
            setting: setting.clone(),
            sequence: 0,
            started: false,
            output: Vec::new(),
            open: None,
            finish: String::new(),
        }
    }

    fn event(&mut self, kind: &str, fields: Value, out: &mut Vec<u8>) {
        let mut value = json!({"type": kind, "sequence_number": self.sequence});
        self.sequence += 1;
        if let (Value::Object(value), Value::Object(fields)) = (&mut value, fields) {
            value.extend(fields);
        }
        event(&value, out);
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            for kind in ["response.created", "response.in_progress"] {
                let response = self.response("in_progress");
                self.event(kind, json!({ "response": response }), out);
            }
        }
    }

    fn response(&self, status: &str) -> Value {
        let finished = status != "in_progress";
        let reason = match self.finish.as_str() {
            "length" => json!({"reason": "max_output_tokens"}),
            "content_filter" | "refusal" => json!({"reason": "content_filter"}),
            _ => Value::Null,
        };
        json!({
            "id": format!("resp_loopback{}", self.setting.n),
            "object": "response",
            "created_at": 1_700_000_000,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": if status == "incomplete" { reason } else { Value::Null },
            "instructions": null,
            "max_output_tokens": null,
            "model": self.setting.model,
            "output": if finished { json!(self.output) } else { json!([]) },
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null},
            "store": false,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": if finished { usage(self.setting.counts) } else { Value::Null },
            "user": null,
            "metadata": {},
        })
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}_loopback{}_{}", self.setting.n, self.output.len())
    }

    fn message(&self, status: &str, text: Option<&str>) -> Value {
        let content = text.map(part).into_iter().collect::<Vec<_>>();
        json!({
            "id": self.id("msg"), "type": "message", "status": status,
            "role": "assistant", "content": content,
        })
    }

    fn reasoning_item(&self, text: Option<&str>) -> Value {
        let summary: Vec<Value> =
            text.map(|text| json!({"type": "summary_text", "text": text})).into_iter().collect();
        let mut item = json!({"id": self.id("rs"), "type": "reasoning", "summary": summary});
        if self.setting.encrypted {
            item["encrypted_content"] = json!(signature(text.unwrap_or_default()));
        }
        item
    }

    fn add(&mut self, item: Value, out: &mut Vec<u8>) {
        let at = self.output.len();
        self.event("response.output_item.added", json!({"output_index": at, "item": item}), out);
    }

    fn complete(&mut self, item: Value, out: &mut Vec<u8>) {
        let at = self.output.len();
        let fields = json!({"output_index": at, "item": item.clone()});
        self.event("response.output_item.done", fields, out);
        self.output.push(item);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let at = self.output.len();
        match self.open.take() {
            None => {}
            Some(Open::Message(text)) => {
                let id = self.id("msg");
                let place = json!({"item_id": id, "output_index": at, "content_index": 0});
                let mut done = place.clone();
                done["text"] = json!(text);
                done["logprobs"] = json!([]);
                self.event("response.output_text.done", done, out);
                let mut done = place;
                done["part"] = part(&text);
                self.event("response.content_part.done", done, out);
                let status = if self.finish == "length" { "incomplete" } else { "completed" };
                self.complete(self.message(status, Some(&text)), out);
            }
            Some(Open::Reasoning(text)) => {
                let id = self.id("rs");
                let place = json!({"item_id": id, "output_index": at, "summary_index": 0});
                let mut done = place.clone();
                done["text"] = json!(text);
                self.event("response.reasoning_summary_text.done", done, out);
                let mut done = place;
                done["part"] = json!({"type": "summary_text", "text": text});
                self.event("response.reasoning_summary_part.done", done, out);
                self.complete(self.reasoning_item(Some(&text)), out);
            }
        }
    }

    fn open_message(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        if matches!(self.open, Some(Open::Message(_))) {
            return;
        }
        self.close(out);
        self.add(self.message("in_progress", None), out);
        let place = json!({
            "item_id": self.id("msg"), "output_index": self.output.len(), "content_index": 0,
            "part": part(""),
        });
        self.event("response.content_part.added", place, out);
        self.open = Some(Open::Message(String::new()));
    }

    fn delta(&mut self, text: &str, out: &mut Vec<u8>) {
        let fields = json!({
            "item_id": self.id("msg"), "output_index": self.output.len(), "content_index": 0,
            "delta": text, "logprobs": [],
        });
        self.event("response.output_text.delta", fields, out);
        if let Some(Open::Message(said)) = &mut self.open {
            said.push_str(text);
        }
    }
}

impl Encoder for Responses {
    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.open_message(out);
        self.delta(text, out);
    }

    fn reasoning(&mut self, _field: &str, text: &str, out: &mut Vec<u8>) {
        self.start(out);
        if !matches!(self.open, Some(Open::Reasoning(_))) {
            self.close(out);
            self.add(self.reasoning_item(None), out);
            let fields = json!({
                "item_id": self.id("rs"), "output_index": self.output.len(), "summary_index": 0,
                "part": {"type": "summary_text", "text": ""},
            });
            self.event("response.reasoning_summary_part.added", fields, out);
            self.open = Some(Open::Reasoning(String::new()));
        }
        let fields = json!({
            "item_id": self.id("rs"), "output_index": self.output.len(), "summary_index": 0,
            "delta": text,
        });
        self.event("response.reasoning_summary_text.delta", fields, out);
        if let Some(Open::Reasoning(said)) = &mut self.open {
            said.push_str(text);
        }
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        let arguments = call.arguments();
        let (id, at) = (self.id("fc"), self.output.len());
        let item = |status: &str, arguments: &str| {
            json!({
                "id": id, "type": "function_call", "status": status,
                "arguments": arguments, "call_id": call.id, "name": call.name,
            })
        };
        self.add(item("in_progress", ""), out);
        for piece in &call.pieces {
            let fields = json!({"item_id": id, "output_index": at, "delta": piece});
            self.event("response.function_call_arguments.delta", fields, out);
        }
        let is_whole = serde_json::from_str::<Value>(&arguments).is_ok();
        let fields = json!({
            "item_id": id, "output_index": at, "arguments": arguments, "name": call.name,
        });
        self.event("response.function_call_arguments.done", fields, out);
        self.complete(item(if is_whole { "completed" } else { "incomplete" }, &arguments), out);
    }

    fn finish(&mut self, reason: &str, out: &mut Vec<u8>) {
        self.start(out);
        reason.clone_into(&mut self.finish);
        self.close(out);
    }

    fn usage(&mut self, _out: &mut Vec<u8>) {}

    fn done(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        let status = match self.finish.as_str() {
            "length" | "content_filter" | "refusal" => "incomplete",
            _ => "completed",
        };
        let response = self.response(status);
        self.event(&format!("response.{status}"), json!({ "response": response }), out);
    }

    fn failure(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.start(out);
        let mut response = self.response("failed");
        response["error"] = json!({"code": failure.code, "message": failure.message});
        self.event("response.failed", json!({ "response": response }), out);
    }

    fn frame(&mut self, json: &str, out: &mut Vec<u8>) {
        self.open_message(out);
        let frame = format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\
             \"output_index\":0,\"content_index\":0,\"delta\":{json}}}\n\n"
        );
        out.extend_from_slice(frame.as_bytes());
    }

    fn texts(&mut self, text: &str, n: usize, out: &mut Vec<u8>) {
        for _ in 0..n.min(2) {
            self.text(text, out);
        }
        if n <= 2 {
            return;
        }
        // The rest differ in their number alone: they are cut around it.
        const MARK: &str = "\"sequence_number\":";
        let mut frame = Vec::new();
        let next = self.sequence;
        self.text(text, &mut frame);
        let frame = String::from_utf8_lossy(&frame).into_owned();
        let (head, tail) = frame.split_once(MARK).unwrap_or((&frame, ""));
        let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        for at in 0..n as u64 - 2 {
            out.extend_from_slice(format!("{head}{MARK}{}{tail}", next + at).as_bytes());
        }
        self.texts_sent(text, n - 3);
    }

    fn texts_sent(&mut self, text: &str, n: usize) {
        self.sequence += n as u64;
        if let Some(Open::Message(said)) = &mut self.open {
            said.push_str(&text.repeat(n));
        }
    }
}

pub(crate) fn whole(setting: &Setting, whole: &Whole) -> Value {
    let mut encoder = Responses::new(setting);
    let mut unused = Vec::new();
    if !whole.reasoning.is_empty() {
        encoder.reasoning("", &whole.reasoning_text(), &mut unused);
    }
    if !whole.text.is_empty() {
        encoder.text(&whole.text, &mut unused);
    }
    for call in &whole.calls {
        encoder.call(call, &mut unused);
    }
    encoder.finish(&whole.finish, &mut unused);
    let is_whole = !matches!(whole.finish.as_str(), "length" | "content_filter" | "refusal");
    encoder.response(if is_whole { "completed" } else { "incomplete" })
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn usage(counts: Counts) -> Value {
    json!({
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cache_read},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.input + counts.output,
    })
}
