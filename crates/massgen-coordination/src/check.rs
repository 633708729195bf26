//! What must hold after every step. The explorer, the random runs and the replays run into it.

use massgen_protocol::{Epoch, RoundKind};

use crate::agent::{AgentState, Census};
use crate::coordinator::{Coordinator, Phase};

impl Coordinator {
    pub(crate) fn is_sabotaged(&self) -> bool {
        #[cfg(test)]
        return self.sabotage.is_some();
        #[cfg(not(test))]
        false
    }

    /// Asserts the invariants. Linear in the roster, so only debug builds call it.
    pub(crate) fn check(&self) {
        if self.is_sabotaged() {
            return;
        }
        let states = || self.agents.iter().map(|agent| &agent.state);
        assert_eq!(self.census, Census::of(states()), "the census is out of step");
        assert_eq!(self.ballots.epoch(), self.epoch, "ballots are not of the newest epoch");
        let n_accepted: u32 = self.agents.iter().map(|agent| agent.n_accepted()).sum();
        assert_eq!(Epoch(n_accepted), self.epoch, "the epoch is not the number of answers");

        for (id, agent) in self.roster.agents().zip(&self.agents) {
            assert!(agent.failures <= self.policy.failures_max, "{} fails on", id.alias());
            let has_voted = self.ballots.choice_of(id).is_some();
            match &agent.state {
                AgentState::Working { round, told } => {
                    assert_eq!((round.agent, round.n), (id, agent.rounds), "not its last round");
                    assert!(*told <= self.epoch, "{round} was told of answers to come");
                    assert!(!has_voted, "{round} works, but its ballot is cast");
                }
                AgentState::Freezing { answer, .. } => {
                    assert_eq!(answer.agent, id, "{answer} is of another agent");
                    assert!(!has_voted, "{answer} is proposed by one who voted");
                }
                AgentState::Voted => assert!(has_voted, "the ballot of {} is lost", id.alias()),
                AgentState::Idle | AgentState::BackingOff { .. } | AgentState::Retired { .. } => {
                    assert!(!has_voted || !self.is_coordinating())
                }
            }
        }
        for ballot in self.ballots.iter() {
            let choice = &self.agents[ballot.choice.at()];
            assert!(choice.newest(self.epoch).is_some(), "{ballot:?} is for nobody");
        }
        for round in self.open_rounds() {
            let kind = match self.phase {
                Phase::Presenting { .. } => RoundKind::Present,
                Phase::Reviewing { .. } => RoundKind::Review,
                Phase::New | Phase::Coordinating | Phase::Draining(_) | Phase::Finished(_) => {
                    RoundKind::Coordinate
                }
            };
            assert_eq!(self.kind_of_open(round), Some(kind), "{round}");
        }
        for round in self.ledger.waiting_rounds() {
            assert!(self.may_call(round), "{round} waits for a call, but needs none");
            assert!(self.ledger.has_reservations(), "{round} waits for nobody");
        }
        match self.phase {
            Phase::New | Phase::Coordinating => {}
            Phase::Draining(_) => assert_eq!(self.census.working, 0, "somebody works on"),
            Phase::Presenting { .. } | Phase::Reviewing { .. } | Phase::Finished(_) => {
                assert_eq!(self.census.working + self.census.freezing, 0, "somebody works on");
            }
        }
    }

    fn is_coordinating(&self) -> bool {
        self.phase == Phase::Coordinating
    }
}
