//! What the server answers, piece by piece, in no format yet.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::encode::{Counts, Failure, ToolCall};
use crate::{Format, Gate, render};

/// How a body that is cut short ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The response ends by the rules of HTTP: only the format's own end is missing.
    Clean,
    /// The connection is dropped in the middle of the response.
    Dropped,
}

#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Text(String),
    /// The field is where servers of Chat Completions differ.
    Reasoning {
        field: String,
        text: String,
    },
    Call(ToolCall),
    Finish(String),
    Usage(Counts),
    Done,
    /// An error within the stream.
    Failure(Failure),
    /// An error instead of a reply.
    ErrorBody(Failure),
    Tokens(Tokens),
    /// Text of `bytes` bytes, sent again and again.
    Flood {
        bytes: usize,
        times: usize,
    },
    /// A frame with JSON nested so deep.
    Deep(usize),
    /// A frame whose text is no UTF-8.
    InvalidUtf8,
    /// A comment, which is no event.
    Comment(String),
    /// JSON in a frame without a name, whatever the format.
    Chunk(Value),
    Raw(Bytes),
    Delay(Duration),
    Gate(Gate),
    Stall,
    Drop,
}

/// One-token texts, encoded once for all who get the same.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) n: usize,
    pub(crate) encoded: Arc<Mutex<Option<Encoded>>>,
}

/// What was encoded last.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The first two frames, which tell all the others.
    pub(crate) first: Vec<u8>,
    pub(crate) all: Bytes,
}

/// What is done to the bytes once they are there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    ByteByByte,
    SplitAt(usize),
    CutAt(usize, Cut),
    /// Cut at so many hundredths of its length.
    CutAtPercent(usize, Cut),
}

/// One answer: a status, headers, and what is said, which the server puts into the
/// format of the request.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    pub(crate) status: u16,
    /// The format's own where absent.
    pub(crate) content_type: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) shapes: Vec<Shape>,
    /// Dropped before a single byte of the response.
    pub(crate) refuse: bool,
}

impl Reply {
    /// Starts a reply of the model.
    pub fn stream() -> Reply {
        Reply {
            status: 200,
            content_type: None,
            headers: Vec::new(),
            pieces: Vec::new(),
            shapes: Vec::new(),
            refuse: false,
        }
    }

    /// Returns an event stream of exactly these bytes.
    pub fn sse(bytes: impl Into<Bytes>) -> Reply {
        Reply::new(200, "text/event-stream").raw(bytes)
    }

    /// Returns a JSON body.
    pub fn json(status: u16, body: &Value) -> Reply {
        Reply::new(status, "application/json").raw(body.to_string())
    }

    /// Returns any body.
    pub fn new(status: u16, content_type: &str) -> Reply {
        Reply { status, content_type: Some(content_type.to_owned()), ..Reply::stream() }
    }

    /// Drops the connection instead of answering.
    pub fn refused() -> Reply {
        Reply { refuse: true, ..Reply::stream() }
    }

    /// Returns the body the format has for an error of this status. `code` is shown
    /// where a format has codes besides the status.
    pub fn error(status: u16, code: &str, message: &str) -> Reply {
        let failure = failure(status, code, message);
        Reply::new(status, "application/json").piece(Piece::ErrorBody(failure))
    }

    pub fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Claims to be of another type than it is.
    pub fn content_type(mut self, content_type: &str) -> Reply {
        self.content_type = Some(content_type.to_owned());
        self
    }

    pub fn raw(self, bytes: impl Into<Bytes>) -> Reply {
        self.piece(Piece::Raw(bytes.into()))
    }

    /// Adds a frame with this JSON; it is up to the caller that it suits the format.
    pub fn chunk(self, value: &Value) -> Reply {
        self.piece(Piece::Chunk(value.clone()))
    }

    pub fn text(self, text: &str) -> Reply {
        self.piece(Piece::Text(text.to_owned()))
    }

    pub fn texts(self, texts: &[&str]) -> Reply {
        texts.iter().fold(self, |reply, text| reply.text(text))
    }

    /// Adds reasoning under the field that each server of Chat Completions has its own
    /// name for; other formats have one place for it, and sign it where they do.
    pub fn reasoning(self, field: &str, text: &str) -> Reply {
        self.piece(Piece::Reasoning { field: field.to_owned(), text: text.to_owned() })
    }

    /// Adds a whole tool call, in one piece.
    pub fn tool_call(self, index: usize, id: &str, name: &str, arguments: &Value) -> Reply {
        self.tool_call_in(index, id, name, &[&arguments.to_string()])
    }

    /// Adds a tool call whose arguments come in the given pieces. Formats whose calls
    /// come whole show nothing of one that is cut.
    pub fn tool_call_in(self, index: usize, id: &str, name: &str, pieces: &[&str]) -> Reply {
        self.piece(Piece::Call(ToolCall {
            index,
            id: id.to_owned(),
            name: name.to_owned(),
            pieces: pieces.iter().map(|&piece| piece.to_owned()).collect(),
        }))
    }

    /// Says why the model stopped, in the words of Chat Completions: `stop`,
    /// `tool_calls`, `length`, `content_filter`; any other word as it is.
    pub fn finish(self, reason: &str) -> Reply {
        self.piece(Piece::Finish(reason.to_owned()))
    }

    pub fn usage(self, prompt: u64, completion: u64) -> Reply {
        self.counts(Counts { input: prompt, output: completion, ..Counts::default() })
    }

    /// Says what it took in full. A server that counts tokens itself says its own.
    pub fn counts(self, counts: Counts) -> Reply {
        self.piece(Piece::Usage(counts))
    }

    pub fn done(self) -> Reply {
        self.piece(Piece::Done)
    }

    /// Fails within the stream, as after the status there is no other way.
    pub fn fails_midway(self, status: u16, code: &str, message: &str) -> Reply {
        self.piece(Piece::Failure(failure(status, code, message)))
    }

    /// Adds a comment, which keeps a connection alive and says nothing.
    pub fn comment(self, text: &str) -> Reply {
        self.piece(Piece::Comment(text.to_owned()))
    }

    /// Adds `n` texts of one short token each, encoded once.
    pub fn tokens(self, n: usize) -> Reply {
        self.piece(Piece::Tokens(Tokens { n, encoded: Arc::default() }))
    }

    /// Adds `times` texts of `bytes` bytes each, however much that is: it is held in
    /// memory once.
    pub fn flood(self, bytes: usize, times: usize) -> Reply {
        self.piece(Piece::Flood { bytes, times })
    }

    /// Adds a frame in which JSON is nested so deep where text should be.
    pub fn deep_json(self, depth: usize) -> Reply {
        self.piece(Piece::Deep(depth))
    }

    /// Adds a frame whose text is no UTF-8.
    pub fn invalid_utf8(self) -> Reply {
        self.piece(Piece::InvalidUtf8)
    }

    pub fn delay(self, pause: Duration) -> Reply {
        self.piece(Piece::Delay(pause))
    }

    pub fn gate(self, gate: &Gate) -> Reply {
        self.piece(Piece::Gate(gate.clone()))
    }

    /// Goes silent for ever with the connection open.
    pub fn stall(self) -> Reply {
        self.piece(Piece::Stall)
    }

    /// Drops the connection in the middle of the response.
    pub fn drop_connection(self) -> Reply {
        self.piece(Piece::Drop)
    }

    /// Sends every byte as a piece of its own.
    pub fn byte_by_byte(self) -> Reply {
        self.shape(Shape::ByteByByte)
    }

    /// Sends the body in two pieces, the first of `at` bytes.
    pub fn split_at(self, at: usize) -> Reply {
        self.shape(Shape::SplitAt(at))
    }

    /// Sends only the first `at` bytes of the body.
    pub fn cut_at(self, at: usize, cut: Cut) -> Reply {
        self.shape(Shape::CutAt(at, cut))
    }

    /// Sends only so many hundredths of the body.
    pub fn cut_at_percent(self, percent: usize, cut: Cut) -> Reply {
        self.shape(Shape::CutAtPercent(percent, cut))
    }

    /// Waits before each piece.
    pub fn slowly(mut self, pause: Duration) -> Reply {
        let pieces = std::mem::take(&mut self.pieces);
        self.pieces = pieces.into_iter().flat_map(|piece| [Piece::Delay(pause), piece]).collect();
        self
    }

    /// Returns all bytes of the body as a stream of Chat Completions, pauses and gates
    /// left out.
    pub fn body(&self) -> Bytes {
        self.body_in(Format::Chat)
    }

    /// Returns all bytes of the body as a stream of this format.
    pub fn body_in(&self, format: Format) -> Bytes {
        render::body(self, format)
    }

    /// Says what `other` says after what this one does.
    pub fn then(mut self, other: Reply) -> Reply {
        self.pieces.extend(other.pieces);
        Reply { pieces: self.pieces, ..other }
    }

    pub(crate) fn piece(mut self, piece: Piece) -> Reply {
        self.pieces.push(piece);
        self
    }

    fn shape(mut self, shape: Shape) -> Reply {
        self.shapes.push(shape);
        self
    }
}

fn failure(status: u16, code: &str, message: &str) -> Failure {
    Failure { status, code: code.to_owned(), message: message.to_owned() }
}
