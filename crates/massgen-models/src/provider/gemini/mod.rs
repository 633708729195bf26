//! Gemini `generateContent`, natively: Google's layer for other formats drops the thought
//! signatures without which Gemini 3 refuses its own tool calls.

mod chunk;
mod contents;
mod decode;
mod model;
mod params;
mod remote;
mod request;
mod said;

use std::sync::Arc;

use massgen_protocol::{BackendSpec, CallFailure, FailureKind, ModelCall};
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::decode::{Asked, Decode};
use super::endpoint::{EndpointError, address, key_header};
use super::events::EventStream;
use super::http_call::{HttpBackend, Request, Target, Wire};
use crate::backend::Backend;
use contents::UnreadFile;
use decode::Generate;
use model::Model;
use params::Params;
use request::Plan;

/// Taken where `base_url` names no version.
const VERSION: &str = "v1beta";
/// Where `base_url` ends, for those who gave a wrong one.
const PATH: &str = "/v1beta/models";

/// A model behind a server that speaks this format.
struct Gemini {
    target: Target,
    url: Url,
    headers: HeaderMap,
    plan: Plan,
}

pub(super) fn connect(spec: &BackendSpec) -> Result<Arc<dyn Backend>, EndpointError> {
    let root = root(&spec.base_url)?;
    let mut headers = HeaderMap::new();
    // Never in the address, which ends up in logs.
    if let Some(key) = key_header("", spec.api_key.secret())? {
        headers.insert("x-goog-api-key", key);
    }
    let wire = Gemini {
        target: Target::new(spec, &root, PATH),
        url: method(&root, &spec.model),
        headers,
        plan: Plan {
            model: Model::of(&spec.model),
            hosted: spec.hosted_tools,
            reasoning: spec.reasoning.clone(),
            params: Params::of(&spec.params),
            max_output_tokens: spec.max_output_tokens,
            native: format!("gemini_generate/{}", spec.kind),
        },
    };
    Ok(Arc::new(HttpBackend(Arc::new(wire))))
}

impl Wire for Gemini {
    fn target(&self) -> &Target {
        &self.target
    }

    fn request(&self, call: &ModelCall) -> Result<Request, CallFailure> {
        let body = self.plan.body(call).map_err(|UnreadFile(path)| {
            let message = format!("the file `{path}` has not been read, so it cannot be sent");
            self.target.failures.of(FailureKind::BadRequest, &message)
        })?;
        Ok(Request { url: self.url.clone(), headers: self.headers.clone(), body })
    }

    fn decoder(&self, call: &ModelCall) -> Box<dyn Decode> {
        let failures = self.target.failures.clone();
        let (notice, native) = (self.plan.notice(call), self.plan.native.clone());
        let format = Generate::new(Asked::of(call), failures.clone(), notice, native);
        Box::new(EventStream::new(format, failures))
    }

    fn amend(
        &self,
        _call: &ModelCall,
        refused: &Request,
        failure: &CallFailure,
        _body: &Value,
    ) -> Option<Request> {
        // What a model said goes back as it said it; where that is refused, without what no
        // reference of the format knows.
        let is_bad = failure.kind == FailureKind::BadRequest && failure.status == Some(400);
        let body = is_bad.then(|| contents::without_unknown(&refused.body)).flatten()?;
        Some(Request { url: refused.url.clone(), headers: refused.headers.clone(), body })
    }
}

/// Returns the root of the API with its version, which may be there already. The root of
/// Google's OpenAI layer stands for that of the API it is a layer of.
fn root(base_url: &str) -> Result<Url, EndpointError> {
    let mut url = address(base_url, "", "")?;
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/openai").unwrap_or(path);
    let path = path.strip_suffix("/models").unwrap_or(path).to_owned();
    if path.split('/').any(is_version) {
        url.set_path(&path);
    } else {
        url.set_path(&format!("{path}/{VERSION}"));
    }
    Ok(url)
}

fn is_version(segment: &str) -> bool {
    let rest = segment.strip_prefix('v').unwrap_or_default();
    rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Returns the address that streams from a model, named with its collection or without.
fn method(root: &Url, model: &str) -> Url {
    let model = model.trim();
    let name = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
    let mut url = root.clone();
    url.set_path(&format!("{}/{name}:streamGenerateContent", root.path().trim_end_matches('/')));
    if !url.query_pairs().any(|(name, _)| name == "alt") {
        url.query_pairs_mut().append_pair("alt", "sse");
    }
    url
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base_url: &str, model: &str, expected: &str) {
        assert_eq!(method(&root(base_url).unwrap(), model).as_str(), expected);
    }

    #[test]
    fn a_model_is_found_however_it_and_its_server_are_written() {
        let whole = "https://h/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse";
        for base in [
            "https://h",
            "https://h/",
            " https://h/v1beta/ ",
            "https://h/v1beta/models",
            "https://h/v1beta/openai/",
        ] {
            check(base, "gemini-3-pro", whole);
            check(base, "models/gemini-3-pro ", whole);
        }
        check("https://h/v1", "m", "https://h/v1/models/m:streamGenerateContent?alt=sse");
        check(
            "http://h:1/gemini",
            "m",
            "http://h:1/gemini/v1beta/models/m:streamGenerateContent?alt=sse",
        );
        check(
            "https://h/v1/publishers/google",
            "m",
            "https://h/v1/publishers/google/models/m:streamGenerateContent?alt=sse",
        );
        check(
            "https://h?team=a",
            "tunedModels/t 1?",
            "https://h/v1beta/tunedModels/t%201%3F:streamGenerateContent?team=a&alt=sse",
        );
        assert_eq!(root("generativelanguage.googleapis.com"), Err(EndpointError::NoUrl));
    }
}
