//! A config's own request fields → where this format has them.

use serde_json::{Map, Value, json};

/// Fields of `generationConfig`; all others belong to the request itself.
const GENERATION_FIELDS: [&str; 17] = [
    "temperature",
    "topP",
    "topK",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "stopSequences",
    "maxOutputTokens",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "responseLogprobs",
    "logprobs",
    "speechConfig",
    "imageConfig",
    "mediaResolution",
];
/// Fields that are ours alone: a config that sets them is about something else.
const RESERVED: [&str; 8] = [
    "model",
    "contents",
    "messages",
    "systemInstruction",
    "tools",
    "stream",
    "n",
    "candidateCount",
];

/// The fields, each where it goes. A null removes what we would send.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Params {
    pub(super) generation: Map<String, Value>,
    pub(super) thinking: Map<String, Value>,
    /// The whole of `thinkingConfig` is unwanted.
    pub(super) no_thinking: bool,
    pub(super) tool_config: Map<String, Value>,
    pub(super) request: Map<String, Value>,
}

impl Params {
    /// Sorts the fields. Names may be written as in Python (`top_p`) or as in JSON (`topP`).
    pub(super) fn of(params: &Map<String, Value>) -> Params {
        let mut sorted = Params::default();
        for (name, value) in params {
            sorted.add(name, value);
        }
        sorted
    }

    fn add(&mut self, name: &str, value: &Value) {
        let camel = camel(name);
        match camel.as_str() {
            field if RESERVED.contains(&field) => {}
            "maxTokens" | "maxCompletionTokens" => self.generate("maxOutputTokens", value),
            "stop" | "stopSequences" => {
                let list = if value.is_string() { json!([value]) } else { value.clone() };
                self.generate("stopSequences", &list);
            }
            "thinkingLevel" | "thinkingBudget" | "includeThoughts" => {
                self.thinking.insert(camel, value.clone());
            }
            "generationConfig" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    self.add(name, value);
                }
            }
            "thinkingConfig" => match value {
                Value::Object(config) => {
                    let config = config.iter().map(|(name, value)| (self::camel(name), value));
                    self.thinking.extend(config.map(|(name, value)| (name, value.clone())));
                }
                _ => self.no_thinking = true,
            },
            "toolConfig" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    self.tool_config.insert(self::camel(name), value.clone());
                }
            }
            // As other formats say it.
            "toolChoice" => {
                let mode = match value.as_str() {
                    Some("required" | "any") => "ANY",
                    Some("none") => "NONE",
                    Some(_) | None => "AUTO",
                };
                let config = json!({"mode": mode});
                self.tool_config.insert("functionCallingConfig".to_owned(), config);
            }
            field if GENERATION_FIELDS.contains(&field) => self.generate(field, value),
            // As it stands: the server knows both ways of writing.
            _ => {
                self.request.insert(name.to_owned(), value.clone());
            }
        }
    }

    fn generate(&mut self, name: &str, value: &Value) {
        self.generation.insert(name.to_owned(), value.clone());
    }
}

/// Returns `top_p` as `topP`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}
