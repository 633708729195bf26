//! What a user may ask of a running session.

use serde::{Deserialize, Serialize};

use crate::{PermissionAnswer, RoundId, ToolCallId};

/// A user's wish. Each is legal at any time; one that comes too late changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Wrap up now and give the best answer there is. Ctrl-C once.
    Interrupt,
    /// Stop now without an answer; the run can be resumed. Ctrl-C twice.
    Stop,
    /// Answers a `permission_asked`. The first answer counts.
    Permit { round: RoundId, id: ToolCallId, answer: PermissionAnswer },
}
