//! One call around a backend: time bounds, retries, cancellation by drop.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream::BoxStream;
use massgen_protocol::{
    AssistantTurn, BackendSpec, CallFailure, CallTimeouts, FailureKind, ModelCall, ModelEvent,
    Prices,
};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::backend::{Backend, Beat, Beats};
use crate::breaker::Breaker;
use crate::cost::cost_micros;
use crate::limits::{self, Limiter, Permit};
use crate::repetition::Repetition;
use crate::retry::{Jitter, pause};

/// Events of a stream that never makes us wait before others get their turn
/// and the clock is looked at. Both cost more than an event.
const EVENTS_PER_TURN: u32 = 1_024;
/// An open circuit that closes sooner is waited for like any other failure;
/// one that does not ends the call, so that a dead server is told of quickly.
const CIRCUIT_WAIT_MAX: Duration = Duration::from_secs(2);

/// Shorter waits for a rate limit are nobody's concern.
const WAIT_TOLD_MIN: Duration = Duration::from_millis(100);

/// The events of one call, ended by exactly one `Ok(Finished)` or one `Err`.
pub type ModelEvents = BoxStream<'static, Result<ModelEvent, CallFailure>>;

/// A backend with everything around a call that is the same for all.
#[derive(Clone)]
pub struct Driver {
    /// The backend, and those that take over where it cannot serve a call.
    rungs: Arc<Vec<Rung>>,
    /// The rung calls begin at: one that can never serve is not asked again.
    first: Arc<AtomicUsize>,
}

/// One backend and its bounds.
struct Rung {
    backend: Arc<dyn Backend>,
    timeouts: CallTimeouts,
    tries_max: u32,
    breaker: Option<Arc<Breaker>>,
    limiter: Option<Arc<Limiter>>,
    /// Of one call's output, for the estimate of its tokens.
    output_max: Option<u64>,
    prices: Prices,
}

impl Driver {
    /// Drives `backend` within `timeouts`; a call is tried `tries_max` times at
    /// most, and at least once.
    pub fn new(backend: Arc<dyn Backend>, timeouts: CallTimeouts, tries_max: u32) -> Driver {
        let breaker = backend.server().map(Breaker::of);
        let rung = Rung {
            backend,
            timeouts,
            tries_max: tries_max.max(1),
            breaker,
            limiter: None,
            output_max: None,
            prices: Prices::default(),
        };
        Driver { rungs: Arc::new(vec![rung]), first: Arc::default() }
    }

    /// Drives `backend` as its spec says, rate limits and prices included.
    pub(crate) fn of(backend: Arc<dyn Backend>, spec: &BackendSpec) -> Driver {
        let mut driver = Driver::new(backend, spec.timeouts, spec.tries_max);
        if let Some(rungs) = Arc::get_mut(&mut driver.rungs) {
            for rung in rungs {
                rung.limiter = Limiter::of(spec);
                rung.output_max = spec.max_output_tokens;
                rung.prices = spec.prices;
            }
        }
        driver
    }

    /// Puts others behind this one, to be taken in their order where a call fails.
    pub(crate) fn or_else(self, others: Vec<Driver>) -> Driver {
        let mut rungs = Vec::new();
        for driver in std::iter::once(self).chain(others) {
            // Nobody else holds what was just made.
            rungs.extend(Arc::into_inner(driver.rungs).unwrap_or_default());
        }
        Driver { rungs: Arc::new(rungs), first: Arc::default() }
    }

    /// Returns the backend's name for people.
    pub fn name(&self) -> &str {
        self.rungs[0].backend.name()
    }

    /// Returns the tokens one conversation may have, where that is known.
    pub fn context_window(&self) -> Option<u64> {
        self.rungs[0].backend.context_window()
    }

    /// Makes one call; dropping the stream cancels it.
    ///
    /// After `Retrying` and `FellBack` everything streamed before it is void: the call
    /// starts over.
    pub fn call(&self, call: ModelCall) -> ModelEvents {
        let jitter = Jitter::new(call.seed);
        Box::pin(Calling {
            driver: self.clone(),
            at: self.first.load(Ordering::Relaxed).min(self.rungs.len() - 1),
            call,
            jitter,
            attempt: 0,
            events: 0,
            total: None,
            permit: None,
            notice: None,
            state: State::Begin,
        })
    }
}

struct Calling {
    driver: Driver,
    /// The rung in use.
    at: usize,
    call: ModelCall,
    jitter: Jitter,
    /// Of the running try, from 1.
    attempt: u32,
    /// Since others had their turn.
    events: u32,
    total: Option<Pin<Box<Sleep>>>,
    /// Of the running try.
    permit: Option<Permit>,
    /// Told before anything else.
    notice: Option<ModelEvent>,
    state: State,
}

enum State {
    Begin,
    /// Waits for its turn within the rate limits.
    Queued(Pin<Box<Sleep>>),
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
    text: Repetition,
    reasoning: Repetition,
}

impl Try {
    fn repeats(&mut self, event: &ModelEvent) -> bool {
        match event {
            ModelEvent::Text(text) => self.text.push(text),
            ModelEvent::Reasoning(text) => self.reasoning.push(text),
            ModelEvent::Started
            | ModelEvent::ToolCallStarted { .. }
            | ModelEvent::ToolArguments { .. }
            | ModelEvent::Retrying { .. }
            | ModelEvent::RemoteToolStarted { .. }
            | ModelEvent::RemoteToolFinished { .. }
            | ModelEvent::Throttled { .. }
            | ModelEvent::FellBack { .. }
            | ModelEvent::Unknown { .. }
            | ModelEvent::Finished(_) => false,
        }
    }
}

impl Stream for Calling {
    type Item = Result<ModelEvent, CallFailure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(notice) = this.notice.take() {
            return Poll::Ready(Some(Ok(notice)));
        }
        loop {
            match &mut this.state {
                State::Begin => {
                    if let Some(event) = this.begin() {
                        return event;
                    }
                }
                State::Queued(turn) => match turn.as_mut().poll(cx) {
                    Poll::Ready(()) => this.start(),
                    Poll::Pending => return Poll::Pending,
                },
                State::Trying(running) => match running.beats.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(beat))) => {
                        running.heard = true;
                        running.armed = false;
                        let repeats = matches!(&beat, Beat::Event(event) if running.repeats(event));
                        if this.events == EVENTS_PER_TURN {
                            this.events = 0;
                            if this.is_over_time(cx) {
                                return this.give_up(this.total_failure());
                            }
                            cx.waker().wake_by_ref();
                        }
                        this.events += 1;
                        match beat {
                            Beat::Alive => {}
                            Beat::Event(ModelEvent::Finished(turn)) => return this.finished(turn),
                            Beat::Event(event) => {
                                if repeats {
                                    let what = "the model says the same over and over".to_owned();
                                    this.notice = Some(ModelEvent::Unknown { what });
                                }
                                return Poll::Ready(Some(Ok(event)));
                            }
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
                        let timeouts = this.driver.rungs[this.at].timeouts;
                        let bound = timeouts.idle_ms;
                        if !running.armed {
                            running.armed = true;
                            let until = Instant::now() + Duration::from_millis(bound);
                            running.silence.as_mut().reset(until);
                        }
                        if running.silence.as_mut().poll(cx).is_ready() {
                            let message = if running.heard {
                                format!("silent for {}", seconds(bound))
                            } else {
                                format!("no answer within {}", seconds(timeouts.first_byte_ms))
                            };
                            return this.failed(failure(FailureKind::TimedOut, message));
                        }
                        if this.is_over_time(cx) {
                            return this.give_up(this.total_failure());
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
    fn rung(&self) -> &Rung {
        &self.driver.rungs[self.at]
    }

    /// Begins a try, or takes its place in the queue for one.
    fn begin(&mut self) -> Option<Poll<Option<Result<ModelEvent, CallFailure>>>> {
        let rung = self.rung();
        let Some(limiter) = rung.limiter.clone() else {
            self.start();
            return None;
        };
        let tokens = limits::estimate(&self.call, rung.output_max);
        let permit = match limiter.admit(tokens) {
            Ok(permit) => permit,
            Err(failure) => return Some(self.give_up(failure)),
        };
        let wait = permit.at.saturating_duration_since(Instant::now());
        self.state = State::Queued(Box::pin(sleep_until(permit.at)));
        self.permit = Some(permit);
        if wait < WAIT_TOLD_MIN {
            return None;
        }
        let wait_ms = wait.as_millis() as u64;
        Some(Poll::Ready(Some(Ok(ModelEvent::Throttled { wait_ms }))))
    }

    fn start(&mut self) {
        let now = Instant::now();
        let timeouts = self.rung().timeouts;
        // Waiting for a turn is bounded by itself and not counted here.
        self.total.get_or_insert_with(|| {
            Box::pin(sleep_until(now + Duration::from_millis(timeouts.total_ms)))
        });
        self.attempt += 1;
        let rung = self.rung();
        let beats = match rung.breaker.as_deref().map_or(Ok(()), Breaker::check) {
            Ok(()) => rung.backend.call(self.call.clone()),
            Err(failure) => Box::pin(futures::stream::iter([Err(failure)])),
        };
        let first_byte = now + Duration::from_millis(timeouts.first_byte_ms);
        self.state = State::Trying(Try {
            beats,
            silence: Box::pin(sleep_until(first_byte)),
            armed: true,
            heard: false,
            text: Repetition::default(),
            reasoning: Repetition::default(),
        });
    }

    fn finished(
        &mut self,
        mut turn: Box<AssistantTurn>,
    ) -> Poll<Option<Result<ModelEvent, CallFailure>>> {
        let (rung, usage) = (&self.driver.rungs[self.at], turn.usage);
        if let Some(breaker) = &rung.breaker {
            breaker.succeeded();
        }
        let tokens = usage.input().saturating_add(usage.generated());
        if let Some(permit) = self.permit.take()
            && tokens > 0
        {
            permit.settle(tokens);
        }
        // Written down with the turn: others know the prices of the first alone, and
        // cannot tell what was paid for this try from what was paid for those before.
        if tokens > 0 && rung.prices != Prices::default() {
            turn.usage.cost_micros = Some(cost_micros(&usage, &rung.prices));
        }
        self.state = State::Done;
        Poll::Ready(Some(Ok(ModelEvent::Finished(turn))))
    }

    /// Decides what a failed try leads to: a pause and another, or the end.
    fn failed(&mut self, failure: CallFailure) -> Poll<Option<Result<ModelEvent, CallFailure>>> {
        let rung = &self.driver.rungs[self.at];
        if let Some(breaker) = &rung.breaker {
            breaker.failed(&failure);
        }
        if let Some(permit) = self.permit.take()
            && failure.kind.is_refusal()
        {
            permit.settle(0);
        }
        if !failure.kind.is_retryable() || self.attempt >= rung.tries_max {
            return self.give_up(failure);
        }
        let pause = pause(failure.kind, self.attempt, failure.retry_after_ms, &mut self.jitter);
        let waits_for_circuit =
            failure.kind != FailureKind::CircuitOpen || pause <= CIRCUIT_WAIT_MAX;
        let now = Instant::now();
        let in_time = self.total.as_ref().is_none_or(|total| now + pause < total.deadline());
        if !waits_for_circuit || !in_time {
            // Waiting could only end in a worse message than the one we have.
            return self.give_up(failure);
        }
        self.state = State::Pausing(Box::pin(sleep_until(now + pause)));
        Poll::Ready(Some(Ok(ModelEvent::Retrying {
            failure,
            after_ms: pause.as_millis() as u64,
            attempt: self.attempt,
        })))
    }

    /// Goes on with the next backend, or ends.
    fn give_up(&mut self, failure: CallFailure) -> Poll<Option<Result<ModelEvent, CallFailure>>> {
        let next = self.at + 1;
        if next == self.driver.rungs.len() {
            return self.end(failure);
        }
        if never_serves(failure.kind) {
            self.driver.first.fetch_max(next, Ordering::Relaxed);
        }
        self.at = next;
        self.attempt = 0;
        self.total = None;
        self.permit = None;
        // Dropping the try is what cancels its request.
        self.state = State::Begin;
        let to = self.rung().backend.name().to_owned();
        Poll::Ready(Some(Ok(ModelEvent::FellBack { failure, to })))
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
        let total = seconds(self.rung().timeouts.total_ms);
        let tries = match self.attempt {
            1 => "1 try".to_owned(),
            n => format!("{n} tries"),
        };
        failure(FailureKind::TimedOut, format!("not complete within {total} ({tries})"))
    }
}

/// Returns whether a backend that failed like this will fail every call like this.
fn never_serves(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Quota | FailureKind::Auth | FailureKind::Tls => true,
        FailureKind::RateLimited
        | FailureKind::Overloaded
        | FailureKind::ContextTooLong
        | FailureKind::BadRequest
        | FailureKind::Unavailable
        | FailureKind::Truncated
        | FailureKind::Garbled
        | FailureKind::TimedOut
        | FailureKind::CircuitOpen => false,
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
