//! All states of small teams. Larger ones take `cargo run --release --example explore`.

use std::collections::{BTreeMap, BTreeSet};

use massgen_coordination::Coordinator;
use massgen_protocol::{Basis, EventBody, FailReason, Outcome, Rejection, WrapUpReason};

use crate::explorer::{Action, Setup, Trouble, World, check, small_setups, walk};

#[test]
fn every_law_holds_in_every_state_and_every_run_ends() {
    for setup in small_setups() {
        let name = setup.name;
        let shape = walk(&setup, World::new(&setup));
        if let Some((breach, way)) = shape.breach {
            panic!("{name}: {}: {breach:?}", told(&way));
        }
        if let Some(way) = shape.cycle {
            panic!("{name}: round and round: {}", told(&way));
        }
        let checked = check(&setup, World::new(&setup));
        assert!(checked.breach.is_none(), "{name}: {:?}", checked.breach);
        assert!(checked.can_end, "{name}: no run can end");
        let counts = (checked.n_states, checked.n_transitions);
        assert_eq!(counts, (shape.n_states, shape.n_transitions), "{name}: two walks differ");
        eprintln!("{name}: {} states, {} transitions", shape.n_states, shape.n_transitions);
    }
}

/// The walks take two states for one if their fingerprints are equal. That is right only
/// if all that may happen next is the same in both, whichever way led there.
#[test]
fn states_taken_for_the_same_have_the_same_future() {
    for setup in small_setups() {
        let start = World::new(&setup);
        let mut futures = BTreeMap::from([(start.fingerprint(), future(&setup, &start))]);
        let mut pending = vec![start];
        // The largest setup would take a minute and has no rule the others lack.
        while let Some(world) = pending.pop().filter(|_| futures.len() < 10_000) {
            let mut actions = Vec::new();
            world.actions(&setup, &mut actions);
            for action in actions {
                let mut next = world.clone();
                let _ = next.apply(&setup, &action);
                let found = future(&setup, &next);
                match futures.get(&next.fingerprint()) {
                    Some(known) => assert_eq!(*known, found, "{}: after {action}", setup.name),
                    None => {
                        futures.insert(next.fingerprint(), found);
                        pending.push(next);
                    }
                }
            }
        }
    }
}

/// Returns what may follow: the fingerprints of all next states.
fn future(setup: &Setup, world: &World) -> Vec<u64> {
    let mut actions = Vec::new();
    world.actions(setup, &mut actions);
    let next = |action| {
        let mut next = world.clone();
        let _ = next.apply(setup, &action);
        next.fingerprint()
    };
    actions.into_iter().map(next).collect()
}

/// A law that is never put to the test holds too easily: all of this must be met on the way.
#[test]
fn everything_that_should_be_possible_is_possible() {
    let mut met = BTreeSet::new();
    for setup in small_setups() {
        visit(&setup, &mut met);
    }
    let expected = [
        "answer accepted",
        "answered by budget",
        "answered by deadline",
        "answered by deadline, presented",
        "answered by interrupt",
        "answered by interrupt, presented",
        "answered by nobody's vote",
        "answered by the sole agent",
        "answered by votes",
        "answered by votes, a tie",
        "answered for an earlier attempt",
        "answered, presented",
        "answered, stored",
        "attempt restarted",
        "call granted",
        "call granted after a wait",
        "call refused",
        "call refused after a wait",
        "failed: AllAgentsFailed",
        "failed: Budget",
        "failed: Deadline",
        "failed: Interrupted",
        "retired",
        "stale vote",
        "update without interruption",
        "update, interrupting",
        "vote only",
        "votes voided",
        "wrapped up",
        "wrapped up by interrupt",
    ];
    assert_eq!(met, expected.into_iter().map(str::to_owned).collect());
}

/// Visits all states of a setup and names what it meets.
fn visit(setup: &Setup, met: &mut BTreeSet<String>) {
    let quiet = Setup { trouble: Trouble { noise: false, ..setup.trouble }, ..setup.clone() };
    let start = World::new(&quiet);
    let mut seen = BTreeSet::from([start.fingerprint()]);
    let mut pending = vec![start];
    while let Some(world) = pending.pop() {
        let mut actions = Vec::new();
        world.actions(&quiet, &mut actions);
        for action in actions {
            let mut next = world.clone();
            let _ = next.apply(&quiet, &action);
            for event in next.said() {
                name(event, &action, next.coordinator(), met);
            }
            if seen.insert(next.fingerprint()) {
                pending.push(next);
            }
        }
    }
}

fn name(event: &EventBody, action: &Action, after: &Coordinator, met: &mut BTreeSet<String>) {
    let mut meet = |what: &str| _ = met.insert(what.to_owned());
    match event {
        EventBody::AnswerAccepted { .. } => meet("answer accepted"),
        EventBody::VotesVoided { .. } => meet("votes voided"),
        EventBody::SubmissionRejected { rejection: Rejection::Stale { .. }, .. } => {
            meet("stale vote");
        }
        EventBody::UpdateSent { interrupt: true, .. } => meet("update, interrupting"),
        EventBody::UpdateSent { interrupt: false, .. } => meet("update without interruption"),
        EventBody::RoundOpened { vote_only: true, .. } => meet("vote only"),
        EventBody::WrapUpStarted { reason: WrapUpReason::Interrupted } => {
            meet("wrapped up by interrupt");
        }
        EventBody::WrapUpStarted { .. } => meet("wrapped up"),
        EventBody::AgentRetired { .. } => meet("retired"),
        EventBody::AttemptRestarted { .. } => meet("attempt restarted"),
        EventBody::CallGranted { call } if *action == Action::Request(call.round.agent) => {
            meet("call granted");
        }
        EventBody::CallGranted { .. } => meet("call granted after a wait"),
        EventBody::CallRefused { call, .. } if *action == Action::Request(call.round.agent) => {
            meet("call refused");
        }
        EventBody::CallRefused { .. } => meet("call refused after a wait"),
        EventBody::TurnFinished { outcome: Outcome::Failed { reason } } => match reason {
            FailReason::AllAgentsFailed
            | FailReason::Deadline
            | FailReason::Budget
            | FailReason::Interrupted => meet(&format!("failed: {reason:?}")),
        },
        EventBody::TurnFinished { outcome: Outcome::Answered { winner, basis, presented } } => {
            meet(if *presented { "answered, presented" } else { "answered, stored" });
            if !after.newest_answers().contains(winner) {
                meet("answered for an earlier attempt");
            }
            match basis {
                Basis::Votes { tie: false, .. } => meet("answered by votes"),
                Basis::Votes { tie: true, .. } => meet("answered by votes, a tie"),
                Basis::SoleAgent => meet("answered by the sole agent"),
                Basis::NoVoters { .. } => meet("answered by nobody's vote"),
                Basis::Deadline { .. } if *presented => meet("answered by deadline, presented"),
                Basis::Deadline { .. } => meet("answered by deadline"),
                Basis::Budget { .. } => meet("answered by budget"),
                Basis::Interrupted { .. } if *presented => {
                    meet("answered by interrupt, presented");
                }
                Basis::Interrupted { .. } => meet("answered by interrupt"),
            }
        }
        _ => {}
    }
}

fn told(actions: &[Action]) -> String {
    actions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
