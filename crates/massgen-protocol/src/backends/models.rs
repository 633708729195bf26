//! What is known of models by name: how much they take in, and what they cost.
//!
//! The catalogue is a file of facts, sorted, one model a line, which `cargo
//! xtask catalogue` writes. It is read once, when the first model is looked up.
//! What a config declares always wins over what stands here, and a server of
//! one's own is never looked up: the name of a model says nothing of the limits
//! it was started with.

use std::cmp::Ordering;
use std::sync::LazyLock;

use super::backend_type;
use crate::Prices;

const CATALOGUE: &str = include_str!("models.tsv");

/// What is known of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// Tokens of one conversation, output included.
    pub context_window: Option<u64>,
    /// Most tokens of one reply.
    pub output_max: Option<u64>,
    /// `None` where the price is not known; all zero where it is free.
    pub prices: Option<Prices>,
    pub images: bool,
    /// Takes documents.
    pub files: bool,
    pub reasoning: bool,
}

struct Row {
    section: &'static str,
    model: &'static str,
    facts: ModelFacts,
}

/// By section, then by name without regard to case.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| CATALOGUE.lines().filter_map(row).collect());

/// Returns what is known of a model, called through a backend of this type.
///
/// A name is found as it is; or without a suffix that says *when* rather than
/// *what* (`-20250929`, `-2025-04-14`, `-latest`); or with the newest such
/// suffix, where only dated names are listed. A reseller's routing suffix
/// (`:nitro`) leaves all but the price. Any other suffix may be another model
/// at ten times the price, so nothing is known of it.
pub fn model_facts(kind: &str, model: &str) -> Option<ModelFacts> {
    let section = backend_type(kind)?.catalogue?;
    let model = model.strip_prefix("models/").unwrap_or(model);
    match (exact(section, model), model.rsplit_once(':')) {
        (Some(row), _) => Some(row.facts),
        (None, Some((base, _route))) => {
            let facts = by_name(section, base)?.facts;
            Some(ModelFacts { prices: None, ..facts })
        }
        (None, None) => by_name(section, model).map(|row| row.facts),
    }
}

/// Returns the models that are known of this type, by name.
pub fn models_of(kind: &str) -> impl Iterator<Item = (&'static str, ModelFacts)> {
    let section = backend_type(kind).and_then(|kind| kind.catalogue);
    let rows = ROWS.iter().filter(move |row| Some(row.section) == section);
    rows.map(|row| (row.model, row.facts))
}

/// Returns where the facts are from, and of which day they are.
pub fn models_source() -> &'static str {
    let first = CATALOGUE.lines().next().unwrap_or_default();
    first.trim_start_matches('#').trim()
}

fn exact(section: &str, model: &str) -> Option<&'static Row> {
    let wanted = |row: &Row| in_order(row, section, model);
    ROWS.binary_search_by(wanted).ok().and_then(|at| ROWS.get(at))
}

fn in_order(row: &Row, section: &str, model: &str) -> Ordering {
    let lower = |text: &'static str| text.bytes().map(|byte| byte.to_ascii_lowercase());
    row.section
        .cmp(section)
        .then_with(|| lower(row.model).cmp(model.bytes().map(|byte| byte.to_ascii_lowercase())))
}

fn by_name(section: &str, model: &str) -> Option<&'static Row> {
    let mut bases = std::iter::successors(Some(model), |name| without_when(name));
    if let Some(row) = bases.find_map(|base| exact(section, base)) {
        return Some(row);
    }
    // Rows are sorted, so the last is the newest.
    ROWS.iter().rfind(|row| {
        row.section == section
            && row.model.ends_with(|last: char| last.is_ascii_digit())
            && without_when(row.model).is_some_and(|base| base.eq_ignore_ascii_case(model))
    })
}

/// Returns a name without its last suffix, if that says when: a date, or a
/// word for a stage of release.
fn without_when(name: &str) -> Option<&str> {
    const STAGES: [&str; 5] = ["latest", "preview", "exp", "beta", "stable"];
    let (base, last) = name.rsplit_once(['-', '@'])?;
    if STAGES.contains(&last) {
        return Some(base);
    }
    let digits = |text: &str| if text.bytes().all(|b| b.is_ascii_digit()) { text.len() } else { 0 };
    match digits(last) {
        // `04-14`, `2025-04-14`
        2 => {
            let (base, month) = base.rsplit_once(['-', '@'])?;
            let year = base.rsplit_once(['-', '@']).filter(|(_, year)| digits(year) == 4);
            (digits(month) == 2).then(|| year.map_or(base, |(base, _)| base))
        }
        // `0709`, `2411`, `10-2025`
        4 => {
            let month = base.rsplit_once(['-', '@']).filter(|(_, month)| digits(month) == 2);
            Some(month.map_or(base, |(base, _)| base))
        }
        // `250928`, `20250928`
        6 | 8 => Some(base),
        _ => None,
    }
}

/// Reads a line: section, model, context window, longest reply, what it takes,
/// and four prices in US dollars for a million tokens (input, read from the
/// cache, written to it, output). `-` is what is not known.
fn row(line: &'static str) -> Option<Row> {
    if line.starts_with('#') {
        return None;
    }
    let mut cells = line.split('\t');
    let mut cell = || cells.next().filter(|cell| !cell.is_empty());
    let (section, model) = (cell()?, cell()?);
    let (context_window, output_max) = (tokens(cell()?)?, tokens(cell()?)?);
    let takes = cell()?;
    let prices = match (micros(cell()?), micros(cell()?), micros(cell()?), micros(cell()?)) {
        (Some(input_micros), cache_read, cache_write, Some(output_micros)) => Some(Prices {
            input_micros,
            // Without a price of their own, cached tokens count in full, so that a
            // budget is never overrun by them.
            cache_read_micros: cache_read.unwrap_or(input_micros),
            cache_write_micros: cache_write.unwrap_or(input_micros),
            output_micros,
        }),
        (None, _, _, _) | (_, _, _, None) => None,
    };
    let [images, files, reasoning] = ['i', 'f', 'r'].map(|letter| takes.contains(letter));
    let facts = ModelFacts { context_window, output_max, prices, images, files, reasoning };
    cells.next().is_none().then_some(Row { section, model, facts })
}

/// Reads a number, or `-`; `None` where it is neither.
fn tokens(cell: &str) -> Option<Option<u64>> {
    if cell == "-" { Some(None) } else { cell.parse().ok().map(Some) }
}

/// Reads dollars with at most six decimals into millionths.
fn micros(cell: &str) -> Option<u64> {
    let (whole, decimals) = cell.split_once('.').unwrap_or((cell, ""));
    if decimals.len() > 6 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let decimals: u64 = format!("{decimals:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(decimals)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend_types;

    /// Above it, no model was ever sold.
    const DOLLARS_MAX: u64 = 1_000;

    #[test]
    fn every_line_is_read_and_in_order() {
        let lines: Vec<&str> = CATALOGUE.lines().filter(|line| !line.starts_with('#')).collect();
        for line in &lines {
            assert!(row(line).is_some(), "{line}");
        }
        assert_eq!(ROWS.len(), lines.len());
        assert!(ROWS.len() > 300, "{}", ROWS.len());
        assert!(CATALOGUE.len() <= 80 * 1024, "{}", CATALOGUE.len());
        for pair in ROWS.windows(2) {
            let order = in_order(&pair[0], pair[1].section, pair[1].model);
            assert_eq!(order, Ordering::Less, "{} {}", pair[0].model, pair[1].model);
        }
    }

    #[test]
    fn every_section_belongs_to_a_type() {
        for row in ROWS.iter() {
            let owner = backend_types().iter().find(|kind| kind.catalogue == Some(row.section));
            assert!(owner.is_some(), "{}", row.section);
        }
    }

    #[test]
    fn limits_and_prices_are_plausible() {
        for Row { section, model, facts } in ROWS.iter() {
            let name = format!("{section}/{model}");
            let window = facts.context_window.unwrap();
            assert!((1_000..=20_000_000).contains(&window), "{name}: {window}");
            let Some(prices) = facts.prices else { continue };
            let Prices { input_micros, cache_read_micros, cache_write_micros, output_micros } =
                prices;
            for price in [input_micros, cache_read_micros, cache_write_micros, output_micros] {
                assert!(price <= DOLLARS_MAX * 1_000_000, "{name}: {price}");
            }
            assert!(cache_read_micros <= input_micros, "{name}");
            assert!(cache_write_micros <= 4 * input_micros, "{name}");
        }
    }

    #[test]
    fn a_name_is_found_with_and_without_a_date() {
        let check = |kind: &str, model: &str, expected: Option<&str>| {
            let section = backend_type(kind).unwrap().catalogue.unwrap();
            let expected = expected.map(|name| exact(section, name).unwrap().facts);
            assert_eq!(model_facts(kind, model), expected, "{kind} {model}");
        };
        check("claude", "claude-opus-4-6", Some("claude-opus-4-6"));
        check("claude", "claude-opus-4-6-20260205", Some("claude-opus-4-6"));
        check("claude", "claude-opus-4-5@20251101", Some("claude-opus-4-5"));
        check("claude", "claude-sonnet-4", Some("claude-sonnet-4-20250514"));
        check("claude_code", "claude-opus-4-6", Some("claude-opus-4-6"));
        check("openai", "GPT-5.4", Some("gpt-5.4"));
        check("openai", "gpt-5.4-2026-03-05", Some("gpt-5.4"));
        check("openai", "gpt-4o-2024-08-06", Some("gpt-4o-2024-08-06"));
        check("gemini", "models/gemini-2.5-pro", Some("gemini-2.5-pro"));
        check("gemini", "gemini-2.5-flash-preview-09-2025", Some("gemini-2.5-flash"));
        check("grok", "grok-4", Some("grok-4-0709"));
        check("mistral", "mistral-large", Some("mistral-large-2512"));
        check("openrouter", "anthropic/claude-opus-4.6", Some("anthropic/claude-opus-4.6"));
        check("together", "openai/gpt-oss-120b", Some("openai/gpt-oss-120b"));
        // Another suffix may be another model.
        check("openai", "gpt-5.4-ultra", None);
        check("claude", "claude-opus-4-6-fast", None);
        check("claude", "claude-opus", None);
        check("claude", "", None);
        check("claude", "-", None);
        check("claude", "ö@-99-99", None);
    }

    #[test]
    fn a_route_of_a_reseller_keeps_the_limits_and_not_the_price() {
        let routed = model_facts("openrouter", "openai/gpt-5.4:nitro").unwrap();
        let plain = model_facts("openrouter", "openai/gpt-5.4").unwrap();
        assert!(plain.prices.is_some());
        assert_eq!(routed, ModelFacts { prices: None, ..plain });
    }

    #[test]
    fn a_server_of_ones_own_is_not_judged_by_the_name_of_its_model() {
        for kind in backend_types().iter().filter(|kind| kind.local && kind.catalogue.is_none()) {
            for model in ["deepseek-v4-flash", "gpt-oss-120b", "gpt-5.4"] {
                assert_eq!(model_facts(kind.name, model), None, "{} {model}", kind.name);
            }
        }
        assert_eq!(model_facts("chatcompletion", "deepseek-v4-flash"), None);
        assert!(model_facts("deepseek", "deepseek-v4-flash").is_some());
        assert_eq!(model_facts("no such type", "gpt-5.4"), None);
    }

    #[test]
    fn prices_are_read_to_the_millionth() {
        let check = |cell: &str, expected| assert_eq!(micros(cell), expected, "{cell}");
        check("2.5", Some(2_500_000));
        check("0.000001", Some(1));
        check("30", Some(30_000_000));
        check("0", Some(0));
        check("-", None);
        check("-1", None);
        check("1e3", None);
        check("1.0000001", None);
        check("99999999999999999999", None);
    }
}
