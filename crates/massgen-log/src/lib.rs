//! The log of a run: one folder, one append-only file of events, payloads by content.
//!
//! ```text
//! <state>/runs/<run>/manifest.json    versions, spec, build: what the run needs
//!                    events.jsonl     one event a line, in order, without gaps
//!                    payloads/<hash>  values too large for a line
//!                    result.json      derived; may be deleted
//!                    lock             held by the one process that writes
//! ```
//!
//! What holds:
//! - An event's line is written before [`Writer::flush`] returns, and a payload
//!   before the line that names it. A killed process loses nothing that was
//!   flushed; after a power cut the events of the last [`SYNC_EVERY`] may be
//!   missing.
//! - Nothing secret enters a file: [`Redactor`] sees every line and payload
//!   first, and what [`Writer::append`] returns is the redacted event, so that
//!   what is decided on and shown is what is in the log.
//! - Recording never fails a run: a writer whose disk refuses goes on in memory
//!   and says so once, see [`Writer::take_failure`].
//! - A torn last line is no error: [`Reader`] stops before it and
//!   [`Writer::resume`] cuts it off.
//!
//! This crate does not interpret events, and it never waits for anybody but the disk.

mod atomic;
mod catalog;
mod crash;
mod error;
mod follower;
mod key_shape;
mod line;
mod lock;
mod manifest;
mod payload;
mod reader;
mod redact;
mod run_dir;
mod run_id;
mod stream_redactor;
mod sync;
mod writer;

pub use atomic::write_atomic;
pub use catalog::{RunStatus, RunSummary, list, resolve};
pub use error::LogError;
pub use follower::Follower;
pub use line::{ReadError, ReadProblem};
pub use manifest::{Manifest, NewRun};
pub use reader::Reader;
pub use redact::{REDACTED, Redactor};
pub use run_dir::{ReservedRun, RunDir};
pub use run_id::{rfc3339, run_id};
pub use stream_redactor::StreamRedactor;
pub use sync::SYNC_EVERY;
pub use writer::{Resumed, Writer, WriterOptions};
