//! A run's folder through the crate's own doors, and through damage.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod catalog;
mod crash;
mod damage;
mod degraded;
mod fixture;
mod follow;
mod kinds;
mod locking;
mod old_runs;
mod payloads;
mod redaction;
mod round_trip;
mod samples;
mod size;
mod streams;
mod versions;
