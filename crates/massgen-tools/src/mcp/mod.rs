//! Servers of the Model Context Protocol and their tools.
//!
//! [`Servers::start`] starts all servers of a team side by side, each within its own bound, and
//! [`Servers::source`] offers an agent the tools of its own. What a server says is data: names,
//! schemas and results are bounded and cleaned before a model sees them, and a result is marked
//! as coming from the server. A server that ends is started again with the next call, less and
//! less often; the tools that agents are offered stay the same during a run all the same.
//!
//! Both eras of the protocol are spoken: `server/discover` is asked first, and a server that
//! does not know it gets the handshake of 2025-11-25 and before.

mod call;
mod catalogue;
mod child;
mod connection;
mod failure;
mod handler;
mod http;
mod launch;
mod limits;
mod names;
mod reach;
mod result;
mod server;
mod servers;
mod source;
mod text;

pub use servers::{Outcome, Rooms, Servers, Started, Wanted};
