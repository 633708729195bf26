//! Walks through everything a coordinator may live through, with the production code.
//!
//! [`Setup`] says what team and what trouble; [`World`] is the coordinator with all
//! that may happen around it; [`Referee`] judges each step by the laws; [`check`] and
//! [`walk`] visit all states. Shared by the integration tests, the mutants (unit tests)
//! and `examples/explore.rs`.

mod law;
mod model;
mod referee;
mod setup;
mod walk;
mod world;

pub use law::{Breach, Law};
pub use model::{Checked, Exploration, check};
pub use referee::Referee;
pub use setup::{Setup, Trouble, large_setups, small_setups};
pub use walk::{Shape, shortest_breach, walk};
pub use world::{Action, World};
