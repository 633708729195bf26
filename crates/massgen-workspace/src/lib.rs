//! Workspaces of agents and their copies.
//!
//! An agent writes to its own workspace only. With every accepted answer goes an immutable
//! copy of it, kept by content in the store; the others read it under the agent's alias in
//! a folder of their own, where changes harm nobody. The [`PathPolicy`] says who may read or
//! write where, and the [`Guard`] opens files through it.
//!
//! Everything here blocks: callers in async code go through a thread that may.

mod context_copy;
mod deliver;
mod descent;
mod diff;
mod error;
mod gc;
mod guard;
mod intake;
mod object;
mod pack;
mod places;
mod policy;
mod record;
mod removal;
mod restore;
mod scan;
mod shared;
mod skipping;
mod sparse;
mod statcache;
mod store;
mod tree;
mod tree_file;
mod views;
mod worktree;

pub use context_copy::{Applied, ApplyError, ContextCopy, OnConflict, Proposed};
pub use deliver::Delivered;
pub use diff::{Change, ChangeKind, DiffOptions, TreeDiff};
pub use error::StoreError;
pub use gc::Freed;
pub use guard::{
    BuildTrees, Contents, CopyUp, Guard, GuardError, Kind, LaidView, Listed, Made, Overwrite,
    Sharing, Stat, Walk, WalkOptions, Walked, Written,
};
pub use object::ObjectId;
pub use places::{Places, PlacesError, RunPlaces};
pub use policy::{Denial, EXCLUDED_NAMES, PathPolicy, Zone};
pub use restore::Restored;
pub use scan::{Ignored, SkipReason, Skipped, Stop, TakeOptions, Taken};
pub use store::{Limits, Store};
pub use tree::{Entry, Modified, Node, Tree};
pub use views::{Changes, View, ViewMode, Views};
pub use worktree::{Worktree, WorktreeError};
