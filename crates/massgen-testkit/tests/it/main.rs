#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod formats;
mod program;
mod team;
mod wire;
