//! Lines out of bytes that come in any pieces, for replies that are JSON line by line.

use crate::sse::LINE_BYTES_MAX;

/// A line went over the bound of any line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineTooLong;

#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Start of the first line not yet read.
    at: usize,
    /// Bytes from `at` known to hold no line ending.
    searched: usize,
}

impl Lines {
    /// Adds bytes as they came. Read all lines before adding more.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next line that is complete, without the blanks around it.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        let rest = &self.buffer[self.at..];
        let Some(found) = rest[self.searched..].iter().position(|&byte| byte == b'\n') else {
            self.searched = rest.len();
            return if rest.len() > LINE_BYTES_MAX { Err(LineTooLong) } else { Ok(None) };
        };
        let start = self.at;
        let end = start + self.searched + found;
        self.at = end + 1;
        self.searched = 0;
        Ok(Some(self.buffer[start..end].trim_ascii()))
    }

    /// Takes what is left: a last line without its ending.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.at);
        *self = Lines::default();
        rest
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut read = Vec::new();
        for piece in pieces {
            lines.push(piece);
            while let Some(line) = lines.next().unwrap() {
                read.push(line.to_vec());
            }
        }
        read.push(lines.take_rest());
        read
    }

    #[test]
    fn lines_are_read_in_any_pieces() {
        let bytes = b"{}\r\n\n [1]\nrest";
        let expected: Vec<Vec<u8>> =
            vec![b"{}".to_vec(), Vec::new(), b"[1]".to_vec(), b"rest".to_vec()];
        assert_eq!(read(&[bytes]), expected);
        for at in 0..=bytes.len() {
            assert_eq!(read(&[&bytes[..at], &bytes[at..]]), expected, "at {at}");
        }
        assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_BYTES_MAX]);
        assert_eq!(lines.next(), Ok(None));
        lines.push(b"x");
        assert_eq!(lines.next(), Err(LineTooLong));
    }
}
