//! The agent's output as lines, bounded, before the protocol's own reader sees them.
//!
//! Three faults end the connection here, each with its own words: a line without end,
//! a message that is no JSON, and more text beside the protocol than any agent's
//! stray `print` explains. A few lines of such text are passed over with a notice:
//! wrappers and package runners greet on stdout.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, stream};
use serde::de::IgnoredAny;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::sync::Notify;

/// One message: the largest useful one holds an image or a diff of a large file.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Lines beside the protocol; a program that writes more of them does not speak it.
const STRAY_LINES_MAX: usize = 32;
/// Of a line as it is quoted.
pub(super) const QUOTE_BYTES_MAX: usize = 160;
/// Updates that wait for whoever listens; then the agent waits, and its pipe fills.
const BACKLOG_MAX: usize = 1_024;

/// What reader and listener have to tell each other.
#[derive(Debug, Default)]
pub(super) struct Intake {
    backlog: AtomicUsize,
    room: Notify,
    fault: Mutex<Option<String>>,
    stray: Mutex<Vec<String>>,
}

impl Intake {
    /// Counts an update that waits to be taken.
    pub(super) fn queued(&self) {
        self.backlog.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn taken(&self, updates: usize) {
        let before = self.backlog.fetch_sub(updates, Ordering::Relaxed);
        if before >= BACKLOG_MAX && before - updates < BACKLOG_MAX {
            self.room.notify_one();
        }
    }

    /// Returns why the output could not be read on, if that is why it ended.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the last line that was not of the protocol.
    pub(super) fn last_stray(&self) -> Option<String> {
        self.stray.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    async fn has_room(&self) {
        while self.backlog.load(Ordering::Relaxed) >= BACKLOG_MAX {
            self.room.notified().await;
        }
    }

    fn fail(&self, fault: String) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// Returns the message in a line; `None` if it holds none and may be passed over.
    fn message(&self, line: Vec<u8>) -> Result<Option<String>, String> {
        let text = String::from_utf8(line).map_err(|_| "a message is not UTF-8".to_owned())?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.starts_with('{') {
            return self.note_stray(text).map(|()| None);
        }
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Ok(Some(text.to_owned())),
            Err(error) => Err(format!("a message is no JSON: {error}: «{}»", quoted(text))),
        }
    }

    fn note_stray(&self, line: &str) -> Result<(), String> {
        let quote = quoted(line);
        let mut stray = self.stray.lock().unwrap_or_else(PoisonError::into_inner);
        if stray.len() == STRAY_LINES_MAX {
            return Err(format!("it writes text instead of messages: «{quote}»"));
        }
        stray.push(quote);
        Ok(())
    }
}

/// Returns the messages in `output`; the stream ends with it, or at the first fault. It ends
/// well in either case, so that what came before is still heard.
pub(super) fn messages(
    output: impl AsyncBufRead + Unpin + Send + 'static,
    intake: Arc<Intake>,
) -> impl Stream<Item = io::Result<String>> + Send + 'static {
    stream::unfold((output, intake), async |(mut output, intake)| {
        loop {
            intake.has_room().await;
            let message = match read_line(&mut output).await {
                Line::Whole(line) => intake.message(line),
                Line::TooLong => {
                    let mib = LINE_BYTES_MAX / (1024 * 1024);
                    Err(format!("a message is longer than {mib} MiB"))
                }
                Line::End => return None,
            };
            match message {
                Ok(Some(message)) => return Some((Ok(message), (output, intake))),
                Ok(None) => {}
                Err(fault) => {
                    intake.fail(fault);
                    return None;
                }
            }
        }
    })
}

enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    TooLong,
    /// Of the output. A last line without its end was cut off in the middle.
    End,
}

async fn read_line(output: &mut (impl AsyncBufRead + Unpin)) -> Line {
    let mut line = Vec::new();
    loop {
        let available = match output.fill_buf().await {
            Ok([]) | Err(_) => return Line::End,
            Ok(available) => available,
        };
        let end = available.iter().position(|&byte| byte == b'\n');
        let piece = &available[..end.unwrap_or(available.len())];
        if line.len() + piece.len() > LINE_BYTES_MAX {
            return Line::TooLong;
        }
        line.extend_from_slice(piece);
        let used = piece.len() + usize::from(end.is_some());
        output.consume(used);
        if end.is_some() {
            return Line::Whole(line);
        }
    }
}

pub(super) fn quoted(text: &str) -> String {
    let end = text.floor_char_boundary(QUOTE_BYTES_MAX);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    async fn read(output: &[u8]) -> (Vec<String>, Option<String>, Arc<Intake>) {
        let intake = Arc::new(Intake::default());
        let lines = messages(std::io::Cursor::new(output.to_vec()), intake.clone());
        let read: Vec<io::Result<String>> = lines.collect().await;
        let whole = read.iter().filter_map(|line| line.as_ref().ok().cloned()).collect();
        (whole, intake.fault(), intake)
    }

    #[tokio::test]
    async fn messages_are_lines_and_a_greeting_is_passed_over() {
        let (lines, fault, intake) = read(b"Welcome!\n\n{\"a\":1}\r\n{\"b\":[]}\n{\"cut").await;
        assert_eq!((lines, fault), (vec!["{\"a\":1}".to_owned(), "{\"b\":[]}".to_owned()], None));
        assert_eq!(intake.last_stray().as_deref(), Some("Welcome!"));
    }

    #[tokio::test]
    async fn what_is_not_the_protocol_ends_it_with_the_reason() {
        let check = async |output: Vec<u8>, reason: &str| {
            let (_, fault, _) = read(&output).await;
            let fault = fault.unwrap();
            assert!(fault.contains(reason), "{fault}");
            assert!(fault.len() < 2 * QUOTE_BYTES_MAX + 100);
        };
        check(b"{\"a\":\n".to_vec(), "a message is no JSON").await;
        check(b"{\"\xff\":1}\n".to_vec(), "not UTF-8").await;
        check("usage: agent FILE\n".repeat(STRAY_LINES_MAX + 1).into(), "usage: agent").await;
        check(vec![b'{'; LINE_BYTES_MAX + 1], "longer than 16 MiB").await;
    }

    #[tokio::test]
    async fn an_agent_waits_for_its_listener() {
        let intake = Arc::new(Intake::default());
        let mut lines =
            Box::pin(messages(std::io::Cursor::new(b"{}\n{}\n".to_vec()), intake.clone()));
        for _ in 0..BACKLOG_MAX {
            intake.queued();
        }
        assert!(lines.next().now_or_never().is_none(), "nothing is read while nobody listens");
        intake.taken(1);
        assert!(lines.next().await.is_some());
    }
}
