//! Headers of a user's own, sent with every request.

use std::collections::BTreeMap;

use massgen_protocol::{BackendType, HeaderText};

use crate::node::Kind;
use crate::problem::shown;
use crate::reader::Reader;
use crate::section::{Field, Section};

use super::address::{Address, Given};
use super::has_address;

/// Most headers of one backend; servers refuse more.
const HEADERS_MAX: usize = 64;

/// The same three maps under the names that libraries have for them; a later one wins.
const KEYS: [&str; 3] = ["default_headers", "extra_headers", "headers"];

/// What the connection itself needs, or what would make a reply unreadable.
const OWN: [&str; 8] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
];

const ORGANIZATION: &str = "OpenAI-Organization";
/// What OpenAI's own library reads, and sends to OpenAI.
const VARIABLES: [(&str, &str); 2] =
    [("OPENAI_ORG_ID", ORGANIZATION), ("OPENAI_PROJECT_ID", "OpenAI-Project")];

/// Reads the headers; `None` comes with at least one error.
pub(super) fn headers(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
    address: Option<&Address>,
) -> Option<BTreeMap<String, HeaderText>> {
    let mut headers = BTreeMap::new();
    let is_openai = kind.is_some_and(|kind| kind.name == "openai")
        && address.is_some_and(|address| address.given != Given::Config);
    for (variable, name) in VARIABLES.iter().filter(|_| is_openai) {
        let set = reader.env.vars.get(*variable).map(|value| value.trim());
        if let Some(value) = set.filter(|value| is_header_value(value)) {
            let value = value.to_owned();
            headers.insert((*name).to_owned(), HeaderText::Plain { value });
        }
    }
    let mut is_whole = true;
    if let Some(field) = section.given("organization") {
        is_whole &= header(reader, &mut headers, ORGANIZATION, &field);
    }
    for key in KEYS {
        let Some(field) = section.given(key) else { continue };
        if let Some(kind) = kind.filter(|kind| !has_address(kind)) {
            let message = format!("`{}` sends no requests: it has no headers", kind.name);
            reader.report.notice(field.key_at, &field.path, message, None);
            continue;
        }
        let Kind::Map(entries) = &field.node.kind else {
            reader.mismatch(&field, "a map of headers");
            is_whole = false;
            continue;
        };
        for entry in entries.iter().filter(|entry| !entry.value.is_null()) {
            let path = format!("{}.{}", field.path, shown(&entry.key));
            let field = Field { node: &entry.value, key_at: entry.key_at, path };
            is_whole &= header(reader, &mut headers, &entry.key, &field);
        }
        if headers.len() > HEADERS_MAX {
            let message = format!("{} headers, at most {HEADERS_MAX} are taken", headers.len());
            reader.error(field.key_at, &field.path, message, None);
            return None;
        }
    }
    is_whole.then_some(headers)
}

fn header(
    reader: &mut Reader<'_>,
    headers: &mut BTreeMap<String, HeaderText>,
    name: &str,
    field: &Field<'_>,
) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        let message = format!("`{}` is no name of a header", shown(name));
        reader.error(field.key_at, &field.path, message, None);
        return false;
    }
    if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        let message = format!("the header `{name}` is set by MassGen itself");
        let hint = "leave it out".to_owned();
        reader.error(field.key_at, &field.path, message, Some(hint));
        return false;
    }
    let Some(text) = reader.secret_text(name, field) else { return false };
    if !is_header_value(text.expose()) {
        let message = format!("the header `{name}` holds characters that no header has");
        reader.error(field.node.at, &field.path, message, None);
        return false;
    }
    headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
    headers.insert(name.to_owned(), text);
    true
}

fn is_header_value(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| !c.is_control() || c == '\t')
}
