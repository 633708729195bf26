//! How long to wait before a call is tried again.

use std::time::Duration;

use massgen_protocol::FailureKind;

/// No pause of our own is longer; what a server asks for may be.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Six doublings of the longest first pause reach [`PAUSE_MAX`].
const DOUBLINGS_MAX: u32 = 6;

/// Random numbers for pauses only, by splitmix64. The same seed gives the same
/// pauses, which keeps a scripted run's log the same.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Jitter {
        Jitter(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number from 0 to 999.
    fn permille(&mut self) -> u32 {
        (self.next() % 1_000) as u32
    }
}

/// Returns the pause after the failed try `attempt` (from 1).
///
/// Doubles with every try and is then shortened by up to a half, so that
/// agents that failed together do not come back together. A server's own wish
/// is never undercut, only stretched by up to a tenth for the same reason.
pub(crate) fn pause(
    kind: FailureKind,
    attempt: u32,
    retry_after_ms: Option<u64>,
    jitter: &mut Jitter,
) -> Duration {
    let permille = jitter.permille();
    if let Some(ms) = retry_after_ms {
        let wish = Duration::from_millis(ms);
        return wish.saturating_add(wish / 10 * permille / 1_000);
    }
    let doublings = attempt.saturating_sub(1).min(DOUBLINGS_MAX);
    let full = first_pause(kind).saturating_mul(1 << doublings).min(PAUSE_MAX);
    full / 2 + full / 2 * permille / 1_000
}

fn first_pause(kind: FailureKind) -> Duration {
    let ms = match kind {
        // Somebody is busy, and asking sooner makes it worse.
        FailureKind::RateLimited | FailureKind::Overloaded => 2_000,
        FailureKind::Unavailable | FailureKind::CircuitOpen => 500,
        // The connection is to blame, or a hiccup: there is little to wait for.
        FailureKind::Truncated | FailureKind::Garbled | FailureKind::TimedOut => 250,
        // Not tried again; see `FailureKind::is_retryable`.
        FailureKind::Quota
        | FailureKind::ContextTooLong
        | FailureKind::BadRequest
        | FailureKind::Auth
        | FailureKind::Tls => 0,
    };
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_stay_bounded_and_differ_by_seed() {
        let pauses = |seed| -> Vec<u64> {
            let mut jitter = Jitter::new(seed);
            let tries = [1, 2, 3, 4, 9, u32::MAX];
            let pause = |n| pause(FailureKind::RateLimited, n, None, &mut jitter);
            tries.map(pause).iter().map(|pause| pause.as_millis() as u64).collect()
        };
        let (a, b) = (pauses(1), pauses(2));
        assert_ne!(a, b);
        assert_eq!(a, pauses(1));
        for (n, full) in [2_000, 4_000, 8_000, 16_000, 30_000, 30_000].into_iter().enumerate() {
            assert!(a[n] >= full / 2 && a[n] <= full, "{n}: {a:?}");
        }
    }

    #[test]
    fn a_servers_wish_is_never_undercut() {
        for seed in 0..100 {
            let mut jitter = Jitter::new(seed);
            let got = pause(FailureKind::RateLimited, 1, Some(7_000), &mut jitter).as_millis();
            assert!((7_000..=7_700).contains(&got), "{got}");
        }
        let wish = pause(FailureKind::RateLimited, 1, Some(u64::MAX), &mut Jitter::new(0));
        assert!(wish >= Duration::from_millis(u64::MAX));
    }
}
