//! Prompt caching as the providers document it.
//!
//! - Anthropic: up to a breakpoint (`cache_control`) and only there is a prompt kept. A
//!   later one reads the longest kept prefix found at one of its own breakpoints or up to
//!   [`LOOKBACK_BLOCKS`] blocks before it, and writes from there to its last breakpoint.
//! - Everybody else: the longest prefix shared with any earlier prompt, in steps of
//!   `block_tokens`.
//!
//! Nothing shorter than `minimum_tokens` is kept. A prompt is tools, system, messages,
//! in that order; a token is four bytes.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::encode::Counts;
use crate::{Format, Request};

/// Content blocks before a breakpoint at which a kept prefix is looked for.
const LOOKBACK_BLOCKS: usize = 20;
/// More are refused by the provider.
const BREAKPOINTS_MAX: usize = 4;
const BYTES_PER_TOKEN: usize = 4;

/// How a server caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixCache {
    /// Shorter prefixes are not kept.
    pub minimum_tokens: u64,
    /// Steps in which an unmarked prefix is shared.
    pub block_tokens: u64,
}

impl Default for PrefixCache {
    fn default() -> PrefixCache {
        PrefixCache { minimum_tokens: 1024, block_tokens: 128 }
    }
}

/// What is kept; one a server.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Prefixes by their hash, apart for each format and model.
    prefixes: HashMap<(Format, String), HashSet<u64>>,
}

/// A piece of a prompt that a cache can end after.
struct Block {
    text: String,
    is_breakpoint: bool,
}

impl PrefixCache {
    /// Counts what an empty cache would serve of these requests, one after the other.
    /// A request the provider would refuse counts nothing.
    pub fn replay<'a>(self, requests: impl IntoIterator<Item = &'a Request>) -> Vec<Counts> {
        let mut kept = Kept::default();
        let requests = requests.into_iter();
        requests.map(|request| kept.count(self, request).unwrap_or_default()).collect()
    }
}

impl Kept {
    /// Counts a prompt and keeps it.
    ///
    /// # Errors
    ///
    /// If the request marks more breakpoints than the provider takes.
    pub(crate) fn count(
        &mut self,
        cache: PrefixCache,
        request: &Request,
    ) -> Result<Counts, &'static str> {
        let format = request.format();
        let blocks = blocks(format, &request.body);
        let known = self.prefixes.entry((format, request.model().to_owned())).or_default();
        match format {
            Format::Messages => marked(cache, &blocks, known),
            Format::Chat | Format::Responses | Format::Gemini | Format::Ollama => {
                let text: String = blocks.iter().map(|block| block.text.as_str()).collect();
                Ok(unmarked(cache, text.as_bytes(), known))
            }
        }
    }
}

fn unmarked(cache: PrefixCache, prompt: &[u8], known: &mut HashSet<u64>) -> Counts {
    let step = (cache.block_tokens as usize * BYTES_PER_TOKEN).max(1);
    let mut hasher = DefaultHasher::new();
    let mut shared = 0;
    let mut is_shared = true;
    for (n, block) in prompt.chunks_exact(step).enumerate() {
        hasher.write(block);
        is_shared &= !known.insert(hasher.finish());
        if is_shared {
            shared = (n as u64 + 1) * cache.block_tokens;
        }
    }
    let cache_read = if shared >= cache.minimum_tokens { shared } else { 0 };
    Counts { input: tokens(prompt.len()), cache_read, ..Counts::default() }
}

fn marked(
    cache: PrefixCache,
    blocks: &[Block],
    known: &mut HashSet<u64>,
) -> Result<Counts, &'static str> {
    if blocks.iter().filter(|block| block.is_breakpoint).count() > BREAKPOINTS_MAX {
        return Err("A maximum of 4 blocks with cache_control may be provided.");
    }
    // After each block: the hash of all so far, and their tokens.
    let mut hasher = DefaultHasher::new();
    let mut bytes = 0;
    let ends: Vec<(u64, u64)> = blocks
        .iter()
        .map(|block| {
            block.text.hash(&mut hasher);
            bytes += block.text.len();
            (hasher.finish(), tokens(bytes))
        })
        .collect();
    let breakpoints: Vec<usize> = (0..blocks.len())
        .filter(|&at| blocks[at].is_breakpoint && ends[at].1 >= cache.minimum_tokens)
        .collect();
    let found = breakpoints.iter().flat_map(|&at| at.saturating_sub(LOOKBACK_BLOCKS)..=at);
    let hits = found.filter(|&at| known.contains(&ends[at].0)).map(|at| ends[at].1);
    let cache_read = hits.max().unwrap_or(0);
    let last = breakpoints.last().map_or(0, |&at| ends[at].1);
    known.extend(breakpoints.iter().map(|&at| ends[at].0));
    Ok(Counts {
        input: tokens(bytes),
        cache_read,
        cache_write: last.saturating_sub(cache_read),
        ..Counts::default()
    })
}

fn tokens(bytes: usize) -> u64 {
    (bytes / BYTES_PER_TOKEN) as u64
}

/// Takes a prompt apart in the order a provider reads it.
fn blocks(format: Format, body: &Value) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut add = |value: &Value| {
        let mut value = value.clone();
        let is_breakpoint =
            value.as_object_mut().is_some_and(|block| block.remove("cache_control").is_some());
        if !value.is_null() {
            blocks.push(Block { text: value.to_string(), is_breakpoint });
        }
    };
    let (system, messages, content) = match format {
        Format::Chat | Format::Ollama => ("", "messages", ""),
        Format::Responses => ("instructions", "input", ""),
        Format::Messages => ("system", "messages", "content"),
        Format::Gemini => ("systemInstruction", "contents", ""),
    };
    each(&body["tools"], &mut add);
    each(&body[system], &mut add);
    for message in body[messages].as_array().into_iter().flatten() {
        match message.get(content) {
            // Where blocks carry marks, each stands for itself, after who says it.
            Some(Value::Array(parts)) => {
                add(&message["role"]);
                parts.iter().for_each(&mut add);
            }
            _ => add(message),
        }
    }
    if format == Format::Messages
        && !body["cache_control"].is_null()
        && let Some(last) = blocks.last_mut()
    {
        // Asked for as a whole, the end of the prompt is the mark.
        last.is_breakpoint = true;
    }
    blocks
}

fn each(value: &Value, add: &mut impl FnMut(&Value)) {
    match value {
        Value::Array(parts) => parts.iter().for_each(add),
        other => add(other),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    const SMALL: PrefixCache = PrefixCache { minimum_tokens: 100, block_tokens: 10 };

    fn counted(kept: &mut Kept, path: &str, body: Value) -> Counts {
        let request = Request::new("POST".to_owned(), path.to_owned(), Vec::new(), body);
        kept.count(SMALL, &request).unwrap()
    }

    fn text(n_tokens: usize) -> String {
        "word".repeat(n_tokens)
    }

    #[test]
    fn a_prompt_that_grows_at_its_end_is_served_from_cache() {
        for (path, key) in [
            ("/v1/chat/completions", "messages"),
            ("/v1/responses", "input"),
            ("/v1beta/models/m:generateContent", "contents"),
            ("/api/chat", "messages"),
        ] {
            let mut kept = Kept::default();
            let message = |role: &str, n| json!({"role": role, "content": text(n)});
            let first = json!({"model": "m", key: [message("user", 500)]});
            let counts = counted(&mut kept, path, first);
            assert_eq!(counts.cache_read, 0, "{path}");
            let grown = json!({"model": "m", key: [message("user", 500), message("user", 50)]});
            let counts = counted(&mut kept, path, grown);
            assert!((500..=510).contains(&counts.cache_read), "{path}: {counts:?}");
            assert_eq!(counts.cache_read % 10, 0);
            let rewritten =
                json!({"model": "m", key: [message("model", 500), message("user", 50)]});
            assert_eq!(counted(&mut kept, path, rewritten).cache_read, 0, "{path}");
            let short = json!({"model": "m", key: [message("user", 80)]});
            assert_eq!(counted(&mut kept, path, short).cache_read, 0, "below the minimum");
        }
    }

    #[test]
    fn only_what_is_marked_is_kept_and_read() {
        let mut kept = Kept::default();
        let block = |n: usize, marked: bool| {
            let mut block = json!({"type": "text", "text": text(n)});
            if marked {
                block["cache_control"] = json!({"type": "ephemeral"});
            }
            block
        };
        let mut ask = |system: Value, said: &[Value]| {
            let messages: Vec<Value> =
                said.iter().map(|part| json!({"role": "user", "content": [part]})).collect();
            let body = json!({"model": "m", "system": [system], "messages": messages});
            counted(&mut kept, "/v1/messages", body)
        };
        let unmarked = ask(block(300, false), &[block(50, false)]);
        assert_eq!((unmarked.cache_read, unmarked.cache_write), (0, 0));
        let written = ask(block(300, true), &[block(200, true)]);
        assert_eq!(written.cache_read, 0);
        assert_eq!(written.cache_write, written.input);
        let read = ask(block(300, true), &[block(200, false), block(100, true)]);
        assert_eq!(read.cache_read, written.input, "found before the mark");
        assert_eq!(read.cache_read + read.cache_write, read.input);
        let other = ask(block(300, true), &[block(201, true)]);
        assert!((300..320).contains(&other.cache_read), "{other:?}");
        let tiny = ask(block(20, true), &[block(20, true)]);
        assert_eq!((tiny.cache_read, tiny.cache_write), (0, 0));
    }

    #[test]
    fn a_kept_prefix_too_far_before_the_mark_is_not_found() {
        let mut kept = Kept::default();
        let said = |n: usize| {
            let mut parts = vec![json!({"type": "text", "text": text(200)}); n];
            parts[n - 1]["cache_control"] = json!({"type": "ephemeral"});
            json!({"model": "m", "messages": [{"role": "user", "content": parts}]})
        };
        assert_eq!(counted(&mut kept, "/v1/messages", said(1)).cache_read, 0);
        assert!(counted(&mut kept, "/v1/messages", said(21)).cache_read > 0);
        assert!(counted(&mut kept, "/v1/messages", said(43)).cache_read == 0);
    }

    #[test]
    fn five_breakpoints_are_refused() {
        let part = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
        let body = json!({"messages": [{"role": "user", "content": vec![part; 5]}]});
        let path = "/v1/messages".to_owned();
        let request = Request::new("POST".to_owned(), path, Vec::new(), body);
        assert!(Kept::default().count(SMALL, &request).is_err());
    }
}
