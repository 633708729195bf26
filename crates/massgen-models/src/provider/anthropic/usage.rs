//! Tokens as this format counts them.
//!
//! What was cached is counted beside the input, and thought inside the output. Counts
//! come with the beginning and again with the end of a reply, and grow; a turn that the
//! provider paused is paid request by request.

use massgen_protocol::Usage;
use serde_json::Value;

#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By the requests of this turn that are over.
    before: Usage,
    now: Usage,
}

impl Tally {
    /// Takes the counts of an event in. Some servers send zeros where they have said more.
    pub(super) fn note(&mut self, usage: &Value) {
        let count = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
        let now = &mut self.now;
        now.input_uncached = now.input_uncached.max(count("input_tokens"));
        now.cache_read = now.cache_read.max(count("cache_read_input_tokens"));
        now.cache_write = now.cache_write.max(count("cache_creation_input_tokens"));
        now.output = now.output.max(count("output_tokens"));
    }

    pub(super) fn next_request(&mut self) {
        self.before = self.total();
        self.now = Usage::default();
    }

    pub(super) fn total(&self) -> Usage {
        let (before, now) = (&self.before, &self.now);
        Usage {
            input_uncached: before.input_uncached.saturating_add(now.input_uncached),
            cache_read: before.cache_read.saturating_add(now.cache_read),
            cache_write: before.cache_write.saturating_add(now.cache_write),
            output: before.output.saturating_add(now.output),
            reasoning: 0,
            cost_micros: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_grow_within_a_request_and_add_up_over_requests() {
        let mut tally = Tally::default();
        tally.note(&json!({"input_tokens": 10, "cache_read_input_tokens": 7,
            "cache_creation_input_tokens": 3, "output_tokens": 1}));
        tally.note(&json!({"input_tokens": 0, "output_tokens": 5,
            "server_tool_use": {"web_search_requests": 2}}));
        let first = Usage {
            input_uncached: 10,
            cache_read: 7,
            cache_write: 3,
            output: 5,
            ..Usage::default()
        };
        assert_eq!(tally.total(), first);
        tally.next_request();
        tally.note(&json!({"input_tokens": u64::MAX, "output_tokens": 2}));
        let both = Usage { input_uncached: u64::MAX, output: 7, ..first };
        assert_eq!(tally.total(), both);
        tally.note(&json!("nothing"));
        assert_eq!(tally.total(), both);
    }
}
