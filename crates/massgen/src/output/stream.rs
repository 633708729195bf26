//! Streamed text in whole lines.
//!
//! Agents write at the same time. Only whole lines are shown, so that two
//! agents never share one; a line longer than the terminal is shown piece by
//! piece as it fills, so that one can watch a paragraph being written.

use massgen_protocol::TextChannel;

/// Characters of an unfinished line kept where nothing wraps it. A model that
/// never ends a line must not keep its text from being seen.
const LINE_CHARS_MAX: usize = 2_000;

/// Lines of reasoning shown per call; the log has all of it.
const REASONING_LINES_MAX: u32 = 3;

/// Text of one call that is not shown yet.
#[derive(Debug, Default)]
pub struct Stream {
    pending: String,
    channel: Option<TextChannel>,
    reasoning_lines: u32,
}

/// A line to show.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub channel: TextChannel,
    pub text: String,
}

impl Stream {
    /// Takes the next piece of text and returns the lines it completes.
    pub fn push(&mut self, channel: TextChannel, text: &str, width: Option<usize>) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.channel.is_some_and(|before| before != channel) {
            lines.extend(self.finish());
        }
        self.channel = Some(channel);
        self.pending.push_str(text);
        let width = width.unwrap_or(LINE_CHARS_MAX);
        while let Some((shown, consumed)) = first_line(&self.pending, width) {
            let line = self.pending[..shown].to_owned();
            self.pending.drain(..consumed);
            lines.extend(self.line(channel, line));
        }
        lines
    }

    /// Returns what is left when the call is over.
    pub fn finish(&mut self) -> Option<Line> {
        let channel = self.channel?;
        let text = std::mem::take(&mut self.pending);
        if text.trim().is_empty() {
            return None;
        }
        self.line(channel, text)
    }

    fn line(&mut self, channel: TextChannel, text: String) -> Option<Line> {
        if channel == TextChannel::Reasoning {
            if text.trim().is_empty() {
                return None;
            }
            self.reasoning_lines += 1;
            if self.reasoning_lines > REASONING_LINES_MAX {
                return None;
            }
            if self.reasoning_lines == REASONING_LINES_MAX {
                return Some(Line { channel, text: format!("{} …", text.trim_end()) });
            }
        }
        Some(Line { channel, text: text.trim_end().to_owned() })
    }
}

/// Breaks a text at words into lines that fit; one that fits stays as it is.
pub fn wrapped(text: &str, width: Option<usize>) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((shown, consumed)) = width.and_then(|width| first_line(rest, width)) {
        lines.push(&rest[..shown]);
        rest = &rest[consumed..];
    }
    lines.push(rest);
    lines
}

/// Returns where the first line ends and where the next begins, if there is a
/// whole one: at a newline, or where more than `width` characters wait.
fn first_line(pending: &str, width: usize) -> Option<(usize, usize)> {
    let mut last_gap = None;
    for (n_chars, (at, c)) in pending.char_indices().enumerate() {
        if c == '\n' {
            return Some((at, at + 1));
        }
        if n_chars >= width {
            // Without a gap the line is cut where it is full.
            return Some(last_gap.map_or((at, at), |gap| (gap, gap + 1)));
        }
        if c == ' ' && n_chars > 0 {
            last_gap = Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], width: Option<usize>, expected: &[&str]) {
        let mut stream = Stream::default();
        let mut lines = Vec::new();
        for piece in pieces {
            lines.extend(stream.push(TextChannel::Text, piece, width));
        }
        lines.extend(stream.finish());
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn lines_are_whole_or_wrapped_at_a_word() {
        check(&["one ", "line\ntwo"], None, &["one line", "two"]);
        check(&["a\n\nb\r\n"], None, &["a", "", "b"]);
        check(&["the quick brown fox"], Some(10), &["the quick", "brown fox"]);
        check(&["incomprehensible"], Some(6), &["incomp", "rehens", "ible"]);
        check(&["ünïcödé ünïcödé"], Some(8), &["ünïcödé", "ünïcödé"]);
        check(&["", "\n"], None, &[""]);
    }

    #[test]
    fn a_text_is_wrapped_only_where_there_is_a_width() {
        assert_eq!(wrapped("the quick brown fox", Some(10)), ["the quick", "brown fox"]);
        assert_eq!(wrapped("the quick brown fox", None), ["the quick brown fox"]);
        assert_eq!(wrapped("", Some(10)), [""]);
    }

    #[test]
    fn how_the_text_was_cut_makes_no_difference() {
        let text = "A first line,\nand a second that is much longer than the terminal is wide. x";
        let mut whole = Stream::default();
        let mut expected = whole.push(TextChannel::Text, text, Some(20));
        expected.extend(whole.finish());
        for size in 1..text.len() {
            let mut stream = Stream::default();
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                let piece = std::str::from_utf8(piece).unwrap_or_default();
                lines.extend(stream.push(TextChannel::Text, piece, Some(20)));
            }
            lines.extend(stream.finish());
            assert_eq!(lines, expected, "pieces of {size}");
        }
    }

    #[test]
    fn reasoning_is_short_and_never_shares_a_line_with_text() {
        let mut stream = Stream::default();
        let mut lines = stream.push(TextChannel::Reasoning, "1\n2\n3\n4\n5\nand", None);
        lines.extend(stream.push(TextChannel::Text, "so: 6", None));
        lines.extend(stream.finish());
        let shown: Vec<(TextChannel, &str)> =
            lines.iter().map(|line| (line.channel, line.text.as_str())).collect();
        use TextChannel::{Reasoning, Text};
        assert_eq!(
            shown,
            [(Reasoning, "1"), (Reasoning, "2"), (Reasoning, "3 …"), (Text, "so: 6")]
        );
    }
}
