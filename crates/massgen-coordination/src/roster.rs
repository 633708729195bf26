//! The agents in order and the names other models know them by.
//!
//! An alias follows from the place in the roster and from nothing else, so it
//! means one agent for the whole run: in prompts, tools, folders, votes and logs.

use massgen_protocol::{AgentIndex, Alias, AnswerId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roster {
    n_agents: u16,
}

/// Whom a vote means, as its model wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Agent(AgentIndex),
    /// `agent2.1`: models copy what they have read elsewhere; it is as good as the
    /// alias as long as that answer is the agent's newest.
    Answer(AnswerId),
}

impl Roster {
    pub fn new(n_agents: u16) -> Roster {
        Roster { n_agents }
    }

    pub fn n_agents(self) -> u16 {
        self.n_agents
    }

    pub fn agents(self) -> impl Iterator<Item = AgentIndex> {
        (0..self.n_agents).map(AgentIndex)
    }

    pub fn contains(self, agent: AgentIndex) -> bool {
        agent.0 < self.n_agents
    }

    /// Returns whom `text` names, or `None` if it names nobody of this roster.
    ///
    /// Models write `Agent 2`, `<agent2>` or just `2`; where only one agent can be
    /// meant, that agent is.
    pub fn read_choice(self, text: &str) -> Option<Choice> {
        let plain: String = text
            .chars()
            .filter(|&c| !(c.is_whitespace() || "_-<>`'\"*:".contains(c)))
            .flat_map(char::to_lowercase)
            .collect();
        let number = plain.strip_prefix("agent").unwrap_or(&plain);
        let text = format!("agent{number}");
        let choice = match text.parse::<Alias>() {
            Ok(alias) => Choice::Agent(alias.index()),
            Err(_) => Choice::Answer(text.parse().ok()?),
        };
        self.contains(choice.agent()).then_some(choice)
    }
}

impl Choice {
    pub fn agent(self) -> AgentIndex {
        match self {
            Choice::Agent(agent) => agent,
            Choice::Answer(answer) => answer.agent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Choice>) {
        assert_eq!(Roster::new(3).read_choice(text), expected, "{text:?}");
    }

    #[test]
    fn a_choice_is_an_alias_or_an_answer_of_the_roster() {
        check("agent1", Some(Choice::Agent(AgentIndex(0))));
        check(" agent3\n", Some(Choice::Agent(AgentIndex(2))));
        check("agent2.1", Some(Choice::Answer(AnswerId { agent: AgentIndex(1), n: 1 })));
        for first in ["Agent1", "agent 1", "agent_1", "AGENT-1", "<agent1>", "`agent1`", "1"] {
            check(first, Some(Choice::Agent(AgentIndex(0))));
        }
        for nobody in [
            "",
            "agent0",
            "agent4",
            "agent4.1",
            "agent",
            "agent2#1",
            "ä",
            "agent1 or agent2",
            "-",
            "one",
        ] {
            check(nobody, None);
        }
    }
}
