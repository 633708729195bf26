//! How each provider words a refusal.

use serde_json::{Value, json};

use super::Failure;
use crate::format::Format;

/// Returns the body that goes with an error status, or stands in for a reply.
pub(crate) fn error_body(format: Format, failure: &Failure) -> Value {
    let Failure { status, code, message } = failure;
    match format {
        Format::Chat | Format::Responses => {
            json!({"error": {"message": message, "code": code, "type": code}})
        }
        Format::Messages => json!({
            "type": "error",
            "error": {"type": anthropic_type(*status), "message": message},
            "request_id": "req_loopback",
        }),
        Format::Gemini => json!({
            "error": {"code": status, "message": message, "status": google_status(*status)},
        }),
        Format::Ollama => json!({ "error": message }),
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=498 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}
