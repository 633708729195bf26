//! The teams and troubles that are explored.

use massgen_protocol::{
    Budget, Deadlines, FinalPresentation, OnNewAnswer, Policy, SelfVote, TieBreak,
};

/// A team, its policy, and what may go wrong around it.
#[derive(Clone, Debug)]
pub struct Setup {
    pub name: &'static str,
    pub n_agents: u16,
    pub policy: Policy,
    pub trouble: Trouble,
}

/// What may happen beyond answers and votes. Deadlines strike where the policy arms them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// Calls fail, in a way that a retry may mend.
    pub failures: bool,
    /// Calls fail for good.
    pub fatal_failures: bool,
    /// Rounds end without a choice.
    pub exhaustion: bool,
    /// Copying a workspace fails.
    pub snapshot_failures: bool,
    /// A round ends while its answer is being frozen.
    pub lost_rounds: bool,
    /// The first agent of the roster never says anything.
    pub hanging_agent: bool,
    /// The user loses patience.
    pub interrupt: bool,
    /// Each call is asked for; the policy's budget may refuse it.
    pub calls: bool,
    /// After every step, all that is late or out of place is tried and must change nothing.
    pub noise: bool,
}

/// A policy without any deadline, with `answers` an agent and `failures` in a row.
fn policy(answers: u32, failures: u32) -> Policy {
    Policy {
        answers_per_agent_max: answers,
        failures_max: failures,
        exhausted_rounds_max: 1,
        deadlines: Deadlines {
            attempt_ms: None,
            wrap_up_lead_ms: 1,
            first_round_ms: None,
            later_round_ms: None,
            round_grace_ms: 1,
            presentation_ms: None,
            review_ms: None,
        },
        ..Policy::default()
    }
}

fn attempt_deadline(policy: Policy) -> Policy {
    let deadlines = Deadlines { attempt_ms: Some(1_000), ..policy.deadlines };
    Policy { deadlines, ..policy }
}

fn all_deadlines(policy: Policy) -> Policy {
    let deadlines = Deadlines {
        attempt_ms: Some(1_000),
        first_round_ms: Some(100),
        later_round_ms: Some(100),
        presentation_ms: Some(100),
        review_ms: Some(100),
        ..policy.deadlines
    };
    Policy { deadlines, ..policy }
}

fn round_deadlines(policy: Policy) -> Policy {
    let deadlines = Deadlines { attempt_ms: None, ..all_deadlines(policy.clone()).deadlines };
    Policy { deadlines, ..policy }
}

/// Small enough for every test run.
pub fn small_setups() -> Vec<Setup> {
    let failing = Trouble { failures: true, noise: true, ..Trouble::default() };
    let setup = |name, n_agents, policy, trouble| Setup { name, n_agents, policy, trouble };
    vec![
        setup(
            "2 agents × 2 answers × 2 failures, all troubles, all deadlines",
            2,
            all_deadlines(Policy { exhausted_rounds_max: 2, ..policy(2, 2) }),
            Trouble {
                failures: true,
                fatal_failures: true,
                exhaustion: true,
                snapshot_failures: true,
                lost_rounds: true,
                interrupt: true,
                noise: true,
                ..Trouble::default()
            },
        ),
        setup("3 agents × 1 answer × 2 failures", 3, policy(1, 2), failing),
        setup(
            "3 agents × 1 answer, everybody interrupted",
            3,
            Policy { on_new_answer: OnNewAnswer::Interrupt, ..policy(1, 1) },
            failing,
        ),
        setup(
            "3 agents × 1 answer, nobody interrupted",
            3,
            Policy { on_new_answer: OnNewAnswer::Wait, ..policy(1, 1) },
            failing,
        ),
        setup(
            "3 agents × 1 answer, voting deferred, undecided agents",
            3,
            Policy { defer_voting: true, ..policy(1, 1) },
            Trouble { exhaustion: true, ..failing },
        ),
        setup(
            "3 agents, 2 answers in all, no vote for oneself",
            3,
            Policy { answers_max: Some(2), self_vote: SelfVote::Forbid, ..policy(2, 1) },
            failing,
        ),
        setup(
            "2 agents × 2 answers, own votes discounted, the earliest wins ties",
            2,
            Policy { self_vote: SelfVote::Discount, tie_break: TieBreak::Earliest, ..policy(2, 2) },
            failing,
        ),
        setup(
            "2 agents × 1 answer, a review may restart twice, all deadlines",
            2,
            all_deadlines(Policy { restarts_max: 2, ..policy(1, 1) }),
            Trouble { fatal_failures: true, ..failing },
        ),
        setup(
            "1 agent × 2 answers that votes, presents and is reviewed",
            1,
            all_deadlines(Policy { sole_agent_votes: true, restarts_max: 1, ..policy(2, 2) }),
            Trouble { exhaustion: true, interrupt: true, snapshot_failures: true, ..failing },
        ),
        setup(
            "1 agent without a vote, reviewed",
            1,
            all_deadlines(Policy { restarts_max: 2, ..policy(2, 2) }),
            Trouble { exhaustion: true, interrupt: true, snapshot_failures: true, ..failing },
        ),
        setup(
            "2 agents × 1 answer × 2 failures, no deadlines, interrupted",
            2,
            policy(1, 2),
            Trouble { exhaustion: true, interrupt: true, snapshot_failures: true, ..failing },
        ),
        setup(
            "3 agents × 1 answer, attempt deadline, interrupted, a review may restart",
            3,
            attempt_deadline(Policy { restarts_max: 1, ..policy(1, 1) }),
            Trouble { interrupt: true, ..failing },
        ),
        setup(
            "2 agents × 1 answer, the first hangs, rounds have deadlines",
            2,
            round_deadlines(policy(1, 2)),
            Trouble { hanging_agent: true, ..failing },
        ),
        setup(
            "2 agents × 1 answer, budget of 5 calls and 60 tokens",
            2,
            Policy {
                budget: Budget { calls: Some(5), tokens: Some(60), ..Budget::default() },
                ..policy(1, 2)
            },
            Trouble { calls: true, ..failing },
        ),
        setup(
            "2 agents × 1 answer, budget of 40 tokens, round deadlines",
            2,
            Policy {
                budget: Budget { tokens: Some(40), ..Budget::default() },
                ..round_deadlines(policy(1, 1))
            },
            Trouble { calls: true, ..failing },
        ),
        setup(
            "3 agents × 1 answer, budget of 25 tokens, one or two calls at a time",
            3,
            Policy { budget: Budget { tokens: Some(25), ..Budget::default() }, ..policy(1, 1) },
            Trouble { calls: true, ..Trouble::default() },
        ),
        setup(
            "2 agents × 1 answer, budget of time, answers reused",
            2,
            Policy {
                budget: Budget { time_ms: Some(1_000), ..Budget::default() },
                final_presentation: FinalPresentation::Reuse,
                restarts_max: 1,
                ..policy(1, 2)
            },
            failing,
        ),
        setup("no agent at all", 0, policy(1, 1), failing),
    ]
}

/// What takes longer: run by `cargo run --release -p massgen-coordination --example explore`.
pub fn large_setups() -> Vec<Setup> {
    let failing = Trouble { failures: true, ..Trouble::default() };
    let unlucky = Trouble { exhaustion: true, snapshot_failures: true, ..failing };
    let setup = |name, n_agents, policy, trouble| Setup { name, n_agents, policy, trouble };
    vec![
        setup("3 agents × 2 answers × 2 failures", 3, policy(2, 2), failing),
        setup(
            "3 agents × 2 answers × 2 failures, attempt deadline",
            3,
            attempt_deadline(policy(2, 2)),
            failing,
        ),
        setup(
            "3 agents × 2 answers × 2 failures, all deadlines, undecided agents, failed snapshots",
            3,
            all_deadlines(policy(2, 2)),
            unlucky,
        ),
        setup("3 agents × 3 answers × 2 failures", 3, policy(3, 2), failing),
        setup("4 agents × 1 answer × 1 failure", 4, policy(1, 1), failing),
        setup(
            "4 agents × 1 answer × 1 failure, attempt deadline",
            4,
            attempt_deadline(policy(1, 1)),
            failing,
        ),
        setup("4 agents × 1 answer × 2 failures", 4, policy(1, 2), failing),
        setup(
            "4 agents × 2 answers, voting deferred, no vote for oneself",
            4,
            Policy { defer_voting: true, self_vote: SelfVote::Forbid, ..policy(2, 1) },
            failing,
        ),
        setup(
            "3 agents × 1 answer × 2 failures, a review may restart once, attempt deadline",
            3,
            attempt_deadline(Policy { restarts_max: 1, ..policy(1, 2) }),
            failing,
        ),
        setup(
            "3 agents × 1 answer, budget of 8 calls",
            3,
            Policy { budget: Budget { calls: Some(8), ..Budget::default() }, ..policy(1, 1) },
            Trouble { calls: true, ..failing },
        ),
        setup(
            "2 agents × 2 answers, budget of 60 tokens, round deadlines",
            2,
            round_deadlines(Policy {
                budget: Budget { tokens: Some(60), ..Budget::default() },
                ..policy(2, 1)
            }),
            Trouble { calls: true, ..failing },
        ),
    ]
}
