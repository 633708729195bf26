//! Stops calling what keeps failing.
//!
//! All calls of this process to one server and model share a breaker. After
//! [`OPEN_AFTER`] failures in a row it opens: calls fail at once instead of
//! waiting for a server that is not there. After a while it lets calls pass
//! again; the first failure opens it for twice as long, the first success
//! closes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use massgen_protocol::{CallFailure, FailureKind};
use tokio::time::Instant;

/// More than one agent's tries of one call, so that one agent's bad luck opens nothing.
const OPEN_AFTER: u32 = 10;
const OPEN_FIRST: Duration = Duration::from_secs(1);
const OPEN_MAX: Duration = Duration::from_secs(30);

/// One breaker; clones of its `Arc` are the same breaker.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures_in_a_row: u32,
    /// Times it opened since the last success.
    opened: u32,
    open_until: Option<Instant>,
    last: String,
}

impl Breaker {
    /// Returns the breaker of this server.
    pub(crate) fn of(server: &str) -> Arc<Breaker> {
        static BREAKERS: OnceLock<Mutex<BTreeMap<String, Arc<Breaker>>>> = OnceLock::new();
        let breakers = BREAKERS.get_or_init(Mutex::default);
        let mut breakers = breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.entry(server.to_owned()).or_default().clone()
    }

    /// Returns the failure to answer a call with, if calls do not pass now.
    pub(crate) fn check(&self) -> Result<(), CallFailure> {
        let state = self.state();
        let now = Instant::now();
        let Some(until) = state.open_until.filter(|&until| until > now) else { return Ok(()) };
        let left = until - now;
        Err(CallFailure {
            kind: FailureKind::CircuitOpen,
            message: format!(
                "not called: {} calls in a row have failed, the last with: {}; next try in {:.1} s",
                state.failures_in_a_row,
                state.last,
                left.as_secs_f64()
            ),
            status: None,
            retry_after_ms: Some(left.as_millis() as u64 + 1),
        })
    }

    pub(crate) fn succeeded(&self) {
        *self.state() = State::default();
    }

    pub(crate) fn failed(&self, failure: &CallFailure) {
        if !blames_server(failure.kind) {
            return;
        }
        let mut state = self.state();
        let now = Instant::now();
        if state.open_until.is_some_and(|until| until > now) {
            // A call that had started before it opened.
            return;
        }
        state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
        state.last.clone_from(&failure.message);
        if state.failures_in_a_row >= OPEN_AFTER {
            let open = OPEN_FIRST.saturating_mul(1 << state.opened.min(5)).min(OPEN_MAX);
            state.open_until = Some(now + open);
            state.opened = state.opened.saturating_add(1);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a failure says that the server is in trouble. One that
/// refuses a call for the caller's sake, or asks it to slow down, is not.
fn blames_server(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Overloaded
        | FailureKind::Unavailable
        | FailureKind::Truncated
        | FailureKind::Garbled
        | FailureKind::TimedOut => true,
        FailureKind::RateLimited
        | FailureKind::Quota
        | FailureKind::ContextTooLong
        | FailureKind::BadRequest
        | FailureKind::Auth
        | FailureKind::Tls
        | FailureKind::CircuitOpen => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind) -> CallFailure {
        CallFailure { kind, message: "refused".to_owned(), status: None, retry_after_ms: None }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_lets_pass_and_closes() {
        let breaker = Breaker::default();
        let down = failure(FailureKind::Unavailable);
        for _ in 0..OPEN_AFTER {
            assert_eq!(breaker.check(), Ok(()));
            breaker.failed(&down);
        }
        let open = breaker.check().unwrap_err();
        assert_eq!((open.kind, open.retry_after_ms), (FailureKind::CircuitOpen, Some(1_001)));
        assert!(open.message.contains("10 calls in a row have failed, the last with: refused"));

        tokio::time::advance(OPEN_FIRST).await;
        assert_eq!(breaker.check(), Ok(()));
        breaker.failed(&down);
        assert_eq!(breaker.check().unwrap_err().retry_after_ms, Some(2_001));
        for _ in 0..9 {
            tokio::time::advance(OPEN_MAX).await;
            breaker.failed(&down);
        }
        assert_eq!(breaker.check().unwrap_err().retry_after_ms, Some(30_001));

        breaker.succeeded();
        assert_eq!(breaker.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_the_servers_fault_opens_nothing() {
        let breaker = Breaker::default();
        for kind in [FailureKind::RateLimited, FailureKind::Auth, FailureKind::CircuitOpen] {
            for _ in 0..2 * OPEN_AFTER {
                breaker.failed(&failure(kind));
            }
        }
        assert_eq!(breaker.check(), Ok(()));
    }

    #[test]
    fn calls_to_one_server_share_a_breaker() {
        assert!(Arc::ptr_eq(&Breaker::of("a"), &Breaker::of("a")));
        assert!(!Arc::ptr_eq(&Breaker::of("a"), &Breaker::of("b")));
    }
}
