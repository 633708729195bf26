//! A run, as it stands.

use std::collections::VecDeque;
use std::sync::Arc;

use massgen_protocol::{
    AgentIndex, AnswerId, AttemptIndex, Basis, Deadline, Epoch, Event, Millis, Outcome, RunId,
    WrapUpReason,
};

use crate::{AgentView, CutShort, Ledger, Names, Timeline, VoteView};

/// Notices kept; more are only counted.
const NOTICES_MAX: usize = 200;

/// Everything there is to show of a run. Fold it from its first event on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunView {
    pub run: Option<RunId>,
    pub build: String,
    pub question: Option<String>,
    /// In the order of the roster.
    pub agents: Vec<AgentView>,
    pub names: Names,
    pub attempt: Option<AttemptIndex>,
    pub epoch: Epoch,
    pub phase: Phase,
    /// Why the team was told to decide with what exists.
    pub wrap_up: Option<WrapUpReason>,
    pub votes: VoteView,
    pub selection: Option<Selection>,
    pub outcome: Option<Outcome>,
    /// Who spent what.
    pub ledger: Ledger,
    /// Deadlines that were reached, in order, without back-offs.
    pub deadlines: Vec<(Millis, Deadline)>,
    /// Calls that were tried again, of all agents.
    pub retries: u64,
    /// Attempts that a review ordered.
    pub restarts: u32,
    /// How often the run was taken up again.
    pub resumes: u32,
    /// Whether the user asked to wrap up before the run was at its end anyway.
    pub interrupted: bool,
    /// Whether the user asked to stop at once, and nobody took the run up since.
    pub stopped: bool,
    /// Why the log is incomplete, if it is.
    pub recording_failed: Option<String>,
    pub timeline: Timeline,
    /// Moment of the newest event.
    pub at: Millis,
    pub last_seq: Option<u64>,
    /// Events that were never applied: what was missed by lagging behind.
    pub missed: u64,
    /// Events that name an agent which is not in the roster.
    pub misplaced: u64,
    pub(crate) notices: VecDeque<Notice>,
    pub(crate) notices_dropped: u64,
    pub(crate) presented: Option<Arc<String>>,
    pub(crate) cut_short: CutShort,
}

/// Where the run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Starting,
    Coordinating,
    Presenting,
    Reviewing,
    Finished,
}

/// Who presents, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    pub winner: AnswerId,
    pub basis: Basis,
}

/// Something people should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub seq: u64,
    pub at: Millis,
    pub agent: Option<AgentIndex>,
    pub level: Level,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl RunView {
    /// Takes the next event in. One that was applied before changes nothing, so
    /// that a log and a running session may overlap; one that leaves a gap is
    /// taken in and the gap counted in [`RunView::missed`].
    pub fn apply(&mut self, event: &Event) {
        let expected = self.last_seq.map_or(0, |last| last.saturating_add(1));
        if event.seq < expected {
            return;
        }
        self.missed = self.missed.saturating_add(event.seq - expected);
        self.last_seq = Some(event.seq);
        self.at = self.at.max(event.at);
        self.ledger.apply(event);
        self.fold(event);
    }

    pub fn agent(&self, agent: AgentIndex) -> Option<&AgentView> {
        self.agents.get(agent.at())
    }

    /// Returns the final text: the presenter's, or the winning answer as it was
    /// accepted where nobody presented it. `None` until there is a winner.
    pub fn final_text(&self) -> Option<&str> {
        let winner = match &self.outcome {
            Some(Outcome::Answered { winner, presented: false, .. }) => *winner,
            Some(Outcome::Failed { .. }) => return None,
            Some(Outcome::Answered { winner, presented: true, .. }) => {
                return self.presented_or(*winner);
            }
            None => return self.presented_or(self.selection.as_ref()?.winner),
        };
        self.votes.answer(winner).map(|answer| answer.text.as_str())
    }

    /// Returns the agent that writes the final text now.
    pub fn presenter(&self) -> Option<AgentIndex> {
        match self.phase {
            Phase::Presenting => self.selection.as_ref().map(|selection| selection.winner.agent),
            Phase::Starting | Phase::Coordinating | Phase::Reviewing | Phase::Finished => None,
        }
    }

    /// Returns the newest notices, oldest first, and how many older ones are no longer kept.
    pub fn notices(&self) -> (impl DoubleEndedIterator<Item = &Notice>, u64) {
        (self.notices.iter(), self.notices_dropped)
    }

    pub(crate) fn note(
        &mut self,
        event: &Event,
        agent: Option<AgentIndex>,
        level: Level,
        text: String,
    ) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
            self.notices_dropped += 1;
        }
        self.notices.push_back(Notice { seq: event.seq, at: event.at, agent, level, text });
    }

    fn presented_or(&self, winner: AnswerId) -> Option<&str> {
        let stored = || self.votes.answer(winner).map(|answer| &answer.text);
        self.presented.as_ref().or_else(stored).map(|text| text.as_str())
    }
}

impl Phase {
    /// Returns the phase in a word, for a list or a file.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Coordinating => "coordinating",
            Phase::Presenting => "presenting",
            Phase::Reviewing => "reviewing",
            Phase::Finished => "finished",
        }
    }
}
