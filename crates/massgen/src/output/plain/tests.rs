#![allow(clippy::unwrap_used)]

use massgen_protocol::{
    AgentCard, AgentId, AnswerId, Ballot, Basis, CallFailure, CallId, Epoch, FailureKind, Kept,
    Question, RunId, SnapshotId, Spend,
};

use super::*;

const A: AgentIndex = AgentIndex(0);
const B: AgentIndex = AgentIndex(1);

fn round(agent: AgentIndex, n: u32) -> RoundId {
    RoundId { agent, n }
}

fn call(agent: AgentIndex, n: u32) -> CallId {
    CallId { round: round(agent, n), n: 1 }
}

fn text(agent: AgentIndex, n: u32, text: &str) -> EventBody {
    let channel = TextChannel::Text;
    EventBody::TextStreamed { call: call(agent, n), channel, text: text.to_owned() }
}

fn opened(agent: AgentIndex, n: u32, kind: RoundKind) -> EventBody {
    EventBody::RoundOpened { round: round(agent, n), kind, epoch: Epoch(0), vote_only: false }
}

fn start() -> Vec<EventBody> {
    let card = |alias: AgentIndex, id: &str| AgentCard {
        id: AgentId(id.to_owned()),
        alias,
        model: "m".to_owned(),
        backend: "scripted".to_owned(),
    };
    vec![
        EventBody::RunStarted {
            run: RunId("r1".to_owned()),
            build: "test".to_owned(),
            agents: vec![card(A, "careful"), card(B, "quick")],
        },
        EventBody::QuestionAsked { question: Question { text: "6 × 7?".to_owned() } },
        opened(A, 1, RoundKind::Coordinate),
        opened(B, 1, RoundKind::Coordinate),
    ]
}

fn shown(look: Look, bodies: Vec<EventBody>) -> String {
    let mut plain = Plain::new(Vec::new(), look);
    for (seq, body) in (0..).zip(bodies) {
        let event = Event { seq, at: Millis(seq * 10), body };
        plain.event(&Arc::new(event)).unwrap();
    }
    String::from_utf8(plain.out).unwrap()
}

fn whole_run() -> Vec<EventBody> {
    let answer = AnswerId { agent: A, n: 1 };
    let mut bodies = start();
    bodies.extend([
        text(A, 1, "Six times "),
        text(B, 1, "Let me "),
        text(A, 1, "seven is\n42."),
        text(B, 1, "think.\n"),
        EventBody::CallRetried {
            call: call(B, 1),
            failure: CallFailure {
                kind: FailureKind::RateLimited,
                message: "slow down".to_owned(),
                status: Some(429),
                retry_after_ms: Some(2_000),
            },
            after_ms: 2_000,
            attempt: 1,
        },
        EventBody::CallCancelled { call: call(A, 1), spend: Spend::default() },
        EventBody::AnswerSubmitted {
            round: round(A, 1),
            seen: Epoch(0),
            text: Kept::from("42,\nby multiplication"),
            salvaged: false,
        },
        EventBody::AnswerProposed { answer, round: round(A, 1) },
        EventBody::AnswerAccepted { answer, epoch: Epoch(1), snapshot: SnapshotId::empty() },
        EventBody::VoteCast {
            ballot: Ballot { voter: B, choice: A, reason: "checked".to_owned() },
            epoch: Epoch(1),
        },
        EventBody::WinnerSelected {
            winner: answer,
            basis: Basis::Votes { votes: 2, voters: 2, tie: false },
        },
        opened(A, 2, RoundKind::Present),
        text(A, 2, "The final text is not shown here.\n"),
        EventBody::Presented { round: round(A, 2), text: Kept::from("42") },
    ]);
    bodies
}

#[test]
fn agents_are_told_apart_and_never_share_a_line() {
    insta::assert_snapshot!(shown(Look::PIPE, whole_run()), @r"
    run r1, 2 agents
    [agent1 (careful)] m on scripted
    [agent2 (quick)] m on scripted
    question: 6 × 7?
    [agent1 (careful)] Six times seven is
    [agent2 (quick)] Let me think.
    [agent2 (quick)] rate limited (429): slow down; try 2 follows in 2.0 s
    [agent1 (careful)] 42.
    [agent1 (careful)] answers agent1.1: 42, by multiplication
    [agent2 (quick)] votes for agent1 (careful): checked
    agent1.1 (careful) wins: 2 of 2 votes
    [agent1 (careful)] writes the final answer
    ");
}

#[test]
fn colour_adds_nothing_but_colour() {
    let coloured = shown(Look { colour: true, terminal: None }, whole_run());
    assert!(coloured.contains("\x1b[36m[agent1 (careful)]\x1b[0m"));
    assert_eq!(clean(&coloured), shown(Look::PIPE, whole_run()));
}

#[test]
fn a_model_cannot_speak_to_the_terminal() {
    let attack = "\x1b]0;owned\x07\x1b[2Jcleared\r\x1b[1A\u{9b}31m overwritten\n";
    let mut bodies = start();
    bodies.push(text(A, 1, attack));
    bodies.push(EventBody::VoteCast {
        ballot: Ballot { voter: B, choice: A, reason: attack.to_owned() },
        epoch: Epoch(0),
    });
    bodies.push(EventBody::ProviderNotice { call: call(A, 1), what: attack.to_owned() });
    let shown = shown(Look::PIPE, bodies);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(shown.contains("[agent1 (careful)] cleared overwritten"), "{shown}");
}

#[test]
fn a_name_cannot_forge_a_line() {
    let mut bodies = start();
    if let Some(EventBody::RunStarted { agents, .. }) = bodies.first_mut() {
        agents[0].model = "m\nerror: \x1b[31mforged".to_owned();
    }
    let shown = shown(Look::PIPE, bodies);
    assert!(shown.contains("[agent1 (careful)] m error: forged on scripted\n"), "{shown}");
}

#[test]
fn a_terminal_gets_long_text_as_it_fills_and_a_line_that_is_taken_back() {
    let look = Look { colour: false, terminal: Some(50) };
    let mut plain = Plain::new(Vec::new(), look);
    let mut bodies = start();
    bodies.push(EventBody::CallGranted { call: call(B, 1) });
    bodies.push(text(A, 1, "a paragraph that goes on and on without a newline in sight"));
    for (seq, body) in (0..).zip(bodies) {
        plain.event(&Arc::new(Event { seq, at: Millis(0), body })).unwrap();
    }
    plain.tick(Millis(5_000)).unwrap();
    let before = String::from_utf8(plain.out.clone()).unwrap();
    assert!(before.contains("[agent1 (careful)] a paragraph that goes on and\n"), "{before}");
    assert!(before.contains("agent2 thinking 5 s"), "{before}");
    plain.line(None, Tone::Plain, "next").unwrap();
    let after = String::from_utf8(plain.out).unwrap();
    assert!(after.ends_with("5 s\r\x1b[2Knext\n"), "{after:?}");
}
