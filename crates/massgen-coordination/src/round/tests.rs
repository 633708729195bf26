//! One table of conversations: what a model replies, what the round asks next.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;

use massgen_protocol::{
    AgentIndex, AnswerId, Arguments, FailureKind, FinishReason, Part, ToolName, Usage,
};
use serde_json::{Value, json};

use super::*;

const ROUND: RoundId = RoundId { agent: AgentIndex(0), n: 1 };

struct Talk {
    round: Round,
    log: String,
}

fn talk(brief: Brief, after: Option<Epoch>, is_first_draft: bool) -> Talk {
    let tools: BTreeSet<String> = ["read_file".to_owned(), "write_file".to_owned()].into();
    let rules = RoundRules::new(&Policy::default(), is_first_draft, Arc::new(tools));
    let (round, step) = Round::open(ROUND, brief, after, rules);
    let mut talk = Talk { round, log: String::new() };
    talk.note("open", &step);
    talk
}

fn draft() -> Talk {
    talk(Brief::Coordinate { epoch: Epoch(0), vote_only: false }, None, true)
}

fn voter() -> Talk {
    talk(Brief::Coordinate { epoch: Epoch(2), vote_only: false }, Some(Epoch(1)), false)
}

impl Talk {
    fn note(&mut self, what: &str, step: &RoundStep) {
        let log = &mut self.log;
        write!(log, "{what}").unwrap();
        for append in &step.appends {
            match append {
                Append::Turn(_) => write!(log, " · turn"),
                Append::Say(items) => {
                    write!(log, " · say {}", items.iter().map(short).collect::<Vec<_>>().join("+"))
                }
                Append::Results(results) => write!(
                    log,
                    " · results [{}]",
                    results
                        .iter()
                        .map(|(id, _, body)| format!(
                            "{}: {}",
                            id.0,
                            match body {
                                ResultBody::Item(item) => short(item),
                                ResultBody::Output { text, .. } => format!("\"{text}\""),
                            }
                        ))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            }
            .unwrap();
        }
        for event in &step.events {
            match event {
                EventBody::UpdateSeen { epoch, .. } => write!(log, " · seen {}", epoch.0).unwrap(),
                EventBody::RuleEnforced { n, max, .. } => write!(log, " · rule {n}/{max}").unwrap(),
                other => panic!("a round does not record {other:?}"),
            }
        }
        let ask = match &step.ask {
            RoundAsk::CallModel { call } => format!("call {}", call.n),
            RoundAsk::CallAgain { cancelled, call } => {
                format!("call {} instead of {}", call.n, cancelled.n)
            }
            RoundAsk::CallTools(calls) => {
                format!(
                    "run {}",
                    calls.iter().map(|call| call.id.0.as_str()).collect::<Vec<_>>().join(" ")
                )
            }
            RoundAsk::Submit { seen, submission, salvaged } => format!(
                "submit {}{} at {}",
                match submission {
                    Submission::NewAnswer { text } => format!("answer \"{}\"", text.text()),
                    Submission::Vote { choice, reason } => format!("vote {choice} \"{reason}\""),
                },
                if *salvaged { " salvaged" } else { "" },
                seen.0
            ),
            RoundAsk::Present { text } => format!("present \"{text}\""),
            RoundAsk::Review(review) => format!("{review:?}"),
            RoundAsk::End(end) => format!("end {end:?}"),
            RoundAsk::Wait => "wait".to_owned(),
        };
        writeln!(log, " → {ask}").unwrap();
    }

    fn turn(&mut self, text: &str, calls: &[(&str, Value)]) -> &mut Talk {
        self.turn_ending(text, calls, FinishReason::Stop)
    }

    fn turn_ending(
        &mut self,
        text: &str,
        calls: &[(&str, Value)],
        finish: FinishReason,
    ) -> &mut Talk {
        let mut parts = vec![Part::Text { text: text.to_owned() }];
        for (n, (name, arguments)) in calls.iter().enumerate() {
            let arguments = match arguments {
                Value::Object(value) => Arguments::Object { value: value.clone() },
                other => Arguments::Malformed { raw: other.to_string(), error: "cut".to_owned() },
            };
            let id = ToolCallId(format!("{}{n}", &name[..1]));
            parts.push(Part::ToolCall(ToolCall { id, name: (*name).to_owned(), arguments }));
        }
        let turn = AssistantTurn { parts, finish, usage: Usage::default(), model: None };
        let step = self.round.step(RoundInput::Turn(Arc::new(turn)));
        self.note("turn", &step);
        self
    }

    fn tool(&mut self, id: &str, text: &str) -> &mut Talk {
        let result = ToolResult {
            id: ToolCallId(id.to_owned()),
            name: String::new(),
            text: text.to_owned(),
            is_error: false,
        };
        let step = self.round.step(RoundInput::ToolFinished(result));
        self.note("tool", &step);
        self
    }

    fn reply(&mut self, reply: Reply, update: Option<u32>) -> &mut Talk {
        let update = update.map(news);
        let step = self.round.step(RoundInput::Reply { reply, update });
        self.note("reply", &step);
        self
    }

    fn update(&mut self, epoch: u32, interrupt: bool) -> &mut Talk {
        let step = self.round.step(RoundInput::Update { update: news(epoch), interrupt });
        self.note("update", &step);
        self
    }

    fn close(&mut self) -> &mut Talk {
        let step = self.round.step(RoundInput::Close);
        self.note("close", &step);
        self
    }
}

fn news(epoch: u32) -> Update {
    Update { epoch: Epoch(epoch), wrap_up: None, vote_only: false }
}

fn short(item: &Item) -> String {
    match item {
        Item::Brief(_) => "brief".to_owned(),
        Item::Update { after, update } => format!("news {}..{}", after.0, update.epoch.0),
        Item::Enforce(rule) => {
            format!("{rule:?}").split([' ', '{']).next().unwrap_or("").to_owned()
        }
        Item::Rejected(_) => "rejected".to_owned(),
        Item::Accepted { .. } => "accepted".to_owned(),
        Item::Counted => "counted".to_owned(),
        Item::NotRun => "not run".to_owned(),
        Item::Interrupted => "interrupted".to_owned(),
    }
}

fn vote(alias: &str) -> (&'static str, Value) {
    (ToolName::VOTE, json!({"agent_id": alias, "reason": "checked"}))
}

fn answer(text: &str) -> (&'static str, Value) {
    (ToolName::NEW_ANSWER, json!({"content": text}))
}

fn read_file() -> (&'static str, Value) {
    ("read_file", json!({"path": "a"}))
}

#[test]
fn an_answer_and_a_vote_end_a_round() {
    let mut talk = draft();
    talk.turn("so", &[answer("4")]);
    talk.reply(Reply::Accepted { answer: AnswerId { agent: AgentIndex(0), n: 1 } }, None).close();
    insta::assert_snapshot!(talk.log, @r#"
    open · say brief → call 1
    turn → submit answer "4" at 0
    reply · turn · results [n0: accepted] → wait
    close → wait
    "#);
    let mut talk = voter();
    talk.turn("", &[vote("agent2")]).reply(Reply::Counted { choice: AgentIndex(1) }, None);
    insta::assert_snapshot!(talk.log, @r#"
    open · say news 1..2 → call 1
    turn → submit vote agent2 "checked" at 2
    reply · turn · results [v0: counted] → wait
    "#);
}

#[test]
fn every_call_of_a_broken_reply_gets_a_result() {
    let mut talk = voter();
    talk.turn("", &[vote("agent1"), answer("5"), read_file()]);
    talk.turn("", &[vote("agent1"), vote("agent2")]);
    talk.turn("", &[vote("agent1"), vote("agent1")]);
    insta::assert_snapshot!(talk.log, @r#"
    open · say news 1..2 → call 1
    turn · turn · results [v0: BothChoices, n1: not run, r2: not run] · rule 1/3 → call 2
    turn · turn · results [v0: ManyChoices, v1: not run] · rule 2/3 → call 3
    turn → submit vote agent1 "checked" at 2
    "#);
}

#[test]
fn tools_of_the_same_reply_run_before_the_answer_counts() {
    let mut talk = draft();
    talk.turn("", &[("write_file", json!({})), answer("see file")]);
    talk.tool("w0", "written");
    talk.reply(Reply::Accepted { answer: AnswerId { agent: AgentIndex(0), n: 1 } }, None);
    insta::assert_snapshot!(talk.log, @r#"
    open · say brief → call 1
    turn → run w0
    tool → submit answer "see file" at 0
    reply · turn · results [w0: "written", n1: accepted] → wait
    "#);
}

#[test]
fn a_reply_of_everything_at_once_is_sorted_call_by_call() {
    let mut talk = draft();
    talk.turn(
        "",
        &[
            read_file(),
            ("no_such_tool", json!({})),
            ("write_file", json!("{\"path")),
            answer("see file"),
        ],
    );
    talk.tool("n1", "nobody runs this").tool("r0", "read");
    talk.reply(Reply::Accepted { answer: AnswerId { agent: AgentIndex(0), n: 1 } }, None);
    insta::assert_snapshot!(talk.log, @r#"
    open · say brief → call 1
    turn → run r0
    tool → wait
    tool → submit answer "see file" at 0
    reply · turn · results [r0: "read", n1: UnknownTool, w2: BadArguments, n3: accepted] → wait
    "#);
}

#[test]
fn being_interrupted_is_no_turn() {
    let mut talk = voter();
    for epoch in 3..100 {
        talk.update(epoch, true);
    }
    talk.turn("", &[vote("agent1")]);
    assert!(talk.log.ends_with("turn → submit vote agent1 \"checked\" at 99\n"), "{}", talk.log);
}

#[test]
fn a_model_that_never_chooses_is_asked_three_times_and_its_draft_is_kept() {
    let mut talk = draft();
    for _ in 0..4 {
        talk.turn("I think 4", &[]);
    }
    talk.reply(Reply::Rejected(Rejection::Empty), None);
    insta::assert_snapshot!(talk.log, @r#"
    open · say brief → call 1
    turn · turn · say NoChoice · rule 1/3 → call 2
    turn · turn · say NoChoice · rule 2/3 → call 3
    turn · turn · say NoChoice · rule 3/3 → call 4
    turn · turn → submit answer "I think 4" salvaged at 0
    reply · say rejected → end Exhausted { violations: 5 }
    "#);
    let mut talk = voter();
    for _ in 0..4 {
        talk.turn("hm", &[]);
    }
    assert!(talk.log.ends_with("end Exhausted { violations: 4 }\n"), "{}", talk.log);
}

#[test]
fn news_interrupts_only_where_no_tool_work_is_lost() {
    let mut talk = voter();
    talk.update(3, true).turn("", &[read_file()]).update(4, true).tool("r0", "x").update(5, true);
    talk.turn("", &[vote("agent1")]);
    insta::assert_snapshot!(talk.log, @r#"
    open · say news 1..2 → call 1
    update · say news 2..3 · seen 3 → call 2 instead of 1
    turn → run r0
    update → wait
    tool · turn · results [r0: "x"] · say news 3..4 · seen 4 → call 3
    update · say news 4..5 · seen 5 → call 4 instead of 3
    turn → submit vote agent1 "checked" at 5
    "#);
    let mut talk = voter();
    talk.turn("", &[read_file()]).tool("r0", "x").update(3, true);
    assert!(talk.log.ends_with("update → wait\n"), "work of this call is kept: {}", talk.log);
}

#[test]
fn a_stale_vote_is_answered_with_the_news_and_costs_nothing() {
    let mut talk = voter();
    talk.update(3, false).turn("", &[vote("agent1")]);
    let stale = Rejection::Stale { seen: Epoch(2), current: Epoch(3) };
    talk.reply(Reply::Rejected(stale), Some(3)).turn("", &[vote("agent3")]);
    assert_eq!(talk.round.violations(), 0);
    insta::assert_snapshot!(talk.log, @r#"
    open · say news 1..2 → call 1
    update → wait
    turn → submit vote agent1 "checked" at 2
    reply · turn · results [v0: rejected] · say news 2..3 · seen 3 → call 2
    turn → submit vote agent3 "checked" at 3
    "#);
}

#[test]
fn broken_arguments_are_never_taken_for_empty_ones() {
    let mut talk = draft();
    talk.turn("", &[(ToolName::NEW_ANSWER, json!("{\"content\": \"4"))]);
    talk.turn_ending("", &[(ToolName::NEW_ANSWER, json!("{\"cont"))], FinishReason::Length);
    talk.turn("the text beside it", &[(ToolName::NEW_ANSWER, json!({}))]);
    insta::assert_snapshot!(talk.log, @r#"
    open · say brief → call 1
    turn · turn · results [n0: BadArguments] · rule 1/3 → call 2
    turn · turn · results [n0: CutOff] · rule 2/3 → call 3
    turn → submit answer "the text beside it" at 0
    "#);
}

#[test]
fn loops_of_tools_are_bounded() {
    let mut talk = voter();
    for n in 0..Policy::default().turns_max {
        assert!(!talk.log.contains("end "), "ended early at {n}");
        talk.turn("", &[read_file()]).tool("r0", "x");
    }
    assert!(talk.log.ends_with("end TooManyTurns { turns: 50 }\n"), "{}", talk.log);
    let mut talk = voter();
    for _ in 0..4 {
        talk.turn("", &[("no_such_tool", json!({}))]);
    }
    assert!(talk.log.ends_with("end Exhausted { violations: 4 }\n"), "{}", talk.log);
}

#[test]
fn closing_completes_the_transcript() {
    let mut talk = voter();
    talk.turn("", &[read_file(), ("write_file", json!({}))]).tool("w1", "done").close();
    assert!(
        talk.log.ends_with("close · turn · results [r0: interrupted, w1: \"done\"] → wait\n"),
        "{}",
        talk.log
    );
    let len = talk.log.len();
    talk.turn("late", &[vote("agent1")]).tool("r0", "late").update(9, true).close();
    assert!(talk.log[len..].lines().all(|line| line.ends_with("→ wait")), "{}", talk.log);
}

#[test]
fn the_presenter_writes_text_or_calls_new_answer() {
    let brief =
        || Brief::Present { winner: AnswerId { agent: AgentIndex(0), n: 1 }, epoch: Epoch(2) };
    let mut talk = talk(brief(), Some(Epoch(2)), false);
    talk.turn("The answer is 4.", &[]);
    insta::assert_snapshot!(talk.log, @r#"
    open · say brief → call 1
    turn · turn → present "The answer is 4."
    "#);
    let mut talk = self::talk(brief(), Some(Epoch(2)), false);
    talk.turn("Here:", &[answer("4!")]);
    assert!(talk.log.ends_with("present \"4!\"\n"), "{}", talk.log);
    let mut talk = self::talk(brief(), Some(Epoch(2)), false);
    talk.turn("", &[vote("agent1")]).turn("It is 4.", &[vote("agent1")]);
    insta::assert_snapshot!(talk.log, @r#"
    open · say brief → call 1
    turn · turn · results [v0: AfterDecision] · rule 1/3 → call 2
    turn · turn · results [v0: not run] → present "It is 4."
    "#);
    let mut talk = self::talk(brief(), Some(Epoch(2)), false);
    for _ in 0..4 {
        talk.turn_ending("The answer is", &[], FinishReason::Length);
    }
    assert!(talk.log.ends_with("end Exhausted { violations: 4 }\n"), "{}", talk.log);
}

#[test]
fn a_reviewer_submits_unless_it_orders_a_restart() {
    let brief = || Brief::Review { winner: AnswerId { agent: AgentIndex(0), n: 1 } };
    let restart = json!({"reason": "wrong unit", "instructions": "use Gpc"});
    let mut first = talk(brief(), Some(Epoch(2)), false);
    first.turn("", &[(ToolName::RESTART, restart)]);
    assert!(first.log.contains("Restart { reason: \"wrong unit\""), "{}", first.log);
    let mut second = talk(brief(), Some(Epoch(2)), false);
    second.turn("Fine.", &[]);
    assert!(second.log.ends_with("Submit\n"), "{}", second.log);
}

#[test]
fn a_failed_call_ends_the_round() {
    let mut talk = draft();
    let failure = CallFailure {
        kind: FailureKind::Unavailable,
        message: "down".to_owned(),
        status: None,
        retry_after_ms: None,
    };
    let step = talk.round.step(RoundInput::CallFailed(failure.clone()));
    assert_eq!(step.ask, RoundAsk::End(RoundEnd::CallFailed { failure }));
    assert_eq!(talk.round.current_call(), None);
}
