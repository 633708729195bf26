//! Models behind one trait, and the driver around every call.
//!
//! ```no_run
//! use futures::StreamExt;
//! use massgen_models::connect;
//! use massgen_protocol::{BackendSpec, ModelCall, ModelEvent};
//!
//! # async fn ask(spec: &BackendSpec, call: ModelCall) -> Result<(), Box<dyn std::error::Error>> {
//! let driver = connect(spec)?;
//! let mut events = driver.call(call);
//! while let Some(event) = events.next().await {
//!     match event {
//!         Ok(ModelEvent::Finished(turn)) => assert!(!turn.parts.is_empty()),
//!         Ok(_) => {}
//!         Err(failure) => return Err(failure.message.into()),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Backend`] makes one try of one call. The [`Driver`] around it owns what
//! is the same for all: time bounds, retries, the circuit breaker. Whatever a
//! provider streams leaves here as [`ModelEvent`](massgen_protocol::ModelEvent)s;
//! wire formats live in `provider/` and nowhere else.
//!
//! This crate decides nothing about the run: it does not know rounds, budgets
//! or prompts.

mod a2a;
mod acp;
mod backend;
mod breaker;
mod cost;
mod discovery;
mod driver;
mod failure;
mod http;
mod limits;
mod probe;
mod provider;
mod registry;
mod repetition;
mod retry;
mod scripted;
mod sse;
mod text_calls;

pub use acp::{BridgeCommand, run_bridge};
pub use backend::{Backend, Beat, Beats};
pub use cost::cost_micros;
pub use discovery::{LocalServer, Ports, local_servers, local_servers_at};
pub use driver::{Driver, ModelEvents};
pub use probe::{Probe, ProbeError, probe};
pub use registry::{ConnectError, Connector, connect};
pub use scripted::{Script, ScriptError, Scripted};
