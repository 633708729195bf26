//! A loopback server that speaks OpenAI Chat Completions and misbehaves on request.
//!
//! ```
//! use massgen_testkit::{Reply, Server, script};
//!
//! let server = Server::start(script(|_| Reply::stream().text("4").finish("stop").done()));
//! assert!(server.base_url().ends_with("/v1"));
//! assert_eq!(server.stats().requests, 0);
//! ```
//!
//! A [`Script`] turns each [`Request`] into a [`Reply`]: frames of a stream,
//! faults, pauses, and [`Gate`]s that hold a frame back until a test opens
//! them. [`behaviour`] has ready-made ones. The server runs on a thread and a
//! runtime of its own, so that a paused clock in a test does not reach it.
//! It knows nothing of MassGen but the names of the workflow tools.

pub mod behaviour;
mod chunk;
mod gate;
mod http;
mod reply;
mod request;
mod server;

pub use behaviour::{Script, script};
pub use gate::Gate;
pub use reply::{Cut, Reply};
pub use request::Request;
pub use server::{Server, Stats};
