//! `status.json`: where a run stands, for whoever polls a file.

use massgen_protocol::{AgentIndex, Basis, FailReason, Millis, Outcome};
use serde_json::{Map, Value, json};

use crate::words::{self, answer_label, preview};
use crate::{AgentStatus, AgentView, CostView, Ledger, Phase, RunView};

/// What the file says beside the run itself; only its writer knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusContext {
    /// Folder of the run, absolute.
    pub log_dir: String,
    /// Wall clock at the run's start, RFC 3339.
    pub started_at: String,
    /// Wall clock now, RFC 3339.
    pub updated_at: String,
    /// Moment of the run, which goes on while nothing happens.
    pub now: Millis,
    /// The final answer's file, once it is written in full. Without it no run
    /// that has an answer is complete.
    pub answer_file: Option<String>,
}

const REASON_CHARS: usize = 100;
const ANSWER_CHARS: usize = 200;

/// Returns the content of `status.json`. Its keys are those that scripts around
/// MassGen read; what they say is true at the moment of the newest event: void
/// votes are not counted, and nothing is complete before its end.
pub fn status_json(view: &RunView, context: &StatusContext) -> Value {
    let agents: Map<String, Value> = view
        .agents
        .iter()
        .map(|agent| (agent.card.id.0.clone(), agent_json(view, agent)))
        .collect();
    let is_complete = is_complete(view, context);
    json!({
        "meta": {
            "last_updated": context.updated_at,
            "session_id": view.run.as_ref().map(|run| run.0.as_str()),
            "log_dir": context.log_dir,
            "question": view.question,
            "start_time": context.started_at,
            "elapsed_seconds": seconds(view.at.max(context.now)),
            "last_event": view.last_seq,
            "recording_failed": view.recording_failed,
        },
        "coordination": {
            "phase": phase(view),
            "active_agent": view.presenter().and_then(|agent| id_of(view, agent)),
            "completion_percentage": completion(view, is_complete),
            "is_final_presentation": view.phase == Phase::Presenting,
            "attempt": view.attempt.map(|attempt| attempt.0),
            "answers_accepted": view.epoch.0,
        },
        "agents": agents,
        "results": {
            "votes": votes(view),
            "votes_void": view.votes.void().1,
            "winner": winner(view).and_then(|winner| id_of(view, winner.agent)),
            "winner_label": winner(view).map(answer_label),
            "final_answer_preview": view.final_text().map(|text| preview(text, ANSWER_CHARS)),
            "final_answer_file": context.answer_file,
        },
        "finish_reason": if is_complete { finish_reason(view) } else { unfinished(view) },
        "finish_reason_details": view.outcome.as_ref().map(|end| words::outcome(end, &view.names)),
        "is_complete": is_complete,
        "resumable": view.stopped && view.outcome.is_none() && view.recording_failed.is_none(),
        "costs": costs_json(&view.ledger),
        "rounds": { "restarts": view.restarts, "retries": view.retries },
    })
}

fn agent_json(view: &RunView, agent: &AgentView) -> Value {
    let index = agent.card.alias;
    let answer = view.votes.current_answer_of(index);
    let vote = view.votes.ballots().get(&index).map(|ballot| {
        json!({
            "voted_for_agent": id_of(view, ballot.choice),
            "voted_for_label": view.votes.current_answer_of(ballot.choice).map(|a| answer_label(a.id)),
            "reason_preview": preview(&ballot.reason, REASON_CHARS),
        })
    });
    let cost = view.ledger.agent(index);
    let usage = &cost.usage;
    let rounds: Map<String, Value> = view
        .ledger
        .rounds_of(index)
        .filter(|(_, round)| round.cost != CostView::default())
        .map(|(id, round)| (id.n.to_string(), round.cost.to_json()))
        .collect();
    json!({
        "alias": crate::names::alias(index),
        "status": status(agent),
        "answer_count": agent.answers,
        "latest_answer_label": answer.map(|answer| answer_label(answer.id)),
        "vote_cast": vote,
        "times_restarted": agent.restarts,
        "last_activity": seconds(agent.active_at),
        "error": error(agent),
        "token_usage": {
            "input_tokens": usage.input(),
            "output_tokens": usage.output,
            "reasoning_tokens": usage.reasoning,
            "cached_input_tokens": usage.cache_read,
            "estimated_cost": dollars(cost.total().money_micros),
            "wasted_tokens": cost.wasted.tokens,
            "by_round": rounds,
        },
    })
}

fn costs_json(ledger: &Ledger) -> Value {
    let Ledger { total, models, tools, .. } = ledger;
    let models = models.iter().map(|(name, cost)| (name.clone(), cost.to_json()));
    let tools = tools.iter().map(|(name, cost)| (name.clone(), cost.to_json()));
    json!({
        "total_estimated_cost": dollars(total.total().money_micros),
        "wasted_cost": dollars(total.wasted.money_micros),
        "total_input_tokens": total.usage.input(),
        "total_output_tokens": total.usage.generated(),
        "cached_input_tokens": total.usage.cache_read,
        "wasted_tokens": total.wasted.tokens,
        "total_calls": total.total().calls,
        "by_model": models.collect::<Map<String, Value>>(),
        "by_tool": tools.collect::<Map<String, Value>>(),
    })
}

/// An answer counts as there when its file is; a failure needs no file.
fn is_complete(view: &RunView, context: &StatusContext) -> bool {
    match &view.outcome {
        None => false,
        Some(Outcome::Answered { .. }) => context.answer_file.is_some(),
        Some(Outcome::Failed { .. }) => true,
    }
}

/// A run that was stopped is not complete, but nobody works on it either.
fn unfinished(view: &RunView) -> &'static str {
    if view.stopped && view.outcome.is_none() { "interrupted" } else { "in_progress" }
}

fn finish_reason(view: &RunView) -> &'static str {
    if view.interrupted && view.outcome.is_some() {
        // Whatever the winner was chosen by: the user cut something short.
        return "interrupted";
    }
    match &view.outcome {
        None => "in_progress",
        Some(Outcome::Answered { basis, .. }) => match basis {
            Basis::Votes { .. } | Basis::SoleAgent | Basis::NoVoters { .. } => "completed",
            Basis::Deadline { .. } => "timeout",
            Basis::Budget { .. } => "budget",
            Basis::Interrupted { .. } => "interrupted",
        },
        Some(Outcome::Failed { reason }) => match reason {
            FailReason::AllAgentsFailed => "error",
            FailReason::Deadline => "timeout",
            FailReason::Budget => "budget",
            FailReason::Interrupted => "interrupted",
        },
    }
}

fn phase(view: &RunView) -> &'static str {
    let is_presented = match view.phase {
        Phase::Starting | Phase::Coordinating => false,
        Phase::Presenting | Phase::Reviewing => true,
        Phase::Finished => matches!(view.outcome, Some(Outcome::Answered { presented: true, .. })),
    };
    if is_presented {
        "presentation"
    } else if view.votes.current_answers().next().is_none() {
        "initial_answer"
    } else {
        "enforcement"
    }
}

fn status(agent: &AgentView) -> &'static str {
    match &agent.status {
        AgentStatus::Waiting => "waiting",
        AgentStatus::Thinking | AgentStatus::Streaming | AgentStatus::UsingTool { .. } => {
            "streaming"
        }
        AgentStatus::Answered { .. } => "answered",
        AgentStatus::Voted { .. } => "voted",
        AgentStatus::BackingOff { .. } => "restarting",
        AgentStatus::Retired { .. } => match error_kind(agent) {
            ErrorKind::Timeout => "timeout",
            ErrorKind::Error => "error",
        },
    }
}

enum ErrorKind {
    Timeout,
    Error,
}

fn error_kind(agent: &AgentView) -> ErrorKind {
    use massgen_protocol::RetireReason;
    match &agent.retired {
        Some(RetireReason::TimedOut { .. }) => ErrorKind::Timeout,
        Some(
            RetireReason::CallsFailed { .. }
            | RetireReason::NoChoice { .. }
            | RetireReason::SnapshotsFailed { .. }
            | RetireReason::Panicked { .. }
            | RetireReason::Budget,
        )
        | None => ErrorKind::Error,
    }
}

/// The error of an agent that is out, or that waits for its next try. One that
/// was overcome is history, and history is in the log.
fn error(agent: &AgentView) -> Value {
    let is_out = agent.retired.is_some();
    let waits = matches!(agent.status, AgentStatus::BackingOff { .. });
    let Some((at, message)) = agent.last_error.as_ref().filter(|_| is_out || waits) else {
        return Value::Null;
    };
    let kind = match error_kind(agent) {
        ErrorKind::Timeout => "timeout",
        ErrorKind::Error => "error",
    };
    json!({ "type": kind, "message": message, "timestamp": seconds(*at) })
}

/// An agent gives an answer, then a vote; one that has voted, or is out, owes
/// nothing more.
fn completion(view: &RunView, is_complete: bool) -> usize {
    // All that is left then is the presentation and the answer's file.
    const DECIDED: usize = 99;
    if is_complete {
        return 100;
    }
    if winner(view).is_some() {
        return DECIDED;
    }
    let owed = view.agents.len() * 2;
    let given = view.agents.iter().map(|agent| {
        let index = agent.card.alias;
        if agent.retired.is_some() || view.votes.ballots().contains_key(&index) {
            2
        } else {
            usize::from(view.votes.current_answer_of(index).is_some())
        }
    });
    (given.sum::<usize>() * 100).checked_div(owed).unwrap_or(0).min(DECIDED)
}

fn votes(view: &RunView) -> Map<String, Value> {
    let tally = view.votes.tally().into_iter().map(|(choice, n)| {
        let label = match view.votes.current_answer_of(choice) {
            Some(answer) => answer_label(answer.id),
            None => crate::names::alias(choice),
        };
        (label, Value::from(n))
    });
    tally.collect()
}

fn winner(view: &RunView) -> Option<massgen_protocol::AnswerId> {
    match &view.outcome {
        Some(Outcome::Answered { winner, .. }) => Some(*winner),
        Some(Outcome::Failed { .. }) => None,
        None => view.selection.as_ref().map(|selection| selection.winner),
    }
}

fn id_of(view: &RunView, agent: AgentIndex) -> Option<&str> {
    view.agent(agent).map(|agent| agent.card.id.0.as_str())
}

fn seconds(at: Millis) -> f64 {
    // Exact for any run shorter than 285,000 years.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let millis = at.0 as f64;
    millis / 1_000.0
}

fn dollars(micros: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nobody spends 2^53 millionths of a dollar")]
    let micros = micros as f64;
    micros / 1_000_000.0
}
