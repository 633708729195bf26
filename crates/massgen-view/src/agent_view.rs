//! One agent, as it stands.

use std::sync::Arc;

use massgen_protocol::{
    AgentCard, AgentIndex, AnswerId, CallFailure, Epoch, Millis, RetireReason, RoundId, RoundKind,
};

use crate::Transcript;

/// One agent of the roster.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentView {
    pub card: AgentCard,
    pub status: AgentStatus,
    /// The round it is in.
    pub round: Option<RoundView>,
    pub transcript: Transcript,
    /// Answers that were accepted, in all attempts.
    pub answers: u32,
    /// Votes that were counted, void ones included.
    pub votes: u32,
    /// Calls that its driver tried again.
    pub retries: u32,
    /// Calls that failed for good.
    pub failures: u32,
    /// How often a newer answer had it decide again.
    pub restarts: u32,
    /// Submissions refused and rules it had to be told.
    pub violations: u32,
    /// Why it no longer votes.
    pub retired: Option<RetireReason>,
    /// What went wrong last, for people.
    pub last_error: Option<(Millis, String)>,
    /// When it last did anything.
    pub active_at: Millis,
    /// Submitted, and not yet proposed as an answer.
    pub(crate) submitted: Option<(RoundId, Arc<String>)>,
    /// Proposed, and waiting for its snapshot.
    pub(crate) proposed: Option<(AnswerId, Arc<String>)>,
    /// The failure that was last told in full.
    pub(crate) told: Option<CallFailure>,
}

/// The round an agent is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundView {
    pub id: RoundId,
    pub kind: RoundKind,
    /// The answers in view are the newest at this epoch.
    pub epoch: Epoch,
    pub vote_only: bool,
}

/// What an agent is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentStatus {
    Waiting,
    /// Its model works and shows nothing yet, or reasons.
    Thinking,
    /// Text or a tool call is coming.
    Streaming,
    UsingTool {
        name: String,
    },
    Answered {
        answer: AnswerId,
    },
    Voted {
        choice: AgentIndex,
    },
    /// A call failed; it is tried again at this moment.
    BackingOff {
        until: Millis,
    },
    Retired {
        reason: RetireReason,
    },
}

impl AgentView {
    pub(crate) fn new(card: AgentCard) -> AgentView {
        AgentView {
            card,
            status: AgentStatus::Waiting,
            round: None,
            transcript: Transcript::default(),
            answers: 0,
            votes: 0,
            retries: 0,
            failures: 0,
            restarts: 0,
            violations: 0,
            retired: None,
            last_error: None,
            active_at: Millis(0),
            submitted: None,
            proposed: None,
            told: None,
        }
    }

    /// Returns whether its model or a tool of it is at work.
    pub fn is_working(&self) -> bool {
        match self.status {
            AgentStatus::Thinking | AgentStatus::Streaming | AgentStatus::UsingTool { .. } => true,
            AgentStatus::Waiting
            | AgentStatus::Answered { .. }
            | AgentStatus::Voted { .. }
            | AgentStatus::BackingOff { .. }
            | AgentStatus::Retired { .. } => false,
        }
    }

    /// Sets the status of an agent that does nothing now.
    pub(crate) fn rest(&mut self) {
        self.status = match &self.retired {
            Some(reason) => AgentStatus::Retired { reason: reason.clone() },
            None => AgentStatus::Waiting,
        };
    }
}

impl AgentStatus {
    /// Returns the status in a word or two, for a list or a file.
    pub fn word(&self) -> &'static str {
        match self {
            AgentStatus::Waiting => "waiting",
            AgentStatus::Thinking => "thinking",
            AgentStatus::Streaming => "streaming",
            AgentStatus::UsingTool { .. } => "using_tool",
            AgentStatus::Answered { .. } => "answered",
            AgentStatus::Voted { .. } => "voted",
            AgentStatus::BackingOff { .. } => "backing_off",
            AgentStatus::Retired { .. } => "retired",
        }
    }
}
