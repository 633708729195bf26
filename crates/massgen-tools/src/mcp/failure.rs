//! What went wrong with a server, in words that name no secret.

use std::error::Error;
use std::io;
use std::time::Duration;

use massgen_protocol::{HeaderText, McpTransport};
use rmcp::model::ErrorData;
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, InsufficientScopeError, StreamableHttpError,
};

use super::limits::FAILURE_MAX;
use super::text;

/// Takes out of a text what a server was given in confidence.
#[derive(Clone, Debug, Default)]
pub(super) struct Redactor {
    hidden: Vec<String>,
}

impl Redactor {
    /// Shorter ones are ordinary words, and a text without them could not be read.
    const SECRET_MIN: usize = 6;

    pub(super) fn of(transport: &McpTransport) -> Redactor {
        let (given, url) = match transport {
            McpTransport::Stdio { env, .. } => (env, None),
            McpTransport::Http { url, headers } => (headers, Some(url)),
        };
        let mut hidden: Vec<String> = Vec::new();
        for (name, text) in given {
            let is_secret = match text {
                HeaderText::Expanded { .. } => true,
                HeaderText::Plain { .. } => sounds_secret(name) || url.is_some(),
            };
            if is_secret {
                hidden.push(text.expose().to_owned());
                // `Authorization: Bearer <key>`: the key alone may be what comes back.
                hidden.extend(text.expose().split_whitespace().map(str::to_owned));
            }
        }
        if let Some(query) = url.and_then(|url| url.split_once('?')) {
            hidden.push(query.1.to_owned());
            let values = query.1.split('&').filter_map(|pair| pair.split_once('='));
            hidden.extend(values.map(|(_, value)| value.to_owned()));
        }
        hidden.retain(|text| text.len() >= Redactor::SECRET_MIN);
        // The longest first, or a part of it stays behind.
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        hidden.dedup();
        Redactor { hidden }
    }

    pub(super) fn clean(&self, said: &str) -> String {
        let mut said = said.to_owned();
        for secret in &self.hidden {
            if said.contains(secret.as_str()) {
                said = said.replace(secret.as_str(), "[hidden]");
            }
        }
        text::clean(&said)
    }
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret", "passw", "auth", "credential", "cookie", "_pat"]
        .iter()
        .any(|word| name.contains(word))
}

/// Returns why a server did not start, as a clause about «it».
pub(super) fn of_start(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::ConnectionClosed(_) => "it ended before it answered".to_owned(),
        ClientInitializeError::JsonRpcError(refusal) => {
            format!("it refuses to begin: {}", of_refusal(refusal))
        }
        ClientInitializeError::TransportError { error, .. } => of_transport(error.error.as_ref()),
        ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
            let versions: Vec<String> =
                server_supported.iter().take(8).map(|v| text::line(v.as_str(), 40)).collect();
            format!("it speaks only versions {} of the protocol", versions.join(", "))
        }
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => of_start(fallback),
        other => format!("it does not speak the protocol: {}", text::line(&other.to_string(), 300)),
    }
}

/// Returns whether the handshake of older versions may do what the newer one did not: some old
/// servers end, or answer nonsense, when they are asked something they do not know.
pub(super) fn may_be_old(error: &ClientInitializeError) -> bool {
    match error {
        ClientInitializeError::LegacyFallbackFailed { .. } => false,
        ClientInitializeError::TransportError { error, .. } => {
            find::<AuthRequiredError>(error.error.as_ref()).is_none()
                && find::<InsufficientScopeError>(error.error.as_ref()).is_none()
                && !request_in(error.error.as_ref()).is_some_and(reqwest::Error::is_connect)
        }
        _ => true,
    }
}

/// Returns what an error reply says.
pub(super) fn of_refusal(refusal: &ErrorData) -> String {
    let mut words = text::line(&refusal.message, FAILURE_MAX);
    if words.is_empty() {
        "no reason given".clone_into(&mut words);
    }
    words.push_str(&format!(" (code {})", refusal.code.0));
    if let Some(data) = &refusal.data {
        words.push_str(&format!(": {}", text::line(&data.to_string(), 300)));
    }
    words
}

/// What became of a call that has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallFailure {
    /// Nothing was heard for the call's bound, or it took too long altogether.
    TimedOut { after: Duration },
    /// The server ended before it answered.
    Ended,
    /// The server answered that it will not, or cannot; its words.
    Refused { words: String },
    /// The server could not be asked.
    Unreachable { why: String },
    /// It wants an answer of somebody before it goes on.
    Asks { what: &'static str },
}

impl CallFailure {
    pub(super) fn of(error: &ServiceError) -> CallFailure {
        match error {
            ServiceError::McpError(refusal) => CallFailure::Refused { words: of_refusal(refusal) },
            ServiceError::TransportSend(error) => {
                CallFailure::Unreachable { why: of_transport(error.error.as_ref()) }
            }
            ServiceError::TransportClosed | ServiceError::Cancelled { .. } => CallFailure::Ended,
            ServiceError::Timeout { timeout } => CallFailure::TimedOut { after: *timeout },
            other => CallFailure::Unreachable {
                why: format!("it answers nonsense: {}", text::line(&other.to_string(), 300)),
            },
        }
    }
}

/// Returns why a message did not get through, as a clause about «it». Addresses stay out of it:
/// they may hold keys.
fn of_transport(error: &(dyn Error + 'static)) -> String {
    if find::<AuthRequiredError>(error).is_some() {
        return "it asks for a key (HTTP 401): set `headers` in its config".to_owned();
    }
    if find::<InsufficientScopeError>(error).is_some() {
        return "it refuses this key (HTTP 403)".to_owned();
    }
    if let Some(refused) = find::<HttpStatusError>(error) {
        let later = match &refused.retry_after {
            Some(when) => format!("; it may be tried again after {}", text::line(when, 40)),
            None => String::new(),
        };
        return format!("it answers HTTP {}{later}", refused.status);
    }
    if let Some(request) = request_in(error) {
        let cause = find::<io::Error>(request).map(|error| text::line(&error.to_string(), 200));
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        return match (request.is_connect(), request.is_timeout()) {
            (true, true) => "it cannot be reached in time".to_owned(),
            (true, false) => format!("it cannot be reached{cause}"),
            (false, true) => "it does not answer in time".to_owned(),
            (false, false) => format!("the connection broke{cause}"),
        };
    }
    if let Some(error) = find::<io::Error>(error) {
        return format!("the connection broke: {}", text::line(&error.to_string(), 200));
    }
    let said = text::line(&error.to_string(), FAILURE_MAX);
    let said = said.strip_prefix("unexpected server response: ").unwrap_or(&said);
    format!("it answers {said}")
}

/// Returns the request's failure, which the transport's names, but not as its source.
fn request_in<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e reqwest::Error> {
    match find::<StreamableHttpError<reqwest::Error>>(error) {
        Some(StreamableHttpError::Client(request)) => Some(request),
        _ => find::<reqwest::Error>(error),
    }
}

fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Returns a time as people say it.
pub(super) fn span(time: Duration) -> String {
    match time.as_millis() {
        ms if ms < 1_000 => format!("{ms} ms"),
        ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use massgen_protocol::Secret;

    use super::*;

    #[test]
    fn what_a_server_was_given_is_not_repeated() {
        let expanded = |value: &str| HeaderText::Expanded {
            written: "${X}".to_owned(),
            value: Secret::new(value),
        };
        let plain = |value: &str| HeaderText::Plain { value: value.to_owned() };
        let stdio = McpTransport::Stdio {
            command: String::new(),
            args: Vec::new(),
            env: BTreeMap::from([
                ("A".to_owned(), expanded("hunter22")),
                ("MODE".to_owned(), plain("verbose")),
                ("API_KEY".to_owned(), plain("plainly-written")),
            ]),
            cwd: None,
        };
        let clean = Redactor::of(&stdio).clean("verbose: hunter22 or plainly-written\u{1b}[0m");
        assert_eq!(clean, "verbose: [hidden] or [hidden]");
        let http = McpTransport::Http {
            url: "https://x.test/mcp?api_key=abcdefgh&x=1".to_owned(),
            headers: BTreeMap::from([("Authorization".to_owned(), expanded("Bearer k-123456"))]),
        };
        let clean = Redactor::of(&http).clean("k-123456 / abcdefgh");
        assert_eq!(clean, "[hidden] / [hidden]");
    }

    #[test]
    fn times_are_said_shortly() {
        assert_eq!(span(Duration::from_millis(250)), "250 ms");
        assert_eq!(span(Duration::from_secs(30)), "30 s");
        assert_eq!(span(Duration::from_millis(1_520)), "1.5 s");
    }
}
