//! Everything that is decided, in one place without IO: the coordinator, the rounds
//! and the conversations, driven by the events of the log.
//!
//! [`Engine::apply`] takes one event that is in the log. What follows from it and
//! has to be logged next waits in [`Engine::next_record`]; what has to be done
//! outside waits in [`Engine::take_outgoing`]. A live run and a replay differ only in
//! who looks at the two.

mod insights;
mod open;
mod words;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use massgen_coordination::{
    Append, Command, Coordinator, Effects, Input, ResultBody, Round, RoundAsk, RoundInput,
    RoundStep,
};
use massgen_prompts::Prompts;
use massgen_protocol::{
    AgentIndex, AnswerId, CallId, Deadline, Event, EventBody, Item, Kept, Millis, ModelCall,
    Outcome, Role, RoundId, RoundKind, RunSpec, Spend, Submission, ToolCall, ToolCallId, ToolSpec,
    Toolset,
};

use crate::FilesView;
use crate::conversation::{Conversation, tools_bytes};

/// The decided part of a run.
pub struct Engine {
    spec: Arc<RunSpec>,
    prompts: Prompts,
    review_tools: Arc<Vec<ToolSpec>>,
    coordinator: Coordinator,
    agents: Vec<AgentSeat>,
    /// Follows the event applied last and is to be logged before anything from outside.
    queue: VecDeque<EventBody>,
    outgoing: Vec<Outgoing>,
    open: open::OpenWork,
    /// The last event, held back until nothing is under way.
    end: Option<EventBody>,
    final_text: Option<Kept<String>>,
    restart: Option<words::Restart>,
    outcome: Option<Outcome>,
    is_asked: bool,
    insights: insights::Insights,
}

struct AgentSeat {
    conversation: Conversation,
    known_tools: Arc<BTreeSet<String>>,
    round: Option<Round>,
    has_answer: bool,
    /// How many of the run's insights its conversation has been told of, or are its own.
    insights_told: usize,
    /// What its round presents.
    presents: Option<AnswerId>,
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outgoing {
    StartCall(CallId),
    CancelCall(CallId),
    RunTool { round: RoundId, call: ToolCall },
    CancelTools(RoundId),
    TakeSnapshot(AnswerId),
}

impl Engine {
    pub fn new(spec: Arc<RunSpec>, prompts: Prompts) -> Engine {
        let n_agents = u16::try_from(spec.agents.len()).unwrap_or(u16::MAX);
        let workflow = prompts.tools(n_agents);
        let mut review_tools = prompts.review_tools();
        review_tools.sort_by(|a, b| a.name.cmp(&b.name));
        // Agents with the same tools share one list: a thousand agents, one allocation.
        let bare = Offer::new(&workflow, None);
        let offers: Vec<Offer> =
            spec.toolsets.iter().map(|set| Offer::new(&workflow, Some(set))).collect();
        let agents = (0..n_agents)
            .map(|at| {
                let set = spec.agents[usize::from(at)].toolset;
                let offer = set.and_then(|set| offers.get(usize::try_from(set).ok()?));
                let offer = offer.unwrap_or(&bare);
                AgentSeat {
                    conversation: Conversation::new(offer.tools.clone(), offer.bytes),
                    known_tools: offer.known.clone(),
                    round: None,
                    has_answer: false,
                    insights_told: 0,
                    presents: None,
                }
            })
            .collect();
        let coordinator = Coordinator::new(n_agents, spec.policy.clone(), spec.seed);
        Engine {
            spec,
            prompts,
            review_tools: Arc::new(review_tools),
            coordinator,
            agents,
            queue: VecDeque::new(),
            outgoing: Vec::new(),
            open: open::OpenWork::default(),
            end: None,
            final_text: None,
            restart: None,
            outcome: None,
            is_asked: false,
            insights: insights::Insights::default(),
        }
    }

    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Returns whether the last event of the run is in the log.
    pub fn is_finished(&self) -> bool {
        self.outcome.is_some() && self.end.is_none() && self.queue.is_empty()
    }

    /// Returns the text to give to the user: what was presented, or the winning answer.
    pub fn final_text(&self) -> Option<Arc<String>> {
        match self.outcome.as_ref()? {
            Outcome::Answered { winner, presented, .. } => {
                // A restarted attempt that came to nothing leaves the text before it.
                let earlier = self.restart.as_ref().and_then(|restart| restart.answer.as_ref());
                let text = self.final_text.as_ref().or(earlier).filter(|_| *presented);
                text.and_then(|text| text.get().cloned())
                    .or_else(|| self.coordinator.answer_text(*winner).cloned())
            }
            Outcome::Failed { .. } => None,
        }
    }

    pub fn spent(&self) -> Spend {
        self.coordinator.spent()
    }

    /// Returns what has to be logged next, if anything.
    pub(crate) fn next_record(&mut self) -> Option<EventBody> {
        self.queue.pop_front()
    }

    pub(crate) fn peek_record(&self) -> Option<&EventBody> {
        self.queue.front()
    }

    pub(crate) fn take_outgoing(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outgoing)
    }

    pub(crate) fn next_deadline(&self) -> Option<(Millis, Deadline)> {
        self.open.next_deadline()
    }

    pub(crate) fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// Applies one event of the log.
    pub fn apply(&mut self, event: &Event) {
        self.take_in(event);
        self.release_end();
    }

    fn take_in(&mut self, event: &Event) {
        self.open.note(&event.body);
        match &event.body {
            EventBody::CallFinished { call, turn, .. } => {
                if let Some(turn) = turn.get().cloned() {
                    self.step_call(*call, RoundInput::Turn(turn));
                }
            }
            EventBody::CallFailed { call, failure, .. } => {
                self.step_call(*call, RoundInput::CallFailed(failure.clone()));
            }
            EventBody::ToolStarted { round, id, name, .. } => self.tool_started(*round, id, name),
            EventBody::InsightShared { round, text, file, evidence } => {
                self.take_insight(round.agent, text, file.as_deref(), evidence.clone());
            }
            EventBody::ToolFinished { round, id, name, output, is_error, media } => {
                if let Some(media) = media.as_ref().and_then(Kept::get)
                    && self.round(*round).is_some_and(|open| open.awaits_tool(id))
                {
                    let seat = &mut self.agents[round.agent.at()];
                    seat.conversation.media_waits(media);
                }
                let result = massgen_protocol::ToolResult {
                    id: id.clone(),
                    name: name.clone(),
                    text: output.text().to_owned(),
                    is_error: *is_error,
                };
                self.step_round(*round, RoundInput::ToolFinished(result));
            }
            EventBody::QuestionAsked { .. } => self.is_asked = true,
            EventBody::Presented { text, .. } => self.final_text = Some(text.clone()),
            _ => {}
        }
        let Some(input) = Input::of_event(&event.body) else { return };
        let Effects { events, commands } = self.coordinator.step(event.at, input);
        for body in &events {
            self.note_decision(body);
        }
        // Decisions follow their input directly, before anything that was waiting.
        for body in events.into_iter().rev() {
            if matches!(body, EventBody::TurnFinished { .. }) {
                self.end = Some(body);
            } else {
                self.queue.push_front(body);
            }
        }
        for command in commands {
            self.carry_out(command, event.at);
        }
    }

    /// The end is the last event: it waits until the calls that are given up for it
    /// are settled, so that the totals hold.
    fn release_end(&mut self) {
        if self.end.is_some() && self.queue.is_empty() && self.open.is_idle() {
            self.queue.extend(self.end.take());
        }
    }

    /// Takes in what the commands of the same step already build on.
    fn note_decision(&mut self, body: &EventBody) {
        match body {
            EventBody::AnswerAccepted { answer, .. } => {
                self.agents[answer.agent.at()].has_answer = true;
            }
            EventBody::AttemptRestarted { reason, instructions } => {
                self.restart = Some(words::Restart {
                    reason: reason.clone(),
                    instructions: instructions.clone(),
                    // A sole agent's answer is reviewed as it stands, without a presentation.
                    answer: self.final_text.take().or_else(|| {
                        let notes = self.coordinator.restart_notes()?;
                        let answer = self.coordinator.answer_text(notes.answer)?;
                        Some(Kept::Inline(answer.clone()))
                    }),
                });
            }
            EventBody::AttemptStarted { .. } => {
                for seat in &mut self.agents {
                    seat.conversation.shown = None;
                    seat.has_answer = false;
                }
            }
            _ => {}
        }
    }

    fn carry_out(&mut self, command: Command, now: Millis) {
        match command {
            Command::OpenRound { round, brief } => self.open_round(round, brief),
            Command::StartCall { call } => {
                let is_current = self.round(call.round).and_then(Round::current_call) == Some(call);
                self.open.call_granted(call);
                if is_current {
                    self.outgoing.push(Outgoing::StartCall(call));
                } else {
                    // Superseded before it could start.
                    self.queue
                        .push_back(EventBody::CallCancelled { call, spend: Spend::default() });
                }
            }
            Command::DeliverUpdate { round, update, interrupt } => {
                self.step_round(round, RoundInput::Update { update, interrupt });
            }
            Command::Reply { round, reply, update } => {
                self.step_round(round, RoundInput::Reply { reply, update });
            }
            Command::CloseRound { round, reason: _ } => self.close_round(round),
            Command::TakeSnapshot { answer } => {
                self.open.snapshot_asked(answer);
                self.outgoing.push(Outgoing::TakeSnapshot(answer));
            }
            Command::Arm { deadline, after_ms } => self.open.arm(deadline, now.plus(after_ms)),
            Command::Finish(outcome) => {
                self.outcome = Some(outcome);
            }
        }
    }

    fn round(&self, id: RoundId) -> Option<&Round> {
        self.agents.get(id.agent.at())?.round.as_ref().filter(|round| round.id() == id)
    }

    fn step_call(&mut self, call: CallId, input: RoundInput) {
        if self.round(call.round).and_then(Round::current_call) == Some(call) {
            self.step_round(call.round, input);
        }
    }

    fn step_round(&mut self, id: RoundId, input: RoundInput) {
        let Some(seat) = self.agents.get_mut(id.agent.at()) else { return };
        if let Some(round) = seat.round.as_mut().filter(|round| round.id() == id) {
            let step = round.step(input);
            self.follow(id, step);
        }
    }

    fn open_round(&mut self, id: RoundId, brief: massgen_protocol::Brief) {
        self.close_open_round(id.agent);
        self.agents[id.agent.at()].presents = match brief {
            massgen_protocol::Brief::Present { winner, .. } => Some(winner),
            massgen_protocol::Brief::Coordinate { .. } | massgen_protocol::Brief::Review { .. } => {
                None
            }
        };
        let seat = &mut self.agents[id.agent.at()];
        let is_first_draft = !seat.has_answer;
        let rules = massgen_coordination::RoundRules::new(
            &self.spec.policy,
            is_first_draft,
            seat.known_tools.clone(),
        );
        let (round, step) = Round::open(id, brief, seat.conversation.shown, rules);
        seat.round = Some(round);
        self.follow(id, step);
    }

    fn close_open_round(&mut self, agent: AgentIndex) {
        let open = self.agents[agent.at()].round.as_ref().map(Round::id);
        if let Some(open) = open {
            self.close_round(open);
        }
    }

    fn close_round(&mut self, id: RoundId) {
        if self.round(id).is_none() {
            return;
        }
        self.outgoing.extend(self.open.calls_of(id).map(Outgoing::CancelCall));
        if self.open.has_tools(id) {
            self.outgoing.push(Outgoing::CancelTools(id));
        }
        self.step_round(id, RoundInput::Close);
        self.agents[id.agent.at()].round = None;
    }

    /// Carries out what a round's step brought about.
    fn follow(&mut self, id: RoundId, step: RoundStep) {
        for append in step.appends {
            self.append(id, append);
        }
        self.queue.extend(step.events);
        match step.ask {
            RoundAsk::CallModel { call } => self.request(call),
            RoundAsk::CallAgain { cancelled, call } => {
                if self.open.is_running(cancelled) {
                    self.outgoing.push(Outgoing::CancelCall(cancelled));
                }
                self.request(call);
            }
            RoundAsk::CallTools(calls) => {
                for call in calls {
                    let effect = self.spec.tool_effect(id.agent, &call.name);
                    let arguments = match &call.arguments {
                        massgen_protocol::Arguments::Object { value } => {
                            serde_json::Value::Object(value.clone()).to_string()
                        }
                        massgen_protocol::Arguments::Malformed { raw, .. } => raw.clone(),
                    };
                    self.queue.push_back(EventBody::ToolStarted {
                        round: id,
                        id: call.id,
                        name: call.name,
                        effect,
                        arguments: arguments.into(),
                    });
                }
            }
            RoundAsk::Submit { seen, submission, salvaged } => {
                self.queue.push_back(match submission {
                    Submission::NewAnswer { text } => {
                        EventBody::AnswerSubmitted { round: id, seen, text, salvaged }
                    }
                    Submission::Vote { choice, reason } => {
                        EventBody::VoteSubmitted { round: id, seen, choice, reason }
                    }
                });
            }
            RoundAsk::Present { text } => {
                self.queue.push_back(EventBody::Presented { round: id, text: text.into() });
            }
            RoundAsk::Review(review) => {
                self.queue.push_back(EventBody::AttemptReviewed { round: id, review });
            }
            RoundAsk::End(end) => self.queue.push_back(EventBody::RoundEnded { round: id, end }),
            RoundAsk::Wait => {}
        }
    }

    fn request(&mut self, call: CallId) {
        let agent = &self.spec.agents[call.round.agent.at()];
        let input = self.agents[call.round.agent.at()].conversation.input_tokens();
        let output = Conversation::output_tokens(agent.backend.max_output_tokens);
        let prices = &agent.backend.prices;
        let money = u128::from(input) * u128::from(prices.input_micros)
            + u128::from(output) * u128::from(prices.output_micros);
        let money_micros = u64::try_from(money.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let estimate = Spend { calls: 1, tokens: input.saturating_add(output), money_micros };
        self.queue.push_back(EventBody::CallRequested { call, estimate });
    }

    fn append(&mut self, id: RoundId, append: Append) {
        match append {
            Append::Turn(turn) => self.agents[id.agent.at()].conversation.turn(&turn),
            Append::Say(items) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in &items {
                    texts.push(self.words(id.agent, item));
                    self.note_shown(id.agent, item);
                }
                texts.extend(self.news(id.agent));
                let text = texts.join("\n\n");
                let system = self.agents[id.agent.at()].conversation.is_empty();
                let system = system.then(|| self.system_words(id.agent));
                let conversation = &mut self.agents[id.agent.at()].conversation;
                // Said once, at the very beginning: all that follows is appended.
                if let Some(system) = system {
                    conversation.say(Role::System, system);
                    conversation.show(&self.spec.agents[id.agent.at()].media, text);
                } else {
                    conversation.say(Role::User, text);
                }
            }
            Append::Results(results) => {
                let results = results
                    .into_iter()
                    .map(|(call, name, body)| match body {
                        ResultBody::Item(item) => {
                            let is_error = !matches!(item, Item::Accepted { .. } | Item::Counted);
                            (call, name, self.words(id.agent, &item), is_error)
                        }
                        ResultBody::Output { text, is_error } => (call, name, text, is_error),
                    })
                    .collect();
                let news = self.news(id.agent);
                let conversation = &mut self.agents[id.agent.at()].conversation;
                conversation.results(results);
                conversation.follow_up(news);
            }
        }
    }

    fn note_shown(&mut self, agent: AgentIndex, item: &Item) {
        let epoch = match item {
            Item::Brief(
                massgen_protocol::Brief::Coordinate { epoch, .. }
                | massgen_protocol::Brief::Present { epoch, .. },
            ) => *epoch,
            Item::Update { update, .. } => update.epoch,
            Item::Brief(massgen_protocol::Brief::Review { .. })
            | Item::Enforce(_)
            | Item::Rejected(_)
            | Item::Accepted { .. }
            | Item::Counted
            | Item::NotRun
            | Item::Interrupted => return,
        };
        self.agents[agent.at()].conversation.shown = Some(epoch);
    }

    fn tool_started(&mut self, round: RoundId, id: &ToolCallId, name: &str) {
        let call = self
            .round(round)
            .filter(|open| open.awaits_tool(id))
            .and_then(|open| open.tool_call(id));
        debug_assert!(call.is_none_or(|call| call.name == name), "{round} runs another tool");
        if let Some(call) = call.cloned() {
            self.open.tool_started(round, call.clone());
            self.outgoing.push(Outgoing::RunTool { round, call });
        }
    }

    /// Returns the request of a granted call.
    pub(crate) fn model_call(&self, call: CallId, run: &str) -> ModelCall {
        let seat = &self.agents[call.round.agent.at()];
        let is_review = seat.round.as_ref().is_some_and(|round| round.kind() == RoundKind::Review);
        // Each call has a seed of its own, the same one again after a resume.
        let seed = self
            .spec
            .seed
            .wrapping_add(u64::from(call.round.agent.0) << 40)
            .wrapping_add(u64::from(call.round.n) << 20)
            .wrapping_add(u64::from(call.n));
        seat.conversation.call(
            is_review.then_some(&self.review_tools),
            self.spec.agents[call.round.agent.at()].backend.max_output_tokens,
            format!("{run}/{call}"),
            seed,
        )
    }

    pub(crate) fn round_kind(&self, round: RoundId) -> RoundKind {
        self.round(round).map_or(RoundKind::Coordinate, Round::kind)
    }

    /// Returns what the round may see of the others' files now: what its transcript shows.
    pub(crate) fn files_view(&self, round: RoundId) -> FilesView {
        let seat = &self.agents[round.agent.at()];
        let with_copy =
            |answer: AnswerId| Some((answer, self.coordinator.answer_snapshot(answer)?.clone()));
        let shown = seat.conversation.shown;
        let mut answers: Vec<_> = shown
            .map(|epoch| self.coordinator.answers_in_view(round.agent, epoch))
            .unwrap_or_default()
            .into_iter()
            .filter_map(with_copy)
            .collect();
        // In the order of the roster: the order of showing turns from agent to agent.
        answers.sort_by_key(|(answer, _)| *answer);
        FilesView {
            round,
            kind: self.round_kind(round),
            answers,
            evidence: self.insights.evidence(seat.insights_told),
            presents: seat.presents.and_then(with_copy),
        }
    }

    /// Returns whether a round waits for this call's turn.
    pub(crate) fn awaits(&self, call: CallId) -> bool {
        self.round(call.round).and_then(Round::current_call) == Some(call)
    }

    /// Returns whether a round waits for this tool's result.
    pub(crate) fn awaits_tool(&self, round: RoundId, call: &ToolCall) -> bool {
        self.round(round).is_some_and(|open| open.awaits_tool(&call.id))
    }

    /// Returns what the call sends, as an estimate.
    pub(crate) fn input_tokens(&self, call: CallId) -> u64 {
        self.agents[call.round.agent.at()].conversation.input_tokens()
    }

    /// Returns whether the question has not been asked yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.is_asked
    }

    pub(crate) fn open_work(&self) -> &open::OpenWork {
        &self.open
    }
}

/// What agents with the same tools are offered.
struct Offer {
    tools: Arc<Vec<ToolSpec>>,
    bytes: u64,
    /// Names of those that are not the workflow's.
    known: Arc<BTreeSet<String>>,
}

impl Offer {
    fn new(workflow: &[ToolSpec], set: Option<&Toolset>) -> Offer {
        let own = set.map_or(&[][..], |set| set.tools.as_slice());
        let own = own.iter().map(|tool| tool.spec.clone());
        let known = own.clone().map(|tool| tool.name).collect();
        let tools = sorted(workflow.iter().cloned().chain(own).collect());
        Offer { bytes: tools_bytes(&tools), tools: Arc::new(tools), known: Arc::new(known) }
    }
}

fn sorted(mut tools: Vec<ToolSpec>) -> Vec<ToolSpec> {
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    tools
}
