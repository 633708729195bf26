//! One frame of a stream, read strictly if it is ordinary and leniently if it is not.
//!
//! Nearly every frame has the ordinary shape, and reading that with derived
//! types is several times as fast. Where one field has another type than most
//! servers give it, the frame is read again as plain JSON, field by field.

use std::borrow::Cow;

use massgen_protocol::Usage;
use serde::Deserialize;
use serde_json::Value;

/// What a frame holds for us.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The first choice; `None` in a frame without choices.
    pub(crate) choice: Option<Choice>,
    /// Whether there is a list of choices at all, if only an empty one.
    pub(crate) has_choices: bool,
    pub(crate) usage: Option<Usage>,
    pub(crate) model: Option<String>,
    pub(crate) error: Option<Value>,
}

#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) content: Option<String>,
    /// Text of content parts that are thinking.
    pub(crate) thinking: Option<String>,
    pub(crate) refusal: Option<String>,
    /// The field it came in, and the text.
    pub(crate) reasoning: Option<(&'static str, String)>,
    pub(crate) reasoning_details: Vec<Value>,
    pub(crate) tool_calls: Vec<CallDelta>,
    /// Never empty.
    pub(crate) finish: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct CallDelta {
    pub(crate) index: Option<u64>,
    /// Never empty.
    pub(crate) id: Option<String>,
    /// Never empty.
    pub(crate) name: Option<String>,
    pub(crate) arguments: String,
}

/// Fields that carry reasoning as text, in the order they are looked at:
/// servers that fill several fill them with the same.
const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_text"];

/// Reads one frame; `want_model` is false once the model's name is known.
pub(crate) fn read(data: &[u8], want_model: bool) -> Result<Chunk, serde_json::Error> {
    match serde_json::from_slice::<Ordinary<'_>>(data) {
        Ok(frame) => Ok(frame.into_chunk(want_model)),
        Err(error) if error.is_data() => Ok(lenient(&serde_json::from_slice(data)?)),
        Err(error) => {
            // Broken UTF-8 inside a string loses a character, not the call.
            match String::from_utf8_lossy(data) {
                Cow::Owned(mended) => Ok(lenient(&serde_json::from_str(&mended)?)),
                Cow::Borrowed(_) => Err(error),
            }
        }
    }
}

#[derive(Deserialize)]
struct Ordinary<'a> {
    #[serde(borrow)]
    choices: Option<Vec<OrdinaryChoice<'a>>>,
    usage: Option<OrdinaryUsage>,
    model: Option<&'a str>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct OrdinaryChoice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: OrdinaryDelta<'a>,
    finish_reason: Option<&'a str>,
    usage: Option<OrdinaryUsage>,
}

#[derive(Deserialize)]
struct OrdinaryDelta<'a> {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    reasoning_text: Option<String>,
    reasoning_details: Option<Vec<Value>>,
    refusal: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<OrdinaryCall<'a>>>,
}

#[derive(Deserialize)]
struct OrdinaryCall<'a> {
    index: Option<u64>,
    id: Option<&'a str>,
    function: OrdinaryFunction<'a>,
}

#[derive(Deserialize)]
struct OrdinaryFunction<'a> {
    name: Option<&'a str>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct OrdinaryUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Value>,
    completion_tokens_details: Option<Value>,
    cost: Option<f64>,
    cached_tokens: Option<u64>,
    num_cached_tokens: Option<u64>,
    prompt_cache_hit_tokens: Option<u64>,
}

impl Ordinary<'_> {
    fn into_chunk(self, want_model: bool) -> Chunk {
        let has_choices = self.choices.is_some();
        let choice = self.choices.into_iter().flatten().find(|choice| choice.index == 0);
        let (choice, usage_in_choice) = match choice {
            Some(choice) => {
                let (choice, usage) = choice.into_choice();
                (Some(choice), usage)
            }
            None => (None, None),
        };
        Chunk {
            choice,
            has_choices,
            usage: self.usage.map(OrdinaryUsage::normalised).or(usage_in_choice),
            model: self.model.filter(|name| want_model && !name.is_empty()).map(str::to_owned),
            error: self.error,
        }
    }
}

impl OrdinaryChoice<'_> {
    fn into_choice(self) -> (Choice, Option<Usage>) {
        let delta = self.delta;
        let reasoning = [delta.reasoning_content, delta.reasoning, delta.reasoning_text];
        let choice = Choice {
            content: said(delta.content),
            thinking: None,
            refusal: said(delta.refusal),
            reasoning: REASONING_FIELDS
                .into_iter()
                .zip(reasoning)
                .find_map(|(field, text)| Some((field, said(text)?))),
            reasoning_details: delta.reasoning_details.unwrap_or_default(),
            tool_calls: delta.tool_calls.into_iter().flatten().map(OrdinaryCall::delta).collect(),
            finish: self.finish_reason.filter(|reason| !reason.is_empty()).map(str::to_owned),
        };
        (choice, self.usage.map(OrdinaryUsage::normalised))
    }
}

impl OrdinaryCall<'_> {
    fn delta(self) -> CallDelta {
        let said = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        CallDelta {
            index: self.index,
            id: said(self.id),
            name: said(self.function.name),
            arguments: self.function.arguments.unwrap_or_default(),
        }
    }
}

impl OrdinaryUsage {
    fn normalised(self) -> Usage {
        let detail = |details: &Option<Value>, key: &str| {
            details.as_ref().and_then(|details| details.get(key)).and_then(Value::as_u64)
        };
        let counts = Counts {
            prompt: self.prompt_tokens,
            completion: self.completion_tokens,
            total: self.total_tokens,
            cached: detail(&self.prompt_tokens_details, "cached_tokens")
                .or(self.prompt_cache_hit_tokens)
                .or(self.cached_tokens)
                .or(self.num_cached_tokens),
            cache_write: detail(&self.prompt_tokens_details, "cache_write_tokens"),
            reasoning: detail(&self.completion_tokens_details, "reasoning_tokens"),
            cost: self.cost,
        };
        counts.normalised()
    }
}

/// Tokens as this format counts them: what was cached is part of the prompt,
/// and reasoning part of the completion.
struct Counts {
    prompt: u64,
    completion: u64,
    total: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    cost: Option<f64>,
}

impl Counts {
    fn normalised(self) -> Usage {
        let cache_read = self.cached.unwrap_or(0).min(self.prompt);
        let cache_write = self.cache_write.unwrap_or(0).min(self.prompt - cache_read);
        let reasoning = self.reasoning.unwrap_or(0);
        // Some count reasoning beside the completion; only the total tells.
        let beside = reasoning > 0
            && self.total
                == Some(self.prompt.saturating_add(self.completion).saturating_add(reasoning));
        let (output, reasoning) = if beside {
            (self.completion, reasoning)
        } else {
            let reasoning = reasoning.min(self.completion);
            (self.completion - reasoning, reasoning)
        };
        let cost = self.cost.filter(|cost| cost.is_finite() && *cost >= 0.0);
        Usage {
            input_uncached: self.prompt - cache_read - cache_write,
            cache_read,
            cache_write,
            output,
            reasoning,
            cost_micros: cost.map(|dollars| (dollars * 1e6).round() as u64),
        }
    }
}

fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Reads a frame, or a whole completion, of whatever shape.
pub(crate) fn lenient(frame: &Value) -> Chunk {
    let choices = frame.get("choices").and_then(Value::as_array);
    let choice = choices.and_then(|choices| {
        choices.iter().find(|choice| matches!(choice.get("index").and_then(number), None | Some(0)))
    });
    let usage = frame.get("usage").and_then(lenient_usage);
    Chunk {
        has_choices: choices.is_some(),
        usage: usage.or_else(|| lenient_usage(choice?.get("usage")?)),
        model: frame.get("model").and_then(text).filter(|name| !name.is_empty()),
        error: frame.get("error").filter(|error| !error.is_null()).cloned(),
        choice: choice.map(lenient_choice),
    }
}

fn lenient_choice(choice: &Value) -> Choice {
    let nothing = Value::Null;
    let delta = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&nothing);
    let mut read = Choice {
        refusal: said(delta.get("refusal").and_then(text)),
        reasoning: REASONING_FIELDS
            .into_iter()
            .find_map(|field| Some((field, said(delta.get(field).and_then(text))?))),
        reasoning_details: list(delta.get("reasoning_details")).to_vec(),
        tool_calls: list(delta.get("tool_calls")).iter().map(lenient_call).collect(),
        finish: said(choice.get("finish_reason").and_then(text)),
        ..Choice::default()
    };
    match delta.get("content") {
        Some(Value::String(content)) => read.content = said(Some(content.clone())),
        Some(Value::Array(parts)) => {
            for part in parts {
                lenient_part(part, &mut read);
            }
        }
        Some(part @ Value::Object(_)) => lenient_part(part, &mut read),
        _ => {}
    }
    read
}

fn lenient_part(part: &Value, read: &mut Choice) {
    let add = |slot: &mut Option<String>, more: &str| {
        if !more.is_empty() {
            slot.get_or_insert_default().push_str(more);
        }
    };
    match part.get("thinking") {
        Some(Value::String(thought)) => add(&mut read.thinking, thought),
        Some(Value::Array(thoughts)) => {
            for thought in thoughts.iter().filter_map(|thought| thought.get("text")?.as_str()) {
                add(&mut read.thinking, thought);
            }
        }
        _ => {
            if let Some(words) = part.get("text").and_then(Value::as_str) {
                add(&mut read.content, words);
            }
        }
    }
}

fn lenient_call(call: &Value) -> CallDelta {
    let function = call.get("function");
    let field = |key: &str| function.and_then(|function| function.get(key));
    let arguments = match field("arguments") {
        Some(Value::String(arguments)) => arguments.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    CallDelta {
        index: call.get("index").and_then(number),
        id: said(call.get("id").and_then(text)),
        name: said(field("name").and_then(text)),
        arguments,
    }
}

fn lenient_usage(usage: &Value) -> Option<Usage> {
    if !usage.is_object() {
        return None;
    }
    let at = |pointer: &str| usage.pointer(pointer).and_then(number);
    let (prompt, completion, total) =
        (at("/prompt_tokens"), at("/completion_tokens"), at("/total_tokens"));
    if prompt.is_none() && completion.is_none() && total.is_none() {
        return None;
    }
    let prompt = prompt.unwrap_or(0);
    let cost = usage.get("cost").and_then(|cost| match cost {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    });
    let counts = Counts {
        prompt,
        completion: completion
            .unwrap_or_else(|| total.map_or(0, |total| total.saturating_sub(prompt))),
        total,
        cached: at("/prompt_tokens_details/cached_tokens")
            .or_else(|| at("/prompt_cache_hit_tokens"))
            .or_else(|| at("/cached_tokens"))
            .or_else(|| at("/num_cached_tokens")),
        cache_write: at("/prompt_tokens_details/cache_write_tokens"),
        reasoning: at("/completion_tokens_details/reasoning_tokens"),
        cost,
    };
    Some(counts.normalised())
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns a string, or a number as one: some servers count their ids.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        // Some count in floats.
        other => other.as_u64().or_else(|| {
            other
                .as_f64()
                .filter(|number| *number >= 0.0 && number.fract() == 0.0)
                .map(|n| n as u64)
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn usage(json: Value, expected: Usage) {
        let frame = json!({"choices": [], "usage": json});
        let strict = read(frame.to_string().as_bytes(), true).unwrap();
        assert_eq!(strict.usage, Some(expected), "{frame}");
        assert_eq!(lenient(&frame).usage, Some(expected), "leniently: {frame}");
    }

    #[test]
    fn tokens_are_counted_in_disjoint_classes() {
        usage(
            json!({"prompt_tokens": 10, "completion_tokens": 5}),
            Usage { input_uncached: 10, output: 5, ..Usage::default() },
        );
        usage(
            json!({"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19, "cost": 0.00001,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 6}}),
            Usage {
                input_uncached: 5,
                cache_read: 4,
                cache_write: 1,
                output: 3,
                reasoning: 6,
                cost_micros: Some(10),
            },
        );
        // Reasoning beside the completion.
        usage(
            json!({"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 25,
                "completion_tokens_details": {"reasoning_tokens": 6}}),
            Usage { input_uncached: 10, output: 9, reasoning: 6, ..Usage::default() },
        );
        // Counts that contradict each other stay within their sum.
        usage(
            json!({"prompt_tokens": 3, "completion_tokens": 1, "cached_tokens": 8, "cost": -1.0,
                "completion_tokens_details": {"reasoning_tokens": 6}}),
            Usage { cache_read: 3, reasoning: 1, ..Usage::default() },
        );
    }

    #[test]
    fn usage_of_another_shape_is_read_leniently() {
        let frame = json!({"usage": {"prompt_tokens": 7.0, "total_tokens": "9", "cost": "0.5"}});
        let usage = lenient(&frame).usage.unwrap();
        let counts = (usage.input_uncached, usage.output, usage.cost_micros);
        assert_eq!(counts, (7, 2, Some(500_000)));
        for nothing in [json!({"usage": null}), json!({"usage": {}}), json!({"usage": 3})] {
            assert_eq!(lenient(&nothing).usage, None);
        }
    }

    #[test]
    fn frames_that_are_no_json_are_errors_and_odd_ones_are_not() {
        for garbage in ["", "{", "data", "{\"choices\": [}"] {
            assert!(read(garbage.as_bytes(), true).is_err(), "{garbage}");
        }
        for odd in ["null", "[]", "3", "{}", r#"{"choices": 3}"#, r#"{"choices": [null, {}]}"#] {
            let chunk = read(odd.as_bytes(), true).unwrap();
            assert!(chunk.error.is_none() && chunk.usage.is_none(), "{odd}");
        }
        let broken = b"{\"choices\":[{\"delta\":{\"content\":\"a\xff\"},\"finish_reason\":null}]}";
        let content = read(broken, true).unwrap().choice.unwrap().content;
        assert_eq!(content.as_deref(), Some("a\u{fffd}"));
    }
}
