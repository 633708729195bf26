//! One model call as a task: streams, coalesces, reports.
//!
//! Tokens are gathered here, before they queue, so that the loop sees pieces at a
//! known rate however fast a model writes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use massgen_log::{Redactor, StreamRedactor};
use massgen_protocol::{
    AssistantTurn, CallFailure, CallId, FailureKind, ModelCall, ModelEvent, TextChannel,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::work::panic_message;

/// A piece of text waits this long for more …
const COALESCE_MS: u64 = 30;

/// … up to this long in a long reply: a reader of page ten does not miss a tenth of a
/// second, and a log of short lines is mostly frame.
const COALESCE_MS_MAX: u64 = 300;

/// Streamed bytes after which a piece waits a millisecond longer.
const BYTES_PER_MS: u64 = 64;

/// … or until it is this long.
const COALESCE_BYTES: usize = 4_096;

/// What a call's task tells the loop.
#[derive(Debug)]
pub(crate) enum CallReport {
    Text { channel: TextChannel, text: String },
    ToolStreaming { name: String, bytes: u64 },
    Retried { failure: CallFailure, after_ms: u64, attempt: u32 },
    RemoteToolStarted { id: String, name: String, input: String },
    RemoteToolFinished { id: String, name: String, output: String, is_error: bool },
    Throttled { wait_ms: u64 },
    FellBack { failure: CallFailure, to: String },
    Notice { what: String },
    Finished(Box<AssistantTurn>),
    Failed(CallFailure),
}

/// Runs one call to its end. Exactly one `Finished` or `Failed` is the last report.
pub(crate) async fn run<R: From<(CallId, CallReport)> + Send>(
    call: CallId,
    driver: Arc<massgen_models::Driver>,
    request: ModelCall,
    redactor: Arc<Redactor>,
    reports: mpsc::Sender<R>,
) {
    let work =
        Task { call, reports: reports.clone(), buffer: Buffer::new(redactor.clone()), redactor };
    if let Err(panic) = AssertUnwindSafe(work.run(driver, request)).catch_unwind().await {
        let message = panic_message(&*panic);
        let failure = CallFailure {
            kind: FailureKind::Unavailable,
            message: format!("the call's task panicked: {message}"),
            status: None,
            retry_after_ms: None,
        };
        // The loop is gone only when the run is over.
        let _ = reports.send(R::from((call, CallReport::Failed(failure)))).await;
    }
}

struct Task<R> {
    call: CallId,
    reports: mpsc::Sender<R>,
    buffer: Buffer,
    redactor: Arc<Redactor>,
}

struct Buffer {
    channel: TextChannel,
    text: String,
    /// When the text has waited long enough.
    due: Option<Instant>,
    redactor: StreamRedactor,
    tool: Option<(String, u64)>,
    /// Bytes of the tool call that were reported already.
    told: u64,
    /// Bytes streamed so far.
    streamed: u64,
}

impl Buffer {
    fn new(redactor: Arc<Redactor>) -> Buffer {
        Buffer {
            channel: TextChannel::Text,
            text: String::new(),
            due: None,
            redactor: StreamRedactor::new(redactor),
            tool: None,
            told: 0,
            streamed: 0,
        }
    }

    fn arm(&mut self) {
        if self.due.is_none() {
            let wait_ms = (COALESCE_MS + self.streamed / BYTES_PER_MS).min(COALESCE_MS_MAX);
            self.due = Some(Instant::now() + Duration::from_millis(wait_ms));
        }
    }
}

impl<R: From<(CallId, CallReport)> + Send> Task<R> {
    async fn run(mut self, driver: Arc<massgen_models::Driver>, request: ModelCall) {
        let mut stream = driver.call(request);
        loop {
            // What is there is taken without looking at the clock.
            let next = match stream.next().now_or_never() {
                Some(next) => next,
                None => match self.buffer.due {
                    None => stream.next().await,
                    Some(due) => tokio::select! {
                        next = stream.next() => next,
                        () = tokio::time::sleep_until(due) => {
                            self.flush(false).await;
                            continue;
                        }
                    },
                },
            };
            let Some(event) = next else {
                let failure = CallFailure {
                    kind: FailureKind::Truncated,
                    message: "the backend's stream ended without a result".to_owned(),
                    status: None,
                    retry_after_ms: None,
                };
                return self.last(CallReport::Failed(failure)).await;
            };
            match event {
                Ok(ModelEvent::Started) => {}
                Ok(ModelEvent::Text(text)) => self.text(TextChannel::Text, &text).await,
                Ok(ModelEvent::Reasoning(text)) => self.text(TextChannel::Reasoning, &text).await,
                Ok(ModelEvent::ToolCallStarted { index: _, name }) => {
                    self.buffer.tool = Some((name, 0));
                    self.buffer.told = 0;
                    self.buffer.arm();
                }
                Ok(ModelEvent::ToolArguments { index: _, delta }) => {
                    if let Some((_, bytes)) = &mut self.buffer.tool {
                        *bytes += delta.len() as u64;
                        self.buffer.streamed += delta.len() as u64;
                        self.buffer.arm();
                    }
                }
                Ok(ModelEvent::Retrying { failure, after_ms, attempt }) => {
                    self.flush(true).await;
                    // What the try before has written is void.
                    self.buffer.tool = None;
                    self.buffer.told = 0;
                    self.send(CallReport::Retried { failure, after_ms, attempt }).await;
                }
                Ok(ModelEvent::RemoteToolStarted { id, name, input }) => {
                    // What was said before it is shown before it.
                    self.flush(true).await;
                    let (name, input) = (self.redact(&name), self.redact(&input));
                    self.send(CallReport::RemoteToolStarted { id, name, input }).await;
                }
                Ok(ModelEvent::RemoteToolFinished { id, name, output, is_error }) => {
                    self.flush(true).await;
                    let (name, output) = (self.redact(&name), self.redact(&output));
                    let report = CallReport::RemoteToolFinished { id, name, output, is_error };
                    self.send(report).await;
                }
                Ok(ModelEvent::Throttled { wait_ms }) => {
                    self.send(CallReport::Throttled { wait_ms }).await;
                }
                Ok(ModelEvent::FellBack { failure, to }) => {
                    self.flush(true).await;
                    self.buffer.tool = None;
                    self.buffer.told = 0;
                    self.send(CallReport::FellBack { failure, to }).await;
                }
                Ok(ModelEvent::Unknown { what }) => self.send(CallReport::Notice { what }).await,
                Ok(ModelEvent::Finished(turn)) => {
                    return self.last(CallReport::Finished(turn)).await;
                }
                Err(failure) => return self.last(CallReport::Failed(failure)).await,
            }
            // A stream that is never idle still shows its progress in time.
            if self.buffer.due.is_some_and(|due| due <= Instant::now()) {
                self.flush(false).await;
            }
        }
    }

    fn redact(&self, text: &str) -> String {
        self.redactor.redact(text).into_owned()
    }

    async fn text(&mut self, channel: TextChannel, text: &str) {
        if channel != self.buffer.channel {
            self.flush(true).await;
            self.buffer.channel = channel;
        }
        self.buffer.streamed += text.len() as u64;
        self.buffer.text.push_str(&self.buffer.redactor.push(text));
        self.buffer.arm();
        if self.buffer.text.len() >= COALESCE_BYTES {
            self.flush(false).await;
        }
    }

    async fn last(mut self, report: CallReport) {
        self.flush(true).await;
        self.send(report).await;
    }

    /// Sends what has gathered; `all` also what the redactor holds back.
    async fn flush(&mut self, all: bool) {
        self.buffer.due = None;
        if all {
            self.buffer.text.push_str(&self.buffer.redactor.flush());
        }
        if !self.buffer.text.is_empty() {
            let text = std::mem::take(&mut self.buffer.text);
            self.send(CallReport::Text { channel: self.buffer.channel, text }).await;
        }
        let told = self.buffer.told;
        if let Some((name, bytes)) = self.buffer.tool.clone().filter(|(_, bytes)| *bytes > told) {
            self.buffer.told = bytes;
            self.send(CallReport::ToolStreaming { name, bytes }).await;
        }
    }

    async fn send(&mut self, report: CallReport) {
        // Waits while the loop is behind: a fast model is slowed, memory is not filled.
        let _ = self.reports.send(R::from((self.call, report))).await;
    }
}
