//! Keeps secrets out of what is written and shown.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use massgen_protocol::{RunSpec, Secret};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::LogError;
use crate::key_shape::{KEY_SHAPES, KeyShape};

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// Shorter values are not looked for: they would be found in ordinary words.
const SECRET_LEN_MIN: usize = 6;

/// What people write where a server asks for no key. Replacing these would only
/// garble texts about such servers.
const PLACEHOLDERS: &[&str] = &[
    "ollama",
    "lm-studio",
    "lmstudio",
    "not-needed",
    "not-required",
    "no-key",
    "no-key-needed",
    "no-key-required",
    "sk-no-key-required",
    "placeholder",
];

/// Finds the run's own secrets, as they are and as JSON escapes them, and keys
/// that show by their shape what they are.
pub struct Redactor {
    /// One automaton for the secrets and, after them, the beginnings of the key shapes.
    finder: AhoCorasick,
    secrets: Vec<String>,
}

impl Redactor {
    /// Makes a redactor for these secrets; short ones and placeholders are left out.
    ///
    /// # Errors
    /// If the secrets are gigabytes.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Redactor, LogError> {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            let secret = secret.trim();
            if secret.len() < SECRET_LEN_MIN || PLACEHOLDERS.contains(&secret) {
                continue;
            }
            // As it is, within a JSON text, and within a JSON text that is itself
            // a JSON string, as tool arguments are.
            let escaped = json_escaped(secret);
            forms.insert(json_escaped(&escaped));
            forms.insert(escaped);
            forms.insert(secret.to_owned());
        }
        let secrets: Vec<String> = forms.into_iter().collect();
        let prefixes = KEY_SHAPES.iter().map(|shape| shape.prefix);
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(secrets.iter().map(String::as_str).chain(prefixes))
            .map_err(|_| LogError::TooManySecrets { n: secrets.len() })?;
        Ok(Redactor { finder, secrets })
    }

    /// Makes a redactor for all keys of a run.
    pub fn for_spec(spec: &RunSpec) -> Result<Redactor, LogError> {
        let keys = spec
            .agents
            .iter()
            .flat_map(|agent| agent.backend.secrets().into_iter().chain(agent.tooling.secrets()));
        Redactor::new(keys.map(Secret::expose))
    }

    /// Returns the text with secrets replaced.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(replaced(text, 0..text.len(), &found))
    }

    /// Returns whether there is nothing to replace, in a text or in a JSON text.
    pub fn is_clean(&self, text: &[u8]) -> bool {
        self.next(text, 0, 0).is_none()
    }

    /// Returns the value with the secrets in its texts replaced.
    ///
    /// Works on the value rather than on its JSON, where a replacement could hit
    /// the format's own words.
    pub(crate) fn redact_value<T>(&self, value: &T) -> Result<T, serde_json::Error>
    where
        T: Serialize + DeserializeOwned,
    {
        let tree = serde_json::to_value(value)?;
        let whole = serde_json::from_value(self.redact_tree(tree.clone(), Words::AreTexts));
        // A secret that is also a word of the format, such as `agent1`, breaks the
        // value; then whatever looks like such a word is left alone.
        whole.or_else(|_| serde_json::from_value(self.redact_tree(tree, Words::AreKept)))
    }

    fn redact_tree(&self, tree: Value, words: Words) -> Value {
        match tree {
            Value::String(text) => match words {
                Words::AreKept if is_word_of_format(&text) => Value::String(text),
                Words::AreKept | Words::AreTexts => Value::String(self.redact(&text).into_owned()),
            },
            Value::Array(values) => {
                values.into_iter().map(|value| self.redact_tree(value, words)).collect()
            }
            // A file of megabytes has something like a key by chance, and would be broken.
            Value::Object(fields) if is_inline_file(&fields) => Value::Object(fields),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| {
                    let name = match words {
                        Words::AreKept if is_word_of_format(&name) => name,
                        Words::AreKept | Words::AreTexts => self.redact(&name).into_owned(),
                    };
                    (name, self.redact_tree(value, words))
                });
                Value::Object(fields.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => tree,
        }
    }

    /// Returns where the secrets are, in order and disjoint.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        self.find_after(text, 0)
    }

    /// The same for a text of which a secret before it covers `..covered`.
    pub(crate) fn find_after(&self, text: &[u8], mut covered: usize) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        // Goes on one byte after each beginning, not after each end, for a secret
        // may begin within what another one covers.
        while let Some((start, range)) = self.next(text, from, covered) {
            from = start + 1;
            covered = covered.max(range.end);
            match found.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => found.push(range),
            }
        }
        found
    }

    /// Returns the first secret that begins at `from` or later: where it begins, and
    /// what of it is to be replaced. Shapes within `..covered` are already judged.
    fn next(&self, text: &[u8], mut from: usize, covered: usize) -> Option<(usize, Range<usize>)> {
        loop {
            let found = self.finder.find(Input::new(text).range(from..))?;
            let start = found.start();
            let Some(shape) = self.shape(found.pattern().as_usize()) else {
                return Some((start, start..found.end()));
            };
            if start >= covered && shape.is_key(text, start) {
                return Some((start, start + shape.kept..shape.run_end(text, start)));
            }
            from = start + 1;
        }
    }

    /// Returns where a secret may begin whose end has not come yet, and the shape
    /// that makes it one, for a text that will go on.
    pub(crate) fn unfinished(&self, text: &[u8], covered: usize) -> Option<Unfinished> {
        let partial_secret = self
            .secrets
            .iter()
            .map(String::as_str)
            .chain(KEY_SHAPES.iter().map(|shape| shape.prefix))
            .filter_map(|whole| partial_suffix(text, whole.as_bytes()))
            .min();
        let open_shape = self.open_shape(text, covered);
        match (partial_secret, open_shape) {
            (Some(start), Some((shape_start, _))) if start < shape_start => {
                Some(Unfinished { start, key: None })
            }
            (_, Some((start, shape))) => Some(Unfinished { start, key: Some(shape) }),
            (Some(start), None) => Some(Unfinished { start, key: None }),
            (None, None) => None,
        }
    }

    /// Returns the first key shape whose run of bytes reaches the text's end.
    fn open_shape(&self, text: &[u8], covered: usize) -> Option<(usize, &'static KeyShape)> {
        let mut from = 0;
        loop {
            let found = self.finder.find(Input::new(text).range(from..))?;
            let start = found.start();
            from = start + 1;
            let Some(shape) = self.shape(found.pattern().as_usize()) else { continue };
            if start < covered {
                continue;
            }
            if shape.is_key(text, start) {
                let end = shape.run_end(text, start);
                if end == text.len() {
                    return Some((start, shape));
                }
                from = end;
            } else if shape.judged_end(text, start) == text.len() {
                return Some((start, shape));
            }
        }
    }

    /// Returns the length of the longest form of a secret.
    pub(crate) fn longest_secret(&self) -> usize {
        self.secrets.iter().map(String::len).max().unwrap_or(0)
    }

    fn shape(&self, pattern: usize) -> Option<&'static KeyShape> {
        KEY_SHAPES.get(pattern.checked_sub(self.secrets.len())?)
    }
}

/// Where a secret may begin, and whether its end is merely the end of a run.
pub(crate) struct Unfinished {
    pub(crate) start: usize,
    pub(crate) key: Option<&'static KeyShape>,
}

/// Whether strings that look like words of the format may hold secrets.
#[derive(Clone, Copy)]
enum Words {
    AreTexts,
    AreKept,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} forms of secrets)", self.secrets.len())
    }
}

/// Returns the part `window` of the text with the ranges replaced.
pub(crate) fn replaced(text: &str, window: Range<usize>, found: &[Range<usize>]) -> String {
    let mut result = String::with_capacity(window.len());
    let mut at = window.start;
    for range in found.iter().filter(|range| range.end > window.start && range.start < window.end) {
        if range.start > at {
            result.push_str(&text[at..range.start]);
        }
        result.push_str(REDACTED);
        at = range.end.min(window.end);
    }
    result.push_str(&text[at..window.end]);
    result
}

/// Returns whether a text is made like our tags, names of fields, and ids
/// (`call_finished`, `agent2#3.1`).
fn is_word_of_format(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        || text.strip_prefix("agent").is_some_and(|rest| {
            rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'#' || byte == b'.')
        })
}

/// Returns whether this is a file that is part of a run's spec, as its bytes.
fn is_inline_file(fields: &Map<String, Value>) -> bool {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    fields.len() == 2
        && fields.get("from").and_then(Value::as_str) == Some("inline")
        && fields
            .get("base64")
            .and_then(Value::as_str)
            .is_some_and(|text| text.bytes().all(is_base64))
}

/// Returns where the text's end begins that is a beginning of `whole`, the longest if several.
fn partial_suffix(text: &[u8], whole: &[u8]) -> Option<usize> {
    let first = whole.first()?;
    let earliest = text.len().saturating_sub(whole.len().saturating_sub(1));
    (earliest..text.len()).find(|&start| text[start] == *first && whole.starts_with(&text[start..]))
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
