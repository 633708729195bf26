//! OpenAI Responses, as OpenAI, Azure and xAI speak it.
//!
//! Nothing is kept at the provider: every request holds the whole conversation, with the
//! model's reasoning in its encrypted form.

mod amend;
mod decode;
mod event;
mod input;
mod items;
mod model;
mod names;
mod remote;
mod request;

use std::sync::Arc;

use massgen_protocol::{BackendSpec, BackendType, CallFailure, FailureKind, ModelCall};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use serde_json::Value;

use super::decode::{Asked, Decode};
use super::endpoint::{EndpointError, address, key_header};
use super::events::EventStream;
use super::http_call::{HttpBackend, Request, Target, Wire};
use super::ours::Refused;
use crate::backend::Backend;
use decode::Responses;
pub(super) use model::{Effort, Model};
use names::Names;
use request::Asking;

const PATH: &str = "/responses";

/// A model behind a server that speaks OpenAI Responses.
struct OpenAiResponses {
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
    let is_azure = backend_type.name == "azure_openai";
    let mut url = address(&spec.base_url, "/v1", PATH)?;
    let mut params = spec.params.clone();
    if let Some(Value::String(version)) = params.shift_remove("api_version")
        && is_azure
    {
        url.query_pairs_mut().append_pair("api-version", &version);
    }
    let mut headers = HeaderMap::new();
    let (name, prefix) = if is_azure {
        (HeaderName::from_static("api-key"), "")
    } else {
        (AUTHORIZATION, "Bearer ")
    };
    if let Some(key) = key_header(prefix, spec.api_key.secret())? {
        headers.insert(name, key);
    }
    let asking = Asking {
        model: spec.model.clone(),
        takes: Model::of(&spec.model),
        is_grok: backend_type.name == "grok",
        hosted: spec.hosted_tools,
        names: Names::new(spec.hosted_tools),
        reasoning: spec.reasoning.clone(),
        max_output_tokens: spec.max_output_tokens,
        params,
        native: format!("openai_responses/{}", spec.kind),
    };
    let target = Target::new(spec, &url, PATH);
    let refused = Refused::new(amend::OURS);
    let wire = OpenAiResponses { target, url, headers, asking, refused };
    Ok(Arc::new(HttpBackend(Arc::new(wire))))
}

impl Wire for OpenAiResponses {
    fn target(&self) -> &Target {
        &self.target
    }

    fn request(&self, call: &ModelCall) -> Result<Request, CallFailure> {
        let body = self.asking.body(call, &self.refused, &self.target.failures)?;
        Ok(Request { url: self.url.clone(), headers: self.headers.clone(), body })
    }

    fn decoder(&self, call: &ModelCall) -> Box<dyn Decode> {
        let failures = self.target.failures.clone();
        let (native, names) = (self.asking.native.clone(), self.asking.names.clone());
        let format = Responses::new(Asked::of(call), failures.clone(), native, names);
        Box::new(EventStream::new(format, failures))
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
