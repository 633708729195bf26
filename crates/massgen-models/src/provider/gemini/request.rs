//! A call → the body of its request.

use massgen_protocol::{HostedTools, ModelCall, Reasoning, ToolSpec};
use serde_json::{Map, Value, json};

use super::contents::{UnreadFile, conversation};
use super::model::Model;
use super::params::Params;

/// What all requests to one model have in common.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) model: Model,
    pub(super) hosted: HostedTools,
    pub(super) reasoning: Reasoning,
    pub(super) params: Params,
    /// The backend's own bound; the call's wins.
    pub(super) max_output_tokens: Option<u64>,
    /// Of the turns that are replayed as they came.
    pub(super) native: String,
}

impl Plan {
    pub(super) fn body(&self, call: &ModelCall) -> Result<Value, UnreadFile> {
        let needs_signatures = self.model.needs_signatures();
        let said = conversation(&call.messages, &self.native, needs_signatures)?;
        let mut body = Map::new();
        if !said.system.is_empty() {
            body.insert("systemInstruction".to_owned(), json!({"parts": said.system}));
        }
        body.insert("contents".to_owned(), Value::Array(said.contents));
        let tools = self.tools(call);
        if !tools.is_empty() {
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        let tool_config = self.tool_config(call);
        if !tool_config.is_empty() {
            body.insert("toolConfig".to_owned(), Value::Object(tool_config));
        }
        let generation = self.generation_config(call);
        if !generation.is_empty() {
            body.insert("generationConfig".to_owned(), Value::Object(generation));
        }
        let given = self.params.request.iter().filter(|(_, value)| !value.is_null());
        body.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        Ok(Value::Object(body))
    }

    /// Returns what to tell of a wish that this call cannot be granted, if there is one.
    ///
    /// Before Gemini 3 a call has either Google's tools or ours, and without ours there is
    /// no vote and no answer.
    pub(super) fn notice(&self, call: &ModelCall) -> Option<String> {
        let names: Vec<&str> = self.wanted().map(|(name, _)| name).collect();
        if names.is_empty() || self.may_host(call) {
            return None;
        }
        let names = names.join(" and ");
        Some(format!(
            "left out of this call: {names}; this model cannot mix them with other tools, \
             which Gemini 3 and later can"
        ))
    }

    /// Google's own tools the config asks for: our name and the format's.
    fn wanted(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let web_search = self.hosted.web_search.then_some(("web_search", "googleSearch"));
        let code = self.hosted.code_execution.then_some(("code_execution", "codeExecution"));
        web_search.into_iter().chain(code)
    }

    fn may_host(&self, call: &ModelCall) -> bool {
        call.tools.is_empty() || self.model.mixes_tools()
    }

    fn hosts(&self, call: &ModelCall) -> bool {
        self.may_host(call) && self.wanted().next().is_some()
    }

    fn tools(&self, call: &ModelCall) -> Vec<Value> {
        let mut tools = Vec::new();
        if !call.tools.is_empty() {
            let declarations: Vec<Value> = call.tools.iter().map(declaration).collect();
            tools.push(json!({"functionDeclarations": declarations}));
        }
        if self.may_host(call) {
            tools.extend(self.wanted().map(|(_, field)| json!({field: {}})));
        }
        tools
    }

    fn tool_config(&self, call: &ModelCall) -> Map<String, Value> {
        let mut config = Map::new();
        if self.hosts(call) && self.model.mixes_tools() {
            if !call.tools.is_empty() {
                // The mode that mixing takes; `AUTO` is refused with it.
                let mode = json!({"mode": "VALIDATED"});
                config.insert("functionCallingConfig".to_owned(), mode);
            }
            // Needed as soon as a call of ours is in the history, and it brings the parts
            // whose signatures later requests must hold.
            config.insert("includeServerSideToolInvocations".to_owned(), json!(true));
        }
        for (name, value) in &self.params.tool_config {
            // How functions are called may be said only where there are any.
            if name == "functionCallingConfig" && call.tools.is_empty() {
                continue;
            }
            put(&mut config, name, value);
        }
        config
    }

    fn generation_config(&self, call: &ModelCall) -> Map<String, Value> {
        let mut config = Map::new();
        if let Some(bound) = self.max_output_tokens {
            config.insert("maxOutputTokens".to_owned(), json!(bound));
        }
        if let Some(thinking) = self.thinking() {
            config.insert("thinkingConfig".to_owned(), Value::Object(thinking));
        }
        for (name, value) in &self.params.generation {
            put(&mut config, name, value);
        }
        if let Some(bound) = call.max_output_tokens {
            config.insert("maxOutputTokens".to_owned(), json!(bound));
        }
        config
    }

    /// Returns the typed wish, or the user's own words for it, which must not be mixed:
    /// a level beside a budget is refused.
    fn thinking(&self) -> Option<Map<String, Value>> {
        if self.params.no_thinking {
            return None;
        }
        let given = &self.params.thinking;
        let ours = self.model.thinking(&self.reasoning);
        if given.is_empty() {
            return ours;
        }
        let mut config = ours.unwrap_or_default();
        if given.contains_key("thinkingLevel") || given.contains_key("thinkingBudget") {
            config.shift_remove("thinkingLevel");
            config.shift_remove("thinkingBudget");
        }
        if given.get("thinkingBudget").and_then(Value::as_i64) == Some(0) {
            config.shift_remove("includeThoughts");
        }
        for (name, value) in given {
            put(&mut config, name, value);
        }
        Some(config).filter(|config| !config.is_empty())
    }
}

/// Sets a field to what the user says; null is the way to leave out what we would send.
fn put(fields: &mut Map<String, Value>, name: &str, value: &Value) {
    if value.is_null() {
        fields.shift_remove(name);
    } else {
        fields.insert(name.to_owned(), value.clone());
    }
}

fn declaration(tool: &ToolSpec) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": tool.parameters,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
