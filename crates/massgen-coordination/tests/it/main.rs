//! The coordinator from outside: scenarios to read, all states, long random runs, replays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod explore;
#[path = "../explorer/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the mutants and the example")]
mod explorer;
mod random;
mod replay;
mod scenarios;
mod script;
