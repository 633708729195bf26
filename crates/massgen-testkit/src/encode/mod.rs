//! What a model says → the bytes of each format.
//!
//! One [`Encoder`] a reply. The shapes are those of the providers' API references;
//! the official SDKs read them in `massgen-models/tests/it/sdks.rs`.

mod chat;
mod error;
mod gemini;
mod messages;
mod ollama;
mod responses;

use serde_json::Value;

use crate::format::Format;
use crate::request::Request;

pub(crate) use error::error_body;

/// A tool call as it is scripted: its arguments in the pieces they come in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolCall {
    /// Which of several parallel calls, where the format numbers them.
    pub(crate) index: usize,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) pieces: Vec<String>,
}

impl ToolCall {
    pub(crate) fn arguments(&self) -> String {
        self.pieces.concat()
    }
}

/// A failure in the middle of a reply, or instead of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Tokens of a call; `input` is all of it, however much of that was cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    /// Reasoning included.
    pub output: u64,
    pub reasoning: u64,
}

/// What a reply says about itself besides its words.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) model: String,
    /// Makes ids differ between replies.
    pub(crate) n: usize,
    pub(crate) counts: Counts,
    /// Responses only: opaque reasoning was asked for.
    pub(crate) encrypted: bool,
    /// Gemini only: function calls have ids.
    pub(crate) call_ids: bool,
    /// Gemini only: a JSON array instead of events.
    pub(crate) array: bool,
}

impl Setting {
    pub(crate) fn of(request: &Request, counts: Counts) -> Setting {
        let model = match request.model() {
            "" => "loopback".to_owned(),
            model => model.to_owned(),
        };
        let include = request.body["include"].as_array();
        Setting {
            n: request.n,
            counts,
            encrypted: include
                .is_some_and(|list| list.iter().any(|what| what == "reasoning.encrypted_content")),
            call_ids: model.starts_with("gemini-3"),
            array: request.format() == Format::Gemini && !request.path.contains("alt=sse"),
            model,
        }
    }
}

/// Writes one reply as a stream.
pub(crate) trait Encoder {
    fn text(&mut self, text: &str, out: &mut Vec<u8>);

    /// `field` is where servers of Chat Completions differ.
    fn reasoning(&mut self, field: &str, text: &str, out: &mut Vec<u8>);

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>);

    /// Says why the model stopped, in the words of Chat Completions.
    fn finish(&mut self, reason: &str, out: &mut Vec<u8>);

    /// Says what it took, where the format does so in an event of its own.
    fn usage(&mut self, out: &mut Vec<u8>);

    /// Ends the stream.
    fn done(&mut self, out: &mut Vec<u8>);

    fn failure(&mut self, failure: &Failure, out: &mut Vec<u8>);

    /// Frames a text that claims to be a piece of the model's answer.
    fn frame(&mut self, json: &str, out: &mut Vec<u8>);

    /// Writes the same text `n` times, each in an event of its own.
    fn texts(&mut self, text: &str, n: usize, out: &mut Vec<u8>) {
        if n == 0 {
            return;
        }
        self.text(text, out);
        // From the second on they are all the same.
        let mut frame = Vec::new();
        if n > 1 {
            self.text(text, &mut frame);
        }
        out.extend_from_slice(&frame.repeat(n - 1));
    }

    /// Takes note of texts whose bytes were kept from an earlier reply.
    fn texts_sent(&mut self, _text: &str, _n: usize) {}
}

pub(crate) fn encoder(format: Format, setting: &Setting) -> Box<dyn Encoder> {
    match format {
        Format::Chat => Box::new(chat::Chat::new(setting)),
        Format::Responses => Box::new(responses::Responses::new(setting)),
        Format::Messages => Box::new(messages::Messages::new(setting)),
        Format::Gemini => Box::new(gemini::Gemini::new(setting)),
        Format::Ollama => Box::new(ollama::Ollama::new(setting)),
    }
}

/// A whole reply, for those who asked for no stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) reasoning: Vec<(String, String)>,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) finish: String,
}

pub(crate) fn whole(format: Format, setting: &Setting, whole: &Whole) -> Value {
    match format {
        Format::Chat => chat::whole(setting, whole),
        Format::Responses => responses::whole(setting, whole),
        Format::Messages => messages::whole(setting, whole),
        Format::Gemini => gemini::whole(setting, whole),
        Format::Ollama => ollama::whole(setting, whole),
    }
}

impl Whole {
    fn reasoning_text(&self) -> String {
        self.reasoning.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// Adds a frame of server-sent events without a name.
fn data(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("data: {value}\n\n").as_bytes());
}

/// Adds an event whose name is its `type`.
fn event(value: &Value, out: &mut Vec<u8>) {
    let name = value["type"].as_str().unwrap_or_default();
    out.extend_from_slice(format!("event: {name}\ndata: {value}\n\n").as_bytes());
}

/// Returns what the loopback provider signs a block with: the same for the same
/// words, and valid base64, as it has to be in Gemini.
pub(crate) fn signature(of: &str) -> String {
    // FNV-1a: nobody has to be kept from forging it.
    let hash = of.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("c2ln{hash:016x}")
}
