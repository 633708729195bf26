//! Agents of other makers behind HTTP, spoken to in Agent2Agent 1.0 or 0.3.
//!
//! `card` finds how an agent is spoken to, `message` makes one message of what is new in a
//! conversation, `wire` makes requests of operations, `event` and `part` read what comes,
//! `reply` makes a turn of it, `refusal` says why there is none, and `exchange` does the talking.
//!
//! A remote agent cannot be offered tools; [`text_calls`](crate::text_calls) has the way around.

mod card;
mod event;
mod exchange;
mod fetch;
mod message;
mod part;
mod refusal;
mod reply;
mod wire;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use massgen_protocol::{BackendSpec, ModelCall};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::backend::{Backend, Beats};
use crate::failure::Failures;
use crate::provider::EndpointError;
use crate::provider::endpoint::key_header;
use card::Card;

/// A field of the config that is about us and not about the agent: `history: whole` tells it the
/// whole conversation each time, `history: new` what is new, whatever its card says.
const HISTORY: &str = "history";

/// An agent behind an address.
struct Agent {
    /// For people: type and model.
    name: String,
    /// What fails together.
    server: String,
    base: Url,
    failures: Failures,
    connect_ms: u64,
    /// The key and the user's own headers; they go to no other host than the user named.
    credentials: HeaderMap,
    /// Of the native parts.
    format: String,
    context_window: Option<u64>,
    /// As the user's `history` has it.
    tells_all: Option<bool>,
    /// The user's own request fields: in this protocol they are metadata.
    metadata: Map<String, Value>,
    card: OnceCell<Card>,
    /// Of the card's interfaces; a later one where an earlier turned out to be another version.
    chosen: AtomicUsize,
}

/// A remote agent as a backend.
struct Remote(Arc<Agent>);

impl Backend for Remote {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn call(&self, call: ModelCall) -> Beats {
        exchange::beats(self.0.clone(), call)
    }

    fn server(&self) -> Option<&str> {
        Some(&self.0.server)
    }

    fn context_window(&self) -> Option<u64> {
        self.0.context_window
    }
}

/// Makes the backend of an agent. Its card is fetched with the first call.
pub(crate) fn connect(spec: &BackendSpec) -> Result<Arc<dyn Backend>, EndpointError> {
    let base = Url::parse(spec.base_url.trim()).map_err(|_| EndpointError::NoUrl)?;
    if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none_or(str::is_empty) {
        return Err(EndpointError::NoUrl);
    }
    let mut credentials = HeaderMap::new();
    if let Some(key) = key_header("Bearer ", spec.api_key.secret())? {
        credentials.insert(AUTHORIZATION, key);
    }
    for (name, value) in &spec.headers {
        // Both were checked with the config; one that cannot be sent is left out.
        if let Ok(name) = HeaderName::try_from(name.as_str())
            && let Ok(mut value) = HeaderValue::from_str(value.expose())
        {
            value.set_sensitive(true);
            credentials.insert(name, value);
        }
    }
    let mut metadata = spec.params.clone();
    let tells_all = metadata.shift_remove(HISTORY).and_then(|wish| match wish.as_str() {
        Some("whole") => Some(true),
        Some("new") => Some(false),
        Some(_) | None => None,
    });
    Ok(Arc::new(Remote(Arc::new(Agent {
        name: format!("{} {}", spec.kind, spec.model),
        server: base.to_string(),
        base,
        failures: Failures::new(spec.api_key.secret().cloned()),
        connect_ms: spec.timeouts.connect_ms,
        credentials,
        format: format!("a2a/{}", spec.kind),
        context_window: spec.context_window,
        tells_all,
        metadata,
        card: OnceCell::new(),
        chosen: AtomicUsize::new(0),
    }))))
}
