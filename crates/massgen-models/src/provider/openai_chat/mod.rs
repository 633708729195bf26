//! OpenAI Chat Completions, as OpenAI and all who claim to speak it do.
//!
//! The codec is our own: `docs/design/rig-fidelity.md` has the traps, what
//! `rig-core` makes of each, and the figures.

mod azure;
mod chunk;
mod decode;
mod media;
mod request;
pub(super) mod think;
mod tool_calls;

use std::sync::Arc;

use massgen_protocol::{BackendSpec, BackendType, CallFailure, ModelCall};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use serde_json::{Map, Value};

use super::decode::{Asked, Decode};
use super::endpoint::{EndpointError, address, key_header};
use super::http_call::{HttpBackend, Request, Target, Wire};
use crate::backend::Backend;
pub(super) use azure::is_deployment;
use request::Quirks;

/// Stands for the content itself, in `<think>` tags, where a part of reasoning
/// names the field it came from.
const FIELD_TAGS: &str = "<think>";
/// Stands for a content part of type `thinking`.
const FIELD_PARTS: &str = "content[thinking]";
/// Format of a native part that holds a message's `reasoning_details`.
const NATIVE_DETAILS: &str = "openai_chat/reasoning_details";
const PATH: &str = "/chat/completions";

/// A model behind a server that speaks OpenAI Chat Completions.
struct OpenAiChat {
    target: Target,
    url: Url,
    headers: HeaderMap,
    max_output_tokens: Option<u64>,
    params: Map<String, Value>,
    quirks: Quirks,
}

pub(super) fn connect(
    spec: &BackendSpec,
    backend_type: &BackendType,
) -> Result<Arc<dyn Backend>, EndpointError> {
    let mut params = request::with_wishes(spec);
    let is_azure = azure::is_azure(backend_type);
    let (url, name, prefix) = if is_azure {
        let url = azure::deployment(&spec.base_url, &spec.model, &mut params)?;
        (url, HeaderName::from_static("api-key"), "")
    } else {
        (address(&spec.base_url, "/v1", PATH)?, AUTHORIZATION, "Bearer ")
    };
    let mut headers = HeaderMap::new();
    if let Some(key) = key_header(prefix, spec.api_key.secret())? {
        headers.insert(name, key);
    }
    let model = spec.model.to_ascii_lowercase();
    let wire = OpenAiChat {
        target: Target::new(spec, &url, PATH),
        url,
        headers,
        max_output_tokens: spec.max_output_tokens,
        params,
        quirks: Quirks {
            asks_for_cost: backend_type.name == "openrouter",
            assistant_between_tool_and_user: backend_type.name == "mistral",
            // Azure's Mistral deployments refuse the field.
            no_stream_options: is_azure
                && (model.contains("mistral") || model.contains("ministral")),
        },
    };
    Ok(Arc::new(HttpBackend(Arc::new(wire))))
}

impl Wire for OpenAiChat {
    fn target(&self) -> &Target {
        &self.target
    }

    fn request(&self, call: &ModelCall) -> Result<Request, CallFailure> {
        let (model, bound) = (&self.target.model, self.max_output_tokens);
        let body = request::body(call, model, bound, &self.params, self.quirks);
        Ok(Request { url: self.url.clone(), headers: self.headers.clone(), body })
    }

    fn decoder(&self, call: &ModelCall) -> Box<dyn Decode> {
        Box::new(decode::Decoder::new(Asked::of(call), self.target.failures.clone()))
    }
}
