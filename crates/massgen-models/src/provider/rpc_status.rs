//! The details of a `google.rpc.Status`, which Google's servers and those before them send:
//! how long to wait, and whether waiting helps at all.

use serde_json::Value;

/// What the details of one error say beyond its code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) retry_after_ms: Option<u64>,
    /// The account has no such quota, or none left for today.
    pub(crate) is_out_of_quota: bool,
    /// `API_KEY_INVALID` and its like, in lower case.
    pub(crate) reasons: Vec<String>,
}

/// Reads the `details` of an `error` field; nothing if it has none.
pub(crate) fn details(error: &Value) -> Details {
    let mut read = Details::default();
    for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
        let kind = detail.get("@type").and_then(Value::as_str).unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "RetryInfo" => read.retry_after_ms = detail.get("retryDelay").and_then(duration_ms),
            "QuotaFailure" => {
                let violations = detail.get("violations").and_then(Value::as_array);
                read.is_out_of_quota |= violations.into_iter().flatten().any(is_final);
            }
            "ErrorInfo" => {
                let reason = detail.get("reason").and_then(Value::as_str);
                read.reasons.extend(reason.map(str::to_ascii_lowercase));
            }
            _ => {}
        }
    }
    read
}

/// Returns whether a quota is one that no pause of a run refills: one of zero, which JSON
/// made from a protocol buffer leaves out, or one of a day.
fn is_final(violation: &Value) -> bool {
    let Some(id) = violation.get("quotaId").and_then(Value::as_str) else { return false };
    let is_zero = match violation.get("quotaValue") {
        None | Some(Value::Null) => true,
        Some(Value::String(limit)) => limit.trim() == "0",
        Some(limit) => limit.as_u64() == Some(0),
    };
    is_zero || id.contains("PerDay")
}

/// Reads a duration as protocol buffers write it in JSON: `34.07s`.
fn duration_ms(delay: &Value) -> Option<u64> {
    let seconds: f64 = delay.as_str()?.strip_suffix('s')?.parse().ok()?;
    // The cast saturates, so that no number is too long.
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds * 1e3).ceil() as u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quota(violation: Value) -> bool {
        let kind = "type.googleapis.com/google.rpc.QuotaFailure";
        details(&json!({"details": [{"@type": kind, "violations": [violation]}]})).is_out_of_quota
    }

    #[test]
    fn a_quota_that_no_pause_refills_is_told_from_one_that_is_used_up_for_now() {
        let minute = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
        let day = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
        assert!(!quota(json!({"quotaId": minute, "quotaValue": "15"})));
        assert!(quota(json!({"quotaId": minute, "quotaValue": "0"})));
        assert!(quota(json!({"quotaId": minute})));
        assert!(quota(json!({"quotaId": day, "quotaValue": "250"})));
        assert!(!quota(json!({"subject": "project:1", "description": "limit: 0"})));
        assert!(!quota(json!("nonsense")));
    }

    #[test]
    fn a_delay_is_read_as_protocol_buffers_write_it() {
        let delay = |text: &str| {
            let kind = "type.googleapis.com/google.rpc.RetryInfo";
            details(&json!({"details": [{"@type": kind, "retryDelay": text}]})).retry_after_ms
        };
        assert_eq!(delay("34.074824224s"), Some(34_075));
        assert_eq!(delay("0s"), Some(0));
        assert_eq!(delay("1e300s"), Some(u64::MAX));
        for broken in ["34", "-1s", "s", "NaNs", ""] {
            assert_eq!(delay(broken), None, "{broken}");
        }
        assert_eq!(details(&json!({"details": 3})), Details::default());
    }
}
