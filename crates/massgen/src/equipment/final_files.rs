//! The winner's files, handed over when the run ends.

use std::io::Write;
use std::path::{Path, PathBuf};

use massgen_protocol::{AgentIndex, AnswerId, Drift, EventBody, Outcome, SnapshotId};
use massgen_workspace::{ApplyError, DiffOptions, OnConflict, Stop, StoreError};

use super::{Files, Held};
use crate::approvals;
use crate::cli::{Format, GlobalArgs};
use crate::error::CliError;
use crate::output::clean;

/// Folder of a run with the files that belong to its final answer.
const FINAL: &str = "final";

/// What was handed over.
#[derive(Default)]
pub struct Delivery {
    files: u64,
    dirs: Vec<PathBuf>,
    notes: Vec<String>,
}

impl Delivery {
    /// Says where the files are, to people.
    pub fn tell(&self, global: &GlobalArgs) {
        if global.quiet || global.automation || global.output != Format::Plain {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        let s = if self.files == 1 { "" } else { "s" };
        for dir in &self.dirs {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(stderr, "{} file{s} in {}", self.files, dir.display());
        }
        for note in &self.notes {
            let _ = writeln!(stderr, "{note}");
        }
    }
}

impl Held {
    /// Hands over the files of the final answer; `None` if there are none.
    ///
    /// # Errors
    /// If they cannot be written; they are then still in the run's snapshots.
    pub async fn deliver(
        &self,
        outcome: Option<&Outcome>,
        run_path: &Path,
        global: &GlobalArgs,
    ) -> Result<Option<Delivery>, CliError> {
        let Some(Outcome::Answered { winner, presented, .. }) = outcome else { return Ok(None) };
        let (files, run_path) = (self.files.clone(), run_path.to_owned());
        let (winner, presented) = (*winner, *presented);
        let ask = match (self.confirm, approvals::is_somebody_there(global)) {
            (false, _) => Ask::Nobody,
            (true, true) => Ask::User,
            (true, false) => Ask::Refuse,
        };
        let on_conflict = match self.drift {
            Drift::Skip => OnConflict::Skip,
            Drift::PreferPresenter => OnConflict::PreferPresenter,
            Drift::Fail => OnConflict::Fail,
        };
        let wish = Wish { output_dir: self.output_dir.clone(), ask, on_conflict };
        let work = move || deliver(&files, winner, presented, &run_path, &wish);
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => {
                Err(CliError::execution("handing over the files broke off").because(error))
            }
        }
    }
}

fn deliver(
    files: &Files,
    winner: AnswerId,
    presented: bool,
    run_path: &Path,
    wish: &Wish,
) -> Result<Option<Delivery>, CliError> {
    let failed = |error: StoreError| {
        CliError::execution("failed to hand over the winner's files")
            .because(error.full_text())
            .hint(format!("they are kept: `massgen runs restore {winner} DIR`"))
    };
    let id = if presented {
        files.take_now(winner.agent).map_err(failed)?
    } else {
        snapshot_of(run_path, winner).unwrap_or_else(SnapshotId::empty)
    };
    let tree = files.store.tree(&id).map_err(failed)?;
    let mut delivery = Delivery::default();
    if presented || files.is_sole {
        bring_back(files, winner.agent, wish, &mut delivery.notes).map_err(failed)?;
    }
    if tree.is_empty() {
        return Ok((!delivery.notes.is_empty()).then_some(delivery));
    }
    let own = run_path.join(FINAL);
    let mut dirs = Vec::new();
    match files.store.restore_new(&id, &own, &Stop::default()) {
        // Handed over before the run was resumed.
        Ok(()) | Err(StoreError::Exists { .. }) => dirs.push(own),
        Err(error) => return Err(failed(error)),
    }
    if let Some(dir) = &wish.output_dir {
        let delivered = files.store.deliver(&id, dir, &Stop::default()).map_err(failed)?;
        dirs = vec![dir.clone()];
        if let (n @ 1.., Some(backup)) = (delivered.replaced.len(), delivered.backup) {
            let s = if n == 1 { "" } else { "s" };
            delivery
                .notes
                .push(format!("{n} file{s} that were there are now in {}", backup.display()));
        }
    }
    (delivery.files, delivery.dirs) = (tree.files(), dirs);
    Ok(Some(delivery))
}

/// How files are handed over.
struct Wish {
    output_dir: Option<PathBuf>,
    ask: Ask,
    on_conflict: OnConflict,
}

/// Whether changes to the user's own files are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// They are, without a question.
    Nobody,
    User,
    /// Somebody wants to be asked and nobody is there.
    Refuse,
}

/// Makes the presenter's changes to its copies of the user's files in these themselves.
fn bring_back(
    files: &Files,
    agent: AgentIndex,
    wish: &Wish,
    notes: &mut Vec<String>,
) -> Result<(), StoreError> {
    let stop = Stop::default();
    let Some(guard) = files.guard(agent) else { return Ok(()) };
    // What was not brought back is still to be had.
    let mut is_done = true;
    for n in 0..files.context.len() {
        let Some(copy) = files.given_copy(agent, n)? else { continue };
        let proposed = copy.proposed(&files.store, &guard.policy(), &stop)?;
        let n = proposed.diff.changes.len();
        for path in &proposed.refused {
            notes.push(format!("warning: `{}` is protected and stays as it was", path.display()));
        }
        if n == 0 {
            continue;
        }
        let s = if n == 1 { "" } else { "s" };
        let original = copy.original.display();
        let is_wanted = match wish.ask {
            Ask::Nobody => true,
            Ask::User => {
                let text = files.store.unified(&proposed.diff, &DiffOptions::default())?;
                is_confirmed(&text, &format!("make these {n} change{s} in {original}?"))
            }
            Ask::Refuse => false,
        };
        if !is_wanted {
            is_done = false;
            notes.push(format!(
                "{n} change{s} to {original} were not made; they are in {}",
                copy.copy.display()
            ));
            continue;
        }
        match copy.apply(&files.store, &proposed, wish.on_conflict, &stop) {
            Ok(applied) => {
                let n = applied.applied.len();
                let s = if n == 1 { "" } else { "s" };
                notes.push(format!("{n} change{s} made in {original}"));
                for path in applied.conflicts.iter().chain(&applied.left) {
                    notes.push(format!(
                        "warning: `{}` was changed meanwhile and stays as it is",
                        path.display()
                    ));
                }
            }
            Err(ApplyError::Store(error)) => return Err(error),
            Err(error @ ApplyError::Conflicts { .. }) => {
                notes.push(format!("warning: {error}; they are in {}", copy.copy.display()));
                is_done = false;
            }
        }
    }
    if is_done {
        files.remove_worktrees(agent);
    }
    Ok(())
}

/// Shows what would change and asks; no answer is none.
fn is_confirmed(diff: &str, question: &str) -> bool {
    let mut stderr = std::io::stderr().lock();
    let shown = write!(stderr, "\n{}\n{} [y/N] ", clean(diff), clean(question));
    if shown.and_then(|()| stderr.flush()).is_err() {
        return false;
    }
    drop(stderr);
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Looks up which copy belongs to an answer.
fn snapshot_of(run_path: &Path, wanted: AnswerId) -> Option<SnapshotId> {
    let run = massgen_log::RunDir::open(run_path).ok()?;
    let events = massgen_log::Reader::open(&run).ok()?;
    events.filter_map(Result::ok).find_map(|event| match event.body {
        EventBody::AnswerAccepted { answer, snapshot, .. } if answer == wanted => Some(snapshot),
        _ => None,
    })
}
