//! How often a key may be used: for one backend, or in a table by type and model.

use std::collections::BTreeMap;

use massgen_protocol::{RateLimits, backend_type, backend_types};

use crate::Environment;
use crate::known::RATE_LIMITS;
use crate::load::Source;
use crate::node::{Kind, Node};
use crate::parse::parse;
use crate::problem::{Problem, shown};
use crate::reader::Reader;
use crate::report::Report;
use crate::section::{Field, Section};
use crate::suggest::nearest;

/// Most a minute; far above what any provider grants.
const REQUESTS_MAX: u32 = 1_000_000_000;
const TOKENS_MAX: u64 = 1_000_000_000_000;

/// The row of a type that stands for all models without one.
const DEFAULT_MODEL: &str = "default";

/// What the free tier of Gemini allows, a little below it; the only limits that MassGen
/// brings itself.
const BUILT_IN: &[(&str, &str, u32, u64, u32)] = &[
    ("gemini", "gemini-2.5-flash", 9, 240_000, 245),
    ("gemini", "gemini-2.5-pro", 2, 120_000, 48),
    ("gemini", DEFAULT_MODEL, 7, 100_000, 100),
];

/// Limits by type and model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateTable {
    rows: BTreeMap<(String, String), RateLimits>,
}

impl RateTable {
    /// Returns the limits that MassGen brings.
    pub fn built_in() -> RateTable {
        let row = |&(kind, model, requests, tokens, a_day): &(&str, &str, u32, u64, u32)| {
            let limits = RateLimits {
                requests_per_minute: Some(requests),
                tokens_per_minute: Some(tokens),
                requests_per_day: Some(a_day),
            };
            ((kind.to_owned(), model.to_owned()), limits)
        };
        RateTable { rows: BUILT_IN.iter().map(row).collect() }
    }

    /// Reads a file of limits.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the file.
    pub fn load(source: &Source<'_>, env: &Environment) -> Result<RateTable, Vec<Problem>> {
        let mut reader = Reader { env, report: Report::new(source.name) };
        let mut table = RateTable::default();
        match parse(source.text) {
            Ok(parsed) => table.read(&mut reader, &parsed.root, String::new()),
            Err(fault) => reader.error(fault.at, "", fault.message, fault.hint),
        }
        let (errors, _) = reader.report.finish();
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// Takes what another table says over what this one does.
    pub(crate) fn extend(&mut self, other: &RateTable) {
        self.rows.extend(other.rows.iter().map(|(key, limits)| (key.clone(), *limits)));
    }

    /// Returns the limits of a model: its own, or those of its type.
    pub(crate) fn limits(&self, kind: &str, model: &str) -> RateLimits {
        let row = |model: &str| self.rows.get(&(kind.to_owned(), model.to_ascii_lowercase()));
        row(model).or_else(|| row(DEFAULT_MODEL)).copied().unwrap_or_default()
    }

    pub(crate) fn read(&mut self, reader: &mut Reader<'_>, node: &Node, path: String) {
        let Some(kinds) = entries(reader, node, &path) else { return };
        for kind in kinds {
            let path = join(&path, &kind.key);
            let name = kind.key.trim().to_ascii_lowercase();
            if backend_type(&name).is_none() {
                let near = nearest(&name, backend_types().iter().map(|kind| kind.name));
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                let message = format!("unknown backend type `{}`", shown(&kind.key));
                reader.error(kind.key_at, &path, message, hint);
                continue;
            }
            let Some(models) = entries(reader, &kind.value, &path) else { continue };
            if models.iter().any(|entry| RATE_LIMITS.read.contains(&&*entry.key)) {
                // Limits where the models would stand are those of all of them.
                let limits = rate_limits(reader, &kind.value, path);
                self.rows.extend(limits.map(|limits| ((name, DEFAULT_MODEL.to_owned()), limits)));
                continue;
            }
            for model in models {
                let path = join(&path, &model.key);
                let key = (name.clone(), model.key.trim().to_ascii_lowercase());
                let limits = rate_limits(reader, &model.value, path);
                self.rows.extend(limits.map(|limits| (key, limits)));
            }
        }
    }
}

fn entries<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    path: &str,
) -> Option<&'n [crate::node::Entry]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        Kind::Scalar { .. } if node.is_null() => Some(&[]),
        Kind::Scalar { .. } | Kind::List(_) => {
            let field = Field { node, key_at: node.at, path: path.to_owned() };
            reader.mismatch(&field, "a map of limits by type and model");
            None
        }
    }
}

fn join(path: &str, key: &str) -> String {
    let key = shown(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// Reads the limits of one model; each has a long and a short name.
pub(crate) fn rate_limits(
    reader: &mut Reader<'_>,
    node: &Node,
    path: String,
) -> Option<RateLimits> {
    let mut section = Section::open(reader, node, path, &RATE_LIMITS)?;
    let s = &mut section;
    let requests = |long, short, reader: &mut Reader<'_>, s: &mut Section<'_>| {
        let read = [s.given(long), s.given(short)];
        let [long, short] = read.map(|field| reader.count32(field, 1..=REQUESTS_MAX));
        long.or(short)
    };
    let requests_per_minute = requests("requests_per_minute", "rpm", reader, s);
    let requests_per_day = requests("requests_per_day", "rpd", reader, s);
    let tokens = [s.given("tokens_per_minute"), s.given("tpm")];
    let [long, short] = tokens.map(|field| reader.count(field, 1..=TOKENS_MAX));
    section.finish(reader);
    Some(RateLimits { requests_per_minute, tokens_per_minute: long.or(short), requests_per_day })
}
