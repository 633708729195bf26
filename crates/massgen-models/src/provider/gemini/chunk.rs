//! One `GenerateContentResponse`, of which a stream holds many.

use std::borrow::Cow;
use std::fmt;

use massgen_protocol::Usage;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

/// What a response holds for us.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chunk {
    pub(super) candidates: Option<Vec<Candidate>>,
    pub(super) prompt_feedback: Option<PromptFeedback>,
    pub(super) usage_metadata: Option<Counts>,
    pub(super) model_version: Option<String>,
    pub(super) error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    pub(super) index: Option<u64>,
    pub(super) content: Option<Content>,
    pub(super) finish_reason: Option<String>,
    pub(super) finish_message: Option<String>,
    pub(super) grounding_metadata: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Content {
    pub(super) parts: Option<Vec<Piece>>,
}

/// A part. Nearly all are a piece of text and nothing else, which is kept apart so that
/// a stream of them costs little.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Text { text: String, is_thought: bool },
    Other(Map<String, Value>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    pub(super) block_reason: Option<String>,
    pub(super) block_reason_message: Option<String>,
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Piece, D::Error> {
        deserializer.deserialize_map(PieceVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Text,
    Thought,
    Other(String),
}

struct PieceVisitor;

impl<'de> Visitor<'de> for PieceVisitor {
    type Value = Piece;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Piece, A::Error> {
        let (mut text, mut thought) = (None, None);
        let mut others = Map::new();
        while let Some(key) = fields.next_key()? {
            match key {
                Key::Text => text = Some(fields.next_value::<Value>()?),
                Key::Thought => thought = Some(fields.next_value::<Value>()?),
                Key::Other(key) => {
                    others.insert(key, fields.next_value()?);
                }
            }
        }
        let is_thought = match thought {
            None | Some(Value::Bool(false)) => Some(false),
            Some(Value::Bool(true)) => Some(true),
            Some(_) => None,
        };
        match (text, is_thought) {
            (Some(Value::String(text)), Some(is_thought)) if others.is_empty() => {
                Ok(Piece::Text { text, is_thought })
            }
            (text, _) => {
                let mut part = Map::new();
                part.extend(text.map(|text| ("text".to_owned(), text)));
                part.extend(thought.map(|thought| ("thought".to_owned(), thought)));
                part.extend(others);
                Ok(Piece::Other(part))
            }
        }
    }
}

/// Tokens as this format counts them: what was cached is part of the prompt, and thoughts
/// are beside what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Counts {
    prompt_token_count: Count,
    candidates_token_count: Count,
    thoughts_token_count: Count,
    tool_use_prompt_token_count: Count,
    cached_content_token_count: Count,
    total_token_count: Count,
}

impl Counts {
    /// Takes in what a later response says; what it leaves out stays as it was.
    pub(super) fn update(&mut self, later: Counts) {
        let known = |later: Count, before: Count| Count(later.0.or(before.0));
        *self = Counts {
            prompt_token_count: known(later.prompt_token_count, self.prompt_token_count),
            candidates_token_count: known(
                later.candidates_token_count,
                self.candidates_token_count,
            ),
            thoughts_token_count: known(later.thoughts_token_count, self.thoughts_token_count),
            tool_use_prompt_token_count: known(
                later.tool_use_prompt_token_count,
                self.tool_use_prompt_token_count,
            ),
            cached_content_token_count: known(
                later.cached_content_token_count,
                self.cached_content_token_count,
            ),
            total_token_count: known(later.total_token_count, self.total_token_count),
        };
    }

    pub(super) fn normalised(self) -> Usage {
        let prompt = self.prompt_token_count.0.unwrap_or(0);
        let reasoning = self.thoughts_token_count.0.unwrap_or(0);
        let tool_use = self.tool_use_prompt_token_count.0.unwrap_or(0);
        let cache_read = self.cached_content_token_count.0.unwrap_or(0).min(prompt);
        let input_uncached = (prompt - cache_read).saturating_add(tool_use);
        let rest = |total: u64| {
            total.saturating_sub(prompt).saturating_sub(tool_use).saturating_sub(reasoning)
        };
        let output = self.candidates_token_count.0;
        let output = output.unwrap_or_else(|| self.total_token_count.0.map_or(0, rest));
        Usage { input_uncached, cache_read, cache_write: 0, output, reasoning, cost_micros: None }
    }
}

/// A number, as JSON has it or as a text, which is how protocol buffers write long ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Count, E> {
        Ok(Count(Some(count)))
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(count).ok()))
    }

    fn visit_f64<E: de::Error>(self, count: f64) -> Result<Count, E> {
        Ok(Count((count >= 0.0).then_some(count as u64)))
    }

    fn visit_str<E: de::Error>(self, count: &str) -> Result<Count, E> {
        Ok(Count(count.parse().ok()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Count, E> {
        Ok(Count(None))
    }
}

/// Reads one response. Broken UTF-8 inside a text loses a character, not the call.
pub(super) fn read(data: &[u8]) -> Result<Chunk, serde_json::Error> {
    serde_json::from_slice(data).or_else(|error| match String::from_utf8_lossy(data) {
        Cow::Owned(mended) => serde_json::from_str(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: [u64; 4]) {
        let mut counts = Counts::default();
        for chunk in json.split('|') {
            counts.update(read(chunk.as_bytes()).unwrap().usage_metadata.unwrap());
        }
        let usage = counts.normalised();
        let got = [usage.input_uncached, usage.cache_read, usage.output, usage.reasoning];
        assert_eq!(got, expected, "{json}");
    }

    #[test]
    fn tokens_are_told_apart() {
        check(
            r#"{"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":80,
               "candidatesTokenCount":7,"thoughtsTokenCount":30,"toolUsePromptTokenCount":5,
               "totalTokenCount":142}}"#,
            [25, 80, 7, 30],
        );
        check(
            r#"{"usageMetadata":{"promptTokenCount":"9","totalTokenCount":15.0,
               "thoughtsTokenCount":2,"candidatesTokenCount":null}}"#,
            [9, 0, 4, 2],
        );
        // What the last response leaves out is still so.
        check(
            r#"{"usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":4}}|{"usageMetadata":{"candidatesTokenCount":3}}"#,
            [5, 4, 3, 0],
        );
        // More cached than there was, and less than nothing.
        check(
            r#"{"usageMetadata":{"promptTokenCount":3,"cachedContentTokenCount":9,
               "candidatesTokenCount":-1,"thoughtsTokenCount":"many"}}"#,
            [0, 3, 0, 0],
        );
    }
}
