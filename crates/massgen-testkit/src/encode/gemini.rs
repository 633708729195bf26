//! Gemini: every chunk is a whole response with parts of the only candidate.

use serde_json::{Value, json};

use super::{Counts, Encoder, Failure, Setting, ToolCall, Whole, error_body, signature};
use crate::format::Format;

pub(crate) struct Gemini {
    setting: Setting,
    /// Only the first call of a reply is signed.
    signed: bool,
    /// A call whose arguments are no JSON was to be made; the provider sends none of it.
    malformed: bool,
    chunks: usize,
}

impl Gemini {
    pub(crate) fn new(setting: &Setting) -> Gemini {
        Gemini { setting: setting.clone(), signed: false, malformed: false, chunks: 0 }
    }

    fn send(&mut self, json: &str, out: &mut Vec<u8>) {
        let text = match (self.setting.array, self.chunks) {
            (false, _) => format!("data: {json}\r\n\r\n"),
            (true, 0) => format!("[{json}"),
            (true, _) => format!(",\r\n{json}"),
        };
        self.chunks += 1;
        out.extend_from_slice(text.as_bytes());
    }

    fn part(&mut self, part: &Value, out: &mut Vec<u8>) {
        let candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
        // Until the end it counts the prompt alone.
        let counts = Counts { output: 0, reasoning: 0, ..self.setting.counts };
        let response = response(&self.setting, &candidate, counts);
        self.send(&response.to_string(), out);
    }
}

impl Encoder for Gemini {
    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.part(&json!({ "text": text }), out);
    }

    fn reasoning(&mut self, _field: &str, text: &str, out: &mut Vec<u8>) {
        self.part(&json!({"text": text, "thought": true}), out);
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        match call_part(&self.setting, call, !self.signed) {
            Some(part) => {
                self.signed = true;
                self.part(&part, out);
            }
            None => self.malformed = true,
        }
    }

    fn finish(&mut self, reason: &str, out: &mut Vec<u8>) {
        let candidate = json!({
            "content": {"parts": [{"text": ""}], "role": "model"},
            "finishReason": finish_reason(reason, self.malformed),
            "index": 0,
        });
        let response = response(&self.setting, &candidate, self.setting.counts);
        self.send(&response.to_string(), out);
    }

    fn usage(&mut self, _out: &mut Vec<u8>) {}

    fn done(&mut self, out: &mut Vec<u8>) {
        if self.setting.array {
            out.extend_from_slice(if self.chunks == 0 { b"[]" } else { b"]" });
        }
    }

    fn failure(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.send(&error_body(Format::Gemini, failure).to_string(), out);
    }

    fn frame(&mut self, json: &str, out: &mut Vec<u8>) {
        let text = format!(
            "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":{json}}}],\
             \"role\":\"model\"}},\"index\":0}}]}}"
        );
        self.send(&text, out);
    }
}

pub(crate) fn whole(setting: &Setting, whole: &Whole) -> Value {
    let mut parts = Vec::new();
    let thought = whole.reasoning_text();
    if !thought.is_empty() {
        parts.push(json!({"text": thought, "thought": true}));
    }
    if !whole.text.is_empty() {
        parts.push(json!({ "text": whole.text }));
    }
    let mut malformed = false;
    for (n, call) in whole.calls.iter().enumerate() {
        match call_part(setting, call, n == 0) {
            Some(part) => parts.push(part),
            None => malformed = true,
        }
    }
    let candidate = json!({
        "content": {"parts": parts, "role": "model"},
        "finishReason": finish_reason(&whole.finish, malformed),
        "index": 0,
    });
    response(setting, &candidate, setting.counts)
}

fn call_part(setting: &Setting, call: &ToolCall, signed: bool) -> Option<Value> {
    let arguments: Value = serde_json::from_str(&call.arguments()).ok()?;
    let mut function_call = json!({"name": call.name, "args": arguments});
    if setting.call_ids {
        function_call["id"] = json!(call.id);
    }
    let mut part = json!({ "functionCall": function_call });
    if signed {
        part["thoughtSignature"] = json!(signature(&call.name));
    }
    Some(part)
}

fn response(setting: &Setting, candidate: &Value, counts: Counts) -> Value {
    json!({
        "candidates": [candidate],
        "usageMetadata": usage(counts),
        "modelVersion": setting.model,
        "responseId": format!("loopback{}", setting.n),
    })
}

/// Here thinking is counted beside the answer, and the cache within the prompt.
fn usage(counts: Counts) -> Value {
    let mut usage = json!({
        "promptTokenCount": counts.input,
        "totalTokenCount": counts.input + counts.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.input}],
    });
    if counts.output > counts.reasoning {
        usage["candidatesTokenCount"] = json!(counts.output - counts.reasoning);
    }
    if counts.reasoning > 0 {
        usage["thoughtsTokenCount"] = json!(counts.reasoning);
    }
    if counts.cache_read > 0 {
        usage["cachedContentTokenCount"] = json!(counts.cache_read);
    }
    usage
}

fn finish_reason(reason: &str, malformed: bool) -> &str {
    match reason {
        "length" => "MAX_TOKENS",
        _ if malformed => "MALFORMED_FUNCTION_CALL",
        "stop" | "tool_calls" | "" => "STOP",
        "content_filter" | "refusal" => "SAFETY",
        other => other,
    }
}
