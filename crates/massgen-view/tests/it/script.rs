//! Runs written down as lists of events.

use massgen_protocol::{
    AgentCard, AgentId, AgentIndex, AnswerId, AssistantTurn, AttemptIndex, Ballot, Basis,
    CallFailure, CallId, CloseReason, Deadline, Epoch, Event, EventBody, FailureKind, FinishReason,
    Kept, Millis, Outcome, Part, Question, Rejection, RoundId, RoundKind, RunId, SnapshotId, Spend,
    TextChannel, ToolCallId, ToolEffect, Usage,
};
use massgen_view::RunView;

pub const ADA: AgentIndex = AgentIndex(0);
pub const BOB: AgentIndex = AgentIndex(1);
pub const EVE: AgentIndex = AgentIndex(2);

/// A run under way: each call adds what one thing brings about.
pub struct Script {
    pub view: RunView,
    pub events: Vec<Event>,
    at: u64,
}

impl Script {
    /// A team of three, asked, each in its first round.
    pub fn start() -> Script {
        let mut script = Script { view: RunView::default(), events: Vec::new(), at: 0 };
        let agents = ["ada", "bob", "agent3"].into_iter().zip(0..).map(|(id, n)| AgentCard {
            id: AgentId(id.to_owned()),
            alias: AgentIndex(n),
            model: format!("model-{n}"),
            backend: "scripted".to_owned(),
        });
        script.push(EventBody::RunStarted {
            run: RunId("20261123-220101-ab12".to_owned()),
            build: "massgen 0.1.0".to_owned(),
            agents: agents.collect(),
        });
        let question = Question { text: "How far away is\nthe quasar?".to_owned() };
        script.push(EventBody::QuestionAsked { question });
        script.push(EventBody::AttemptStarted { attempt: AttemptIndex(1) });
        for agent in [ADA, BOB, EVE] {
            script.open(agent, 1, RoundKind::Coordinate, 0);
        }
        script
    }

    pub fn push(&mut self, body: EventBody) -> &mut Script {
        let event = Event { seq: self.events.len() as u64, at: Millis(self.at), body };
        self.view.apply(&event);
        self.events.push(event);
        self
    }

    pub fn wait(&mut self, ms: u64) -> &mut Script {
        self.at += ms;
        self
    }

    pub fn open(&mut self, agent: AgentIndex, n: u32, kind: RoundKind, epoch: u32) -> &mut Script {
        let round = RoundId { agent, n };
        self.push(EventBody::RoundOpened { round, kind, epoch: Epoch(epoch), vote_only: false })
    }

    /// A call that starts and streams.
    pub fn stream(&mut self, agent: AgentIndex, n: u32, text: &str) -> &mut Script {
        let call = call(agent, n);
        self.push(EventBody::CallRequested { call, estimate: spend(9_999, 99) });
        self.push(EventBody::CallGranted { call });
        for piece in text.split_inclusive(' ') {
            let (channel, text) = (TextChannel::Text, piece.to_owned());
            self.wait(30).push(EventBody::TextStreamed { call, channel, text });
        }
        self
    }

    /// The end of that call.
    pub fn finish_call(&mut self, agent: AgentIndex, n: u32, text: &str) -> &mut Script {
        let turn = AssistantTurn {
            parts: vec![Part::Text { text: text.to_owned() }],
            finish: FinishReason::Stop,
            usage: Usage {
                input_uncached: 900,
                cache_read: 100,
                output: 50,
                reasoning: 10,
                ..Usage::default()
            },
            model: None,
        };
        let turn = Kept::inline(turn);
        let call = call(agent, n);
        self.push(EventBody::CallFinished { call, turn, spend: spend(1_060, 2_500) })
    }

    /// An answer from its submission to its acceptance, and the round's end.
    pub fn answer(&mut self, id: AnswerId, round_n: u32, epoch: u32, text: &str) -> &mut Script {
        let round = RoundId { agent: id.agent, n: round_n };
        let submitted = Kept::from(text);
        let seen = Epoch(epoch - 1);
        self.push(EventBody::AnswerSubmitted { round, seen, text: submitted, salvaged: false });
        self.push(EventBody::AnswerProposed { answer: id, round });
        let snapshot = SnapshotId::empty();
        self.push(EventBody::SnapshotTaken { answer: id, snapshot: snapshot.clone() });
        let n_void = self.view.votes.ballots().len() as u32;
        let epoch = Epoch(epoch);
        self.push(EventBody::AnswerAccepted { answer: id, epoch, snapshot });
        self.push(EventBody::VotesVoided { epoch, n: n_void });
        self.push(EventBody::RoundClosed { round, reason: CloseReason::Submitted })
    }

    pub fn vote(&mut self, voter: AgentIndex, choice: AgentIndex, epoch: u32) -> &mut Script {
        let reason = format!("checked {} step by step", choice.alias());
        let ballot = Ballot { voter, choice, reason };
        self.push(EventBody::VoteCast { ballot, epoch: Epoch(epoch) })
    }

    /// A whole run: a vote is void, bob fails and comes back, and all agree on ada's second
    /// answer.
    pub fn consensus() -> Script {
        let mut script = Script::start();
        script.wait(400).stream(ADA, 1, "I take 6 Gpc.").finish_call(ADA, 1, "I take 6 Gpc.");
        script.answer(answer(ADA, 1), 1, 1, "6 Gpc, by the naive formula");
        script.stream(BOB, 1, "Perhaps");
        script.wait(500).push(EventBody::CallRetried {
            call: call(BOB, 1),
            failure: failure(FailureKind::RateLimited, "slow down"),
            after_ms: 250,
            attempt: 1,
        });
        script.wait(250).push(EventBody::CallFailed {
            call: call(BOB, 1),
            failure: failure(FailureKind::Unavailable, "connection reset"),
            spend: spend(400, 1_000),
        });
        script.push(EventBody::AgentFailed { agent: BOB, failures: 1, max: 3, backoff_ms: 1_000 });
        script.open(EVE, 2, RoundKind::Coordinate, 1).vote(EVE, ADA, 1);
        script.wait(1_000).push(EventBody::DeadlineReached {
            deadline: Deadline::Backoff { agent: BOB, failures: 1 },
        });
        script.open(BOB, 2, RoundKind::Coordinate, 1);
        script.push(EventBody::ToolStarted {
            round: RoundId { agent: BOB, n: 2 },
            id: ToolCallId("call-1".to_owned()),
            name: "integrate".to_owned(),
            effect: ToolEffect::Read,
            arguments: Kept::from("{\"z\":3.5}"),
        });
        script.wait(80).push(EventBody::ToolFinished {
            round: RoundId { agent: BOB, n: 2 },
            id: ToolCallId("call-1".to_owned()),
            name: "integrate".to_owned(),
            output: Kept::from("8.0"),
            is_error: false,
            media: None,
        });
        script.open(ADA, 2, RoundKind::Coordinate, 1);
        script.answer(answer(ADA, 2), 2, 2, "8 Gpc, by the integral over redshift");
        script.push(EventBody::SubmissionRejected {
            round: RoundId { agent: BOB, n: 2 },
            rejection: Rejection::Stale { seen: Epoch(1), current: Epoch(2) },
        });
        script.push(EventBody::UpdateSeen { round: RoundId { agent: BOB, n: 2 }, epoch: Epoch(2) });
        script.wait(2_000).vote(BOB, ADA, 2).vote(EVE, ADA, 2).vote(ADA, ADA, 2);
        script.push(EventBody::WinnerSelected { winner: answer(ADA, 2), basis: three_votes() });
        script.open(ADA, 3, RoundKind::Present, 2);
        script.wait(1_500).push(EventBody::Presented {
            round: RoundId { agent: ADA, n: 3 },
            text: Kept::from("The comoving distance is **8 Gpc**."),
        });
        script
    }

    pub fn end(&mut self, outcome: Outcome) -> &mut Script {
        self.push(EventBody::TurnFinished { outcome })
    }
}

pub fn answer(agent: AgentIndex, n: u32) -> AnswerId {
    AnswerId { agent, n }
}

pub fn call(agent: AgentIndex, n: u32) -> CallId {
    CallId { round: RoundId { agent, n }, n: 1 }
}

pub fn failure(kind: FailureKind, message: &str) -> CallFailure {
    CallFailure { kind, message: message.to_owned(), status: Some(429), retry_after_ms: None }
}

pub fn three_votes() -> Basis {
    Basis::Votes { votes: 3, voters: 3, tie: false }
}

pub fn spend(tokens: u64, money_micros: u64) -> Spend {
    Spend { calls: 1, tokens, money_micros }
}
