#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod team;
mod wire;
