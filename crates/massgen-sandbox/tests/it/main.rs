#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod escapes;
mod world;
