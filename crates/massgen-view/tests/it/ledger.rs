//! Who spent what.

use massgen_protocol::{
    AgentIndex, Arguments, AssistantTurn, EventBody, FailureKind, FinishReason, Kept, Part,
    RoundId, RoundKind, ToolCall, ToolCallId, Usage,
};
use massgen_view::{Ledger, ToolCost};

use crate::script::{ADA, BOB, EVE, Script, call, failure, spend};

const USAGE: Usage = Usage {
    input_uncached: 100,
    cache_read: 900,
    cache_write: 0,
    output: 60,
    reasoning: 40,
    cost_micros: Some(1_000),
};

/// A finished call that asked for these tools.
fn finished(agent: AgentIndex, n: u32, model: Option<&str>, tools: &[&str]) -> EventBody {
    let asked = tools.iter().enumerate().map(|(at, name)| {
        Part::ToolCall(ToolCall {
            id: ToolCallId(format!("call-{at}")),
            name: (*name).to_owned(),
            arguments: Arguments::Object { value: Default::default() },
        })
    });
    let turn = AssistantTurn {
        parts: asked.collect(),
        finish: FinishReason::ToolCalls,
        usage: USAGE,
        model: model.map(str::to_owned),
    };
    EventBody::CallFinished {
        call: call(agent, n),
        turn: Kept::inline(turn),
        spend: spend(1_100, 1_000),
    }
}

fn tool(ledger: &Ledger, name: &str) -> ToolCost {
    ledger.tools.get(name).copied().unwrap_or_default()
}

#[test]
fn every_split_adds_up_to_the_whole() {
    let mut script = Script::start();
    script.push(finished(ADA, 1, None, &["vote"]));
    script.open(ADA, 2, RoundKind::Coordinate, 1);
    script.push(finished(ADA, 2, None, &["vote"]));
    script.push(finished(BOB, 1, None, &[]));
    let (failure, lost) = (failure(FailureKind::TimedOut, ""), spend(70, 7));
    script.push(EventBody::CallFailed { call: call(EVE, 1), failure, spend: lost });
    let ledger = &script.view.ledger;
    let total = ledger.total.total();
    assert_eq!((total.calls, total.tokens, total.money_micros), (4, 3_370, 3_007));
    let sum = |spent: &mut dyn Iterator<Item = u64>| spent.sum::<u64>();
    let agents = sum(&mut ledger.agents.values().map(|cost| cost.total().tokens));
    let rounds = sum(&mut ledger.rounds.values().map(|round| round.cost.total().tokens));
    let models = sum(&mut ledger.models.values().map(|cost| cost.total().tokens));
    assert_eq!([agents, rounds, models], [total.tokens; 3]);
    let of_ada: Vec<_> = ledger.rounds_of(ADA).map(|(id, _)| id.n).collect();
    assert_eq!(of_ada, [1, 2]);
    assert_eq!(ledger.total.wasted, spend(70, 7));
}

#[test]
fn a_calls_cost_is_split_over_the_tools_it_asked_for() {
    let mut script = Script::start();
    let input = Kept::from("{}");
    script.push(EventBody::RemoteToolStarted {
        call: call(ADA, 1),
        id: "ws_1".to_owned(),
        name: "web_search".to_owned(),
        input: input.clone(),
    });
    script.push(finished(ADA, 1, None, &["new_answer", "read_file"]));
    let ledger = &script.view.ledger;
    // 1100 tokens and 1000 millionths in three parts.
    let cost = |tokens, money_micros| ToolCost { n_uses: 1, tokens, money_micros };
    assert_eq!(tool(ledger, "web_search"), cost(367, 334));
    assert_eq!(tool(ledger, "new_answer"), cost(367, 333));
    assert_eq!(tool(ledger, "read_file"), cost(366, 333));

    // What a call that failed had started is charged to nothing.
    let mut script = Script::start();
    let (id, name) = ("ws_2".to_owned(), "web_search".to_owned());
    script.push(EventBody::RemoteToolStarted { call: call(BOB, 1), id, name, input });
    script.push(EventBody::CallCancelled { call: call(BOB, 1), spend: spend(10, 1) });
    script.push(finished(BOB, 2, None, &["vote"]));
    assert_eq!(script.view.ledger.tools.keys().collect::<Vec<_>>(), ["vote"]);
}

#[test]
fn a_model_is_named_as_it_was_asked_for_unless_another_answers() {
    let mut script = Script::start();
    script.push(finished(ADA, 1, Some("model-0-2026-03-05"), &[]));
    script.push(finished(ADA, 2, Some("elsewhere/model-9"), &[]));
    script.push(finished(BOB, 1, Some(""), &[]));
    let models: Vec<&str> = script.view.ledger.models.keys().map(String::as_str).collect();
    assert_eq!(models, ["elsewhere/model-9", "model-0", "model-1"]);
}

#[test]
fn retries_and_fallbacks_are_counted_where_they_happened() {
    let mut script = Script::start();
    let slow = || failure(FailureKind::RateLimited, "slow down");
    let retried =
        EventBody::CallRetried { call: call(ADA, 1), failure: slow(), after_ms: 1, attempt: 1 };
    script.push(retried);
    let to = "groq llama".to_owned();
    script.push(EventBody::CallFellBack { call: call(ADA, 1), failure: slow(), to });
    let ledger = &script.view.ledger;
    let round = ledger.rounds[&RoundId { agent: ADA, n: 1 }].cost;
    assert_eq!((round.retries, round.fallbacks), (1, 1));
    assert_eq!((ledger.total.retries, ledger.total.fallbacks), (1, 1));
    assert_eq!(ledger.agent(BOB).retries, 0);
}

#[test]
fn the_cache_is_judged_from_the_second_round_on() {
    let mut script = Script::start();
    script.push(finished(ADA, 1, None, &[]));
    assert_eq!(script.view.ledger.later_rounds().cached_share(), None);
    script.open(ADA, 2, RoundKind::Coordinate, 1);
    script.push(finished(ADA, 2, None, &[]));
    assert_eq!(script.view.ledger.later_rounds().cached_share(), Some(0.9));
}

#[test]
fn names_that_models_make_up_do_not_fill_memory() {
    let mut script = Script::start();
    for n in 0..1_000_u32 {
        script.push(finished(ADA, 1, None, &[&format!("tool-{n}-{}", "x".repeat(10_000))]));
    }
    let tools = &script.view.ledger.tools;
    assert_eq!(tools.len(), 201);
    assert!(tools.keys().all(|name| name.chars().count() <= 81));
    assert_eq!(tools["(others)"].n_uses, 800);
}

#[test]
fn an_event_that_ends_a_call_tells_how_the_sums_stand() {
    let mut script = Script::start();
    script.push(finished(ADA, 1, None, &["vote"]));
    let ledger = &script.view.ledger;
    let totals = ledger.totals_after(script.events.last().unwrap()).unwrap();
    assert_eq!(totals["run"]["money_micros"], 1_000);
    assert_eq!(totals["agent"]["cache_read"], 900);
    assert_eq!(totals["round"]["calls"], 1);
    assert_eq!(totals["tools"]["vote"]["uses"], 1);
    assert_eq!(ledger.totals_after(&script.events[0]), None);
}
