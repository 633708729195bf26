//! A reply in the format of the request it answers.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::encode::{Counts, Encoder, Setting, Whole, encoder, error_body, whole};
use crate::reply::{Cut, Encoded, Piece, Shape, Tokens};
use crate::{Format, Gate, Reply, Request};

/// What goes over the connection.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    Bytes(Bytes),
    /// The same bytes so many times.
    Again(Bytes, usize),
    Delay(Duration),
    Gate(Gate),
    Stall,
    Drop,
}

pub(crate) struct Rendered {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) sent: Vec<Sent>,
}

/// Puts a reply into the format of its request. `counted` is what the server counted
/// itself, where it does.
pub(crate) fn render(reply: &Reply, request: &Request, counted: Option<Counts>) -> Rendered {
    let format = request.format();
    let setting = Setting::of(request, counts(reply, request, counted));
    let streams = request.wants_stream();
    let content_type = reply.content_type.clone().unwrap_or_else(|| {
        let own = match format {
            _ if !streams || setting.array => "application/json",
            Format::Ollama => "application/x-ndjson",
            Format::Chat | Format::Responses | Format::Messages | Format::Gemini => {
                "text/event-stream"
            }
        };
        own.to_owned()
    });
    let mut headers = vec![("content-type".to_owned(), content_type)];
    headers.extend(reply.headers.iter().cloned());
    let says_something = reply.pieces.iter().any(is_said);
    let (status, sent) = if streams || !says_something {
        (reply.status, streamed(reply, format, &setting))
    } else {
        at_once(reply, format, &setting)
    };
    Rendered { status, headers, sent: shaped(sent, &reply.shapes) }
}

/// Returns the bytes of a reply as a stream of this format, asked for by nobody.
pub(crate) fn body(reply: &Reply, format: Format) -> Bytes {
    let path = format!("{}{}", format.root_path(), format.stream_path("loopback"));
    let request = Request::new("POST".to_owned(), path, Vec::new(), json!({"stream": true}));
    joined(&render(reply, &request, None).sent)
}

/// Returns what a reply reports as its tokens.
fn counts(reply: &Reply, request: &Request, counted: Option<Counts>) -> Counts {
    let scripted = reply.pieces.iter().rev().find_map(|piece| match piece {
        Piece::Usage(counts) => Some(*counts),
        _ => None,
    });
    let estimated = || Counts {
        input: request.body.to_string().len() as u64 / 4,
        output: said_bytes(reply) as u64 / 4,
        ..Counts::default()
    };
    match (counted, scripted) {
        // Who counts the prompt has no opinion on the answer.
        (Some(counted), scripted) => {
            let said = scripted.unwrap_or_else(estimated);
            Counts { output: said.output, reasoning: said.reasoning, ..counted }
        }
        (None, Some(scripted)) => scripted,
        (None, None) => estimated(),
    }
}

fn said_bytes(reply: &Reply) -> usize {
    let bytes = reply.pieces.iter().map(|piece| match piece {
        Piece::Text(text) | Piece::Reasoning { text, .. } => text.len(),
        Piece::Call(call) => call.arguments().len(),
        Piece::Tokens(tokens) => 4 * tokens.n,
        _ => 0,
    });
    bytes.sum()
}

fn is_said(piece: &Piece) -> bool {
    matches!(
        piece,
        Piece::Text(_)
            | Piece::Reasoning { .. }
            | Piece::Call(_)
            | Piece::Finish(_)
            | Piece::Tokens(_)
            | Piece::Failure(_)
    )
}

fn streamed(reply: &Reply, format: Format, setting: &Setting) -> Vec<Sent> {
    let mut encoder = encoder(format, setting);
    let encode = |piece: &Piece| match piece {
        Piece::Flood { bytes, times } => {
            let (mut first, mut again) = (Vec::new(), Vec::new());
            let text = "x".repeat(*bytes);
            // Only the first may have to open something.
            encoder.text(&text, &mut first);
            encoder.text(&text, &mut again);
            let again = Sent::Again(again.into(), times.saturating_sub(1));
            vec![Sent::Bytes(first.into()), again]
        }
        piece => vec![stream_piece(piece, format, &mut *encoder)],
    };
    reply.pieces.iter().flat_map(encode).collect()
}

fn stream_piece(piece: &Piece, format: Format, encoder: &mut dyn Encoder) -> Sent {
    let mut out = Vec::new();
    match piece {
        Piece::Text(text) => encoder.text(text, &mut out),
        Piece::Reasoning { field, text } => encoder.reasoning(field, text, &mut out),
        Piece::Call(call) => encoder.call(call, &mut out),
        Piece::Finish(reason) => encoder.finish(reason, &mut out),
        Piece::Usage(_) => encoder.usage(&mut out),
        Piece::Done => encoder.done(&mut out),
        Piece::Failure(failure) => encoder.failure(failure, &mut out),
        Piece::ErrorBody(failure) => {
            out.extend_from_slice(error_body(format, failure).to_string().as_bytes());
        }
        Piece::Tokens(tokens) => return Sent::Bytes(tokens.bytes(encoder)),
        Piece::Flood { bytes, .. } => encoder.text(&"x".repeat(*bytes), &mut out),
        Piece::Deep(depth) => {
            let nested = format!("{}{}", "[".repeat(*depth), "]".repeat(*depth));
            encoder.frame(&nested, &mut out);
        }
        Piece::InvalidUtf8 => {
            const MARK: &[u8] = b"@@@@";
            encoder.text("a@@@@b", &mut out);
            if let Some(at) = out.windows(MARK.len()).position(|window| window == MARK) {
                // A lone continuation byte, and the start of a character that never comes.
                out[at..at + MARK.len()].copy_from_slice(&[0x80, 0xff, 0xfe, 0xe2]);
            }
        }
        Piece::Comment(text) => match format {
            // It has no comments; an empty line is the least it can say.
            Format::Ollama => out.push(b'\n'),
            Format::Chat | Format::Responses | Format::Messages | Format::Gemini => {
                out.extend_from_slice(format!(": {text}\n\n").as_bytes());
            }
        },
        Piece::Chunk(value) => match format {
            Format::Ollama => out.extend_from_slice(format!("{value}\n").as_bytes()),
            Format::Chat | Format::Responses | Format::Messages | Format::Gemini => {
                out.extend_from_slice(format!("data: {value}\n\n").as_bytes());
            }
        },
        Piece::Raw(bytes) => return Sent::Bytes(bytes.clone()),
        Piece::Delay(pause) => return Sent::Delay(*pause),
        Piece::Gate(gate) => return Sent::Gate(gate.clone()),
        Piece::Stall => return Sent::Stall,
        Piece::Drop => return Sent::Drop,
    }
    Sent::Bytes(out.into())
}

/// Returns a reply that is no stream: what holds it up first, then one JSON.
fn at_once(reply: &Reply, format: Format, setting: &Setting) -> (u16, Vec<Sent>) {
    let mut said = Whole::default();
    let mut sent = Vec::new();
    let mut breaks_off = None;
    for piece in &reply.pieces {
        match piece {
            Piece::Text(text) => said.text.push_str(text),
            Piece::Reasoning { field, text } => said.reasoning.push((field.clone(), text.clone())),
            Piece::Call(call) => said.calls.push(call.clone()),
            Piece::Finish(reason) => said.finish.clone_from(reason),
            Piece::Tokens(tokens) => said.text.push_str(&Tokens::TEXT.repeat(tokens.n)),
            Piece::Failure(failure) | Piece::ErrorBody(failure) => {
                sent.push(Sent::Bytes(error_body(format, failure).to_string().into()));
                return (failure.status, sent);
            }
            Piece::Delay(pause) => sent.push(Sent::Delay(*pause)),
            Piece::Gate(gate) => sent.push(Sent::Gate(gate.clone())),
            Piece::Stall => breaks_off = breaks_off.or(Some(Sent::Stall)),
            Piece::Drop => breaks_off = breaks_off.or(Some(Sent::Drop)),
            // What only a stream can have.
            Piece::Usage(_)
            | Piece::Done
            | Piece::Flood { .. }
            | Piece::Deep(_)
            | Piece::InvalidUtf8
            | Piece::Comment(_)
            | Piece::Chunk(_)
            | Piece::Raw(_) => {}
        }
    }
    let json = Bytes::from(whole(format, setting, &said).to_string());
    match breaks_off {
        Some(end) => sent.extend([Sent::Bytes(json.slice(..json.len() / 2)), end]),
        None => sent.push(Sent::Bytes(json)),
    }
    (reply.status, sent)
}

impl Tokens {
    /// The text of each.
    pub(crate) const TEXT: &str = "tok ";

    fn bytes(&self, encoder: &mut dyn Encoder) -> Bytes {
        // The first two are made afresh: they show whether the rest is the same.
        let mut first = Vec::new();
        encoder.texts(Tokens::TEXT, self.n.min(2), &mut first);
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*encoded
            && kept.first == first
        {
            encoder.texts_sent(Tokens::TEXT, self.n.saturating_sub(2));
            return kept.all.clone();
        }
        let mut bytes = first.clone();
        encoder.texts(Tokens::TEXT, self.n.saturating_sub(2), &mut bytes);
        let all = Bytes::from(bytes);
        *encoded = Some(Encoded { first, all: all.clone() });
        all
    }
}

fn shaped(mut sent: Vec<Sent>, shapes: &[Shape]) -> Vec<Sent> {
    for shape in shapes {
        sent = match *shape {
            Shape::ByteByByte => sent
                .into_iter()
                .flat_map(|sent| match sent {
                    Sent::Bytes(bytes) => {
                        (0..bytes.len()).map(|at| Sent::Bytes(bytes.slice(at..=at))).collect()
                    }
                    other => vec![other],
                })
                .collect(),
            Shape::SplitAt(at) => {
                let body = joined(&sent);
                let at = at.min(body.len());
                let halves = [body.slice(..at), body.slice(at..)];
                halves.into_iter().filter(|half| !half.is_empty()).map(Sent::Bytes).collect()
            }
            Shape::CutAt(at, cut) => cut_at(&sent, at, cut),
            Shape::CutAtPercent(percent, cut) => {
                let at = joined(&sent).len() * percent / 100;
                cut_at(&sent, at, cut)
            }
        };
    }
    sent
}

fn cut_at(sent: &[Sent], at: usize, cut: Cut) -> Vec<Sent> {
    let body = joined(sent);
    let mut pieces = vec![Sent::Bytes(body.slice(..at.min(body.len())))];
    match cut {
        Cut::Clean => {}
        Cut::Dropped => pieces.push(Sent::Drop),
    }
    pieces
}

fn joined(sent: &[Sent]) -> Bytes {
    let mut body = Vec::new();
    for piece in sent {
        match piece {
            Sent::Bytes(bytes) => body.extend_from_slice(bytes),
            Sent::Again(bytes, times) => body.extend_from_slice(&bytes.repeat(*times)),
            Sent::Delay(_) | Sent::Gate(_) | Sent::Stall | Sent::Drop => {}
        }
    }
    body.into()
}
