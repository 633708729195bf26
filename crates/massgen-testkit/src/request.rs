//! What a client sent.

use serde_json::Value;

/// One request as it came, with its body parsed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Position among all requests of the server, from 0.
    pub n: usize,
    pub method: String,
    pub path: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// `null` where the body is not JSON.
    pub body: Value,
}

impl Request {
    /// Returns the first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Returns the schema of an offered tool's arguments.
    pub fn tool(&self, name: &str) -> Option<&Value> {
        let tools = self.body["tools"].as_array()?;
        let tool = tools.iter().find(|tool| tool["function"]["name"] == name)?;
        Some(&tool["function"]["parameters"])
    }

    /// Returns the text of a message, whichever of its shapes it has.
    pub fn text_of(message: &Value) -> String {
        match &message["content"] {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().concat()
            }
            _ => String::new(),
        }
    }

    /// Counts the calls of this tool the model made earlier in the conversation.
    pub fn earlier_calls(&self, tool: &str) -> usize {
        self.messages()
            .iter()
            .filter(|message| message["role"] == "assistant")
            .filter_map(|message| message["tool_calls"].as_array())
            .flatten()
            .filter(|call| call["function"]["name"] == tool)
            .count()
    }

    /// Returns whether peers' answers are shown anywhere but in the system prompt.
    pub fn shows_answers(&self) -> bool {
        self.messages().iter().filter(|message| message["role"] != "system").any(|message| {
            let text = Request::text_of(message);
            text.split("<agent").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }

    /// Returns whether the last user message holds this tag.
    pub fn last_user_has(&self, tag: &str) -> bool {
        let mut users = self.messages().iter().rev().filter(|message| message["role"] == "user");
        users.next().is_some_and(|message| Request::text_of(message).contains(tag))
    }
}
