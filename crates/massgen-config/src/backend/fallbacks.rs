//! Who is called instead where a model cannot be.

use massgen_protocol::BackendSpec;

use crate::node::{Kind, Node};
use crate::reader::Reader;
use crate::section::{Field, Section};

use super::{Around, Place, backend, limits};

/// Most fallbacks of one backend: whoever needs more has another trouble.
const FALLBACKS_MAX: usize = 8;

/// One fallback as it is written.
pub(super) enum Fallback {
    /// Another model of the same backend.
    Model(String),
    Whole(Box<BackendSpec>),
}

impl Fallback {
    /// Returns the fallback of this backend.
    pub(super) fn of(self, main: &BackendSpec, around: Around<'_>) -> BackendSpec {
        match self {
            Fallback::Whole(spec) => *spec,
            Fallback::Model(model) => {
                let mut spec = BackendSpec { model, fallbacks: Vec::new(), ..main.clone() };
                spec.rate_limits = around.rates.limits(&spec.kind, &spec.model);
                // What the config states is of the other model.
                spec.context_window = None;
                limits::fill(&mut spec, None);
                spec
            }
        }
    }
}

/// Reads `fallbacks`, or `fallback_models`; `None` comes with at least one error.
pub(super) fn written(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    around: Around<'_>,
) -> Option<Vec<Fallback>> {
    let both = [section.given("fallbacks"), section.given("fallback_models")];
    let mut fallbacks = Vec::new();
    let mut is_whole = true;
    for field in both.into_iter().flatten() {
        if around.place == Place::Fallback {
            let message = "a fallback has no fallbacks of its own".to_owned();
            let hint = "put them into one list, in the order in which they are called".to_owned();
            reader.error(field.key_at, &field.path, message, Some(hint));
            return None;
        }
        let nodes = match &field.node.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Scalar { .. } | Kind::Map(_) => std::slice::from_ref(field.node),
        };
        for (n, node) in nodes.iter().enumerate() {
            let path = format!("{}[{n}]", field.path);
            match one(reader, node, path, field.key_at, around) {
                Some(fallback) => fallbacks.push(fallback),
                None => is_whole = false,
            }
        }
        if fallbacks.len() > FALLBACKS_MAX {
            let message =
                format!("{} fallbacks, at most {FALLBACKS_MAX} are taken", fallbacks.len());
            reader.error(field.key_at, &field.path, message, None);
            return None;
        }
    }
    is_whole.then_some(fallbacks)
}

fn one(
    reader: &mut Reader<'_>,
    node: &Node,
    path: String,
    key_at: crate::problem::Place,
    around: Around<'_>,
) -> Option<Fallback> {
    let field = Field { node, key_at, path };
    match &node.kind {
        Kind::Map(_) => {
            let around = Around { place: Place::Fallback, ..around };
            let read = backend(reader, node, field.path.clone(), around)?;
            if !read.media.is_empty() {
                let message = "files of a fallback are not sent: those of its agent are";
                reader.report.notice(node.at, &field.path, message.to_owned(), None);
            }
            Some(Fallback::Whole(Box::new(read.spec)))
        }
        Kind::Scalar { .. } if !field.written().is_empty() && !node.is_null() => {
            reader.text(Some(field)).map(Fallback::Model)
        }
        Kind::Scalar { .. } | Kind::List(_) => {
            reader.mismatch(&field, "the name of a model, or a backend");
            None
        }
    }
}
