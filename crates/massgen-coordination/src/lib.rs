//! Decides between agents.

mod input;

pub use input::{Command, Effects, Input};
