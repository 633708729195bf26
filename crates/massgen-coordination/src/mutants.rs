//! Rules broken on purpose: the explorer must find each, or it is not looking.
#![allow(clippy::print_stderr)]

use std::fmt::Write as _;

use massgen_protocol::{Budget, Deadlines, Policy, SelfVote};

use crate::Coordinator;
use crate::explorer::{Action, Law, Setup, Trouble, World, shortest_breach, walk};
use crate::sabotage::Sabotage;

/// How a broken rule shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Breach(Law),
    /// A run that need not end.
    Cycle,
}

/// Two agents, one answer and two failures each, no deadlines: enough for most.
fn setup() -> Setup {
    let deadlines = Deadlines {
        attempt_ms: None,
        first_round_ms: None,
        later_round_ms: None,
        presentation_ms: None,
        review_ms: None,
        ..Deadlines::default()
    };
    let policy = Policy {
        answers_per_agent_max: 1,
        failures_max: 2,
        exhausted_rounds_max: 2,
        deadlines,
        ..Policy::default()
    };
    let trouble = Trouble { failures: true, noise: true, ..Trouble::default() };
    Setup { name: "mutant", n_agents: 2, policy, trouble }
}

/// Breaks a rule and returns how it was found, with the inputs that show it.
fn hunt(sabotage: Sabotage, setup: &Setup) -> (Option<Found>, Vec<Action>) {
    let start = || {
        let mut coordinator = Coordinator::new(setup.n_agents, setup.policy.clone(), 7);
        coordinator.sabotage = Some(sabotage);
        World::around(setup, coordinator)
    };
    if let Some((breach, way)) = shortest_breach(setup, start()) {
        return (Some(Found::Breach(breach.law)), way);
    }
    match walk(setup, start()).cycle {
        Some(way) => (Some(Found::Cycle), way),
        None => (None, Vec::new()),
    }
}

#[test]
fn every_broken_rule_is_found() {
    let plain = setup();
    let with_policy = |change: fn(&mut Policy)| {
        let mut setup = setup();
        change(&mut setup.policy);
        setup
    };
    let with_trouble = |change: fn(&mut Trouble)| {
        let mut setup = setup();
        change(&mut setup.trouble);
        setup
    };
    let three = Setup { n_agents: 3, ..plain.clone() };
    let attempt_deadline = with_policy(|policy| policy.deadlines.attempt_ms = Some(1_000));
    // Without other noise, to see what becomes of a wish that is heard once.
    let impatient = {
        let mut impatient = plain.clone();
        impatient.trouble = Trouble { interrupt: true, ..Trouble::default() };
        impatient
    };
    let alone = Setup { n_agents: 1, ..attempt_deadline.clone() };
    let hanging = {
        let mut hanging = with_trouble(|trouble| trouble.hanging_agent = true);
        hanging.policy.deadlines.first_round_ms = Some(100);
        hanging.policy.deadlines.later_round_ms = Some(100);
        hanging
    };
    let budget = {
        let mut budget = with_trouble(|trouble| trouble.calls = true);
        budget.policy.budget = Budget { calls: Some(4), ..Budget::default() };
        budget
    };
    // Room for one call at a time, or for two of the smaller ones.
    let narrow = {
        let mut narrow = Setup { n_agents: 3, ..budget.clone() };
        narrow.policy.budget = Budget { tokens: Some(25), ..Budget::default() };
        narrow
    };
    // Asking twice for one call is noise, which would betray the mutant too easily.
    let quiet = {
        let mut quiet = narrow.clone();
        quiet.trouble.noise = false;
        quiet
    };
    let hurried = {
        let mut hurried = narrow.clone();
        hurried.policy.deadlines.first_round_ms = Some(100);
        hurried
    };
    let forbid = with_policy(|policy| policy.self_vote = SelfVote::Forbid);
    let restarts = with_policy(|policy| policy.restarts_max = 1);
    let deferred = with_policy(|policy| policy.defer_voting = true);
    let undecided = with_trouble(|trouble| trouble.exhaustion = true);
    let snapshots = with_trouble(|trouble| trouble.snapshot_failures = true);

    use Found::{Breach, Cycle};
    let table: &[(Sabotage, &Setup, Found)] = &[
        (Sabotage::CountStaleVotes, &plain, Breach(Law::ValidBallots)),
        (Sabotage::KeepBallots, &plain, Breach(Law::Agreement)),
        (Sabotage::VoteForNobody, &plain, Breach(Law::ValidBallots)),
        (Sabotage::CountForbiddenSelfVotes, &forbid, Breach(Law::ValidBallots)),
        (Sabotage::RetireWithoutSettling, &plain, Breach(Law::OnlyEndsAreEnds)),
        (Sabotage::OpenSecondRounds, &plain, Breach(Law::OneRound)),
        (Sabotage::PresentEarly, &three, Breach(Law::FullVote)),
        (Sabotage::OverlookFreezing, &plain, Breach(Law::QuietWhileFreezing)),
        (Sabotage::OverlookFreezing, &alone, Breach(Law::CleanEnd)),
        (Sabotage::NeverRetireFailing, &plain, Cycle),
        (Sabotage::NeverRetireUndecided, &undecided, Cycle),
        (Sabotage::ForgetBackoff, &plain, Breach(Law::Pairs)),
        (Sabotage::ForgetFailedSnapshot, &snapshots, Breach(Law::EveryAsk)),
        (Sabotage::IgnoreRoundDeadline, &hanging, Breach(Law::OnlyEndsAreEnds)),
        (Sabotage::FailDespiteAnswers, &attempt_deadline, Breach(Law::NoVainFailure)),
        (Sabotage::KeepReservations, &budget, Breach(Law::Agreement)),
        (Sabotage::RefuseInSilence, &budget, Breach(Law::EveryAsk)),
        (Sabotage::ForgetWaitingCalls, &narrow, Breach(Law::EveryAsk)),
        (Sabotage::GrantClosedRounds, &hurried, Breach(Law::Queue)),
        (Sabotage::JumpTheQueue, &quiet, Breach(Law::Queue)),
        (Sabotage::RefuseInsteadOfWaiting, &narrow, Breach(Law::Budget)),
        (Sabotage::OverlookReservations, &narrow, Breach(Law::Budget)),
        (Sabotage::CommandAfterTheEnd, &plain, Breach(Law::SilentEnd)),
        (Sabotage::RestartKeepsAnswers, &restarts, Breach(Law::FirstDrafts)),
        (Sabotage::DisturbFirstDrafts, &plain, Breach(Law::FirstDrafts)),
        (Sabotage::ForgetUpdates, &three, Breach(Law::Informed)),
        (Sabotage::OpenVotingEarly, &deferred, Breach(Law::DeferredVoting)),
        (Sabotage::ForgetInterrupt, &impatient, Breach(Law::PromptEnd)),
        (Sabotage::CutFirstDrafts, &attempt_deadline, Breach(Law::NoVainFailure)),
        (Sabotage::PresentAfterTheEnd, &attempt_deadline, Breach(Law::Presenter)),
        (Sabotage::NeverPresentEarlyEnds, &impatient, Breach(Law::Presenter)),
        (Sabotage::NeverPresentEarlyEnds, &attempt_deadline, Breach(Law::Presenter)),
    ];
    let mut found = String::new();
    let mut expected = String::new();
    for (sabotage, setup, law) in table {
        let (how, way) = hunt(*sabotage, setup);
        let way: Vec<String> = way.iter().map(ToString::to_string).collect();
        eprintln!("{sabotage:?}: {how:?} by {}", way.join("; "));
        let _ = writeln!(found, "{sabotage:?}: {how:?}");
        let _ = writeln!(expected, "{sabotage:?}: {:?}", Some(law));
    }
    assert_eq!(found, expected);
}

#[test]
fn without_sabotage_the_same_teams_break_no_law() {
    let (setup, three) = (setup(), Setup { n_agents: 3, ..setup() });
    for setup in [&setup, &three] {
        let shape = walk(setup, World::new(setup));
        assert_eq!((shape.breach, shape.cycle), (None, None));
    }
}
