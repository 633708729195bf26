//! `massgen runs show --cost`: who spent what, and what of it was for nothing.

use std::fmt::Write as _;

use massgen_log::RunDir;
use massgen_view::{CostView, RunView, words};
use serde_json::{Map, Value, json};

use crate::output::{clean, grouped, one_line};

/// Characters of a name in the first column.
const NAME_CHARS: usize = 40;

const HEAD: [&str; 10] = [
    "calls",
    "uncached",
    "cache read",
    "cache write",
    "output",
    "reasoning",
    "cached",
    "wasted",
    "again",
    "cost",
];

/// Returns the tables of a run, for people.
pub fn tables(view: &RunView) -> String {
    let ledger = &view.ledger;
    let mut rows: Vec<(String, [String; 10])> = Vec::new();
    for agent in &view.agents {
        let index = agent.card.alias;
        rows.push((view.names.agent(index), cells(&ledger.agent(index))));
        for (id, round) in ledger.rounds_of(index) {
            let name = format!("  {} {}", words::round_kind(round.kind), id.n);
            rows.push((name, cells(&round.cost)));
        }
    }
    rows.push(("all".to_owned(), cells(&ledger.total)));
    let mut text = table("agent, round", &HEAD, &rows);
    if let Some(share) = ledger.later_rounds().cached_share() {
        let _ =
            writeln!(text, "after first rounds, {} of input came from the cache", percent(share));
    }
    let models = ledger.models.iter().map(|(name, cost)| (name.clone(), cells(cost)));
    let models: Vec<_> = models.collect();
    if !models.is_empty() {
        text.push('\n');
        text.push_str(&table("model", &HEAD, &models));
    }
    let tools = ledger.tools.iter().map(|(name, cost)| {
        let used = [cost.n_uses, cost.tokens].map(grouped);
        let [n_uses, tokens] = used;
        (name.clone(), [n_uses, tokens, words::money(cost.money_micros)])
    });
    let tools: Vec<_> = tools.collect();
    if !tools.is_empty() {
        text.push('\n');
        text.push_str(&table("tool", &["uses", "tokens", "cost"], &tools));
    }
    text.push_str(
        "\ncached: share of input served from the provider's cache; wasted: tokens of calls and \
         tries that came to nothing\nagain: tries made again, and +n calls handed to another \
         model; a tool costs its share of the calls that asked for it\n",
    );
    if ledger.total.total().money_micros == 0 {
        text.push_str("no prices are known for these models: give them with `prices:`\n");
    }
    clean(&text).into_owned()
}

/// Returns the same for programs.
pub fn to_json(run: &RunDir, view: &RunView) -> Value {
    let ledger = &view.ledger;
    let agents = view.agents.iter().map(|agent| {
        let index = agent.card.alias;
        let rounds = ledger.rounds_of(index).map(|(id, round)| {
            let mut cost = round.cost.to_json();
            if let Some(cost) = cost.as_object_mut() {
                cost.insert("round".to_owned(), json!(id.n));
                cost.insert("kind".to_owned(), json!(round.kind));
            }
            cost
        });
        let cost = json!({
            "alias": index,
            "model": agent.card.model,
            "backend": agent.card.backend,
            "total": ledger.agent(index).to_json(),
            "rounds": rounds.collect::<Vec<_>>(),
        });
        (agent.card.id.0.clone(), cost)
    });
    let models = ledger.models.iter().map(|(name, cost)| (name.clone(), cost.to_json()));
    let tools = ledger.tools.iter().map(|(name, cost)| (name.clone(), cost.to_json()));
    json!({
        "run": run.id(),
        "total": ledger.total.to_json(),
        "after_first_rounds": ledger.later_rounds().to_json(),
        "agents": agents.collect::<Map<String, Value>>(),
        "models": models.collect::<Map<String, Value>>(),
        "tools": tools.collect::<Map<String, Value>>(),
    })
}

fn cells(cost: &CostView) -> [String; 10] {
    let (total, usage) = (cost.total(), &cost.usage);
    let classes =
        [usage.input_uncached, usage.cache_read, usage.cache_write, usage.output, usage.reasoning];
    let [uncached, cache_read, cache_write, output, reasoning] = classes.map(grouped);
    let wasted = match (cost.wasted.tokens, cost.wasted.money_micros) {
        (tokens, 0) => grouped(tokens),
        (tokens, money) => format!("{} ({})", grouped(tokens), words::money(money)),
    };
    let again = match cost.fallbacks {
        0 => cost.retries.to_string(),
        fallbacks => format!("{} +{fallbacks}", cost.retries),
    };
    [
        total.calls.to_string(),
        uncached,
        cache_read,
        cache_write,
        output,
        reasoning,
        cost.cached_share().map_or("–".to_owned(), percent),
        wasted,
        again,
        words::money(total.money_micros),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Sets names to the left and numbers to the right.
fn table<const N: usize>(corner: &str, head: &[&str; N], rows: &[(String, [String; N])]) -> String {
    let rows: Vec<(String, &[String; N])> =
        rows.iter().map(|(name, cells)| (one_line_indented(name), cells)).collect();
    let chars = |text: &str| text.chars().count();
    let first = rows.iter().map(|(name, _)| chars(name)).max().unwrap_or(0).max(chars(corner));
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|(_, cells)| chars(&cells[column]));
        cells.max().unwrap_or(0).max(chars(head[column]))
    });
    let mut text = format!("{corner:<first$}");
    for (name, width) in head.iter().zip(widths) {
        let _ = write!(text, "  {name:>width$}");
    }
    text.push('\n');
    for (name, cells) in rows {
        let _ = write!(text, "{name:<first$}");
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

/// Bounds a name, and keeps the blanks that set a round under its agent.
fn one_line_indented(name: &str) -> String {
    let indent = &name[..name.len() - name.trim_start_matches(' ').len()];
    format!("{indent}{}", one_line(name, NAME_CHARS))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use massgen_protocol::{
        AgentCard, AgentId, AgentIndex, Arguments, AssistantTurn, CallFailure, CallId, Epoch,
        Event, EventBody, FailureKind, FinishReason, Kept, Millis, Part, RoundId, RoundKind, RunId,
        Spend, ToolCall, ToolCallId, Usage,
    };

    use super::*;

    /// Two rounds of one agent: the second from the cache, after a try that failed.
    fn view() -> RunView {
        let agent = AgentIndex(0);
        let call = |n| CallId { round: RoundId { agent, n }, n: 1 };
        let opened = |n| EventBody::RoundOpened {
            round: RoundId { agent, n },
            kind: RoundKind::Coordinate,
            epoch: Epoch(0),
            vote_only: false,
        };
        let finished = |n, usage: Usage, spend, tool: &str| {
            let asked = ToolCall {
                id: ToolCallId("c".to_owned()),
                name: tool.to_owned(),
                arguments: Arguments::Object { value: Default::default() },
            };
            let turn = AssistantTurn {
                parts: vec![Part::ToolCall(asked)],
                finish: FinishReason::ToolCalls,
                usage,
                model: Some("gpt-5.4-2026-03-05".to_owned()),
            };
            EventBody::CallFinished { call: call(n), turn: Kept::inline(turn), spend }
        };
        let first = Usage {
            input_uncached: 1_000,
            cache_write: 200,
            output: 50,
            reasoning: 10,
            cost_micros: Some(20_000),
            ..Usage::default()
        };
        let second = Usage { input_uncached: 100, cache_read: 1_900, cache_write: 0, ..first };
        let failure = CallFailure {
            kind: FailureKind::TimedOut,
            message: "silent for 120 s".to_owned(),
            status: None,
            retry_after_ms: None,
        };
        let card = AgentCard {
            id: AgentId("careful".to_owned()),
            alias: agent,
            model: "gpt-5.4".to_owned(),
            backend: "openai".to_owned(),
        };
        let spent = |tokens, money_micros| Spend { calls: 1, tokens, money_micros };
        let bodies = [
            EventBody::RunStarted {
                run: RunId("r".to_owned()),
                build: "b".to_owned(),
                agents: vec![card],
            },
            opened(1),
            finished(1, first, spent(1_260, 20_000), "new_answer"),
            opened(2),
            EventBody::CallRetried { call: call(2), failure, after_ms: 1, attempt: 1 },
            finished(2, second, spent(3_060, 25_000), "vote"),
        ];
        let mut view = RunView::default();
        for (seq, body) in (0..).zip(bodies) {
            view.apply(&Event { seq, at: Millis(seq), body });
        }
        view
    }

    #[test]
    fn a_cost_table_reads_like_this() {
        insta::assert_snapshot!(tables(&view()), @r"
        agent, round      calls  uncached  cache read  cache write  output  reasoning  cached           wasted  again     cost
        agent1 (careful)      2     1,100       1,900          200     100         20  59.4 %  1,000 ($0.0050)      1  $0.0450
          round 1             1     1,000           0          200      50         10   0.0 %                0      0    $0.02
          round 2             1       100       1,900            0      50         10  95.0 %  1,000 ($0.0050)      1  $0.0250
        all                   2     1,100       1,900          200     100         20  59.4 %  1,000 ($0.0050)      1  $0.0450
        after first rounds, 95.0 % of input came from the cache

        model    calls  uncached  cache read  cache write  output  reasoning  cached           wasted  again     cost
        gpt-5.4      2     1,100       1,900          200     100         20  59.4 %  1,000 ($0.0050)      1  $0.0450

        tool        uses  tokens   cost
        new_answer     1   1,260  $0.02
        vote           1   2,060  $0.02

        cached: share of input served from the provider's cache; wasted: tokens of calls and tries that came to nothing
        again: tries made again, and +n calls handed to another model; a tool costs its share of the calls that asked for it
        ");
    }
}
