//! Explores all setups, small and large, and prints the table of `docs/verification.md`.
//!
//! `cargo run --release -p massgen-coordination --example explore`
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::process::ExitCode;
use std::time::Instant;

#[path = "../tests/explorer/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests, which need other parts")]
mod explorer;

use explorer::{Action, World, check, large_setups, small_setups, walk};

fn main() -> ExitCode {
    println!("| team and trouble | states | transitions | longest run | result | time |");
    println!("|---|--:|--:|--:|---|--:|");
    let mut all_hold = true;
    for setup in small_setups().into_iter().chain(large_setups()) {
        let begun = Instant::now();
        let shape = walk(&setup, World::new(&setup));
        let walked = begun.elapsed();
        let result = match (&shape.breach, &shape.cycle) {
            (Some((breach, way)), _) => format!("**{breach:?}:** {}", told(way)),
            (None, Some(way)) => format!("**need not end:** {}", told(way)),
            (None, None) => {
                let checked = check(&setup, World::new(&setup));
                let agrees = checked.n_states == shape.n_states
                    && checked.n_transitions == shape.n_transitions
                    && checked.breach.is_none();
                if agrees {
                    "all laws hold, every run ends".into()
                } else {
                    format!("**{checked:?}**")
                }
            }
        };
        all_hold &= !result.starts_with("**");
        println!(
            "| {} | {} | {} | {} | {result} | {:.1} s |",
            setup.name,
            grouped(shape.n_states),
            grouped(shape.n_transitions),
            shape.longest,
            walked.as_secs_f64()
        );
    }
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(actions: &[Action]) -> String {
    actions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}
