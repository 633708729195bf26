//! Writes the catalogue of models from a file of <https://models.dev>.
//!
//! `cargo xtask catalogue FILE DATE` takes the JSON that site publishes, or an
//! extract of it in the same shape, and keeps the models that this project can
//! call: those of the types in its table that take tools and state how much
//! they read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use crate::repo::{self, Repo};

const TARGET: &str = "crates/massgen-protocol/src/backends/models.tsv";

/// Our section, and the names it goes by there.
const SECTIONS: &[(&str, &[&str])] = &[
    ("azure_openai", &["azure", "azure.openai"]),
    ("claude", &["anthropic"]),
    ("deepseek", &["deepseek"]),
    ("gemini", &["google", "gcp.gemini"]),
    ("grok", &["xai"]),
    ("groq", &["groq"]),
    ("mistral", &["mistral"]),
    ("moonshot", &["moonshotai", "moonshot"]),
    ("openai", &["openai"]),
    ("openrouter", &["openrouter"]),
    ("together", &["togetherai", "together"]),
    ("zai", &["zai"]),
];

/// Makers whose models are kept where a reseller lists hundreds.
const MAKERS: &[&str] = &[
    "amazon",
    "anthropic",
    "deepseek",
    "google",
    "meta-llama",
    "minimax",
    "mistralai",
    "moonshotai",
    "nvidia",
    "openai",
    "openrouter",
    "qwen",
    "x-ai",
    "z-ai",
];

pub fn run(arguments: &[String]) -> ExitCode {
    let written = match arguments {
        [file, date] => write(file, date),
        _ => Err("usage: cargo xtask catalogue FILE DATE".to_owned()),
    };
    match written {
        Ok(n_models) => {
            repo::say(&format!("{TARGET}: {n_models} models"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            repo::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn write(file: &str, date: &str) -> Result<usize, String> {
    let root = Repo::read().map_err(|error| error.to_string())?.root;
    let text = std::fs::read_to_string(file).map_err(|error| format!("`{file}`: {error}"))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| format!("`{file}`: {error}"))?;
    let rows = rows(&json);
    if rows.is_empty() {
        return Err(format!("`{file}` lists no model of ours"));
    }
    let mut page = format!(
        "# models.dev (MIT), as of {date}\n\
         # section, model, context window and longest reply in tokens, what it takes (i images,\n\
         # f files, r reasoning), US dollars for a million tokens: input, cache read, cache write,\n\
         # output. Written by `cargo xtask catalogue`.\n"
    );
    for row in rows.values() {
        let _ = writeln!(page, "{row}");
    }
    std::fs::write(root.join(TARGET), page).map_err(|error| format!("`{TARGET}`: {error}"))?;
    Ok(rows.len())
}

/// Returns the lines by section and name without regard to case: the order they are read in.
fn rows(json: &Value) -> BTreeMap<(&'static str, String), String> {
    let mut rows = BTreeMap::new();
    for (section, names) in SECTIONS {
        let found = names.iter().find_map(|name| json[*name]["models"].as_object());
        for (name, model) in found.into_iter().flatten() {
            let maker = name.split('/').next().unwrap_or_default().trim_start_matches('~');
            if *section == "openrouter" && !MAKERS.contains(&maker) {
                continue;
            }
            if let Some(row) = row(section, name, model) {
                rows.insert((*section, name.to_ascii_lowercase()), row);
            }
        }
    }
    rows
}

fn row(section: &str, name: &str, model: &Value) -> Option<String> {
    let context = model["limit"]["context"].as_u64().filter(|&tokens| tokens > 0)?;
    model["tool_call"].as_bool().filter(|&takes_tools| takes_tools)?;
    let output = model["limit"]["output"].as_u64().filter(|&tokens| tokens > 0);
    let output = output.map_or("-".to_owned(), |tokens| tokens.to_string());
    let inputs = model["modalities"]["input"].as_array();
    let takes = |kind: &str| inputs.is_some_and(|inputs| inputs.iter().any(|input| input == kind));
    let mut flags = String::new();
    for (letter, is_set) in [
        ('i', takes("image")),
        ('f', takes("pdf")),
        ('r', model["reasoning"].as_bool() == Some(true)),
    ] {
        if is_set {
            flags.push(letter);
        }
    }
    if flags.is_empty() {
        flags.push('-');
    }
    let prices = ["input", "cache_read", "cache_write", "output"]
        .map(|class| price(&model["cost"][class]))
        .join("\t");
    Some(format!("{section}\t{name}\t{context}\t{output}\t{flags}\t{prices}"))
}

/// Returns dollars to the millionth, without zeros at the end.
fn price(dollars: &Value) -> String {
    match dollars.as_f64() {
        Some(dollars) if dollars >= 0.0 => {
            let text = format!("{dollars:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Some(_) | None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_can_be_called_are_kept_in_order() {
        let model = |tools: bool| {
            serde_json::json!({
                "tool_call": tools,
                "reasoning": true,
                "modalities": { "input": ["text", "image"] },
                "limit": { "context": 1000, "output": 0 },
                "cost": { "input": 0.25, "output": 10, "cache_read": -1 },
            })
        };
        let json = serde_json::json!({
            "xai": { "models": { "grok-9": model(true), "Grok-10": model(true), "voice": model(false) } },
            "openrouter": { "models": { "~openai/latest": model(true), "hobby/model": model(true) } },
            "elsewhere": { "models": { "grok-1": model(true) } },
        });
        let rows: Vec<String> = rows(&json).into_values().collect();
        assert_eq!(
            rows,
            [
                "grok\tGrok-10\t1000\t-\tir\t0.25\t-\t-\t10",
                "grok\tgrok-9\t1000\t-\tir\t0.25\t-\t-\t10",
                "openrouter\t~openai/latest\t1000\t-\tir\t0.25\t-\t-\t10",
            ]
        );
    }

    #[test]
    fn prices_are_plain_numbers() {
        let check = |json: &str, expected| {
            assert_eq!(serde_json::from_str(json).map(|v| price(&v)).ok(), Some(expected))
        };
        check("2.5", "2.5".to_owned());
        check("0", "0".to_owned());
        check("100", "100".to_owned());
        check("-1", "-".to_owned());
        check("null", "-".to_owned());
    }
}
