//! One event of a stream, and what its parts say.

use std::borrow::Cow;

use massgen_protocol::Usage;
use serde::Deserialize;
use serde_json::Value;

/// The fields that nearly all events have, read without the rest.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) delta: Option<Cow<'a, str>>,
    pub(super) output_index: Option<u64>,
    #[serde(default)]
    pub(super) content_index: Option<u64>,
    #[serde(default)]
    pub(super) summary_index: Option<u64>,
}

impl Event<'_> {
    /// Reads an event; `None` if it is no object at all.
    pub(super) fn read(data: &[u8]) -> Option<Event<'_>> {
        if let Ok(event) = serde_json::from_slice(data) {
            return Some(event);
        }
        // One field of another type than most servers give it, or broken UTF-8.
        let value = whole(data)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| value.get(key).and_then(number);
        value.is_object().then(|| Event {
            kind: text("type").unwrap_or_default().into(),
            delta: text("delta").map(Cow::Owned),
            output_index: number("output_index"),
            content_index: number("content_index"),
            summary_index: number("summary_index"),
        })
    }
}

/// Reads all of an event. Broken UTF-8 inside a string loses a character, not the call.
pub(super) fn whole(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data)
        .or_else(|_| serde_json::from_str(&String::from_utf8_lossy(data)))
        .ok()
}

/// Reads tokens: what was cached is part of the input, and reasoning part of the output.
pub(super) fn usage(usage: &Value) -> Option<Usage> {
    let at = |pointer: &str| usage.pointer(pointer).and_then(number);
    let (input, output) = (at("/input_tokens"), at("/output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let cache_read = at("/input_tokens_details/cached_tokens").unwrap_or(0).min(input);
    let cache_write =
        at("/input_tokens_details/cache_write_tokens").unwrap_or(0).min(input - cache_read);
    let reasoning = at("/output_tokens_details/reasoning_tokens").unwrap_or(0);
    // Some count reasoning beside the output; only the total tells.
    let beside = reasoning > 0
        && at("/total_tokens") == Some(input.saturating_add(output).saturating_add(reasoning));
    let (output, reasoning) = if beside {
        (output, reasoning)
    } else {
        let reasoning = reasoning.min(output);
        (output - reasoning, reasoning)
    };
    Some(Usage {
        input_uncached: input - cache_read - cache_write,
        cache_read,
        cache_write,
        output,
        reasoning,
        cost_micros: cost_micros(usage),
    })
}

/// Ticks in which xAI tells a price, in a millionth of a dollar.
const TICKS_PER_MICRO: u64 = 10_000;

fn cost_micros(usage: &Value) -> Option<u64> {
    let ticks = usage.get("cost_in_usd_ticks").and_then(number);
    if let Some(ticks) = ticks {
        return Some(ticks.div_ceil(TICKS_PER_MICRO));
    }
    let dollars = usage.get("cost").and_then(Value::as_f64);
    dollars
        .filter(|dollars| dollars.is_finite() && *dollars >= 0.0)
        .map(|dollars| (dollars * 1e6).round() as u64)
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        // Some count in floats.
        let number = value.as_f64()?;
        (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
    })
}

/// Returns a field that is a text with something in it.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_read_whatever_types_its_fields_have() {
        let event = Event::read(br#"{"type":"a","delta":"x\n","output_index":1}"#).unwrap();
        assert_eq!((&*event.kind, event.delta.as_deref()), ("a", Some("x\n")));
        assert_eq!(event.output_index, Some(1));
        let event = Event::read(br#"{"type":"a","delta":{"text":1},"output_index":1.0}"#).unwrap();
        assert_eq!((&*event.kind, event.delta, event.output_index), ("a", None, Some(1)));
        let event = Event::read(b"{\"type\":\"a\",\"delta\":\"\xff\"}").unwrap();
        assert_eq!(event.delta.as_deref(), Some("\u{fffd}"));
        assert!(Event::read(b"[]").is_none() && Event::read(b"{").is_none());
    }

    #[test]
    fn tokens_are_counted_in_disjoint_classes() {
        let check = |json: Value, expected: Option<Usage>| assert_eq!(usage(&json), expected);
        check(
            json!({"input_tokens": 100, "output_tokens": 30, "total_tokens": 130,
                "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
                "output_tokens_details": {"reasoning_tokens": 20}}),
            Some(Usage {
                input_uncached: 30,
                cache_read: 60,
                cache_write: 10,
                output: 10,
                reasoning: 20,
                cost_micros: None,
            }),
        );
        check(
            json!({"input_tokens": 10.0, "output_tokens": 5, "total_tokens": 22,
                "output_tokens_details": {"reasoning_tokens": 7}, "cost_in_usd_ticks": 25_001}),
            Some(Usage {
                input_uncached: 10,
                output: 5,
                reasoning: 7,
                cost_micros: Some(3),
                ..Usage::default()
            }),
        );
        // Counts that contradict each other stay within their sum.
        check(
            json!({"input_tokens": 3, "output_tokens": 1, "cost": -1.0,
                "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 8},
                "output_tokens_details": {"reasoning_tokens": 6}}),
            Some(Usage { cache_read: 3, reasoning: 1, ..Usage::default() }),
        );
        check(json!({"total_tokens": 3}), None);
        check(json!(null), None);
    }
}
