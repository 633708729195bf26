//! A request that was refused → one that is likely to be taken.

use serde_json::{Map, Value};

use super::request::{BOUND, BOUND_OF_THINKERS};
use crate::provider::ours::{Named, Ours, Refused};

const fn ours(field: &'static str, called: &'static [&'static str]) -> Ours {
    Ours { field, inner: None, called, is_essential: false }
}

/// What the many servers of this format refuse most.
pub(super) const OURS: &[Ours] = &[
    ours("stream_options", &["stream_options", "stream_options.include_usage"]),
    ours("reasoning_effort", &["reasoning_effort"]),
    ours("reasoning", &["reasoning", "reasoning.effort", "reasoning.max_tokens"]),
    ours("usage", &["usage", "usage.include"]),
    ours("cache_control", &["cache_control"]),
];

/// Returns the body a server may take instead, given the body of its refusal.
pub(super) fn amended(
    refused: &Refused,
    sent: &Value,
    refusal: &Value,
    params: &Map<String, Value>,
) -> Option<Value> {
    let mut body = sent.as_object().filter(|_| refusal.is_object())?.clone();
    let named = Named::of(refusal);
    // A deployment's name does not tell which of the two names its model takes.
    let other = match named.field.as_str() {
        BOUND => Some(BOUND_OF_THINKERS),
        BOUND_OF_THINKERS => Some(BOUND),
        _ => None,
    };
    if let Some(other) = other.filter(|_| named.code == "unsupported_parameter")
        && !body.contains_key(other)
        && let Some(bound) = body.shift_remove(&named.field)
    {
        body.insert(other.to_owned(), bound);
        return Some(Value::Object(body));
    }
    refused.amended(&body, &named, params).map(Value::Object)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_server_refuses_of_ours_is_left_out() {
        let sent = json!({"model": "m", "max_tokens": 5, "reasoning_effort": "low",
            "stream_options": {"include_usage": true}});
        let check = |refusal: Value, expected: Option<Value>| {
            let refused = Refused::new(OURS);
            assert_eq!(amended(&refused, &sent, &refusal, &Map::new()), expected, "{refusal}");
        };
        let without = json!({"model": "m", "max_tokens": 5, "reasoning_effort": "low"});
        check(json!({"error": {"param": "stream_options"}}), Some(without.clone()));
        check(json!({"detail": [{"loc": ["body", "stream_options"]}]}), Some(without));
        check(json!({"detail": "no"}), Some(json!({"model": "m", "max_tokens": 5})));
        let renamed = json!({"model": "m", "reasoning_effort": "low",
            "stream_options": {"include_usage": true}, "max_completion_tokens": 5});
        let error = json!({"code": "unsupported_parameter", "param": "max_tokens"});
        check(json!({"error": error}), Some(renamed));
        let error = json!({"code": "invalid_value", "param": "max_tokens"});
        check(json!({"error": error}), None);
        check(json!({"error": {"param": "temperature"}}), None);
        check(json!("no"), None);
    }
}
