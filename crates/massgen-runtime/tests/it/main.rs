//! Whole runs against real HTTP on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod resume;
mod rules;
mod team;
mod tools;
