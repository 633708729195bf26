//! One call around a backend: time bounds, retries, cancellation by drop.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream::BoxStream;
use massgen_protocol::{CallFailure, CallTimeouts, FailureKind, ModelCall, ModelEvent};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::backend::{Backend, Beat, Beats};
use crate::breaker::Breaker;
use crate::retry::{Jitter, pause};

/// Events of a stream that never makes us wait before others get their turn
/// and the clock is looked at. Both cost more than an event.
const EVENTS_PER_TURN: u32 = 1_024;
/// An open circuit that closes sooner is waited for like any other failure;
/// one that does not ends the call, so that a dead server is told of quickly.
const CIRCUIT_WAIT_MAX: Duration = Duration::from_secs(2);

/// The events of one call, ended by exactly one `Ok(Finished)` or one `Err`.
pub type ModelEvents = BoxStream<'static, Result<ModelEvent, CallFailure>>;

/// A backend with everything around a call that is the same for all.
pub struct Driver {
    backend: Arc<dyn Backend>,
    timeouts: CallTimeouts,
    tries_max: u32,
    breaker: Option<Arc<Breaker>>,
}

impl Driver {
    /// Drives `backend` within `timeouts`; a call is tried `tries_max` times at
    /// most, and at least once.
    pub fn new(backend: Arc<dyn Backend>, timeouts: CallTimeouts, tries_max: u32) -> Driver {
        let breaker = backend.server().map(Breaker::of);
        Driver { backend, timeouts, tries_max: tries_max.max(1), breaker }
    }

    /// Returns the backend's name for people.
    pub fn name(&self) -> &str {
        self.backend.name()
    }

    /// Returns the tokens one conversation may have, where that is known.
    pub fn context_window(&self) -> Option<u64> {
        self.backend.context_window()
    }

    /// Makes one call; dropping the stream cancels it.
    ///
    /// After `Retrying` everything streamed before it is void: the call starts over.
    pub fn call(&self, call: ModelCall) -> ModelEvents {
        let jitter = Jitter::new(call.seed);
        Box::pin(Calling {
            backend: self.backend.clone(),
            timeouts: self.timeouts,
            tries_max: self.tries_max,
            breaker: self.breaker.clone(),
            call,
            jitter,
            attempt: 0,
            events: 0,
            total: None,
            state: State::Begin,
        })
    }
}

struct Calling {
    backend: Arc<dyn Backend>,
    timeouts: CallTimeouts,
    tries_max: u32,
    breaker: Option<Arc<Breaker>>,
    call: ModelCall,
    jitter: Jitter,
    /// Of the running try, from 1.
    attempt: u32,
    /// Since others had their turn.
    events: u32,
    total: Option<Pin<Box<Sleep>>>,
    state: State,
}

enum State {
    Begin,
    Trying(Try),
    Pausing(Pin<Box<Sleep>>),
    Done,
}

struct Try {
    beats: Beats,
    silence: Pin<Box<Sleep>>,
    /// Whether `silence` measures the present silence. It is set only when the
    /// backend makes us wait, as a fast stream would set it for nothing.
    armed: bool,
    heard: bool,
}

impl Stream for Calling {
    type Item = Result<ModelEvent, CallFailure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Begin => this.begin(),
                State::Trying(running) => match running.beats.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(beat))) => {
                        running.heard = true;
                        running.armed = false;
                        if this.events == EVENTS_PER_TURN {
                            this.events = 0;
                            if this.is_over_time(cx) {
                                return this.end(this.total_failure());
                            }
                            cx.waker().wake_by_ref();
                        }
                        this.events += 1;
                        match beat {
                            Beat::Alive => {}
                            Beat::Event(ModelEvent::Finished(turn)) => {
                                if let Some(breaker) = &this.breaker {
                                    breaker.succeeded();
                                }
                                this.state = State::Done;
                                return Poll::Ready(Some(Ok(ModelEvent::Finished(turn))));
                            }
                            Beat::Event(event) => return Poll::Ready(Some(Ok(event))),
                        }
                    }
                    Poll::Ready(Some(Err(failure))) => return this.failed(failure),
                    Poll::Ready(None) => {
                        return this.failed(failure(
                            FailureKind::Truncated,
                            "the reply ended without an end".to_owned(),
                        ));
                    }
                    Poll::Pending => {
                        let bound = this.timeouts.idle_ms;
                        if !running.armed {
                            running.armed = true;
                            let until = Instant::now() + Duration::from_millis(bound);
                            running.silence.as_mut().reset(until);
                        }
                        if running.silence.as_mut().poll(cx).is_ready() {
                            let message = if running.heard {
                                format!("silent for {}", seconds(bound))
                            } else {
                                format!("no answer within {}", seconds(this.timeouts.first_byte_ms))
                            };
                            return this.failed(failure(FailureKind::TimedOut, message));
                        }
                        if this.is_over_time(cx) {
                            return this.end(this.total_failure());
                        }
                        return Poll::Pending;
                    }
                },
                State::Pausing(pause) => match pause.as_mut().poll(cx) {
                    Poll::Ready(()) => this.state = State::Begin,
                    Poll::Pending => return Poll::Pending,
                },
                State::Done => return Poll::Ready(None),
            }
        }
    }
}

impl Calling {
    fn begin(&mut self) {
        let now = Instant::now();
        let total_ms = self.timeouts.total_ms;
        self.total
            .get_or_insert_with(|| Box::pin(sleep_until(now + Duration::from_millis(total_ms))));
        self.attempt += 1;
        let beats = match self.breaker.as_deref().map_or(Ok(()), Breaker::check) {
            Ok(()) => self.backend.call(self.call.clone()),
            Err(failure) => Box::pin(futures::stream::iter([Err(failure)])),
        };
        let first_byte = now + Duration::from_millis(self.timeouts.first_byte_ms);
        self.state = State::Trying(Try {
            beats,
            silence: Box::pin(sleep_until(first_byte)),
            armed: true,
            heard: false,
        });
    }

    /// Decides what a failed try leads to: a pause and another, or the end.
    fn failed(&mut self, failure: CallFailure) -> Poll<Option<Result<ModelEvent, CallFailure>>> {
        if let Some(breaker) = &self.breaker {
            breaker.failed(&failure);
        }
        if !failure.kind.is_retryable() || self.attempt >= self.tries_max {
            return self.end(failure);
        }
        let pause = pause(failure.kind, self.attempt, failure.retry_after_ms, &mut self.jitter);
        let waits_for_circuit =
            failure.kind != FailureKind::CircuitOpen || pause <= CIRCUIT_WAIT_MAX;
        let now = Instant::now();
        let in_time = self.total.as_ref().is_none_or(|total| now + pause < total.deadline());
        if !waits_for_circuit || !in_time {
            // Waiting could only end in a worse message than the one we have.
            return self.end(failure);
        }
        self.state = State::Pausing(Box::pin(sleep_until(now + pause)));
        Poll::Ready(Some(Ok(ModelEvent::Retrying {
            failure,
            after_ms: pause.as_millis() as u64,
            attempt: self.attempt,
        })))
    }

    fn end(&mut self, failure: CallFailure) -> Poll<Option<Result<ModelEvent, CallFailure>>> {
        // Dropping the try is what cancels its request.
        self.state = State::Done;
        Poll::Ready(Some(Err(failure)))
    }

    fn is_over_time(&mut self, cx: &mut Context<'_>) -> bool {
        self.total.as_mut().is_some_and(|total| total.as_mut().poll(cx).is_ready())
    }

    fn total_failure(&self) -> CallFailure {
        let total = seconds(self.timeouts.total_ms);
        let tries = match self.attempt {
            1 => "1 try".to_owned(),
            n => format!("{n} tries"),
        };
        failure(FailureKind::TimedOut, format!("not complete within {total} ({tries})"))
    }
}

fn failure(kind: FailureKind, message: String) -> CallFailure {
    CallFailure { kind, message, status: None, retry_after_ms: None }
}

fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1_000) {
        format!("{} s", ms / 1_000)
    } else {
        format!("{:.1} s", ms as f64 / 1e3)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
