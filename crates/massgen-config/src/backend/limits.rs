//! What a call may be and cost: tokens in, tokens out, prices.

use massgen_protocol::{BackendSpec, BackendType, Prices, WireFormat, model_facts};

use crate::known::PRICES;
use crate::reader::Reader;
use crate::section::Section;

use super::TOKENS_MAX;

/// Highest price of a million tokens; a larger number is most likely in the wrong unit.
const PRICE_USD_MAX: f64 = 100_000.0;

/// The same bound under the names that the formats have for it; the first one counts.
const OUTPUT_KEYS: [&str; 3] = ["max_tokens", "max_output_tokens", "max_completion_tokens"];

pub(super) fn max_output_tokens(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<u64> {
    let read = OUTPUT_KEYS.map(|key| reader.count(section.given(key), 1..=TOKENS_MAX));
    read.into_iter().flatten().next()
}

/// Ollama's own name for it has an effect there only.
pub(super) fn context_window(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
) -> Option<u64> {
    let written = reader.count(section.given("context_window"), 1..=TOKENS_MAX);
    let is_ollama =
        kind.is_none_or(|kind| kind.name == "ollama" || kind.format == WireFormat::OllamaChat);
    let num_ctx = section.given_if("num_ctx", |field| is_ollama && !field.node.is_null());
    written.or(reader.count(num_ctx, 1..=TOKENS_MAX))
}

pub(super) fn prices(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Prices> {
    let mut prices = section.section(reader, "prices", &PRICES)?;
    let bounds = || 0.0..=PRICE_USD_MAX;
    let input_micros = reader.dollars(prices.given("input"), bounds()).unwrap_or(0);
    let output_micros = reader.dollars(prices.given("output"), bounds()).unwrap_or(0);
    // Without a price of their own, cached tokens count in full, so that a budget
    // is never overrun by them.
    let cache_read_micros =
        reader.dollars(prices.given("cache_read"), bounds()).unwrap_or(input_micros);
    let cache_write_micros =
        reader.dollars(prices.given("cache_write"), bounds()).unwrap_or(input_micros);
    prices.finish(reader);
    Some(Prices { input_micros, cache_read_micros, cache_write_micros, output_micros })
}

/// Takes what is written; what is known of the model stands in for the rest.
pub(super) fn fill(spec: &mut BackendSpec, prices: Option<Prices>) {
    let facts = model_facts(&spec.kind, &spec.model).unwrap_or_default();
    spec.prices = prices.or(facts.prices).unwrap_or_default();
    spec.context_window = spec.context_window.or(facts.context_window);
}
