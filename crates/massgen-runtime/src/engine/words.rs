//! From items to words: gathers what an agent may see and lets the prompts say it.

use std::collections::BTreeSet;

use massgen_coordination::Round;
use massgen_prompts::{AnswerView, RestartView, SystemFacts, View};
use massgen_protocol::{AgentIndex, Alias, AnswerId, Brief, Epoch, Item, Kept, SnapshotId};

use super::Engine;

/// What the attempt before this one left behind.
pub(super) struct Restart {
    pub(super) reason: String,
    pub(super) instructions: String,
    pub(super) answer: Option<Kept<String>>,
}

impl Engine {
    pub(super) fn system_words(&self, agent: AgentIndex) -> String {
        let spec = &self.spec.agents[agent.at()];
        self.prompts.system(&SystemFacts {
            alias: agent.alias(),
            n_agents: u16::try_from(self.agents.len()).unwrap_or(u16::MAX),
            system_message: spec.system_message.as_deref(),
            sensitivity: spec.voting_sensitivity.unwrap_or(self.spec.policy.voting_sensitivity),
            novelty: self.spec.policy.answer_novelty,
            has_tools: !self.agents[agent.at()].known_tools.is_empty(),
            places: spec.places.as_ref(),
            missing: self.spec.toolset(agent).map_or(&[], |set| &set.missing),
        })
    }

    /// Returns what `item` says to `agent`.
    pub(super) fn words(&self, agent: AgentIndex, item: &Item) -> String {
        let seat = &self.agents[agent.at()];
        let shown = self.answers_for(agent, item);
        let answers = shown.iter().filter_map(|answer| {
            let text = self.coordinator.answer_text(*answer)?;
            let alias = answer.agent.alias();
            Some(AnswerView { alias, label: *answer, text, own: answer.agent == agent })
        });
        // Ballots are sealed until the end.
        let is_presentation = matches!(item, Item::Brief(Brief::Present { .. }));
        let cast = if is_presentation { self.coordinator.ballots() } else { Vec::new() };
        let ballots: Vec<(Alias, Alias, &str)> = cast
            .iter()
            .map(|ballot| (ballot.voter.alias(), ballot.choice.alias(), ballot.reason.as_str()))
            .collect();
        let restart =
            self.restart.as_ref().filter(|_| matches!(item, Item::Brief(Brief::Coordinate { .. })));
        let has_files = |answer: &AnswerId| {
            self.coordinator
                .answer_snapshot(*answer)
                .is_some_and(|snapshot| *snapshot != SnapshotId::empty())
        };
        let enforce_left = seat.round.as_ref().map_or(0, |round: &Round| {
            (round.violations_max() + 1).saturating_sub(round.violations())
        });
        let view = View {
            question: &self.spec.question.text,
            viewer: agent.alias(),
            answers: answers.collect(),
            ballots: &ballots,
            restart: restart.map(|restart| RestartView {
                reason: &restart.reason,
                instructions: &restart.instructions,
                answer: restart.answer.as_ref().map_or("", Kept::text),
            }),
            first: seat.conversation.is_empty(),
            enforce_left,
            snapshots: shown.iter().any(has_files),
            has_workspace: self.spec.agents[agent.at()].places.is_some(),
        };
        self.prompts.item(item, &view)
    }

    /// Returns the answers that go with `item`, in the viewer's own order.
    fn answers_for(&self, agent: AgentIndex, item: &Item) -> Vec<AnswerId> {
        let unseen = |after: Option<Epoch>, epoch: Epoch, keep: Option<AnswerId>| {
            let before: BTreeSet<AnswerId> = match after {
                Some(after) => self.coordinator.answers_in_view(agent, after).into_iter().collect(),
                None => BTreeSet::new(),
            };
            let mut answers = self.coordinator.answers_in_view(agent, epoch);
            answers.retain(|answer| !before.contains(answer) || Some(*answer) == keep);
            answers
        };
        match item {
            Item::Brief(Brief::Coordinate { epoch, .. }) => unseen(None, *epoch, None),
            Item::Update { after, update } => unseen(Some(*after), update.epoch, None),
            // The others are in the conversation already; the winning one is
            // repeated, as it is what the presentation builds on.
            Item::Brief(Brief::Present { winner, epoch }) => {
                unseen(self.agents[agent.at()].conversation.shown, *epoch, Some(*winner))
            }
            Item::Brief(Brief::Review { .. })
            | Item::Enforce(_)
            | Item::Rejected(_)
            | Item::Accepted { .. }
            | Item::Counted
            | Item::NotRun
            | Item::Interrupted => Vec::new(),
        }
    }
}
