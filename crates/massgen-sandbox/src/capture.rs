//! Keeps the beginning and the end of what a program prints.

use std::collections::VecDeque;

/// Where a piece of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The head and the tail of one stream within a bound: a failure is told at the end, what was
/// run at the beginning.
pub(crate) struct Capture {
    head: Vec<u8>,
    head_max: usize,
    tail: VecDeque<u8>,
    tail_max: usize,
    left_out: u64,
}

impl Capture {
    pub(crate) fn new(bytes_max: u64) -> Capture {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let head_max = bytes_max / 2;
        Capture {
            head: Vec::new(),
            head_max,
            tail: VecDeque::new(),
            tail_max: bytes_max - head_max,
            left_out: 0,
        }
    }

    pub(crate) fn take(&mut self, mut piece: &[u8]) {
        let room = self.head_max - self.head.len();
        if room > 0 {
            let (first, rest) = piece.split_at(room.min(piece.len()));
            self.head.extend_from_slice(first);
            piece = rest;
        }
        // Of a piece longer than the tail only its own end can stay.
        let skipped = piece.len().saturating_sub(self.tail_max);
        self.left_out += skipped as u64;
        let piece = &piece[skipped..];
        let over = (self.tail.len() + piece.len()).saturating_sub(self.tail_max);
        self.tail.drain(..over);
        self.left_out += over as u64;
        self.tail.extend(piece);
    }

    /// Returns the text and how many bytes are not in it.
    pub(crate) fn finish(self) -> (String, u64) {
        let tail: Vec<u8> = self.tail.into();
        if self.left_out == 0 {
            let mut whole = self.head;
            whole.extend_from_slice(&tail);
            return (String::from_utf8_lossy(&whole).into_owned(), 0);
        }
        // A character cut in two would read as garbage on both sides of the gap.
        let head = &self.head[..self.head.len() - cut_at_end(&self.head)];
        let tail = &tail[tail.iter().take(3).take_while(|byte| is_inside(**byte)).count()..];
        let text = format!(
            "{}\n[… {} bytes left out …]\n{}",
            String::from_utf8_lossy(head),
            self.left_out,
            String::from_utf8_lossy(tail),
        );
        (text, self.left_out)
    }
}

fn is_inside(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Returns how many bytes at the end begin a character that does not end there.
fn cut_at_end(bytes: &[u8]) -> usize {
    let inside = bytes.iter().rev().take(3).take_while(|byte| is_inside(**byte)).count();
    let Some(&lead) = bytes.len().checked_sub(inside + 1).and_then(|at| bytes.get(at)) else {
        return 0;
    };
    let length = match lead {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => 1,
    };
    if length > inside + 1 { inside + 1 } else { 0 }
}

/// Turns pieces of bytes into pieces of text, characters whole.
#[derive(Default)]
pub(crate) struct Pieces {
    begun: Vec<u8>,
}

impl Pieces {
    pub(crate) fn take(&mut self, piece: &[u8]) -> String {
        self.begun.extend_from_slice(piece);
        let whole = self.begun.len() - cut_at_end(&self.begun);
        let text = String::from_utf8_lossy(&self.begun[..whole]).into_owned();
        self.begun.drain(..whole);
        text
    }

    pub(crate) fn finish(self) -> String {
        String::from_utf8_lossy(&self.begun).into_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[track_caller]
    fn check(bytes_max: u64, pieces: &[&[u8]], expected: &str, left_out: u64) {
        let mut capture = Capture::new(bytes_max);
        for piece in pieces {
            capture.take(piece);
        }
        assert_eq!(capture.finish(), (expected.to_owned(), left_out));
    }

    #[test]
    fn head_and_tail_stay_and_what_is_left_out_is_named() {
        check(10, &[b"0123456789"], "0123456789", 0);
        check(10, &[b"01234", b"56789"], "0123456789", 0);
        check(4, &[b"0123456789"], "01\n[… 6 bytes left out …]\n89", 6);
        check(4, &[b"0", b"1", b"2", b"3", b"4", b"5"], "01\n[… 2 bytes left out …]\n45", 2);
        check(0, &[b"abc"], "\n[… 3 bytes left out …]\n", 3);
        check(10, &[], "", 0);
    }

    #[test]
    fn no_character_is_cut_and_what_is_no_text_is_replaced() {
        check(6, &["aéé€€é".as_bytes()], "aé\n[… 7 bytes left out …]\né", 7);
        check(100, &[b"a\xffb"], "a\u{fffd}b", 0);
        let mut pieces = Pieces::default();
        let mut text = String::new();
        for byte in "zwölf € 𝄞".as_bytes() {
            text += &pieces.take(&[*byte]);
        }
        assert_eq!(text, "zwölf € 𝄞");
        assert_eq!(pieces.take(b"\xe2\x82"), "");
        assert_eq!(pieces.finish(), "\u{fffd}");
    }
}
