//! Text of servers, made fit to be read.

/// An escape sequence that has no end within this many characters is none.
const ESCAPE_MAX: usize = 4_096;

/// Returns the text without what a terminal would act on and what a reader would not see:
/// escape sequences, control characters, reversed writing, invisible tags.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\u{1b}' => rest = after_escape(rest),
            '\u{9b}' => rest = after_sequence(rest),
            '\r' => {
                if !rest.starts_with('\n') {
                    clean.push('\n');
                }
            }
            '\n' | '\t' => clean.push(c),
            _ if c.is_control() || is_hidden(c) => {}
            _ => clean.push(c),
        }
    }
    clean
}

/// Returns the text on one line, for names and short messages.
pub(super) fn line(text: &str, bytes_max: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    head(&clean(&words.join(" ")), bytes_max)
}

/// Returns the text's beginning, with a mark where it was cut.
pub(super) fn head(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", &text[..floor(text, bytes_max)])
}

/// Returns the text's beginning and end, with words on what was left out between.
pub(super) fn head_and_tail(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    // The end says how a listing or a log came out, and needs less room.
    let head = floor(&text, bytes_max / 4 * 3);
    let mut tail = text.len() - bytes_max / 4;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let left_out = tail - head;
    let total = text.len();
    format!("{}\n[… {left_out} of {total} bytes left out …]\n{}", &text[..head], &text[tail..])
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Returns what follows an escape sequence, of which the escape character is already gone.
fn after_escape(rest: &str) -> &str {
    match rest.chars().next() {
        Some('[') => after_sequence(&rest[1..]),
        // Strings: titles, links, images. They end with a bell or an escape and a backslash.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let text = &rest[1..];
            for (n, (at, c)) in text.char_indices().enumerate() {
                match c {
                    '\u{7}' => return &text[at + 1..],
                    '\u{1b}' => return text[at + 1..].strip_prefix('\\').unwrap_or(&text[at..]),
                    _ if n == ESCAPE_MAX => return text,
                    _ => {}
                }
            }
            text
        }
        Some(c) if c.is_ascii() => &rest[1..],
        _ => rest,
    }
}

/// Returns what follows a control sequence, of which the introducer is already gone.
fn after_sequence(rest: &str) -> &str {
    let end = rest.char_indices().find(|&(_, c)| !matches!(c, '\u{20}'..='\u{3f}'));
    match end {
        Some((at, '\u{40}'..='\u{7e}')) => &rest[at + 1..],
        Some((at, _)) => &rest[at..],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(clean(text), expected, "{text:?}");
    }

    #[test]
    fn nothing_is_left_for_a_terminal_to_act_on() {
        check("a\u{1b}[31mred\u{1b}[0m b", "ared b");
        check("a\u{1b}]0;title\u{7}b", "ab");
        check("a\u{1b}]8;;http://x\u{1b}\\link", "alink");
        check("a\u{1b}]never ends", "anever ends");
        check("a\u{9b}2Jb\u{0}c\u{8}d\u{7f}", "abcd");
        check("one\r\ntwo\rthree\tfour", "one\ntwo\nthree\tfour");
        check("evil\u{202e}txt.exe\u{e0041}", "eviltxt.exe");
        check("ends\u{1b}", "ends");
        check("ends\u{1b}[", "ends");
        check("héllo 👩‍🚀", "héllo 👩‍🚀");
    }

    #[test]
    fn cuts_fall_between_characters_and_say_what_is_missing() {
        assert_eq!(head("ééé", 3), "é…");
        let text = head_and_tail("é".repeat(100), 41);
        assert!(text.starts_with("ééé") && text.ends_with("ééé"), "{text}");
        assert!(text.contains("160 of 200 bytes left out"), "{text}");
        assert_eq!(line(" a \n b\tc ", 100), "a b c");
    }
}
