//! How much a model is to think.

use massgen_protocol::{BackendType, Reasoning};
use serde_json::Value;

use crate::known::{REASONING, THINKING};
use crate::node::Kind;
use crate::reader::Reader;
use crate::scalar::boolean;
use crate::section::{Field, Section};

use super::TOKENS_MAX;

const EFFORTS: &[(&str, &str)] = &[
    ("none", "none"),
    ("minimal", "minimal"),
    ("low", "low"),
    ("medium", "medium"),
    ("high", "high"),
    ("xhigh", "xhigh"),
    ("max", "max"),
];

const SUMMARIES: &[(&str, &str)] =
    &[("auto", "auto"), ("concise", "concise"), ("detailed", "detailed")];

/// What `true` stands for: what providers take where nothing is said.
const EFFORT_OF_TRUE: &str = "medium";

/// The wish, and how it goes into a request.
pub(super) struct Wish {
    pub reasoning: Reasoning,
    /// The whole map where it says more than we have words for, for a provider that takes it.
    pub field: Option<Value>,
}

/// Reads `reasoning` and what else MassGen and its users call it; `None` comes with at
/// least one error.
pub(super) fn reasoning(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
) -> Option<Wish> {
    let n_errors = reader.report.n_errors();
    let mut reasoning = Reasoning::default();
    let field = section.given("reasoning");
    let field = field.and_then(|field| of_map(reader, &field, kind, &mut reasoning));
    let budget = reader.count(section.given("max_thinking_tokens"), 1..=TOKENS_MAX);
    reasoning.budget_tokens = reasoning.budget_tokens.or(budget);
    of_gemini(reader, section, &mut reasoning);
    let effort = reader.choice(section.given("model_reasoning_effort"), EFFORTS);
    // The field of a request; words that only one server knows go there as they are.
    let is_ours = |field: &Field<'_>| EFFORTS.iter().any(|(name, _)| *name == word(field));
    let effort = effort.or(reader.choice(section.given_if("reasoning_effort", is_ours), EFFORTS));
    reasoning.effort = reasoning.effort.or(effort.map(str::to_owned));
    (reader.report.n_errors() == n_errors).then_some(Wish { reasoning, field })
}

fn word(field: &Field<'_>) -> String {
    field.written().to_ascii_lowercase()
}

/// Reads the map, or a switch. Returns it as it is if a part of it is not ours to read.
fn of_map(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    kind: Option<&BackendType>,
    reasoning: &mut Reasoning,
) -> Option<Value> {
    if !matches!(field.node.kind, Kind::Map(_)) {
        match boolean(field.written()) {
            Some(is_on) => reasoning.effort = Some(effort_of(is_on)),
            None => {
                let choice = EFFORTS.iter().find(|(name, _)| *name == word(field));
                reasoning.effort = choice.map(|(_, effort)| (*effort).to_owned());
                if choice.is_none() {
                    reader.mismatch(field, "a map, `true`, `false` or an effort such as `high`");
                }
            }
        }
        return None;
    }
    let mut section = Section::open(reader, field.node, field.path.clone(), &REASONING)?;
    let s = &mut section;
    let effort = reader.choice(s.given("effort"), EFFORTS).map(str::to_owned);
    let enabled = reader.flag(s.given("enabled")).map(effort_of);
    reasoning.effort = effort.or(enabled);
    reasoning.summary = reader.choice(s.given("summary"), SUMMARIES).map(str::to_owned);
    let budget = reader.count(s.given("budget_tokens"), 1..=TOKENS_MAX);
    reasoning.budget_tokens = budget.or(reader.count(s.given("max_tokens"), 1..=TOKENS_MAX));
    let rest = s.rest();
    if rest.is_empty() {
        return None;
    }
    if kind.is_some_and(|kind| kind.name == "openrouter") {
        return reader.json(field.node, &field.path);
    }
    for (key, inner) in rest {
        reader.report.ignored(inner.key_at, &field.path, key);
    }
    None
}

/// Reads the map that Gemini has for it. Its budget may be -1, «as it sees fit», which is
/// what it does without one.
fn of_gemini(reader: &mut Reader<'_>, section: &mut Section<'_>, reasoning: &mut Reasoning) {
    let Some(mut section) = section.section(reader, "thinking_config", &THINKING) else { return };
    let s = &mut section;
    for key in ["thinking_budget", "thinkingBudget"] {
        match s.given(key) {
            Some(field) if field.written() == "-1" => {}
            Some(field) if field.written() == "0" => reasoning.effort = Some(effort_of(false)),
            field => {
                let budget = reader.count(field, 1..=TOKENS_MAX);
                reasoning.budget_tokens = reasoning.budget_tokens.or(budget);
            }
        }
    }
    for key in ["thinking_level", "thinkingLevel"] {
        let effort = reader.choice(s.given(key), EFFORTS).map(str::to_owned);
        reasoning.effort = reasoning.effort.take().or(effort);
    }
    section.finish(reader);
}

fn effort_of(is_on: bool) -> String {
    if is_on { EFFORT_OF_TRUE } else { "none" }.to_owned()
}
