//! Requests and tokens a minute, per key.
//!
//! All calls of this process with one key at one server share a limiter. A call
//! is given the moment at which it may start, at once and in the order of asking,
//! so that nobody is overtaken and nobody polls. What it will use is estimated
//! then and corrected when it is known.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use massgen_protocol::{BackendSpec, CallFailure, FailureKind, ModelCall, Part, RateLimits};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A call that would wait longer fails instead: who set a limit per day does not
/// want a terminal that is silent until tomorrow.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(10 * 60);
/// Bytes of text per token, on average; providers count before they know better, too.
const BYTES_PER_TOKEN: usize = 4;
/// Output a call is assumed to have where no bound is set.
const OUTPUT_TOKENS_ASSUMED: u64 = 1_024;

/// One limiter; clones of its `Arc` are the same limiter.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    limits: RateLimits,
    /// In the order of their starts, which is that of asking.
    calls: VecDeque<Admitted>,
    next_id: u64,
}

#[derive(Debug)]
struct Admitted {
    id: u64,
    at: Instant,
    tokens: u64,
}

/// A call's place in the queue. Dropped before its start, it is given back.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    id: u64,
    pub(crate) at: Instant,
}

/// By address and a hash of the key: the key itself is kept nowhere.
type Limiters = BTreeMap<(String, u64), Arc<Limiter>>;

impl Limiter {
    /// Returns the limiter of a backend's key; `None` if it has no limits.
    pub(crate) fn of(spec: &BackendSpec) -> Option<Arc<Limiter>> {
        static LIMITERS: OnceLock<Mutex<Limiters>> = OnceLock::new();
        if spec.rate_limits == RateLimits::default() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        spec.api_key.secret().map(|key| key.expose()).hash(&mut hasher);
        let name = (format!("{} {}", spec.kind, spec.base_url), hasher.finish());
        let limiters = LIMITERS.get_or_init(Mutex::default);
        let mut limiters = limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = limiters.entry(name).or_default().clone();
        limiter.tighten(&spec.rate_limits);
        Some(limiter)
    }

    /// Of two statements about one key the lower number counts.
    fn tighten(&self, limits: &RateLimits) {
        fn lower<T: Ord + Copy>(a: Option<T>, b: Option<T>) -> Option<T> {
            [a, b].into_iter().flatten().min()
        }
        let mut state = self.state();
        let own = &mut state.limits;
        own.requests_per_minute = lower(own.requests_per_minute, limits.requests_per_minute);
        own.tokens_per_minute = lower(own.tokens_per_minute, limits.tokens_per_minute);
        own.requests_per_day = lower(own.requests_per_day, limits.requests_per_day);
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    ///
    /// If the wait would be longer than [`WAIT_MAX`].
    pub(crate) fn admit(self: &Arc<Self>, tokens: u64) -> Result<Permit, CallFailure> {
        let now = Instant::now();
        let mut state = self.state();
        state.forget(now);
        let (at, limit) = state.earliest(now, tokens);
        let wait = at - now;
        if wait > WAIT_MAX {
            return Err(CallFailure {
                kind: FailureKind::RateLimited,
                message: format!(
                    "the limit of {limit} set by `rate_limits` is used up for {} minutes",
                    wait.as_secs().div_ceil(60)
                ),
                status: None,
                retry_after_ms: Some(wait.as_millis() as u64),
            });
        }
        let id = state.next_id;
        state.next_id += 1;
        state.calls.push_back(Admitted { id, at, tokens });
        Ok(Permit { limiter: self.clone(), id, at })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns when a call of so many tokens may start, and the limit that decides.
    fn earliest(&self, now: Instant, tokens: u64) -> (Instant, String) {
        // Nobody overtakes.
        let mut at = self.calls.back().map_or(now, |last| last.at.max(now));
        let mut limit = String::new();
        let mut later = |moment: Instant, name: String| {
            if moment > at {
                at = moment;
                limit = name;
            }
        };
        for (count, window, unit) in [
            (self.limits.requests_per_minute, MINUTE, "requests a minute"),
            (self.limits.requests_per_day, DAY, "requests a day"),
        ] {
            let Some(count) = count else { continue };
            // The one that has to be out of the window when this one starts.
            let nth = self.calls.len().checked_sub(count.max(1) as usize);
            if let Some(before) = nth.and_then(|nth| self.calls.get(nth)) {
                later(before.at + window, format!("{count} {unit}"));
            }
        }
        if let Some(count) = self.limits.tokens_per_minute {
            let mut left = count.saturating_sub(tokens);
            for call in self.calls.iter().rev() {
                match left.checked_sub(call.tokens) {
                    Some(rest) => left = rest,
                    None => {
                        later(call.at + MINUTE, format!("{count} tokens a minute"));
                        break;
                    }
                }
            }
        }
        (at, limit)
    }

    /// Drops what is out of every window that is asked about.
    fn forget(&mut self, now: Instant) {
        let window = if self.limits.requests_per_day.is_some() { DAY } else { MINUTE };
        while self.calls.front().is_some_and(|call| call.at + window < now) {
            self.calls.pop_front();
        }
    }
}

impl Permit {
    /// Says what the call has really used.
    pub(crate) fn settle(self, tokens: u64) {
        let mut state = self.limiter.state();
        if let Some(call) = state.calls.iter_mut().find(|call| call.id == self.id) {
            call.tokens = tokens;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // A call that has started was made, whatever became of it.
        if self.at > Instant::now() {
            self.limiter.state().calls.retain(|call| call.id != self.id);
        }
    }
}

/// Returns the tokens a call will use, as providers count before they know.
pub(crate) fn estimate(call: &ModelCall, bound: Option<u64>) -> u64 {
    let parts = call.messages.iter().flat_map(|message| &message.parts);
    let bytes: usize = parts
        .map(|part| match part {
            Part::Text { text } | Part::Reasoning { text, .. } => text.len(),
            Part::ToolResult(result) => result.text.len(),
            // Small beside the rest, or told once more by the parts beside it.
            Part::ToolCall(_) | Part::Native { .. } | Part::Media(_) => 0,
        })
        .sum();
    let output = call.max_output_tokens.or(bound).unwrap_or(OUTPUT_TOKENS_ASSUMED);
    (bytes / BYTES_PER_TOKEN) as u64 + output.min(OUTPUT_TOKENS_ASSUMED)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn limiter(requests: Option<u32>, tokens: Option<u64>, day: Option<u32>) -> Arc<Limiter> {
        let limiter = Arc::new(Limiter::default());
        limiter.tighten(&RateLimits {
            requests_per_minute: requests,
            tokens_per_minute: tokens,
            requests_per_day: day,
        });
        limiter
    }

    fn waits(limiter: &Arc<Limiter>, tokens: &[u64]) -> Vec<u64> {
        let now = Instant::now();
        let wait = |&tokens: &u64| {
            let permit = limiter.admit(tokens).unwrap();
            let wait = permit.at - now;
            // The place is taken for good, as if the call had been made.
            std::mem::forget(permit);
            wait.as_secs()
        };
        tokens.iter().map(wait).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_spread_over_minutes_in_the_order_of_asking() {
        let limiter = limiter(Some(2), None, None);
        assert_eq!(waits(&limiter, &[0; 5]), [0, 0, 60, 60, 120]);
        tokio::time::advance(Duration::from_secs(150)).await;
        // Two minutes in, the last of the five began; the window holds it.
        assert_eq!(waits(&limiter, &[0; 2]), [0, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_counted_and_corrected() {
        let limiter = limiter(None, Some(1_000), None);
        let permit = limiter.admit(900).unwrap();
        assert_eq!(waits(&limiter, &[200]), [60]);
        permit.settle(100);
        assert_eq!(waits(&limiter, &[100]), [60], "nobody overtakes");
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(waits(&limiter, &[600, 200]), [0, 59]);
        // More than a whole minute's allowance goes alone.
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(waits(&limiter, &[5_000, 1]), [0, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_not_used_is_given_back() {
        let limiter = limiter(Some(1), None, None);
        let first = limiter.admit(0).unwrap();
        let second = limiter.admit(0).unwrap();
        assert_eq!((second.at - first.at).as_secs(), 60);
        drop(second);
        assert_eq!(waits(&limiter, &[0]), [60]);
        drop(first);
        assert_eq!(waits(&limiter, &[0]), [120], "the first has started");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_without_end_is_a_failure() {
        let limiter = limiter(None, None, Some(1));
        assert_eq!(waits(&limiter, &[0]), [0]);
        let failure = limiter.admit(0).unwrap_err();
        assert_eq!(failure.kind, FailureKind::RateLimited);
        let expected = "the limit of 1 requests a day set by `rate_limits` is used up for 1440 \
                        minutes";
        assert_eq!(failure.message, expected);
    }

    #[test]
    fn agents_with_one_key_share_a_limiter_and_the_lower_limit() {
        let spec = |requests| BackendSpec {
            rate_limits: RateLimits { requests_per_minute: requests, ..RateLimits::default() },
            ..BackendSpec::new("groq", "m", "http://limits.test/v1")
        };
        assert!(Limiter::of(&spec(None)).is_none());
        let (a, b) = (Limiter::of(&spec(Some(5))).unwrap(), Limiter::of(&spec(Some(3))).unwrap());
        assert!(Arc::ptr_eq(&a, &b));
        assert_eq!(a.state().limits.requests_per_minute, Some(3));
        let elsewhere = BackendSpec { kind: "vllm".to_owned(), ..spec(Some(5)) };
        assert!(!Arc::ptr_eq(&a, &Limiter::of(&elsewhere).unwrap()));
    }
}
