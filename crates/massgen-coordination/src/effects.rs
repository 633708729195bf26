//! Saying what a step brings about: facts and the commands that belong to them, in pairs.

use massgen_protocol::{AnswerId, CloseReason, EventBody, Outcome, RoundId, Update};

use crate::{Command, Effects};

impl Effects {
    pub(crate) fn event(&mut self, body: EventBody) {
        self.events.push(body);
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub(crate) fn ignore(&mut self, why: impl Into<String>) {
        self.event(EventBody::InputIgnored { why: why.into() });
    }

    pub(crate) fn close_round(&mut self, round: RoundId, reason: CloseReason) {
        self.event(EventBody::RoundClosed { round, reason });
        self.command(Command::CloseRound { round, reason });
    }

    pub(crate) fn propose(&mut self, answer: AnswerId, round: RoundId) {
        self.event(EventBody::AnswerProposed { answer, round });
        self.command(Command::TakeSnapshot { answer });
    }

    pub(crate) fn update(&mut self, round: RoundId, update: Update, interrupt: bool) {
        self.event(EventBody::UpdateSent { round, epoch: update.epoch, interrupt });
        self.command(Command::DeliverUpdate { round, update, interrupt });
    }

    pub(crate) fn finish(&mut self, outcome: Outcome) {
        self.event(EventBody::TurnFinished { outcome: outcome.clone() });
        self.command(Command::Finish(outcome));
    }
}
