//! A request that was refused → one that is likely to be taken.

use serde_json::{Map, Value};

use crate::provider::ours::{Named, Ours, Refused};

const fn ours(
    field: &'static str,
    inner: Option<&'static str>,
    called: &'static [&'static str],
) -> Ours {
    Ours { field, inner, called, is_essential: false }
}

pub(super) const OURS: &[Ours] = &[
    ours("include", None, &["include", "include[0]"]),
    ours("reasoning", Some("summary"), &["reasoning.summary", "reasoning.generate_summary"]),
    ours("reasoning", Some("effort"), &["reasoning.effort", "reasoning_effort"]),
    ours("reasoning", None, &["reasoning"]),
    ours("prompt_cache_key", None, &["prompt_cache_key"]),
    // Without it a conversation stays at the provider.
    Ours { field: "store", inner: None, called: &["store"], is_essential: true },
];

/// Returns the body a server may take instead, given the body of its refusal.
pub(super) fn amended(
    refused: &Refused,
    sent: &Value,
    refusal: &Value,
    params: &Map<String, Value>,
) -> Option<Value> {
    let mut body = sent.as_object().filter(|_| refusal.is_object())?.clone();
    let named = Named::of(refusal);
    if is_about_reasoning(&named, &body) && forget_reasoning(&mut body) {
        return Some(Value::Object(body));
    }
    refused.amended(&body, &named, params).map(Value::Object)
}

/// Returns whether a refusal is about reasoning that was sent back: it cannot be
/// decrypted, is not found, or lacks the item it came with.
fn is_about_reasoning(named: &Named, body: &Map<String, Value>) -> bool {
    if named.code == "invalid_encrypted_content" || named.field == "input" {
        return true;
    }
    let Some(rest) = named.field.strip_prefix("input[") else { return false };
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
        let kind = item["type"].as_str().unwrap_or_default();
        if matches!(kind, "message" | "function_call")
            && let Value::Object(fields) = item
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

    fn refused() -> Refused {
        Refused::new(OURS)
    }

    fn none() -> Map<String, Value> {
        Map::new()
    }

    /// Returns a request less what was refused so far.
    fn next(refused: &Refused) -> Value {
        let mut next = sent().as_object().unwrap().clone();
        refused.leave_out(&mut next);
        Value::Object(next)
    }

    #[track_caller]
    fn without_reasoning(refusal: &Value) {
        let refused = refused();
        let body = amended(&refused, &sent(), refusal, &none()).unwrap();
        let items = body["input"].as_array().unwrap();
        let kinds: Vec<&str> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
        let expected = ["message", "function_call", "function_call_output", "web_search_call"];
        assert_eq!(kinds, expected);
        assert_eq!((&items[1]["id"], &items[3]["id"]), (&Value::Null, &json!("ws_1")));
        // Once only, and for this conversation only.
        let again = amended(&refused, &body, refusal, &none());
        assert!(again.is_none_or(|again| again["input"] == body["input"]));
        assert_eq!(next(&refused), sent());
    }

    #[test]
    fn reasoning_that_is_refused_is_left_out() {
        without_reasoning(&refusal(Some("invalid_encrypted_content"), None));
        without_reasoning(&refusal(None, Some("input")));
        without_reasoning(&refusal(Some("array_above_max_length"), Some("input[1].content")));
        let other = refusal(Some("invalid_value"), Some("input[0].content[0].image_url"));
        assert_eq!(amended(&refused(), &sent(), &other, &none()), None);
    }

    #[test]
    fn a_field_of_ours_that_is_refused_is_left_out_from_then_on() {
        let check = |param: &str, pointer: &str| {
            let refused = refused();
            let refusal = refusal(Some("unsupported_parameter"), Some(param));
            let body = amended(&refused, &sent(), &refusal, &none()).unwrap();
            assert_eq!(body.pointer(pointer), None, "{param}");
            assert_eq!(next(&refused), body);
            assert_eq!(amended(&refused, &body, &refusal, &none()), None);
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
            assert_eq!(amended(&refused(), &sent(), &refusal, params), None, "{param}");
        }
        // Its effort is ours all the same.
        let effort = refusal(Some("unsupported_parameter"), Some("reasoning.effort"));
        let body = amended(&refused(), &sent(), &effort, params).unwrap();
        assert_eq!(body["reasoning"], json!({"summary": "auto"}));
    }

    #[test]
    fn a_refusal_that_names_nothing_leads_to_the_plainest_request() {
        let refused = refused();
        let refusal = json!({"code": "Client specified an invalid argument", "error": "no"});
        let body = amended(&refused, &sent(), &refusal, &none()).unwrap();
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["model", "input", "store"]);
        assert_eq!(next(&refused), sent());
        assert_eq!(amended(&refused, &body, &refusal, &none()), None);
        assert_eq!(amended(&refused, &sent(), &Value::Null, &none()), None);
        assert_eq!(amended(&refused, &json!([]), &refusal, &none()), None);
    }
}
