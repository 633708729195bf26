//! How OpenRouter searches the web: keys of MassGen that become its own fields.

use massgen_protocol::{BackendType, HostedTools};
use serde_json::{Map, Value, json};

use crate::reader::Reader;
use crate::section::Section;

const ENGINES: &[(&str, &str)] = &[("exa", "exa"), ("native", "native")];
const SIZES: &[(&str, &str)] = &[("low", "low"), ("medium", "medium"), ("high", "high")];
const KEYS: [&str; 4] = ["engine", "max_results", "search_prompt", "search_context_size"];
/// Most pages that one search may bring.
const RESULTS_MAX: u64 = 100;

/// Reads the keys into fields of the request.
pub(super) fn search_fields(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
    tools: Option<HostedTools>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    let searches =
        kind.is_some_and(|kind| kind.name == "openrouter") && tools.is_some_and(|on| on.web_search);
    if !searches {
        for key in KEYS {
            let Some(field) = section.given(key).filter(|_| kind.is_some()) else { continue };
            let message = format!(
                "`{key}` has an effect with `type: openrouter` and `enable_web_search: true` only"
            );
            reader.report.notice(field.key_at, &field.path, message, None);
        }
        return fields;
    }
    let mut plugin = Map::new();
    if let Some(engine) = reader.choice(section.given("engine"), ENGINES) {
        plugin.insert("engine".to_owned(), json!(engine));
    }
    if let Some(results) = reader.count(section.given("max_results"), 1..=RESULTS_MAX) {
        plugin.insert("max_results".to_owned(), json!(results));
    }
    if let Some(prompt) = reader.text(section.given("search_prompt")) {
        plugin.insert("search_prompt".to_owned(), json!(prompt));
    }
    if !plugin.is_empty() {
        plugin.insert("id".to_owned(), json!("web"));
        fields.insert("plugins".to_owned(), json!([plugin]));
    }
    if let Some(size) = reader.choice(section.given("search_context_size"), SIZES) {
        fields.insert("web_search_options".to_owned(), json!({"search_context_size": size}));
    }
    fields
}
