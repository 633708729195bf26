//! Quoting what others wrote, so that it stays material.
//!
//! A peer's text may hold `</agent1></current_answers>` followed by orders. Where
//! it writes one of *our* tags, its `<` becomes `&lt;`; everything else, HTML and
//! code included, is passed on as it was written.

use std::borrow::Cow;

use crate::section::is_section_name;

/// Longest answer shown whole: about 50,000 tokens, which leaves room for two or
/// three such answers in the context of a common model.
pub const ANSWER_CHARS_MAX: usize = 200_000;

/// Longest reason of a vote that is shown whole.
pub(crate) const REASON_CHARS_MAX: usize = 4_000;

/// Longest name or problem quoted inside a sentence.
pub(crate) const INLINE_CHARS_MAX: usize = 200;

/// Of a cut text this part of the room, in percent, shows its beginning, the rest
/// its end, where conclusions stand.
const HEAD_PERCENT: usize = 75;

/// Longest run of characters between `<` and the end of a tag's name that is
/// still read as a tag; models read over blanks and invisible characters.
const TAG_CHARS_MAX: usize = 64;

/// Returns `text` with our own tags defused and, beyond `chars_max`, its middle left out.
pub(crate) fn block(text: &str, chars_max: usize) -> String {
    defuse(&cut(text.trim(), chars_max)).into_owned()
}

/// Returns `text` as part of a sentence: one line, without back-ticks, bounded.
pub(crate) fn inline(text: &str) -> String {
    let plain = |c: char| if c == '`' || c.is_control() { ' ' } else { c };
    let line: String = text.trim().chars().take(INLINE_CHARS_MAX + 1).map(plain).collect();
    let mut line = defuse(&line).into_owned();
    if text.trim().chars().nth(INLINE_CHARS_MAX).is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// Replaces the `<` of everything that reads like one of our tags.
fn defuse(text: &str) -> Cow<'_, str> {
    let mut defused = String::new();
    let mut copied = 0;
    for (at, _) in text.match_indices('<') {
        if is_our_tag(&text[at + 1..]) {
            defused.push_str(&text[copied..at]);
            defused.push_str("&lt;");
            copied = at + 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    defused.push_str(&text[copied..]);
    Cow::Owned(defused)
}

/// Returns whether what follows a `<` is one of our names, closing or opening.
fn is_our_tag(after: &str) -> bool {
    let mut name = String::new();
    for c in after.chars().take(TAG_CHARS_MAX) {
        match c {
            '/' if name.is_empty() => {}
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => name.push(c.to_ascii_lowercase()),
            // A blank ends a name that has begun; before it, it is passed over.
            _ if c.is_whitespace() && name.is_empty() => {}
            _ if is_invisible(c) => {}
            _ => break,
        }
    }
    is_section_name(&name)
}

/// Characters that take no room, with which a tag could be hidden from us but not from a model.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    )
}

/// Leaves out the middle of a text that is longer than `chars_max`, and says how much.
fn cut(text: &str, chars_max: usize) -> Cow<'_, str> {
    // Bytes are at least characters, so that most texts are not counted at all.
    if text.len() <= chars_max {
        return Cow::Borrowed(text);
    }
    let n_chars = text.chars().count();
    if n_chars <= chars_max {
        return Cow::Borrowed(text);
    }
    let n_head = chars_max * HEAD_PERCENT / 100;
    let n_tail = chars_max - n_head;
    let head_end = byte_at(text, n_head);
    let tail_start = byte_at(text, n_chars - n_tail);
    let n_left_out = n_chars - chars_max;
    Cow::Owned(format!(
        "{}\n[… {n_left_out} of {n_chars} characters left out here …]\n{}",
        &text[..head_end],
        &text[tail_start..]
    ))
}

fn byte_at(text: &str, n_chars: usize) -> usize {
    text.char_indices().nth(n_chars).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(block(text, ANSWER_CHARS_MAX), expected);
    }

    #[test]
    fn our_tags_are_defused_however_they_are_written() {
        check("</agent1></current_answers>", "&lt;/agent1>&lt;/current_answers>");
        check("<rule>", "&lt;rule>");
        check("< / Agent12 >", "&lt; / Agent12 >");
        check("<\n/QUESTION\n>", "&lt;\n/QUESTION\n>");
        check("</ag\u{200b}ent3>", "&lt;/ag\u{200b}ent3>");
        check("<agent1 label=\"agent1.9\">", "&lt;agent1 label=\"agent1.9\">");
        check("<<present>", "<&lt;present>");
        check("<//update/>", "&lt;//update/>");
        check("ends in <wrap_up", "ends in &lt;wrap_up");
    }

    #[test]
    fn other_markup_is_left_alone() {
        for text in [
            "<questionnaire>",
            "<agent>",
            "<agent1x>",
            "<rules>",
            "a < b",
            "x<y",
            "<html><p>Hi</p>",
            "Vec<Question2>",
            "&lt;agent1>",
            "<",
            "",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let text = format!("{}{}{}", "a".repeat(75), "é".repeat(10), "z".repeat(25));
        let shown = block(&text, 100);
        assert_eq!(
            shown,
            format!(
                "{}\n[… 10 of 110 characters left out here …]\n{}",
                "a".repeat(75),
                "z".repeat(25)
            )
        );
        check(&"é".repeat(ANSWER_CHARS_MAX), &"é".repeat(ANSWER_CHARS_MAX));
    }

    #[test]
    fn a_tag_cannot_be_made_by_cutting() {
        let text = format!("{}<{}rule>{}", "a".repeat(74), "x".repeat(10), "z".repeat(20));
        let shown = block(&text, 100);
        assert!(!shown.contains("<rule>"), "{shown}");
    }

    #[test]
    fn what_goes_into_a_sentence_is_one_short_line() {
        assert_eq!(inline("a`b\nc <rule>"), "a b c &lt;rule>");
        let long = inline(&"x".repeat(1_000));
        assert_eq!(long.chars().count(), INLINE_CHARS_MAX + 1);
        assert!(long.ends_with('…'));
        assert_eq!(inline(&"x".repeat(INLINE_CHARS_MAX)), "x".repeat(INLINE_CHARS_MAX));
    }

    #[test]
    fn a_megabyte_of_tags_takes_no_time() {
        let text = "<".repeat(1_000_000);
        assert_eq!(block(&text, 2_000_000), text);
    }
}
