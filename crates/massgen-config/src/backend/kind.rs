//! The type of a backend: as written, or told by the model, or by another key.

use massgen_protocol::{BackendType, Status, backend_type, backend_types, infer_backend_type};

use crate::problem::{Place, shown};
use crate::reader::Reader;
use crate::section::Section;
use crate::suggest::nearest;

/// A model's name, and what stands in the file for it.
#[derive(Clone, Copy)]
pub(super) struct Model<'m> {
    pub name: Option<&'m str>,
    pub written: &'m str,
}

/// Keys that only one type has, in place of a `type`.
const TOLD_BY_KEY: &[(&str, &str)] = &[
    ("azure_endpoint", "azure_openai"),
    ("agent_url", "a2a"),
    ("command", "acp"),
    ("base_url", "chatcompletion"),
];

pub(super) fn kind(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    model: Model<'_>,
) -> Option<&'static BackendType> {
    let Some(field) = section.given("type") else {
        let by_key = TOLD_BY_KEY.iter().find(|(key, _)| section.has(key));
        let inferred = match (by_key, model.name) {
            (Some((_, name)), _) => backend_type(name),
            (None, Some(model)) => infer_backend_type(model),
            (None, None) => None,
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
