//! `status.json`, and where the reference got it wrong.

use massgen_protocol::{Basis, EventBody, FailReason, FailureKind, Millis, Outcome, RetireReason};
use massgen_view::{StatusContext, status_json};
use serde_json::{Value, json};

use crate::script::{ADA, BOB, EVE, Script, answer, call, failure, spend, three_votes};

fn context(answer_file: Option<&str>) -> StatusContext {
    StatusContext {
        log_dir: "/state/runs/20261123-220101-ab12".to_owned(),
        started_at: "2026-11-23T22:01:01.000Z".to_owned(),
        updated_at: "2026-11-23T22:01:09.000Z".to_owned(),
        now: Millis(0),
        answer_file: answer_file.map(str::to_owned),
    }
}

fn status(script: &Script) -> Value {
    status_json(&script.view, &context(None))
}

#[test]
fn a_run_that_is_over_reads_like_this() {
    let mut script = Script::consensus();
    let (winner, basis) = (answer(ADA, 2), three_votes());
    script.end(Outcome::Answered { winner, basis, presented: true });
    let status = status_json(&script.view, &context(Some("/state/final/ada/answer.txt")));
    insta::assert_snapshot!(serde_json::to_string_pretty(&status).unwrap());
}

#[test]
fn nothing_is_complete_before_the_end_and_before_the_answer_is_written() {
    let mut script = Script::consensus();
    let unfinished = |status: &Value| {
        assert_eq!(status["is_complete"], false);
        assert_eq!(status["finish_reason"], "in_progress");
        assert_eq!(status["coordination"]["completion_percentage"], 99);
    };
    unfinished(&status_json(&script.view, &context(Some("/early.txt"))));
    let (winner, basis) = (answer(ADA, 2), three_votes());
    script.end(Outcome::Answered { winner, basis, presented: true });
    unfinished(&status(&script));
    let status = status_json(&script.view, &context(Some("/answer.txt")));
    assert_eq!(status["is_complete"], true);
    assert_eq!(status["finish_reason"], "completed");
    assert_eq!(status["coordination"]["completion_percentage"], 100);
}

#[test]
fn void_votes_are_not_counted() {
    let mut script = Script::start();
    script.answer(answer(ADA, 1), 1, 1, "6").vote(BOB, ADA, 1);
    let before = status(&script);
    assert_eq!(before["results"]["votes"], json!({ "agent1.1": 1 }));
    assert_eq!(before["agents"]["bob"]["vote_cast"]["voted_for_label"], "agent1.1");
    script.answer(answer(ADA, 2), 2, 2, "8");
    let after = status(&script);
    assert_eq!(after["results"]["votes"], json!({}));
    assert_eq!(after["results"]["votes_void"], 1);
    assert_eq!(after["agents"]["bob"]["vote_cast"], Value::Null);
    assert_eq!(after["agents"]["bob"]["status"], "waiting");
}

#[test]
fn an_agent_that_writes_its_first_answer_is_streaming() {
    let mut script = Script::start();
    script.stream(ADA, 1, "so far");
    let status = status(&script);
    assert_eq!(status["agents"]["ada"]["status"], "streaming");
    assert_eq!(status["agents"]["ada"]["latest_answer_label"], Value::Null);
    assert_eq!(status["coordination"]["phase"], "initial_answer");
}

#[test]
fn one_failing_agent_does_not_end_the_run() {
    let mut script = Script::start();
    script.push(EventBody::CallGranted { call: call(ADA, 1) });
    let reason = RetireReason::TimedOut { rounds: 3 };
    script.push(EventBody::AgentRetired { agent: BOB, reason });
    let status = status(&script);
    assert_eq!(status["finish_reason"], "in_progress");
    assert_eq!(status["agents"]["bob"]["status"], "timeout");
    assert_eq!(status["agents"]["bob"]["error"]["type"], "timeout");
    assert_eq!(status["agents"]["ada"]["error"], Value::Null);
    // One of three is out: two of the six things owed are settled.
    assert_eq!(status["coordination"]["completion_percentage"], 33);
}

#[test]
fn every_end_has_its_reason() {
    let answered = |basis| {
        let outcome = Outcome::Answered { winner: answer(ADA, 1), basis, presented: true };
        let mut script = Script::start();
        script.answer(answer(ADA, 1), 1, 1, "6").end(outcome);
        status_json(&script.view, &context(Some("/a")))["finish_reason"].clone()
    };
    let (votes, tie) = (1, false);
    assert_eq!(answered(Basis::SoleAgent), "completed");
    assert_eq!(answered(Basis::NoVoters { votes, tie }), "completed");
    assert_eq!(answered(Basis::Deadline { votes, tie }), "timeout");
    assert_eq!(answered(Basis::Budget { votes, tie }), "budget");
    assert_eq!(answered(Basis::Interrupted { votes, tie }), "interrupted");
    let failed = |reason| {
        let mut script = Script::start();
        script.end(Outcome::Failed { reason });
        let status = status(&script);
        assert_eq!(status["is_complete"], true);
        assert_eq!(status["results"]["winner"], Value::Null);
        status["finish_reason"].clone()
    };
    assert_eq!(failed(FailReason::AllAgentsFailed), "error");
    assert_eq!(failed(FailReason::Deadline), "timeout");
    assert_eq!(failed(FailReason::Budget), "budget");
    assert_eq!(failed(FailReason::Interrupted), "interrupted");
}

#[test]
fn whoever_interrupted_a_run_reads_so_whatever_it_came_to() {
    let mut script = Script::consensus();
    script.push(EventBody::InterruptRequested);
    let (winner, basis) = (answer(ADA, 2), three_votes());
    script.end(Outcome::Answered { winner, basis, presented: true });
    let status = status_json(&script.view, &context(Some("/answer.txt")));
    assert_eq!(status["finish_reason"], "interrupted");
    assert_eq!(status["is_complete"], true);
    assert_eq!(status["resumable"], false);
}

#[test]
fn a_run_that_was_stopped_is_over_for_now() {
    let mut script = Script::start();
    assert_eq!(status(&script)["resumable"], false);
    script.push(EventBody::StopRequested);
    let stopped = status(&script);
    assert_eq!(stopped["finish_reason"], "interrupted");
    assert_eq!(stopped["is_complete"], false);
    assert_eq!(stopped["resumable"], true);
    script.push(EventBody::RunResumed { build: String::new() });
    let resumed = status(&script);
    assert_eq!(resumed["finish_reason"], "in_progress");
    assert_eq!(resumed["resumable"], false);
    script.push(EventBody::RecordingFailed { message: "no space left".to_owned() });
    script.push(EventBody::StopRequested);
    assert_eq!(status(&script)["resumable"], false, "what is not in the log cannot go on");
}

#[test]
fn only_a_run_that_presents_is_in_its_presentation() {
    let phase = |script: &Script| status(script)["coordination"]["phase"].clone();
    let mut script = Script::start();
    script.end(Outcome::Failed { reason: FailReason::AllAgentsFailed });
    assert_eq!(phase(&script), "initial_answer");
    let mut script = Script::start();
    script.answer(answer(ADA, 1), 1, 1, "6");
    assert_eq!(phase(&script), "enforcement");
    let (winner, basis) = (answer(ADA, 1), three_votes());
    script.end(Outcome::Answered { winner, basis, presented: false });
    assert_eq!(phase(&script), "enforcement");
    assert_eq!(phase(&Script::consensus()), "presentation");
}

#[test]
fn restarts_are_those_by_new_answers_and_not_failures() {
    let mut script = Script::start();
    script.push(EventBody::CallFailed {
        call: call(BOB, 1),
        failure: failure(FailureKind::Unavailable, "gone"),
        spend: spend(0, 0),
    });
    script.answer(answer(ADA, 1), 1, 1, "6").vote(EVE, ADA, 1);
    script.answer(answer(ADA, 2), 2, 2, "8");
    let status = status(&script);
    assert_eq!(status["agents"]["bob"]["times_restarted"], 0);
    assert_eq!(status["agents"]["agent3"]["times_restarted"], 1);
}
