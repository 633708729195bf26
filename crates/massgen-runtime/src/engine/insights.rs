//! Findings that agents share while they work: each of the others is told at its next safe
//! point, without a restart.

use massgen_protocol::{AgentIndex, Alias, SnapshotId};

use super::Engine;

/// Findings an agent is told of at once; more of them come with what it is told next.
const TOLD_AT_ONCE_MAX: usize = 8;

/// Findings the run remembers. A team that shares more talks instead of working.
const INSIGHTS_MAX: usize = 1_000;

/// All findings of the run, in their order.
#[derive(Debug, Default)]
pub(super) struct Insights(Vec<Insight>);

#[derive(Debug)]
struct Insight {
    from: AgentIndex,
    /// Which of its author's, from 1.
    n: u32,
    text: String,
    file: Option<String>,
    evidence: Option<SnapshotId>,
}

impl Insights {
    /// Returns the evidence of the first `told` findings.
    pub(super) fn evidence(&self, told: usize) -> Vec<(Alias, u32, SnapshotId)> {
        let told = self.0.iter().take(told);
        told.filter_map(|one| Some((one.from.alias(), one.n, one.evidence.clone()?))).collect()
    }
}

impl Engine {
    pub(super) fn take_insight(
        &mut self,
        from: AgentIndex,
        text: &str,
        file: Option<&str>,
        evidence: Option<SnapshotId>,
    ) {
        if self.insights.0.len() >= INSIGHTS_MAX {
            return;
        }
        let before = self.insights.0.iter().filter(|one| one.from == from).count();
        self.insights.0.push(Insight {
            from,
            n: u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1),
            text: text.to_owned(),
            file: file.map(str::to_owned),
            evidence,
        });
    }

    /// Returns what the others have found since this agent was told last.
    pub(super) fn news(&mut self, agent: AgentIndex) -> Option<String> {
        let seat = &mut self.agents[agent.at()];
        let mut told = Vec::new();
        while told.len() < TOLD_AT_ONCE_MAX {
            let Some(one) = self.insights.0.get(seat.insights_told) else { break };
            seat.insights_told += 1;
            if one.from != agent {
                told.push(one);
            }
        }
        if told.is_empty() {
            return None;
        }
        let told: Vec<massgen_prompts::InsightView<'_>> = told
            .iter()
            .map(|one| massgen_prompts::InsightView {
                from: one.from.alias(),
                n: one.n,
                text: &one.text,
                file: one.file.as_deref().filter(|_| one.evidence.is_some()),
            })
            .collect();
        Some(self.prompts.insights(&told))
    }
}
