//! A model that says the same thing for ever.
//!
//! Some do, with status 200 and a steady stream, so that no timer fires. What is
//! looked for is text that repeats exactly. It is told and not stopped: somebody may
//! have asked for just that, and the output bound and the round's deadline end it.

/// Text that has to repeat; longer than any table, ruler or listing an answer holds.
const REPEATED_BYTES: usize = 16 * 1024;
/// Times the same words have to come within it.
const REPEATS_MIN: usize = 32;
/// New text after which it is looked at again.
const CHECK_EVERY: usize = REPEATED_BYTES / 2;

/// Watches what one call says in one voice.
#[derive(Debug, Default)]
pub(crate) struct Repetition {
    /// The last of it, at most [`REPEATED_BYTES`] and [`CHECK_EVERY`] more.
    tail: Vec<u8>,
    unchecked: usize,
    is_told: bool,
}

impl Repetition {
    /// Takes a piece in; true, once, when by now the model only repeats itself.
    pub(crate) fn push(&mut self, text: &str) -> bool {
        let bytes = text.as_bytes();
        if self.is_told {
            return false;
        }
        // More than that at once is looked at by its end.
        let bytes = &bytes[bytes.len().saturating_sub(REPEATED_BYTES)..];
        self.tail.extend_from_slice(bytes);
        self.unchecked += bytes.len();
        if self.unchecked < CHECK_EVERY || self.tail.len() < REPEATED_BYTES {
            return false;
        }
        self.unchecked = 0;
        let start = self.tail.len() - REPEATED_BYTES;
        self.tail.drain(..start);
        // Blanks alone are padding, and cost a reader nothing.
        self.is_told = period(&self.tail) <= REPEATED_BYTES / REPEATS_MIN
            && self.tail.iter().any(|byte| !byte.is_ascii_whitespace());
        self.is_told
    }
}

/// Returns the length of the shortest piece that, repeated, makes the text.
fn period(text: &[u8]) -> usize {
    // The prefix function: how much of the start each position ends with.
    let mut matched = vec![0; text.len()];
    for at in 1..text.len() {
        let mut len: usize = matched[at - 1];
        while len > 0 && text[at] != text[len] {
            len = matched[len - 1];
        }
        matched[at] = if text[at] == text[len] { len + 1 } else { 0 };
    }
    text.len() - matched.last().copied().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn is_found(text: &str, piece: usize) -> bool {
        let mut repetition = Repetition::default();
        let pieces = text.as_bytes().chunks(piece);
        pieces.into_iter().any(|piece| repetition.push(std::str::from_utf8(piece).unwrap()))
    }

    #[test]
    fn what_repeats_is_found_however_it_comes() {
        let looping = "I will now search for the distance. Let me search.\n".repeat(1_000);
        for piece in [1, 7, 4_096, usize::MAX] {
            assert!(is_found(&looping, piece), "in pieces of {piece}");
            assert!(is_found(&format!("An answer first. {looping}"), piece));
        }
        assert!(is_found(&"=".repeat(40_000), 5));
    }

    #[test]
    fn what_does_not_is_not() {
        let lines: String = (0..20_000).map(|n| format!("row {n}: 0\n")).collect();
        assert!(!is_found(&lines, 11));
        assert!(!is_found(&"=".repeat(10_000), 5), "a ruler");
        assert!(!is_found(&" ".repeat(100_000), 5), "padding");
        // The same chapter again is no loop.
        let chapter: String = (0..500).map(|n| format!("sentence {n}. ")).collect();
        assert!(!is_found(&chapter.repeat(20), 100));
        assert!(!is_found("", 1));
    }

    #[test]
    fn memory_stays_bounded() {
        let mut repetition = Repetition::default();
        for n in 0..100_000 {
            repetition.push(&format!("{n} "));
        }
        assert!(repetition.tail.len() <= REPEATED_BYTES + CHECK_EVERY);
    }
}
