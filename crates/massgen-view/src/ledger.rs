//! Who spent what: by agent, round, model and tool.

use std::collections::BTreeMap;

use massgen_protocol::{
    AgentIndex, AssistantTurn, CallId, Event, EventBody, RoundId, RoundKind, Spend,
};
use serde_json::{Map, Value, json};

use crate::CostView;
use crate::words::preview;

/// Rounds listed; a run has a few dozen. Later ones count in all sums but their own.
const ROUNDS_MAX: usize = 10_000;

/// Models and tools listed by name; models make names of tools up. The others share
/// one line.
const NAMES_MAX: usize = 200;
const OTHERS: &str = "(others)";
/// Characters of a name.
const NAME_CHARS: usize = 80;

/// Tools one call may start at its provider and be charged to; a coding agent starts
/// a few dozen.
const REMOTE_TOOLS_MAX: usize = 1_000;

/// What a run cost, split in every way that is shown. Fold it from its first event on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    pub total: CostView,
    pub agents: BTreeMap<AgentIndex, CostView>,
    pub rounds: BTreeMap<RoundId, RoundCost>,
    /// By the model that answered, where its provider tells; otherwise by the one that was
    /// asked.
    pub models: BTreeMap<String, CostView>,
    pub tools: BTreeMap<String, ToolCost>,
    /// By agent: what was asked, and the tools its running call has started elsewhere.
    asked: BTreeMap<AgentIndex, String>,
    remote: BTreeMap<AgentIndex, (CallId, Vec<String>)>,
}

/// What one round cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundCost {
    pub kind: RoundKind,
    pub cost: CostView,
}

/// What was spent on having a tool used: what the calls cost that asked for it, split
/// evenly over all the tools a call asked for, those included that ran at the provider.
/// A call that asked for no tool, or came to nothing, is charged to none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolCost {
    /// How often it was asked for.
    pub n_uses: u64,
    pub tokens: u64,
    pub money_micros: u64,
}

impl Ledger {
    /// Takes the next event in.
    pub fn apply(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunStarted { agents, .. } => {
                let cards = agents.iter().map(|card| (card.alias, card.model.clone()));
                self.asked = cards.collect();
            }
            EventBody::RoundOpened { round, kind, .. } if self.rounds.len() < ROUNDS_MAX => {
                let opened = RoundCost { kind: *kind, cost: CostView::default() };
                self.rounds.entry(*round).or_insert(opened);
            }
            EventBody::RemoteToolStarted { call, name, .. } => {
                let (running, names) =
                    self.remote.entry(call.round.agent).or_insert((*call, Vec::new()));
                if running != call {
                    (*running, *names) = (*call, Vec::new());
                }
                if names.len() < REMOTE_TOOLS_MAX {
                    names.push(preview(name, NAME_CHARS));
                }
            }
            EventBody::CallRetried { call, .. } => {
                self.charge(*call, None, &CostView { retries: 1, ..CostView::default() });
            }
            EventBody::CallFellBack { call, .. } => {
                self.charge(*call, None, &CostView { fallbacks: 1, ..CostView::default() });
            }
            EventBody::CallFinished { call, turn, spend } => {
                let turn = turn.get().map(|turn| turn.as_ref());
                let mut cost = CostView::default();
                cost.finished(spend, turn.map(|turn| &turn.usage));
                self.charge(*call, turn.and_then(|turn| turn.model.as_deref()), &cost);
                self.charge_tools(*call, turn, &cost.useful);
            }
            EventBody::CallFailed { call, spend, .. }
            | EventBody::CallCancelled { call, spend } => {
                let mut cost = CostView::default();
                cost.gave_up(spend);
                self.charge(*call, None, &cost);
                self.remote.remove(&call.round.agent);
            }
            // Nothing else costs anything.
            _ => {}
        }
    }

    pub fn agent(&self, agent: AgentIndex) -> CostView {
        self.agents.get(&agent).copied().unwrap_or_default()
    }

    /// Returns an agent's rounds, in order.
    pub fn rounds_of(&self, agent: AgentIndex) -> impl Iterator<Item = (RoundId, &RoundCost)> {
        let of_agent = RoundId { agent, n: 0 }..=RoundId { agent, n: u32::MAX };
        self.rounds.range(of_agent).map(|(id, round)| (*id, round))
    }

    /// Returns the sum of all rounds but each agent's first: from there on a
    /// conversation can be served from the provider's cache.
    pub fn later_rounds(&self) -> CostView {
        let mut sum = CostView::default();
        for (_, round) in self.rounds.iter().filter(|(id, _)| id.n > 1) {
            sum.add(&round.cost);
        }
        sum
    }

    /// Returns how the sums stand that this event has changed, for programs.
    pub fn totals_after(&self, event: &Event) -> Option<Value> {
        let (call, turn) = match &event.body {
            EventBody::CallFinished { call, turn, .. } => (call, turn.get()),
            EventBody::CallFailed { call, .. } | EventBody::CallCancelled { call, .. } => {
                (call, None)
            }
            _ => return None,
        };
        let tools = turn.into_iter().flat_map(|turn| turn.tool_calls()).filter_map(|tool| {
            let (name, cost) = self.tools.get_key_value(&preview(&tool.name, NAME_CHARS))?;
            Some((name.clone(), cost.to_json()))
        });
        Some(json!({
            "run": self.total.to_json(),
            "agent": self.agent(call.round.agent).to_json(),
            "round": self.rounds.get(&call.round).map(|round| round.cost.to_json()),
            "tools": tools.collect::<Map<String, Value>>(),
        }))
    }

    fn charge(&mut self, call: CallId, answered: Option<&str>, cost: &CostView) {
        let agent = call.round.agent;
        self.total.add(cost);
        self.agents.entry(agent).or_default().add(cost);
        if let Some(round) = self.rounds.get_mut(&call.round) {
            round.cost.add(cost);
        }
        let asked = self.asked.get(&agent).map_or("", String::as_str);
        let model = match answered {
            // `gpt-5.4-2026-03-05` is what was asked for as `gpt-5.4`.
            Some(answered) if !answered.is_empty() && !answered.starts_with(asked) => answered,
            Some(_) | None => asked,
        };
        if !model.is_empty() {
            let model = preview(model, NAME_CHARS);
            entry(&mut self.models, model).add(cost);
        }
    }

    fn charge_tools(&mut self, call: CallId, turn: Option<&AssistantTurn>, spend: &Spend) {
        let remote = self.remote.remove(&call.round.agent);
        let mut names = match remote {
            Some((of, names)) if of == call => names,
            Some(_) | None => Vec::new(),
        };
        let asked = turn.into_iter().flat_map(AssistantTurn::tool_calls);
        names.extend(asked.map(|tool| preview(&tool.name, NAME_CHARS)));
        let n_tools = names.len() as u64;
        for (n, name) in (0..).zip(names) {
            let cost = entry(&mut self.tools, name);
            cost.n_uses = cost.n_uses.saturating_add(1);
            cost.tokens = cost.tokens.saturating_add(share(spend.tokens, n, n_tools));
            cost.money_micros =
                cost.money_micros.saturating_add(share(spend.money_micros, n, n_tools));
        }
    }
}

impl ToolCost {
    /// Returns the same for programs, money in millionths of a dollar.
    pub fn to_json(&self) -> Value {
        json!({ "uses": self.n_uses, "tokens": self.tokens, "money_micros": self.money_micros })
    }
}

/// Returns the `n`-th of `of` parts that differ by one at most and make up the whole.
fn share(whole: u64, n: u64, of: u64) -> u64 {
    whole / of + u64::from(n < whole % of)
}

fn entry<T: Default>(of: &mut BTreeMap<String, T>, name: String) -> &mut T {
    let is_full = of.len() >= NAMES_MAX && !of.contains_key(&name);
    of.entry(if is_full { OTHERS.to_owned() } else { name }).or_default()
}
