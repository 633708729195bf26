//! The formats the server speaks, told by the path of a request.

/// A provider's way to ask and to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenAI Chat Completions: `…/chat/completions`.
    Chat,
    /// OpenAI and xAI Responses: `…/responses`.
    Responses,
    /// Anthropic Messages: `…/messages`.
    Messages,
    /// Gemini: `…/models/{model}:streamGenerateContent` and `:generateContent`.
    Gemini,
    /// Ollama's own API: `/api/chat`.
    Ollama,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A reply of the model.
    Completion(Format),
    /// How many tokens a request would have.
    CountTokens(Format),
    /// The models there are, in the list of Gemini, Ollama or everybody else.
    Models(Format),
    /// Version or capabilities of an Ollama server.
    OllamaVersion,
    OllamaShow,
    Unknown,
}

impl Format {
    /// Every format, in the order of the server's help.
    pub const ALL: [Format; 5] =
        [Format::Chat, Format::Responses, Format::Messages, Format::Gemini, Format::Ollama];

    pub fn name(self) -> &'static str {
        match self {
            Format::Chat => "openai-chat",
            Format::Responses => "openai-responses",
            Format::Messages => "anthropic-messages",
            Format::Gemini => "gemini-generate",
            Format::Ollama => "ollama-chat",
        }
    }

    /// Returns what follows the server's address in an API's root.
    pub fn root_path(self) -> &'static str {
        match self {
            Format::Chat | Format::Responses | Format::Messages => "/v1",
            Format::Gemini => "/v1beta",
            Format::Ollama => "",
        }
    }

    /// Returns the path below the API's root that asks `model` for a stream.
    pub fn stream_path(self, model: &str) -> String {
        match self {
            Format::Chat => "/chat/completions".to_owned(),
            Format::Responses => "/responses".to_owned(),
            Format::Messages => "/messages".to_owned(),
            Format::Gemini => format!("/models/{model}:streamGenerateContent?alt=sse"),
            Format::Ollama => "/api/chat".to_owned(),
        }
    }
}

impl Endpoint {
    /// Tells what a request wants; `target` may carry a query.
    pub(crate) fn of(method: &str, target: &str) -> Endpoint {
        let path = target.split('?').next().unwrap_or_default().trim_end_matches('/');
        match method {
            "POST" => Endpoint::of_post(path),
            "GET" if path.ends_with("/api/tags") => Endpoint::Models(Format::Ollama),
            "GET" if path.ends_with("/api/version") => Endpoint::OllamaVersion,
            "GET" if path.contains("/v1beta/models") => Endpoint::Models(Format::Gemini),
            "GET" if path.ends_with("/models") || path.contains("/models/") => {
                Endpoint::Models(Format::Chat)
            }
            _ => Endpoint::Unknown,
        }
    }

    fn of_post(path: &str) -> Endpoint {
        let ends: [(&str, Endpoint); 9] = [
            ("/chat/completions", Endpoint::Completion(Format::Chat)),
            ("/responses", Endpoint::Completion(Format::Responses)),
            ("/messages", Endpoint::Completion(Format::Messages)),
            (":streamGenerateContent", Endpoint::Completion(Format::Gemini)),
            (":generateContent", Endpoint::Completion(Format::Gemini)),
            ("/api/chat", Endpoint::Completion(Format::Ollama)),
            ("/messages/count_tokens", Endpoint::CountTokens(Format::Messages)),
            (":countTokens", Endpoint::CountTokens(Format::Gemini)),
            ("/api/show", Endpoint::OllamaShow),
        ];
        let found = ends.into_iter().find(|(end, _)| path.ends_with(end));
        found.map_or(Endpoint::Unknown, |(_, endpoint)| endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_format() {
        let check = |target: &str, expected: Endpoint| {
            assert_eq!(Endpoint::of("POST", target), expected, "{target}");
        };
        check("/v1/chat/completions", Endpoint::Completion(Format::Chat));
        check(
            "/openai/deployments/x/chat/completions?api-version=1",
            Endpoint::Completion(Format::Chat),
        );
        check("/openai/v1/responses", Endpoint::Completion(Format::Responses));
        check("/v1/messages?beta=true", Endpoint::Completion(Format::Messages));
        check("/v1/messages/count_tokens", Endpoint::CountTokens(Format::Messages));
        check(
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            Endpoint::Completion(Format::Gemini),
        );
        check("/v1beta/models/m:generateContent", Endpoint::Completion(Format::Gemini));
        check("/api/chat", Endpoint::Completion(Format::Ollama));
        check("/", Endpoint::Unknown);
        assert_eq!(Endpoint::of("GET", "/v1/chat/completions"), Endpoint::Unknown);
        assert_eq!(Endpoint::of("GET", "/v1/models"), Endpoint::Models(Format::Chat));
        assert_eq!(Endpoint::of("GET", "/v1beta/models"), Endpoint::Models(Format::Gemini));
        assert_eq!(Endpoint::of("GET", "/api/tags"), Endpoint::Models(Format::Ollama));
    }
}
