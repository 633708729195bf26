//! Secrets that come in pieces.

use massgen_log::{Redactor, StreamRedactor};
use proptest::prelude::*;
use std::sync::Arc;

use crate::fixture::{KEY, redactor};
use crate::redaction::foreign;

fn stream(redactor: &Arc<Redactor>, pieces: &[&str]) -> Vec<String> {
    let mut stream = StreamRedactor::new(Arc::clone(redactor));
    let mut shown: Vec<String> = pieces.iter().map(|piece| stream.push(piece)).collect();
    shown.push(stream.flush());
    shown
}

#[test]
fn a_secret_split_anywhere_is_never_shown() {
    let redactor = redactor();
    for secret in [KEY, &foreign()[0], "Bearer abcDEF0123456789xyz"] {
        let text = format!("the key is {secret}, isn't it? {secret}");
        let expected = redactor.redact(&text).into_owned();
        assert!(expected.matches("[redacted]").count() == 2, "{expected}");
        for first in 0..=text.len() {
            for second in first..=text.len() {
                if !text.is_char_boundary(first) || !text.is_char_boundary(second) {
                    continue;
                }
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(stream(&redactor, &pieces).concat(), expected, "{pieces:?}");
            }
        }
    }
}

#[test]
fn text_that_cannot_be_a_secret_passes_at_once() {
    let pieces = ["Hello", " world", ", it", " is 6 × 7", "\n", "漢字", "!"];
    let shown = stream(&redactor(), &pieces);
    assert_eq!(shown[..pieces.len()], pieces);
    assert_eq!(shown[pieces.len()], "");
}

#[test]
fn what_may_begin_a_secret_is_held_until_it_is_decided() {
    let shown = stream(&redactor(), &["a hus", "h", "-7", " d", " s", "k", "-2 e", " hush-"]);
    assert_eq!(shown, ["a ", "", "", "hush-7 d", " ", "", "sk-2 e", " ", "hush-"]);
}

#[test]
fn a_key_without_an_end_is_swallowed_and_not_hoarded() {
    let mut stream = StreamRedactor::new(redactor());
    let mut shown = stream.push("take sk-A1");
    let mut longest_wait = 0;
    for n in 0..10_000 {
        let piece = stream.push("b2C3d4E5f6");
        longest_wait =
            if piece.is_empty() && !shown.contains("[redacted]") { n } else { longest_wait };
        shown.push_str(&piece);
    }
    shown.push_str(&stream.push(" and go"));
    shown.push_str(&stream.flush());
    assert_eq!(shown, "take [redacted] and go");
    assert!(longest_wait < 100, "{longest_wait}");
}

#[test]
fn a_long_word_that_is_no_key_passes() {
    let word = "sk-".to_owned() + &"a-b".repeat(1_000);
    let pieces: Vec<&str> =
        word.as_bytes().chunks(10).map(|c| str::from_utf8(c).unwrap()).collect();
    assert_eq!(stream(&redactor(), &pieces).concat(), word);
}

#[test]
fn a_stream_can_be_used_again_after_its_end() {
    let mut stream = StreamRedactor::new(redactor());
    assert_eq!(stream.push("hush-7") + &stream.flush(), "hush-7");
    assert_eq!(stream.push("f\"quoted") + &stream.flush(), "f\"quoted");
}

proptest! {
    /// Whatever the pieces, the stream shows what the whole text redacted shows.
    #[test]
    fn pieces_come_to_the_same_as_the_whole(
        words in prop::collection::vec(
            prop_oneof![
                Just(KEY.to_owned()),
                Just(KEY[..9].to_owned()),
                Just(foreign().remove(0)),
                Just("sk-".to_owned()),
                Just("Bearer ".to_owned()),
                Just("\\n".to_owned()),
                Just("aB3".to_owned()),
                Just(" ".to_owned()),
                "[a-zA-Z0-9 é漢-]{0,12}",
            ],
            0..12,
        ),
        cuts in prop::collection::vec(1..9_usize, 1..60),
    ) {
        let text = words.concat();
        let redactor = redactor();
        let mut stream = StreamRedactor::new(Arc::clone(&redactor));
        let mut shown = String::new();
        let mut cuts = cuts.into_iter().cycle();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let mut cut = cuts.next().unwrap_or(1).min(rest.len());
            while !rest.is_char_boundary(cut) {
                cut += 1;
            }
            shown.push_str(&stream.push(&rest[..cut]));
            rest = &rest[cut..];
        }
        shown.push_str(&stream.flush());
        prop_assert_eq!(shown, redactor.redact(&text));
    }
}
