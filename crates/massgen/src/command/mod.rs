//! One file a command: what it needs, what it does, how it ends.

pub mod bridge;
pub mod config;
mod cost;
pub mod demo;
pub mod doctor;
mod files;
mod follow;
mod gc;
pub mod models;
pub mod replay;
pub mod resume;
pub mod run;
pub mod runs;
pub mod sandbox;
pub mod shell;
