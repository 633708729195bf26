//! Wire formats. Nothing outside of this module knows one.

mod openai_chat;

pub use openai_chat::OpenAiChat;
pub(crate) use openai_chat::{Endpoint, EndpointError, Quirks};
