//! A request that was refused → one that is likely to be taken.
//!
//! Only what we added of ourselves is taken off, and only where the refusal's own fields
//! point at it; a user's field is never dropped behind the user's back.

use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Map, Value};

/// Fields of ours that this model or server has refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Without(u8);

/// A field of ours: where it is, and what a refusal may call it.
struct Ours {
    bit: u8,
    field: &'static str,
    inner: Option<&'static str>,
    called: &'static [&'static str],
}

const OURS: [Ours; 6] = [
    Ours { bit: 1, field: "include", inner: None, called: &["include", "include[0]"] },
    Ours {
        bit: 2,
        field: "reasoning",
        inner: Some("summary"),
        called: &["reasoning.summary", "reasoning.generate_summary"],
    },
    Ours {
        bit: 4,
        field: "reasoning",
        inner: Some("effort"),
        called: &["reasoning.effort", "reasoning_effort"],
    },
    Ours { bit: 8, field: "reasoning", inner: None, called: &["reasoning"] },
    Ours { bit: 16, field: "prompt_cache_key", inner: None, called: &["prompt_cache_key"] },
    Ours { bit: 32, field: "store", inner: None, called: &["store"] },
];

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
            (None, Some("effort")) => params.contains_key("reasoning_effort"),
            (None, _) => false,
        }
    }
}

impl Without {
    pub(super) fn apply(self, body: &mut Map<String, Value>) {
        for ours in OURS.iter().filter(|ours| self.0 & ours.bit != 0) {
            ours.take_out(body);
        }
    }
}

/// What has been refused so far, shared by all calls to the model: the next one need not
/// be refused again.
#[derive(Debug, Default)]
pub(super) struct Refused(AtomicU8);

impl Refused {
    pub(super) fn so_far(&self) -> Without {
        Without(self.0.load(Ordering::Relaxed))
    }

    /// Returns the body a server may take instead, given the body of its refusal.
    pub(super) fn amended(
        &self,
        sent: &Value,
        refusal: &Value,
        params: &Map<String, Value>,
    ) -> Option<Value> {
        let error = refusal.get("error").filter(|error| error.is_object()).unwrap_or(refusal);
        let word = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let (code, param) = (word("code"), word("param"));
        let mut body = sent.as_object()?.clone();
        if is_about_reasoning(code, param, &body) && forget_reasoning(&mut body) {
            return Some(Value::Object(body));
        }
        if let Some(ours) = OURS.iter().find(|ours| ours.called.contains(&param)) {
            if ours.is_users(params) || !ours.take_out(&mut body) {
                return None;
            }
            self.0.fetch_or(ours.bit, Ordering::Relaxed);
            return Some(Value::Object(body));
        }
        if !param.is_empty() || !refusal.is_object() {
            return None;
        }
        // Nothing is named, as xAI and many look-alikes have it. Not kept in mind, as the
        // reason may have been another.
        let mut is_less = false;
        for ours in &OURS {
            if ours.field != "store" && !ours.is_users(params) {
                is_less |= ours.take_out(&mut body);
            }
        }
        is_less.then_some(Value::Object(body))
    }
}

/// Returns whether a refusal is about reasoning that was sent back: it cannot be
/// decrypted, is not found, or lacks the item it came with.
fn is_about_reasoning(code: &str, param: &str, body: &Map<String, Value>) -> bool {
    if code == "invalid_encrypted_content" || param == "input" {
        return true;
    }
    let Some(rest) = param.strip_prefix("input[") else { return false };
    let at = rest.split(']').next().and_then(|digits| digits.parse::<usize>().ok());
    at.and_then(|at| body.get("input")?.get(at)).is_some_and(|item| item["type"] == "reasoning")
}

/// Takes all reasoning out, and the ids by which its neighbours would ask for it; returns
/// whether there was any.
fn forget_reasoning(body: &mut Map<String, Value>) -> bool {
    let Some(Value::Array(items)) = body.get_mut("input") else { return false };
    let before = items.len();
    items.retain(|item| item["type"] != "reasoning");
    if items.len() == before {
        return false;
    }
    for item in items {
        if let Value::Object(fields) = item
            && matches!(
                fields.get("type").and_then(Value::as_str),
                Some("message" | "function_call")
            )
        {
            fields.shift_remove("id");
        }
    }
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent() -> Value {
        json!({
            "model": "m",
            "input": [
                {"type": "message", "role": "user", "content": []},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
                {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "vote",
                 "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": ""},
                {"type": "web_search_call", "id": "ws_1"},
            ],
            "store": false,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "high", "summary": "auto"},
            "prompt_cache_key": "run/a",
        })
    }

    fn refusal(code: Option<&str>, param: Option<&str>) -> Value {
        json!({"error": {"message": "no", "type": "invalid_request_error", "param": param,
            "code": code}})
    }

    #[track_caller]
    fn without_reasoning(refusal: &Value) {
        let refused = Refused::default();
        let body = refused.amended(&sent(), refusal, &Map::new()).unwrap();
        let kinds: Vec<&str> = body["input"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["type"].as_str().unwrap())
            .collect();
        let expected = ["message", "function_call", "function_call_output", "web_search_call"];
        assert_eq!(kinds, expected);
        assert_eq!(
            (&body["input"][1]["id"], &body["input"][3]["id"]),
            (&Value::Null, &json!("ws_1"))
        );
        // Once only, and for this conversation only.
        let again = refused.amended(&body, refusal, &Map::new());
        assert!(again.is_none_or(|again| again["input"] == body["input"]));
        assert_eq!(refused.so_far(), Without::default());
    }

    #[test]
    fn reasoning_that_is_refused_is_left_out() {
        without_reasoning(&refusal(Some("invalid_encrypted_content"), None));
        without_reasoning(&refusal(None, Some("input")));
        without_reasoning(&refusal(Some("array_above_max_length"), Some("input[1].content")));
        let other = refusal(Some("invalid_value"), Some("input[0].content[0].image_url"));
        assert_eq!(Refused::default().amended(&sent(), &other, &Map::new()), None);
    }

    #[test]
    fn a_field_of_ours_that_is_refused_is_left_out_from_then_on() {
        let check = |param: &str, pointer: &str| {
            let refused = Refused::default();
            let body = refused.amended(&sent(), &refusal(None, Some(param)), &Map::new()).unwrap();
            assert_eq!(body.pointer(pointer), None, "{param}");
            let mut next = sent().as_object().unwrap().clone();
            refused.so_far().apply(&mut next);
            assert_eq!(Value::Object(next), body);
            assert_eq!(refused.amended(&body, &refusal(None, Some(param)), &Map::new()), None);
        };
        check("include", "/include");
        check("reasoning.summary", "/reasoning/summary");
        check("reasoning.effort", "/reasoning/effort");
        check("reasoning", "/reasoning");
        check("prompt_cache_key", "/prompt_cache_key");
        check("store", "/store");
    }

    #[test]
    fn a_field_of_the_users_stays_and_its_refusal_is_told() {
        let params = json!({"reasoning": {"summary": "detailed"}, "temperature": 2});
        let params = params.as_object().unwrap();
        for param in ["reasoning.summary", "temperature", "tools[0].parameters"] {
            let refusal = refusal(Some("unsupported_value"), Some(param));
            assert_eq!(Refused::default().amended(&sent(), &refusal, params), None, "{param}");
        }
        // Its effort is ours all the same.
        let effort = refusal(Some("unsupported_parameter"), Some("reasoning.effort"));
        let body = Refused::default().amended(&sent(), &effort, params).unwrap();
        assert_eq!(body["reasoning"], json!({"summary": "auto"}));
    }

    #[test]
    fn a_refusal_that_names_nothing_leads_to_the_plainest_request() {
        let refused = Refused::default();
        let refusal = json!({"code": "Client specified an invalid argument", "error": "no"});
        let body = refused.amended(&sent(), &refusal, &Map::new()).unwrap();
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["model", "input", "store"]);
        assert_eq!(refused.so_far(), Without::default());
        assert_eq!(refused.amended(&body, &refusal, &Map::new()), None);
        assert_eq!(refused.amended(&sent(), &Value::Null, &Map::new()), None);
        assert_eq!(refused.amended(&json!([]), &refusal, &Map::new()), None);
    }
}
