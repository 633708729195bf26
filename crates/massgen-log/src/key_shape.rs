//! Keys that can be told by their shape, whoever they belong to.
//!
//! A model may print a key that is not among the run's own: one it found in a
//! file, or in its tools' output. The shapes here are those that providers give
//! their keys on purpose, so that they can be found.

/// What a kind of key looks like: fixed beginning, then a run of allowed bytes.
pub(crate) struct KeyShape {
    pub(crate) prefix: &'static str,
    /// Bytes after the prefix below which it is some word.
    len_min: usize,
    allowed: fn(u8) -> bool,
    /// What the key proper begins after; it is kept, for it says what was there.
    pub(crate) kept: usize,
}

/// How far into a run it is judged whether it looks random. Longer than any
/// key's random part has to be, and bounded so that a text made of prefixes
/// costs no more than its length times this.
const JUDGED_BYTES: usize = 256;

/// Sorted by nothing: the longest prefix wins where two match.
pub(crate) const KEY_SHAPES: &[KeyShape] = &[
    shape("sk-", 16, dashed),
    shape("AIza", 30, dashed),
    shape("xai-", 16, dashed),
    shape("gsk_", 16, dashed),
    shape("csk-", 16, dashed),
    shape("pplx-", 16, dashed),
    shape("nvapi-", 16, dashed),
    shape("fw_", 20, plain),
    shape("hf_", 20, plain),
    shape("r8_", 20, plain),
    shape("ghp_", 20, plain),
    shape("gho_", 20, plain),
    shape("ghu_", 20, plain),
    shape("ghs_", 20, plain),
    shape("ghr_", 20, plain),
    shape("github_pat_", 20, dashed),
    shape("glpat-", 16, dashed),
    shape("xoxb-", 16, dashed),
    shape("xoxp-", 16, dashed),
    shape("AKIA", 16, plain),
    bearer("Bearer "),
    bearer("bearer "),
];

const fn shape(prefix: &'static str, len_min: usize, allowed: fn(u8) -> bool) -> KeyShape {
    KeyShape { prefix, len_min, allowed, kept: 0 }
}

const fn bearer(prefix: &'static str) -> KeyShape {
    KeyShape { prefix, len_min: 16, allowed: token, kept: prefix.len() }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn dashed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

impl KeyShape {
    /// Returns where the run of allowed bytes ends that follows the prefix at `start`.
    pub(crate) fn run_end(&self, bytes: &[u8], start: usize) -> usize {
        let body = start + self.prefix.len();
        bytes[body..].iter().position(|&byte| !self.allows(byte)).map_or(bytes.len(), |n| body + n)
    }

    /// The same, looking no further than is needed to judge.
    pub(crate) fn judged_end(&self, bytes: &[u8], start: usize) -> usize {
        let limit = bytes.len().min(start + self.prefix.len() + JUDGED_BYTES);
        self.run_end(&bytes[..limit], start)
    }

    /// Returns whether what follows the prefix at `start` is a key and not a word.
    pub(crate) fn is_key(&self, bytes: &[u8], start: usize) -> bool {
        let body = &bytes[start + self.prefix.len()..self.judged_end(bytes, start)];
        // Keys are random: `sk-circle-fade-dot-before` is the name of a style.
        body.len() >= self.len_min
            && body.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
            && starts_word(bytes, start)
    }

    pub(crate) fn allows(&self, byte: u8) -> bool {
        (self.allowed)(byte)
    }
}

/// Returns whether a word begins at `start`: `task-1` holds no `sk-1`. In JSON
/// the letter before may be the end of an escape such as `\n`.
pub(crate) fn starts_word(bytes: &[u8], start: usize) -> bool {
    let before = &bytes[start.saturating_sub(ESCAPE_LEN)..start];
    if !before.last().is_some_and(u8::is_ascii_alphabetic) {
        return true;
    }
    let word = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    word < before.len() && before[before.len() - word - 1] == b'\\'
}

/// Length of the longest escape, `\u001b`.
const ESCAPE_LEN: usize = 6;

/// Bytes before a place that decide what begins there: an escape, and the longest
/// part of a shape that is kept.
pub(crate) const CONTEXT: usize = 16;
