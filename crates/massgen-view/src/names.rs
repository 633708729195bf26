//! How agents are called in front of users.

use massgen_protocol::{AgentCard, AgentIndex, AnswerId};

/// The roster's names. Models know each other by alias alone; users also see
/// the name they gave: `agent2 (bob)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    full: Vec<String>,
}

impl Names {
    pub fn new<'a>(cards: impl IntoIterator<Item = &'a AgentCard>) -> Names {
        let full = cards.into_iter().map(|card| {
            let alias = card.alias.alias().to_string();
            // One who called an agent `agent1` need not read it twice.
            if card.id.0 == alias { alias } else { format!("{alias} ({})", card.id) }
        });
        Names { full: full.collect() }
    }

    /// Returns the agent's alias and its user's name for it.
    pub fn agent(&self, agent: AgentIndex) -> String {
        self.full.get(agent.at()).cloned().unwrap_or_else(|| alias(agent))
    }

    /// Returns the answer's label and its author's name: `agent2.1 (bob)`.
    pub fn answer(&self, answer: AnswerId) -> String {
        let label = label(answer);
        match self.full.get(answer.agent.at()).and_then(|name| name.split_once(' ')) {
            Some((_, id)) => format!("{label} {id}"),
            None => label,
        }
    }
}

/// Prints an alias without the overflow that a broken event could bring.
pub(crate) fn alias(agent: AgentIndex) -> String {
    format!("agent{}", u32::from(agent.0) + 1)
}

/// Prints an answer's label, for whatever agent.
pub(crate) fn label(answer: AnswerId) -> String {
    format!("{}.{}", alias(answer.agent), answer.n)
}
