//! OpenAI Chat Completions, as OpenAI and all who claim to speak it do.
//!
//! The codec is our own: `docs/design/rig-fidelity.md` has the traps, what
//! `rig-core` makes of each, and the figures.

mod arguments;
mod chunk;
mod decode;
mod error;
mod leaked;
mod request;
mod stream;
mod think;
mod tool_calls;

use std::sync::Arc;

use massgen_protocol::{BackendSpec, ModelCall, Secret};
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::{Map, Value};

use crate::backend::{Backend, Beats};
use crate::failure::Failures;

pub(crate) use request::Quirks;

/// Stands for the content itself, in `<think>` tags, where a part of reasoning
/// names the field it came from.
const FIELD_TAGS: &str = "<think>";
/// Stands for a content part of type `thinking`.
const FIELD_PARTS: &str = "content[thinking]";
/// Format of a native part that holds a message's `reasoning_details`.
const NATIVE_DETAILS: &str = "openai_chat/reasoning_details";

/// A model behind a server that speaks OpenAI Chat Completions.
pub struct OpenAiChat {
    name: String,
    server: String,
    target: Arc<Target>,
}

/// Everything a request needs but its conversation.
struct Target {
    endpoint: Endpoint,
    model: String,
    max_output_tokens: Option<u64>,
    params: Map<String, Value>,
    quirks: Quirks,
    connect_ms: u64,
    failures: Failures,
}

/// Where requests go, and with which key.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    url: Url,
    authorization: Option<HeaderValue>,
}

/// Why an address or a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("it is not an http:// or https:// address")]
    NoUrl,
    #[error("the key holds characters that no key has")]
    Key,
}

impl Endpoint {
    /// Checks an address and a key. The address is the root of the API; a
    /// server's root alone stands for its `/v1`.
    pub(crate) fn new(base_url: &str, key: Option<&Secret>) -> Result<Endpoint, EndpointError> {
        let mut url = Url::parse(base_url.trim()).map_err(|_| EndpointError::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointError::NoUrl);
        }
        let path = url.path().trim_end_matches('/');
        let path = match path.strip_suffix("/chat/completions").unwrap_or(path) {
            "" => "/v1",
            path => path,
        };
        url.set_path(&format!("{path}/chat/completions"));
        let key = key.map(Secret::expose).map(str::trim).filter(|key| !key.is_empty());
        let authorization = match key {
            Some(key) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                    .map_err(|_| EndpointError::Key)?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Endpoint { url, authorization })
    }
}

impl OpenAiChat {
    pub(crate) fn new(spec: &BackendSpec, endpoint: Endpoint, quirks: Quirks) -> OpenAiChat {
        let server = format!("{} {}", endpoint.url, spec.model);
        OpenAiChat {
            name: format!("{} {}", spec.kind, spec.model),
            server,
            target: Arc::new(Target {
                endpoint,
                model: spec.model.clone(),
                max_output_tokens: spec.max_output_tokens,
                params: spec.params.clone(),
                quirks,
                connect_ms: spec.timeouts.connect_ms,
                failures: Failures::new(spec.api_key.secret().cloned()),
            }),
        }
    }
}

impl Backend for OpenAiChat {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, call: ModelCall) -> Beats {
        stream::call(self.target.clone(), call)
    }

    fn server(&self) -> Option<&str> {
        Some(&self.server)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_an_api_is_found_however_it_is_written() {
        let check = |base_url: &str, expected: &str| {
            let endpoint = Endpoint::new(base_url, None).unwrap();
            assert_eq!(endpoint.url.as_str(), expected);
        };
        check("http://localhost:8000", "http://localhost:8000/v1/chat/completions");
        check("http://localhost:8000/", "http://localhost:8000/v1/chat/completions");
        check("http://localhost:8000/v1", "http://localhost:8000/v1/chat/completions");
        check(" http://h/v1/ ", "http://h/v1/chat/completions");
        check("https://h/api/paas/v4/", "https://h/api/paas/v4/chat/completions");
        check("https://h/v1/chat/completions", "https://h/v1/chat/completions");
        check("https://h/v1?version=2", "https://h/v1/chat/completions?version=2");
        for wrong in ["", "localhost:8000", "ftp://h/v1", "http://", "/v1", "h/v1"] {
            assert_eq!(Endpoint::new(wrong, None).unwrap_err(), EndpointError::NoUrl, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_trimmed_checked_and_never_shown() {
        let endpoint = Endpoint::new("http://h", Some(&Secret::new(" sk-1\n"))).unwrap();
        assert_eq!(endpoint.authorization.as_ref().unwrap(), "Bearer sk-1");
        assert!(!format!("{endpoint:?}").contains("sk-1"));
        let broken = Secret::new("sk\n1");
        assert_eq!(Endpoint::new("http://h", Some(&broken)).unwrap_err(), EndpointError::Key);
        let empty = Secret::new("  ");
        assert!(Endpoint::new("http://h", Some(&empty)).unwrap().authorization.is_none());
    }
}
