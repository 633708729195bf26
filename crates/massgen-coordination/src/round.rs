//! One agent's round: model turns, tools, the binary choice, and what is said next.
//!
//! Like the coordinator it is a synchronous function of its inputs: it never
//! waits, and what it wants is in the [`RoundStep`] it returns. It owns the rules
//! of one conversation: every tool call of a turn gets a result, news is taken in
//! at one safe point (before a model call), and every loop is bounded. It never
//! sees other agents' state; it is told of it by [`Update`]s.

use std::collections::BTreeSet;
use std::sync::Arc;

use massgen_protocol::{
    AssistantTurn, Brief, CallFailure, CallId, Enforcement, Epoch, EventBody, Item, Policy,
    Rejection, Reply, Review, RoundEnd, RoundId, RoundKind, Submission, ToolCall, ToolCallId,
    ToolResult, Update,
};

use crate::enforcement::{Choice, Reading, Tools, read};

/// One agent's round, between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    id: RoundId,
    kind: RoundKind,
    rules: RoundRules,
    phase: Phase,
    /// What the transcript shows; travels with every submission.
    seen: Epoch,
    /// Calls made, those given up for newer answers too.
    calls: u32,
    /// Replies received.
    turns: u32,
    violations: u32,
    /// Whether tools have worked since the last update, so that an interruption would waste it.
    has_tool_work: bool,
    /// News that waits for the next safe point.
    pending: Option<Update>,
}

/// The bounds of a round, from the policy and the agent's situation at its opening.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundRules {
    pub violations_max: u32,
    pub turns_max: u32,
    /// Plain text of a model that never chooses may become its answer.
    pub may_salvage: bool,
    pub known_tools: Arc<BTreeSet<String>>,
}

impl RoundRules {
    /// `is_first_draft`: the agent has no answer yet, so its text is better than nothing.
    pub fn new(
        policy: &Policy,
        is_first_draft: bool,
        known_tools: Arc<BTreeSet<String>>,
    ) -> RoundRules {
        RoundRules {
            violations_max: policy.violations_max,
            turns_max: policy.turns_max,
            may_salvage: policy.salvage_text && is_first_draft,
            known_tools,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Calling,
    /// Tools of the turn are running; `choice` follows when they are done.
    Working {
        exchange: Exchange,
        running: Vec<usize>,
        choice: Option<Choice>,
    },
    /// The submission is with the coordinator.
    Submitted {
        exchange: Option<Exchange>,
    },
    Over,
}

/// A turn whose tool calls do not all have their results yet.
#[derive(Clone, Debug, PartialEq)]
struct Exchange {
    turn: Arc<AssistantTurn>,
    results: Vec<(ToolCallId, String, Option<ResultBody>)>,
}

/// Something to append to the conversation, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Append {
    /// The model's turn, unchanged.
    Turn(Arc<AssistantTurn>),
    /// One result for every tool call of the turn before.
    Results(Vec<(ToolCallId, String, ResultBody)>),
    /// A user message.
    Say(Vec<Item>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum ResultBody {
    Item(Item),
    Output { text: String, is_error: bool },
}

/// What a round is told.
#[derive(Clone, Debug, PartialEq)]
pub enum RoundInput {
    Turn(Arc<AssistantTurn>),
    CallFailed(CallFailure),
    ToolFinished(ToolResult),
    Reply {
        reply: Reply,
        update: Option<Update>,
    },
    Update {
        update: Update,
        interrupt: bool,
    },
    /// The round is over; what the transcript lacks is completed.
    Close,
}

/// What a step brings about: the transcript grows, facts are recorded, then `ask` is done.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RoundStep {
    pub appends: Vec<Append>,
    pub events: Vec<EventBody>,
    pub ask: RoundAsk,
}

/// The one thing a round waits for next.
#[derive(Clone, Debug, PartialEq)]
pub enum RoundAsk {
    CallModel {
        call: CallId,
    },
    /// The running call has become pointless; `call` takes its place.
    CallAgain {
        cancelled: CallId,
        call: CallId,
    },
    CallTools(Vec<ToolCall>),
    Submit {
        seen: Epoch,
        submission: Submission,
        salvaged: bool,
    },
    Present {
        text: String,
    },
    Review(Review),
    End(RoundEnd),
    /// Nothing new: what was asked before is still under way, or the round is over.
    Wait,
}

impl Round {
    /// Opens a round. `after` is what its conversation has seen before, if it goes on.
    pub fn open(
        id: RoundId,
        brief: Brief,
        after: Option<Epoch>,
        rules: RoundRules,
    ) -> (Round, RoundStep) {
        let (kind, seen) = match &brief {
            Brief::Coordinate { epoch, .. } => (RoundKind::Coordinate, *epoch),
            Brief::Present { epoch, .. } => (RoundKind::Present, *epoch),
            Brief::Review { .. } => (RoundKind::Review, after.unwrap_or_default()),
        };
        let item = match (brief, after) {
            (Brief::Coordinate { epoch, vote_only }, Some(after)) => {
                Item::Update { after, update: Update { epoch, wrap_up: None, vote_only } }
            }
            (brief, _) => Item::Brief(brief),
        };
        let mut round = Round {
            id,
            kind,
            rules,
            phase: Phase::Calling,
            seen,
            calls: 0,
            turns: 0,
            violations: 0,
            has_tool_work: false,
            pending: None,
        };
        let step = round.call(vec![Append::Say(vec![item])], Vec::new());
        (round, step)
    }

    pub fn id(&self) -> RoundId {
        self.id
    }

    pub fn kind(&self) -> RoundKind {
        self.kind
    }

    /// Returns what the transcript shows.
    pub fn seen(&self) -> Epoch {
        self.seen
    }

    /// Returns the call whose turn the round waits for.
    pub fn current_call(&self) -> Option<CallId> {
        matches!(self.phase, Phase::Calling).then_some(CallId { round: self.id, n: self.calls })
    }

    /// Returns whether it waits for this tool call's result.
    pub fn awaits_tool(&self, id: &ToolCallId) -> bool {
        match &self.phase {
            Phase::Working { exchange, running, .. } => {
                running.iter().any(|&at| exchange.results[at].0 == *id)
            }
            Phase::Calling | Phase::Submitted { .. } | Phase::Over => false,
        }
    }

    /// Returns a tool call of the turn whose results are awaited.
    pub fn tool_call(&self, id: &ToolCallId) -> Option<&ToolCall> {
        match &self.phase {
            Phase::Working { exchange, .. } => {
                exchange.turn.tool_calls().find(|call| call.id == *id)
            }
            Phase::Calling | Phase::Submitted { .. } | Phase::Over => None,
        }
    }

    pub fn violations(&self) -> u32 {
        self.violations
    }

    pub fn violations_max(&self) -> u32 {
        self.rules.violations_max
    }

    /// Applies one input. What comes out of place changes nothing.
    pub fn step(&mut self, input: RoundInput) -> RoundStep {
        match input {
            RoundInput::Turn(turn) => match self.phase {
                Phase::Calling => self.turn(turn),
                Phase::Working { .. } | Phase::Submitted { .. } | Phase::Over => wait(),
            },
            RoundInput::CallFailed(failure) => match self.phase {
                Phase::Calling => self.end(RoundEnd::CallFailed { failure }),
                Phase::Working { .. } | Phase::Submitted { .. } | Phase::Over => wait(),
            },
            RoundInput::ToolFinished(result) => self.tool_finished(result),
            RoundInput::Reply { reply, update } => self.reply(reply, update),
            RoundInput::Update { update, interrupt } => self.update(update, interrupt),
            RoundInput::Close => self.close(),
        }
    }

    fn turn(&mut self, turn: Arc<AssistantTurn>) -> RoundStep {
        self.turns += 1;
        match read(self.kind, &turn, &self.rules.known_tools) {
            Reading::Chosen { choice, tools } => self.run(turn, tools, Some(choice)),
            Reading::Tools(tools) => self.run(turn, tools, None),
            Reading::Broken(rule) => self.broken(Exchange::new(turn), rule),
        }
    }

    fn run(&mut self, turn: Arc<AssistantTurn>, tools: Tools, choice: Option<Choice>) -> RoundStep {
        let mut exchange = Exchange::new(turn);
        for (at, rule) in tools.refused {
            exchange.fill(at, Item::Enforce(rule));
        }
        let running = tools.run;
        if let (true, Some(choice)) = (running.is_empty(), &choice) {
            return self.choose(exchange, choice.clone());
        }
        let all: Vec<&ToolCall> = exchange.turn.tool_calls().collect();
        let calls = running.iter().map(|&at| all[at].clone()).collect();
        self.has_tool_work = true;
        self.phase = Phase::Working { exchange, running, choice };
        RoundStep { appends: Vec::new(), events: Vec::new(), ask: RoundAsk::CallTools(calls) }
    }

    fn tool_finished(&mut self, result: ToolResult) -> RoundStep {
        let Phase::Working { exchange, running, .. } = &mut self.phase else { return wait() };
        let done = running.iter().position(|&at| exchange.results[at].0 == result.id);
        let Some(done) = done else { return wait() };
        let output = ResultBody::Output { text: result.text, is_error: result.is_error };
        exchange.results[running.remove(done)].2 = Some(output);
        if !running.is_empty() {
            return wait();
        }
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Working { exchange, choice: Some(choice), .. } => self.choose(exchange, choice),
            Phase::Working { exchange, choice: None, .. } => {
                let appends = exchange.finish();
                self.call(appends, Vec::new())
            }
            Phase::Calling | Phase::Submitted { .. } | Phase::Over => wait(),
        }
    }

    fn choose(&mut self, exchange: Exchange, choice: Choice) -> RoundStep {
        match choice {
            Choice::Submit(submission) => {
                self.phase = Phase::Submitted { exchange: Some(exchange) };
                let ask = RoundAsk::Submit { seen: self.seen, submission, salvaged: false };
                RoundStep { appends: Vec::new(), events: Vec::new(), ask }
            }
            Choice::Final(text) => self.finish(exchange, RoundAsk::Present { text }),
            Choice::Review(review) => self.finish(exchange, RoundAsk::Review(review)),
        }
    }

    fn finish(&mut self, exchange: Exchange, ask: RoundAsk) -> RoundStep {
        self.phase = Phase::Over;
        RoundStep { appends: exchange.finish(), events: Vec::new(), ask }
    }

    /// Sends the whole reply back, or gives up.
    fn broken(&mut self, mut exchange: Exchange, rule: Enforcement) -> RoundStep {
        self.violations += 1;
        let has_calls = !exchange.results.is_empty();
        if self.violations > self.rules.violations_max {
            let text = exchange.turn.text();
            let salvage = self.rules.may_salvage
                && self.kind == RoundKind::Coordinate
                && !text.trim().is_empty()
                && matches!(rule, Enforcement::NoChoice | Enforcement::UnknownTool { .. });
            if salvage {
                // Only once: if it is refused, the round ends.
                self.rules.may_salvage = false;
                let appends = exchange.finish();
                self.phase = Phase::Submitted { exchange: None };
                let submission = Submission::NewAnswer { text: text.into() };
                let ask = RoundAsk::Submit { seen: self.seen, submission, salvaged: true };
                return RoundStep { appends, events: Vec::new(), ask };
            }
            let mut step = self.end(RoundEnd::Exhausted { violations: self.violations });
            step.appends = exchange.finish();
            return step;
        }
        let event = EventBody::RuleEnforced {
            round: self.id,
            enforcement: rule.clone(),
            n: self.violations,
            max: self.rules.violations_max,
        };
        let item = Item::Enforce(rule);
        let appends = if has_calls {
            // The rule is told once, in the first result; the others were just not run.
            exchange.fill(0, item);
            exchange.finish()
        } else {
            let mut appends = exchange.finish();
            appends.push(Append::Say(vec![item]));
            appends
        };
        self.call(appends, vec![event])
    }

    fn reply(&mut self, reply: Reply, update: Option<Update>) -> RoundStep {
        let exchange = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Submitted { exchange } => exchange,
            other => {
                self.phase = other;
                return wait();
            }
        };
        let (item, rejection) = match reply {
            Reply::Accepted { answer } => (Item::Accepted { answer }, None),
            Reply::Counted { .. } => (Item::Counted, None),
            Reply::Rejected(rejection) => (Item::Rejected(rejection.clone()), Some(rejection)),
        };
        let salvaged = exchange.is_none();
        let appends = match exchange {
            Some(exchange) => exchange.finish_with(&item),
            None => vec![Append::Say(vec![item])],
        };
        let Some(rejection) = rejection else {
            return RoundStep { appends, events: Vec::new(), ask: RoundAsk::Wait };
        };
        if let Some(update) = update {
            self.hold(update);
        }
        if rejection == Rejection::SnapshotFailed {
            // The coordinator closes the round and lets the agent try again.
            return RoundStep { appends, events: Vec::new(), ask: RoundAsk::Wait };
        }
        self.violations += u32::from(rejection.is_violation());
        if salvaged || self.violations > self.rules.violations_max {
            let mut step = self.end(RoundEnd::Exhausted { violations: self.violations });
            step.appends = appends;
            return step;
        }
        self.call(appends, Vec::new())
    }

    fn update(&mut self, update: Update, interrupt: bool) -> RoundStep {
        match self.phase {
            Phase::Over => wait(),
            Phase::Calling if interrupt && !self.has_tool_work => {
                let cancelled = CallId { round: self.id, n: self.calls };
                self.hold(update);
                let mut step = self.call(Vec::new(), Vec::new());
                if let RoundAsk::CallModel { call } = step.ask {
                    step.ask = RoundAsk::CallAgain { cancelled, call };
                }
                step
            }
            Phase::Calling | Phase::Working { .. } | Phase::Submitted { .. } => {
                self.hold(update);
                wait()
            }
        }
    }

    fn hold(&mut self, update: Update) {
        let merged = match self.pending.take() {
            None => update,
            Some(held) => Update {
                epoch: held.epoch.max(update.epoch),
                wrap_up: update.wrap_up.or(held.wrap_up),
                vote_only: held.vote_only || update.vote_only,
            },
        };
        self.pending = Some(merged);
    }

    /// The safe point: takes news in, then calls the model.
    fn call(&mut self, mut appends: Vec<Append>, mut events: Vec<EventBody>) -> RoundStep {
        if self.turns >= self.rules.turns_max {
            let mut step = self.end(RoundEnd::TooManyTurns { turns: self.turns });
            step.appends = appends;
            step.events.append(&mut events);
            return step;
        }
        if let Some(update) = self.pending.take() {
            let after = self.seen;
            if update.epoch > after || update.wrap_up.is_some() {
                self.seen = after.max(update.epoch);
                self.has_tool_work = false;
                events.push(EventBody::UpdateSeen { round: self.id, epoch: self.seen });
                appends.push(Append::Say(vec![Item::Update { after, update }]));
            }
        }
        self.calls += 1;
        self.phase = Phase::Calling;
        let call = CallId { round: self.id, n: self.calls };
        RoundStep { appends, events, ask: RoundAsk::CallModel { call } }
    }

    fn end(&mut self, end: RoundEnd) -> RoundStep {
        self.phase = Phase::Over;
        RoundStep { appends: Vec::new(), events: Vec::new(), ask: RoundAsk::End(end) }
    }

    fn close(&mut self) -> RoundStep {
        let appends = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Working { mut exchange, running, .. } => {
                for at in running {
                    exchange.fill(at, Item::Interrupted);
                }
                exchange.finish()
            }
            Phase::Submitted { exchange: Some(exchange) } => exchange.finish(),
            Phase::Calling | Phase::Submitted { exchange: None } | Phase::Over => Vec::new(),
        };
        RoundStep { appends, events: Vec::new(), ask: RoundAsk::Wait }
    }
}

fn wait() -> RoundStep {
    RoundStep { appends: Vec::new(), events: Vec::new(), ask: RoundAsk::Wait }
}

impl Exchange {
    fn new(turn: Arc<AssistantTurn>) -> Exchange {
        let results =
            turn.tool_calls().map(|call| (call.id.clone(), call.name.clone(), None)).collect();
        Exchange { turn, results }
    }

    fn fill(&mut self, at: usize, item: Item) {
        self.results[at].2 = Some(ResultBody::Item(item));
    }

    /// Completes the transcript: what has no result yet was not run.
    fn finish(self) -> Vec<Append> {
        self.finish_with(&Item::NotRun)
    }

    /// Completes the transcript; open workflow calls get `item`, others were not run.
    fn finish_with(self, item: &Item) -> Vec<Append> {
        let results: Vec<_> = self
            .results
            .into_iter()
            .map(|(id, name, body)| {
                let is_workflow = massgen_protocol::ToolName::is_workflow(&name);
                let open = if is_workflow { item.clone() } else { Item::NotRun };
                (id, name, body.unwrap_or(ResultBody::Item(open)))
            })
            .collect();
        let mut appends = vec![Append::Turn(self.turn)];
        if !results.is_empty() {
            appends.push(Append::Results(results));
        }
        appends
    }
}

#[cfg(test)]
mod tests;
