#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod world;
