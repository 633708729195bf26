//! Keys of a backend that go into the request as they are.

use massgen_protocol::{BackendType, WireFormat};
use serde_json::{Map, Value};

use crate::backend::is_agent;
use crate::foreign::foreign;
use crate::known::{AGENT_OPTIONS, BACKEND, OWN_FIELDS, is_request_field, nearest_backend_key};
use crate::node::Kind;
use crate::problem::shown;
use crate::reader::Reader;
use crate::section::{Field, Section};

/// The live search of Grok's first API, which is a tool today.
const GROK_SEARCH: &str = "search_parameters";

/// What is left of a backend.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pub fields: Map<String, Value>,
    /// A field that is gone asked for the provider's web search.
    pub asks_for_search: bool,
}

/// Reads everything that is left of a backend; `None` if a value cannot be sent.
pub(crate) fn params(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
    speaks_responses: bool,
) -> Option<Params> {
    let mut params = Params::default();
    let mut is_whole = true;
    if let Some(field) = section.given("text") {
        is_whole &= text(reader, &field, kind, speaks_responses, &mut params.fields);
    }
    if let Some(extra) = section.given("extra_body") {
        match &extra.node.kind {
            // Its keys are fields of the request, not the map itself.
            Kind::Map(_) => match reader.json(extra.node, &extra.path) {
                Some(Value::Object(fields)) => params.fields.extend(fields),
                Some(_) | None => is_whole = false,
            },
            Kind::Scalar { .. } | Kind::List(_) => {
                reader.mismatch(&extra, "a map of request fields");
                is_whole = false;
            }
        }
        params.asks_for_search = grok_search(reader, &extra, kind, &mut params.fields);
    }
    for (key, field) in section.rest() {
        // OpenRouter's own routing; elsewhere the key names a provider to MassGen.
        let is_routing = key == "provider" && kind.is_some_and(|kind| kind.name != "openrouter");
        if OWN_FIELDS.contains(&key) {
            let message = format!("`{key}` is set by MassGen itself; this value has no effect");
            reader.report.notice_once(field.key_at, &field.path, message);
            continue;
        }
        let is_option =
            kind.is_some_and(|kind| kind.format == WireFormat::Acp) && AGENT_OPTIONS.contains(&key);
        if (BACKEND.ignores(key) && !is_option) || is_routing {
            reader.report.ignored(field.key_at, &section.path, key);
            continue;
        }
        if reader.refuses_secret(key, field.key_at, field.node, &field.path) {
            is_whole = false;
            continue;
        }
        if let Some(of) = kind.and_then(|kind| foreign(key, kind)) {
            let message = format!("`{key}` has an effect with {of} only, and is not sent");
            reader.report.notice(field.key_at, &field.path, message, None);
            continue;
        }
        if kind.is_some_and(|kind| is_agent(kind) && !is_option) {
            let near = nearest_backend_key(key).filter(|near| *near != key);
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("`{}` has no effect on an agent of another maker", shown(key));
            reader.report.notice(field.key_at, &field.path, message, hint);
            continue;
        }
        if !is_request_field(key) && !is_option && reader.report.has_room_for_notices() {
            let hint = nearest_backend_key(key).map(|near| format!("did you mean `{near}`?"));
            let message = format!("unknown key `{}` is sent to the provider", shown(key));
            reader.report.notice(field.key_at, &field.path, message, hint);
        }
        if field.node.is_null() {
            continue;
        }
        match reader.json(field.node, &field.path) {
            Some(value) => drop(params.fields.insert(key.to_owned(), value)),
            None => is_whole = false,
        }
    }
    is_whole.then_some(params)
}

/// `text` is a field of Responses; Chat Completions knows its verbosity under its own
/// name, and nobody else has anything like it.
fn text(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    kind: Option<&BackendType>,
    speaks_responses: bool,
    fields: &mut Map<String, Value>,
) -> bool {
    let Some(kind) = kind else { return true };
    if speaks_responses {
        let value = reader.json(field.node, &field.path);
        return value.map(|value| fields.insert("text".to_owned(), value)).is_some();
    }
    match kind.format {
        WireFormat::OpenAiChat | WireFormat::OpenAiResponses => {
            one_inner(reader, field, "verbosity", "verbosity", fields)
        }
        WireFormat::AnthropicMessages
        | WireFormat::GeminiGenerate
        | WireFormat::OllamaChat
        | WireFormat::Acp
        | WireFormat::A2a
        | WireFormat::AgentCli
        | WireFormat::PythonFramework
        | WireFormat::Scripted => {
            let message = "`text` has an effect with OpenAI's formats only, and is not sent";
            reader.report.notice(field.key_at, &field.path, message.to_owned(), None);
            true
        }
    }
}

/// Takes the search of Grok's first API out of the request.
fn grok_search(
    reader: &mut Reader<'_>,
    extra: &Field<'_>,
    kind: Option<&BackendType>,
    fields: &mut Map<String, Value>,
) -> bool {
    if kind.is_none_or(|kind| kind.name != "grok") {
        return false;
    }
    let Some(search) = fields.shift_remove(GROK_SEARCH) else { return false };
    let is_on = search.get("mode").and_then(Value::as_str) != Some("off");
    let message = if is_on {
        format!("`{GROK_SEARCH}` is gone from this API: web search is switched on instead")
    } else {
        format!("`{GROK_SEARCH}` is gone from this API: it is not sent")
    };
    let hint = "write `enable_web_search: true`".to_owned();
    reader.report.notice(extra.key_at, &extra.path, message, Some(hint));
    is_on
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
