//! Failures as they may be shown: bounded, on one line, without secrets.

use massgen_protocol::{CallFailure, FailureKind, Secret};

/// A failure's message is for people and for one line of the log.
pub(crate) const MESSAGE_BYTES_MAX: usize = 600;
/// Shorter texts are no keys, and replacing them would garble messages.
const KEY_BYTES_MIN: usize = 6;
/// What stands for a key that a server repeated.
const REDACTED: &str = "[key]";

/// Makes failures that never hold the key they were made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    key: Option<Secret>,
}

impl Failures {
    pub(crate) fn new(key: Option<Secret>) -> Failures {
        Failures { key }
    }

    pub(crate) fn of(&self, kind: FailureKind, message: &str) -> CallFailure {
        CallFailure { kind, message: self.clean(message), status: None, retry_after_ms: None }
    }

    /// Returns the text on one line, bounded, the key and its like replaced.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut clean = match &self.key {
            Some(key) if key.expose().len() >= KEY_BYTES_MIN => {
                text.replace(key.expose(), REDACTED)
            }
            Some(_) | None => text.to_owned(),
        };
        clean = without_user_info(&without_bearer(&clean));
        clean = clean.split(|c: char| c.is_whitespace() || c.is_control()).fold(
            String::with_capacity(clean.len()),
            |mut line, word| {
                if !line.is_empty() && !word.is_empty() {
                    line.push(' ');
                }
                line + word
            },
        );
        if clean.len() > MESSAGE_BYTES_MAX {
            clean.truncate(clean.floor_char_boundary(MESSAGE_BYTES_MAX));
            clean.push('…');
        }
        clean
    }
}

/// Replaces what follows `Bearer`: some servers repeat the header they refuse.
fn without_bearer(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.to_ascii_lowercase().find("bearer ") {
        let token = at + "bearer ".len();
        let end = rest[token..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.~+/=*".contains(c)))
            .map_or(rest.len(), |end| token + end);
        out.push_str(&rest[..token]);
        if end - token >= KEY_BYTES_MIN {
            out.push_str(REDACTED);
        } else {
            out.push_str(&rest[token..end]);
        }
        rest = &rest[end..];
    }
    out + rest
}

/// Replaces `user:password@` in URLs.
fn without_user_info(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let authority = at + 3;
        let end = rest[authority..]
            .find(|c: char| c.is_whitespace() || "/?#\"'`)".contains(c))
            .map_or(rest.len(), |end| authority + end);
        out.push_str(&rest[..authority]);
        let host = match rest[authority..end].rfind('@') {
            Some(user_info) => &rest[authority + user_info + 1..end],
            None => &rest[authority..end],
        };
        out.push_str(host);
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_bounded_clean_and_without_keys() {
        let failures = Failures::new(Some(Secret::new("sk-very-secret")));
        let check = |text: &str, expected: &str| assert_eq!(failures.clean(text), expected);
        check("Incorrect key: sk-very-secret.", "Incorrect key: [key].");
        check("got Authorization: Bearer abcdef-123, no", "got Authorization: Bearer [key], no");
        check("a bearer of news", "a bearer of news");
        check("at https://me:pw@host:8/v1?x=@y and", "at https://host:8/v1?x=@y and");
        check(" two\n\tlines \u{1b}[31mred", "two lines [31mred");
        check("", "");
        let long = failures.clean(&"ü".repeat(10_000));
        assert!(long.len() <= MESSAGE_BYTES_MAX + '…'.len_utf8() && long.ends_with('…'));
    }

    #[test]
    fn a_short_key_does_not_garble_messages() {
        let failures = Failures::new(Some(Secret::new("a")));
        assert_eq!(failures.clean("a banana"), "a banana");
    }
}
