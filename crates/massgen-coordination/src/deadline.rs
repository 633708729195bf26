//! Deadlines: which are armed when, and what each does when it strikes.
//!
//! Nobody disarms a deadline. One that strikes too late, for a round that is
//! closed or an attempt that is over, means nothing and leaves no trace.

use massgen_protocol::{
    AgentIndex, CloseReason, Deadline, Deadlines, Epoch, Policy, RoundId, RoundKind, WrapUpReason,
};

use crate::agent::{AgentState, Mishap};
use crate::coordinator::{Coordinator, Phase};
use crate::presentation::Ending;
use crate::sabotage::sabotaged;
use crate::{Command, Effects};

impl Coordinator {
    pub(crate) fn arm_attempt(&self, fx: &mut Effects) {
        let Deadlines { attempt_ms, wrap_up_lead_ms, .. } = self.policy.deadlines;
        let Some(attempt_ms) = attempt_ms else { return };
        let attempt = self.attempt;
        // A short attempt keeps four fifths of its time for work, whatever the lead.
        let lead_ms = wrap_up_lead_ms.min(attempt_ms / 5);
        arm(Deadline::WrapUp { attempt }, attempt_ms - lead_ms, fx);
        // An answer that needs no vote needs no time to be presented either.
        if !self.is_sole_agent() {
            arm(Deadline::Coordination { attempt }, attempt_ms - lead_ms / 2, fx);
        }
        arm(Deadline::Attempt { attempt }, attempt_ms, fx);
    }

    pub(crate) fn arm_budget(&self, fx: &mut Effects) {
        if let Some(time_ms) = self.policy.budget.time_ms {
            arm(Deadline::Budget, time_ms, fx);
        }
    }

    pub(crate) fn arm_coordinate_round(&self, round: RoundId, is_first: bool, fx: &mut Effects) {
        let Deadlines { first_round_ms, later_round_ms, round_grace_ms, .. } =
            self.policy.deadlines;
        if let Some(soft_ms) = if is_first { first_round_ms } else { later_round_ms } {
            arm(Deadline::RoundSoft { round }, soft_ms, fx);
            arm(Deadline::Round { round }, soft_ms.saturating_add(round_grace_ms), fx);
        }
    }

    pub(crate) fn arm_final_round(&self, round: RoundId, kind: RoundKind, fx: &mut Effects) {
        let Deadlines { presentation_ms, review_ms, .. } = self.policy.deadlines;
        let after_ms = match kind {
            RoundKind::Present => presentation_ms,
            RoundKind::Review => review_ms,
            RoundKind::Coordinate => None,
        };
        if let Some(after_ms) = after_ms {
            arm(Deadline::Round { round }, after_ms, fx);
        }
    }

    pub(crate) fn arm_backoff(
        &self,
        agent: AgentIndex,
        failures: u32,
        after_ms: u64,
        fx: &mut Effects,
    ) {
        arm(Deadline::Backoff { agent, failures }, after_ms, fx);
    }

    pub(crate) fn on_due(&mut self, deadline: Deadline, fx: &mut Effects) {
        match deadline {
            Deadline::WrapUp { attempt } => {
                if attempt == self.attempt {
                    self.start_wrap_up(WrapUpReason::Deadline, fx);
                }
            }
            Deadline::Coordination { attempt } => {
                if attempt == self.attempt && self.phase == Phase::Coordinating {
                    self.end_coordination(fx);
                }
            }
            Deadline::Attempt { attempt } => {
                if attempt == self.attempt {
                    self.end_now(Ending::Attempt, fx);
                }
            }
            Deadline::Budget => self.end_now(Ending::Budget, fx),
            Deadline::RoundSoft { round } => {
                if self.is_working_in(round) {
                    self.update(round.agent, Some(WrapUpReason::RoundDeadline), false, fx);
                }
            }
            Deadline::Round { round } => self.time_out(round, fx),
            Deadline::Backoff { agent, failures } => {
                let entry = self.agents.get(agent.at());
                let awaited = AgentState::BackingOff { failures };
                if entry.is_some_and(|entry| entry.state == awaited) {
                    self.enter(agent, AgentState::Idle);
                }
            }
        }
    }

    fn time_out(&mut self, round: RoundId, fx: &mut Effects) {
        match self.kind_of_open(round) {
            // One that has answered was in time, however long the copying takes.
            Some(RoundKind::Coordinate) if self.is_working_in(round) => {
                if sabotaged!(self, IgnoreRoundDeadline) {
                    return;
                }
                fx.close_round(round, CloseReason::TimedOut);
                self.fail(round.agent, Mishap::Timeout, fx);
            }
            Some(RoundKind::Present | RoundKind::Review) => {
                fx.close_round(round, CloseReason::TimedOut);
                self.finish_with_selection(fx);
            }
            Some(RoundKind::Coordinate) | None => {}
        }
    }

    fn is_working_in(&self, round: RoundId) -> bool {
        match self.agents.get(round.agent.at()).map(|agent| &agent.state) {
            Some(AgentState::Working { round: open, told: Epoch(_) }) => *open == round,
            Some(
                AgentState::Idle
                | AgentState::Freezing { .. }
                | AgentState::Voted
                | AgentState::BackingOff { .. }
                | AgentState::Retired { .. },
            )
            | None => false,
        }
    }

    /// Ends coordination as soon as there is an answer: a first draft that comes late is
    /// better than none, so all go on until the attempt's end.
    fn end_coordination(&mut self, fx: &mut Effects) {
        if sabotaged!(self, CutFirstDrafts) {
            return self.end_now(Ending::Deadline, fx);
        }
        // What the user said counts, whatever the clock says.
        self.awaited_end.get_or_insert(Ending::Deadline);
    }

    /// Ends coordination at the user's wish, as soon as there is an answer.
    pub(crate) fn interrupt_coordination(&mut self, fx: &mut Effects) {
        if self.awaited_end == Some(Ending::Interrupted) {
            return fx.ignore("the run is to end with the first answer already");
        }
        if sabotaged!(self, ForgetInterrupt) && self.epoch == Epoch(0) {
            return;
        }
        if self.earlier.is_some() {
            // There is an answer, if only one that a review found wanting.
            return self.end_now(Ending::Interrupted, fx);
        }
        self.awaited_end = Some(Ending::Interrupted);
        if self.epoch == Epoch(0) {
            self.start_wrap_up(WrapUpReason::Interrupted, fx);
        }
    }

    /// Ends coordination if that is what it was told, and there is an answer to end with.
    pub(crate) fn end_as_told(&mut self, fx: &mut Effects) {
        if let Some(ending) = self.awaited_end
            && self.phase == Phase::Coordinating
            && self.epoch > Epoch(0)
        {
            self.end_now(ending, fx);
        }
    }

    /// Ends coordination, or what follows it, from outside. Snapshots in flight are waited for.
    pub(crate) fn end_now(&mut self, ending: Ending, fx: &mut Effects) {
        match &self.phase {
            Phase::New | Phase::Coordinating => {
                for agent in self.roster.agents() {
                    if let AgentState::Working { round, .. } = self.agents[agent.at()].state {
                        fx.close_round(round, ending.close_reason());
                        self.enter(agent, AgentState::Idle);
                    }
                }
                self.phase = Phase::Draining(ending);
            }
            Phase::Presenting { round, .. } | Phase::Reviewing { round, .. } => {
                fx.close_round(*round, ending.close_reason());
                self.finish_with_selection(fx);
            }
            Phase::Draining(draining) => {
                let comes_first = draining.is_hard() || sabotaged!(self, PresentAfterTheEnd);
                if ending.is_hard() && !comes_first {
                    self.phase = Phase::Draining(ending);
                }
            }
            Phase::Finished(_) => {}
        }
    }
}

/// Returns how long an agent pauses after so many failures in a row.
///
/// A server's own wish is granted up to the policy's bound: one that asks for an
/// hour gets a retry it may refuse, and the agent retires, rather than a team that waits.
pub(crate) fn backoff_ms(policy: &Policy, failures: u32, retry_after_ms: Option<u64>) -> u64 {
    let doublings = failures.saturating_sub(1).min(63);
    let doubled_ms = policy.backoff_ms.saturating_mul(1 << doublings);
    doubled_ms.max(retry_after_ms.unwrap_or(0)).min(policy.backoff_ms_max)
}

fn arm(deadline: Deadline, after_ms: u64, fx: &mut Effects) {
    fx.command(Command::Arm { deadline, after_ms });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_bound_and_respects_the_server() {
        let policy = Policy { backoff_ms: 100, backoff_ms_max: 5_000, ..Policy::default() };
        let check = |failures, retry_after_ms, expected| {
            assert_eq!(backoff_ms(&policy, failures, retry_after_ms), expected);
        };
        check(1, None, 100);
        check(2, None, 200);
        check(5, None, 1_600);
        check(7, None, 5_000);
        check(u32::MAX, None, 5_000);
        check(1, Some(50), 100);
        check(1, Some(3_000), 3_000);
        check(1, Some(u64::MAX), 5_000);
    }
}
