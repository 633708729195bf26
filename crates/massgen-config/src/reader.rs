//! Values to types: every getter says what is wrong and where, and gives `None`.

use std::ops::RangeInclusive;

use massgen_protocol::{HeaderText, Secret};
use serde_json::{Map, Number as JsonNumber, Value};

use crate::Environment;
use crate::expand::{ExpandError, Use, expand, has_variable, is_secret_variable, looks_secret};
use crate::node::{Kind, Node};
use crate::problem::{Place, shown};
use crate::report::Report;
use crate::scalar::{Number, boolean, number};
use crate::section::Field;

/// Longest time that can be set: 30 days. A larger number is most likely in the wrong unit.
pub(crate) const SECONDS_MAX: f64 = 30.0 * 24.0 * 3_600.0;

/// Shortest text that is taken for a key.
const SECRET_LEN_MIN: usize = 6;

/// How keys of well-known services begin.
const KEY_PREFIXES: [&str; 12] = [
    "Bearer ",
    "Basic ",
    "sk-",
    "AIza",
    "xai-",
    "gsk_",
    "ghp_",
    "github_pat_",
    "hf_",
    "nvapi-",
    "xoxb-",
    "csk-",
];

/// Reads values and keeps what is wrong with them.
pub(crate) struct Reader<'a> {
    pub env: &'a Environment,
    pub report: Report,
}

/// Whether a time may be zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Least {
    Zero,
    OneMilli,
}

impl Reader<'_> {
    pub fn error(&mut self, at: Place, path: &str, message: String, hint: Option<String>) {
        self.report.error(at, path, message, hint);
    }

    /// Says that a field holds something else; `found` is told as it was written.
    pub fn mismatch(&mut self, field: &Field<'_>, expected: &str) {
        let message = match &field.node.kind {
            Kind::Scalar { text, .. } if !field.node.is_null() => {
                format!("expected {expected}, found `{}`", shown(text))
            }
            Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => {
                format!("expected {expected}, found {}", field.node.noun())
            }
        };
        self.error(field.node.at, &field.path, message, None);
    }

    /// Reads a text with its variables put in.
    pub fn text(&mut self, field: Option<Field<'_>>) -> Option<String> {
        let field = field?;
        match &field.node.kind {
            Kind::Scalar { text, .. } => {
                self.expanded(text, field.node.at, &field.path, Use::Recorded)
            }
            Kind::List(_) | Kind::Map(_) => {
                self.mismatch(&field, "a text");
                None
            }
        }
    }

    /// Reads a text that is never shown or written anywhere.
    pub fn secret(&mut self, field: &Field<'_>) -> Option<Secret> {
        match &field.node.kind {
            Kind::Scalar { text, .. } => {
                self.expanded(text, field.node.at, &field.path, Use::Secret).map(Secret::new)
            }
            Kind::List(_) | Kind::Map(_) => {
                self.mismatch(field, "a text");
                None
            }
        }
    }

    /// Reads a text that may hold a key, and so is written down by where it came from only.
    /// `name` says whether it does.
    pub fn secret_text(&mut self, name: &str, field: &Field<'_>) -> Option<HeaderText> {
        let Kind::Scalar { text, .. } = &field.node.kind else {
            self.mismatch(field, "a text");
            return None;
        };
        let value = self.expanded(text, field.node.at, &field.path, Use::Secret)?;
        if has_variable(text) {
            return Some(HeaderText::Expanded {
                written: text.to_string(),
                value: Secret::new(value),
            });
        }
        // Nothing secret has few letters: `true`, `3`, `beta`.
        if value.len() >= SECRET_LEN_MIN && (is_secret_variable(name) || looks_like_key(&value)) {
            let message = format!(
                "`{}` looks like a secret, and what is written here is written to the log",
                shown(name)
            );
            let hint = "name a variable instead: `${NAME}`".to_owned();
            self.error(field.node.at, &field.path, message, Some(hint));
            return None;
        }
        Some(HeaderText::Plain { value })
    }

    /// Reads a list of texts; one text is a list of one.
    pub fn texts(&mut self, field: Option<Field<'_>>) -> Option<Vec<String>> {
        let field = field?;
        let nodes = match &field.node.kind {
            Kind::Scalar { .. } => std::slice::from_ref(field.node),
            Kind::List(items) => items,
            Kind::Map(_) => {
                self.mismatch(&field, "a list of texts");
                return None;
            }
        };
        let read = |(n, node)| {
            let path = format!("{}[{n}]", field.path);
            self.text(Some(Field { node, key_at: field.key_at, path }))
        };
        // All of them are read, so that all that is wrong is told.
        let texts: Vec<Option<String>> = nodes.iter().enumerate().map(read).collect();
        texts.into_iter().collect()
    }

    /// Reads a path as it is written; `~/` is the home folder.
    pub fn path(&mut self, field: Field<'_>, expected: &str) -> Option<String> {
        if field.node.is_null() {
            self.mismatch(&field, expected);
            return None;
        }
        let (at, place) = (field.node.at, field.path.clone());
        let path = self.text(Some(field))?;
        let path = path.trim();
        if path.is_empty() || path.contains('\0') {
            self.error(at, &place, format!("expected {expected}"), None);
            return None;
        }
        Some(match (path.strip_prefix("~/"), self.env.vars.get("HOME")) {
            (Some(rest), Some(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
            (Some(_), None) | (None, _) => path.to_owned(),
        })
    }

    /// Reads a list of paths; one is a list of one.
    pub fn paths(&mut self, field: Field<'_>) -> Vec<String> {
        let nodes = match &field.node.kind {
            Kind::Scalar { .. } => std::slice::from_ref(field.node),
            Kind::List(items) => items.as_slice(),
            Kind::Map(_) => {
                self.mismatch(&field, "a list of paths");
                return Vec::new();
            }
        };
        let mut paths = Vec::new();
        for (n, node) in nodes.iter().enumerate() {
            let path = format!("{}[{n}]", field.path);
            let read = self.path(Field { node, key_at: field.key_at, path }, "a path");
            paths.extend(read);
        }
        paths
    }

    /// Reads a number of bytes; `512m` and `2g` are meant as powers of 1024.
    pub fn bytes(&mut self, field: Option<Field<'_>>, bounds: RangeInclusive<u64>) -> Option<u64> {
        let field = field?;
        let read = scalar(field.node).and_then(byte_count);
        let read = read.filter(|n| bounds.contains(n));
        if read.is_none() {
            let (low, high) = (bounds.start(), bounds.end());
            self.mismatch(&field, &format!("bytes from {low} to {high}, like `512m` or `2g`"));
        }
        read
    }

    fn expanded(&mut self, text: &str, at: Place, path: &str, used: Use) -> Option<String> {
        let errors = match expand(text, self.env, used) {
            Ok(expanded) => return Some(expanded.into_owned()),
            Err(errors) => errors,
        };
        for error in errors {
            let (message, hint) = match error {
                ExpandError::NotSet { name } => (
                    format!("environment variable `{name}` is not set"),
                    format!("set it, write `${{{name}:-default}}`, or `$${{{name}}}` for the text"),
                ),
                ExpandError::Secret { name } => (
                    format!("`{name}` looks like a secret, and this value is written to the log"),
                    "only `api_key`, `headers` and `env` may hold a secret".to_owned(),
                ),
            };
            self.error(at, path, message, Some(hint));
        }
        None
    }

    pub fn flag(&mut self, field: Option<Field<'_>>) -> Option<bool> {
        let field = field?;
        let read = scalar(field.node).and_then(boolean);
        if read.is_none() {
            self.mismatch(&field, "`true` or `false`");
        }
        read
    }

    /// Reads a whole number within bounds.
    pub fn count(&mut self, field: Option<Field<'_>>, bounds: RangeInclusive<u64>) -> Option<u64> {
        let field = field?;
        let read = match scalar(field.node).and_then(number) {
            Some(Number::Whole(n)) => u64::try_from(n).ok(),
            // `5.0` and `1e6` are whole too.
            Some(Number::Fraction(x)) if x.fract() == 0.0 && (0.0..=1e15).contains(&x) => {
                Some(x as u64)
            }
            Some(Number::Fraction(_)) | None => None,
        };
        let read = read.filter(|n| bounds.contains(n));
        if read.is_none() {
            let (low, high) = (bounds.start(), bounds.end());
            let expected = if *high >= u64::from(u32::MAX) {
                format!("a whole number of at least {low}")
            } else {
                format!("a whole number from {low} to {high}")
            };
            self.mismatch(&field, &expected);
        }
        read
    }

    /// Reads a whole number that fits the type.
    pub fn count32(
        &mut self,
        field: Option<Field<'_>>,
        bounds: RangeInclusive<u32>,
    ) -> Option<u32> {
        let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
        self.count(field, bounds).and_then(|n| u32::try_from(n).ok())
    }

    /// Reads a time in seconds, fractions allowed, and gives milliseconds.
    pub fn seconds(&mut self, field: Option<Field<'_>>, least: Least) -> Option<u64> {
        let field = field?;
        let lowest = match least {
            Least::Zero => 0.0,
            Least::OneMilli => 0.001,
        };
        self.decimal(&field, lowest..=SECONDS_MAX, || {
            let from = if least == Least::Zero { "0" } else { "0.001" };
            format!("seconds, a number from {from} to {SECONDS_MAX} (30 days)")
        })
        .map(|seconds| (seconds * 1_000.0).round() as u64)
    }

    /// Reads an amount of US dollars and gives millionths.
    pub fn dollars(
        &mut self,
        field: Option<Field<'_>>,
        bounds: RangeInclusive<f64>,
    ) -> Option<u64> {
        let field = field?;
        let (low, high) = (*bounds.start(), *bounds.end());
        self.decimal(&field, bounds, || format!("US dollars, a number from {low} to {high}"))
            .map(|dollars| (dollars * 1_000_000.0).round() as u64)
    }

    pub fn decimal(
        &mut self,
        field: &Field<'_>,
        bounds: RangeInclusive<f64>,
        expected: impl Fn() -> String,
    ) -> Option<f64> {
        let read = scalar(field.node).and_then(number).map(Number::as_f64);
        // NaN is in no range.
        let read = read.filter(|x| bounds.contains(x));
        if read.is_none() {
            self.mismatch(field, &expected());
        }
        read
    }

    /// Reads one of a few words.
    pub fn choice<T: Copy>(
        &mut self,
        field: Option<Field<'_>>,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let field = field?;
        let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
        let written = scalar(field.node).map(plain);
        let found = choices.iter().find(|(name, _)| written == Some(plain(name)));
        if found.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
            self.mismatch(&field, &format!("one of {}", names.join(", ")));
        }
        found.map(|&(_, choice)| choice)
    }

    /// Reads any value as a part of a request.
    pub fn json(&mut self, node: &Node, path: &str) -> Option<Value> {
        match &node.kind {
            Kind::Scalar { text, plain } => {
                if !plain {
                    let text = self.expanded(text, node.at, path, Use::Recorded)?;
                    return Some(Value::String(text));
                }
                if node.is_null() {
                    return Some(Value::Null);
                }
                match (boolean(text), number(text)) {
                    (Some(flag), _) => Some(Value::Bool(flag)),
                    (None, Some(number)) => self.json_number(number, node, path),
                    (None, None) => {
                        self.expanded(text, node.at, path, Use::Recorded).map(Value::String)
                    }
                }
            }
            Kind::List(items) => {
                let items = items.iter().enumerate();
                let values: Vec<Option<Value>> =
                    items.map(|(n, item)| self.json(item, &format!("{path}[{n}]"))).collect();
                values.into_iter().collect::<Option<Vec<Value>>>().map(Value::Array)
            }
            Kind::Map(entries) => {
                let mut object = Map::new();
                let mut is_whole = true;
                for entry in entries.iter() {
                    let path = format!("{path}.{}", shown(&entry.key));
                    if self.refuses_secret(&entry.key, entry.key_at, &entry.value, &path) {
                        is_whole = false;
                        continue;
                    }
                    match self.json(&entry.value, &path) {
                        Some(value) => drop(object.insert(entry.key.to_string(), value)),
                        None => is_whole = false,
                    }
                }
                is_whole.then_some(Value::Object(object))
            }
        }
    }

    fn json_number(&mut self, number: Number, node: &Node, path: &str) -> Option<Value> {
        let json = match number {
            Number::Whole(n) => JsonNumber::from_i128(n),
            Number::Fraction(x) => JsonNumber::from_f64(x),
        };
        if json.is_none() {
            let message = "this number cannot be sent to a provider".to_owned();
            self.error(node.at, path, message, None);
        }
        json.map(Value::Number)
    }

    /// Refuses a field of a request whose name says that its value is a secret:
    /// requests are written to the run's files.
    pub fn refuses_secret(&mut self, key: &str, at: Place, value: &Node, path: &str) -> bool {
        // A map or a list under such a name describes secrets (a JSON schema); it is none.
        let is_secret = looks_secret(key) && scalar(value).is_some();
        if is_secret {
            let message = format!(
                "`{}` looks like a secret, and fields of a request are written to the log",
                shown(key)
            );
            let hint =
                "only `api_key`, `headers` and `env` of a backend may hold a secret".to_owned();
            self.error(at, path, message, Some(hint));
        }
        is_secret
    }
}

/// `2g`, `512MiB`, `1.5 GB`, `4096`.
fn byte_count(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let end = lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let factor = match unit {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number(digits.trim())?.as_f64() * factor;
    // Exact up to 2^53, far above every bound that is checked with it.
    (bytes.fract() == 0.0 && (0.0..=1e15).contains(&bytes)).then_some(bytes as u64)
}

fn looks_like_key(value: &str) -> bool {
    KEY_PREFIXES.iter().any(|prefix| value.starts_with(prefix))
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text.trim()),
        Kind::List(_) | Kind::Map(_) => None,
    }
}
