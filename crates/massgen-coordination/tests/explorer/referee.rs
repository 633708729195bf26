//! Judges every step by the laws, from what is said alone: the referee keeps its own
//! books from inputs, events and commands, and knows nothing of the coordinator's insides.

use std::collections::BTreeMap;
use std::sync::Arc;

use massgen_coordination::{Command, Coordinator, Effects, Input};
use massgen_protocol::{
    AgentIndex, AnswerId, AttemptIndex, Basis, Brief, CallId, CloseReason, Deadline, Epoch,
    EventBody, FinalPresentation, Millis, OnNewAnswer, Outcome, Policy, Rejection, Reply,
    RetireReason, RoundId, RoundKind, SelfVote, Spend, Submission,
};

use super::law::{Breach, Law};
use ending::may_not_call;

mod ending;

#[derive(Clone, Debug)]
pub struct Referee {
    policy: Arc<Policy>,
    agents: Vec<Books>,
    epoch: Epoch,
    begun: bool,
    wrap_up: bool,
    attempt: AttemptIndex,
    /// The time for calls is over: the attempt's, the budget's.
    attempt_over: bool,
    budget_over: bool,
    /// Coordination is to end with what there is, or with the first answer.
    coordination_over: bool,
    interrupted: bool,
    /// Any attempt has an answer that a run could end with.
    answered_ever: bool,
    answered_in_attempt: bool,
    /// The basis on which a winner was selected.
    selected: Option<Basis>,
    finished: bool,
    spent: Spend,
    reserved: BTreeMap<CallId, Spend>,
    /// Calls asked for and not decided, by open rounds, in the order they are due.
    waiting: Vec<(CallId, Spend)>,
}

/// What an event and its command both tell.
#[derive(Debug, PartialEq)]
enum Told<'fx> {
    Open(RoundId, Epoch, bool),
    Present(RoundId, Epoch),
    Review(RoundId),
    Close(RoundId, CloseReason),
    Call(CallId),
    Freeze(AnswerId),
    Update(RoundId, Epoch, bool),
    Reject(RoundId, &'fx Rejection),
    Accept(AnswerId),
    Count(AgentIndex),
    Finish(&'fx Outcome),
    Pause(AgentIndex, u32, u64),
}

/// What the referee knows of one agent.
#[derive(Clone, Debug, Default)]
struct Books {
    open: Option<(RoundId, RoundKind)>,
    /// Newest epoch its open round was told of.
    told: Epoch,
    newest: Option<AnswerId>,
    n_answers: u32,
    freezing: Option<AnswerId>,
    ballot: Option<AgentIndex>,
    /// Failures in a row after which it pauses.
    pause: Option<u32>,
    retired: bool,
    retired_for_budget: bool,
    /// Its calls cannot be trusted any more.
    may_not_call: bool,
}

impl Referee {
    pub fn new(n_agents: u16, policy: &Policy) -> Referee {
        Referee {
            policy: Arc::new(policy.clone()),
            agents: vec![Books::default(); usize::from(n_agents)],
            epoch: Epoch(0),
            begun: false,
            wrap_up: false,
            attempt: AttemptIndex(1),
            attempt_over: false,
            budget_over: false,
            coordination_over: false,
            interrupted: false,
            answered_ever: false,
            answered_in_attempt: false,
            selected: None,
            finished: false,
            spent: Spend::default(),
            reserved: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    pub fn has_answer(&self, agent: AgentIndex) -> bool {
        self.agents[agent.at()].newest.is_some()
    }

    /// Returns whether an answer that is new would be taken from this agent now.
    pub fn takes_answer_of(&self, agent: AgentIndex) -> bool {
        let n_freezing = self.agents.iter().filter(|books| books.freezing.is_some()).count();
        let n_total = self.epoch.0 + u32::try_from(n_freezing).unwrap_or(u32::MAX);
        !self.is_vote_only(agent)
            && self.policy.answers_max.is_none_or(|answers_max| n_total < answers_max)
    }

    /// Returns whether a vote of this agent for that one would be allowed.
    pub fn allows_vote(&self, voter: AgentIndex, choice: AgentIndex) -> bool {
        let other_answered =
            |(at, books): (usize, &Books)| at != voter.at() && books.newest.is_some();
        let is_forbidden = self.policy.self_vote == SelfVote::Forbid
            && voter == choice
            && self.agents.iter().enumerate().any(other_answered);
        self.has_answer(choice) && !is_forbidden
    }

    fn is_vote_only(&self, agent: AgentIndex) -> bool {
        self.wrap_up && self.epoch > Epoch(0)
            || self.policy.answers_max.is_some_and(|answers_max| self.epoch.0 >= answers_max)
            || self.agents[agent.at()].n_answers >= self.policy.answers_per_agent_max
    }

    fn is_voting_deferred(&self) -> bool {
        let owes_draft = |(at, books): (usize, &Books)| {
            books.newest.is_none()
                && !books.retired
                && books.ballot.is_none()
                && !self.is_vote_only(AgentIndex(u16::try_from(at).unwrap_or(u16::MAX)))
        };
        self.policy.defer_voting && self.agents.iter().enumerate().any(owes_draft)
    }

    /// Takes one step into the books, or says which law it breaks.
    pub fn observe(
        &mut self,
        now: Millis,
        input: &Input,
        fx: &Effects,
        coordinator: &Coordinator,
    ) -> Result<(), Breach> {
        if self.finished {
            let is_silent = fx.events.is_empty() && fx.commands.is_empty();
            return Law::SilentEnd.require(is_silent, || format!("{input:?} → {fx:?}"));
        }
        self.judge_answer_to_ask(input, fx)?;
        self.judge_pairs(fx)?;
        self.take_input(input);
        for event in &fx.events {
            self.take_event(now, input, event, fx)?;
        }
        for command in &fx.commands {
            self.take_command(command)?;
        }
        self.judge_presenter(fx)?;
        self.judge_prompt_end()?;
        self.judge_agreement(coordinator)?;
        self.judge_waiting(now)?;
        self.judge_forgotten()
    }

    /// Every ask of a round is answered: here those that are answered at once.
    fn judge_answer_to_ask(&self, input: &Input, fx: &Effects) -> Result<(), Breach> {
        let n_answers = match input {
            Input::CallRequested { call, .. } => {
                let is_answer = |command: &&Command| match command {
                    Command::StartCall { call: started } => started == call,
                    Command::CloseRound { round, .. } => *round == call.round,
                    _ => false,
                };
                let n_answers = fx.commands.iter().filter(is_answer).count();
                // Whether it may wait for an answer is judged with all others who wait.
                if self.may_wait(call.round) { n_answers.max(1) } else { n_answers }
            }
            Input::Submitted { round, .. } => {
                let books = self.agents.get(round.agent.at());
                let is_open = books.is_some_and(|books| {
                    books.open == Some((*round, RoundKind::Coordinate)) && books.freezing.is_none()
                });
                let is_answer = |command: &&Command| match command {
                    Command::Reply { round: replied, .. } => replied == round,
                    Command::TakeSnapshot { answer } => answer.agent == round.agent,
                    _ => false,
                };
                if is_open { fx.commands.iter().filter(is_answer).count() } else { 1 }
            }
            _ => 1,
        };
        Law::EveryAsk.require(n_answers == 1, || format!("{n_answers} answers to {input:?}"))
    }

    /// Each event that means a command has it, and the other way round.
    fn judge_pairs(&self, fx: &Effects) -> Result<(), Breach> {
        let mut asked: Vec<Told> = fx
            .commands
            .iter()
            .flat_map(|command| self.told_by_command(command))
            .flatten()
            .collect();
        for said in fx.events.iter().filter_map(|event| self.told_by_event(event)) {
            let pair = asked.iter().position(|asked| *asked == said);
            Law::Pairs.require(pair.is_some(), || format!("{said:?} is not asked for"))?;
            pair.map(|pair| asked.swap_remove(pair));
        }
        Law::Pairs.require(asked.is_empty(), || format!("{asked:?} is asked for, but not said"))
    }

    fn told_by_event<'fx>(&self, event: &'fx EventBody) -> Option<Told<'fx>> {
        Some(match event {
            EventBody::RoundOpened { round, kind: RoundKind::Coordinate, epoch, vote_only } => {
                Told::Open(*round, *epoch, *vote_only)
            }
            EventBody::RoundOpened { round, kind: RoundKind::Present, epoch, .. } => {
                Told::Present(*round, *epoch)
            }
            EventBody::RoundOpened { round, kind: RoundKind::Review, .. } => Told::Review(*round),
            EventBody::RoundClosed { round, reason } => Told::Close(*round, *reason),
            EventBody::CallGranted { call } => Told::Call(*call),
            EventBody::AnswerProposed { answer, .. } => Told::Freeze(*answer),
            EventBody::UpdateSent { round, epoch, interrupt } => {
                Told::Update(*round, *epoch, *interrupt)
            }
            EventBody::SubmissionRejected { round, rejection } => Told::Reject(*round, rejection),
            EventBody::VoteCast { ballot, .. } => Told::Count(ballot.choice),
            // Nobody waits for the reply if the round is over meanwhile.
            EventBody::AnswerAccepted { answer, .. } => {
                self.agents[answer.agent.at()].open.map(|_| Told::Accept(*answer))?
            }
            EventBody::TurnFinished { outcome } => Told::Finish(outcome),
            EventBody::AgentFailed { agent, failures, backoff_ms, .. } => {
                Told::Pause(*agent, *failures, *backoff_ms)
            }
            _ => return None,
        })
    }

    fn told_by_command<'fx>(&self, command: &'fx Command) -> [Option<Told<'fx>>; 2] {
        let first = match command {
            Command::OpenRound { round, brief } => match brief {
                Brief::Coordinate { epoch, vote_only } => Told::Open(*round, *epoch, *vote_only),
                Brief::Present { epoch, .. } => Told::Present(*round, *epoch),
                Brief::Review { .. } => Told::Review(*round),
            },
            Command::CloseRound { round, reason } => {
                // Closing what is closed already answers a late request; no event tells of it.
                let open = self.agents.get(round.agent.at()).and_then(|books| books.open);
                if open.is_none_or(|(open, _)| open != *round) {
                    return [None, None];
                }
                Told::Close(*round, *reason)
            }
            Command::StartCall { call } => Told::Call(*call),
            Command::TakeSnapshot { answer } => Told::Freeze(*answer),
            Command::DeliverUpdate { round, update, interrupt } => {
                Told::Update(*round, update.epoch, *interrupt)
            }
            Command::Reply { round, reply, update } => {
                let reply = match reply {
                    Reply::Accepted { answer } => Told::Accept(*answer),
                    Reply::Counted { choice } => Told::Count(*choice),
                    Reply::Rejected(rejection) => Told::Reject(*round, rejection),
                };
                let update = update.as_ref();
                return [
                    Some(reply),
                    update.map(|update| Told::Update(*round, update.epoch, false)),
                ];
            }
            Command::Finish(outcome) => Told::Finish(outcome),
            Command::Arm { deadline: Deadline::Backoff { agent, failures }, after_ms } => {
                Told::Pause(*agent, *failures, *after_ms)
            }
            Command::Arm { .. } => return [None, None],
        };
        [Some(first), None]
    }

    fn take_input(&mut self, input: &Input) {
        match input {
            Input::CallRequested { call, estimate } => {
                let is_of_round = |(earlier, _): &&mut (CallId, Spend)| earlier.round == call.round;
                if !self.may_wait(call.round) || self.reserved.contains_key(call) {
                    return;
                }
                match self.waiting.iter_mut().find(is_of_round) {
                    Some(earlier) => *earlier = (*call, *estimate),
                    None => self.waiting.push((*call, *estimate)),
                }
            }
            Input::Due(Deadline::Attempt { attempt }) if *attempt == self.attempt => {
                self.attempt_over = true;
            }
            Input::Due(Deadline::Coordination { attempt }) if *attempt == self.attempt => {
                self.coordination_over = true;
            }
            Input::Due(Deadline::Budget) => self.budget_over = true,
            Input::Interrupt => self.interrupted = true,
            Input::Due(Deadline::Backoff { agent, failures }) => {
                if let Some(books) = self.agents.get_mut(agent.at()) {
                    books.pause.take_if(|pause| pause == failures);
                }
            }
            Input::SnapshotTaken { answer, snapshot: None } => {
                if let Some(books) = self.agents.get_mut(answer.agent.at()) {
                    books.freezing.take_if(|freezing| freezing == answer);
                }
            }
            Input::CallSettled { call, spend, .. } => {
                self.reserved.remove(call);
                self.spent = plus(self.spent, *spend);
            }
            _ => {}
        }
    }

    fn take_event(
        &mut self,
        now: Millis,
        input: &Input,
        event: &EventBody,
        fx: &Effects,
    ) -> Result<(), Breach> {
        match event {
            EventBody::AttemptStarted { attempt } => {
                self.begun = true;
                self.attempt = *attempt;
                (self.attempt_over, self.coordination_over) = (false, false);
                for books in &mut self.agents {
                    let retired = books.retired;
                    *books = Books { retired, open: books.open, ..Books::default() };
                }
                self.epoch = Epoch(0);
                (self.wrap_up, self.selected, self.answered_in_attempt) = (false, None, false);
            }
            EventBody::RoundOpened { round, kind, epoch, .. } => {
                self.take_opened(*round, *kind, *epoch)?;
            }
            EventBody::RoundClosed { round, .. } => {
                let books = &mut self.agents[round.agent.at()];
                let is_open = books.open.is_some_and(|(open, _)| open == *round);
                books.open = None;
                self.waiting.retain(|(call, _)| call.round != *round);
                Law::OneRound.require(is_open, || format!("{round} is closed, but is not open"))?;
            }
            EventBody::CallGranted { call } => self.judge_grant(now, *call)?,
            EventBody::CallRefused { call, .. } => self.judge_refusal(now, *call, fx)?,
            EventBody::AnswerProposed { answer, .. } => {
                self.waiting.retain(|(call, _)| call.round.agent != answer.agent);
                self.agents[answer.agent.at()].freezing = Some(*answer);
            }
            EventBody::AnswerAccepted { answer, epoch, .. } => {
                let books = &mut self.agents[answer.agent.at()];
                let awaited = books.freezing.take();
                books.newest = Some(*answer);
                books.n_answers += 1;
                self.epoch = Epoch(self.epoch.0 + 1);
                (self.answered_ever, self.answered_in_attempt) = (true, true);
                Law::Agreement.require(awaited == Some(*answer), || format!("{event:?}"))?;
                Law::Agreement.require(*epoch == self.epoch, || format!("{event:?}"))?;
                for books in &mut self.agents {
                    books.ballot = None;
                }
            }
            EventBody::VoteCast { ballot, epoch } => {
                let Input::Submitted { seen, submission: Submission::Vote { .. }, .. } = input
                else {
                    let what = || format!("{event:?} without a vote");
                    return Law::ValidBallots.require(false, what);
                };
                let is_valid = *epoch == self.epoch
                    && *seen == self.epoch
                    && self.allows_vote(ballot.voter, ballot.choice);
                Law::ValidBallots.require(is_valid, || format!("{event:?} of {input:?}"))?;
                self.agents[ballot.voter.at()].ballot = Some(ballot.choice);
            }
            EventBody::UpdateSent { round, epoch, interrupt } => {
                self.judge_update(*round, *epoch, *interrupt, input)?;
            }
            EventBody::AgentFailed { agent, failures, .. } => {
                self.agents[agent.at()].pause = Some(*failures);
            }
            EventBody::AgentRetired { agent, reason } => {
                let books = &mut self.agents[agent.at()];
                books.retired = true;
                books.retired_for_budget = *reason == RetireReason::Budget;
                books.may_not_call = may_not_call(reason);
            }
            EventBody::WrapUpStarted { .. } => self.wrap_up = true,
            EventBody::WinnerSelected { winner, basis } => self.judge_selection(*winner, basis)?,
            EventBody::TurnFinished { outcome } => self.judge_end(outcome)?,
            _ => {}
        }
        Ok(())
    }

    fn take_opened(&mut self, round: RoundId, kind: RoundKind, epoch: Epoch) -> Result<(), Breach> {
        let is_freezing = self.agents.iter().any(|books| books.freezing.is_some());
        let n_open = self.agents.iter().filter(|books| books.open.is_some()).count();
        let current = self.epoch;
        let is_early = kind == RoundKind::Coordinate
            && self.has_answer(round.agent)
            && self.is_voting_deferred();
        Law::DeferredVoting.require(!is_early, || format!("{round} opens"))?;
        let books = &mut self.agents[round.agent.at()];
        Law::OneRound
            .require(books.open.is_none(), || format!("{:?}, then {round}", books.open))?;
        let may_open = match kind {
            RoundKind::Coordinate => {
                // Another attempt may call back who has retired.
                books.retired = books.retired && current > Epoch(0);
                !books.retired && books.ballot.is_none() && self.selected.is_none()
            }
            RoundKind::Present | RoundKind::Review => n_open == 0 && self.selected.is_some(),
        };
        books.open = Some((round, kind));
        books.told = epoch;
        Law::OneRound.require(may_open, || format!("{round} opens as {kind:?}"))?;
        Law::QuietWhileFreezing.require(!is_freezing, || format!("{round} opens"))?;
        Law::Agreement.require(epoch == current, || format!("{round} opens at {epoch:?}"))
    }

    /// Returns whether a round can do something with a call, so that it may wait for one.
    fn may_wait(&self, round: RoundId) -> bool {
        let books = self.agents.get(round.agent.at());
        books.is_some_and(|books| {
            books.open.is_some_and(|(open, _)| open == round) && books.freezing.is_none()
        })
    }

    fn fits(&self, now: Millis, total: Spend) -> bool {
        let budget = &self.policy.budget;
        budget.calls.is_none_or(|bound| total.calls <= bound)
            && budget.tokens.is_none_or(|bound| total.tokens <= bound)
            && budget.money_micros.is_none_or(|bound| total.money_micros <= bound)
            && budget.time_ms.is_none_or(|bound| now.0 < bound)
    }

    /// Returns what is spent and reserved, and this in addition.
    fn committed_with(&self, estimate: Spend) -> Spend {
        self.reserved.values().copied().fold(plus(self.spent, estimate), plus)
    }

    fn judge_grant(&mut self, now: Millis, call: CallId) -> Result<(), Breach> {
        if self.reserved.contains_key(&call) {
            return Ok(());
        }
        let first = self.waiting.first().copied().filter(|(first, _)| *first == call);
        let Some((_, estimate)) = first else {
            return Law::Queue.require(false, || format!("{call} before {:?}", self.waiting));
        };
        self.waiting.remove(0);
        let total = self.committed_with(estimate);
        self.reserved.insert(call, estimate);
        Law::Budget.require(self.fits(now, total), || format!("{call} is granted at {total:?}"))
    }

    fn judge_refusal(&mut self, now: Millis, call: CallId, fx: &Effects) -> Result<(), Breach> {
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == call) else {
            return Law::Queue.require(false, || format!("{call} is refused, but does not wait"));
        };
        let (_, estimate) = self.waiting.remove(at);
        let alone = plus(self.spent, estimate);
        Law::Budget
            .require(!self.fits(now, alone), || format!("{call} is refused at {alone:?}"))?;
        let closes = |command: &Command| match command {
            Command::CloseRound { round, .. } => *round == call.round,
            _ => false,
        };
        let is_closed = fx.commands.iter().any(closes);
        Law::EveryAsk.require(is_closed, || format!("{call} is refused, its round goes on"))
    }

    /// Whoever waits has a reason: the first for what is reserved, the others for the first.
    fn judge_waiting(&self, now: Millis) -> Result<(), Breach> {
        for (at, (call, estimate)) in self.waiting.iter().enumerate() {
            let is_lost = !self.fits(now, plus(self.spent, *estimate));
            let is_due = at == 0 && self.fits(now, self.committed_with(*estimate));
            Law::EveryAsk.require(!is_lost && !is_due, || format!("{call} waits in vain"))?;
        }
        Ok(())
    }

    fn judge_update(
        &mut self,
        round: RoundId,
        epoch: Epoch,
        interrupt: bool,
        input: &Input,
    ) -> Result<(), Breach> {
        let is_first_draft = self.agents[round.agent.at()].told == Epoch(0)
            && epoch > Epoch(0)
            && !self.is_vote_only(round.agent);
        let is_from_answer = matches!(input, Input::SnapshotTaken { .. });
        let disturbs = is_first_draft && is_from_answer;
        let is_allowed = match self.policy.on_new_answer {
            OnNewAnswer::Interrupt => true,
            OnNewAnswer::Graceful => !disturbs,
            // To call back one who is not heard yet disturbs nobody.
            OnNewAnswer::Wait => {
                let is_waiting = self.waiting.iter().any(|(call, _)| call.round == round);
                !disturbs && (!interrupt || is_waiting)
            }
        };
        let books = &mut self.agents[round.agent.at()];
        books.told = epoch;
        let is_open = books.open == Some((round, RoundKind::Coordinate));
        Law::FirstDrafts.require(is_allowed, || format!("{round} is called back to {epoch:?}"))?;
        Law::OneRound.require(is_open, || format!("{round} is updated, but is not open"))?;
        Law::Agreement.require(epoch == self.epoch, || format!("{round} is told of {epoch:?}"))
    }

    fn take_command(&mut self, command: &Command) -> Result<(), Breach> {
        match command {
            Command::OpenRound { round, brief } => {
                let is_own = match brief {
                    Brief::Coordinate { .. } => true,
                    Brief::Present { winner, .. } | Brief::Review { winner } => {
                        winner.agent == round.agent
                    }
                };
                Law::RightWinner.require(is_own, || format!("{round} presents: {brief:?}"))
            }
            Command::DeliverUpdate { .. }
            | Command::StartCall { .. }
            | Command::Reply { .. }
            | Command::CloseRound { .. }
            | Command::TakeSnapshot { .. }
            | Command::Arm { .. }
            | Command::Finish(_) => Ok(()),
        }
    }

    fn judge_agreement(&self, coordinator: &Coordinator) -> Result<(), Breach> {
        let ids = || (0..).map(AgentIndex).zip(&self.agents);
        let open: Vec<RoundId> =
            ids().filter_map(|(_, books)| books.open.map(|(round, _)| round)).collect();
        let newest: Vec<AnswerId> = ids().filter_map(|(_, books)| books.newest).collect();
        let ballots: Vec<(AgentIndex, AgentIndex)> =
            ids().filter_map(|(id, books)| books.ballot.map(|choice| (id, choice))).collect();
        let asked: Vec<(AgentIndex, AgentIndex)> =
            coordinator.ballots().iter().map(|ballot| (ballot.voter, ballot.choice)).collect();
        let agree = |holds: bool, what: &str| Law::Agreement.require(holds, || what.to_owned());
        agree(coordinator.epoch() == self.epoch, "epoch")?;
        agree(coordinator.open_rounds() == open, "open rounds")?;
        agree(coordinator.newest_answers() == newest, "newest answers")?;
        agree(coordinator.is_finished() == self.finished, "end")?;
        agree(coordinator.spent() == self.spent, "spending")?;
        agree(asked == ballots, "ballots")
    }

    fn judge_forgotten(&self) -> Result<(), Breach> {
        let is_freezing = self.agents.iter().any(|books| books.freezing.is_some());
        let is_over = self.is_time_over() || self.is_to_end() || self.selected.is_some();
        if !self.begun || is_over || self.finished || is_freezing {
            return Ok(());
        }
        let is_deferred = self.is_voting_deferred();
        for (agent, books) in (0..).map(AgentIndex).zip(&self.agents) {
            let waits = is_deferred && books.newest.is_some();
            let is_busy = books.open.is_some()
                || books.ballot.is_some()
                || books.pause.is_some()
                || books.retired;
            Law::NobodyForgotten.require(waits || is_busy, || format!("{books:?}"))?;
            let is_first_draft = books.told == Epoch(0)
                && self.policy.on_new_answer != OnNewAnswer::Interrupt
                && !self.is_vote_only(agent);
            let is_informed = books.open.is_none() || books.told == self.epoch || is_first_draft;
            Law::Informed.require(is_informed, || format!("{books:?} at {:?}", self.epoch))?;
        }
        Ok(())
    }
}

fn plus(left: Spend, right: Spend) -> Spend {
    Spend {
        calls: left.calls.saturating_add(right.calls),
        tokens: left.tokens.saturating_add(right.tokens),
        money_micros: left.money_micros.saturating_add(right.money_micros),
    }
}
