//! Names of runs, and the wall clock as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use massgen_protocol::RunId;

/// Returns a name such as `20261123-220101-ab12`: the start in UTC, and four
/// digits from everything that tells two starts of one second apart. It is
/// short enough to type, so it may collide; whoever creates the folder tries
/// the next `counter`.
pub fn run_id(started_at: SystemTime, pid: u32, counter: u32) -> RunId {
    let since = since_epoch(started_at);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&since.as_nanos().to_le_bytes());
    hasher.update(&pid.to_le_bytes());
    hasher.update(&counter.to_le_bytes());
    let digest = hasher.finalize();
    let [first, second, ..] = digest.as_bytes();
    let Civil { year, month, day, hour, minute, second: seconds } = civil(since.as_secs());
    RunId(format!(
        "{year:04}{month:02}{day:02}-{hour:02}{minute:02}{seconds:02}-{first:02x}{second:02x}"
    ))
}

/// Returns the moment in UTC to the millisecond: `2026-11-23T22:01:01.042Z`.
pub fn rfc3339(moment: SystemTime) -> String {
    let since = since_epoch(moment);
    let Civil { year, month, day, hour, minute, second } = civil(since.as_secs());
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// A clock set before 1970 is wrong anyway, and must not stop a run.
fn since_epoch(moment: SystemTime) -> Duration {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default()
}

struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

/// Seconds since 1970 as a date of the Gregorian calendar, counted in years
/// that begin in March, so that a leap day is the last of its year.
fn civil(seconds: u64) -> Civil {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    const DAYS_FROM_MARCH_OF_YEAR_0_TO_1970: u64 = 719_468;
    let days = seconds / 86_400 + DAYS_FROM_MARCH_OF_YEAR_0_TO_1970;
    let of_era = days % DAYS_IN_400_YEARS;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    Civil {
        year: year_of_era + days / DAYS_IN_400_YEARS * 400 + u64::from(month <= 2),
        month,
        day: of_year - (153 * march_month + 2) / 5 + 1,
        hour: seconds / 3_600 % 24,
        minute: seconds / 60 % 60,
        second: seconds % 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(millis: u64, expected: &str) {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(millis)), expected);
    }

    #[test]
    fn moments_print_as_dates() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(1_795_471_261_042, "2026-11-23T22:01:01.042Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_run_is_named_by_its_start_and_four_digits() {
        let start = UNIX_EPOCH + Duration::from_millis(1_795_471_261_042);
        let RunId(name) = run_id(start, 7, 0);
        assert_eq!(name.len(), "20261123-220101-ab12".len());
        assert!(name.starts_with("20261123-220101-"), "{name}");
        assert_eq!(run_id(start, 7, 0).0, name);
        let others = [run_id(start, 7, 1), run_id(start, 8, 0)];
        assert!(others.iter().all(|other| other.0 != name), "{others:?}");
    }
}
