//! Anthropic Messages, as Claude and a few others speak it.

mod block;
mod decode;
mod history;
mod media;
mod models;
mod request;
mod results;
mod usage;

use std::sync::Arc;

use massgen_protocol::{BackendSpec, CallFailure, FailureKind, ModelCall, model_facts};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::decode::{Asked, Decode};
use super::endpoint::{EndpointError, address, key_header};
use super::events::EventStream;
use super::http_call::{HttpBackend, Request, Target, Wire};
use crate::backend::Backend;
use request::Options;

const PATH: &str = "/messages";
const VERSION: &str = "2023-06-01";
const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
const VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");
const BETA_HEADER: HeaderName = HeaderName::from_static("anthropic-beta");

/// A model behind a server that speaks Anthropic Messages.
struct AnthropicMessages {
    target: Target,
    url: Url,
    headers: HeaderMap,
    options: Options,
}

pub(super) fn connect(spec: &BackendSpec) -> Result<Arc<dyn Backend>, EndpointError> {
    Ok(Arc::new(HttpBackend(Arc::new(wire(spec)?))))
}

fn wire(spec: &BackendSpec) -> Result<AnthropicMessages, EndpointError> {
    let url = messages_address(&spec.base_url)?;
    let mut headers = HeaderMap::new();
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    if let Some(key) = key_header("", spec.api_key.secret())? {
        headers.insert(KEY_HEADER, key);
    }
    let options = Options::of(spec, format!("anthropic_messages/{}", spec.kind));
    let mut target = Target::new(spec, &url, PATH);
    // The user's betas are sent together with ours.
    target.headers.remove(BETA_HEADER);
    let known = model_facts(&spec.kind, &spec.model).and_then(|facts| facts.context_window);
    target.context_window = target.context_window.or(known);
    Ok(AnthropicMessages { target, url, headers, options })
}

/// Returns the address of an API by its root: makers of other models have theirs below
/// a path of their own, where the version is not part of it.
fn messages_address(base_url: &str) -> Result<Url, EndpointError> {
    let mut url = address(base_url, "/v1", PATH)?;
    let is_whole = Url::parse(base_url.trim())
        .is_ok_and(|given| given.path().trim_end_matches('/').ends_with(PATH));
    if !is_whole
        && let Some(root) = url.path().strip_suffix(PATH)
        && !root.ends_with("/v1")
    {
        let whole = format!("{root}/v1{PATH}");
        url.set_path(&whole);
    }
    Ok(url)
}

impl AnthropicMessages {
    fn request_of(&self, body: Value) -> Request {
        let mut headers = self.headers.clone();
        let betas = self.options.betas(&body);
        if !betas.is_empty()
            && let Ok(betas) = HeaderValue::from_str(&betas)
        {
            headers.insert(BETA_HEADER, betas);
        }
        Request { url: self.url.clone(), headers, body }
    }
}

impl Wire for AnthropicMessages {
    fn target(&self) -> &Target {
        &self.target
    }

    fn request(&self, call: &ModelCall) -> Result<Request, CallFailure> {
        Ok(self.request_of(self.options.body(call, None)))
    }

    fn decoder(&self, call: &ModelCall) -> Box<dyn Decode> {
        let (format, failures) = (self.options.format.clone(), self.target.failures.clone());
        let decoder = decode::Decoder::new(Asked::of(call), format, failures.clone());
        Box::new(EventStream::new(decoder, failures))
    }

    fn continuation(&self, call: &ModelCall, paused: &Value) -> Result<Request, CallFailure> {
        Ok(self.request_of(self.options.body(call, Some(paused))))
    }

    fn amend(
        &self,
        _call: &ModelCall,
        refused: &Request,
        failure: &CallFailure,
        _body: &Value,
    ) -> Option<Request> {
        // A bad request says what is bad about it in words only. So what may have gone
        // bad since it was made is left out; where it was something else, the second
        // refusal says the same, and a refusal costs nothing.
        let is_bad = failure.kind == FailureKind::BadRequest && failure.status == Some(400);
        let body = is_bad.then(|| self.options.amended(&refused.body)).flatten()?;
        Some(self.request_of(body))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::{ApiKey, HeaderText, Message, Role, Secret};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_address_is_found_however_the_root_is_written() {
        let check = |base_url: &str, expected: &str| {
            assert_eq!(messages_address(base_url).unwrap().as_str(), expected);
        };
        check("https://api.anthropic.com", "https://api.anthropic.com/v1/messages");
        check("https://api.anthropic.com/", "https://api.anthropic.com/v1/messages");
        check("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages");
        check("https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1/messages");
        check("https://api.z.ai/api/anthropic", "https://api.z.ai/api/anthropic/v1/messages");
        check("https://api.z.ai/api/anthropic/v1/", "https://api.z.ai/api/anthropic/v1/messages");
        check("http://h:1/x/messages", "http://h:1/x/messages");
        assert_eq!(messages_address("api.anthropic.com").unwrap_err(), EndpointError::NoUrl);
    }

    fn sent(spec: &BackendSpec) -> Request {
        let message = Arc::new(Message::text(Role::User, "How far?"));
        let call = ModelCall {
            messages: Arc::new(vec![message]),
            tools: Arc::default(),
            max_output_tokens: None,
            label: String::new(),
            seed: 0,
        };
        wire(spec).unwrap().request(&call).unwrap()
    }

    #[test]
    fn key_version_and_betas_are_headers() {
        let mut spec = BackendSpec::new("claude", "claude-sonnet-4-5", "https://h");
        spec.api_key = ApiKey::Given { value: Secret::new("sk-ant-1") };
        let request = sent(&spec);
        assert_eq!(request.headers["x-api-key"], "sk-ant-1");
        assert_eq!(request.headers["anthropic-version"], "2023-06-01");
        assert!(!request.headers.contains_key("anthropic-beta"));
        assert!(!format!("{request:?}").contains("sk-ant-1"));

        spec.hosted_tools.code_execution = true;
        spec.reasoning.effort = Some("low".to_owned());
        spec.params.insert("betas".to_owned(), json!(["a-1", "code-execution-2025-08-25"]));
        let own = HeaderText::Plain { value: "b-2, a-1".to_owned() };
        spec.headers.insert("Anthropic-Beta".to_owned(), own);
        let request = sent(&spec);
        assert_eq!(
            request.headers["anthropic-beta"],
            "code-execution-2025-08-25,interleaved-thinking-2025-05-14,a-1,b-2"
        );
        assert!(request.body.get("betas").is_none());
        assert!(!wire(&spec).unwrap().target.headers.contains_key("anthropic-beta"));
    }

    #[test]
    fn the_context_window_is_the_configs_or_the_models() {
        let window = |spec: &BackendSpec| wire(spec).unwrap().target.context_window;
        let mut spec = BackendSpec::new("claude", "claude-haiku-4-5", "https://h");
        assert_eq!(window(&spec), Some(200_000));
        spec.context_window = Some(50_000);
        assert_eq!(window(&spec), Some(50_000));
    }
}
