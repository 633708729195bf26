//! Where a backend's requests go.

use massgen_protocol::{BackendType, WireFormat};

use crate::host::{UrlFault, check_base_url};
use crate::problem::Place;
use crate::reader::Reader;
use crate::section::{Field, Section};

use super::has_address;

/// An address, and where it was given.
pub(super) struct Address {
    pub url: String,
    pub given: Given,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Config,
    /// By the variable that the provider's own library reads.
    Environment,
    /// The type's own.
    Table,
}

/// Keys that hold an address; the types that read more than `base_url`.
const KEYS: [&str; 4] = ["base_url", "azure_endpoint", "agent_url", "url"];

/// Variables that the providers' own libraries read, by type.
const VARIABLES: &[(&str, &str)] = &[
    ("openai", "OPENAI_BASE_URL"),
    ("claude", "ANTHROPIC_BASE_URL"),
    ("gemini", "GOOGLE_GEMINI_BASE_URL"),
    ("azure_openai", "AZURE_OPENAI_ENDPOINT"),
];

const AZURE: &str = "azure_openai";
/// Where Azure serves every deployment of a resource without a version of its API.
const AZURE_ROOT: &str = "/openai/v1";
/// The version of a deployment's own address where none is given: the last that is no preview.
const AZURE_VERSION: &str = "2024-10-21";

/// Finds the address; `model` names the deployment where Azure wants one in the path.
pub(super) fn address(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&BackendType>,
    model: Option<&str>,
) -> Option<Address> {
    let script = section.given("script");
    if kind.is_some_and(|kind| kind.format == WireFormat::Scripted) {
        let Some(field) = script.or_else(|| section.given("base_url")) else {
            let message = "a scripted backend needs a script".to_owned();
            let hint = "name its file with `script:`".to_owned();
            reader.error(section.at, &section.path_of("script"), message, Some(hint));
            return None;
        };
        return reader.text(Some(field)).map(|url| Address { url, given: Given::Config });
    }
    if let (Some(field), Some(_)) = (script, kind) {
        let message = "`script` has an effect with `type: scripted` only".to_owned();
        reader.report.notice(field.key_at, &field.path, message, None);
    }
    let is_azure = kind.is_some_and(|kind| kind.name == AZURE);
    for key in ["azure_deployment", "api_version"] {
        let wanted = |_: &Field<'_>| kind.is_some() && !is_azure;
        let Some(field) = section.given_if(key, wanted) else { continue };
        let message = format!("`{key}` has an effect with `type: {AZURE}` only");
        reader.report.notice(field.key_at, &field.path, message, None);
    }
    let written = written(reader, section, kind);
    if let Some(kind) = kind.filter(|kind| !has_address(kind)) {
        if let Some(field) = written {
            let message = format!("`{}` is a program: it has no address", kind.name);
            reader.report.notice(field.key_at, &field.path, message, None);
        }
        return Some(Address { url: String::new(), given: Given::Table });
    }
    let address = match written {
        Some(field) => {
            let (at, path) = (field.node.at, field.path.clone());
            let url = reader.text(Some(field))?;
            Address { url: checked(reader, &url, at, &path)?, given: Given::Config }
        }
        None => not_written(reader, section, kind?)?,
    };
    if is_azure {
        let url = azure(reader, section, address.url, model)?;
        return Some(Address { url, ..address });
    }
    Some(address)
}

/// Returns the first of the keys that the type has an address in.
fn written<'n>(
    reader: &mut Reader<'_>,
    section: &mut Section<'n>,
    kind: Option<&BackendType>,
) -> Option<Field<'n>> {
    let mut first: Option<Field<'n>> = None;
    for key in KEYS {
        let belongs = match key {
            "azure_endpoint" => kind.is_none_or(|kind| kind.name == AZURE),
            "agent_url" | "url" => kind.is_none_or(|kind| kind.format == WireFormat::A2a),
            _ => true,
        };
        let Some(field) = section.given(key) else { continue };
        match &first {
            None if belongs => first = Some(field),
            Some(first) if belongs => {
                let message = format!("`{key}` has no effect beside `{}`", first.path);
                reader.report.notice(field.key_at, &field.path, message, None);
            }
            None | Some(_) => {
                let of = if key == "azure_endpoint" { AZURE } else { "a2a" };
                let message = format!("`{key}` has an effect with `type: {of}` only");
                let hint = "give the address with `base_url:`".to_owned();
                reader.report.notice(field.key_at, &field.path, message, Some(hint));
            }
        }
    }
    first
}

fn not_written(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    kind: &BackendType,
) -> Option<Address> {
    let variable = VARIABLES.iter().find(|(name, _)| *name == kind.name).map(|(_, name)| *name);
    let set = variable.and_then(|name| Some((name, reader.env.vars.get(name)?.trim().to_owned())));
    if let Some((name, url)) = set.filter(|(_, url)| !url.is_empty()) {
        let path = format!("{name} in the environment");
        let url = checked(reader, &url, section.at, &path)?;
        return Some(Address { url, given: Given::Environment });
    }
    if let Some(url) = kind.base_url {
        return Some(Address { url: url.to_owned(), given: Given::Table });
    }
    let message = format!("`{}` needs the address of its server", kind.name);
    let hint = match variable {
        Some(name) => format!("give it with `base_url:`, or set `{name}`"),
        None => "give it with `base_url:`".to_owned(),
    };
    reader.error(section.at, &section.path_of("base_url"), message, Some(hint));
    None
}

fn checked(reader: &mut Reader<'_>, url: &str, at: Place, path: &str) -> Option<String> {
    let fault = match check_base_url(url) {
        Ok(url) => return Some(url),
        Err(fault) => fault,
    };
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
    reader.error(at, path, message.to_owned(), Some(hint.to_owned()));
    None
}

/// Returns the address of an Azure deployment. With a version, each deployment has its
/// own; without one, all of a resource are served at one address.
fn azure(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    endpoint: String,
    model: Option<&str>,
) -> Option<String> {
    let deployment = plain_word(reader, section.given("azure_deployment"))?;
    let version = plain_word(reader, section.given("api_version"))?.or_else(|| {
        reader.env.vars.get("AZURE_OPENAI_API_VERSION").map(|version| version.trim().to_owned())
    });
    let version = version.filter(|version| !version.is_empty());
    let query = |root: String, version: &str| format!("{root}?api-version={version}");
    // The whole address is given; the root of a resource has no version but these.
    if endpoint.contains("/openai/") {
        return Some(match version.filter(|version| version != "v1") {
            Some(version) => query(endpoint, &version),
            None => endpoint,
        });
    }
    let endpoint = endpoint.strip_suffix("/openai").unwrap_or(&endpoint);
    let root = format!("{endpoint}{AZURE_ROOT}");
    match (version.as_deref(), deployment.as_deref()) {
        (None | Some("v1"), None) => Some(root),
        (Some(version @ ("preview" | "latest")), None) => Some(query(root, version)),
        (version, deployment) => {
            let deployment = deployment.or(model).unwrap_or_default();
            let place = format!("{endpoint}/openai/deployments/{deployment}");
            Some(query(place, version.unwrap_or(AZURE_VERSION)))
        }
    }
}

/// Reads what becomes a part of an address; the outer `None` comes with an error.
fn plain_word(reader: &mut Reader<'_>, field: Option<Field<'_>>) -> Option<Option<String>> {
    let Some(field) = field else { return Some(None) };
    let (at, path) = (field.node.at, field.path.clone());
    let word = reader.text(Some(field))?.trim().to_owned();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if word.is_empty() || word == "." || word == ".." || !word.chars().all(is_plain) {
        let message = "expected a name of letters, digits, `-`, `_` and `.`".to_owned();
        reader.error(at, &path, message, None);
        return None;
    }
    Some(Some(word))
}
