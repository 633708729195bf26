//! The one loop that carries decisions out.
//!
//! A [`Session`] runs one question to its end. Inside, one task owns the
//! [`Engine`] (the coordinator, every round and every conversation: all pure) and
//! the log: it takes what happened outside, one thing at a time, appends it to the
//! log, steps the engine, appends what was decided, and only then shows it and
//! carries it out. The tasks around it (model calls, tools, snapshots) report back
//! through one bounded channel and decide nothing.
//!
//! So the order of the log is the order of processing, and the log alone rebuilds
//! the engine: [`Session::resume`] continues a killed run, [`check`] proves that a
//! log leads to the decisions it records.

mod call;
mod conversation;
mod driver;
mod engine;
mod fanout;
mod lanes;
mod replay;
mod seams;
mod session;
mod work;

pub use engine::Engine;
pub use fanout::Subscription;
pub use replay::{CheckReport, Divergence, check};
pub use seams::{FilesView, NoFiles, NoTools, Seams, Snapshots, ToolReports, ToolRequest, Tools};
pub use session::{Connect, Finished, Session, SessionOptions, StartError};
