//! What the model said, in its own form: the content that later requests replay.
//!
//! A signature vouches for the part it came on and for no other. So parts are kept as they
//! came and in order; only texts in pieces are joined, where no signature is near.

use serde_json::{Map, Value, json};

/// The parts of a content under construction.
#[derive(Debug, Default)]
pub(super) struct Said {
    parts: Vec<Map<String, Value>>,
    /// They cannot be replayed: a later request that holds them would be refused.
    is_spoilt: bool,
}

impl Said {
    /// Keeps a part; returns its place.
    pub(super) fn keep(&mut self, part: Map<String, Value>) -> usize {
        match (self.parts.last_mut(), text_of(&part)) {
            // An empty text with nothing on it says nothing, and is refused on replay.
            (_, Some("")) if is_bare(&part) => {}
            (Some(last), Some(more))
                if is_bare(&part) && is_bare(last) && is_thought(last) == is_thought(&part) =>
            {
                if let Some(Value::String(text)) = last.get_mut("text") {
                    text.push_str(more);
                }
            }
            _ => self.parts.push(part),
        }
        self.parts.len().saturating_sub(1)
    }

    pub(super) fn spoil(&mut self) {
        self.is_spoilt = true;
    }

    /// Gives the function call at this place an id.
    pub(super) fn rename(&mut self, at: u64, id: String) {
        let part = usize::try_from(at).ok().and_then(|at| self.parts.get_mut(at));
        if let Some(Value::Object(call)) = part.and_then(|part| part.get_mut("functionCall")) {
            call.insert("id".to_owned(), Value::String(id));
        }
    }

    /// Returns the content; `None` if there is nothing to replay.
    pub(super) fn into_content(self) -> Option<Value> {
        let has_more_than_thoughts = self.parts.iter().any(|part| !is_thought(part));
        (has_more_than_thoughts && !self.is_spoilt)
            .then(|| json!({"role": "model", "parts": self.parts}))
    }
}

pub(super) fn is_thought(part: &Map<String, Value>) -> bool {
    part.get("thought").and_then(Value::as_bool).unwrap_or(false)
}

fn text_of(part: &Map<String, Value>) -> Option<&str> {
    part.get("text").and_then(Value::as_str)
}

/// Returns whether a part is a text, or a thought, and nothing else: no signature.
fn is_bare(part: &Map<String, Value>) -> bool {
    text_of(part).is_some() && part.keys().all(|key| key == "text" || key == "thought")
}
