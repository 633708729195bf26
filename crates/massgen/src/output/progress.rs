//! Where progress goes. Losing it loses nothing of the run.

use std::io::{self, Write};

/// Writes as long as it can. A reader that has gone away, or a full disk behind
/// a redirection, must not end a run that people pay for: from the first refusal
/// on it writes nothing more and says so to nobody.
pub struct Progress<W: Write> {
    out: W,
    is_lost: bool,
}

impl<W: Write> Progress<W> {
    pub fn new(out: W) -> Progress<W> {
        Progress { out, is_lost: false }
    }

    /// Returns what was written to.
    #[cfg(test)]
    pub fn into_inner(self) -> W {
        self.out
    }

    fn attempt(&mut self, act: impl FnOnce(&mut W) -> io::Result<()>) {
        self.is_lost = self.is_lost || act(&mut self.out).is_err();
    }
}

impl<W: Write> Write for Progress<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| out.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(Write::flush);
        Ok(())
    }
}

/// Returns stderr as progress.
pub fn stderr() -> Progress<io::Stderr> {
    Progress::new(io::stderr())
}

/// Tells people something beside the progress.
pub fn tell(text: &str) {
    // A progress never refuses.
    let _ = writeln!(stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Refuses after some writes, and then takes again.
    struct Moody(Vec<u8>, u32);

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1 == 2 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_follows_what_was_refused() {
        let mut progress = Progress::new(Moody(Vec::new(), 0));
        for text in ["one\n", "two\n", "three\n"] {
            progress.write_all(text.as_bytes()).unwrap();
        }
        progress.flush().unwrap();
        assert_eq!(progress.into_inner().0, b"one\n");
    }
}
