//! One `backend` of an agent: what calls its model, with which key, and how.

mod address;
mod fallbacks;
mod headers;
mod hosted_tools;
mod key;
mod kind;
mod limits;
mod openrouter;
mod program;
mod reasoning;

pub(crate) use program::file_name;

use massgen_protocol::{
    BackendSpec, BackendType, CallTimeouts, Media, TRIES_MAX_DEFAULT, WireFormat,
};

use crate::known::BACKEND;
use crate::media::{MEDIA_BYTES_MAX_DEFAULT, media, media_bytes_max};
use crate::node::Node;
use crate::params::params;
use crate::rate_limits::{RateTable, rate_limits};
use crate::reader::Reader;
use crate::section::{Field, Section};
use crate::tooling::{self, TeamTools, Tools};

/// Largest number of tokens that can be set, far above any model's.
pub(crate) const TOKENS_MAX: u64 = 100_000_000;

const TRIES_MAX_LIMIT: u32 = 20;

/// What a backend depends on besides its own keys.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    /// The team's.
    pub timeouts: CallTimeouts,
    pub rates: &'a RateTable,
    /// Names the folder of an agent that is a program.
    pub agent: &'a str,
    pub place: Place,
    /// What the team's sections say of tools.
    pub tools: TeamTools,
}

/// Where the backend stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    OfAgent,
    Fallback,
}

/// A backend, and what is written in it that belongs to its agent.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub spec: BackendSpec,
    pub media: Vec<Media>,
    /// Largest file of `media`.
    pub media_bytes_max: u64,
    pub tools: Tools,
}

/// Reads a backend.
pub(crate) fn backend(
    reader: &mut Reader<'_>,
    node: &Node,
    path: String,
    around: Around<'_>,
) -> Option<Backend> {
    let mut section = Section::open(reader, node, path, &BACKEND)?;
    let s = &mut section;
    refuse_system_texts(reader, s);
    let model_field = s.given("model");
    let model_written = model_field.as_ref().map_or("", Field::written).to_owned();
    let model_at = model_field.as_ref().map_or(s.at, |field| field.node.at);
    let n_errors = reader.report.n_errors();
    let model = reader.text(model_field).filter(|model| !model.trim().is_empty());
    let model_is_faulty = reader.report.n_errors() > n_errors;
    let kind =
        kind::kind(reader, s, kind::Model { name: model.as_deref(), written: &model_written });
    let named = model.as_deref().or_else(|| kind.and_then(|kind| kind.default_model));
    let address = address::address(reader, s, kind, named);
    let headers = headers::headers(reader, s, kind, address.as_ref());
    let api_key = key::api_key(reader, s, kind, address.as_ref(), headers.as_ref());
    let max_output_tokens = limits::max_output_tokens(reader, s);
    let context_window = limits::context_window(reader, s, kind);
    let prices = limits::prices(reader, s);
    let tries_max =
        reader.count32(s.given("tries_max"), 1..=TRIES_MAX_LIMIT).unwrap_or(TRIES_MAX_DEFAULT);
    let own_rates = match s.given("rate_limits") {
        Some(field) => rate_limits(reader, field.node, field.path),
        None => None,
    };
    let hosted_tools = hosted_tools::hosted_tools(reader, s, kind);
    let program = program::program(reader, s, kind, around.agent);
    let media_bytes_max = media_bytes_max(reader, s).unwrap_or(MEDIA_BYTES_MAX_DEFAULT);
    let media = media(reader, s);
    let fallbacks = fallbacks::written(reader, s, around);
    let tools = match around.place {
        Place::OfAgent => tooling::tools(reader, s, kind, around.tools),
        Place::Fallback => {
            tooling::pass_over(reader, s);
            Some(Tools::default())
        }
    };
    let speaks_responses = address
        .as_ref()
        .zip(kind)
        .is_some_and(|(address, kind)| speaks_responses(kind, &address.url));
    let wish = reasoning::reasoning(reader, s, kind);
    let search_fields = openrouter::search_fields(reader, s, kind, hosted_tools);
    let params = params(reader, s, kind, speaks_responses);
    let kind = kind?;
    let model = match model.or_else(|| default_model(kind)) {
        Some(model) => model,
        None => {
            if !model_is_faulty {
                let message = format!("`{}` has no default model", kind.name);
                let hint = "name one with `model:`".to_owned();
                reader.error(model_at, &section.path_of("model"), message, Some(hint));
            }
            return None;
        }
    };
    let (mut params, mut hosted_tools, wish) = (params?, hosted_tools?, wish?);
    hosted_tools.web_search |= params.asks_for_search;
    let reasoning_field = wish.field.map(|field| ("reasoning".to_owned(), field));
    for (name, field) in search_fields.into_iter().chain(reasoning_field) {
        params.fields.entry(name).or_insert(field);
    }
    let mut spec = BackendSpec {
        api_key: api_key?,
        max_output_tokens,
        params: params.fields,
        timeouts: around.timeouts,
        tries_max,
        hosted_tools,
        reasoning: wish.reasoning,
        context_window,
        headers: headers?,
        program: program?,
        ..BackendSpec::new(kind.name, model, address?.url)
    };
    spec.rate_limits = own_rates.unwrap_or_else(|| around.rates.limits(&spec.kind, &spec.model));
    limits::fill(&mut spec, prices);
    spec.fallbacks = fallbacks?.into_iter().map(|fallback| fallback.of(&spec, around)).collect();
    Some(Backend { spec, media: media?, media_bytes_max, tools: tools? })
}

/// Agents of other makers know their own model: whatever they call it is fine.
fn default_model(kind: &BackendType) -> Option<String> {
    let is_agent = is_agent(kind).then_some("default");
    kind.default_model.or(is_agent).map(str::to_owned)
}

/// Returns whether what is called is an agent rather than a model.
pub(crate) fn is_agent(kind: &BackendType) -> bool {
    match kind.format {
        WireFormat::Acp | WireFormat::A2a | WireFormat::AgentCli | WireFormat::PythonFramework => {
            true
        }
        WireFormat::OpenAiChat
        | WireFormat::OpenAiResponses
        | WireFormat::AnthropicMessages
        | WireFormat::GeminiGenerate
        | WireFormat::OllamaChat
        | WireFormat::Scripted => false,
    }
}

/// Returns whether requests go to an address.
pub(crate) fn has_address(kind: &BackendType) -> bool {
    match kind.format {
        WireFormat::OpenAiChat
        | WireFormat::OpenAiResponses
        | WireFormat::AnthropicMessages
        | WireFormat::GeminiGenerate
        | WireFormat::OllamaChat
        | WireFormat::A2a => true,
        WireFormat::Acp
        | WireFormat::AgentCli
        | WireFormat::PythonFramework
        | WireFormat::Scripted => false,
    }
}

/// Returns whether requests have the form of OpenAI's Responses.
fn speaks_responses(kind: &BackendType, base_url: &str) -> bool {
    kind.format == WireFormat::OpenAiResponses
        && (kind.name != "azure_openai" || base_url.contains("/openai/v1"))
}

fn refuse_system_texts(reader: &mut Reader<'_>, section: &mut Section<'_>) {
    for key in ["system_message", "system_prompt", "append_system_prompt"] {
        if let Some(field) = section.take(key) {
            let message = format!("`{key}` cannot stand inside `backend`");
            let hint = "give the agent a `system_message`, beside `backend`".to_owned();
            reader.error(field.key_at, &field.path, message, Some(hint));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
