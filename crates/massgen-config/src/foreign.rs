//! Fields of requests that only some providers know: others would refuse them, or, worse,
//! take them for something else.

use massgen_protocol::{BackendType, WireFormat};

/// A field, the types that know it, and how these are called.
struct Row {
    key: &'static str,
    knows: fn(&BackendType) -> bool,
    of: &'static str,
}

const ROWS: &[Row] = &[
    row("betas", is_claude, "`type: claude`"),
    row("num_ctx", is_ollama, "`type: ollama`"),
    row("top_k", |kind| !is_of_openai(kind), "types other than OpenAI's, Azure's and Grok's"),
    row("chat_template_kwargs", is_server, SERVERS),
    row("min_p", is_server, SERVERS),
    row("repetition_penalty", is_server, SERVERS),
    row("separate_reasoning", is_server, SERVERS),
    row("plugins", is_openrouter, "`type: openrouter`"),
    row("route", is_openrouter, "`type: openrouter`"),
    row("transforms", is_openrouter, "`type: openrouter`"),
];

const SERVERS: &str = "servers of open models";

const fn row(key: &'static str, knows: fn(&BackendType) -> bool, of: &'static str) -> Row {
    Row { key, knows, of }
}

/// Returns who knows the field, if this type does not.
pub(crate) fn foreign(key: &str, kind: &BackendType) -> Option<&'static str> {
    let row = ROWS.iter().find(|row| row.key == key)?;
    (!(row.knows)(kind)).then_some(row.of)
}

fn is_claude(kind: &BackendType) -> bool {
    kind.format == WireFormat::AnthropicMessages
}

fn is_ollama(kind: &BackendType) -> bool {
    kind.name == "ollama"
}

fn is_openrouter(kind: &BackendType) -> bool {
    // The generic type may well stand for it.
    matches!(kind.name, "openrouter" | "chatcompletion")
}

fn is_of_openai(kind: &BackendType) -> bool {
    matches!(kind.name, "openai" | "azure_openai" | "grok")
}

/// Chat Completions in the hands of those who serve models of others.
fn is_server(kind: &BackendType) -> bool {
    matches!(kind.format, WireFormat::OpenAiChat | WireFormat::OllamaChat) && !is_of_openai(kind)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::backend_type;

    use super::*;

    #[test]
    fn a_field_goes_to_those_who_know_it() {
        let check = |key: &str, kind: &str, goes: bool| {
            assert_eq!(foreign(key, backend_type(kind).unwrap()).is_none(), goes, "{key} {kind}");
        };
        check("betas", "claude", true);
        check("betas", "openrouter", false);
        check("top_k", "claude", true);
        check("top_k", "vllm", true);
        check("top_k", "grok", false);
        check("chat_template_kwargs", "sglang", true);
        check("chat_template_kwargs", "gemini", false);
        check("temperature", "gemini", true);
    }
}
