//! What an item is rendered from.

use massgen_protocol::{Alias, AnswerId};

/// What one agent has in view when an item is said to it.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub question: &'a str,
    pub viewer: Alias,
    /// In the viewer's own order, and only those to show with this item. For a
    /// review: the presented text, unless the conversation holds it already.
    pub answers: Vec<AnswerView<'a>>,
    /// Voter, choice and reason; for the presentation only, since ballots are
    /// sealed until the end.
    pub ballots: &'a [(Alias, Alias, &'a str)],
    /// The attempt before this one, if a review sent the team back.
    pub restart: Option<RestartView<'a>>,
    /// First message of this conversation: the question goes with it.
    pub first: bool,
    /// Broken rules until the round ends.
    pub enforce_left: u32,
    /// Whether answers have files that the viewer can read.
    pub snapshots: bool,
    /// Whether the viewer has a workspace of its own.
    pub has_workspace: bool,
}

/// A finding of another agent.
#[derive(Clone, Copy, Debug)]
pub struct InsightView<'a> {
    pub from: Alias,
    /// Which of its findings, from 1.
    pub n: u32,
    pub text: &'a str,
    /// Its evidence, by the name it has in the finding's folder.
    pub file: Option<&'a str>,
}

/// One answer to show.
#[derive(Clone, Copy, Debug)]
pub struct AnswerView<'a> {
    pub alias: Alias,
    pub label: AnswerId,
    pub text: &'a str,
    /// Whether the viewer wrote it. Never shown while votes are cast: agents
    /// that know which answer is theirs favour or abandon it for that reason.
    pub own: bool,
}

/// Why and how the team starts over.
#[derive(Clone, Copy, Debug)]
pub struct RestartView<'a> {
    pub reason: &'a str,
    pub instructions: &'a str,
    /// The presented answer that was sent back.
    pub answer: &'a str,
}

impl<'a> View<'a> {
    /// Returns the view of a first message with nothing to see but the question.
    pub fn new(question: &'a str, viewer: Alias) -> View<'a> {
        View {
            question,
            viewer,
            answers: Vec::new(),
            ballots: &[],
            restart: None,
            first: true,
            enforce_left: 0,
            snapshots: false,
            has_workspace: false,
        }
    }
}
