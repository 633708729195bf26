//! What the model said, in its own form: the content that later requests replay.
//!
//! A signature vouches for the part it came on and for no other. So parts are kept as they
//! came and in order; only texts in pieces are joined, where no signature is near.

use serde_json::{Map, Value, json};

/// The parts of a content under construction.
#[derive(Debug, Default)]
pub(super) struct Said {
    parts: Vec<Kept>,
    /// They cannot be replayed: a later request that holds them would be refused.
    is_spoilt: bool,
}

#[derive(Debug)]
enum Kept {
    /// A text, or a thought, without a signature.
    Text {
        text: String,
        is_thought: bool,
    },
    Part(Map<String, Value>),
}

impl Said {
    /// Keeps a piece of a text that has nothing on it.
    pub(super) fn text(&mut self, piece: String, of_thought: bool) {
        match self.parts.last_mut() {
            // An empty one says nothing, and is refused on replay.
            _ if piece.is_empty() => {}
            Some(Kept::Text { text, is_thought }) if *is_thought == of_thought => {
                text.push_str(&piece);
            }
            Some(_) | None => {
                self.parts.push(Kept::Text { text: piece, is_thought: of_thought });
            }
        }
    }

    /// Keeps any other part; returns its place.
    pub(super) fn part(&mut self, part: Map<String, Value>) -> usize {
        self.parts.push(Kept::Part(part));
        self.parts.len() - 1
    }

    pub(super) fn spoil(&mut self) {
        self.is_spoilt = true;
    }

    /// Gives the function call at this place an id.
    pub(super) fn rename(&mut self, at: u64, id: String) {
        let kept = usize::try_from(at).ok().and_then(|at| self.parts.get_mut(at));
        let Some(Kept::Part(part)) = kept else { return };
        if let Some(Value::Object(call)) = part.get_mut("functionCall") {
            call.insert("id".to_owned(), Value::String(id));
        }
    }

    /// Returns the content; `None` if there is nothing to replay.
    pub(super) fn into_content(self) -> Option<Value> {
        let has_more_than_thoughts = self.parts.iter().any(|kept| match kept {
            Kept::Text { is_thought, .. } => !is_thought,
            Kept::Part(part) => !is_thought(part),
        });
        if self.is_spoilt || !has_more_than_thoughts {
            return None;
        }
        let parts: Vec<Value> = self.parts.into_iter().map(Kept::into_value).collect();
        Some(json!({"role": "model", "parts": parts}))
    }
}

impl Kept {
    fn into_value(self) -> Value {
        match self {
            Kept::Text { text, is_thought: true } => json!({"text": text, "thought": true}),
            Kept::Text { text, is_thought: false } => json!({"text": text}),
            Kept::Part(part) => Value::Object(part),
        }
    }
}

pub(super) fn is_thought(part: &Map<String, Value>) -> bool {
    part.get("thought").and_then(Value::as_bool).unwrap_or(false)
}
