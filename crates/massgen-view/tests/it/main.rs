//! The fold over whole lists of events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod any_order;
mod bounds;
mod fold;
mod ledger;
mod script;
mod status;
mod table;

/// An event of every kind; the log's own tests write and read the same.
#[path = "../../../massgen-log/tests/it/samples.rs"]
mod samples;
