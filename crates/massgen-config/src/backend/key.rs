//! The key of a backend, and where it came from.

use std::collections::BTreeMap;

use massgen_protocol::{ApiKey, BackendType, HeaderText, Secret, WireFormat, backend_type_of_url};

use crate::expand::sole_variable;
use crate::host::{host, is_near};
use crate::problem::shown;
use crate::reader::Reader;
use crate::section::{Field, Section};

use super::address::{Address, Given};

/// Headers that hold a key: with one of them, no other is asked for.
const KEY_HEADERS: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];

pub(super) fn api_key(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
    address: Option<&Address>,
    headers: Option<&BTreeMap<String, HeaderText>>,
) -> Option<ApiKey> {
    if let Some(field) = section.given("api_key") {
        let key = given_key(reader, &field)?;
        if key.secret().is_some_and(|secret| !secret.is_empty()) {
            return Some(key);
        }
        // An empty key is no key: `${NAME:-}` leaves it to the environment.
    }
    let (kind, address) = (kind?, address?);
    if headers.is_some_and(has_key) {
        return Some(ApiKey::None);
    }
    let is_given = address.given != Given::Table;
    // The generic type takes its key from the provider whose address is given.
    let by_url = backend_type_of_url(&address.url).filter(|_| is_given);
    let key_env = match by_url {
        Some(by_url) if kind.name == "chatcompletion" => by_url.key_env,
        Some(_) | None => kind.key_env,
    };
    // A program reads its own variables, and may be logged in without any.
    let is_program = kind.format == WireFormat::Acp;
    if let Some((name, value)) = env_key(reader, key_env) {
        let is_elsewhere = by_url.is_none() && !is_near(&address.url);
        let is_chosen_here = address.given == Given::Config && kind.base_url.is_some();
        if is_elsewhere && is_chosen_here && !kind.local {
            let message = format!("the key in `{name}` is sent to `{}`", shown(host(&address.url)));
            let hint = "give that server its own key with `api_key: ${NAME}`".to_owned();
            reader.report.notice(section.at, &section.path_of("base_url"), message, Some(hint));
        }
        return Some(ApiKey::Env { name, value });
    }
    let needs_none =
        kind.local || is_program || key_env.is_empty() || (is_given && is_near(&address.url));
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

fn has_key(headers: &BTreeMap<String, HeaderText>) -> bool {
    headers.keys().any(|name| KEY_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

fn env_key(reader: &Reader<'_>, names: &[&str]) -> Option<(String, Secret)> {
    names.iter().find_map(|name| {
        let value = reader.env.vars.get(*name).map(|value| value.trim())?;
        (!value.is_empty()).then(|| ((*name).to_owned(), Secret::new(value)))
    })
}
