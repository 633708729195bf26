//! Agents over the Agent Client Protocol: a fake one that misbehaves, then real ones.

mod fake;
mod faults;
mod real;
mod sessions;
mod turns;
