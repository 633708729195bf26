//! Puts the sources of an agent together: one list of tools, one way to call them.

mod arguments;
mod bound;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use massgen_protocol::{
    AgentIndex, OfferedTool, PermissionAnswer, RoundId, RoundKind, ToolCall, ToolCallId,
    ToolEffect, ToolName, ToolOutput, Toolset,
};

use crate::gate::Gate;
use crate::{Invocation, Reports, Sourced, ToolSource};

pub use bound::OUTPUT_BYTES_MAX;

/// What one agent has.
pub struct Kit {
    pub sources: Vec<Sourced>,
    /// Names that are not offered, whoever offers them.
    pub exclude: Vec<String>,
    /// Decides about its calls; without one all are let through.
    pub gate: Option<Arc<Gate>>,
}

/// The tools of all agents.
pub struct Host {
    agents: Vec<Seat>,
}

struct Seat {
    tools: BTreeMap<String, (ToolEffect, Arc<dyn ToolSource>)>,
    toolset: Toolset,
    gate: Option<Arc<Gate>>,
}

/// A call as the loop makes it.
pub struct HostCall {
    pub agent: AgentIndex,
    pub round: RoundId,
    pub kind: RoundKind,
    pub call: ToolCall,
    pub reports: Reports,
}

impl Host {
    /// `kits`: of the agents in their order.
    pub fn new(kits: Vec<Kit>) -> Host {
        Host { agents: kits.into_iter().map(Seat::new).collect() }
    }

    /// Returns each set of tools once, and by agent which is its.
    pub fn toolsets(&self) -> (Vec<Toolset>, Vec<Option<u32>>) {
        let mut sets: Vec<Toolset> = Vec::new();
        let of_agents = self.agents.iter().map(|seat| {
            if seat.toolset == Toolset::default() {
                return None;
            }
            let at = sets.iter().position(|set| *set == seat.toolset).unwrap_or_else(|| {
                sets.push(seat.toolset.clone());
                sets.len() - 1
            });
            u32::try_from(at).ok()
        });
        let of_agents = of_agents.collect();
        (sets, of_agents)
    }

    /// Makes one call. Dropping the future ends what it has started.
    pub fn call(&self, call: HostCall) -> BoxFuture<'static, ToolOutput> {
        let HostCall { agent, round, kind, call, reports } = call;
        let Some(seat) = self.agents.get(agent.at()) else {
            return ready(ToolOutput::error("there are no tools for this agent"));
        };
        let Some((effect, source)) = seat.tools.get(&call.name) else {
            return ready(ToolOutput::error(seat.unknown(&call.name)));
        };
        let arguments = match arguments::read(&call.arguments) {
            Ok(arguments) => arguments,
            Err(problem) => return ready(ToolOutput::error(problem)),
        };
        let (effect, source, gate) = (*effect, source.clone(), seat.gate.clone());
        let mut invocation =
            Invocation { agent, round, kind, id: call.id, name: call.name, arguments, reports };
        Box::pin(async move {
            let Some(gate) = gate else {
                return bound::bound(source.call(invocation).await);
            };
            if let Err(refused) = gate.before(&mut invocation, effect).await {
                return bound::bound(refused);
            }
            let mut output = source.call(invocation.clone()).await;
            gate.after(&invocation, &mut output).await;
            bound::bound(output)
        })
    }

    /// Passes on what became of a permission that a call asked for.
    pub fn permit(&self, round: RoundId, id: &ToolCallId, answer: PermissionAnswer) {
        let gate = self.agents.get(round.agent.at()).and_then(|seat| seat.gate.as_ref());
        if let Some(gate) = gate {
            // The first answer counts; nobody waits for a second.
            let _ = gate.permit(round, id, answer);
        }
    }
}

impl Seat {
    fn new(kit: Kit) -> Seat {
        let Kit { sources, exclude, gate } = kit;
        let mut tools: BTreeMap<String, (ToolEffect, Arc<dyn ToolSource>)> = BTreeMap::new();
        let mut offered: Vec<OfferedTool> = Vec::new();
        let mut missing = Vec::new();
        for Sourced { source, missing: lacking } in sources {
            missing.extend(lacking);
            for tool in source.tools() {
                let name = tool.spec.name.clone();
                if exclude.contains(&name) {
                    continue;
                }
                if ToolName::is_workflow(&name) || tools.contains_key(&name) {
                    missing.push(format!("{name}: a second tool of this name"));
                    continue;
                }
                tools.insert(name, (tool.effect, source.clone()));
                offered.push(tool);
            }
        }
        offered.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        Seat { tools, toolset: Toolset { tools: offered, missing }, gate }
    }

    fn unknown(&self, name: &str) -> String {
        // A name without its server's prefix is the commonest slip.
        let end = format!("__{name}");
        match self.tools.keys().find(|known| known.ends_with(&end)) {
            Some(known) => format!("there is no tool `{name}`; did you mean `{known}`?"),
            None => format!("there is no tool `{name}`"),
        }
    }
}

fn ready(output: ToolOutput) -> BoxFuture<'static, ToolOutput> {
    Box::pin(std::future::ready(output))
}
