//! Documents of an agent's server: its card, and the body of a refusal.

use std::time::{Duration, SystemTime};

use massgen_protocol::{CallFailure, FailureKind};
use reqwest::header::{ACCEPT, HeaderName, LOCATION};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;

use super::Agent;
use super::card::{self, Card};
use super::refusal::{self, Cause, Refusal};
use crate::http;
use crate::provider::reported::kind_of_status;

/// A card takes no thinking.
const CARD_WAIT: Duration = Duration::from_secs(15);
/// The largest cards seen have some dozens of skills, in ten or twenty thousand bytes.
const CARD_BYTES_MAX: usize = 1024 * 1024;
/// From the address given to where the card is now.
const REDIRECTS_MAX: u32 = 3;
/// What is read of the body of a refusal; the rest can hold nothing of use.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Finds the agent's card.
pub(super) async fn card(agent: &Agent) -> Result<Card, CallFailure> {
    match tokio::time::timeout(CARD_WAIT, find(agent)).await {
        Ok(found) => found,
        Err(_) => {
            let server = http::server_of(&agent.base);
            let message = format!("no agent card from {server} within {} s", CARD_WAIT.as_secs());
            Err(agent.failures.of(FailureKind::TimedOut, &message))
        }
    }
}

async fn find(agent: &Agent) -> Result<Card, CallFailure> {
    let mut first = None;
    for address in card::addresses(&agent.base) {
        match get(agent, address).await? {
            Ok(card) => return Ok(card),
            Err(why) => {
                first.get_or_insert(why);
            }
        }
    }
    let why = first.unwrap_or_default();
    let message = format!(
        "no agent card at {}: {why}; `base_url` is an agent's address or that of its card",
        agent.base
    );
    Err(agent.failures.of(FailureKind::BadRequest, &message))
}

/// Gets a card from one address. The inner error says in words why there is none here, so that
/// the next address may have it; the outer one ends the search.
async fn get(agent: &Agent, mut url: Url) -> Result<Result<Card, String>, CallFailure> {
    for _ in 0..=REDIRECTS_MAX {
        let client = http::client(&url, agent.connect_ms)
            .map_err(|error| http::client_failure(&error, &agent.failures))?;
        let request = client
            .get(url.clone())
            .header(ACCEPT, "application/json")
            .header(HeaderName::from_static("a2a-version"), "1.0")
            .headers(agent.credentials.clone());
        let response = request.send().await.map_err(|error| {
            http::connection_failure(&error, &url, agent.connect_ms, &agent.failures)
        })?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.and_then(|to| url.join(to).ok());
            match to {
                Some(to) if card::is_home(&agent.base, &to) => {
                    url = to;
                    continue;
                }
                Some(to) => {
                    let to = http::server_of(&to);
                    return Ok(Err(format!("the server points to another host, {to}")));
                }
                None => return Ok(Err("the server points to nowhere".to_owned())),
            }
        }
        if status != StatusCode::OK {
            let refusal = refusal(agent, &url, response).await;
            // Not here does not mean nowhere; everything else would be the same elsewhere.
            return match status.as_u16() {
                404 | 405 | 406 | 410 => Ok(Err(refusal.failure.message)),
                _ => Err(refusal.failure),
            };
        }
        let Some(body) = read(response, CARD_BYTES_MAX).await else {
            return Ok(Err(format!("what is there is longer than {CARD_BYTES_MAX} bytes")));
        };
        return Ok(match serde_json::from_slice::<Value>(&body) {
            Ok(document) => Card::read(&document, &agent.base)
                .map_err(|why| format!("what is there is no card: {why}")),
            Err(_) if body.trim_ascii_start().starts_with(b"<") => {
                Err("what is there is a web page".to_owned())
            }
            Err(error) => Err(format!("what is there is no JSON: {error}")),
        });
    }
    Ok(Err("the server points from one address to the next".to_owned()))
}

/// Reads a body; `None` if it is longer than this. One that breaks off is what came of it.
async fn read(mut response: Response, bytes_max: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        if body.len() + bytes.len() > bytes_max {
            return None;
        }
        body.extend_from_slice(&bytes);
    }
    Some(body)
}

/// Reads why a server refused.
pub(super) async fn refusal(agent: &Agent, url: &Url, mut response: Response) -> Refusal {
    let status = response.status();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes);
        if body.len() > REFUSAL_BYTES_MAX {
            body.truncate(REFUSAL_BYTES_MAX);
            break;
        }
    }
    let code = status.as_u16();
    let json = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let found = refusal::in_body(&json, Some(code), &agent.failures);
    let mut refusal = found.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&body);
        let reason = status.canonical_reason().unwrap_or("refused");
        let message = match text.trim() {
            "" => reason.to_owned(),
            page if page.starts_with('<') => format!("{reason} (a web page, not an agent)"),
            text => format!("{reason}: {text}"),
        };
        let (kind, message) = match headers.get(LOCATION).filter(|_| status.is_redirection()) {
            Some(to) => {
                let to = String::from_utf8_lossy(to.as_bytes());
                let message = format!("the agent is at {to} now; set `base_url` accordingly");
                (FailureKind::BadRequest, message)
            }
            None if status.is_success() => {
                (FailureKind::Garbled, format!("an answer with status {code}"))
            }
            None => (kind_of_status(code), message),
        };
        let failure = agent.failures.of(kind, &message);
        // Where a path is part of the operation, one that is not there is one it does not have.
        let cause = if matches!(code, 404 | 405 | 501) { Cause::Unsupported } else { Cause::Other };
        Refusal { cause, failure }
    });
    refusal.failure.status = Some(code);
    refusal.failure.retry_after_ms = http::retry_after_ms(&headers, SystemTime::now());
    if code == 404 && refusal.failure.kind == FailureKind::BadRequest {
        let message =
            format!("{} ({}{})", refusal.failure.message, http::server_of(url), url.path());
        refusal.failure.message = agent.failures.clean(&message);
    }
    refusal
}
