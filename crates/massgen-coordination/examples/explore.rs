//! Explores all setups, small and large, and prints the table of `docs/verification.md`.
//!
//! `cargo run --release -p massgen-coordination --example explore`
#![allow(clippy::print_stdout, reason = "its output is its purpose")]
#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use massgen_coordination::{Coordinator, Input};
use massgen_protocol::{
    AgentIndex, AnswerId, Epoch, Millis, Policy, RoundId, SnapshotId, Submission,
};

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
    let (together, storm) = (time_large_team(false), time_large_team(true));
    println!();
    println!("1,000 agents answer and vote, time in `step` and all views of all answers:");
    println!("{:.0} ms when answers are stored together,", together.as_secs_f64() * 1e3);
    println!("{:.0} ms when each is stored before the next comes.", storm.as_secs_f64() * 1e3);
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Times `step` alone with 1,000 agents that answer, see all answers, and vote.
fn time_large_team(storm: bool) -> Duration {
    const N_AGENTS: u16 = 1_000;
    let mut coordinator = Coordinator::new(N_AGENTS, Policy::default(), 7);
    let mut spent = Duration::ZERO;
    let mut step = |input| {
        let begun = Instant::now();
        let fx = coordinator.step(Millis(0), input);
        spent += begun.elapsed();
        fx
    };
    let agents = || (0..N_AGENTS).map(AgentIndex);
    let answer_of = |agent| AnswerId { agent, n: 1 };
    let text = |agent: AgentIndex| format!("answer {} ", agent.0).repeat(100);
    let submit = |round, seen, submission| Input::Submitted { round, seen, submission };
    let _ = step(Input::Begin);
    for agent in agents() {
        let round = RoundId { agent, n: 1 };
        let text = text(agent).into();
        let _ = step(submit(round, Epoch(0), Submission::NewAnswer { text }));
        if storm {
            let _ = step(stored(answer_of(agent)));
        }
    }
    if !storm {
        agents().for_each(|agent| _ = step(stored(answer_of(agent))));
    }
    let newest = Epoch(u32::from(N_AGENTS));
    for agent in agents() {
        let vote = Submission::Vote { choice: "agent1".into(), reason: "checked".into() };
        let fx = step(submit(RoundId { agent, n: 2 }, newest, vote));
        assert!(!fx.events.is_empty());
    }
    let mut view = Duration::ZERO;
    for agent in agents() {
        let begun = Instant::now();
        assert_eq!(coordinator.answers_in_view(agent, newest).len(), usize::from(N_AGENTS));
        view += begun.elapsed();
    }
    assert_eq!(coordinator.ballots().len(), usize::from(N_AGENTS));
    spent + view
}

fn stored(answer: AnswerId) -> Input {
    Input::SnapshotTaken { answer, snapshot: Some(SnapshotId::empty()) }
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
