//! The JSON of one stream chunk.

use serde_json::{Value, json};

/// Returns a chunk around one choice's delta.
pub(crate) fn delta(delta: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-loopback",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "loopback",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}

/// Returns the chunk without choices that ends a stream with its usage.
pub(crate) fn usage(usage: &Value) -> Value {
    json!({
        "id": "chatcmpl-loopback",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "loopback",
        "choices": [],
        "usage": usage,
    })
}

/// Returns one SSE frame.
pub(crate) fn frame(value: &Value) -> Vec<u8> {
    format!("data: {value}\n\n").into_bytes()
}
