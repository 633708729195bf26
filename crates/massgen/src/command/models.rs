//! `massgen models`: which backends there are, what they offer, and what their models cost.
//!
//! All of it is known without a call; only servers of this machine are asked for their
//! models. Keys are named, never shown.

use std::fmt::Write as _;
use std::io::{self, Write};

use massgen_config::Environment;
use massgen_models::LocalServer;
use massgen_protocol::{
    BackendType, ModelFacts, Status, backend_type, backend_types, models_of, models_source,
};
use serde_json::{Value, json};

use super::follow;
use super::runs::pretty;
use crate::cli::{Format, GlobalArgs, ModelsArgs};
use crate::error::{CliError, Exit};
use crate::output::{clean, grouped, one_line};
use crate::{settings, team};

pub fn run(arguments: &ModelsArgs, global: &GlobalArgs) -> Result<Exit, CliError> {
    let env = settings::environment(global)?;
    let kind = arguments.kind.as_deref().map(find).transpose()?;
    let servers = if kind.is_none_or(|kind| kind.local) && team::may_look_for_servers(&env) {
        follow::runtime()?.block_on(massgen_models::local_servers())
    } else {
        Vec::new()
    };
    let text = match (kind, arguments.json || global.output == Format::Json) {
        (None, true) => {
            let types = backend_types().iter().map(|kind| type_json(kind, &env, &servers));
            pretty(&json!({ "types": types.collect::<Vec<_>>(), "source": models_source() }))
        }
        (None, false) => all(&env, &servers),
        (Some(kind), true) => pretty(&type_json(kind, &env, &servers)),
        (Some(kind), false) => one(kind, &env, &servers),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CliError::output)?;
    Ok(Exit::Success)
}

fn find(name: &str) -> Result<&'static BackendType, CliError> {
    let lower = name.to_ascii_lowercase();
    backend_type(&lower).ok_or_else(|| {
        let told = one_line(name, 40);
        let error = CliError::configuration(format!("there is no backend type `{told}`"));
        let distance = |kind: &&BackendType| strsim::damerau_levenshtein(kind.name, &lower);
        match backend_types().iter().min_by_key(distance).filter(|kind| distance(kind) <= 2) {
            Some(near) => error.hint(format!("did you mean `{}`?", near.name)),
            None => error.hint("`massgen models` lists them all"),
        }
    })
}

/// The key of a type: which variable has it, or would.
enum Key {
    None,
    Set(&'static str),
    Unset(&'static str),
}

fn key(kind: &BackendType, env: &Environment) -> Key {
    let is_set = |name: &str| env.vars.get(name).is_some_and(|value| !value.trim().is_empty());
    let set = kind.key_env.iter().copied().find(|name| is_set(name));
    match (set, kind.key_env.first()) {
        (Some(name), _) => Key::Set(name),
        (None, Some(name)) => Key::Unset(name),
        (None, None) => Key::None,
    }
}

fn offers(kind: &BackendType) -> Vec<&'static str> {
    kind.capabilities.named().into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

/// Every type on a line.
fn all(env: &Environment, servers: &[LocalServer]) -> String {
    let mut rows = Vec::new();
    let mut others = Vec::new();
    for kind in backend_types() {
        if !kind.is_callable() {
            others.push(kind.name);
            continue;
        }
        let key = match key(kind, env) {
            Key::Set(name) => format!("{name} is set"),
            Key::Unset(name) if kind.needs_key() => format!("{name} is not set"),
            Key::Unset(_) | Key::None => match server_of(kind, servers) {
                Some(_) => "answers on this machine".to_owned(),
                None => "needs no key".to_owned(),
            },
        };
        let n_models = match models_of(kind.name).count() {
            0 => String::new(),
            n => n.to_string(),
        };
        rows.push([
            kind.name.to_owned(),
            kind.format.title().to_owned(),
            key,
            kind.default_model.unwrap_or_default().to_owned(),
            n_models,
            offers(kind).join(" "),
        ]);
    }
    let mut text = table(["type", "format", "key", "default model", "known", "offers"], &rows);
    if !others.is_empty() {
        let _ = writeln!(text, "\nnot in this version: {}", others.join(", "));
    }
    for server in servers {
        let _ = writeln!(
            text,
            "\n{} at {}: {}",
            server.kind,
            server.base_url,
            one_line(&server.models.join(", "), usize::MAX)
        );
    }
    let _ = writeln!(
        text,
        "\n`massgen models TYPE` lists the models that are known of a type, with limits and prices"
    );
    clean(&text).into_owned()
}

/// One type in full.
fn one(kind: &BackendType, env: &Environment, servers: &[LocalServer]) -> String {
    let mut text = format!("{}: {}\n", kind.name, kind.title);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    line("format", kind.format.title());
    line("address", kind.base_url.unwrap_or("none by default"));
    let told = match key(kind, env) {
        Key::None => "none needed".to_owned(),
        Key::Set(name) => format!("{name} is set"),
        Key::Unset(_) => {
            let names = kind.key_env.join(" or ");
            if kind.needs_key() {
                format!("{names} is not set")
            } else {
                format!("{names}, if it asks for one")
            }
        }
    };
    line("key", &told);
    line("model", kind.default_model.unwrap_or("none by default"));
    let offers = offers(kind).join(", ");
    line("offers", if offers.is_empty() { "text alone" } else { &offers });
    match kind.status {
        Status::Ready => {}
        Status::Interim { note } => line("note", note),
        Status::NotInBuild { instead } => {
            line("instead", &format!("not in this version; {instead}"))
        }
    }
    if let Some(server) = server_of(kind, servers) {
        let _ = writeln!(text, "\nserved at {}:", server.base_url);
        for model in &server.models {
            let _ = writeln!(text, "  {}", one_line(model, usize::MAX));
        }
    }
    let rows: Vec<[String; 8]> =
        models_of(kind.name).map(|(name, facts)| model_row(name, &facts)).collect();
    if !rows.is_empty() {
        let head =
            ["model", "window", "reply", "takes", "input", "cache read", "cache write", "output"];
        text.push('\n');
        text.push_str(&table(head, &rows));
        let _ = writeln!(
            text,
            "\nUS dollars for a million tokens; {}; `prices` and `context_window` of a config win",
            models_source()
        );
    }
    clean(&text).into_owned()
}

fn server_of<'s>(kind: &BackendType, servers: &'s [LocalServer]) -> Option<&'s LocalServer> {
    servers.iter().find(|server| server.kind == kind.name)
}

fn model_row(name: &str, facts: &ModelFacts) -> [String; 8] {
    let tokens = |tokens: Option<u64>| tokens.map_or("–".to_owned(), grouped);
    let takes = [("images", facts.images), ("files", facts.files), ("reasoning", facts.reasoning)];
    let takes = takes.into_iter().filter(|(_, has)| *has).map(|(name, _)| name);
    let takes = takes.collect::<Vec<_>>().join(" ");
    let [input, cache_read, cache_write, output] = match facts.prices {
        Some(prices) => [
            prices.input_micros,
            prices.cache_read_micros,
            prices.cache_write_micros,
            prices.output_micros,
        ]
        .map(price),
        None => std::array::from_fn(|_| "–".to_owned()),
    };
    let (window, reply) = (tokens(facts.context_window), tokens(facts.output_max));
    [name.to_owned(), window, reply, takes, input, cache_read, cache_write, output]
}

/// Returns dollars with two decimals at least, and as many as there are.
fn price(micros: u64) -> String {
    let (whole, decimals) = (micros / 1_000_000, format!("{:06}", micros % 1_000_000));
    let kept = decimals.trim_end_matches('0').len().max(2);
    format!("{whole}.{}", &decimals[..kept])
}

fn type_json(kind: &BackendType, env: &Environment, servers: &[LocalServer]) -> Value {
    let capabilities: serde_json::Map<String, Value> = kind
        .capabilities
        .named()
        .into_iter()
        .map(|(name, has)| (name.to_owned(), has.into()))
        .collect();
    let key_found = match key(kind, env) {
        Key::Set(name) => Some(name),
        Key::None | Key::Unset(_) => None,
    };
    let models = models_of(kind.name).map(|(name, facts)| {
        json!({
            "model": name,
            "context_window": facts.context_window,
            "output_max": facts.output_max,
            "images": facts.images,
            "files": facts.files,
            "reasoning": facts.reasoning,
            "prices": facts.prices,
        })
    });
    let (note, instead) = match kind.status {
        Status::Ready => (None, None),
        Status::Interim { note } => (Some(note), None),
        Status::NotInBuild { instead } => (None, Some(instead)),
    };
    json!({
        "type": kind.name,
        "title": kind.title,
        "format": kind.format.title(),
        "base_url": kind.base_url,
        "key_variables": kind.key_env,
        "needs_key": kind.needs_key(),
        "key_found": key_found,
        "default_model": kind.default_model,
        "local": kind.local,
        "callable": kind.is_callable(),
        "note": note,
        "instead": instead,
        "capabilities": capabilities,
        "models": models.collect::<Vec<_>>(),
        "served": server_of(kind, servers).map(|server| json!({
            "base_url": server.base_url,
            "models": server.models,
        })),
    })
}

/// Sets words to the left and numbers to the right; the last column is not padded.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let chars = |text: &str| text.chars().count();
    let is_number =
        |text: &str| text.starts_with(|first: char| first.is_ascii_digit() || first == '–');
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| chars(&row[column]));
        cells.max().unwrap_or(0).max(chars(head[column]))
    });
    let right: [bool; N] = std::array::from_fn(|column| {
        column > 0 && rows.iter().all(|row| row[column].is_empty() || is_number(&row[column]))
    });
    let mut text = String::new();
    let mut line = |cells: [&str; N]| {
        let mut line = String::new();
        for (column, cell) in cells.into_iter().enumerate() {
            let (gap, width) = (if column == 0 { "" } else { "  " }, widths[column]);
            let _ = if right[column] {
                write!(line, "{gap}{cell:>width$}")
            } else {
                write!(line, "{gap}{cell:<width$}")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(head);
    for row in rows {
        line(std::array::from_fn(|column| row[column].as_str()));
    }
    text
}

#[cfg(test)]
mod tests {
    use massgen_protocol::Prices;

    use super::*;

    #[test]
    fn a_price_keeps_what_counts() {
        assert_eq!(price(2_500_000), "2.50");
        assert_eq!(price(50_000), "0.05");
        assert_eq!(price(1_234_000), "1.234");
        assert_eq!(price(0), "0.00");
    }

    #[test]
    fn what_is_not_known_of_a_model_is_not_made_up() {
        let known = ModelFacts {
            context_window: Some(1_050_000),
            images: true,
            prices: Some(Prices { input_micros: 2_500_000, ..Prices::default() }),
            ..ModelFacts::default()
        };
        let row = model_row("m", &known);
        assert_eq!(row, ["m", "1,050,000", "–", "images", "2.50", "0.00", "0.00", "0.00"]);
        let row = model_row("m", &ModelFacts::default());
        assert_eq!(row, ["m", "–", "–", "", "–", "–", "–", "–"]);
    }
}
