//! Frames of an event stream, out of bytes that come in any pieces.
//!
//! The grammar is that of the WHATWG, read as tolerantly as servers write it:
//! any line ending, any fields, a byte order mark. Only what a caller needs is
//! told apart: data, comments, and the name of the event.

/// A line that is longer is no event of any model server.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One frame, or a sign of life between frames.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// Lines of one event's data, joined by `\n`.
    Data {
        event: &'a str,
        data: &'a [u8],
    },
    Comment,
}

/// A line went over [`LINE_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineTooLong;

#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// Start of the first line not yet read.
    at: usize,
    /// Bytes from `at` known to hold no line ending.
    searched: usize,
    event: String,
    data: Vec<u8>,
    data_lines: usize,
    /// `data` was handed out and is cleared before the next line is read.
    handed_out: bool,
    begun: bool,
}

impl Frames {
    /// Adds bytes as they came. Read all frames before adding more.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next frame that is complete.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, LineTooLong> {
        self.clear_handed_out();
        loop {
            let rest = &self.buffer[self.at..];
            let found =
                rest[self.searched..].iter().position(|&byte| matches!(byte, b'\n' | b'\r'));
            let Some(found) = found else {
                self.searched = rest.len();
                return if rest.len() > LINE_BYTES_MAX { Err(LineTooLong) } else { Ok(None) };
            };
            let end = self.searched + found;
            let ending = match rest[end..] {
                // Whether a \n follows is not known yet, and it must not make a line of its own.
                [b'\r'] => {
                    self.searched = end;
                    return Ok(None);
                }
                [b'\r', b'\n', ..] => 2,
                _ => 1,
            };
            let (start, stop) = (self.at, self.at + end);
            self.at += end + ending;
            self.searched = 0;
            match self.line(start, stop) {
                Line::Nothing => {}
                Line::Comment => return Ok(Some(Frame::Comment)),
                Line::Dispatch => {
                    self.handed_out = true;
                    return Ok(Some(Frame::Data { event: &self.event, data: &self.data }));
                }
            }
        }
    }

    /// Returns what is left when no more bytes come: a last frame whose blank
    /// line is missing, as some servers end.
    pub(crate) fn rest(&mut self) -> Option<Frame<'_>> {
        self.clear_handed_out();
        let (start, mut stop) = (self.at, self.buffer.len());
        if self.buffer[start..].last() == Some(&b'\r') {
            stop -= 1;
        }
        self.at = self.buffer.len();
        self.searched = 0;
        let _ = self.line(start, stop);
        if self.data_lines == 0 {
            return None;
        }
        self.handed_out = true;
        Some(Frame::Data { event: &self.event, data: &self.data })
    }

    fn clear_handed_out(&mut self) {
        if self.handed_out {
            self.handed_out = false;
            self.data.clear();
            self.data_lines = 0;
            self.event.clear();
        }
    }

    fn line(&mut self, start: usize, stop: usize) -> Line {
        let mut line = &self.buffer[start..stop];
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            if self.data_lines > 0 {
                return Line::Dispatch;
            }
            self.event.clear();
            return Line::Nothing;
        }
        if line[0] == b':' {
            return Line::Comment;
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.data_lines > 0 {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.data_lines += 1;
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            // `id` and `retry` are for clients that reconnect; we never do.
            _ => {}
        }
        Line::Nothing
    }
}

enum Line {
    Nothing,
    Comment,
    Dispatch,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut frames = Frames::default();
        let mut read = Vec::new();
        let mut note = |frame: Frame<'_>| match frame {
            Frame::Data { event, data } => {
                read.push(format!("{event}|{}", String::from_utf8_lossy(data)));
            }
            Frame::Comment => read.push("comment".to_owned()),
        };
        for piece in pieces {
            frames.push(piece);
            while let Some(frame) = frames.next().unwrap() {
                note(frame);
            }
        }
        if let Some(frame) = frames.rest() {
            note(frame);
        }
        read
    }

    #[track_caller]
    fn check(bytes: &str, expected: &[&str]) {
        let bytes = bytes.as_bytes();
        assert_eq!(read(&[bytes]), expected);
        assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), expected, "byte by byte");
        for at in 0..=bytes.len() {
            assert_eq!(read(&[&bytes[..at], &bytes[at..]]), expected, "split at {at}");
        }
    }

    #[test]
    fn frames_are_read_in_any_pieces() {
        check("data: a\n\ndata:b\n\n", &["|a", "|b"]);
        check("data: a\r\n\r\ndata:  b\r\rdata\n\n", &["|a", "| b", "|"]);
        check("\u{feff}data: a\ndata: b\n\n", &["|a\nb"]);
        check(": hi\n\nevent: error\nid: 1\ndata: x\n\ndata: y\n\n", &["comment", "error|x", "|y"]);
        check("event: lost\n\ndata: y\n\n", &["|y"]);
        check("data: unfinished", &["|unfinished"]);
        check("data: unfinished\r", &["|unfinished"]);
        check("nonsense\n\n\n\n:\n", &["comment"]);
        check("", &[]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut frames = Frames::default();
        frames.push(&vec![b'x'; LINE_BYTES_MAX]);
        assert_eq!(frames.next(), Ok(None));
        frames.push(b"x");
        assert_eq!(frames.next(), Err(LineTooLong));
    }
}
