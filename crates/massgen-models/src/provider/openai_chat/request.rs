//! A call → the body of its request.

use massgen_protocol::{BackendSpec, ModelCall, Reasoning, ToolSpec};
use serde_json::{Map, Value, json};

use super::messages::messages;
use super::quirks::Quirks;
use crate::provider::openai_responses::{Effort, Model};
use crate::provider::ours::Refused;

/// Fields that are ours alone: a config that sets them is about something else.
const RESERVED: [&str; 5] = ["model", "messages", "stream", "tools", "n"];
/// Fields that servers refuse where no tools are offered.
const ONLY_WITH_TOOLS: [&str; 2] = ["tool_choice", "parallel_tool_calls"];
/// Fields refused by models that think.
const SAMPLING: [&str; 2] = ["temperature", "top_p"];
/// The output bound as all know it, and as OpenAI's models that think have it.
pub(super) const BOUND: &str = "max_tokens";
pub(super) const BOUND_OF_THINKERS: &str = "max_completion_tokens";

/// All requests to one model, but for the conversation.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) model: String,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) reasoning: Reasoning,
    /// The user's own fields.
    pub(super) params: Map<String, Value>,
    pub(super) quirks: Quirks,
}

impl Asking {
    pub(super) fn of(spec: &BackendSpec, params: Map<String, Value>, quirks: Quirks) -> Asking {
        Asking {
            model: spec.model.clone(),
            max_output_tokens: spec.max_output_tokens,
            reasoning: spec.reasoning.clone(),
            params,
            quirks,
        }
    }

    /// Returns the body, less what was refused before.
    pub(super) fn body(&self, call: &ModelCall, refused: &Refused) -> Value {
        let quirks = self.quirks;
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(self.model));
        let messages = messages(&call.messages, quirks);
        body.insert("messages".to_owned(), Value::Array(messages));
        if !call.tools.is_empty() {
            let tools = call.tools.iter().map(|spec| tool(spec, quirks)).collect();
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        let bound_field = bound_field(&self.model);
        if let Some(bound) = call.max_output_tokens.or(self.max_output_tokens) {
            body.insert(bound_field.to_owned(), json!(bound));
        }
        body.insert("stream".to_owned(), json!(true));
        if !quirks.no_stream_options {
            body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        if quirks.is_openrouter {
            body.insert("usage".to_owned(), json!({"include": true}));
        }
        if quirks.asks_for_cache {
            body.insert("cache_control".to_owned(), json!({"type": "ephemeral"}));
        }
        if quirks.search_plugin {
            body.insert("plugins".to_owned(), json!([{"id": "web"}]));
        }
        if let Some((field, value)) = self.thinking() {
            body.insert(field.to_owned(), value);
        }
        refused.leave_out(&mut body);
        for (name, value) in &self.params {
            let name = match name.as_str() {
                BOUND | BOUND_OF_THINKERS => bound_field,
                name => name,
            };
            let out_of_place = call.tools.is_empty() && ONLY_WITH_TOOLS.contains(&name);
            if RESERVED.contains(&name) || out_of_place {
                continue;
            }
            if value.is_null() {
                // The way to leave out what we would send.
                body.shift_remove(name);
            } else if !(name == bound_field && call.max_output_tokens.is_some()) {
                body.insert(name.to_owned(), value.clone());
            }
        }
        let effort = body.get("reasoning_effort").and_then(Value::as_str);
        if Model::of(&self.model).fixes_sampling && effort != Some(Effort::None.word()) {
            for field in SAMPLING {
                body.shift_remove(field);
            }
        }
        Value::Object(body)
    }

    /// Returns how much the model is to think, as this server has it.
    fn thinking(&self) -> Option<(&'static str, Value)> {
        let wish = self.reasoning.effort.as_deref();
        if !self.quirks.is_openrouter {
            let effort = Model::of(&self.model).efforts.fit(wish?)?;
            return Some(("reasoning_effort", json!(effort)));
        }
        // It takes one of the two, and fits the effort to its models itself.
        let wish = match wish {
            Some("max") => Some(Effort::XHigh.word()),
            wish => wish,
        };
        let reasoning = match (self.reasoning.budget_tokens, wish) {
            (Some(tokens), _) => json!({"max_tokens": tokens}),
            (None, Some(effort)) => json!({"effort": effort}),
            (None, None) => return None,
        };
        Some(("reasoning", reasoning))
    }
}

/// Returns the name of the output bound: OpenAI's reasoning models refuse the old one.
fn bound_field(model: &str) -> &'static str {
    let is_o_series =
        model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let is_gpt_5_or_later = model
        .strip_prefix("gpt-")
        .and_then(|rest| rest.split(['-', '.']).next())
        .and_then(|version| version.parse::<u32>().ok())
        .is_some_and(|version| version >= 5);
    if is_o_series || is_gpt_5_or_later { BOUND_OF_THINKERS } else { BOUND }
}

fn tool(tool: &ToolSpec, quirks: Quirks) -> Value {
    let mut function = json!({
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    });
    if quirks.strict_tools {
        function["strict"] = json!(true);
    }
    json!({"type": "function", "function": function})
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_asked_for_in_the_servers_own_words() {
        let check = |kind: &str, model: &str, effort: &str, budget, expected: Value| {
            let mut spec = BackendSpec::new(kind, model, "");
            spec.reasoning.effort = Some(effort.to_owned());
            spec.reasoning.budget_tokens = budget;
            let quirks = Quirks::of(&spec, massgen_protocol::backend_type(kind).unwrap());
            let asked = Asking::of(&spec, Map::new(), quirks).thinking();
            let asked = asked.map(|(field, value)| json!({field: value})).unwrap_or_default();
            assert_eq!(asked, expected, "{kind} {model}");
        };
        check("vllm", "m", "low", Some(9), json!({"reasoning_effort": "low"}));
        check("azure_openai", "gpt-5.1", "max", None, json!({"reasoning_effort": "high"}));
        check("chatcompletion", "gpt-4o", "low", None, Value::Null);
        check("groq", "openai/gpt-oss-120b", "xhigh", None, json!({"reasoning_effort": "high"}));
        check("openrouter", "x/m", "max", None, json!({"reasoning": {"effort": "xhigh"}}));
        check("openrouter", "x/m", "max", Some(9), json!({"reasoning": {"max_tokens": 9}}));
    }

    #[test]
    fn the_bound_has_the_name_its_model_takes() {
        for model in ["gpt-5", "gpt-5.4-mini", "gpt-6-sol", "o1", "o3-mini", "o4-mini"] {
            assert_eq!(bound_field(model), "max_completion_tokens", "{model}");
        }
        for model in ["gpt-4o", "gpt-4.1", "gpt-oss-120b", "olmo-2", "llama", "openai/gpt-5", ""] {
            assert_eq!(bound_field(model), "max_tokens", "{model}");
        }
    }
}
