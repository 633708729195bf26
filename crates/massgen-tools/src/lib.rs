//! The tools of agents: what they are called, and how a call is made.
//!
//! Tools come from [`ToolSource`]s: files and commands of ours ([`builtin`]), servers of the
//! Model Context Protocol ([`mcp`]), functions in Python files ([`python`]). The [`host`] puts
//! an agent's sources together; in front of them stands the [`gate`], which decides about every
//! call, and around them the bounds that hold for all.

pub mod builtin;
pub mod gate;
pub mod host;
pub mod mcp;
pub mod python;
mod source;

pub use source::{Equipment, Invocation, Reports, Sourced, ToolSource};
