//! Keys of a backend that go into the request as they are.

use serde_json::{Map, Value};

use crate::known::{BACKEND, OWN_FIELDS, is_request_field, nearest_backend_key};
use crate::node::Kind;
use crate::problem::shown;
use crate::reader::Reader;
use crate::section::{Field, Section};

/// Reads everything that is left of a backend; `None` if a value cannot be sent.
pub(crate) fn params(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: &str,
) -> Option<Map<String, Value>> {
    let mut params = Map::new();
    let mut is_whole = true;
    if let Some(field) = section.given("reasoning") {
        is_whole &= reasoning(reader, &field, kind, &mut params);
    }
    if let Some(text) = section.given("text") {
        is_whole &= one_inner(reader, &text, "verbosity", "verbosity", &mut params);
    }
    if let Some(extra) = section.given("extra_body") {
        match &extra.node.kind {
            // Its keys are fields of the request, not the map itself.
            Kind::Map(_) => match reader.json(extra.node, &extra.path) {
                Some(Value::Object(fields)) => params.extend(fields),
                Some(_) | None => is_whole = false,
            },
            Kind::Scalar { .. } | Kind::List(_) => {
                reader.mismatch(&extra, "a map of request fields");
                is_whole = false;
            }
        }
    }
    for (key, field) in section.rest() {
        // OpenRouter's own routing; elsewhere the key names a provider to MassGen.
        let is_routing = key == "provider" && kind != "openrouter";
        if OWN_FIELDS.contains(&key) {
            let message = format!("`{key}` is set by MassGen itself; this value has no effect");
            reader.report.notice_once(field.key_at, &field.path, message);
            continue;
        }
        if BACKEND.ignores(key) || is_routing {
            reader.report.ignored(field.key_at, &section.path, key);
            continue;
        }
        if reader.refuses_secret(key, field.key_at, field.node, &field.path) {
            is_whole = false;
            continue;
        }
        if !is_request_field(key) && reader.report.has_room_for_notices() {
            let hint = nearest_backend_key(key).map(|near| format!("did you mean `{near}`?"));
            let message = format!("unknown key `{}` is sent to the provider", shown(key));
            reader.report.notice(field.key_at, &field.path, message, hint);
        }
        if field.node.is_null() {
            continue;
        }
        match reader.json(field.node, &field.path) {
            Some(value) => drop(params.insert(key.to_owned(), value)),
            None => is_whole = false,
        }
    }
    is_whole.then_some(params)
}

/// `reasoning` is a field of OpenRouter; elsewhere Chat Completions only knows its effort.
fn reasoning(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    kind: &str,
    params: &mut Map<String, Value>,
) -> bool {
    if kind == "openrouter" {
        let value = reader.json(field.node, &field.path);
        return value.map(|value| params.insert("reasoning".to_owned(), value)).is_some();
    }
    one_inner(reader, field, "effort", "reasoning_effort", params)
}

/// Takes one key out of a map that is written for another API, and says that the rest is not sent.
fn one_inner(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    inner: &str,
    param: &str,
    params: &mut Map<String, Value>,
) -> bool {
    let Kind::Map(entries) = &field.node.kind else {
        reader.report.notice(
            field.key_at,
            &field.path,
            format!("only a map with `{inner}` has an effect here"),
            None,
        );
        return true;
    };
    let mut is_whole = true;
    for entry in entries.iter() {
        if &*entry.key != inner {
            reader.report.ignored(entry.key_at, &field.path, &entry.key);
            continue;
        }
        match reader.json(&entry.value, &format!("{}.{inner}", field.path)) {
            Some(Value::Null) => {}
            Some(value) => drop(params.insert(param.to_owned(), value)),
            None => is_whole = false,
        }
    }
    is_whole
}
