//! Tools as agents have them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod builtin;
mod desk;
mod hooks;
mod mcp;
mod python;
