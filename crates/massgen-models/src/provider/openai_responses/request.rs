//! A call → the body of its request.

use massgen_protocol::{CallFailure, HostedTools, ModelCall, Reasoning};
use serde_json::{Map, Value, json};

use super::input::{Conversation, hash};
use super::model::{Efforts, Model};
use super::names::Names;
use crate::failure::Failures;
use crate::provider::ours::Refused;

/// Fields that are ours alone: a config that sets them is about something else, or would
/// say twice what the conversation says already.
const RESERVED: [&str; 8] =
    ["model", "input", "messages", "stream", "tools", "n", "previous_response_id", "conversation"];
/// Fields that are refused where no tools are offered.
const ONLY_WITH_TOOLS: [&str; 2] = ["tool_choice", "parallel_tool_calls"];
/// Fields refused by models that think.
const SAMPLING: [&str; 2] = ["temperature", "top_p"];
/// Asks for reasoning in the form in which it can be sent back.
const ENCRYPTED: &str = "reasoning.encrypted_content";
/// A smaller bound is refused.
const OUTPUT_TOKENS_MIN: u64 = 16;
const CACHE_KEY_BYTES_MAX: usize = 64;

/// All requests to one model, but for the conversation.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) model: String,
    pub(super) takes: Model,
    pub(super) is_grok: bool,
    pub(super) hosted: HostedTools,
    pub(super) names: Names,
    pub(super) reasoning: Reasoning,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) params: Map<String, Value>,
    /// Of native parts that are ours.
    pub(super) native: String,
}

impl Asking {
    /// Returns the body, less what was refused before.
    pub(super) fn body(
        &self,
        call: &ModelCall,
        refused: &Refused,
        failures: &Failures,
    ) -> Result<Value, CallFailure> {
        let conversation = Conversation { native: &self.native, names: &self.names, failures };
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(self.model));
        body.insert("input".to_owned(), Value::Array(conversation.items(&call.messages)?));
        let tools = self.tools(call);
        let has_tools = !tools.is_empty();
        if has_tools {
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        body.insert("store".to_owned(), json!(false));
        body.insert("stream".to_owned(), json!(true));
        if self.takes.encrypts {
            body.insert("include".to_owned(), json!([ENCRYPTED]));
        }
        let reasoning = self.reasoning();
        if !reasoning.is_empty() {
            body.insert("reasoning".to_owned(), Value::Object(reasoning));
        }
        if let Some(bound) = call.max_output_tokens.or(self.max_output_tokens) {
            let bound = if self.is_grok { bound } else { bound.max(OUTPUT_TOKENS_MIN) };
            body.insert("max_output_tokens".to_owned(), json!(bound));
        }
        if let Some(key) = cache_key(&call.label) {
            body.insert("prompt_cache_key".to_owned(), json!(key));
        }
        refused.leave_out(&mut body);
        self.apply_params(&mut body, call, has_tools);
        if self.is_thinking(&body) {
            for field in SAMPLING {
                body.shift_remove(field);
            }
        }
        Ok(Value::Object(body))
    }

    fn tools(&self, call: &ModelCall) -> Vec<Value> {
        let functions = call.tools.iter().map(|tool| {
            json!({
                "type": "function",
                "name": self.names.outgoing(&tool.name),
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": false,
            })
        });
        let mut tools: Vec<Value> = functions.collect();
        if self.hosted.web_search {
            tools.push(json!({"type": "web_search"}));
        }
        if self.hosted.code_execution {
            tools.push(if self.is_grok {
                json!({"type": "code_interpreter"})
            } else {
                json!({"type": "code_interpreter", "container": {"type": "auto"}})
            });
        }
        if self.hosted.x_search && self.is_grok {
            tools.push(json!({"type": "x_search"}));
        }
        tools
    }

    fn reasoning(&self) -> Map<String, Value> {
        let mut reasoning = Map::new();
        let wish = self.reasoning.effort.as_deref();
        if let Some(mut effort) = wish.and_then(|wish| self.takes.efforts.fit(wish)) {
            // The one effort that no tool of the provider's goes with.
            if effort == "minimal" && (self.hosted.web_search || self.hosted.code_execution) {
                "low".clone_into(&mut effort);
            }
            reasoning.insert("effort".to_owned(), json!(effort));
        }
        let thinks = self.takes.summarizes || self.takes.efforts != Efforts::Refused;
        let summary = match self.reasoning.summary.as_deref() {
            Some(summary) => thinks.then_some(summary),
            None => self.takes.summarizes.then_some("auto"),
        };
        if let Some(summary) = summary {
            reasoning.insert("summary".to_owned(), json!(summary));
        }
        reasoning
    }

    /// Puts the user's own fields in: they win, and null takes one of ours out.
    fn apply_params(&self, body: &mut Map<String, Value>, call: &ModelCall, has_tools: bool) {
        for (name, value) in &self.params {
            let name = match name.as_str() {
                "max_tokens" | "max_completion_tokens" => "max_output_tokens",
                name => name,
            };
            let out_of_place = !has_tools && ONLY_WITH_TOOLS.contains(&name);
            let is_bound = name == "max_output_tokens" && call.max_output_tokens.is_some();
            if RESERVED.contains(&name) || out_of_place || is_bound {
                continue;
            }
            match (name, value) {
                // The names these have in Chat Completions.
                ("reasoning_effort", value) => merge(body, "reasoning", "effort", value),
                ("verbosity", value) => merge(body, "text", "verbosity", value),
                (_, Value::Null) => {
                    body.shift_remove(name);
                }
                ("reasoning" | "text", Value::Object(fields)) => {
                    for (field, value) in fields {
                        merge(body, name, field, value);
                    }
                }
                ("include", Value::Array(wanted)) => include(body, wanted),
                ("tool_choice", choice) => {
                    body.insert(name.to_owned(), self.tool_choice(choice));
                }
                // What switched search on before it was a tool; refused since.
                ("search_parameters", options) if self.is_grok => self.search(body, options),
                (_, value) => {
                    body.insert(name.to_owned(), value.clone());
                }
            }
        }
    }

    /// Returns a choice of tool with the name of its function where this format has it.
    fn tool_choice(&self, choice: &Value) -> Value {
        match choice.pointer("/function/name").or_else(|| choice.get("name")) {
            Some(Value::String(name)) if choice["type"] == "function" => {
                json!({"type": "function", "name": self.names.outgoing(name)})
            }
            Some(_) | None => choice.clone(),
        }
    }

    fn search(&self, body: &mut Map<String, Value>, options: &Value) {
        if options["mode"] == "off" {
            return;
        }
        let Value::Array(tools) = body.entry("tools").or_insert_with(|| json!([])) else { return };
        let sources = options["sources"].as_array().map_or(&[][..], Vec::as_slice);
        let asks = |kind: &str| sources.iter().any(|source| source["type"] == kind);
        let wants = [
            ("web_search", sources.is_empty() || asks("web") || asks("news")),
            ("x_search", asks("x")),
        ];
        for (kind, is_wanted) in wants {
            if is_wanted && !tools.iter().any(|tool| tool["type"] == kind) {
                tools.push(json!({"type": kind}));
            }
        }
    }

    fn is_thinking(&self, body: &Map<String, Value>) -> bool {
        let effort = body.get("reasoning").and_then(|reasoning| reasoning["effort"].as_str());
        self.takes.fixes_sampling && effort != Some("none")
    }
}

/// Sets one field of a field, or takes it out.
fn merge(body: &mut Map<String, Value>, name: &str, field: &str, value: &Value) {
    if let Value::Object(fields) = body.entry(name).or_insert_with(|| json!({})) {
        if value.is_null() {
            fields.shift_remove(field);
        } else {
            fields.insert(field.to_owned(), value.clone());
        }
    }
}

/// Adds to what is included: without ours the next request could not be made.
fn include(body: &mut Map<String, Value>, wanted: &[Value]) {
    if let Value::Array(included) = body.entry("include").or_insert_with(|| json!([])) {
        for value in wanted {
            if !included.contains(value) {
                included.push(value.clone());
            }
        }
    }
}

/// Returns what names a conversation for the provider's cache: the run and the agent, as
/// rounds go on where the last one ended.
fn cache_key(label: &str) -> Option<String> {
    let key = label.rsplit_once('#').map_or(label, |(agent, _)| agent);
    match key.len() {
        0 => None,
        1..=CACHE_KEY_BYTES_MAX => Some(key.to_owned()),
        _ => Some(format!("massgen-{}", hash(key))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_key_is_that_of_the_agent() {
        assert_eq!(cache_key("RUN/agent1#2.1").as_deref(), Some("RUN/agent1"));
        assert_eq!(cache_key("RUN/agent1").as_deref(), Some("RUN/agent1"));
        assert_eq!(cache_key("#1.1"), None);
        let long = cache_key(&format!("{}#1.1", "x".repeat(100))).unwrap();
        assert_eq!(long, cache_key(&format!("{}#2.7", "x".repeat(100))).unwrap());
        assert!(long.len() <= CACHE_KEY_BYTES_MAX);
    }
}
