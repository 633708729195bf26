#![allow(clippy::unwrap_used, clippy::expect_used)]

mod a2a;
mod acp;
mod anthropic;
mod conformance;
mod discovery;
mod faults;
mod gemini;
mod litellm;
mod ollama;
mod peer;
mod requests;
mod responses;
mod sdks;
mod support;
