//! When a text is not a new answer: it is empty, it exists, or it hardly differs.

use massgen_protocol::{AnswerId, AnswerNovelty, Rejection};

/// A text prepared for comparison, once, when it is submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Hash of the text with its whitespace collapsed.
    whole: u64,
    /// Hashes of the distinct lower-cased words, sorted; empty where no novelty is asked for.
    set: Vec<u64>,
}

/// An answer to compare with.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub answer: AnswerId,
    pub text: &'a str,
    pub words: &'a Words,
}

impl Words {
    pub fn of(text: &str, novelty: AnswerNovelty) -> Words {
        let mut whole = Fnv::new();
        for word in text.split_whitespace() {
            whole.write(word.as_bytes());
            whole.write(b" ");
        }
        let mut set: Vec<u64> = match allowed_percent(novelty) {
            None => Vec::new(),
            Some(_) => text.split_whitespace().map(hash_lower_case).collect(),
        };
        set.sort_unstable();
        set.dedup();
        Words { whole: whole.0, set }
    }

    /// Returns the number of common words and of all words of both.
    fn overlap(&self, other: &Words) -> (usize, usize) {
        let (mut left, mut right) = (self.set.iter().peekable(), other.set.iter().peekable());
        let mut n_common = 0;
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            match a.cmp(b) {
                std::cmp::Ordering::Less => _ = left.next(),
                std::cmp::Ordering::Greater => _ = right.next(),
                std::cmp::Ordering::Equal => {
                    n_common += 1;
                    left.next();
                    right.next();
                }
            }
        }
        (n_common, self.set.len() + other.set.len() - n_common)
    }
}

/// Refuses a text without a word in it.
pub fn check_empty(text: &str) -> Result<(), Rejection> {
    if text.trim().is_empty() { Err(Rejection::Empty) } else { Ok(()) }
}

/// Refuses a text that exists, whitespace aside.
pub fn check_duplicate<'a>(
    text: &str,
    words: &Words,
    known: impl Iterator<Item = Known<'a>>,
) -> Result<(), Rejection> {
    // The hash saves the reading; that texts are equal is never left to it.
    let is_same = |known: &Known| {
        known.words.whole == words.whole
            && known.text.split_whitespace().eq(text.split_whitespace())
    };
    match known.into_iter().find(is_same) {
        Some(known) => Err(Rejection::Duplicate { of: known.answer }),
        None => Ok(()),
    }
}

/// Refuses a text that shares more of its words with an answer than the policy allows.
pub fn check_novelty<'a>(
    words: &Words,
    novelty: AnswerNovelty,
    known: impl Iterator<Item = Known<'a>>,
) -> Result<(), Rejection> {
    let Some(allowed) = allowed_percent(novelty) else { return Ok(()) };
    for known in known {
        // Sets of very different size cannot share much: saves most comparisons in a large team.
        let (fewer, more) = match words.set.len().cmp(&known.words.set.len()) {
            std::cmp::Ordering::Less => (words.set.len(), known.words.set.len()),
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => {
                (known.words.set.len(), words.set.len())
            }
        };
        if fewer * 100 <= more * usize::from(allowed) {
            continue;
        }
        let (n_common, n_all) = words.overlap(known.words);
        if n_common * 100 > n_all * usize::from(allowed) {
            // Rounded up, so that what is shown is more than what is allowed, too.
            let percent = u8::try_from((n_common * 100).div_ceil(n_all)).unwrap_or(100);
            return Err(Rejection::TooSimilar { to: known.answer, percent, allowed });
        }
    }
    Ok(())
}

/// Returns the share of common words above which an answer is refused.
fn allowed_percent(novelty: AnswerNovelty) -> Option<u8> {
    match novelty {
        AnswerNovelty::Lenient => None,
        AnswerNovelty::Balanced => Some(70),
        AnswerNovelty::Strict => Some(50),
    }
}

fn hash_lower_case(word: &str) -> u64 {
    let mut hash = Fnv::new();
    for lower in word.chars().flat_map(char::to_lowercase) {
        hash.write(lower.encode_utf8(&mut [0; 4]).as_bytes());
    }
    hash.0
}

/// FNV-1a. Its values decide about answers, so they must be the same in every build,
/// which the standard library's hasher does not promise.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use massgen_protocol::AgentIndex;

    use super::*;

    const KNOWN: AnswerId = AnswerId { agent: AgentIndex(1), n: 2 };

    fn check(new: &str, old: &str, novelty: AnswerNovelty) -> Result<(), Rejection> {
        let (new_words, old_words) = (Words::of(new, novelty), Words::of(old, novelty));
        let known = || Some(Known { answer: KNOWN, text: old, words: &old_words }).into_iter();
        check_empty(new)?;
        check_duplicate(new, &new_words, known())?;
        check_novelty(&new_words, novelty, known())
    }

    #[test]
    fn a_text_without_a_word_is_no_answer() {
        for text in ["", " ", "\n\t ", "\u{a0}\u{2003}"] {
            assert_eq!(check(text, "4", AnswerNovelty::Lenient), Err(Rejection::Empty));
        }
    }

    #[test]
    fn the_same_text_is_a_duplicate_whatever_its_whitespace() {
        let same = Err(Rejection::Duplicate { of: KNOWN });
        assert_eq!(check("it is 4", "it is 4", AnswerNovelty::Lenient), same);
        assert_eq!(check(" it\n\nis\t4 ", "it is 4", AnswerNovelty::Lenient), same);
        assert_eq!(check("it is 4", "It is 4", AnswerNovelty::Lenient), Ok(()));
        assert_eq!(check("it is4", "it is 4", AnswerNovelty::Lenient), Ok(()));
    }

    #[test]
    fn novelty_is_the_share_of_common_words() {
        let too_similar =
            |percent, allowed| Err(Rejection::TooSimilar { to: KNOWN, percent, allowed });
        let ten = "a b c d e f g h i j";
        // 7 of 10 words is allowed, 8 of 11 (72.7 %) is not.
        assert_eq!(check("a b c d e f g", ten, AnswerNovelty::Balanced), Ok(()));
        assert_eq!(check("a b c d e f g h", ten, AnswerNovelty::Balanced), too_similar(80, 70));
        assert_eq!(
            check("A B C D E F G H x", ten, AnswerNovelty::Balanced),
            too_similar(73, 70),
            "case does not matter"
        );
        assert_eq!(check("a b c d e", ten, AnswerNovelty::Strict), Ok(()));
        assert_eq!(check("a b c d e f", ten, AnswerNovelty::Strict), too_similar(60, 50));
        assert_eq!(check("J I H G F E D C B A", ten, AnswerNovelty::Strict), too_similar(100, 50));
        assert_eq!(check("a a a a a a a a a a", ten, AnswerNovelty::Strict), Ok(()));
        assert_eq!(check("J I H G F E D C B A", ten, AnswerNovelty::Lenient), Ok(()));
        assert_eq!(check("ÄPFEL", "äpfel birnen", AnswerNovelty::Strict), Ok(()));
        assert_eq!(
            check("ÄPFEL Birnen", "äpfel birnen", AnswerNovelty::Strict),
            too_similar(100, 50)
        );
    }
}
