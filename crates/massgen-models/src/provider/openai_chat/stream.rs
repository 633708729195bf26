//! One request and the reading of its reply.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use massgen_protocol::{CallFailure, FailureKind, ModelCall, ModelEvent};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION,
};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until};

use super::decode::{Asked, Decoder, Progress};
use super::error::{Reported, kind_of_status};
use super::{Target, request};
use crate::backend::{Beat, Beats};
use crate::http;

/// What is read of the body of a refusal; the rest can hold nothing of use.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Silence after the model has stopped before usage and `[DONE]` are given up
/// on: there are servers that send neither and keep the connection open.
const USAGE_WAIT: Duration = Duration::from_millis(1_500);
/// The same after `[DONE]`. What is waited for is the end of the HTTP response,
/// without which the connection cannot be used again.
const TAIL_WAIT: Duration = Duration::from_millis(100);

type Body = BoxStream<'static, reqwest::Result<Bytes>>;

pub(super) fn call(target: Arc<Target>, call: ModelCall) -> Beats {
    Box::pin(Reply { target, call, state: State::Unsent, out: VecDeque::new() })
}

struct Reply {
    target: Arc<Target>,
    call: ModelCall,
    state: State,
    /// Decoded and not yet taken. As long as it holds something nothing more is
    /// read, so that it is bounded by what one read brings.
    out: VecDeque<Beat>,
}

enum State {
    Unsent,
    Sent(BoxFuture<'static, reqwest::Result<Response>>),
    /// The body of a refusal is being read.
    Refused(BoxFuture<'static, CallFailure>),
    Reading(Box<Reading>),
    /// Told once everything before it is.
    Failed(CallFailure),
    Over,
}

struct Reading {
    body: Body,
    decoder: Decoder,
    /// Runs once the model has stopped.
    patience: Option<Pin<Box<Sleep>>>,
    /// How far the reply had come then, and whether its usage had.
    waiting_since: (Progress, bool),
}

impl Stream for Reply {
    type Item = Result<Beat, CallFailure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(beat) = this.out.pop_front() {
                return Poll::Ready(Some(Ok(beat)));
            }
            let step = match &mut this.state {
                State::Unsent => match send(&this.target, &this.call) {
                    Ok(sent) => {
                        this.state = State::Sent(sent);
                        Ok(())
                    }
                    Err(failure) => Err(failure),
                },
                State::Sent(sent) => {
                    let answer = ready!(sent.as_mut().poll(cx));
                    this.answered(answer)
                }
                State::Refused(body) => Err(ready!(body.as_mut().poll(cx))),
                State::Reading(reading) => match ready!(reading.poll(cx, &mut this.out)) {
                    Ok(true) => {
                        let turn = reading.decoder.finish(&mut this.out);
                        let finished = ModelEvent::Finished(Box::new(turn));
                        this.out.push_back(Beat::Event(finished));
                        this.state = State::Over;
                        Ok(())
                    }
                    Ok(false) => Ok(()),
                    Err(failure) => Err(failure),
                },
                State::Failed(failure) => {
                    let failure = failure.clone();
                    this.state = State::Over;
                    return Poll::Ready(Some(Err(failure)));
                }
                State::Over => return Poll::Ready(None),
            };
            if let Err(failure) = step {
                this.state = State::Failed(failure);
            }
        }
    }
}

impl Reply {
    fn answered(&mut self, answer: reqwest::Result<Response>) -> Result<(), CallFailure> {
        let response = answer.map_err(|error| {
            let target = &self.target;
            http::connection_failure(
                &error,
                &target.endpoint.url,
                target.connect_ms,
                &target.failures,
            )
        })?;
        if response.status() != StatusCode::OK {
            self.state = State::Refused(Box::pin(refusal(self.target.clone(), response)));
            return Ok(());
        }
        unreadable(&response)
            .map_or(Ok(()), |what| Err(self.target.failures.of(FailureKind::BadRequest, &what)))?;
        self.state = State::Reading(Box::new(Reading {
            body: Box::pin(response.bytes_stream()),
            decoder: Decoder::new(Asked::of(&self.call), self.target.failures.clone()),
            patience: None,
            waiting_since: (Progress::Open, false),
        }));
        Ok(())
    }
}

/// Returns why a reply of status 200 cannot be a stream of ours, if its headers tell.
/// The same request would get the same reply, so it is not worth another try.
fn unreadable(response: &Response) -> Option<String> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(encoding) = header(CONTENT_ENCODING).filter(|&name| name != "identity") {
        return Some(format!(
            "the server sends its reply as `{encoding}`, which was not asked for; \
             switch compression off in the server or the proxy before it"
        ));
    }
    let kind = header(CONTENT_TYPE).unwrap_or_default();
    kind.trim_start().starts_with("text/html").then(|| {
        "the reply is a web page, not an API; check that `base_url` ends where \
         `/chat/completions` begins, and that no login page stands before it"
            .to_owned()
    })
}

impl Reading {
    /// Reads on once; true if the reply is complete.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Beat>,
    ) -> Poll<Result<bool, CallFailure>> {
        let ended = match self.body.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                // The response was to end here; one that goes on is not worth its connection.
                if self.decoder.progress() == Progress::Complete {
                    return Poll::Ready(Ok(true));
                }
                let pushed = self.decoder.push(&bytes, out);
                return Poll::Ready(pushed.map(|()| false));
            }
            Poll::Ready(Some(Err(error))) => Some(Some(http::root_cause(&error))),
            Poll::Ready(None) => Some(None),
            Poll::Pending => None,
        };
        if let Some(lost) = ended {
            let end = self.decoder.end(lost.as_deref(), out);
            return Poll::Ready(end.map(|()| true));
        }
        let awaited = (self.decoder.progress(), self.decoder.has_usage());
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
) -> Result<BoxFuture<'static, reqwest::Result<Response>>, CallFailure> {
    let endpoint = &target.endpoint;
    let client = http::client(&endpoint.url, target.connect_ms)
        .map_err(|error| http::client_failure(&error, &target.failures))?;
    let body =
        request::body(call, &target.model, target.max_output_tokens, &target.params, target.quirks);
    let mut request = client
        .post(endpoint.url.clone())
        .header(ACCEPT, HeaderValue::from_static("text/event-stream"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(body.to_string());
    if let Some(authorization) = &endpoint.authorization {
        request = request.header(AUTHORIZATION, authorization.clone());
    }
    // Providers keep it with their own records, where a call can then be found.
    if let Ok(label) = HeaderValue::from_str(&call.label) {
        request = request.header("x-client-request-id", label);
    }
    Ok(Box::pin(request.send()))
}

/// Reads why a server refused a call.
async fn refusal(target: Arc<Target>, mut response: Response) -> CallFailure {
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
    let reported =
        serde_json::from_slice::<Value>(&body).ok().and_then(|body| Reported::in_body(&body));
    let mut failure = match reported {
        Some(reported) => reported.failure(Some(code), failures),
        None if status.is_redirection() => {
            let to = headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
            let to = to.unwrap_or_default();
            let message = if to == target.endpoint.url.as_str() {
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
    failure.retry_after_ms = http::retry_after_ms(&headers, SystemTime::now());
    if failure.kind == FailureKind::BadRequest && code == 404 {
        let address = http::server_of(&target.endpoint.url);
        let path = target.endpoint.url.path();
        failure.message = failures.clean(&format!(
            "{}; asked for model `{}` at {address}{path}",
            failure.message, target.model
        ));
    }
    failure
}
