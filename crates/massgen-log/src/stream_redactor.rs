//! Redaction of text that comes in pieces.

use std::sync::Arc;

use crate::key_shape::{CONTEXT, KeyShape};
use crate::redact::replaced;
use crate::{REDACTED, Redactor};

/// What is held back of a key that is known by its shape alone. All shapes are
/// judged within so many bytes; whatever follows is swallowed, not held.
const SHAPE_HELD_MAX: usize = 512;

/// Redacts one stream of text, where a secret may be split between two pieces.
///
/// Text that cannot be part of a secret passes at once. What may be the
/// beginning of one is held back until it is decided, at most the longest
/// secret's length or 512 bytes. At the end of the stream call
/// [`StreamRedactor::flush`].
#[derive(Debug)]
pub struct StreamRedactor {
    redactor: Arc<Redactor>,
    /// What was let pass last, as far as it decides whether a word begins, and
    /// what is held back.
    text: String,
    /// Length of the first of the two.
    passed: usize,
    /// Up to here the text belongs to a secret that has passed, so no key begins in it.
    covered: usize,
    /// The key that was replaced while it was still coming; the rest of it is dropped.
    swallowing: Swallowing,
}

#[derive(Clone, Copy)]
enum Swallowing {
    Nothing,
    Key(&'static KeyShape),
}

impl std::fmt::Debug for Swallowing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Swallowing::Nothing => "Nothing",
            Swallowing::Key(_) => "Key",
        })
    }
}

impl StreamRedactor {
    pub fn new(redactor: Arc<Redactor>) -> StreamRedactor {
        let swallowing = Swallowing::Nothing;
        StreamRedactor { redactor, text: String::new(), passed: 0, covered: 0, swallowing }
    }

    /// Takes the next piece and returns what can be shown by now.
    pub fn push(&mut self, piece: &str) -> String {
        let piece = self.swallow(piece);
        self.text.push_str(piece);
        let bytes = self.text.as_bytes();
        let Some(unfinished) = self.redactor.unfinished(bytes, self.covered) else {
            return self.pass(self.text.len());
        };
        // What began in the part that has passed was judged when it passed.
        let start = unfinished.start.max(self.passed);
        if self.text.len() - start <= self.held_max() {
            // A secret that is complete may overlap the one that is not.
            let found = self.redactor.find_after(bytes, self.covered);
            let across = found.iter().find(|range| range.contains(&start));
            let end = across.map_or(start, |range| range.start.max(self.passed));
            return self.pass(end);
        }
        let Some(shape) = unfinished.key else { return self.pass(self.text.len()) };
        let key_start = (unfinished.start + shape.kept).max(self.passed);
        let mut shown = self.pass(key_start);
        shown.push_str(REDACTED);
        self.text.clear();
        (self.passed, self.covered) = (0, 0);
        self.swallowing = Swallowing::Key(shape);
        shown
    }

    /// Ends the stream and returns what was held back.
    pub fn flush(&mut self) -> String {
        let rest = self.pass(self.text.len());
        self.text.clear();
        (self.passed, self.covered) = (0, 0);
        self.swallowing = Swallowing::Nothing;
        rest
    }

    fn held_max(&self) -> usize {
        self.redactor.longest_secret().max(SHAPE_HELD_MAX)
    }

    /// Returns the piece without what still belongs to a key that was replaced.
    fn swallow<'a>(&mut self, piece: &'a str) -> &'a str {
        let Swallowing::Key(shape) = self.swallowing else { return piece };
        match piece.bytes().position(|byte| !shape.allows(byte)) {
            Some(end) => {
                self.swallowing = Swallowing::Nothing;
                &piece[end..]
            }
            None => "",
        }
    }

    /// Lets the text up to `end` pass, redacted, and forgets what no longer matters.
    fn pass(&mut self, end: usize) -> String {
        let mut found = self.redactor.find_after(&self.text.as_bytes()[..end], self.covered);
        let last = found.iter().map(|range| range.end).max().unwrap_or(0);
        // What began in the part that has passed was judged when it passed, with all that
        // stood before it; with what is left of that it may look like the start of a word.
        found.retain(|range| range.start >= self.passed);
        let shown = replaced(&self.text, self.passed..end, &found);
        let mut context = end.saturating_sub(CONTEXT);
        while !self.text.is_char_boundary(context) {
            context -= 1;
        }
        self.text.drain(..context);
        self.passed = end - context;
        self.covered = self.covered.max(last).saturating_sub(context);
        shown
    }
}
