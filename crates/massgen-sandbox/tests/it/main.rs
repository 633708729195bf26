#![allow(clippy::unwrap_used, clippy::expect_used)]
// What was tried, and what could not be, is what these tests are run for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod calls;
mod escapes;
mod world;
