//! Parts of texts, whatever their size: lines from here to there, the last ones, differences.

use std::io::{self, BufRead};
use std::time::Duration;

use similar::TextDiff;

/// Where a file is taken for binary: a zero byte among its first ones.
pub const PROBED_BYTES: usize = 8_192;
/// A difference that takes longer to find is shown coarser.
const DIFF_TIME: Duration = Duration::from_secs(2);

/// Which lines of a text are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From 1.
    pub first: u64,
    pub count: u64,
    /// Bytes shown at most.
    pub bytes_max: usize,
    /// Bytes looked at, after what is shown, to learn how many lines there are.
    pub counted_max: u64,
}

/// Some lines of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    pub text: String,
    /// Of the first line shown; the one wanted.
    pub first: u64,
    pub n_shown: u64,
    /// All lines there are, if that is known.
    pub n_all: Option<u64>,
    /// The bound of bytes cut within the lines wanted.
    pub is_cut: bool,
}

/// Reads some lines; the memory it takes does not depend on the text.
pub fn lines(
    mut reader: impl BufRead,
    window: Window,
    go_on: impl Fn() -> bool,
) -> io::Result<Lines> {
    let mut kept: Vec<u8> = Vec::new();
    let last = window.first.saturating_add(window.count);
    // The line that the next byte belongs to.
    let mut line = 1;
    let mut n_after: u64 = 0;
    let mut is_cut = false;
    let mut ends_with_newline = true;
    let mut is_whole = true;
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        let n = piece.len();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if line >= window.first && line < last && !is_cut {
                let room = window.bytes_max.saturating_sub(kept.len());
                kept.extend_from_slice(&part[..part.len().min(room)]);
                is_cut = part.len() > room;
            }
            ends_with_newline = part.ends_with(b"\n");
            line += u64::from(ends_with_newline);
        }
        reader.consume(n);
        if line >= last || is_cut {
            n_after += n as u64;
        }
        if n_after > window.counted_max || !go_on() {
            is_whole = false;
            break;
        }
    }
    let n_lines = line - u64::from(ends_with_newline);
    let text = String::from_utf8_lossy(&kept).into_owned();
    let n_shown = text.lines().count() as u64;
    Ok(Lines { text, first: window.first, n_shown, n_all: is_whole.then_some(n_lines), is_cut })
}

/// Returns the last lines of a part that ends where the text ends.
pub fn tail(text: &str, count: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let from = body.rmatch_indices('\n').nth(count.saturating_sub(1)).map_or(0, |(at, _)| at + 1);
    &text[from..]
}

pub fn numbered(text: &str, first: u64) -> String {
    text.lines().zip(first..).map(|(line, n)| format!("{n:>6}\t{line}\n")).collect()
}

pub fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(PROBED_BYTES).any(|byte| *byte == 0)
}

/// Returns the differences as a patch, empty if there are none.
pub fn diff(old: &str, new: &str, old_name: &str, new_name: &str, context: usize) -> String {
    if old == new {
        return String::new();
    }
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(old, new);
    diff.unified_diff().context_radius(context).header(old_name, new_name).to_string()
}

/// Returns the beginning of a text, and how much is left out if it is longer.
pub fn clipped(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}\n[{} bytes more are not shown]", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::BufReader;

    use super::*;

    const ALL: Window =
        Window { first: 1, count: u64::MAX, bytes_max: 1_000, counted_max: u64::MAX };

    #[track_caller]
    fn check(text: &str, window: Window, expected: &str, n_all: Option<u64>) {
        // Pieces of any size give the same.
        for capacity in [1, 2, 3, 7, 8_192] {
            let read = lines(BufReader::with_capacity(capacity, text.as_bytes()), window, || true)
                .unwrap();
            assert_eq!(read.text, expected, "{capacity}");
            if capacity > 1_000 || n_all.is_some() {
                assert_eq!(read.n_all, n_all, "{capacity}");
            }
        }
    }

    #[test]
    fn shows_the_lines_wanted() {
        check("a\nb\nc\n", ALL, "a\nb\nc\n", Some(3));
        check("a\nb\nc", ALL, "a\nb\nc", Some(3));
        check("", ALL, "", Some(0));
        check("\n\n", ALL, "\n\n", Some(2));
        check("a\nb\nc", Window { first: 2, count: 1, ..ALL }, "b\n", Some(3));
        check("a\nb\nc", Window { first: 9, count: 1, ..ALL }, "", Some(3));
        check("aaaa\nbbbb\n", Window { bytes_max: 6, ..ALL }, "aaaa\nb", Some(2));
        check("é\nb\n", Window { count: 1, ..ALL }, "é\n", Some(2));
    }

    #[test]
    fn stops_where_it_was_told_to() {
        let text = "x\n".repeat(100_000);
        let read =
            lines(text.as_bytes(), Window { count: 1, counted_max: 10, ..ALL }, || true).unwrap();
        assert_eq!((read.text.as_str(), read.n_all), ("x\n", None));
        let slow = BufReader::with_capacity(8, text.as_bytes());
        let read = lines(slow, ALL, || false).unwrap();
        assert_eq!(read.n_all, None);
        // One line of any length.
        let long = "y".repeat(1 << 20);
        let read = lines(long.as_bytes(), ALL, || true).unwrap();
        assert_eq!((read.text.len(), read.is_cut, read.n_all), (1_000, true, Some(1)));
    }

    #[test]
    fn shows_the_last_lines() {
        for (text, count, expected) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 1, "c"),
            ("a\n", 5, "a\n"),
            ("", 1, ""),
            ("\n\n\n", 2, "\n\n"),
        ] {
            assert_eq!(tail(text, count), expected, "{text:?}");
        }
    }
}
