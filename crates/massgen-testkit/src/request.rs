//! What a client sent.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

use crate::conversation::{Conversation, Speaker, text_of};
use crate::format::{Endpoint, Format};

/// One request as it came, with its body parsed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Position among all completions the server was asked for, from 0.
    pub n: usize,
    pub method: String,
    /// With the query, if there is one.
    pub path: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// `null` where the body is not JSON.
    pub body: Value,
    conversation: OnceLock<Conversation>,
}

impl Request {
    pub(crate) fn new(
        method: String,
        path: String,
        headers: Vec<(String, String)>,
        body: Value,
    ) -> Request {
        Request { n: 0, method, path, headers, body, conversation: OnceLock::new() }
    }

    /// Returns the same request with another body.
    #[must_use]
    pub fn with_body(&self, body: Value) -> Request {
        let Request { method, path, headers, .. } = self;
        let copy = Request::new(method.clone(), path.clone(), headers.clone(), body);
        Request { n: self.n, ..copy }
    }

    /// Returns the first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the key it came with, wherever its format puts one.
    pub fn key(&self) -> Option<&str> {
        let bearer = self.header("authorization").map(|value| value.trim_start_matches("Bearer "));
        bearer.or_else(|| self.header("x-api-key")).or_else(|| self.header("x-goog-api-key"))
    }

    /// Returns what it asks for.
    pub fn endpoint(&self) -> Endpoint {
        match Endpoint::of(&self.method, &self.path) {
            // Gemini's stable API shares the path; the key's header tells.
            Endpoint::Models(Format::Chat) if self.header("x-goog-api-key").is_some() => {
                Endpoint::Models(Format::Gemini)
            }
            endpoint => endpoint,
        }
    }

    /// Returns the format of a completion; Chat Completions where it is none.
    pub fn format(&self) -> Format {
        match self.endpoint() {
            Endpoint::Completion(format) | Endpoint::CountTokens(format) => format,
            Endpoint::Models(format) => format,
            Endpoint::OllamaVersion | Endpoint::OllamaShow => Format::Ollama,
            Endpoint::Unknown => Format::Chat,
        }
    }

    /// Returns whether the reply is to come as a stream.
    pub fn wants_stream(&self) -> bool {
        match self.format() {
            Format::Chat | Format::Responses | Format::Messages => self.body["stream"] == true,
            Format::Gemini => self.path.contains(":streamGenerateContent"),
            // Ollama streams unless told not to.
            Format::Ollama => self.body["stream"] != false,
        }
    }

    /// Returns the model asked for; in Gemini it stands in the path.
    pub fn model(&self) -> &str {
        if self.format() == Format::Gemini {
            let path = self.path.split('?').next().unwrap_or_default();
            let model = path.rsplit_once("/models/").map_or("", |(_, model)| model);
            return model.split(':').next().unwrap_or_default();
        }
        self.body["model"].as_str().unwrap_or_default()
    }

    /// Returns what the request says, whichever format it is written in.
    pub fn conversation(&self) -> &Conversation {
        self.conversation.get_or_init(|| Conversation::of(self.format(), &self.body))
    }

    /// Returns the messages as they were sent: objects of the format.
    pub fn messages(&self) -> &[Value] {
        let of = |key: &str| self.body[key].as_array().map(Vec::as_slice);
        of("messages").or_else(|| of("input")).or_else(|| of("contents")).unwrap_or_default()
    }

    /// Returns the schema of an offered tool's arguments.
    pub fn tool(&self, name: &str) -> Option<&Value> {
        self.conversation().tool(name).map(|tool| &tool.parameters)
    }

    /// Returns the text of a message, whichever of its shapes it has.
    pub fn text_of(message: &Value) -> String {
        match &message["content"] {
            Value::Null => text_of(&message["parts"]),
            content => text_of(content),
        }
    }

    /// Counts the calls of this tool the model made earlier in the conversation.
    pub fn earlier_calls(&self, tool: &str) -> usize {
        self.conversation().earlier_calls(tool)
    }

    /// Returns whether peers' answers are shown anywhere but in the system prompt.
    pub fn shows_answers(&self) -> bool {
        !self.shown_answers().is_empty()
    }

    /// Returns whose answers are shown anywhere but in the system prompt: `agent1`, ….
    pub fn shown_answers(&self) -> BTreeSet<String> {
        let tags = self.texts().flat_map(|text| text.split("<agent").skip(1));
        let numbers = tags.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        let numbers = numbers.filter_map(|number| number.filter(|number| !number.is_empty()));
        numbers.map(|number| format!("agent{number}")).collect()
    }

    /// Returns whether the last user message holds this tag.
    pub fn last_user_has(&self, tag: &str) -> bool {
        let said = &self.conversation().said;
        let last = said.iter().rev().find(|said| said.by == Speaker::User && !said.text.is_empty());
        last.is_some_and(|said| said.text.contains(tag))
    }

    /// All that was said or returned by a tool, the system's word left out.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let others = self.conversation().said.iter().filter(|said| said.by != Speaker::System);
        others.flat_map(|said| {
            let results = said.results.iter().map(|result| result.text.as_str());
            std::iter::once(said.text.as_str()).chain(results)
        })
    }
}
