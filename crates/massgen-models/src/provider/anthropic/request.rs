//! A call → the body and the betas of its request.

use massgen_protocol::{BackendSpec, HostedTools, ModelCall, Reasoning, ToolSpec};
use serde_json::{Map, Value, json};

use super::history::{History, Native, Side, Turn, is_thought, is_unknown};
use super::models::{Rules, Thinking, budget_of};

/// Output bound where nothing else is said; the format demands one.
const MAX_TOKENS_DEFAULT: u64 = 32_000;
/// Less is refused as a budget of thought.
const BUDGET_TOKENS_MIN: u64 = 1_024;
/// Fields that are ours alone: a config that sets them is about something else.
const RESERVED: [&str; 6] = ["model", "messages", "system", "tools", "stream", "betas"];
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];
/// Turns of the user whose ends are marked for the cache: the last one for the next
/// request to find, and the one before, which this request finds. With the tools and
/// the system prompt that makes four marks, the most a request may have.
const TURNS_MARKED: usize = 2;

const WEB_SEARCH: &str = "web_search_20250305";
const CODE_EXECUTION: &str = "code_execution_20250825";
const CODE_EXECUTION_BETA: &str = "code-execution-2025-08-25";
const INTERLEAVED_BETA: &str = "interleaved-thinking-2025-05-14";

/// What all requests to one model have in common.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) model: String,
    /// Of the native parts that are replayed.
    pub(super) format: String,
    pub(super) rules: Rules,
    max_output_tokens: Option<u64>,
    hosted_tools: HostedTools,
    reasoning: Reasoning,
    params: Map<String, Value>,
    betas: Vec<String>,
}

impl Options {
    pub(super) fn of(spec: &BackendSpec, format: String) -> Options {
        let mut betas = Vec::new();
        match spec.params.get("betas") {
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).for_each(|name| add_betas(&mut betas, name));
            }
            Some(Value::String(names)) => add_betas(&mut betas, names),
            Some(_) | None => {}
        }
        for (name, value) in &spec.headers {
            if name.eq_ignore_ascii_case("anthropic-beta") {
                add_betas(&mut betas, value.expose());
            }
        }
        Options {
            model: spec.model.clone(),
            format,
            rules: Rules::of(&spec.kind, &spec.model),
            max_output_tokens: spec.max_output_tokens,
            hosted_tools: spec.hosted_tools,
            reasoning: spec.reasoning.clone(),
            params: spec.params.clone(),
            betas,
        }
    }

    /// Returns the body. `paused` is what the model has said of a turn that is to be
    /// continued.
    pub(super) fn body(&self, call: &ModelCall, paused: Option<&Value>) -> Value {
        let native = Native { format: &self.format, needs_signatures: self.rules.is_claude };
        let history = History::of(&call.messages, native, paused);
        let max_tokens = self.max_tokens(call);
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(self.model));
        body.insert("max_tokens".to_owned(), json!(max_tokens));
        body.insert("stream".to_owned(), json!(true));
        if let Some(thinking) = self.thinking(max_tokens) {
            body.insert("thinking".to_owned(), thinking);
        }
        if let Some(effort) = self.effort() {
            body.insert("output_config".to_owned(), json!({"effort": effort}));
        }
        if self.hosted_tools.code_execution
            && let Some(container) = &history.container
        {
            body.insert("container".to_owned(), json!(container));
        }
        let tools = self.tools(&call.tools);
        self.add_params(&mut body, tools.is_empty());
        self.add_conversation(&mut body, tools, history);
        self.settle(&mut body);
        Value::Object(body)
    }

    /// Returns the value of `anthropic-beta` for a body; empty if nothing needs one.
    pub(super) fn betas(&self, body: &Value) -> String {
        let has_tools = body.get("tools").is_some();
        let is_budgeted = thinking_type(body) == Some("enabled");
        let mut betas = Vec::new();
        if self.hosted_tools.code_execution {
            betas.push(CODE_EXECUTION_BETA.to_owned());
        }
        if self.rules.interleaves_by_beta && is_budgeted && has_tools {
            betas.push(INTERLEAVED_BETA.to_owned());
        }
        self.betas.iter().for_each(|name| add_betas(&mut betas, name));
        betas.join(",")
    }

    /// Returns another form of a body that was refused as a bad request, if it holds
    /// something that is only good for the model, or the time, it was made for.
    pub(super) fn amended(&self, refused: &Value) -> Option<Value> {
        let mut body = refused.as_object()?.clone();
        let own = |name: &str| !self.params.contains_key(name);
        if own("container") && body.shift_remove("container").is_some() {
            return Some(Value::Object(body));
        }
        // A model that cannot but think.
        if own("thinking") && thinking_type(refused) == Some("disabled") {
            body.shift_remove("thinking");
            return Some(Value::Object(body));
        }
        let turns = body.get_mut("messages").and_then(Value::as_array_mut)?;
        let mut is_changed = false;
        for turn in &mut *turns {
            if let Some(blocks) = turn.get_mut("content").and_then(Value::as_array_mut) {
                let before = blocks.len();
                blocks.retain(|block| !is_thought(block) && !is_unknown(block));
                is_changed |= blocks.len() != before;
            }
        }
        turns.retain(|turn| {
            turn.get("content").and_then(Value::as_array).is_none_or(|blocks| !blocks.is_empty())
        });
        self.settle(&mut body);
        is_changed.then_some(Value::Object(body))
    }

    fn max_tokens(&self, call: &ModelCall) -> u64 {
        let given = self.params.get("max_tokens").and_then(Value::as_u64);
        let most = self.rules.max_output_tokens;
        match (call.max_output_tokens, given, self.max_output_tokens) {
            (Some(bound), ..) => bound.min(most),
            (None, Some(given), _) => given,
            (None, None, bound) => bound.unwrap_or(MAX_TOKENS_DEFAULT).min(most),
        }
    }

    fn is_thinking_unwanted(&self) -> bool {
        self.reasoning.effort.as_deref() == Some("none") || self.reasoning.budget_tokens == Some(0)
    }

    fn thinking(&self, max_tokens: u64) -> Option<Value> {
        let disabled = json!({"type": "disabled"});
        let Reasoning { effort, budget_tokens, summary } = &self.reasoning;
        match self.rules.thinking {
            Thinking::Never => None,
            Thinking::Budget if self.is_thinking_unwanted() => Some(disabled),
            Thinking::Budget => {
                let of_effort = effort.as_deref().and_then(budget_of);
                let wish = budget_tokens.or(of_effort)?.max(BUDGET_TOKENS_MIN);
                // A quarter of the bound is left for what is not thought.
                let budget = wish.min(max_tokens.saturating_sub(max_tokens / 4));
                (BUDGET_TOKENS_MIN..max_tokens)
                    .contains(&budget)
                    .then(|| json!({"type": "enabled", "budget_tokens": budget}))
            }
            Thinking::Adaptive if self.is_thinking_unwanted() => Some(disabled),
            Thinking::Adaptive | Thinking::AdaptiveAlways => {
                if effort.is_none() && budget_tokens.is_none() && summary.is_none() {
                    return None;
                }
                let mut thinking = json!({"type": "adaptive"});
                if self.rules.hides_thinking {
                    thinking["display"] = json!("summarized");
                }
                Some(thinking)
            }
        }
    }

    fn effort(&self) -> Option<&'static str> {
        match self.rules.thinking {
            Thinking::Never | Thinking::Budget => None,
            // With thinking off, a high effort is a contradiction that is refused.
            Thinking::Adaptive if self.is_thinking_unwanted() => None,
            Thinking::AdaptiveAlways if self.is_thinking_unwanted() => self.rules.effort("low"),
            Thinking::Adaptive | Thinking::AdaptiveAlways => {
                self.rules.effort(self.reasoning.effort.as_deref()?)
            }
        }
    }

    fn tools(&self, tools: &[ToolSpec]) -> Vec<Value> {
        let hosted = [
            (self.hosted_tools.web_search, WEB_SEARCH, "web_search"),
            (self.hosted_tools.code_execution, CODE_EXECUTION, "code_execution"),
        ];
        let is_ours = |name: &str| tools.iter().any(|tool| tool.name == name);
        let hosted = hosted.into_iter().filter(|(is_on, _, name)| *is_on && !is_ours(name));
        let hosted = hosted.map(|(_, kind, name)| json!({"type": kind, "name": name}));
        hosted.chain(tools.iter().map(tool)).collect()
    }

    fn add_params(&self, body: &mut Map<String, Value>, has_no_tools: bool) {
        for (name, value) in &self.params {
            let is_placed_elsewhere = matches!(name.as_str(), "max_tokens" | "cache_control");
            let is_out_of_place = has_no_tools && name == "tool_choice";
            if RESERVED.contains(&name.as_str()) || is_placed_elsewhere || is_out_of_place {
                continue;
            }
            match (value, body.get_mut(name)) {
                (Value::Null, _) => {
                    body.shift_remove(name);
                }
                // Effort is ours and the format of the answer the user's, or the reverse.
                (Value::Object(theirs), Some(Value::Object(ours))) if name == "output_config" => {
                    ours.extend(theirs.clone());
                }
                _ => {
                    body.insert(name.clone(), value.clone());
                }
            }
        }
    }

    /// Adds tools, system prompt and turns, and marks what is worth caching.
    fn add_conversation(
        &self,
        body: &mut Map<String, Value>,
        mut tools: Vec<Value>,
        history: History,
    ) {
        let History { mut system, mut turns, container: _ } = history;
        if let Some(mark) = self.cache_control() {
            tools.last_mut().into_iter().for_each(|tool| set_mark(tool, &mark));
            system.last_mut().into_iter().for_each(|block| set_mark(block, &mark));
            let users = turns.iter_mut().rev().filter(|turn| turn.side == Side::User);
            for turn in users.take(TURNS_MARKED) {
                turn.blocks.last_mut().into_iter().for_each(|block| set_mark(block, &mark));
            }
        }
        if !system.is_empty() {
            body.insert("system".to_owned(), Value::Array(system));
        }
        if !tools.is_empty() {
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        let turns = turns.into_iter().map(message).collect();
        body.insert("messages".to_owned(), Value::Array(turns));
    }

    /// Returns the mark of a cache breakpoint: the user's own `cache_control`, which may
    /// set a longer life, or none if that is null.
    fn cache_control(&self) -> Option<Value> {
        match self.params.get("cache_control") {
            Some(Value::Null) => None,
            Some(mark @ Value::Object(_)) => Some(mark.clone()),
            Some(_) | None => Some(json!({"type": "ephemeral"})),
        }
    }

    /// Removes what contradicts the rest of the body.
    fn settle(&self, body: &mut Map<String, Value>) {
        let thinking = |body: &Map<String, Value>| {
            let kind = body.get("thinking").and_then(|thinking| thinking.get("type"));
            kind.and_then(Value::as_str).map(str::to_owned)
        };
        if thinking(body).as_deref() == Some("enabled")
            && self.rules.is_claude
            && goes_on_without_thought(body)
        {
            body.shift_remove("thinking");
        }
        let thinks = matches!(thinking(body).as_deref(), Some("enabled" | "adaptive"));
        if self.rules.refuses_sampling || (thinks && self.rules.is_claude) {
            for name in SAMPLING {
                body.shift_remove(name);
            }
        }
    }
}

fn thinking_type(body: &Value) -> Option<&str> {
    body.pointer("/thinking/type").and_then(Value::as_str)
}

/// Returns whether the model is to go on, after results of tools, with a turn that did
/// not begin with a thought. Thinking by budget is refused there; such turns come from
/// other providers, or have lost their thoughts.
fn goes_on_without_thought(body: &Map<String, Value>) -> bool {
    let Some(Value::Array(turns)) = body.get("messages") else { return false };
    let [.., assistant, user] = turns.as_slice() else { return false };
    let first = |turn: &Value| turn.pointer("/content/0").cloned().unwrap_or_default();
    first(user)["type"] == "tool_result" && !is_thought(&first(assistant))
}

fn message(turn: Turn) -> Value {
    let role = match turn.side {
        Side::User => "user",
        Side::Assistant => "assistant",
    };
    json!({"role": role, "content": turn.blocks})
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters})
}

fn set_mark(block: &mut Value, mark: &Value) {
    if !is_thought(block)
        && let Value::Object(fields) = block
    {
        fields.insert("cache_control".to_owned(), mark.clone());
    }
}

/// Adds the names of a list with commas that are not there yet.
fn add_betas(betas: &mut Vec<String>, names: &str) {
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !betas.iter().any(|known| known == name) {
            betas.push(name.to_owned());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
