//! Text of others, made safe for a terminal.
//!
//! What a model writes is not ours: an escape sequence in it could move the
//! cursor, retitle the window or hide what was said before. Everything a
//! terminal would obey is taken out, everything it would show stays.

use std::borrow::Cow;

const ESCAPE: char = '\u{1b}';
const BELL: char = '\u{7}';
/// One-character forms of `ESC [` and of `ESC ]`, `ESC P`, `ESC X`, `ESC ^`, `ESC _`.
const CSI: char = '\u{9b}';
const STRINGS: [char; 5] = ['\u{9d}', '\u{90}', '\u{98}', '\u{9e}', '\u{9f}'];
/// One-character form of `ESC \`, which ends a string.
const STRING_END: char = '\u{9c}';

/// Returns `text` without control characters and escape sequences; newlines and tabs stay.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => match chars.peek().copied() {
                Some('[') => {
                    chars.next();
                    skip_csi(&mut chars);
                }
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    chars.next();
                    skip_string(&mut chars);
                }
                // `ESC ( B`: intermediates, then one final character.
                Some(' '..='/') => {
                    while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
                    chars.next_if(|c| ('0'..='~').contains(c));
                }
                Some('0'..='~') => {
                    chars.next();
                }
                Some(_) | None => {}
            },
            CSI => skip_csi(&mut chars),
            c if STRINGS.contains(&c) => skip_string(&mut chars),
            c if is_obeyed(c) => {}
            c => cleaned.push(c),
        }
    }
    Cow::Owned(cleaned)
}

/// Returns the beginning of `text` on one line.
pub fn one_line(text: &str, chars_max: usize) -> String {
    massgen_view::words::preview(&clean(text), chars_max)
}

/// Whether a terminal acts on the character instead of showing it.
fn is_obeyed(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c => c.is_control() || massgen_view::words::is_bidi_control(c),
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips parameters and the final character. One that is broken off by something
/// else costs only what belongs to it.
fn skip_csi(chars: &mut Chars<'_>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

/// Skips to the string's end. Without one, to the line's end: a title that
/// never ends must not swallow the rest of an answer.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(&c) = chars.peek() {
        if c == '\n' {
            return;
        }
        chars.next();
        if c == BELL || c == STRING_END {
            return;
        }
        if c == ESCAPE {
            chars.next_if(|&c| c == '\\');
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dirty: &str, expected: &str) {
        assert_eq!(clean(dirty), expected, "{dirty:?}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        check("plain — ünïcode 中文 👩‍🚀\tand\nlines", "plain — ünïcode 中文 👩‍🚀\tand\nlines");
        check("\x1b[31mred\x1b[0m", "red");
        check("\x1b[2J\x1b[1;1Hgone", "gone");
        check("\x1b]0;title\x07text", "text");
        check("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link");
        check("\x1bP1$qm\x1b\\dcs", "dcs");
        check("\x1b(Bcharset\x1bc", "charset");
        check("\u{9b}31mc1\u{9d}0;t\u{9c}!", "c1!");
        check("over\rwrite\x08\x07\x00\x7f", "overwrite");
        check("\u{202e}desrever\u{2066}\u{200f}\u{61c}", "desrever");
    }

    #[test]
    fn a_sequence_that_is_cut_off_swallows_no_more_than_its_line() {
        check("\x1b]0;never ends\nnext line", "\nnext line");
        check("\x1b[31", "");
        check("\x1b", "");
        check("\x1b[31\nnext", "\nnext");
        check("\x1b\n", "\n");
    }

    #[test]
    fn nothing_that_is_obeyed_comes_out_of_any_short_text() {
        // Every text of four characters over an alphabet of all that matters.
        let alphabet: Vec<char> = "\x1b[];\\\x07\n0mP\u{9b}\u{9d}\u{9c}a".chars().collect();
        for n in 0..alphabet.len().pow(4) {
            let text: String =
                (0..4).map(|at| alphabet[n / alphabet.len().pow(at) % alphabet.len()]).collect();
            assert!(!clean(&text).chars().any(is_obeyed), "{text:?}");
        }
    }
}
