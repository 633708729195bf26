//! What the view says at each moment.

use massgen_protocol::{
    AgentIndex, AttemptIndex, Basis, CloseReason, Epoch, EventBody, FailReason, FailureKind, Kept,
    Millis, Outcome, Question, Rejection, RetireReason, RoundEnd, RoundId, RoundKind, Spend,
    TextChannel, ToolEffect, WrapUpReason,
};
use massgen_view::{AgentStatus, CellBody, Level, Phase, RowKind, RunView, ToolState};

use crate::script::{ADA, BOB, EVE, Script, answer, call, failure, spend, three_votes};

fn status(script: &Script, agent: AgentIndex) -> &AgentStatus {
    &script.view.agent(agent).unwrap().status
}

#[test]
fn an_agent_waits_thinks_streams_answers_and_votes() {
    let mut script = Script::start();
    assert_eq!(status(&script, ADA), &AgentStatus::Waiting);
    script.push(EventBody::CallGranted { call: call(ADA, 1) });
    assert_eq!(status(&script, ADA), &AgentStatus::Thinking);
    let (channel, text) = (TextChannel::Reasoning, "hm".to_owned());
    script.push(EventBody::TextStreamed { call: call(ADA, 1), channel, text });
    assert_eq!(status(&script, ADA), &AgentStatus::Thinking);
    let (channel, text) = (TextChannel::Text, "ah".to_owned());
    script.push(EventBody::TextStreamed { call: call(ADA, 1), channel, text });
    assert_eq!(status(&script, ADA), &AgentStatus::Streaming);
    script.finish_call(ADA, 1, "ah");
    assert_eq!(status(&script, ADA), &AgentStatus::Waiting);
    script.answer(answer(ADA, 1), 1, 1, "6");
    assert_eq!(status(&script, ADA), &AgentStatus::Answered { answer: answer(ADA, 1) });
    script.vote(ADA, ADA, 1);
    assert_eq!(status(&script, ADA), &AgentStatus::Voted { choice: ADA });
    // Somebody else's answer makes the vote worthless.
    script.answer(answer(BOB, 1), 1, 2, "7");
    assert_eq!(status(&script, ADA), &AgentStatus::Waiting);
}

#[test]
fn a_tool_runs_and_its_output_joins_its_call() {
    let mut script = Script::start();
    let (round, id) = (RoundId { agent: ADA, n: 1 }, massgen_protocol::ToolCallId("c".to_owned()));
    let (name, arguments) = ("sum".to_owned(), Kept::from("[1,2]"));
    let effect = ToolEffect::Read;
    script.push(EventBody::ToolStarted { round, id: id.clone(), name, effect, arguments });
    assert_eq!(status(&script, ADA), &AgentStatus::UsingTool { name: "sum".to_owned() });
    let (name, output) = ("sum".to_owned(), Kept::from("3"));
    script.push(EventBody::ToolFinished { round, id, name, output, is_error: false, media: None });
    assert_eq!(status(&script, ADA), &AgentStatus::Waiting);
    let agent = script.view.agent(ADA).unwrap();
    let CellBody::Tool { state, .. } = &agent.transcript.cells().last().unwrap().body else {
        panic!()
    };
    assert_eq!(state, &ToolState::Done { output: "3".to_owned().into(), is_error: false });
}

#[test]
fn pieces_of_text_join_and_what_is_not_streamed_is_shown_at_the_end() {
    let mut script = Script::start();
    script.stream(ADA, 1, "one two three").finish_call(ADA, 1, "one two three");
    script.push(EventBody::CallGranted { call: call(BOB, 1) });
    script.finish_call(BOB, 1, "all at once");
    for (agent, expected) in [(ADA, "one two three"), (BOB, "all at once")] {
        let cells = script.view.agent(agent).unwrap().transcript.cells();
        let texts: Vec<&str> = cells
            .filter_map(|cell| match &cell.body {
                CellBody::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, [expected]);
    }
}

#[test]
fn answers_and_ballots_are_those_of_the_newest_epoch() {
    let mut script = Script::start();
    script.answer(answer(ADA, 1), 1, 1, "6").vote(EVE, ADA, 1);
    assert_eq!(script.view.votes.tally(), [(ADA, 1)]);
    script.answer(answer(ADA, 2), 2, 2, "8");
    let votes = &script.view.votes;
    assert_eq!(votes.tally(), []);
    assert_eq!(votes.void().1, 1);
    assert_eq!(votes.void().0.next().unwrap().ballot.voter, EVE);
    let current: Vec<_> = votes.current_answers().map(|answer| answer.id).collect();
    assert_eq!(current, [answer(ADA, 2)]);
    assert_eq!(votes.answer(answer(ADA, 1)).unwrap().text.as_str(), "6");
    assert_eq!(script.view.epoch, Epoch(2));
    script.vote(EVE, ADA, 2).vote(BOB, ADA, 2).vote(ADA, BOB, 2);
    assert_eq!(script.view.votes.tally(), [(ADA, 2), (BOB, 1)]);
}

#[test]
fn a_rejected_answer_does_not_lend_its_text_to_the_next() {
    let mut script = Script::start();
    let round = RoundId { agent: ADA, n: 1 };
    let text = Kept::from("refused");
    script.push(EventBody::AnswerSubmitted { round, seen: Epoch(0), text, salvaged: false });
    script.push(EventBody::SubmissionRejected { round, rejection: Rejection::Empty });
    script.push(EventBody::AnswerProposed { answer: answer(ADA, 1), round });
    let snapshot = massgen_protocol::SnapshotId::empty();
    script.push(EventBody::AnswerAccepted { answer: answer(ADA, 1), epoch: Epoch(1), snapshot });
    assert_eq!(script.view.votes.answer(answer(ADA, 1)).unwrap().text.as_str(), "");
    assert_eq!(script.view.agent(ADA).unwrap().violations, 1);
}

#[test]
fn the_final_text_is_the_presenters_or_the_winning_answer() {
    let mut script = Script::start();
    assert_eq!(script.view.final_text(), None);
    script.answer(answer(ADA, 1), 1, 1, "stored");
    assert_eq!(script.view.final_text(), None, "there is no winner yet");
    let (winner, basis) = (answer(ADA, 1), three_votes());
    script.push(EventBody::WinnerSelected { winner, basis: basis.clone() });
    assert_eq!((script.view.final_text(), script.view.presenter()), (Some("stored"), Some(ADA)));
    let round = RoundId { agent: ADA, n: 2 };
    script.push(EventBody::Presented { round, text: Kept::from("presented") });
    assert_eq!(script.view.final_text(), Some("presented"));

    script.end(Outcome::Answered { winner, basis: basis.clone(), presented: true });
    assert_eq!(script.view.final_text(), Some("presented"));
    assert_eq!((script.view.phase, script.view.presenter()), (Phase::Finished, None));
    // A presentation that came but does not stand.
    script.end(Outcome::Answered { winner, basis, presented: false });
    assert_eq!(script.view.final_text(), Some("stored"));
    script.end(Outcome::Failed { reason: FailReason::Interrupted });
    assert_eq!(script.view.final_text(), None);
}

#[test]
fn another_attempt_begins_with_nothing_to_vote_for() {
    let mut script = Script::consensus();
    script.push(EventBody::AttemptRestarted {
        reason: "units are missing".to_owned(),
        instructions: "say Gpc".to_owned(),
    });
    script.push(EventBody::AttemptStarted { attempt: AttemptIndex(2) });
    let view = &script.view;
    assert_eq!((view.epoch, view.phase, view.restarts), (Epoch(0), Phase::Coordinating, 1));
    assert_eq!((view.votes.current_answers().count(), view.votes.tally()), (0, vec![]));
    assert_eq!((view.final_text(), view.selection.as_ref()), (None, None));
    assert_eq!(view.votes.answers().len(), 2, "what was answered is still to be seen");
}

#[test]
fn failures_show_until_they_are_overcome() {
    let mut script = Script::start();
    script.push(EventBody::CallRetried {
        call: call(BOB, 1),
        failure: failure(FailureKind::RateLimited, "slow down"),
        after_ms: 250,
        attempt: 1,
    });
    assert_eq!(status(&script, BOB), &AgentStatus::BackingOff { until: Millis(250) });
    script.wait(300).push(EventBody::AgentFailed {
        agent: BOB,
        failures: 1,
        max: 3,
        backoff_ms: 1_000,
    });
    assert_eq!(status(&script, BOB), &AgentStatus::BackingOff { until: Millis(1_300) });
    let last = failure(FailureKind::Auth, "bad key");
    let reason = RetireReason::CallsFailed { failures: 3, last };
    script.push(EventBody::AgentRetired { agent: BOB, reason: reason.clone() });
    assert_eq!(status(&script, BOB), &AgentStatus::Retired { reason: reason.clone() });
    // It may still be asked to present; then it is out again.
    script.open(BOB, 2, RoundKind::Present, 1).push(EventBody::CallGranted { call: call(BOB, 2) });
    assert_eq!(status(&script, BOB), &AgentStatus::Thinking);
    let round = RoundId { agent: BOB, n: 2 };
    script.push(EventBody::RoundClosed { round, reason: CloseReason::TimedOut });
    assert_eq!(status(&script, BOB), &AgentStatus::Retired { reason });

    let (notices, dropped) = script.view.notices();
    let notices: Vec<(Level, &str)> =
        notices.map(|notice| (notice.level, notice.text.as_str())).collect();
    assert_eq!(
        (notices.as_slice(), dropped),
        (
            &[
                (Level::Warning, "rate limited (429): slow down; try 2 follows in 0.2 s"),
                (Level::Warning, "failure 1 of 3, tries again in 1.0 s"),
                (
                    Level::Error,
                    "retires: 3 calls to scripted failed, the last one: key refused (429): bad \
                     key; check whether the server asks for a key, and that it may use `model-1`"
                ),
            ][..],
            0
        )
    );
}

#[test]
fn useful_and_wasted_calls_are_told_apart() {
    let mut script = Script::start();
    script.finish_call(ADA, 1, "x").finish_call(BOB, 1, "y");
    let cancelled = EventBody::CallCancelled { call: call(EVE, 1), spend: spend(300, 70) };
    script.push(cancelled);
    let failure = failure(FailureKind::TimedOut, "");
    script.push(EventBody::CallFailed { call: call(ADA, 2), failure, spend: spend(200, 30) });
    let cost = &script.view.ledger.total;
    assert_eq!(cost.useful, Spend { calls: 2, tokens: 2_120, money_micros: 5_000 });
    assert_eq!(cost.wasted, Spend { calls: 2, tokens: 500, money_micros: 100 });
    assert_eq!(cost.total(), Spend { calls: 4, tokens: 2_620, money_micros: 5_100 });
    assert_eq!((cost.usage.input(), cost.usage.generated()), (2_000, 120));
    let by_agent: Vec<u64> =
        script.view.ledger.agents.values().map(|cost| cost.total().money_micros).collect();
    assert_eq!(by_agent, [2_530, 2_500, 70]);
}

#[test]
fn time_running_out_and_interrupts_are_noted() {
    let mut script = Script::start();
    script.push(EventBody::WrapUpStarted { reason: WrapUpReason::Deadline });
    script.push(EventBody::InterruptRequested);
    script.push(EventBody::StopRequested);
    assert_eq!(script.view.wrap_up, Some(WrapUpReason::Deadline));
    assert!(script.view.interrupted && script.view.stopped);
    script.push(EventBody::CallGranted { call: call(ADA, 1) });
    script.push(EventBody::RunResumed { build: "massgen 0.1.0".to_owned() });
    assert!(!script.view.stopped);
    assert_eq!(script.view.resumes, 1);
    assert_eq!(status(&script, ADA), &AgentStatus::Waiting, "its call died with its process");
}

#[test]
fn events_may_come_twice_and_gaps_are_counted() {
    let script = Script::consensus();
    let mut view = RunView::default();
    for event in &script.events {
        view.apply(event);
        view.apply(event);
        view.apply(&script.events[0]);
    }
    assert_eq!(view, script.view);

    let mut view = RunView::default();
    view.apply(&script.events[0]);
    view.apply(&script.events[5]);
    view.apply(&script.events[6]);
    view.apply(&script.events[20]);
    assert_eq!(view.missed, 4 + 13);
}

#[test]
fn a_reader_of_the_log_sees_what_a_subscriber_saw() {
    let mut script = Script::consensus();
    let (winner, basis) = (answer(ADA, 2), three_votes());
    script.end(Outcome::Answered { winner, basis, presented: true });
    let mut view = RunView::default();
    for event in &script.events {
        let line = serde_json::to_string(event).unwrap();
        view.apply(&serde_json::from_str(&line).unwrap());
    }
    assert_eq!(view, script.view);
}

#[test]
fn users_read_names_and_labels() {
    let script = Script::start();
    let names = &script.view.names;
    assert_eq!(names.agent(BOB), "agent2 (bob)");
    assert_eq!(names.agent(EVE), "agent3");
    assert_eq!(names.answer(answer(BOB, 2)), "agent2.2 (bob)");
    let stranger = massgen_protocol::AgentIndex(u16::MAX);
    assert_eq!(names.agent(stranger), "agent65536");
}

#[test]
fn a_question_is_kept_as_it_was_asked() {
    let mut view = RunView::default();
    let question = Question { text: " two\nlines ".to_owned() };
    let body = EventBody::QuestionAsked { question };
    view.apply(&massgen_protocol::Event { seq: 0, at: Millis(0), body });
    assert_eq!(view.question.as_deref(), Some(" two\nlines "));
}

#[test]
fn a_sole_agent_needs_no_votes() {
    let mut script = Script::start();
    script.answer(answer(ADA, 1), 1, 1, "42");
    let (winner, basis) = (answer(ADA, 1), Basis::SoleAgent);
    script.end(Outcome::Answered { winner, basis, presented: false });
    assert_eq!(script.view.final_text(), Some("42"));
}

#[test]
fn a_failure_is_told_in_full_once_and_the_same_one_then_in_short() {
    let remedy = "set `base_url` to the root of the server, which ends in `/v1`";
    let message = format!("the server knows no such path: {} {remedy}", "x".repeat(300));
    let cause = || failure(FailureKind::BadRequest, &message);
    let mut script = Script::start();
    script.push(EventBody::CallFailed { call: call(BOB, 1), failure: cause(), spend: spend(0, 0) });
    let round = RoundId { agent: BOB, n: 1 };
    let end = RoundEnd::CallFailed { failure: cause() };
    script.push(EventBody::RoundEnded { round, end });
    let reason = RetireReason::CallsFailed { failures: 1, last: cause() };
    script.push(EventBody::AgentRetired { agent: BOB, reason });
    script.push(EventBody::CallFailed { call: call(ADA, 1), failure: cause(), spend: spend(0, 0) });

    let rows = script.view.timeline.rows().filter(|row| row.kind == RowKind::Failure);
    let told: Vec<(Option<AgentIndex>, bool)> =
        rows.map(|row| (row.agent, row.text.contains(remedy))).collect();
    let (ada, bob) = (Some(ADA), Some(BOB));
    assert_eq!(told, [(bob, true), (bob, false), (bob, false), (ada, true)]);
    let last = script.view.agents[1].last_error.as_ref().unwrap();
    assert!(last.1.contains(remedy), "who reads only the last one needs all of it: {}", last.1);
}

#[test]
fn a_wish_that_came_too_late_cut_nothing_short() {
    let mut script = Script::consensus();
    let ignored = || EventBody::InputIgnored { why: "the run is ending already".to_owned() };
    script.push(EventBody::InterruptRequested);
    assert!(script.view.interrupted);
    script.push(ignored());
    assert!(!script.view.interrupted);
    // One that counted is not taken back by a later one.
    script.push(EventBody::InterruptRequested).wait(1);
    script.open(BOB, 9, RoundKind::Coordinate, 2);
    script.push(EventBody::InterruptRequested).push(ignored());
    assert!(script.view.interrupted);
}
