//! Ids of tool calls as a server takes them.
//!
//! They come from every provider an agent has had. A call and its result keep one id
//! between them, and a conversation that grows keeps all it had.

use std::collections::BTreeMap;

/// What ids have to look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// Any text that is not too long.
    #[default]
    AsGiven,
    /// Mistral: nine letters and digits.
    NineCharacters,
    /// Kimi: `functions.NAME:N`, counted through the conversation.
    Counted,
}

/// OpenAI's own bound.
const ID_BYTES_MAX: usize = 40;
const NINE: usize = 9;

#[derive(Debug, Default)]
pub(super) struct Ids {
    style: Style,
    known: BTreeMap<String, String>,
}

impl Ids {
    pub(super) fn new(style: Style) -> Ids {
        Ids { style, known: BTreeMap::new() }
    }

    /// Returns the id of a call, or of its result.
    pub(super) fn of(&mut self, id: &str, name: &str) -> String {
        if let Some(known) = self.known.get(id) {
            return known.clone();
        }
        let fits = match self.style {
            Style::AsGiven => id.len() <= ID_BYTES_MAX,
            Style::NineCharacters => {
                id.len() == NINE && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }
            Style::Counted => false,
        };
        let fitted = match self.style {
            _ if fits => id.to_owned(),
            Style::AsGiven => format!("call_{:016x}", hash(id)),
            Style::NineCharacters => base36(hash(id)),
            Style::Counted => format!("functions.{name}:{}", self.known.len()),
        };
        self.known.insert(id.to_owned(), fitted.clone());
        fitted
    }
}

/// Stays the same in every build, as a resumed run has to send what it sent before (FNV-1a).
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn base36(mut number: u64) -> String {
    let mut digits = String::with_capacity(NINE);
    for _ in 0..NINE {
        digits.extend(char::from_digit((number % 36) as u32, 36));
        number /= 36;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_and_its_result_keep_one_id() {
        let mut ids = Ids::new(Style::NineCharacters);
        assert_eq!(ids.of("aB3456789", "vote"), "aB3456789");
        for id in ["functions.vote:0", "call_2_0", "call-2345", ""] {
            let fitted = ids.of(id, "vote");
            assert!(fitted.len() == 9 && fitted.bytes().all(|b| b.is_ascii_alphanumeric()));
            assert_eq!(ids.of(id, "other"), fitted);
            assert_eq!(Ids::new(Style::NineCharacters).of(id, "vote"), fitted, "the same later");
        }
        let mut ids = Ids::new(Style::Counted);
        assert_eq!(ids.of("x", "vote"), "functions.vote:0");
        assert_eq!(ids.of("y", "submit"), "functions.submit:1");
        assert_eq!(ids.of("x", "vote"), "functions.vote:0");
        let mut ids = Ids::new(Style::AsGiven);
        assert_eq!(ids.of("functions.vote:0", "vote"), "functions.vote:0");
        let long = "x".repeat(100);
        assert!(ids.of(&long, "vote").len() <= ID_BYTES_MAX);
    }
}
