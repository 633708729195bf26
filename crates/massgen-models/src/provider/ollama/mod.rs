//! Ollama's own API. Its layer for Chat Completions cannot say how large the context is to
//! be, and the size Ollama takes by itself cuts long conversations without a word.

mod decode;
mod lines;
mod request;

use std::sync::Arc;

use massgen_protocol::{BackendSpec, CallFailure, FailureKind, ModelCall};
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;

use super::decode::{Asked, Decode};
use super::endpoint::{EndpointError, address, key_header};
use super::http_call::{HttpBackend, Request, Target, Wire};
use crate::backend::Backend;
use decode::{Decoder, Room};
use request::{NotShown, Plan};

const PATH: &str = "/api/chat";

/// A model of an Ollama server.
struct Ollama {
    target: Target,
    url: Url,
    headers: HeaderMap,
    plan: Plan,
}

pub(super) fn connect(spec: &BackendSpec) -> Result<Arc<dyn Backend>, EndpointError> {
    let url = chat(&spec.base_url)?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/x-ndjson"));
    // A server of one's own asks for none; Ollama's cloud does.
    if let Some(key) = key_header("Bearer ", spec.api_key.secret())? {
        headers.insert(AUTHORIZATION, key);
    }
    let plan = Plan::new(spec, &spec.params);
    let mut target = Target::new(spec, &url, PATH);
    target.context_window = plan.context_size();
    Ok(Arc::new(HttpBackend(Arc::new(Ollama { target, url, headers, plan }))))
}

impl Wire for Ollama {
    fn target(&self) -> &Target {
        &self.target
    }

    fn request(&self, call: &ModelCall) -> Result<Request, CallFailure> {
        let body = self.plan.body(call).map_err(|NotShown(message)| {
            self.target.failures.of(FailureKind::BadRequest, &message)
        })?;
        Ok(Request { url: self.url.clone(), headers: self.headers.clone(), body })
    }

    fn decoder(&self, call: &ModelCall) -> Box<dyn Decode> {
        let room =
            Room { context: self.plan.context_size(), is_bounded: self.plan.is_bounded(call) };
        let failures = self.target.failures.clone();
        Box::new(Decoder::new(Asked::of(call), failures, room, self.plan.native.clone()))
    }

    /// A model that cannot think refuses to be asked to, and nothing but the text of the
    /// refusal says so. Asked without, it answers, or refuses for its real reason.
    fn amend(
        &self,
        _call: &ModelCall,
        refused: &Request,
        failure: &CallFailure,
        _body: &Value,
    ) -> Option<Request> {
        let is_ours = self.plan.may_leave_out_think();
        if failure.status != Some(400) || !is_ours {
            return None;
        }
        let mut request = refused.clone();
        request.body.as_object_mut()?.shift_remove("think")?;
        Some(request)
    }
}

/// Returns the address of the chat; `base_url` may be that of the OpenAI layer, as those
/// who had it before and programs that look for servers write it.
fn chat(base_url: &str) -> Result<Url, EndpointError> {
    let mut url = address(base_url, "", "")?;
    let path = url.path().trim_end_matches('/');
    let root = [PATH, "/v1/chat/completions", "/v1", "/api"]
        .iter()
        .find_map(|layer| path.strip_suffix(layer))
        .unwrap_or(path);
    let whole = format!("{root}{PATH}");
    url.set_path(&whole);
    Ok(url)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_however_it_is_written() {
        let check = |base_url: &str, expected: &str| {
            assert_eq!(chat(base_url).unwrap().as_str(), expected);
        };
        for base in [
            "http://h:1",
            "http://h:1/",
            "http://h:1/v1/",
            "http://h:1/api",
            "http://h:1/api/chat",
            "http://h:1/v1/chat/completions",
        ] {
            check(base, "http://h:1/api/chat");
        }
        check("https://h/ollama/v1", "https://h/ollama/api/chat");
        assert_eq!(chat("localhost:11434"), Err(EndpointError::NoUrl));
    }
}
