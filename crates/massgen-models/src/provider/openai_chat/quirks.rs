//! What one server wants differently from most.

use massgen_protocol::{BackendSpec, BackendType};

use super::azure;
use super::ids::Style;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// OpenRouter: it has fields of its own, and models of all makers behind it.
    pub(crate) is_openrouter: bool,
    /// A user's message may not follow a tool's.
    pub(crate) assistant_between_tool_and_user: bool,
    /// Usage cannot be asked for.
    pub(crate) no_stream_options: bool,
    /// Functions must be strict.
    pub(crate) strict_tools: bool,
    /// Two system messages may not follow each other.
    pub(crate) merges_system: bool,
    /// Reasoning is lost on the way: what is sent back does not fit any more.
    pub(crate) drops_reasoning_details: bool,
    /// The prompt is cached where that is asked for.
    pub(crate) asks_for_cache: bool,
    /// The web is searched by a plugin.
    pub(crate) search_plugin: bool,
    pub(crate) ids: Style,
}

/// Servers of functions that must be strict, besides those with a type of their own.
const STRICT_HOSTS: [&str; 2] = ["huggingface.co", "fireworks.ai"];

impl Quirks {
    pub(super) fn of(spec: &BackendSpec, backend_type: &BackendType) -> Quirks {
        let kind = backend_type.name;
        let model = spec.model.to_ascii_lowercase();
        let host = reqwest::Url::parse(&spec.base_url).ok();
        let host = host.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
        let is_at = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        let is_mistral = model.contains("mistral") || model.contains("ministral");
        let is_openrouter = kind == "openrouter";
        // The server of its weights renders a conversation as Mistral's own does.
        let renders_mistral =
            kind == "mistral" || (is_mistral && matches!(kind, "vllm" | "inference"));
        Quirks {
            is_openrouter,
            assistant_between_tool_and_user: renders_mistral,
            no_stream_options: azure::is_azure(backend_type) && is_mistral,
            strict_tools: kind == "fireworks" || STRICT_HOSTS.iter().any(|host| is_at(host)),
            merges_system: is_openrouter,
            drops_reasoning_details: is_openrouter && model.starts_with("google/"),
            asks_for_cache: is_openrouter && model.starts_with("anthropic/"),
            search_plugin: is_openrouter && spec.hosted_tools.web_search,
            ids: if renders_mistral || (azure::is_azure(backend_type) && is_mistral) {
                Style::NineCharacters
            } else if matches!(kind, "moonshot" | "kimi") && model.contains("kimi") {
                Style::Counted
            } else {
                Style::AsGiven
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::backend_type;

    use super::*;

    fn quirks(kind: &str, model: &str, base_url: &str) -> Quirks {
        Quirks::of(&BackendSpec::new(kind, model, base_url), backend_type(kind).unwrap())
    }

    #[test]
    fn quirks_are_those_of_the_server_and_its_model() {
        assert_eq!(quirks("chatcompletion", "m", "http://localhost/v1"), Quirks::default());
        assert_eq!(quirks("vllm", "llama", "http://localhost/v1"), Quirks::default());
        let mistral = quirks("mistral", "mistral-large-latest", "");
        assert!(mistral.assistant_between_tool_and_user);
        assert_eq!(mistral.ids, Style::NineCharacters);
        assert_eq!(quirks("vllm", "mistralai/Ministral-8B", ""), mistral);
        assert_eq!(quirks("kimi", "kimi-k2", "").ids, Style::Counted);
        assert_eq!(quirks("kimi", "moonshot-v1-128k", "").ids, Style::AsGiven);
        assert!(quirks("fireworks", "m", "").strict_tools);
        assert!(quirks("chatcompletion", "m", "https://router.huggingface.co/v1").strict_tools);
        assert!(!quirks("chatcompletion", "m", "https://nothuggingface.co/v1").strict_tools);
        let azure = quirks("azure_openai", "Ministral-3B", "https://r.openai.azure.com");
        assert!(azure.no_stream_options && azure.ids == Style::NineCharacters);
        let gemini = quirks("openrouter", "google/gemini-3-pro", "");
        assert!(gemini.drops_reasoning_details && !gemini.asks_for_cache && gemini.merges_system);
        assert!(quirks("openrouter", "anthropic/claude-opus-4.6", "").asks_for_cache);
    }
}
