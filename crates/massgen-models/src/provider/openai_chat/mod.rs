//! OpenAI Chat Completions, as OpenAI and all who claim to speak it do.
//!
//! The codec is our own: `docs/design/rig-fidelity.md` has the traps, what
//! `rig-core` makes of each, and the figures.

mod amend;
mod azure;
mod chunk;
mod decode;
mod ids;
mod media;
mod messages;
mod quirks;
mod request;
pub(super) mod think;
mod tool_calls;

use std::sync::Arc;

use massgen_protocol::{BackendSpec, BackendType, CallFailure, FailureKind, ModelCall};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use serde_json::Value;

use super::decode::{Asked, Decode};
use super::endpoint::{EndpointError, address, key_header};
use super::http_call::{HttpBackend, Request, Target, Wire};
use super::ours::Refused;
use crate::backend::Backend;
pub(super) use azure::is_deployment;
pub(super) use media::inline_text;
use quirks::Quirks;
use request::Asking;

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
    asking: Asking,
    refused: Refused,
}

pub(super) fn connect(
    spec: &BackendSpec,
    backend_type: &BackendType,
) -> Result<Arc<dyn Backend>, EndpointError> {
    let mut params = spec.params.clone();
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
    let wire = OpenAiChat {
        target: Target::new(spec, &url, PATH),
        url,
        headers,
        asking: Asking::of(spec, params, Quirks::of(spec, backend_type)),
        refused: Refused::new(amend::OURS),
    };
    Ok(Arc::new(HttpBackend(Arc::new(wire))))
}

impl Wire for OpenAiChat {
    fn target(&self) -> &Target {
        &self.target
    }

    fn request(&self, call: &ModelCall) -> Result<Request, CallFailure> {
        let body = self.asking.body(call, &self.refused);
        Ok(Request { url: self.url.clone(), headers: self.headers.clone(), body })
    }

    fn decoder(&self, call: &ModelCall) -> Box<dyn Decode> {
        Box::new(decode::Decoder::new(Asked::of(call), self.target.failures.clone()))
    }

    fn amend(
        &self,
        _call: &ModelCall,
        refused: &Request,
        failure: &CallFailure,
        body: &Value,
    ) -> Option<Request> {
        if failure.kind != FailureKind::BadRequest {
            return None;
        }
        let body = amend::amended(&self.refused, &refused.body, body, &self.asking.params)?;
        Some(Request { body, ..refused.clone() })
    }
}
