//! Long runs of larger teams under random policies, with all troubles at once.

use massgen_protocol::{
    AnswerNovelty, Budget, Deadlines, FinalPresentation, OnNewAnswer, Policy, SelfVote, TieBreak,
};

use crate::explorer::{Action, Setup, Trouble, World};

/// Enough for 50 agents that answer, fail and vote as often as any policy below allows.
const STEPS_MAX: usize = 50_000;

/// splitmix64: small, and the same everywhere, so that a seed names a run for good.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn between(&mut self, least: u32, most: u32) -> u32 {
        least + u32::try_from(self.below(usize::try_from(most - least + 1).unwrap())).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn maybe<T>(&mut self, value: T) -> Option<T> {
        self.chance(50).then_some(value)
    }
}

/// Returns a team, a policy and troubles.
pub fn setup(random: &mut Random, n_agents: u16) -> Setup {
    let deadlines = Deadlines {
        attempt_ms: random.maybe(1_000),
        first_round_ms: random.maybe(100),
        later_round_ms: random.maybe(100),
        presentation_ms: random.maybe(100),
        review_ms: random.maybe(100),
        ..Deadlines::default()
    };
    let has_budget = random.chance(30);
    // For two calls at a time, for most of what the team wants, for more than it uses.
    let n = u32::from(n_agents);
    let bound = has_budget.then(|| random.pick(&[4, 2 * n + 2, 6 * n, 200]));
    let budget = Budget {
        calls: random.maybe(bound).flatten(),
        tokens: bound.map(|calls| u64::from(calls) * 8),
        ..Budget::default()
    };
    let policy = Policy {
        on_new_answer: random.pick(&[
            OnNewAnswer::Graceful,
            OnNewAnswer::Interrupt,
            OnNewAnswer::Wait,
        ]),
        answer_novelty: random.pick(&[AnswerNovelty::Lenient, AnswerNovelty::Strict]),
        answers_per_agent_max: random.between(1, 4),
        answers_max: random.maybe(random_total(n_agents)),
        self_vote: random.pick(&[SelfVote::Allow, SelfVote::Discount, SelfVote::Forbid]),
        tie_break: random.pick(&[TieBreak::Roster, TieBreak::Earliest, TieBreak::Seeded]),
        defer_voting: random.chance(30),
        final_presentation: random.pick(&[FinalPresentation::Present, FinalPresentation::Reuse]),
        restarts_max: random.between(0, 2),
        failures_max: random.between(1, 4),
        exhausted_rounds_max: random.between(1, 3),
        sole_agent_votes: random.chance(50),
        deadlines,
        budget,
        ..Policy::default()
    };
    let trouble = Trouble {
        failures: random.chance(80),
        fatal_failures: random.chance(30),
        exhaustion: random.chance(50),
        snapshot_failures: random.chance(50),
        lost_rounds: random.chance(30),
        hanging_agent: false,
        interrupt: random.chance(20),
        calls: has_budget,
        noise: true,
    };
    Setup { name: "random", n_agents, policy, trouble }
}

fn random_total(n_agents: u16) -> u32 {
    u32::from(n_agents) + 1
}

/// Plays one run to its end and returns how many steps it took.
fn play(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let n_agents = u16::try_from(2 + random.below(49)).unwrap();
    let setup = setup(&mut random, n_agents);
    let quiet = Setup { trouble: Trouble { noise: false, ..setup.trouble }, ..setup.clone() };
    let mut world = World::new(&setup);
    let mut way: Vec<Action> = Vec::new();
    let mut actions = Vec::new();
    while !world.is_finished() {
        actions.clear();
        world.actions(&quiet, &mut actions);
        let at = random.below(actions.len());
        // What ends a run from outside comes rarely, or no run would get long.
        if actions[at].is_outside_end() && random.chance(95) && actions.len() > 1 {
            continue;
        }
        let action = actions.swap_remove(at);
        let _ = world.apply(&quiet, &action);
        way.push(action);
        // Noise takes long in a large team, so it is tried now and then, and at the end.
        let noise = match random.chance(2) || world.is_finished() {
            true => world.try_noise(&setup).err(),
            false => None,
        };
        if let Some(breach) = world.breach().cloned().or(noise) {
            let tail: Vec<String> = way.iter().rev().take(20).map(ToString::to_string).collect();
            panic!(
                "seed {seed}, {n_agents} agents, step {}: {breach:?}\nbefore, newest first: {}\n{:#?}",
                way.len(),
                tail.join("; "),
                setup.policy
            );
        }
        assert!(way.len() < STEPS_MAX, "seed {seed} does not end: {:#?}", setup.policy);
    }
    way.len()
}

#[test]
fn random_runs_of_up_to_fifty_agents_break_no_law_and_end() {
    let n_runs: u64 = 150;
    let n_steps: usize = (0..n_runs).map(play).sum();
    eprintln!("{n_runs} runs, {n_steps} steps");
    // A generator that ends every run at once would prove nothing.
    assert!(n_steps > 10_000, "only {n_steps} steps");
}
