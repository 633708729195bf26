//! A loopback server that speaks the formats of five providers and misbehaves on request.
//!
//! ```
//! use massgen_testkit::{Format, Reply, Server, script};
//!
//! let server = Server::start(script(|_| Reply::stream().text("4").finish("stop").done()));
//! assert!(server.base_url_of(Format::Gemini).ends_with("/v1beta"));
//! assert_eq!(server.stats().requests, 0);
//! ```
//!
//! A [`Script`] turns each [`Request`] into a [`Reply`]: words and tool calls, faults,
//! pauses, and [`Gate`]s that hold a piece back until a test opens them. Neither knows a
//! [`Format`]: the path of the request tells which one its [`Conversation`] is read from
//! and the reply is written in, as a stream or whole. [`behaviour`] has ready-made
//! scripts. The server runs on a thread and a runtime of its own, so that a paused clock
//! in a test does not reach it. It knows nothing of MassGen but the names of the workflow
//! tools.

pub mod behaviour;
mod conversation;
mod encode;
mod format;
mod gate;
mod http;
mod listing;
mod prefix_cache;
mod render;
mod reply;
mod request;
mod server;

pub use behaviour::{Script, script};
pub use conversation::{Call, Conversation, Said, Speaker, Tool, ToolOutput};
pub use encode::Counts;
pub use format::{Endpoint, Format};
pub use gate::Gate;
pub use prefix_cache::PrefixCache;
pub use reply::{Cut, Reply};
pub use request::Request;
pub use server::{Server, Setup, Stats};
