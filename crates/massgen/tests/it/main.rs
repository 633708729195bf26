//! The command as users run it: command line → output, exit code, files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agents;
mod attachments;
mod automation;
mod binary;
mod context_files;
mod demo;
mod doctor;
mod documents;
mod errors;
mod help;
mod json;
mod kill;
mod kill_tools;
mod lost_output;
mod permissions;
mod prefix_cache;
mod providers;
mod python_faults;
mod runs;
mod settings;
mod shared_work;
mod signals;
mod teams;
mod tls;
