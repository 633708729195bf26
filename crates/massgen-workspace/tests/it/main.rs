//! Workspaces, snapshots and views on a real file system.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deliveries;
mod diffs;
mod faults;
mod guard;
mod guard_escape;
mod places;
mod policy;
mod round_trip;
mod snapshots;
mod views;
mod worktrees;
