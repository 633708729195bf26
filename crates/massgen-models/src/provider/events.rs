//! Server-sent events → a format's own events, whatever pieces the bytes come in.

use massgen_protocol::{CallFailure, FailureKind};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::decode::{DOCUMENT_BYTES_MAX, Decode, Decoded, Finish, Out, Progress};
use crate::backend::Beat;
use crate::failure::Failures;
use crate::sse::{Frame, Frames, LineTooLong};

/// A wire format whose replies are events.
pub(crate) trait Format: Send {
    /// For people: `OpenAI Responses`.
    const NAME: &'static str;

    /// Takes one event in; `data` is not blank and not `[DONE]`.
    fn event(&mut self, name: &str, data: &[u8], out: &mut Out) -> Decoded;

    /// Takes in a reply that is one document: an error under a status of success,
    /// or the whole reply of a server that does not stream.
    fn document(&mut self, document: &Value, out: &mut Out) -> Decoded;

    /// Takes in `[DONE]`, which most formats do not have.
    fn done(&mut self, _out: &mut Out) -> Decoded {
        Ok(())
    }

    fn progress(&self) -> Progress;

    fn has_usage(&self) -> bool;

    fn finish(&mut self, may_continue: bool, out: &mut Out) -> Finish;

    /// Returns whether a last event without its blank line is worth reading.
    fn is_whole(data: &[u8]) -> bool {
        serde_json::from_slice::<IgnoredAny>(data).is_ok()
    }
}

/// The decoder of such a format.
#[derive(Debug)]
pub(crate) struct EventStream<F> {
    format: F,
    failures: Failures,
    shape: Shape,
    frames: Frames,
    document: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Only blanks have come.
    Unknown,
    Events,
    /// Not an event stream, though one was asked for.
    Document,
}

impl<F: Format> EventStream<F> {
    pub(crate) fn new(format: F, failures: Failures) -> EventStream<F> {
        EventStream {
            format,
            failures,
            shape: Shape::Unknown,
            frames: Frames::default(),
            document: Vec::new(),
        }
    }

    pub(crate) fn format(&self) -> &F {
        &self.format
    }

    fn garbled(&self, what: &str) -> CallFailure {
        let message = format!("the reply is not {}: {what}", F::NAME);
        self.failures.of(FailureKind::Garbled, &message)
    }

    fn read_frames(&mut self, out: &mut Out) -> Decoded {
        // Taken out for the while, as a frame borrows from it.
        let mut frames = std::mem::take(&mut self.frames);
        let result = loop {
            if self.format.progress() == Progress::Complete {
                break Ok(());
            }
            match frames.next() {
                Ok(Some(Frame::Comment)) => out.push_back(Beat::Alive),
                Ok(Some(Frame::Data { event, data })) => {
                    if let Err(failure) = self.frame(event, data, out) {
                        break Err(failure);
                    }
                }
                Ok(None) => break Ok(()),
                Err(LineTooLong) => break Err(self.garbled("a line without end")),
            }
        };
        self.frames = frames;
        result
    }

    fn frame(&mut self, event: &str, data: &[u8], out: &mut Out) -> Decoded {
        let data = data.trim_ascii();
        if data.is_empty() {
            out.push_back(Beat::Alive);
            return Ok(());
        }
        if data == b"[DONE]" {
            return self.format.done(out);
        }
        if F::is_whole(data) {
            return self.format.event(event, data, out);
        }
        // Frames that lack the blank line between them arrive as one.
        let lines = data.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let mut lines = lines.filter(|line| !line.is_empty()).peekable();
        if data.contains(&b'\n') && lines.clone().all(F::is_whole) && lines.peek().is_some() {
            return lines.try_for_each(|line| self.format.event("", line, out));
        }
        Err(match serde_json::from_slice::<IgnoredAny>(data) {
            Err(error) => self.garbled(&format!("an event is no JSON: {error}")),
            Ok(_) => self.garbled("an event cannot be read"),
        })
    }
}

impl<F: Format> Decode for EventStream<F> {
    fn push(&mut self, bytes: &[u8], out: &mut Out) -> Decoded {
        if self.shape == Shape::Unknown
            && let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            self.shape = match first {
                b'{' | b'[' | b'<' => Shape::Document,
                _ => Shape::Events,
            };
        }
        match self.shape {
            Shape::Unknown => {
                out.push_back(Beat::Alive);
                Ok(())
            }
            Shape::Document => {
                self.document.extend_from_slice(bytes);
                if self.document.len() > DOCUMENT_BYTES_MAX {
                    return Err(self.garbled("a document without end instead of a stream"));
                }
                out.push_back(Beat::Alive);
                Ok(())
            }
            Shape::Events => {
                self.frames.push(bytes);
                self.read_frames(out)
            }
        }
    }

    fn end(&mut self, lost: Option<&str>, out: &mut Out) -> Decoded {
        if self.shape == Shape::Document && lost.is_none() {
            let document = std::mem::take(&mut self.document);
            match serde_json::from_slice::<Value>(&document) {
                Ok(document) => self.format.document(&document, out)?,
                // It broke off, which the end below says.
                Err(error) if error.is_eof() => {}
                Err(_) => {
                    let message = "neither an event stream nor JSON; is `base_url` the root of an \
                                   API that speaks this format?";
                    return Err(self.garbled(message));
                }
            }
        } else {
            let mut frames = std::mem::take(&mut self.frames);
            if let Some(Frame::Data { event, data }) = frames.rest()
                && self.format.progress() != Progress::Complete
                // A last frame that cannot be read was cut off in the middle.
                && (data == b"[DONE]" || F::is_whole(data))
            {
                self.frame(event, data, out)?;
            }
        }
        if self.format.progress() >= Progress::Stopped {
            return Ok(());
        }
        let message = match lost {
            Some(cause) => format!("the connection was lost before the reply ended: {cause}"),
            None => "the reply stopped before its end".to_owned(),
        };
        Err(self.failures.of(FailureKind::Truncated, &message))
    }

    fn progress(&self) -> Progress {
        self.format.progress()
    }

    fn has_usage(&self) -> bool {
        self.format.has_usage()
    }

    fn finish(&mut self, may_continue: bool, out: &mut Out) -> Finish {
        let finish = self.format.finish(may_continue, out);
        if matches!(finish, Finish::Continue(_)) {
            // The next reply is read from its beginning.
            self.shape = Shape::Unknown;
            self.frames = Frames::default();
            self.document.clear();
        }
        finish
    }
}
