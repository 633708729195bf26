//! What the server answers, piece by piece.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Gate;
use crate::chunk;

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
    Bytes(Bytes),
    Delay(Duration),
    Gate(Gate),
    Stall,
    Drop,
}

/// One answer: a status, headers, and a body in pieces.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) pieces: Vec<Piece>,
    /// Dropped before a single byte of the response.
    pub(crate) refuse: bool,
}

impl Reply {
    /// Starts an event stream.
    pub fn stream() -> Reply {
        Reply::new(200, "text/event-stream")
    }

    /// Returns an event stream of exactly these bytes.
    pub fn sse(bytes: impl Into<Bytes>) -> Reply {
        Reply::stream().raw(bytes)
    }

    /// Returns a JSON body.
    pub fn json(status: u16, body: &Value) -> Reply {
        Reply::new(status, "application/json").raw(body.to_string())
    }

    /// Returns any body.
    pub fn new(status: u16, content_type: &str) -> Reply {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Reply { status, headers, pieces: Vec::new(), refuse: false }
    }

    /// Drops the connection instead of answering.
    pub fn refused() -> Reply {
        Reply { refuse: true, ..Reply::stream() }
    }

    /// Returns the error body most servers send with a status.
    pub fn error(status: u16, code: &str, message: &str) -> Reply {
        Reply::json(status, &json!({"error": {"message": message, "code": code, "type": code}}))
    }

    pub fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn raw(mut self, bytes: impl Into<Bytes>) -> Reply {
        self.pieces.push(Piece::Bytes(bytes.into()));
        self
    }

    /// Adds a frame with this JSON.
    pub fn chunk(self, value: &Value) -> Reply {
        self.raw(chunk::frame(value))
    }

    /// Adds a chunk with this delta.
    pub fn delta(self, delta: &Value) -> Reply {
        self.chunk(&chunk::delta(delta, None))
    }

    pub fn text(self, text: &str) -> Reply {
        self.delta(&json!({ "content": text }))
    }

    pub fn texts(self, texts: &[&str]) -> Reply {
        texts.iter().fold(self, |reply, text| reply.text(text))
    }

    /// Adds reasoning under the given field, as each kind of server has its own.
    pub fn reasoning(self, field: &str, text: &str) -> Reply {
        self.delta(&json!({ field: text }))
    }

    /// Adds a whole tool call in one chunk.
    pub fn tool_call(self, index: usize, id: &str, name: &str, arguments: &Value) -> Reply {
        self.delta(&json!({"tool_calls": [{
            "index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()},
        }]}))
    }

    /// Adds a tool call whose arguments come in the given pieces.
    pub fn tool_call_in(self, index: usize, id: &str, name: &str, pieces: &[&str]) -> Reply {
        let head = self.delta(&json!({"tool_calls": [{
            "index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": ""},
        }]}));
        pieces.iter().fold(head, |reply, piece| {
            reply.delta(&json!({"tool_calls": [{
                "index": index, "function": {"arguments": piece},
            }]}))
        })
    }

    pub fn finish(self, reason: &str) -> Reply {
        self.chunk(&chunk::delta(&json!({}), Some(reason)))
    }

    pub fn usage(self, prompt: u64, completion: u64) -> Reply {
        self.chunk(&chunk::usage(&json!({
            "prompt_tokens": prompt, "completion_tokens": completion,
            "total_tokens": prompt + completion,
        })))
    }

    pub fn done(self) -> Reply {
        self.raw("data: [DONE]\n\n")
    }

    /// Adds a comment, which keeps a connection alive and says nothing.
    pub fn comment(self, text: &str) -> Reply {
        self.raw(format!(": {text}\n\n"))
    }

    /// Adds `n` chunks of one short token each, encoded once.
    pub fn tokens(self, n: usize) -> Reply {
        self.raw(token_frames(n))
    }

    pub fn delay(mut self, pause: Duration) -> Reply {
        self.pieces.push(Piece::Delay(pause));
        self
    }

    pub fn gate(mut self, gate: &Gate) -> Reply {
        self.pieces.push(Piece::Gate(gate.clone()));
        self
    }

    /// Goes silent for ever with the connection open.
    pub fn stall(mut self) -> Reply {
        self.pieces.push(Piece::Stall);
        self
    }

    /// Drops the connection in the middle of the response.
    pub fn drop_connection(mut self) -> Reply {
        self.pieces.push(Piece::Drop);
        self
    }

    /// Sends every byte as a piece of its own.
    pub fn byte_by_byte(self) -> Reply {
        self.map_bytes(|bytes| (0..bytes.len()).map(|at| bytes.slice(at..=at)).collect())
    }

    /// Sends the body in two pieces, the first of `at` bytes.
    pub fn split_at(self, at: usize) -> Reply {
        let body = self.body();
        let at = at.min(body.len());
        let pieces = [body.slice(..at), body.slice(at..)];
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).map(Piece::Bytes);
        Reply { pieces: pieces.collect(), ..self }
    }

    /// Sends only the first `at` bytes of the body.
    pub fn cut_at(self, at: usize, cut: Cut) -> Reply {
        let body = self.body();
        let mut pieces = vec![Piece::Bytes(body.slice(..at.min(body.len())))];
        match cut {
            Cut::Clean => {}
            Cut::Dropped => pieces.push(Piece::Drop),
        }
        Reply { pieces, ..self }
    }

    /// Returns all bytes of the body, pauses and gates left out.
    pub fn body(&self) -> Bytes {
        let mut body = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => body.extend_from_slice(bytes),
                Piece::Delay(_) | Piece::Gate(_) | Piece::Stall | Piece::Drop => {}
            }
        }
        body.into()
    }

    fn map_bytes(mut self, map: impl Fn(Bytes) -> Vec<Bytes>) -> Reply {
        let mut pieces = Vec::new();
        for piece in self.pieces {
            match piece {
                Piece::Bytes(bytes) => pieces.extend(map(bytes).into_iter().map(Piece::Bytes)),
                Piece::Delay(_) | Piece::Gate(_) | Piece::Stall | Piece::Drop => pieces.push(piece),
            }
        }
        self.pieces = pieces;
        self
    }
}

fn token_frames(n: usize) -> Bytes {
    let frame = chunk::frame(&chunk::delta(&json!({"content": "tok "}), None));
    frame.repeat(n).into()
}
