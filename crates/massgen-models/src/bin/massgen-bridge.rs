//! The bridge between an agent and the team's tools, as a program of its own: tests that do
//! not have the `massgen` binary at hand start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(address) = std::env::args().nth(1) else { return ExitCode::from(2) };
    match massgen_models::run_bridge(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
