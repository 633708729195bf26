//! Tools of ours as an agent has them: through the source, in the sandbox.

mod commands;
mod others;
mod shells;
