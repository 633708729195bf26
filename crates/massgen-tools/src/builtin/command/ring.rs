//! What a program printed, with a bound: the end is kept, the middle goes.

/// The end of a text that grows, and from where it was not read yet.
#[derive(Debug, Default)]
pub struct Ring {
    kept: String,
    bytes_max: usize,
    /// Bytes that came before what is kept.
    n_gone: u64,
    /// Bytes that were handed out or skipped.
    n_read: u64,
}

impl Ring {
    pub fn new(bytes_max: usize) -> Ring {
        Ring { bytes_max, ..Ring::default() }
    }

    pub fn push(&mut self, text: &str) {
        self.kept.push_str(text);
        // Twice the bound before anything moves, so that each byte moves once.
        if self.kept.len() > self.bytes_max * 2 {
            self.shorten();
        }
    }

    /// Returns what came since the last call, and how many bytes of it are lost.
    pub fn news(&mut self) -> (String, u64) {
        self.shorten();
        let lost = self.n_gone.saturating_sub(self.n_read);
        let from = usize::try_from(self.n_read.saturating_sub(self.n_gone)).unwrap_or(usize::MAX);
        let news = self.kept.get(from..).unwrap_or_default().to_owned();
        self.n_read = self.n_gone + self.kept.len() as u64;
        (news, lost)
    }

    /// Returns how many bytes were not read yet.
    pub fn n_new(&self) -> u64 {
        self.n_gone + self.kept.len() as u64 - self.n_read
    }

    fn shorten(&mut self) {
        let mut cut = self.kept.len().saturating_sub(self.bytes_max);
        while !self.kept.is_char_boundary(cut) {
            cut += 1;
        }
        self.kept.drain(..cut);
        self.n_gone += cut as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end_and_counts_the_rest() {
        let mut ring = Ring::new(4);
        ring.push("ab");
        assert_eq!(ring.news(), ("ab".to_owned(), 0));
        assert_eq!(ring.news(), (String::new(), 0));
        ring.push("cdefgh");
        assert_eq!(ring.n_new(), 6);
        assert_eq!(ring.news(), ("efgh".to_owned(), 2));
        for _ in 0..1_000 {
            ring.push("éé");
        }
        assert_eq!(ring.news(), ("éé".to_owned(), 3_996));
        ring.push("xé");
        assert!(ring.kept.len() <= 8);
        assert_eq!(ring.news().0, "xé");
    }
}
