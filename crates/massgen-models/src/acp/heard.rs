//! What an agent says in one turn → events, and the turn they come to.

use agent_client_protocol::v1::schema::{
    ContentBlock, ContentChunk, PlanEntryStatus, PromptResponse, SessionNotification,
    SessionUpdate, StopReason, ToolCallContent, ToolCallStatus, ToolCallUpdateFields, UsageUpdate,
};
use indexmap::IndexMap;
use massgen_protocol::{FinishReason, ModelEvent, Part, ToolCall, Usage};
use serde::Deserialize;
use serde_json::Value;

use super::lines::quoted;
use super::permission::names_own_tool;

/// Text and thoughts of one turn; some four million tokens. The turn ends there.
const TURN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Input or output of a tool as it is shown; the agent has it whole.
const TOOL_TEXT_BYTES_MAX: usize = 8 * 1024;
/// Tools that run at once; of more the ends are told without their beginnings.
const OPEN_TOOLS_MAX: usize = 256;
/// Notices of one turn.
const NOTICES_MAX: usize = 64;

/// A turn under construction.
#[derive(Debug, Default)]
pub(super) struct Heard {
    parts: Vec<Part>,
    bytes: usize,
    calls: Vec<ToolCall>,
    open: IndexMap<String, Tool>,
    notices: usize,
    has_started: bool,
    /// The session's price so far, as last told, in millionths of a dollar.
    pub(super) cost_micros: Option<u64>,
    /// Names of the team's tools, which come as calls of their own.
    own_tools: Vec<String>,
}

#[derive(Debug, Default)]
struct Tool {
    name: String,
    is_told: bool,
    fields: ToolCallUpdateFields,
}

impl Heard {
    pub(super) fn new(own_tools: Vec<String>) -> Heard {
        Heard { own_tools, ..Heard::default() }
    }

    /// Whether the turn has reached the longest that is kept.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > TURN_BYTES_MAX
    }

    /// Whether a tool of the agent's runs, so that its silence is work.
    pub(super) fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    pub(super) fn notice(&mut self, what: String, out: &mut Vec<ModelEvent>) {
        self.notices += 1;
        if self.notices <= NOTICES_MAX {
            out.push(ModelEvent::Unknown { what });
        }
    }

    /// Takes a call of one of the team's tools in.
    pub(super) fn call(&mut self, call: ToolCall, out: &mut Vec<ModelEvent>) {
        self.start(out);
        let index = self.calls.len();
        out.push(ModelEvent::ToolCallStarted { index, name: call.name.clone() });
        if let massgen_protocol::Arguments::Object { value } = &call.arguments {
            let delta = Value::Object(value.clone()).to_string();
            out.push(ModelEvent::ToolArguments { index, delta });
        }
        self.calls.push(call);
    }

    /// Takes the parameters of a `session/update` of `session` in.
    pub(super) fn update(&mut self, params: &Value, session: &str, out: &mut Vec<ModelEvent>) {
        let update = match SessionNotification::deserialize(params) {
            Ok(notification) if &*notification.session_id.0 == session => notification.update,
            // Of a session of the agent's own, which it keeps beside ours.
            Ok(_) => return,
            Err(_) => {
                let kind = params.pointer("/update/sessionUpdate").and_then(Value::as_str);
                let kind = quoted(kind.unwrap_or("without a name"));
                return self.notice(format!("an update that is not known: {kind}"), out);
            }
        };
        match update {
            SessionUpdate::AgentMessageChunk(chunk) => self.chunk(chunk, false, out),
            SessionUpdate::AgentThoughtChunk(chunk) => self.chunk(chunk, true, out),
            SessionUpdate::ToolCall(call) => {
                let fields = ToolCallUpdateFields::new()
                    .title(call.title)
                    .name(call.name)
                    .kind(call.kind)
                    .status(call.status)
                    .content(call.content)
                    .raw_input(call.raw_input)
                    .raw_output(call.raw_output);
                self.tool(call.tool_call_id.0.to_string(), fields, out);
            }
            SessionUpdate::ToolCallUpdate(update) => {
                self.tool(update.tool_call_id.0.to_string(), update.fields, out);
            }
            SessionUpdate::Plan(plan) => {
                let is_done = |status| status == PlanEntryStatus::Completed;
                let n_done = plan.entries.iter().filter(|e| is_done(e.status.clone())).count();
                let current = plan.entries.iter().find(|e| !is_done(e.status.clone()));
                let current = current.map_or("", |entry| entry.content.as_str());
                let n = plan.entries.len();
                self.notice(format!("plan: {n_done} of {n} done; {}", quoted(current)), out);
            }
            SessionUpdate::UsageUpdate(usage) => self.cost(&usage),
            // What the user said, and what a person could set: nothing for a team.
            SessionUpdate::UserMessageChunk(_)
            | SessionUpdate::AvailableCommandsUpdate(_)
            | SessionUpdate::CurrentModeUpdate(_)
            | SessionUpdate::ConfigOptionUpdate(_)
            | SessionUpdate::SessionInfoUpdate(_) => {}
            SessionUpdate::Notice(notice) => {
                let what = format!("notice: {}", quoted(&format!("{notice:?}")));
                self.notice(what, out);
            }
            // The protocol's crate may know more than we do.
            _ => {}
        }
    }

    fn start(&mut self, out: &mut Vec<ModelEvent>) {
        if !self.has_started {
            self.has_started = true;
            out.push(ModelEvent::Started);
        }
    }

    fn chunk(&mut self, chunk: ContentChunk, is_thought: bool, out: &mut Vec<ModelEvent>) {
        self.start(out);
        let text = match chunk.content {
            ContentBlock::Text(text) => text.text,
            ContentBlock::ResourceLink(link) => format!("[{}]({})", link.name, link.uri),
            ContentBlock::Image(_) => return self.notice("an image, not shown".to_owned(), out),
            ContentBlock::Audio(_) => return self.notice("a sound, not played".to_owned(), out),
            _ => return self.notice("an attachment, not shown".to_owned(), out),
        };
        if text.is_empty() || self.is_full() {
            return;
        }
        self.bytes += text.len();
        match (self.parts.last_mut(), is_thought) {
            (Some(Part::Text { text: last }), false) => last.push_str(&text),
            (Some(Part::Reasoning { text: last, .. }), true) => last.push_str(&text),
            (_, false) => self.parts.push(Part::Text { text: text.clone() }),
            (_, true) => self.parts.push(Part::Reasoning { text: text.clone(), field: None }),
        }
        out.push(if is_thought { ModelEvent::Reasoning(text) } else { ModelEvent::Text(text) });
    }

    /// Takes news of a tool of the agent's own in. Its start is told once something is known of
    /// it: some agents announce a tool first and what it is asked after.
    fn tool(&mut self, id: String, news: ToolCallUpdateFields, out: &mut Vec<ModelEvent>) {
        self.start(out);
        if !self.open.contains_key(&id) && self.open.len() == OPEN_TOOLS_MAX {
            return;
        }
        let tool = self.open.entry(id.clone()).or_default();
        let fields = &mut tool.fields;
        fields.title = news.title.or(fields.title.take());
        fields.name = news.name.or(fields.name.take());
        fields.kind = news.kind.or(fields.kind.take());
        fields.status = news.status.or(fields.status.take());
        fields.content = news.content.or(fields.content.take());
        fields.raw_input = news.raw_input.or(fields.raw_input.take());
        fields.raw_output = news.raw_output.or(fields.raw_output.take());
        let status = fields.status.unwrap_or_default();
        let name = fields.name.as_deref().or(fields.title.as_deref()).unwrap_or("tool");
        tool.name = quoted(name);
        let titles = [fields.name.as_deref(), fields.title.as_deref()];
        let own = &self.own_tools;
        let is_own = titles.into_iter().flatten().any(|title| names_own_tool(title, own));
        let has_input = match &fields.raw_input {
            Some(Value::Object(input)) => !input.is_empty(),
            Some(Value::Null) | None => false,
            Some(_) => true,
        };
        if !is_own && !tool.is_told && (has_input || status != ToolCallStatus::Pending) {
            tool.is_told = true;
            let (name, input) = (tool.name.clone(), input(fields));
            out.push(ModelEvent::RemoteToolStarted { id: id.clone(), name, input });
        }
        let is_error = match status {
            ToolCallStatus::Completed => false,
            ToolCallStatus::Failed => true,
            _ => return,
        };
        if let Some(tool) = self.open.shift_remove(&id)
            && !is_own
        {
            let output = output(&tool.fields);
            out.push(ModelEvent::RemoteToolFinished { id, name: tool.name, output, is_error });
        }
    }

    fn cost(&mut self, usage: &UsageUpdate) {
        if let Some(cost) = &usage.cost
            && cost.currency.eq_ignore_ascii_case("usd")
            && cost.amount.is_finite()
            && cost.amount >= 0.0
        {
            // Saturates, and a fraction of a millionth is not money.
            self.cost_micros = Some((cost.amount * 1e6).round() as u64);
        }
    }

    /// Ends the turn: tools whose end was not told, then the parts in order.
    pub(super) fn finish(
        &mut self,
        stop: Option<StopReason>,
        out: &mut Vec<ModelEvent>,
    ) -> (Vec<Part>, FinishReason) {
        for (id, tool) in std::mem::take(&mut self.open) {
            if tool.is_told {
                let output = "the turn ended before it did".to_owned();
                out.push(ModelEvent::RemoteToolFinished {
                    id,
                    name: tool.name,
                    output,
                    is_error: true,
                });
            }
        }
        let finish = match stop {
            _ if self.has_calls() => FinishReason::ToolCalls,
            _ if self.is_full() => FinishReason::Length,
            Some(StopReason::EndTurn) => FinishReason::Stop,
            Some(StopReason::MaxTokens) => FinishReason::Length,
            Some(StopReason::Refusal) => FinishReason::Refused,
            // Cancelled by somebody else, too many requests of its own, or a new reason.
            Some(_) | None => FinishReason::Other,
        };
        let mut parts = std::mem::take(&mut self.parts);
        parts.extend(std::mem::take(&mut self.calls).into_iter().map(Part::ToolCall));
        (parts, finish)
    }
}

/// Returns the tokens of one turn, as far as the agent tells.
pub(super) fn usage(response: &PromptResponse) -> Usage {
    let Some(told) = &response.usage else {
        // As some agents tell it beside the protocol.
        let quota = response.meta.as_ref().and_then(|meta| meta.get("quota"));
        let count = |name: &str| quota?.get("token_count")?.get(name)?.as_u64();
        return Usage {
            input_uncached: count("input_tokens").unwrap_or(0),
            output: count("output_tokens").unwrap_or(0),
            ..Usage::default()
        };
    };
    let cached = [told.cached_read_tokens, told.cached_write_tokens].map(Option::unwrap_or_default);
    let reasoning = told.thought_tokens.unwrap_or(0);
    let apart = [told.input_tokens, told.output_tokens, reasoning, cached[0], cached[1]];
    let sum = apart.iter().fold(0u64, |sum, tokens| sum.saturating_add(*tokens));
    // The protocol does not say whether the classes overlap; the total does.
    let input_uncached = if told.total_tokens < sum {
        told.input_tokens.saturating_sub(cached[0].saturating_add(cached[1]))
    } else {
        told.input_tokens
    };
    Usage {
        input_uncached,
        cache_read: cached[0],
        cache_write: cached[1],
        output: told.output_tokens,
        reasoning,
        cost_micros: None,
    }
}

fn input(fields: &ToolCallUpdateFields) -> String {
    let text = match &fields.raw_input {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => fields.title.clone().unwrap_or_default(),
        Some(value) => value.to_string(),
    };
    bounded(text)
}

fn output(fields: &ToolCallUpdateFields) -> String {
    let pieces = fields.content.iter().flatten().filter_map(|content| match content {
        ToolCallContent::Content(content) => match &content.content {
            ContentBlock::Text(text) => Some(text.text.clone()),
            ContentBlock::ResourceLink(link) => Some(link.uri.clone()),
            _ => None,
        },
        ToolCallContent::Diff(diff) => Some(format!("changed {}", diff.path.display())),
        _ => None,
    });
    let text = pieces.collect::<Vec<_>>().join("\n");
    if !text.is_empty() {
        return bounded(text);
    }
    bounded(match &fields.raw_output {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(value) => value.to_string(),
    })
}

fn bounded(mut text: String) -> String {
    if text.len() > TOOL_TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TOOL_TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}
