//! The system prompt of a coordinating agent.

use massgen_protocol::{Alias, AnswerNovelty, PlacesTold, VotingSensitivity};

use crate::quote::inline;
use crate::section::{join, lines, section};
use crate::texts::{Prompts, TextName};

/// All that a system prompt depends on. It stays the same for all rounds of an
/// agent, so that the provider's prompt cache holds.
#[derive(Clone, Copy, Debug)]
pub struct SystemFacts<'a> {
    /// Not told by our own texts: an agent that knows its alias knows which answer is its own.
    pub alias: Alias,
    pub n_agents: u16,
    /// The user's own words for this agent; they come first, as they are.
    pub system_message: Option<&'a str>,
    pub sensitivity: VotingSensitivity,
    pub novelty: AnswerNovelty,
    /// Whether there are other tools than those of the coordination.
    pub has_tools: bool,
    /// Where its files are, if it works with any.
    pub places: Option<&'a PlacesTold>,
    /// Tools that were asked for and are not to be had.
    pub missing: &'a [String],
}

impl Prompts {
    /// Returns the system prompt: who the agent is, how to work, how to decide. A
    /// team of one hears nothing of others.
    pub fn system(&self, agent: &SystemFacts<'_>) -> String {
        let (alias, n_agents) = (agent.alias.to_string(), agent.n_agents.to_string());
        let values = [("alias", alias.as_str()), ("n_agents", n_agents.as_str())];
        let text = |name| self.fill(name, &values);
        let identity = wrapped("identity", agent.system_message.map_or("", str::trim).to_owned());
        let tools = if agent.has_tools { text(TextName::SystemTools) } else { String::new() };
        let files = wrapped("files", self.files(agent));
        if agent.n_agents <= 1 {
            return join([
                identity,
                wrapped("work", lines([text(TextName::SystemAlone), tools])),
                files,
                wrapped("decide", text(TextName::SystemDecideAlone)),
            ]);
        }
        join([
            identity,
            wrapped("team", text(TextName::SystemTeam)),
            wrapped("work", lines([text(TextName::SystemWork), tools])),
            files,
            wrapped(
                "decide",
                lines([
                    text(TextName::SystemDecide),
                    self.text(sensitivity(agent.sensitivity)).to_owned(),
                    self.text(novelty(agent.novelty)).to_owned(),
                ]),
            ),
        ])
    }
}

impl Prompts {
    fn files(&self, agent: &SystemFacts<'_>) -> String {
        let mut parts = Vec::new();
        if let Some(places) = agent.places {
            let values = [("workspace", places.workspace.as_str()), ("temp", &places.temp)];
            parts.push(self.fill(TextName::SystemFiles, &values));
            if !places.context.is_empty() {
                parts.push(self.text(TextName::SystemContext).to_owned());
            }
            parts.extend(places.context.iter().map(|path| {
                let path_told = format!("- {}", path.path);
                match &path.copy {
                    None => path_told,
                    Some(copy) => {
                        let copy = self.fill(TextName::SystemContextCopy, &[("copy", copy)]);
                        format!("{path_told} {copy}")
                    }
                }
            }));
        }
        if !agent.missing.is_empty() {
            parts.push(self.text(TextName::SystemMissing).to_owned());
            parts.extend(agent.missing.iter().map(|what| format!("- {}", inline(what))));
        }
        lines(parts)
    }
}

fn sensitivity(sensitivity: VotingSensitivity) -> TextName {
    match sensitivity {
        VotingSensitivity::Lenient => TextName::SensitivityLenient,
        VotingSensitivity::Balanced => TextName::SensitivityBalanced,
        VotingSensitivity::Strict => TextName::SensitivityStrict,
    }
}

fn novelty(novelty: AnswerNovelty) -> TextName {
    match novelty {
        AnswerNovelty::Lenient => TextName::NoveltyLenient,
        AnswerNovelty::Balanced => TextName::NoveltyBalanced,
        AnswerNovelty::Strict => TextName::NoveltyStrict,
    }
}

/// A section that the user emptied is left out with its tag.
fn wrapped(name: &str, body: String) -> String {
    if body.is_empty() { body } else { section(name, &body) }
}
