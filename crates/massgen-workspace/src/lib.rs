//! Workspaces of agents and their copies.
//!
//! An agent writes to its own workspace only. With every accepted answer goes an immutable
//! copy of it, kept by content in the store; the others read it under the agent's alias in
//! a folder of their own, where changes harm nobody. The [`PathPolicy`] says who may read or
//! write where, and the [`Guard`] opens files through it.
//!
//! Everything here blocks: callers in async code go through a thread that may.

mod guard;
mod places;
mod policy;

pub use guard::{
    BuildTrees, Contents, CopyUp, Guard, GuardError, Kind, LaidView, Listed, Made, Overwrite,
    Sharing, Stat, Walk, WalkOptions, Walked, Written,
};
pub use places::{Places, PlacesError, RunPlaces};
pub use policy::{Denial, EXCLUDED_NAMES, PathPolicy, Zone};
