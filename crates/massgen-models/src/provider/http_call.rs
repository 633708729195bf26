//! One try of one call over HTTP: the same for every wire format.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use massgen_protocol::{BackendSpec, CallFailure, FailureKind, ModelCall, ModelEvent};
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until};

use super::decode::{Decode, Finish, Out, Progress};
use super::reported::{Reported, kind_of_status};
use crate::backend::{Backend, Beat, Beats};
use crate::failure::Failures;
use crate::http;

/// What is read of the body of a refusal; the rest can hold nothing of use.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Silence after the model has stopped before usage and `[DONE]` are given up
/// on: there are servers that send neither and keep the connection open.
const USAGE_WAIT: Duration = Duration::from_millis(1_500);
/// The same after `[DONE]`. What is waited for is the end of the HTTP response,
/// without which the connection cannot be used again.
const TAIL_WAIT: Duration = Duration::from_millis(100);

/// Requests that continue a turn its provider paused; a provider that pauses more
/// often is stuck, and what it has said by then is the turn.
const CONTINUATIONS_MAX: u32 = 8;
/// Other forms of a request the server refused, per try.
const AMENDMENTS_MAX: u32 = 3;

type Body = BoxStream<'static, reqwest::Result<Bytes>>;

/// A wire format as it is spoken to one model.
pub(crate) trait Wire: Send + Sync + 'static {
    fn target(&self) -> &Target;

    fn request(&self, call: &ModelCall) -> Result<Request, CallFailure>;

    fn decoder(&self, call: &ModelCall) -> Box<dyn Decode>;

    /// Returns the request that goes on where the provider paused; see [`Finish::Continue`].
    fn continuation(&self, call: &ModelCall, paused: &Value) -> Result<Request, CallFailure> {
        let _ = (call, paused);
        let message = "the provider paused a turn, which its format does not know";
        Err(self.target().failures.of(FailureKind::Garbled, message))
    }

    /// Returns another form of a request that was refused before the model said
    /// anything, if one is likely to be taken. `body` is the refusal's, or null.
    fn amend(
        &self,
        call: &ModelCall,
        refused: &Request,
        failure: &CallFailure,
        body: &Value,
    ) -> Option<Request> {
        let _ = (call, refused, failure, body);
        None
    }
}

/// What all requests to one model have in common.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// For people: type and model.
    pub(crate) name: String,
    /// What fails together.
    pub(crate) server: String,
    pub(crate) model: String,
    pub(crate) connect_ms: u64,
    pub(crate) failures: Failures,
    pub(crate) context_window: Option<u64>,
    /// Of the user's own, sent with every request.
    pub(crate) headers: HeaderMap,
    /// Where `base_url` ends, for those who gave a wrong one: `/chat/completions`.
    pub(crate) path: &'static str,
}

impl Target {
    pub(crate) fn new(spec: &BackendSpec, root: &Url, path: &'static str) -> Target {
        let mut headers = HeaderMap::new();
        for (name, value) in &spec.headers {
            // Both were checked with the config; one that cannot be sent is left out.
            if let Ok(name) = HeaderName::try_from(name.as_str())
                && let Ok(mut value) = HeaderValue::from_str(value.expose())
            {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        Target {
            name: format!("{} {}", spec.kind, spec.model),
            server: format!("{root} {}", spec.model),
            model: spec.model.clone(),
            connect_ms: spec.timeouts.connect_ms,
            failures: Failures::new(spec.api_key.secret().cloned()),
            context_window: spec.context_window,
            headers,
            path,
        }
    }
}

/// One request, complete.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) url: Url,
    /// Besides those of the target and the content type.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A model behind HTTP.
pub(crate) struct HttpBackend<W>(pub(crate) Arc<W>);

impl<W: Wire> Backend for HttpBackend<W> {
    fn name(&self) -> &str {
        &self.0.target().name
    }

    fn call(&self, call: ModelCall) -> Beats {
        Box::pin(Reply {
            wire: self.0.clone(),
            call,
            sent: None,
            decoder: None,
            amendments: 0,
            continuations: 0,
            state: State::Unsent,
            out: Out::new(),
        })
    }

    fn server(&self) -> Option<&str> {
        Some(&self.0.target().server)
    }

    fn context_window(&self) -> Option<u64> {
        self.0.target().context_window
    }
}

struct Reply<W> {
    wire: Arc<W>,
    call: ModelCall,
    sent: Option<Request>,
    decoder: Option<Box<dyn Decode>>,
    amendments: u32,
    continuations: u32,
    state: State,
    /// As long as it holds something nothing more is read, so that it is bounded
    /// by what one read brings.
    out: Out,
}

enum State {
    Unsent,
    Sent(BoxFuture<'static, reqwest::Result<Response>>),
    /// The body of a refusal is being read.
    Refused(BoxFuture<'static, (CallFailure, Value)>),
    Reading(Box<Reading>),
    /// Told once everything before it is.
    Failed(CallFailure),
    Over,
}

struct Reading {
    body: Body,
    /// Runs once the model has stopped.
    patience: Option<Pin<Box<Sleep>>>,
    /// How far the reply had come then, and whether its usage had.
    waiting_since: (Progress, bool),
}

impl<W: Wire> Stream for Reply<W> {
    type Item = Result<Beat, CallFailure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(beat) = this.out.pop_front() {
                return Poll::Ready(Some(Ok(beat)));
            }
            let step = match &mut this.state {
                State::Unsent => {
                    let request = this.wire.request(&this.call);
                    this.send(request).map_err(plain)
                }
                State::Sent(sent) => {
                    let answer = ready!(sent.as_mut().poll(cx));
                    this.answered(answer).map_err(plain)
                }
                State::Refused(body) => Err(ready!(body.as_mut().poll(cx))),
                State::Reading(reading) => {
                    let Some(decoder) = &mut this.decoder else { return Poll::Ready(None) };
                    match ready!(reading.poll(decoder.as_mut(), cx, &mut this.out)) {
                        Ok(true) => this.complete().map_err(plain),
                        Ok(false) => Ok(()),
                        Err(failure) => Err(plain(failure)),
                    }
                }
                State::Failed(failure) => {
                    let failure = failure.clone();
                    this.state = State::Over;
                    return Poll::Ready(Some(Err(failure)));
                }
                State::Over => return Poll::Ready(None),
            };
            if let Err(refusal) = step {
                this.refused(refusal);
            }
        }
    }
}

fn plain(failure: CallFailure) -> (CallFailure, Value) {
    (failure, Value::Null)
}

impl<W: Wire> Reply<W> {
    fn send(&mut self, request: Result<Request, CallFailure>) -> Result<(), CallFailure> {
        let request = request?;
        self.state = State::Sent(send(self.wire.target(), &self.call, &request)?);
        self.sent = Some(request);
        Ok(())
    }

    /// Tries another form of the request, or ends.
    fn refused(&mut self, (failure, body): (CallFailure, Value)) {
        // Once the model has spoken, what it said would be said again.
        let is_untold = self
            .out
            .iter()
            .all(|beat| matches!(beat, Beat::Alive | Beat::Event(ModelEvent::Started)));
        let amended = match &self.sent {
            Some(sent)
                if is_untold && self.amendments < AMENDMENTS_MAX && self.continuations == 0 =>
            {
                self.wire.amend(&self.call, sent, &failure, &body)
            }
            Some(_) | None => None,
        };
        if let Some(request) = amended {
            self.amendments += 1;
            self.decoder = None;
            self.out.clear();
            if self.send(Ok(request)).is_ok() {
                return;
            }
        }
        self.state = State::Failed(failure);
    }

    fn answered(&mut self, answer: reqwest::Result<Response>) -> Result<(), CallFailure> {
        let target = self.wire.target();
        let Some(sent) = &self.sent else { return Ok(()) };
        let response = answer.map_err(|error| {
            http::connection_failure(&error, &sent.url, target.connect_ms, &target.failures)
        })?;
        if response.status() != StatusCode::OK {
            let refusal = refusal(target.clone(), sent.url.clone(), response);
            self.state = State::Refused(Box::pin(refusal));
            return Ok(());
        }
        unreadable(&response, target.path)
            .map_or(Ok(()), |what| Err(target.failures.of(FailureKind::BadRequest, &what)))?;
        if self.decoder.is_none() {
            self.decoder = Some(self.wire.decoder(&self.call));
        }
        self.state = State::Reading(Box::new(Reading {
            body: Box::pin(response.bytes_stream()),
            patience: None,
            waiting_since: (Progress::Open, false),
        }));
        Ok(())
    }

    fn complete(&mut self) -> Result<(), CallFailure> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let may_continue = self.continuations < CONTINUATIONS_MAX;
        match decoder.finish(may_continue, &mut self.out) {
            Finish::Turn(turn) => {
                self.out.push_back(Beat::Event(ModelEvent::Finished(turn)));
                self.state = State::Over;
                Ok(())
            }
            Finish::Continue(paused) => {
                self.continuations += 1;
                let request = self.wire.continuation(&self.call, &paused);
                self.send(request)
            }
        }
    }
}

/// Returns why a reply of status 200 cannot be a stream of ours, if its headers tell.
/// The same request would get the same reply, so it is not worth another try.
fn unreadable(response: &Response, path: &str) -> Option<String> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(encoding) = header(CONTENT_ENCODING).filter(|&name| name != "identity") {
        return Some(format!(
            "the server sends its reply as `{encoding}`, which was not asked for; \
             switch compression off in the server or the proxy before it"
        ));
    }
    let kind = header(CONTENT_TYPE).unwrap_or_default();
    kind.trim_start().starts_with("text/html").then(|| {
        format!(
            "the reply is a web page, not an API; check that `base_url` ends where `{path}` \
             begins, and that no login page stands before it"
        )
    })
}

impl Reading {
    /// Reads on once; true if the reply is complete.
    fn poll(
        &mut self,
        decoder: &mut dyn Decode,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) -> Poll<Result<bool, CallFailure>> {
        let ended = match self.body.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                // The response was to end here; one that goes on is not worth its connection.
                if decoder.progress() == Progress::Complete {
                    return Poll::Ready(Ok(true));
                }
                let pushed = decoder.push(&bytes, out);
                return Poll::Ready(pushed.map(|()| false));
            }
            Poll::Ready(Some(Err(error))) => Some(Some(http::root_cause(&error))),
            Poll::Ready(None) => Some(None),
            Poll::Pending => None,
        };
        if let Some(lost) = ended {
            let end = decoder.end(lost.as_deref(), out);
            return Poll::Ready(end.map(|()| true));
        }
        let awaited = (decoder.progress(), decoder.has_usage());
        let wait = match awaited {
            (Progress::Open, _) => return Poll::Pending,
            (Progress::Stopped, false) => USAGE_WAIT,
            // Nothing that matters is missing.
            (Progress::Stopped, true) | (Progress::Complete, _) => TAIL_WAIT,
        };
        let patience = match &mut self.patience {
            Some(patience) if self.waiting_since == awaited => patience,
            patience => {
                self.waiting_since = awaited;
                patience.insert(Box::pin(sleep_until(Instant::now() + wait)))
            }
        };
        patience.as_mut().poll(cx).map(|()| Ok(true))
    }
}

fn send(
    target: &Target,
    call: &ModelCall,
    request: &Request,
) -> Result<BoxFuture<'static, reqwest::Result<Response>>, CallFailure> {
    let client = http::client(&request.url, target.connect_ms)
        .map_err(|error| http::client_failure(&error, &target.failures))?;
    let mut headers = request.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
    // Providers keep it with their own records, where a call can then be found.
    if let Ok(label) = HeaderValue::from_str(&call.label) {
        headers.insert("x-client-request-id", label);
    }
    headers.extend(target.headers.clone());
    let body = request.body.to_string();
    Ok(Box::pin(client.post(request.url.clone()).headers(headers).body(body).send()))
}

/// Reads why a server refused a call.
async fn refusal(target: Target, url: Url, mut response: Response) -> (CallFailure, Value) {
    let status = response.status();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    // A body that breaks off still tells something, and the status tells the rest.
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes);
        if body.len() > REFUSAL_BYTES_MAX {
            body.truncate(REFUSAL_BYTES_MAX);
            break;
        }
    }
    let failures = &target.failures;
    let code = status.as_u16();
    let json = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let reported = Reported::in_body(&json);
    let mut failure = match reported {
        Some(reported) => reported.failure(Some(code), failures),
        None if status.is_redirection() => {
            let to = headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
            let to = to.unwrap_or_default();
            let message = if to == url.as_str() {
                "the server redirects to the very address that was asked".to_owned()
            } else {
                format!("the server is at {to} now; set `base_url` accordingly")
            };
            failures.of(FailureKind::BadRequest, &message)
        }
        None if status.is_success() => {
            failures.of(FailureKind::Garbled, &format!("an answer with status {code}"))
        }
        None => {
            let text = String::from_utf8_lossy(&body);
            let reason = status.canonical_reason().unwrap_or("refused");
            let message = match text.trim() {
                "" => reason.to_owned(),
                page if page.starts_with('<') => format!("{reason} (a web page, not an API)"),
                text => format!("{reason}: {text}"),
            };
            failures.of(kind_of_status(code), &message)
        }
    };
    failure.status = Some(code);
    if let Some(wish) = http::retry_after_ms(&headers, SystemTime::now()) {
        failure.retry_after_ms = Some(wish);
    }
    if failure.kind == FailureKind::BadRequest && code == 404 {
        let address = http::server_of(&url);
        let path = url.path();
        failure.message = failures.clean(&format!(
            "{}; asked for model `{}` at {address}{path}",
            failure.message, target.model
        ));
    }
    (failure, json)
}
