//! Why an agent's server refused, by its codes: those of JSON-RPC, of A2A and of HTTP.

use massgen_protocol::{CallFailure, FailureKind};
use serde_json::Value;

use crate::failure::Failures;
use crate::provider::reported::{Reported, kind_of_status};

/// A refusal, and what may be done about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) cause: Cause,
    pub(super) failure: CallFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It does not know the task or context, or does not take messages for it any more.
    Forgotten,
    /// It does not do this at all: streaming, most often.
    Unsupported,
    /// It speaks another version of the protocol.
    WrongVersion,
    Other,
}

/// Returns the refusal that a body holds: the answer to a call in JSON-RPC, an error in plain
/// HTTP in any of the forms it had. `None` if it holds none. `status` is that of the answer,
/// unless it claims success.
pub(super) fn in_body(body: &Value, status: Option<u16>, failures: &Failures) -> Option<Refusal> {
    let error = &body["error"];
    let code = error["code"].as_i64().filter(|code| *code < 0);
    if let Some(code) = code {
        let message = match (error["message"].as_str(), &error["data"]) {
            (Some(message), Value::String(more)) if !more.is_empty() => {
                format!("{message}: {more}")
            }
            (Some(message), _) if !message.is_empty() => message.to_owned(),
            (_, _) => format!("error {code} without a message"),
        };
        let (cause, kind) = of_rpc_code(code);
        // The status is the better witness where it says more than that something is wrong.
        let kind = match status {
            Some(status @ (401 | 402 | 403 | 408 | 413 | 429 | 503 | 529)) => {
                kind_of_status(status)
            }
            Some(_) | None => kind,
        };
        let mut failure = failures.of(kind, &message);
        failure.status = status;
        return Some(Refusal { cause, failure });
    }
    // Problem details, which drafts of version 1 had.
    let is_problem =
        body["type"].is_string() && (body["detail"].is_string() || body["title"].is_string());
    let status = status.or_else(|| {
        let stated = body["status"].as_u64().or_else(|| error["code"].as_u64())?;
        u16::try_from(stated).ok().filter(|status| (400..600).contains(status))
    });
    let (message, reason) = if is_problem && !error.is_object() {
        let message = body["detail"].as_str().or_else(|| body["title"].as_str());
        (message.map(str::to_owned), body["type"].as_str().map(reason_of_uri))
    } else if error.is_object() {
        let details = error["details"].as_array().into_iter().flatten();
        let reason = details.filter_map(|detail| detail["reason"].as_str()).next();
        (error["message"].as_str().map(str::to_owned), reason.map(str::to_owned))
    } else {
        (None, None)
    };
    let reported = Reported::in_body(body);
    if message.is_none() && reported.is_none() {
        return None;
    }
    let (cause, kind) = match reason.as_deref().and_then(of_reason) {
        Some(known) => known,
        None => (Cause::Other, status.map_or(FailureKind::Unavailable, kind_of_status)),
    };
    let failure = match (message, reported) {
        (Some(message), _) => {
            let mut failure = failures.of(kind, &message);
            failure.status = status;
            failure
        }
        (None, Some(reported)) => reported.failure(status, failures),
        (None, None) => return None,
    };
    Some(Refusal { cause, failure })
}

fn of_rpc_code(code: i64) -> (Cause, FailureKind) {
    match code {
        -32001 => (Cause::Forgotten, FailureKind::BadRequest),
        // Both stand for a task that has ended as well as for a method that is not there.
        -32004 | -32601 => (Cause::Unsupported, FailureKind::BadRequest),
        -32009 => (Cause::WrongVersion, FailureKind::BadRequest),
        // A context or task of ours that does not fit is refused as a parameter.
        -32600 | -32602 => (Cause::Forgotten, FailureKind::BadRequest),
        -32002 | -32003 | -32005 | -32007 | -32008 | -32700 => {
            (Cause::Other, FailureKind::BadRequest)
        }
        // The agent's own trouble: an internal error, or an answer its own server refused.
        _ => (Cause::Other, FailureKind::Unavailable),
    }
}

fn of_reason(reason: &str) -> Option<(Cause, FailureKind)> {
    let code = match reason {
        "TASK_NOT_FOUND" => -32001,
        "TASK_NOT_CANCELABLE" => -32002,
        "PUSH_NOTIFICATION_NOT_SUPPORTED" => -32003,
        "UNSUPPORTED_OPERATION" => -32004,
        "CONTENT_TYPE_NOT_SUPPORTED" => -32005,
        "INVALID_AGENT_RESPONSE" => -32006,
        "EXTENDED_AGENT_CARD_NOT_CONFIGURED" => -32007,
        "EXTENSION_SUPPORT_REQUIRED" => -32008,
        "VERSION_NOT_SUPPORTED" => -32009,
        "METHOD_NOT_FOUND" => -32601,
        "INVALID_REQUEST" | "INVALID_PARAMS" => -32602,
        _ => return None,
    };
    Some(of_rpc_code(code))
}

/// `https://a2a-protocol.org/errors/task-not-found` → `TASK_NOT_FOUND`.
fn reason_of_uri(uri: &str) -> String {
    let name = uri.rsplit('/').next().unwrap_or_default();
    name.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::Secret;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: Value, status: Option<u16>, cause: Cause, kind: FailureKind, message: &str) {
        let failures = Failures::new(Some(Secret::new("sk-secret-key")));
        let found = in_body(&body, status, &failures).unwrap();
        assert_eq!((found.cause, found.failure.kind), (cause, kind), "{body}");
        assert_eq!(found.failure.message, message);
        if status.is_some() {
            assert_eq!(found.failure.status, status);
        }
    }

    #[test]
    fn kinds_and_causes_come_from_codes() {
        use FailureKind::*;
        let rpc = |code: i64| json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}});
        for (code, cause, kind) in [
            (-32001, Cause::Forgotten, BadRequest),
            (-32602, Cause::Forgotten, BadRequest),
            (-32004, Cause::Unsupported, BadRequest),
            (-32601, Cause::Unsupported, BadRequest),
            (-32009, Cause::WrongVersion, BadRequest),
            (-32005, Cause::Other, BadRequest),
            (-32006, Cause::Other, Unavailable),
            (-32603, Cause::Other, Unavailable),
            (-32050, Cause::Other, Unavailable),
        ] {
            check(rpc(code), None, cause, kind, "no");
        }
        check(rpc(-32603), Some(429), Cause::Other, RateLimited, "no");
        check(rpc(-32603), Some(401), Cause::Other, Auth, "no");
        check(rpc(-32001), Some(500), Cause::Forgotten, BadRequest, "no");
        let data = json!({"error": {"code": -32603, "message": "Internal error", "data": "key sk-secret-key"}});
        check(data, None, Cause::Other, Unavailable, "Internal error: key [key]");
        let mute = json!({"error": {"code": -32000}});
        check(mute, None, Cause::Other, Unavailable, "error -32000 without a message");
    }

    #[test]
    fn plain_http_has_forms_of_its_own() {
        use FailureKind::*;
        let status = json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "Task t not found",
            "details": [{"@type": "x"}, {"reason": "TASK_NOT_FOUND", "domain": "a2a-protocol.org"}]}});
        check(status.clone(), Some(404), Cause::Forgotten, BadRequest, "Task t not found");
        check(status, None, Cause::Forgotten, BadRequest, "Task t not found");
        let problem = json!({"type": "https://a2a-protocol.org/errors/version-not-supported",
            "title": "Version", "status": 400, "detail": "only 0.3"});
        check(problem, Some(400), Cause::WrongVersion, BadRequest, "only 0.3");
        let plain = json!({"error": {"code": 503, "status": "UNAVAILABLE", "message": "later"}});
        check(plain, None, Cause::Other, Overloaded, "later");
        check(
            json!({"detail": "Not authenticated"}),
            Some(401),
            Cause::Other,
            Auth,
            "Not authenticated",
        );
        check(json!({"error": "gone"}), Some(404), Cause::Other, BadRequest, "gone");
    }

    #[test]
    fn what_holds_no_error_is_none() {
        for body in [
            json!(null),
            json!({"jsonrpc": "2.0", "result": {}}),
            json!({"error": null}),
            json!([1]),
            json!({"type": "task"}),
        ] {
            assert_eq!(in_body(&body, None, &Failures::default()), None, "{body}");
        }
    }
}
