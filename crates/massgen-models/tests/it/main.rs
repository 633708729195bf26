#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;
mod discovery;
mod faults;
mod requests;
mod support;
