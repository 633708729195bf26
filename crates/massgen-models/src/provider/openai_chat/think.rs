//! Reasoning that comes inside the text, between `<think>` tags.
//!
//! Only at the start of a reply: a model that writes about the tag later is
//! not thinking. Tags may come in pieces, and nest.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Which of the two a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Text,
    Reasoning,
}

#[derive(Debug)]
pub(crate) struct Splitter(State);

#[derive(Debug)]
enum State {
    /// Nothing but what may become the opening tag has come.
    Start {
        held: String,
    },
    Inside {
        depth: usize,
        held: String,
    },
    /// The rest is text.
    Through,
}

impl Default for Splitter {
    fn default() -> Splitter {
        Splitter(State::Start { held: String::new() })
    }
}

impl Splitter {
    /// Takes the next piece of the content in; `say` gets what it is known to be.
    pub(crate) fn push(&mut self, piece: String, say: &mut impl FnMut(Voice, String)) {
        match &mut self.0 {
            State::Through => say(Voice::Text, piece),
            State::Start { held } => {
                held.push_str(&piece);
                let begun = held.trim_start();
                if let Some(rest) = begun.strip_prefix(OPEN) {
                    let rest = rest.to_owned();
                    self.0 = State::Inside { depth: 1, held: String::new() };
                    self.inside(rest, say);
                } else if !OPEN.starts_with(begun) {
                    let text = std::mem::take(held);
                    self.0 = State::Through;
                    say(Voice::Text, text);
                }
            }
            State::Inside { .. } => self.inside(piece, say),
        }
    }

    /// Says what was held back when no more comes.
    pub(crate) fn finish(&mut self, say: &mut impl FnMut(Voice, String)) {
        match std::mem::replace(&mut self.0, State::Through) {
            State::Start { held } if !held.is_empty() => say(Voice::Text, held),
            State::Inside { held, .. } if !held.is_empty() => say(Voice::Reasoning, held),
            State::Start { .. } | State::Inside { .. } | State::Through => {}
        }
    }

    fn inside(&mut self, piece: String, say: &mut impl FnMut(Voice, String)) {
        let State::Inside { depth, held } = &mut self.0 else { return };
        held.push_str(&piece);
        let text = std::mem::take(held);
        let mut at = 0;
        while let Some(found) = text[at..].find('<') {
            let tag = &text[at + found..];
            if tag.starts_with(OPEN) {
                *depth += 1;
                at += found + OPEN.len();
            } else if tag.starts_with(CLOSE) {
                *depth -= 1;
                let close = at + found;
                at = close + CLOSE.len();
                if *depth == 0 {
                    if close > 0 {
                        say(Voice::Reasoning, text[..close].to_owned());
                    }
                    self.0 = State::Through;
                    if at < text.len() {
                        say(Voice::Text, text[at..].to_owned());
                    }
                    return;
                }
            } else if OPEN.starts_with(tag) || CLOSE.starts_with(tag) {
                // May go on as a tag.
                *held = tag.to_owned();
                let sure = text.len() - tag.len();
                if sure > 0 {
                    say(Voice::Reasoning, text[..sure].to_owned());
                }
                return;
            } else {
                at += found + 1;
            }
        }
        if !text.is_empty() {
            say(Voice::Reasoning, text);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let (mut reasoning, mut text) = (String::new(), String::new());
        let mut say = |voice, piece: String| match voice {
            Voice::Text => text.push_str(&piece),
            Voice::Reasoning => reasoning.push_str(&piece),
        };
        let mut splitter = Splitter::default();
        for piece in pieces {
            splitter.push((*piece).to_owned(), &mut say);
        }
        splitter.finish(&mut say);
        (reasoning, text)
    }

    #[track_caller]
    fn check(content: &str, reasoning: &str, text: &str) {
        let expected = (reasoning.to_owned(), text.to_owned());
        assert_eq!(split(&[content]), expected);
        for at in (0..=content.len()).filter(|&at| content.is_char_boundary(at)) {
            assert_eq!(split(&[&content[..at], &content[at..]]), expected, "split at {at}");
        }
        let characters: Vec<String> = content.chars().map(String::from).collect();
        let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
        assert_eq!(split(&characters), expected, "one by one");
    }

    #[test]
    fn thinking_is_told_from_speaking() {
        check("8 Gpc", "", "8 Gpc");
        check("<think>é, hm</think>8", "é, hm", "8");
        check("\n <think>a<think>b</think>c</think>\n8", "a<think>b</think>c", "\n8");
        check("<think>1 < 2, </thin, <thi</think>", "1 < 2, </thin, <thi", "");
        check("<think>never closed </thi", "never closed </thi", "");
        check("<think></think>", "", "");
        check("<thin", "", "<thin");
        check("<thinker>", "", "<thinker>");
        check("I <think>so</think>", "", "I <think>so</think>");
        check("<think>a</think>b<think>c</think>", "a", "b<think>c</think>");
        check("  \n", "", "  \n");
        check("", "", "");
    }
}
