//! Ballots and the rule that turns them into a winner.
//!
//! A ballot counts only for the answers its voter had seen: every accepted
//! answer opens a new [`Epoch`] and voids all earlier ballots. Who may vote,
//! and when voting ends, is the coordinator's business, not this module's.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use massgen_protocol::{AgentIndex, Ballot, Epoch, SelfVote, TieBreak};

/// The ballots of one epoch, at most one per voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballots {
    epoch: Epoch,
    // By voter. Ordered, because tallies and logs must not depend on hashing.
    cast: BTreeMap<AgentIndex, Cast>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cast {
    choice: AgentIndex,
    reason: Arc<str>,
}

/// An answer that can win: its agent and the epoch it was accepted at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub agent: AgentIndex,
    pub accepted_at: Epoch,
}

/// How ballots are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TallyRules {
    pub self_vote: SelfVote,
    pub tie_break: TieBreak,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub winner: AgentIndex,
    /// Ballots that counted for the winner.
    pub votes: u32,
    pub voters: u32,
    /// Whether the tie-break decided, because ballots did not.
    pub tie: bool,
}

impl Ballots {
    /// Opens the ballots of `epoch`; earlier ones are void.
    pub fn open(epoch: Epoch) -> Ballots {
        Ballots { epoch, cast: BTreeMap::new() }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn n_cast(&self) -> usize {
        self.cast.len()
    }

    /// Casts the ballot of a voter who has seen all answers there are.
    pub fn cast(&mut self, ballot: &Ballot) {
        let cast = Cast { choice: ballot.choice, reason: ballot.reason.as_str().into() };
        let earlier = self.cast.insert(ballot.voter, cast);
        assert!(earlier.is_none(), "{} voted twice at {:?}", ballot.voter.alias(), self.epoch);
    }

    pub fn choice_of(&self, voter: AgentIndex) -> Option<AgentIndex> {
        self.cast.get(&voter).map(|cast| cast.choice)
    }

    /// Returns the ballots in the order of the roster.
    pub fn iter(&self) -> impl Iterator<Item = Ballot> {
        self.cast.iter().map(|(&voter, cast)| Ballot {
            voter,
            choice: cast.choice,
            reason: cast.reason.to_string(),
        })
    }

    /// Returns who has most ballots among the candidates, or `None` without any candidate.
    pub fn tally(&self, candidates: &[Candidate], rules: TallyRules) -> Option<Tally> {
        let mut counts: BTreeMap<AgentIndex, Count> = BTreeMap::new();
        for (&voter, cast) in &self.cast {
            let count = counts.entry(cast.choice).or_default();
            match (rules.self_vote, voter == cast.choice) {
                (SelfVote::Discount, true) => count.discounted += 1,
                (SelfVote::Discount, false) | (SelfVote::Allow | SelfVote::Forbid, _) => {
                    count.full += 1;
                }
            }
        }
        let count = |candidate: &Candidate| counts.get(&candidate.agent).copied();
        let count = |candidate: &Candidate| count(candidate).unwrap_or_default();
        let most = candidates.iter().map(count).max()?;
        let tied: Vec<Candidate> =
            candidates.iter().copied().filter(|candidate| count(candidate) == most).collect();
        let winner = match rules.tie_break {
            TieBreak::Roster => tied.iter().min_by_key(|candidate| candidate.agent)?,
            TieBreak::Earliest => {
                tied.iter().min_by_key(|candidate| (candidate.accepted_at, candidate.agent))?
            }
            TieBreak::Seeded => tied
                .iter()
                .min_by_key(|candidate| Reverse(lot(rules.seed, self.epoch, candidate.agent)))?,
        };
        let voters = u32::try_from(self.cast.len()).unwrap_or(u32::MAX);
        Some(Tally { winner: winner.agent, votes: most.full, voters, tie: tied.len() > 1 })
    }
}

/// Ballots for one candidate. Ordered by those that count; discounted ones only break ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Count {
    full: u32,
    discounted: u32,
}

/// Draws a lot; the same for the same seed, epoch and agent on any machine (splitmix64).
fn lot(seed: u64, epoch: Epoch, agent: AgentIndex) -> u64 {
    let mut mixed = seed;
    for word in [u64::from(epoch.0), u64::from(agent.0)] {
        mixed = mixed.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: TallyRules =
        TallyRules { self_vote: SelfVote::Allow, tie_break: TieBreak::Roster, seed: 7 };

    fn ballots(cast: &[(u16, u16)]) -> Ballots {
        let mut ballots = Ballots::open(Epoch(3));
        for &(voter, choice) in cast {
            let (voter, choice) = (AgentIndex(voter), AgentIndex(choice));
            ballots.cast(&Ballot { voter, choice, reason: "checked".to_owned() });
        }
        ballots
    }

    /// Candidates are given as (agent, epoch); the result as (winner, votes, tie).
    #[track_caller]
    fn check(
        rules: TallyRules,
        cast: &[(u16, u16)],
        answered: &[(u16, u32)],
        expected: Option<(u16, u32, bool)>,
    ) {
        let candidates: Vec<Candidate> = answered
            .iter()
            .map(|&(agent, epoch)| Candidate {
                agent: AgentIndex(agent),
                accepted_at: Epoch(epoch),
            })
            .collect();
        let tally = ballots(cast).tally(&candidates, rules);
        assert_eq!(tally.map(|tally| (tally.winner.0, tally.votes, tally.tie)), expected);
    }

    #[test]
    fn most_ballots_win_and_ties_go_to_the_roster() {
        check(RULES, &[(0, 1), (1, 1), (2, 0)], &[(0, 1), (1, 2)], Some((1, 2, false)));
        check(RULES, &[(0, 1), (1, 0)], &[(0, 2), (1, 1)], Some((0, 1, true)));
        check(RULES, &[], &[(2, 1), (1, 2)], Some((1, 0, true)));
        check(RULES, &[], &[(2, 1)], Some((2, 0, false)));
        check(RULES, &[], &[], None);
    }

    #[test]
    fn the_earliest_answer_wins_a_tie_if_the_policy_says_so() {
        let rules = TallyRules { tie_break: TieBreak::Earliest, ..RULES };
        check(rules, &[(0, 1), (1, 0)], &[(0, 2), (1, 1)], Some((1, 1, true)));
        check(rules, &[(0, 0), (1, 0)], &[(0, 2), (1, 1)], Some((0, 2, false)));
    }

    #[test]
    fn a_lot_depends_on_the_seed_alone_and_reaches_everybody() {
        let answered = [(0, 1), (1, 2), (2, 3)];
        let winner = |seed| {
            let rules = TallyRules { tie_break: TieBreak::Seeded, seed, ..RULES };
            let candidate =
                |&(agent, epoch)| Candidate { agent: AgentIndex(agent), accepted_at: Epoch(epoch) };
            let candidates: Vec<Candidate> = answered.iter().map(candidate).collect();
            ballots(&[]).tally(&candidates, rules).map(|tally| tally.winner.0)
        };
        let winners: Vec<Option<u16>> = (0..64).map(winner).collect();
        assert_eq!(winners, (0..64).map(winner).collect::<Vec<_>>());
        for agent in 0..3 {
            let n_wins = winners.iter().filter(|&&winner| winner == Some(agent)).count();
            assert!((8..=40).contains(&n_wins), "agent {agent} won {n_wins} of 64");
        }
    }

    #[test]
    fn a_discounted_ballot_for_oneself_only_breaks_ties() {
        let rules = TallyRules { self_vote: SelfVote::Discount, ..RULES };
        let both = [(0, 1), (1, 2)];
        // Two ballots for themselves do not outweigh one of another.
        check(rules, &[(0, 0), (1, 0), (2, 1), (3, 1)], &both, Some((1, 2, false)));
        check(rules, &[(1, 1)], &both, Some((1, 0, false)));
        check(rules, &[(0, 0), (1, 1)], &both, Some((0, 0, true)));
        check(RULES, &[(1, 1)], &both, Some((1, 1, false)));
    }

    #[test]
    fn ballots_are_kept_with_their_reasons_in_the_order_of_the_roster() {
        let ballots = ballots(&[(2, 1), (0, 1)]);
        let voters: Vec<u16> = ballots.iter().map(|ballot| ballot.voter.0).collect();
        assert_eq!(voters, [0, 2]);
        assert!(ballots.iter().all(|ballot| ballot.reason == "checked"));
        assert_eq!(ballots.choice_of(AgentIndex(2)), Some(AgentIndex(1)));
        assert_eq!((ballots.epoch(), ballots.n_cast()), (Epoch(3), 2));
    }
}
