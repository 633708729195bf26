//! One `backend` of an agent: where its model is reached, with which key.

use massgen_protocol::{
    ApiKey, BackendSpec, BackendType, CallTimeouts, Prices, Secret, Status, TRIES_MAX_DEFAULT,
    WireFormat, backend_type, backend_type_of_url, backend_types, infer_backend_type,
};

use crate::expand::sole_variable;
use crate::host::{UrlFault, check_base_url, host, is_near};
use crate::known::{BACKEND, PRICES};
use crate::node::Node;
use crate::params::params;
use crate::problem::{Place, shown};
use crate::reader::Reader;
use crate::section::{Field, Section};
use crate::suggest::nearest;

/// Largest output bound that can be set, far above any model's.
const OUTPUT_TOKENS_MAX: u64 = 100_000_000;

const TRIES_MAX_LIMIT: u32 = 20;

/// Highest price of a million tokens; a larger number is most likely in the wrong unit.
const PRICE_USD_MAX: f64 = 100_000.0;

/// Reads a backend; `timeouts` are the team's.
pub(crate) fn backend(
    reader: &mut Reader<'_>,
    node: &Node,
    path: String,
    timeouts: CallTimeouts,
) -> Option<BackendSpec> {
    let mut section = Section::open(reader, node, path, &BACKEND)?;
    refuse_system_texts(reader, &mut section);
    let model_field = section.given("model");
    let model_written = model_field.as_ref().map_or("", Field::written).to_owned();
    let model_at = model_field.as_ref().map_or(section.at, |field| field.node.at);
    let n_errors = reader.report.n_errors();
    let model = reader.text(model_field).filter(|model| !model.trim().is_empty());
    let model_is_faulty = reader.report.n_errors() > n_errors;
    let has_url = section.has("base_url");
    let told_by = Model { name: model.as_deref(), written: &model_written };
    let kind = kind(reader, &mut section, told_by, has_url);
    let base_url = base_url(reader, &mut section, kind);
    let api_key = api_key(reader, &mut section, kind, base_url.as_ref());
    let max_output_tokens = reader.count(section.given("max_tokens"), 1..=OUTPUT_TOKENS_MAX);
    let tries_max = reader
        .count32(section.given("tries_max"), 1..=TRIES_MAX_LIMIT)
        .unwrap_or(TRIES_MAX_DEFAULT);
    let prices = prices(reader, &mut section);
    let kind_name = kind.map_or("", |kind| kind.name);
    let params = params(reader, &mut section, kind_name);
    let kind = kind?;
    let model = match model.or_else(|| kind.default_model.map(str::to_owned)) {
        Some(model) => model,
        None => {
            if !model_is_faulty {
                let message = format!("`{}` has no default model", kind.name);
                let hint = "name one with `model:`".to_owned();
                reader.error(model_at, &section.path_of("model"), message, Some(hint));
            }
            return None;
        }
    };
    Some(BackendSpec {
        api_key: api_key?,
        max_output_tokens,
        params: params.unwrap_or_default(),
        prices,
        timeouts,
        tries_max,
        ..BackendSpec::new(kind.name, model, base_url?.url)
    })
}

fn refuse_system_texts(reader: &mut Reader<'_>, section: &mut Section<'_>) {
    for key in ["system_message", "system_prompt", "append_system_prompt"] {
        if let Some(field) = section.take(key) {
            let message = format!("`{key}` cannot stand inside `backend`");
            let hint = "give the agent a `system_message`, beside `backend`".to_owned();
            reader.error(field.key_at, &field.path, message, Some(hint));
        }
    }
}

/// A model's name, and what stands in the file for it.
#[derive(Clone, Copy)]
struct Model<'m> {
    name: Option<&'m str>,
    written: &'m str,
}

/// Finds the type: as written, or told by the model, or by there being an address.
fn kind(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    model: Model<'_>,
    has_url: bool,
) -> Option<&'static BackendType> {
    let Some(field) = section.given("type") else {
        let inferred = match (has_url, model.name) {
            (true, _) => backend_type("chatcompletion"),
            (false, Some(model)) => infer_backend_type(model),
            (false, None) => None,
        };
        let Some(kind) = inferred else {
            let path = section.path_of("type");
            let message = match model.name {
                Some(_) => format!("no telling which provider serves `{}`", shown(model.written)),
                None => "this backend has no `type`".to_owned(),
            };
            let hint = if section.at == Place::default() {
                format!("write `TYPE/MODEL`, or name a server with `--base-url`; {}", ready())
            } else {
                format!("name one with `type:`, or a server with `base_url:`; {}", ready())
            };
            reader.error(section.at, &path, message, Some(hint));
            return None;
        };
        return callable(reader, kind, section.at, &section.path_of("type"));
    };
    let (at, path, written) = (field.node.at, field.path.clone(), field.written());
    let name = reader.text(Some(field))?.trim().to_ascii_lowercase();
    match backend_type(&name) {
        Some(kind) => callable(reader, kind, at, &path),
        None => {
            let near = nearest(&name, backend_types().iter().map(|kind| kind.name));
            let hint = near.map_or_else(ready, |near| format!("did you mean `{near}`?"));
            let message = format!("unknown backend type `{}`", shown(written));
            reader.error(at, &path, message, Some(hint));
            None
        }
    }
}

fn callable(
    reader: &mut Reader<'_>,
    kind: &'static BackendType,
    at: Place,
    path: &str,
) -> Option<&'static BackendType> {
    match kind.status {
        Status::Ready => Some(kind),
        Status::Interim { note } => {
            reader.report.notice_once(at, path, format!("`{}`: {note}", kind.name));
            Some(kind)
        }
        Status::NotInBuild { instead } => {
            let message = format!("`{}` ({}) is not in this version", kind.name, kind.title);
            reader.error(at, path, message, Some(instead.to_owned()));
            None
        }
    }
}

fn ready() -> String {
    let names: Vec<&str> =
        backend_types().iter().filter(|kind| kind.is_callable()).map(|kind| kind.name).collect();
    format!("types are {}", names.join(", "))
}

/// An address, and whether the user gave it.
struct BaseUrl {
    url: String,
    given: bool,
}

fn base_url(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
) -> Option<BaseUrl> {
    let is_scripted = kind.is_some_and(|kind| kind.format == WireFormat::Scripted);
    let script = section.given("script");
    if is_scripted {
        let Some(field) = script.or_else(|| section.given("base_url")) else {
            let message = "a scripted backend needs a script".to_owned();
            let hint = "name its file with `script:`".to_owned();
            reader.error(section.at, &section.path_of("script"), message, Some(hint));
            return None;
        };
        return reader.text(Some(field)).map(|url| BaseUrl { url, given: true });
    }
    if let (Some(field), Some(_)) = (script, kind) {
        let message = "`script` has an effect with `type: scripted` only".to_owned();
        reader.report.notice(field.key_at, &field.path, message, None);
    }
    let Some(field) = section.given("base_url") else {
        let kind = kind?;
        if let Some(url) = kind.base_url {
            return Some(BaseUrl { url: url.to_owned(), given: false });
        }
        let message = format!("`{}` needs the address of its server", kind.name);
        let hint = "give it with `base_url:`".to_owned();
        reader.error(section.at, &section.path_of("base_url"), message, Some(hint));
        return None;
    };
    let (at, path) = (field.node.at, field.path.clone());
    let url = reader.text(Some(field))?;
    match check_base_url(&url) {
        Ok(url) => Some(BaseUrl { url, given: true }),
        Err(fault) => {
            let message = match fault {
                UrlFault::Scheme => "an address begins with `http://` or `https://`",
                UrlFault::Credentials => "an address must not hold a password",
                UrlFault::NoHost => "this address names no host",
                UrlFault::Blank => "an address has no blanks",
                UrlFault::Query => "an address has no `?` or `#` part",
            };
            let hint = match fault {
                UrlFault::Credentials => "give the key with `api_key: ${NAME}`",
                UrlFault::Scheme | UrlFault::NoHost | UrlFault::Blank | UrlFault::Query => {
                    "for example `http://localhost:8000/v1`"
                }
            };
            reader.error(at, &path, message.to_owned(), Some(hint.to_owned()));
            None
        }
    }
}

fn api_key(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
    base_url: Option<&BaseUrl>,
) -> Option<ApiKey> {
    if let Some(field) = section.given("api_key") {
        let key = given_key(reader, &field)?;
        if key.secret().is_some_and(|secret| !secret.is_empty()) {
            return Some(key);
        }
        // An empty key is no key: `${NAME:-}` leaves it to the environment.
    }
    let (kind, base_url) = (kind?, base_url?);
    // The generic type takes its key from the provider whose address is given.
    let by_url = backend_type_of_url(&base_url.url).filter(|_| base_url.given);
    let key_env = match by_url {
        Some(by_url) if kind.name == "chatcompletion" => by_url.key_env,
        Some(_) | None => kind.key_env,
    };
    if let Some((name, value)) = env_key(reader, key_env) {
        let is_elsewhere = base_url.given && by_url.is_none() && !is_near(&base_url.url);
        if is_elsewhere && !kind.local {
            let message =
                format!("the key in `{name}` is sent to `{}`", shown(host(&base_url.url)));
            let hint = "give that server its own key with `api_key: ${NAME}`".to_owned();
            reader.report.notice(section.at, &section.path_of("base_url"), message, Some(hint));
        }
        return Some(ApiKey::Env { name, value });
    }
    let needs_none = kind.local || key_env.is_empty() || (base_url.given && is_near(&base_url.url));
    if needs_none {
        return Some(ApiKey::None);
    }
    let names: Vec<String> = key_env.iter().map(|name| format!("`{name}`")).collect();
    let message = format!("no API key for `{}`: {} is not set", kind.name, names.join(" or "));
    let hint = format!(
        "`export {}=…`, or name another variable with `api_key: ${{NAME}}`",
        key_env.first().copied().unwrap_or("NAME")
    );
    reader.error(section.at, &section.path_of("api_key"), message, Some(hint));
    None
}

fn given_key(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ApiKey> {
    let value = reader.secret(field)?;
    Some(match sole_variable(field.written()) {
        Some(name) => ApiKey::Env { name: name.to_owned(), value },
        None => ApiKey::Given { value },
    })
}

fn env_key(reader: &Reader<'_>, names: &[&str]) -> Option<(String, Secret)> {
    names.iter().find_map(|name| {
        let value = reader.env.vars.get(*name).map(|value| value.trim())?;
        (!value.is_empty()).then(|| ((*name).to_owned(), Secret::new(value)))
    })
}

fn prices(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Prices {
    let Some(mut prices) = section.section(reader, "prices", &PRICES) else {
        return Prices::default();
    };
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
    Prices { input_micros, cache_read_micros, cache_write_micros, output_micros }
}
