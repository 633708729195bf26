//! Who may call its model, and when: the budget's say in coordination.

use massgen_protocol::{
    CallId, CloseReason, EventBody, Millis, RefusalReason, RetireReason, RoundId, RoundKind, Spend,
    WrapUpReason,
};

use crate::agent::{Agent, AgentState};
use crate::coordinator::Coordinator;
use crate::sabotage::sabotaged;
use crate::{Command, Effects};

impl Coordinator {
    /// Takes a request in; [`Coordinator::decide_calls`] answers it.
    pub(crate) fn on_call_requested(&mut self, call: CallId, estimate: Spend, fx: &mut Effects) {
        let round = call.round;
        if self.kind_of_open(round).is_none() {
            fx.ignore(format!("{call} was requested, but {round} is closed"));
            fx.command(Command::CloseRound { round, reason: CloseReason::Ended });
            return;
        }
        if let Some(Agent { state: AgentState::Freezing { round: waiting, .. }, .. }) =
            self.agents.get_mut(round.agent.at())
        {
            // It waits for the reply to its answer and has nothing to ask a model.
            *waiting = None;
            fx.ignore(format!("{call} was requested, but {round} has submitted an answer"));
            return fx.close_round(round, CloseReason::Ended);
        }
        if self.ledger.is_reserved(call) {
            // Asked for twice, it is still one call.
            return grant(call, fx);
        }
        self.ledger.ask(call, estimate);
        if sabotaged!(self, JumpTheQueue) {
            self.ledger.waiting.rotate_right(1);
        }
    }

    pub(crate) fn on_call_settled(&mut self, call: CallId, spend: Spend, fx: &mut Effects) {
        if !sabotaged!(self, KeepReservations) {
            self.ledger.settle(call, spend);
        }
        self.watch_budget(fx);
    }

    /// Begins to wrap up once the soft limit is spent.
    pub(crate) fn watch_budget(&mut self, fx: &mut Effects) {
        if self.ledger.is_nearly_spent() {
            self.start_wrap_up(WrapUpReason::Budget, fx);
        }
    }

    /// Answers all requests that can be answered now, in the order they came.
    ///
    /// What then still waits does so for a call that runs, so an answer will come:
    /// every call is settled at last, whatever becomes of it.
    pub(crate) fn decide_calls(&mut self, now: Millis, fx: &mut Effects) {
        if !self.ledger.has_waiting() {
            return;
        }
        if !sabotaged!(self, GrantClosedRounds) {
            self.withdraw_pointless_requests();
        }
        while let Some((call, decision)) = self.ledger.decide_next(now) {
            match decision {
                Ok(()) => grant(call, fx),
                Err(reason) => self.refuse(call, reason, fx),
            }
        }
        if sabotaged!(self, RefuseInsteadOfWaiting)
            && let Some((call, _)) = self.ledger.waiting.pop_front()
        {
            self.refuse(call, RefusalReason::Tokens, fx);
        }
        if sabotaged!(self, OverlookReservations) {
            self.ledger.waiting.drain(..).for_each(|(call, _)| grant(call, fx));
        }
    }

    fn withdraw_pointless_requests(&mut self) {
        let is_pointless = |round: &RoundId| !self.may_call(*round);
        let pointless: Vec<RoundId> = self.ledger.waiting_rounds().filter(is_pointless).collect();
        for round in pointless {
            self.ledger.withdraw(round);
        }
    }

    /// Returns whether a round could do anything with a call.
    pub(crate) fn may_call(&self, round: RoundId) -> bool {
        let agent = self.agents.get(round.agent.at());
        // One that has answered waits for the reply, not for its model.
        let has_answered =
            agent.is_some_and(|agent| matches!(agent.state, AgentState::Freezing { .. }));
        self.kind_of_open(round).is_some() && !has_answered
    }

    /// Ends the round whose call does not fit, however long it waited.
    ///
    /// A refusal says that the budget is near its end, and sooner than the soft limit where
    /// calls are large and the budget small: what is left goes to votes on what exists.
    fn refuse(&mut self, call: CallId, reason: RefusalReason, fx: &mut Effects) {
        let round = call.round;
        let kind = self.kind_of_open(round);
        fx.event(EventBody::CallRefused { call, reason });
        if sabotaged!(self, RefuseInSilence) {
            return;
        }
        fx.close_round(round, CloseReason::Budget);
        match kind {
            Some(RoundKind::Coordinate) => {
                self.retire(round.agent, RetireReason::Budget, fx);
                self.start_wrap_up(WrapUpReason::Budget, fx);
            }
            Some(RoundKind::Present | RoundKind::Review) => self.finish_with_selection(fx),
            None => {}
        }
    }
}

fn grant(call: CallId, fx: &mut Effects) {
    fx.event(EventBody::CallGranted { call });
    fx.command(Command::StartCall { call });
}
