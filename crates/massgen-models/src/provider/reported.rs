//! What a server says went wrong → a kind, by codes and fields, never by words.

use massgen_protocol::{CallFailure, FailureKind};
use serde_json::Value;

use super::rpc_status;
use crate::failure::Failures;

/// An error as a server reports it, whatever its shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) message: String,
    /// `code` and `type`, where they are words, in lower case.
    words: Vec<String>,
    /// A `code` or `status` that is an HTTP status.
    status: Option<u16>,
    /// Waiting does not help, whatever the status says.
    is_out_of_quota: bool,
    retry_after_ms: Option<u64>,
}

impl Reported {
    /// Reads the body of an answer or a frame that holds an error; `None` if it holds none.
    pub(crate) fn in_body(body: &Value) -> Option<Reported> {
        match body {
            Value::Array(items) => items.iter().find_map(Reported::in_body),
            Value::Object(fields) => match fields.get("error") {
                Some(error) if !error.is_null() => Some(Reported::of(error, body)),
                _ if fields.get("object").is_some_and(|object| object == "error") => {
                    Some(Reported::of(body, body))
                }
                // FastAPI's way, which vLLM and SGLang have for what fails early.
                _ if fields.contains_key("detail") && !fields.contains_key("choices") => {
                    Some(Reported::of(body, body))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Reads the value of an `error` field; `around` is what holds it.
    pub(crate) fn of(error: &Value, around: &Value) -> Reported {
        let message = match error {
            Value::String(text) => text.clone(),
            _ => ["message", "detail", "msg"]
                .into_iter()
                .find_map(|key| error.get(key))
                .map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned))
                .unwrap_or_default(),
        };
        let mut reported = Reported { message, ..Reported::default() };
        for source in [error, around] {
            for key in ["code", "type", "status"] {
                match source.get(key) {
                    Some(Value::String(text)) => match text.parse::<u16>() {
                        Ok(code) => reported.note_status(u64::from(code)),
                        Err(_) => reported.words.push(text.to_ascii_lowercase()),
                    },
                    Some(Value::Number(code)) => {
                        reported.note_status(code.as_u64().unwrap_or_default());
                    }
                    _ => {}
                }
            }
        }
        let details = rpc_status::details(error);
        reported.words.extend(details.reasons);
        reported.is_out_of_quota = details.is_out_of_quota;
        reported.retry_after_ms = details.retry_after_ms;
        reported
    }

    fn note_status(&mut self, code: u64) {
        if let Ok(code) = u16::try_from(code)
            && (400..600).contains(&code)
        {
            self.status.get_or_insert(code);
        }
    }

    /// Returns the failure; `status` is that of the answer, unless it claimed success.
    pub(crate) fn failure(&self, status: Option<u16>, failures: &Failures) -> CallFailure {
        let status = status.or(self.status);
        let quota = self.is_out_of_quota.then_some(FailureKind::Quota);
        let kind = quota
            .or_else(|| self.words.iter().find_map(|word| kind_of_word(word)))
            .or_else(|| status.map(kind_of_status))
            .or_else(|| self.words.iter().find_map(|word| kind_of_vague_word(word)))
            // One that says nothing of its kind, inside a success, is the server's own trouble.
            .unwrap_or(FailureKind::Unavailable);
        let words = self.words.first().map(String::as_str);
        let message = match (self.message.as_str(), words) {
            ("", Some(word)) => word.to_owned(),
            ("", None) => "the server reports an error without a message".to_owned(),
            (message, Some(word)) if !message.contains(word) => format!("{message} ({word})"),
            (message, _) => message.to_owned(),
        };
        let mut failure = failures.of(kind, &message);
        failure.status = status;
        failure.retry_after_ms = self.retry_after_ms;
        failure
    }
}

/// Returns the kind a code or type names, for those that say more than the status.
fn kind_of_word(word: &str) -> Option<FailureKind> {
    Some(match word {
        "insufficient_quota"
        | "insufficient_credits"
        | "insufficient_balance"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "exceeded_current_quota_error"
        | "billing_error"
        | "payment_required" => FailureKind::Quota,
        "context_length_exceeded"
        | "context_window_exceeded"
        | "model_context_window_exceeded"
        | "exceed_context_size_error"
        | "request_too_large" => FailureKind::ContextTooLong,
        "invalid_api_key"
        | "api_key_invalid"
        | "authentication_error"
        | "invalid_authentication_error"
        | "permission_error"
        | "permission_denied"
        | "account_deactivated" => FailureKind::Auth,
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "rate_limit_reached_error"
        | "rate_limited"
        | "too_many_requests"
        | "requests"
        | "tokens" => FailureKind::RateLimited,
        "overloaded_error"
        | "overloaded"
        | "engine_overloaded_error"
        | "server_overloaded"
        | "server_is_overloaded"
        | "slow_down" => FailureKind::Overloaded,
        _ => return None,
    })
}

/// Returns the kind of a word that says less than a status would.
fn kind_of_vague_word(word: &str) -> Option<FailureKind> {
    Some(match word {
        "server_error"
        | "internal_server_error"
        | "internal_error"
        | "internalservererror"
        | "service_unavailable"
        | "internal"
        | "aborted"
        | "timeout" => FailureKind::Unavailable,
        "unavailable" => FailureKind::Overloaded,
        "deadline_exceeded" => FailureKind::TimedOut,
        "resource_exhausted" => FailureKind::RateLimited,
        "unauthenticated" => FailureKind::Auth,
        "invalid_request_error"
        | "invalid_request"
        | "model_not_found"
        | "not_found_error"
        | "badrequesterror"
        | "notfounderror"
        | "invalid_argument"
        | "failed_precondition"
        | "out_of_range"
        | "not_found"
        | "unsupported_parameter"
        | "invalid_value"
        | "invalid_prompt"
        | "cyber_policy"
        | "invalid_image"
        | "image_content_policy_violation"
        | "image_parse_error"
        | "image_too_large"
        | "failed_to_download_image" => FailureKind::BadRequest,
        _ => return None,
    })
}

/// Returns the kind a status stands for where nothing says more.
pub(crate) fn kind_of_status(status: u16) -> FailureKind {
    match status {
        401 | 403 => FailureKind::Auth,
        402 => FailureKind::Quota,
        408 => FailureKind::TimedOut,
        413 => FailureKind::ContextTooLong,
        429 => FailureKind::RateLimited,
        409 | 425 => FailureKind::Unavailable,
        503 | 529 => FailureKind::Overloaded,
        500..=599 => FailureKind::Unavailable,
        _ => FailureKind::BadRequest,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::Secret;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(status: Option<u16>, body: Value, kind: FailureKind, message: &str) {
        let failures = Failures::new(Some(Secret::new("sk-secret-key")));
        let failure = Reported::in_body(&body).unwrap().failure(status, &failures);
        assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{body}");
    }

    #[test]
    fn kinds_come_from_codes_and_fields() {
        let error = |code: Value, kind: &str| json!({"error": {"message": "no", "code": code, "type": kind, "param": null}});
        use FailureKind::*;
        let code = "insufficient_quota";
        check(Some(429), error(json!(code), code), Quota, "no (insufficient_quota)");
        let code = "rate_limit_exceeded";
        check(Some(429), error(json!(code), "requests"), RateLimited, "no (rate_limit_exceeded)");
        let code = "context_length_exceeded";
        let body = error(json!(code), "invalid_request_error");
        check(Some(400), body, ContextTooLong, "no (context_length_exceeded)");
        let body = error(Value::Null, "exceed_context_size_error");
        check(Some(400), body, ContextTooLong, "no (exceed_context_size_error)");
        let body = error(Value::Null, "invalid_request_error");
        check(Some(401), body.clone(), Auth, "no (invalid_request_error)");
        check(None, body, BadRequest, "no (invalid_request_error)");
        let body = error(json!("model_not_found"), "invalid_request_error");
        check(Some(404), body, BadRequest, "no (model_not_found)");
        check(None, json!({"error": {"message": "no", "code": 502}}), Unavailable, "no");
        check(None, json!({"error": {"message": "no", "code": "429"}}), RateLimited, "no");
        check(
            None,
            json!({"error": {"code": 402}}),
            Quota,
            "the server reports an error without a message",
        );
        check(None, json!({"error": "model is loading"}), Unavailable, "model is loading");
        check(
            Some(404),
            json!({"error": "model 'x' not found"}),
            BadRequest,
            "model 'x' not found",
        );
        check(
            Some(400),
            json!({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}),
            BadRequest,
            "no (badrequesterror)",
        );
        check(
            Some(422),
            json!({"detail": [{"loc": ["body"]}]}),
            BadRequest,
            r#"[{"loc":["body"]}]"#,
        );
        check(
            Some(400),
            json!([{"error": {"code": 400, "message": "no", "status": "INVALID"}}]),
            BadRequest,
            "no (invalid)",
        );
        check(
            Some(401),
            json!({"error": {"message": "bad key sk-secret-key", "type": "x"}}),
            Auth,
            "bad key [key] (x)",
        );
    }

    #[test]
    fn statuses_have_kinds_where_nothing_says_more() {
        use FailureKind::*;
        let table = [
            (400, BadRequest),
            (401, Auth),
            (402, Quota),
            (403, Auth),
            (404, BadRequest),
            (408, TimedOut),
            (409, Unavailable),
            (413, ContextTooLong),
            (422, BadRequest),
            (429, RateLimited),
            (500, Unavailable),
            (502, Unavailable),
            (503, Overloaded),
            (520, Unavailable),
            (529, Overloaded),
        ];
        for (status, kind) in table {
            assert_eq!(kind_of_status(status), kind, "{status}");
        }
    }

    #[test]
    fn what_holds_no_error_is_none() {
        for body in [
            json!(null),
            json!([]),
            json!({"choices": []}),
            json!({"error": null, "choices": []}),
            json!({"object": "list"}),
        ] {
            assert_eq!(Reported::in_body(&body), None);
        }
    }
}
