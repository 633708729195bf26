//! Wire formats. Nothing outside of this module knows one.
//!
//! A format is a [`Wire`](http_call::Wire): a call → a request, and a decoder for its
//! reply. Around it `http_call` sends, reads, continues and amends; `events` finds
//! the events in the bytes; `turn` assembles what they say.

mod anthropic;
pub(crate) mod arguments;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(crate) mod conformance;
pub(crate) mod decode;
pub(crate) mod endpoint;
pub(crate) mod events;
mod gemini;
mod http_call;
mod leaked;
pub(crate) mod loose;
mod ollama;
mod openai_chat;
mod openai_responses;
mod ours;
pub(crate) mod reported;
mod rpc_status;
mod turn;

use std::sync::Arc;

use massgen_protocol::{BackendSpec, BackendType, WireFormat};

pub(crate) use endpoint::EndpointError;
pub(crate) use reported::kind_of_status;

use crate::backend::Backend;

/// Makes the backend of a wire format; `None` if `backend_type` is reached in another
/// way, or not at all.
pub(crate) fn connect(
    spec: &BackendSpec,
    backend_type: &BackendType,
) -> Option<Result<Arc<dyn Backend>, EndpointError>> {
    match backend_type.format {
        WireFormat::OpenAiChat => Some(openai_chat::connect(spec, backend_type)),
        WireFormat::OpenAiResponses if openai_chat::is_deployment(spec, backend_type) => {
            Some(openai_chat::connect(spec, backend_type))
        }
        WireFormat::OpenAiResponses => Some(openai_responses::connect(spec, backend_type)),
        WireFormat::AnthropicMessages => Some(anthropic::connect(spec)),
        WireFormat::GeminiGenerate => Some(gemini::connect(spec)),
        WireFormat::A2a => Some(crate::a2a::connect(spec)),
        WireFormat::OllamaChat => Some(ollama::connect(spec)),
        WireFormat::Acp
        | WireFormat::AgentCli
        | WireFormat::PythonFramework
        | WireFormat::Scripted => None,
    }
}
