//! Short findings for the other agents, at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use massgen_protocol::{RoundId, SnapshotId, ToolEffect, ToolOutput, ToolReport};
use massgen_workspace::{Guard, Kind as FileKind};

use super::params::{Given, Kind, Param, Tool};
use super::{Invocation, Toolbox, blocking};

/// Characters of one finding: it is read by everybody in the middle of something else.
const TEXT_MAX: usize = 1_000;
/// Findings of one round.
const PER_ROUND_MAX: usize = 5;

static SHARE: Tool = Tool {
    name: "share_insight",
    does: "Tells the other agents a short finding at once, so that they need not find it themselves. \
           Name the file in your workspace that proves it: they get a copy. Not for answers, votes or plans.",
    effect: ToolEffect::Write,
    takes: &[
        Param::need("text", Kind::Text, "The finding in one or two sentences")
            .or(&["insight", "finding", "message"]),
        Param::may("file", Kind::Text, "A file in the workspace that proves it")
            .or(&["path", "evidence"]),
    ],
};

/// Keeps a copy of the evidence for a finding.
pub trait InsightKeeper: Send + Sync {
    /// Copies one file of the agent's workspace, given relative to it. Blocks.
    ///
    /// # Errors
    /// Why there is no copy, in words for the model.
    fn keep(&self, path: &Path) -> Result<SnapshotId, String>;
}

pub(super) struct Insights {
    guard: Option<Arc<Guard>>,
    keeper: Arc<dyn InsightKeeper>,
    // The newest rounds only: an agent works in one at a time.
    shared: Mutex<BTreeMap<RoundId, usize>>,
}

impl Insights {
    pub fn new(guard: Option<Arc<Guard>>, keeper: Arc<dyn InsightKeeper>) -> Insights {
        Insights { guard, keeper, shared: Mutex::default() }
    }

    fn share(&self, given: &Given, call: &Invocation) -> Result<String, String> {
        let text = given.text("text").trim();
        match text.chars().count() {
            0 => return Err("the finding is empty".to_owned()),
            n if n > TEXT_MAX => {
                return Err(format!(
                    "a finding has at most {TEXT_MAX} characters, this one {n}: say it shorter, or put the rest in a file"
                ));
            }
            _ => {}
        }
        let n_left = self.take_place(&call.round)?;
        let evidence = given.maybe("file").map(|file| self.evidence(file)).transpose();
        let evidence = evidence.inspect_err(|_| self.give_back(&call.round))?;
        let (file, evidence) = evidence.unzip();
        let with = file.as_ref().map(|file| format!(" with a copy of {file}")).unwrap_or_default();
        call.reports.say(ToolReport::Insight { text: text.to_owned(), file, evidence });
        Ok(format!("Shared with the others{with}. {n_left} more may be shared in this round."))
    }

    fn evidence(&self, file: &str) -> Result<(String, SnapshotId), String> {
        let guard = self.guard.as_ref().ok_or("there is no workspace, so a finding has no file")?;
        let inside = relative(guard, file)?;
        let snapshot = self.keeper.keep(&inside)?;
        Ok((inside.to_string_lossy().into_owned(), snapshot))
    }

    /// Counts before the copy is made, so that calls side by side stay within the bound.
    fn take_place(&self, round: &RoundId) -> Result<usize, String> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|other, _| other == round);
        let n = shared.entry(*round).or_default();
        if *n >= PER_ROUND_MAX {
            return Err(format!(
                "{PER_ROUND_MAX} findings were shared in this round, and more are not: put them in your answer"
            ));
        }
        *n += 1;
        Ok(PER_ROUND_MAX - *n)
    }

    fn give_back(&self, round: &RoundId) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = shared.get_mut(round) {
            *n = n.saturating_sub(1);
        }
    }
}

impl Toolbox for Insights {
    fn tools(&self) -> Vec<&'static Tool> {
        vec![&SHARE]
    }

    fn call(
        self: Arc<Self>,
        _tool: &'static Tool,
        given: Given,
        call: Invocation,
    ) -> BoxFuture<'static, ToolOutput> {
        blocking(move || match self.share(&given, &call) {
            Ok(said) => ToolOutput::text(said),
            Err(problem) => ToolOutput::error(problem),
        })
    }
}

/// Returns where in the workspace a file is.
fn relative(guard: &Guard, file: &str) -> Result<PathBuf, String> {
    let path = guard.absolute(file).map_err(|error| error.full_text())?;
    let inside = path.strip_prefix(&guard.places().workspace);
    let inside = inside
        .map_err(|_| format!("`{file}` is not in your workspace; only what is can be shared"))?;
    match guard.stat_link(file).map_err(|error| error.full_text())?.kind {
        FileKind::File => Ok(inside.to_path_buf()),
        FileKind::Folder | FileKind::Link | FileKind::Special => {
            Err(format!("`{file}` is not a file"))
        }
    }
}
