//! Repository rules and chores.
//!
//! `cargo xtask` lists the chores. Each is a module here; `.ci/run` calls them
//! too, so that what a developer runs is what is checked.

mod bench;
mod catalogue;
mod corpus;
mod docs;
mod repo;
mod tidy;
mod verify;

use std::process::ExitCode;

/// One chore: its name, what it does, and how.
struct Chore {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> ExitCode,
}

const CHORES: &[Chore] = &[
    Chore {
        name: "tidy",
        about: "Check the rules of the repository: crate edges, file sizes, fixtures, secrets",
        run: tidy::run,
    },
    Chore {
        name: "corpus",
        about: "Read the configs that MassGen users have; --write keeps which load",
        run: corpus::run,
    },
    Chore {
        name: "verify",
        about: "Explore the coordination and run the kill campaign; --write keeps the figures",
        run: verify::run,
    },
    Chore {
        name: "bench",
        about: "Measure the release build on a loopback server; --write keeps the figures",
        run: bench::run,
    },
    Chore {
        name: "docs",
        about: "Say which pages made from the code are stale; --write writes them",
        run: docs::run,
    },
    Chore {
        name: "catalogue",
        about: "Write the catalogue of models from a file of models.dev",
        run: catalogue::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen = arguments.first().and_then(|name| CHORES.iter().find(|chore| chore.name == name));
    match chosen {
        Some(chore) => (chore.run)(&arguments[1..]),
        None => {
            repo::say("usage: cargo xtask <chore>\n");
            for chore in CHORES {
                repo::say(&format!("  {:<10} {}", chore.name, chore.about));
            }
            // Asking for the list is no mistake; naming a chore that is none is.
            if arguments.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) }
        }
    }
}
