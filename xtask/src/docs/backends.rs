//! What the table of backend types says, as tables of a page.

use std::fmt::Write as _;

use massgen_protocol::{BackendType, ModelFacts, Status, backend_types, models_of, models_source};

/// Types whose models are listed: those of makers. A reseller's would be hundreds.
const LISTED: &[&str] =
    &["openai", "claude", "gemini", "grok", "deepseek", "mistral", "moonshot", "zai", "groq"];

/// Returns the reference page.
pub fn page() -> String {
    let mut page = String::from(
        "# Backends\n\n\
         Written by `cargo xtask docs --write` from the table in \
         `massgen-protocol/src/backends/`; `massgen models` shows the same,\nwith the keys that \
         are set. How each is used is in [providers](../providers.md), the keys of a `backend:` \
         in\n[backend keys](backend-keys.md).\n\n## Types\n\n\
         | `type` | | spoken | address | key | model, if none is named |\n|---|---|---|---|---|---|\n",
    );
    let (callable, others): (Vec<&BackendType>, Vec<&BackendType>) =
        backend_types().iter().partition(|kind| kind.is_callable());
    for kind in &callable {
        let url = kind.base_url.map_or("–".to_owned(), |url| format!("`{url}`"));
        let model = kind.default_model.map_or("–".to_owned(), |model| format!("`{model}`"));
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {url} | {} | {model} |",
            kind.name,
            kind.title,
            kind.format.title(),
            key(kind)
        );
    }
    let notes = callable.iter().filter_map(|kind| match kind.status {
        Status::Interim { note } => Some(format!("\n`{}`: {note}.\n", kind.name)),
        Status::Ready | Status::NotInBuild { .. } => None,
    });
    page.extend(notes);
    page.push_str(
        "\nA key in brackets is optional. Where `base_url` is given, it stands instead of the \
         address.\n\n## What they offer\n\n\
         What the API takes; whether a model does is the model's matter. A tool that runs at the \
         provider is switched on\nby `enable_web_search` and its like, and is an error with a type \
         that has none.\n\n",
    );
    offers(&mut page, &callable);
    if !others.is_empty() {
        page.push_str(
            "\n## Not in this version\n\nKnown, so that a config of the Python MassGen is \
             understood; an error that says what to do instead.\n\n| `type` | | instead |\n|---|---|---|\n",
        );
        for kind in others {
            if let Status::NotInBuild { instead } = kind.status {
                let _ = writeln!(page, "| `{}` | {} | {instead} |", kind.name, kind.title);
            }
        }
    }
    let _ = write!(
        page,
        "\n## Models\n\nSource: {}; tokens, and US dollars for a million of them. What a config \
         declares (`context_window`,\n`max_tokens`, `prices`) wins; nothing is known of the models \
         of servers of one's own, whatever their name.\nA name is also found without its date, and \
         resellers' models by `massgen models openrouter` and its like.\n",
        models_source()
    );
    for name in LISTED {
        let _ = write!(
            page,
            "\n### {name}\n\n| model | window | reply | takes | input | cache read | cache write | output |\n\
             |---|---:|---:|---|---:|---:|---:|---:|\n"
        );
        for (model, facts) in models_of(name) {
            let _ = writeln!(page, "| `{model}` | {} |", cells(&facts).join(" | "));
        }
    }
    page
}

/// Returns the table of key variables for the page on the environment.
pub fn keys() -> String {
    let mut table = String::from("\n| backend `type` | key |\n|---|---|\n");
    for kind in backend_types().iter().filter(|kind| kind.is_callable()) {
        if kind.key_env.is_empty() {
            continue;
        }
        let names: Vec<String> = kind.key_env.iter().map(|name| format!("`{name}`")).collect();
        let optional = if kind.needs_key() { "" } else { " (optional)" };
        let _ = writeln!(table, "| `{}`{optional} | {} |", kind.name, names.join(", "));
    }
    table.push('\n');
    table
}

fn key(kind: &BackendType) -> String {
    let names: Vec<String> = kind.key_env.iter().map(|name| format!("`{name}`")).collect();
    match (names.is_empty(), kind.needs_key()) {
        (true, _) => "–".to_owned(),
        (false, true) => names.join(", "),
        (false, false) => format!("({})", names.join(", ")),
    }
}

fn offers(page: &mut String, kinds: &[&BackendType]) {
    let Some(first) = kinds.first() else { return };
    let names = first.capabilities.named().map(|(name, _)| name.replace('_', " "));
    let _ = writeln!(page, "| `type` | {} |", names.join(" | "));
    let _ = writeln!(page, "|---|{}", ":-:|".repeat(names.len()));
    for kind in kinds {
        let has = kind.capabilities.named().map(|(_, has)| if has { "yes" } else { "" });
        let _ = writeln!(page, "| `{}` | {} |", kind.name, has.join(" | "));
    }
}

fn cells(facts: &ModelFacts) -> [String; 7] {
    let tokens = |tokens: Option<u64>| tokens.map_or("–".to_owned(), |tokens| tokens.to_string());
    let takes = [("images", facts.images), ("files", facts.files), ("reasoning", facts.reasoning)];
    let takes: Vec<&str> =
        takes.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
    let [input, cache_read, cache_write, output] = match facts.prices {
        Some(prices) => [
            prices.input_micros,
            prices.cache_read_micros,
            prices.cache_write_micros,
            prices.output_micros,
        ]
        .map(dollars),
        None => std::array::from_fn(|_| "–".to_owned()),
    };
    let (window, reply) = (tokens(facts.context_window), tokens(facts.output_max));
    [window, reply, takes.join(", "), input, cache_read, cache_write, output]
}

fn dollars(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_row() {
        let page = page();
        for kind in backend_types() {
            let row = format!("| `{}` |", kind.name);
            let n_rows = if kind.is_callable() { 2 } else { 1 };
            assert_eq!(page.matches(&row).count(), n_rows, "{row}");
        }
        for name in LISTED {
            assert!(models_of(name).next().is_some(), "{name}");
        }
    }

    #[test]
    fn dollars_have_no_zeros_at_their_end() {
        assert_eq!(dollars(2_500_000), "2.5");
        assert_eq!(dollars(10_000_000), "10");
        assert_eq!(dollars(0), "0");
        assert_eq!(dollars(75_000), "0.075");
    }
}
