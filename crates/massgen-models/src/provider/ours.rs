//! Fields that we add to a request of ourselves, and that a server may refuse.
//!
//! Only what we added is taken off, and only where the refusal's own fields point at it; a
//! user's field is never dropped behind the user's back.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value};

/// A field of ours.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) field: &'static str,
    /// The one inside of it, if it is not the whole.
    pub(crate) inner: Option<&'static str>,
    /// What a refusal may call it.
    pub(crate) called: &'static [&'static str],
    /// Goes only where it is named.
    pub(crate) is_essential: bool,
}

impl Ours {
    /// Takes the field out; returns whether it was there.
    fn take_out(&self, body: &mut Map<String, Value>) -> bool {
        let Some(inner) = self.inner else { return body.shift_remove(self.field).is_some() };
        let Some(Value::Object(fields)) = body.get_mut(self.field) else { return false };
        let was_there = fields.shift_remove(inner).is_some();
        if fields.is_empty() {
            body.shift_remove(self.field);
        }
        was_there
    }

    fn is_users(&self, params: &Map<String, Value>) -> bool {
        match (params.get(self.field), self.inner) {
            (Some(Value::Object(fields)), Some(inner)) => fields.contains_key(inner),
            (Some(_), _) => true,
            // Its name in Chat Completions, which is taken for it.
            (None, Some("effort")) => params.contains_key("reasoning_effort"),
            (None, _) => false,
        }
    }
}

/// What a model or its server has refused so far, shared by all calls to it: the next one
/// need not be refused again.
#[derive(Debug)]
pub(crate) struct Refused {
    ours: &'static [Ours],
    /// A bit for each.
    so_far: AtomicU32,
}

/// What a refusal says of itself, besides words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) code: String,
    /// The field it is about; empty where none is named.
    pub(crate) field: String,
}

impl Named {
    pub(crate) fn of(refusal: &Value) -> Named {
        let error = refusal.get("error").filter(|error| error.is_object()).unwrap_or(refusal);
        let word = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let field = match word("param") {
            // FastAPI's way, which servers of open weights have.
            "" => error.pointer("/detail/0/loc").and_then(Value::as_array).map_or_else(
                String::new,
                |steps| {
                    let steps = steps.iter().filter_map(Value::as_str);
                    steps.filter(|step| *step != "body").collect::<Vec<_>>().join(".")
                },
            ),
            param => param.to_owned(),
        };
        Named { code: word("code").to_owned(), field }
    }

    /// Whether nothing tells what was refused: xAI and many look-alikes write a sentence
    /// where others have a code.
    fn is_silent(&self) -> bool {
        self.field.is_empty() && (self.code.is_empty() || self.code.contains(' '))
    }
}

impl Refused {
    pub(crate) fn new(ours: &'static [Ours]) -> Refused {
        Refused { ours, so_far: AtomicU32::new(0) }
    }

    /// Takes out what was refused before.
    pub(crate) fn leave_out(&self, body: &mut Map<String, Value>) {
        let so_far = self.so_far.load(Ordering::Relaxed);
        for (n, ours) in self.ours.iter().enumerate() {
            if so_far & (1 << n) != 0 {
                ours.take_out(body);
            }
        }
    }

    /// Returns a body that the server may take instead.
    pub(crate) fn amended(
        &self,
        body: &Map<String, Value>,
        named: &Named,
        params: &Map<String, Value>,
    ) -> Option<Map<String, Value>> {
        let mut body = body.clone();
        let is_named = |ours: &&Ours| ours.called.contains(&named.field.as_str());
        if let Some(n) = self.ours.iter().position(|ours| is_named(&ours)) {
            let ours = &self.ours[n];
            if ours.is_users(params) || !ours.take_out(&mut body) {
                return None;
            }
            self.so_far.fetch_or(1 << n, Ordering::Relaxed);
            return Some(body);
        }
        if !named.is_silent() {
            return None;
        }
        // Not kept in mind, as the reason may have been another.
        let mut is_less = false;
        for ours in self.ours.iter().filter(|ours| !ours.is_essential && !ours.is_users(params)) {
            is_less |= ours.take_out(&mut body);
        }
        is_less.then_some(body)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_field_is_found_in_every_shape_of_refusal() {
        let check = |refusal: Value, code: &str, field: &str, is_silent: bool| {
            let named = Named::of(&refusal);
            assert_eq!((named.code.as_str(), named.field.as_str()), (code, field), "{refusal}");
            assert_eq!(named.is_silent(), is_silent, "{refusal}");
        };
        check(json!({"error": {"param": "store", "code": "x"}}), "x", "store", false);
        check(json!({"param": "a.b", "code": 400}), "", "a.b", false);
        check(json!({"detail": [{"loc": ["body", "a", "b"]}]}), "", "a.b", false);
        check(json!({"detail": "no"}), "", "", true);
        check(json!({"error": {"code": "model_not_found"}}), "model_not_found", "", false);
        check(json!({"error": "no", "code": "Invalid argument"}), "Invalid argument", "", true);
        check(json!([]), "", "", true);
        check(json!(null), "", "", true);
    }
}
