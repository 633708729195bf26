//! A coordinator and all that may happen around it.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use massgen_coordination::{Command, Coordinator, Effects, Input, View};
use massgen_protocol::{
    AgentIndex, AnswerId, AttemptIndex, Brief, CallFailure, CallId, Deadline, Epoch, EventBody,
    FailureKind, Millis, Review, RoundEnd, RoundId, RoundKind, SnapshotId, Spend, Submission,
};

use super::law::{Breach, Law};
use super::referee::Referee;
use super::setup::{Setup, Trouble};

/// One state of the walk.
#[derive(Clone, Debug)]
pub struct World {
    coordinator: Coordinator,
    referee: Referee,
    begun: bool,
    interrupted: bool,
    agents: Vec<Around>,
    /// Deadlines of the whole that were asked for and have not struck.
    armed: Vec<Deadline>,
    breach: Option<Breach>,
    /// What the last step said, for those who count what was reached.
    said: Vec<EventBody>,
}

/// What is going on around one agent.
#[derive(Clone, Debug, Default)]
struct Around {
    round: Option<OpenRound>,
    freezing: Option<AnswerId>,
    /// Its pause can end.
    backoff: Option<Deadline>,
    /// Calls that run on although their round is closed.
    orphans: Vec<CallId>,
}

#[derive(Clone, Debug)]
struct OpenRound {
    id: RoundId,
    kind: RoundKind,
    /// Newest epoch the model has in its transcript.
    seen: Epoch,
    /// Newest epoch it was sent; it may vote before or after taking it in.
    told: Epoch,
    call: Call,
    /// The last one asked for.
    n_calls: u32,
    /// Deadlines of this round that were asked for.
    armed: Vec<Deadline>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    /// It asks for one before it does anything else, or needs none.
    Wanted,
    /// It is asked for, and the budget has no room yet.
    Waiting(CallId),
    Running(CallId),
    Over,
}

/// Something that may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Begin,
    Request(AgentIndex),
    Settle(AgentIndex, u64),
    SettleOrphan(AgentIndex),
    Answer(AgentIndex),
    /// `fresh`: with the newest answers in view.
    Vote {
        voter: AgentIndex,
        choice: AgentIndex,
        fresh: bool,
    },
    Fail(AgentIndex, FailureKind),
    Exhaust(AgentIndex),
    Snapshot(AgentIndex, bool),
    Due(Deadline),
    Present(AgentIndex),
    Review(AgentIndex, bool),
    Interrupt,
}

/// What a call is said to cost at most; it costs this or a tenth of it. The first agent's
/// calls are larger, so that a smaller one may wait behind a larger one.
fn estimate(agent: AgentIndex) -> Spend {
    let tokens = if agent == AgentIndex(0) { 20 } else { 10 };
    Spend { calls: 1, tokens, money_micros: 0 }
}

/// What a call costs that is given up.
const TOKENS_OF_ORPHAN: u64 = 1;

impl World {
    pub fn new(setup: &Setup) -> World {
        World::around(setup, Coordinator::new(setup.n_agents, setup.policy.clone(), 7))
    }

    /// Returns the world around a coordinator that a test has tampered with.
    pub fn around(setup: &Setup, coordinator: Coordinator) -> World {
        World {
            coordinator,
            referee: Referee::new(setup.n_agents, &setup.policy),
            begun: false,
            interrupted: false,
            agents: vec![Around::default(); usize::from(setup.n_agents)],
            armed: Vec::new(),
            breach: None,
            said: Vec::new(),
        }
    }

    /// Returns the law that was broken on the way here.
    pub fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    pub fn said(&self) -> &[EventBody] {
        &self.said
    }

    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    pub fn is_finished(&self) -> bool {
        self.referee.is_finished()
    }

    /// Lists all that may happen next. Nothing may once a law is broken or the run has ended.
    pub fn actions(&self, setup: &Setup, actions: &mut Vec<Action>) {
        if self.breach.is_some() || self.is_finished() {
            return;
        }
        let Trouble { interrupt, .. } = setup.trouble;
        if !self.begun {
            actions.push(Action::Begin);
        }
        if interrupt && (!self.interrupted || self.is_final_round_open()) {
            actions.push(Action::Interrupt);
        }
        actions.extend(self.armed.iter().copied().map(Action::Due));
        for (agent, around) in (0..).map(AgentIndex).zip(&self.agents) {
            actions.extend(around.backoff.map(Action::Due));
            if !around.orphans.is_empty() {
                actions.push(Action::SettleOrphan(agent));
            }
            if around.freezing.is_some() {
                actions.push(Action::Snapshot(agent, true));
                if setup.trouble.snapshot_failures {
                    actions.push(Action::Snapshot(agent, false));
                }
                if setup.trouble.lost_rounds && around.round.is_some() {
                    actions.push(Action::Fail(agent, FailureKind::Truncated));
                }
            } else if let Some(round) = &around.round {
                self.actions_of_round(setup, agent, round, actions);
            }
        }
    }

    fn is_final_round_open(&self) -> bool {
        let is_final = |round: &OpenRound| round.kind != RoundKind::Coordinate;
        self.agents.iter().filter_map(|around| around.round.as_ref()).any(is_final)
    }

    fn actions_of_round(
        &self,
        setup: &Setup,
        agent: AgentIndex,
        round: &OpenRound,
        actions: &mut Vec<Action>,
    ) {
        let newest = self.referee.epoch();
        for deadline in &round.armed {
            // A warning that tells nothing new would be the same state again.
            let is_news = !matches!(deadline, Deadline::RoundSoft { .. }) || round.told < newest;
            if is_news {
                actions.push(Action::Due(*deadline));
            }
        }
        if setup.trouble.hanging_agent && agent == AgentIndex(0) {
            return;
        }
        match round.call {
            Call::Wanted if setup.trouble.calls => return actions.push(Action::Request(agent)),
            // Only its deadline, an update or the others can move it.
            Call::Waiting(_) => return,
            Call::Running(_) => {
                let most = estimate(agent).tokens;
                for tokens in [most / 10, most] {
                    actions.push(Action::Settle(agent, tokens));
                }
                return;
            }
            Call::Wanted | Call::Over => {}
        }
        if setup.trouble.failures {
            actions.push(Action::Fail(agent, FailureKind::Overloaded));
        }
        if setup.trouble.fatal_failures {
            actions.push(Action::Fail(agent, FailureKind::Auth));
        }
        match round.kind {
            RoundKind::Coordinate => {
                if setup.trouble.exhaustion {
                    actions.push(Action::Exhaust(agent));
                }
                // A refused answer brings the news; without news it changes nothing.
                if self.referee.takes_answer_of(agent) || round.told < newest {
                    actions.push(Action::Answer(agent));
                }
                if newest == Epoch(0) {
                    return;
                }
                if round.seen < newest {
                    actions.push(Action::Vote { voter: agent, choice: agent, fresh: false });
                }
                if round.told == newest {
                    let choices = (0..setup.n_agents).map(AgentIndex);
                    for choice in choices.filter(|choice| self.referee.allows_vote(agent, *choice))
                    {
                        actions.push(Action::Vote { voter: agent, choice, fresh: true });
                    }
                }
            }
            RoundKind::Present => actions.push(Action::Present(agent)),
            RoundKind::Review => {
                actions.extend([false, true].map(|restart| Action::Review(agent, restart)));
            }
        }
    }

    /// Lets something happen, and returns it as the coordinator was told; a law that it
    /// breaks stays in the new world.
    pub fn apply(&mut self, setup: &Setup, action: &Action) -> Input {
        self.said.clear();
        let input = self.input(action);
        let outcome = self.tell(input.clone()).and_then(|()| {
            let mut actions = Vec::new();
            self.actions(setup, &mut actions);
            let goes_on = self.is_finished() || !actions.is_empty();
            Law::OnlyEndsAreEnds.require(goes_on, || format!("{:?}", self.coordinator))
        });
        self.breach = outcome.err();
        input
    }

    /// Returns the state as the walk tells states apart.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn input(&mut self, action: &Action) -> Input {
        match action {
            Action::Begin => {
                self.begun = true;
                Input::Begin
            }
            Action::Request(agent) => {
                let round = self.round_mut(*agent);
                round.n_calls += 1;
                let call = CallId { round: round.id, n: round.n_calls };
                round.call = Call::Waiting(call);
                Input::CallRequested { call, estimate: estimate(*agent) }
            }
            Action::Settle(agent, tokens) => {
                let round = self.round_mut(*agent);
                let call = CallId { round: round.id, n: round.n_calls };
                round.call = Call::Over;
                settled(call, *tokens)
            }
            Action::SettleOrphan(agent) => {
                let orphan = self.agents[agent.at()].orphans.pop();
                settled(
                    orphan.unwrap_or_else(|| unreachable!("{agent:?} has no orphan")),
                    TOKENS_OF_ORPHAN,
                )
            }
            Action::Answer(agent) => {
                let round = self.round_mut(*agent);
                // The round's name makes the text a new one.
                submitted(round, Submission::NewAnswer { text: round.id.to_string().into() })
            }
            Action::Vote { voter, choice, fresh } => {
                let round = self.round_mut(*voter);
                if *fresh {
                    round.seen = round.told;
                }
                submitted(round, vote(*choice))
            }
            Action::Fail(agent, kind) => {
                let round = self.round_mut(*agent).id;
                Input::RoundEnded { round, end: failed(*kind) }
            }
            Action::Exhaust(agent) => {
                let round = self.round_mut(*agent).id;
                Input::RoundEnded { round, end: RoundEnd::Exhausted { violations: 3 } }
            }
            Action::Snapshot(agent, is_taken) => {
                let answer = self.agents[agent.at()].freezing.take();
                let answer = answer.unwrap_or_else(|| unreachable!("{agent:?} freezes nothing"));
                Input::SnapshotTaken { answer, snapshot: is_taken.then(SnapshotId::empty) }
            }
            Action::Due(deadline) => {
                self.disarm(*deadline);
                Input::Due(*deadline)
            }
            Action::Present(agent) => Input::Presented { round: self.round_mut(*agent).id },
            Action::Review(agent, is_restart) => {
                let restart =
                    Review::Restart { reason: "wrong".into(), instructions: "check".into() };
                let review = if *is_restart { restart } else { Review::Submit };
                Input::Reviewed { round: self.round_mut(*agent).id, review }
            }
            Action::Interrupt => {
                self.interrupted = true;
                Input::Interrupt
            }
        }
    }

    fn disarm(&mut self, deadline: Deadline) {
        self.armed.retain(|armed| *armed != deadline);
        for around in &mut self.agents {
            around.backoff.take_if(|armed| *armed == deadline);
            if let (Some(round), Deadline::Round { .. }) = (&mut around.round, deadline) {
                round.armed.retain(|armed| *armed != deadline);
            }
        }
    }

    fn round_mut(&mut self, agent: AgentIndex) -> &mut OpenRound {
        match &mut self.agents[agent.at()].round {
            Some(round) => round,
            None => unreachable!("{agent:?} has no open round"),
        }
    }

    fn tell(&mut self, input: Input) -> Result<(), Breach> {
        let fx = self.coordinator.step(Millis(0), input.clone());
        self.referee.observe(Millis(0), &input, &fx, &self.coordinator)?;
        let Effects { events, commands } = fx;
        self.said = events;
        commands.into_iter().for_each(|command| self.obey(command));
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::OpenRound { round: id, brief } => {
                let (kind, epoch) = match brief {
                    Brief::Coordinate { epoch, .. } => (RoundKind::Coordinate, epoch),
                    Brief::Present { epoch, .. } => (RoundKind::Present, epoch),
                    Brief::Review { .. } => (RoundKind::Review, self.referee.epoch()),
                };
                let (call, armed) = (Call::Wanted, Vec::new());
                let (seen, told, n_calls) = (epoch, epoch, 0);
                let round = OpenRound { id, kind, seen, told, call, n_calls, armed };
                self.agents[id.agent.at()].round = Some(round);
            }
            Command::CloseRound { round: id, .. } => {
                let around = &mut self.agents[id.agent.at()];
                if let Some(OpenRound { call: Call::Running(call), .. }) =
                    around.round.take_if(|round| round.id == id)
                {
                    around.orphans.push(call);
                }
            }
            Command::DeliverUpdate { round: RoundId { agent, .. }, update, interrupt } => {
                let round = self.round_mut(agent);
                round.told = update.epoch;
                // It gives up its call and asks for another.
                if let (true, Call::Waiting(_) | Call::Running(_)) = (interrupt, round.call) {
                    let given_up = std::mem::replace(&mut round.call, Call::Wanted);
                    if let Call::Running(call) = given_up {
                        self.agents[agent.at()].orphans.push(call);
                    }
                }
            }
            Command::Reply { round, update, .. } => {
                // A reply is read before anything else is said, and the update with it.
                if let Some(update) = update {
                    let round = self.round_mut(round.agent);
                    (round.seen, round.told) = (update.epoch, update.epoch);
                }
            }
            Command::TakeSnapshot { answer } => {
                self.agents[answer.agent.at()].freezing = Some(answer);
            }
            Command::Arm { deadline, .. } => match deadline {
                Deadline::RoundSoft { round } | Deadline::Round { round } => {
                    self.round_mut(round.agent).armed.push(deadline);
                }
                Deadline::Backoff { agent, .. } => {
                    self.agents[agent.at()].backoff = Some(deadline);
                }
                Deadline::WrapUp { .. } => {
                    // A new attempt; what strikes for the one before is noise.
                    self.armed.retain(|armed| *armed == Deadline::Budget);
                    self.armed.push(deadline);
                }
                Deadline::Coordination { .. } | Deadline::Attempt { .. } | Deadline::Budget => {
                    self.armed.push(deadline)
                }
            },
            Command::StartCall { call } => {
                let round = self.round_mut(call.round.agent);
                if round.call == Call::Waiting(call) {
                    round.call = Call::Running(call);
                } else if round.call != Call::Running(call) {
                    // Given up before it could start.
                    self.agents[call.round.agent.at()].orphans.push(call);
                }
            }
            Command::Finish(_) => {}
        }
    }

    /// Tries what is late or out of place, on a copy, which must stay as it is.
    pub fn try_noise(&self, setup: &Setup) -> Result<(), Breach> {
        if !setup.trouble.noise {
            return Ok(());
        }
        let mut noise = Vec::new();
        if self.begun {
            noise.push(Input::Begin);
        }
        // To ask for the end twice is to ask once, while coordination lasts.
        if self.interrupted && !self.is_final_round_open() {
            noise.push(Input::Interrupt);
        }
        for (agent, around) in (0..).map(AgentIndex).zip(&self.agents) {
            let stale = RoundId { agent, n: 0 };
            let seen = self.referee.epoch();
            noise.push(Input::Submitted { round: stale, seen, submission: vote(agent) });
            noise.push(Input::RoundEnded { round: stale, end: failed(FailureKind::Auth) });
            noise.push(Input::CallRequested {
                call: CallId { round: stale, n: 1 },
                estimate: estimate(agent),
            });
            // To ask twice for one call is to ask once.
            if let Some(OpenRound { call: Call::Waiting(call) | Call::Running(call), .. }) =
                around.round
            {
                noise.push(Input::CallRequested { call, estimate: estimate(agent) });
            }
            noise.push(Input::Presented { round: stale });
            noise.push(Input::Reviewed { round: stale, review: Review::Submit });
            let nobody = AnswerId { agent, n: 0 };
            noise.push(Input::SnapshotTaken { answer: nobody, snapshot: None });
            let attempt = AttemptIndex(self.coordinator.attempt().0 - 1);
            for deadline in [
                Deadline::WrapUp { attempt },
                Deadline::Coordination { attempt },
                Deadline::Attempt { attempt },
                Deadline::Round { round: stale },
                Deadline::RoundSoft { round: stale },
                Deadline::Backoff { agent, failures: 0 },
            ] {
                noise.push(Input::Due(deadline));
            }
            if let Some(round) = &around.round
                && round.kind == RoundKind::Coordinate
                && round.told == seen
            {
                self.push_refused(agent, round, &mut noise);
            }
        }
        for input in noise {
            let mut world = self.clone();
            world.tell(input.clone())?;
            let is_same = world.fingerprint() == self.fingerprint();
            Law::Noise.require(is_same, || format!("{input:?} changes {:?}", self.coordinator))?;
        }
        Ok(())
    }

    /// Adds what an agent may try that is against the rules.
    fn push_refused(&self, agent: AgentIndex, round: &OpenRound, noise: &mut Vec<Input>) {
        let seen = round.told;
        let submit = |submission| Input::Submitted { round: round.id, seen, submission };
        noise.push(submit(Submission::NewAnswer { text: " \n".into() }));
        for answer in self.coordinator.newest_answers() {
            if let Some(text) = self.coordinator.answer_text(answer) {
                let text = format!(" {text}\n").into();
                noise.push(submit(Submission::NewAnswer { text }));
            }
        }
        let blank = Submission::Vote { choice: agent.alias().to_string(), reason: "  ".into() };
        noise.push(submit(blank));
        let nobody = Submission::Vote { choice: "agent99".into(), reason: "best".into() };
        noise.push(submit(nobody));
        for (choice, _) in (0..).map(AgentIndex).zip(&self.agents) {
            if !self.referee.allows_vote(agent, choice) {
                noise.push(submit(vote(choice)));
            }
        }
    }
}

impl Action {
    /// Returns whether this ends a run, or its hurry, from outside.
    pub fn is_outside_end(&self) -> bool {
        match self {
            Action::Interrupt
            | Action::Due(
                Deadline::WrapUp { .. }
                | Deadline::Coordination { .. }
                | Deadline::Attempt { .. }
                | Deadline::Budget,
            ) => true,
            Action::Begin
            | Action::Request(_)
            | Action::Settle(..)
            | Action::SettleOrphan(_)
            | Action::Answer(_)
            | Action::Vote { .. }
            | Action::Fail(..)
            | Action::Exhaust(_)
            | Action::Snapshot(..)
            | Action::Due(_)
            | Action::Present(_)
            | Action::Review(..) => false,
        }
    }
}

/// Two worlds are the same if they hash alike: names that only count up are left out.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.coordinator.fingerprint(state);
        (self.begun, self.interrupted).hash(state);
        self.breach.as_ref().map(|breach| breach.law).hash(state);
        let newest = self.referee.epoch();
        for around in &self.agents {
            (around.freezing.is_some(), around.backoff.is_some()).hash(state);
            around.orphans.len().hash(state);
            around.round.is_some().hash(state);
            if let Some(round) = &around.round {
                let OpenRound { kind, seen, told, call, armed, id: _, n_calls: _ } = round;
                (kind, View::of(*seen, newest), View::of(*told, newest)).hash(state);
                (std::mem::discriminant(call), armed.len()).hash(state);
            }
        }
        for deadline in &self.armed {
            std::mem::discriminant(deadline).hash(state);
        }
    }
}

impl PartialEq for World {
    fn eq(&self, other: &World) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Begin => f.write_str("begin"),
            Action::Request(agent) => write!(f, "{} asks for a call", agent.alias()),
            Action::Settle(agent, tokens) => write!(f, "{} spent {tokens}", agent.alias()),
            Action::SettleOrphan(agent) => write!(f, "{} spent late", agent.alias()),
            Action::Answer(agent) => write!(f, "{} answers", agent.alias()),
            Action::Vote { voter, choice, fresh } => {
                let stale = if *fresh { "" } else { " (stale)" };
                write!(f, "{} votes {}{stale}", voter.alias(), choice.alias())
            }
            Action::Fail(agent, kind) => write!(f, "{} fails ({kind:?})", agent.alias()),
            Action::Exhaust(agent) => write!(f, "{} makes no choice", agent.alias()),
            Action::Snapshot(agent, true) => write!(f, "{} is stored", agent.alias()),
            Action::Snapshot(agent, false) => write!(f, "{} is not stored", agent.alias()),
            Action::Due(Deadline::Backoff { agent, .. }) => {
                write!(f, "{} may retry", agent.alias())
            }
            Action::Due(Deadline::Round { round }) => write!(f, "time of {round} is over"),
            Action::Due(Deadline::RoundSoft { round }) => write!(f, "time of {round} is short"),
            Action::Due(Deadline::WrapUp { .. }) => f.write_str("wrap up"),
            Action::Due(Deadline::Coordination { .. }) => {
                f.write_str("the time to coordinate is over")
            }
            Action::Due(Deadline::Attempt { .. }) => f.write_str("the attempt's time is over"),
            Action::Due(Deadline::Budget) => f.write_str("the budget's time is over"),
            Action::Present(agent) => write!(f, "{} presents", agent.alias()),
            Action::Review(agent, false) => write!(f, "{} submits", agent.alias()),
            Action::Review(agent, true) => write!(f, "{} orders a restart", agent.alias()),
            Action::Interrupt => f.write_str("interrupt"),
        }
    }
}

fn settled(call: CallId, tokens: u64) -> Input {
    let spend = Spend { calls: 1, tokens, money_micros: 0 };
    Input::CallSettled { call, spend, failure: None }
}

fn submitted(round: &OpenRound, submission: Submission) -> Input {
    Input::Submitted { round: round.id, seen: round.seen, submission }
}

fn vote(choice: AgentIndex) -> Submission {
    Submission::Vote { choice: choice.alias().to_string(), reason: "checked".into() }
}

fn failed(kind: FailureKind) -> RoundEnd {
    let failure = CallFailure { kind, message: "down".into(), status: None, retry_after_ms: None };
    RoundEnd::CallFailed { failure }
}
