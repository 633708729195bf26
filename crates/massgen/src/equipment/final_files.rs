//! The winner's files, handed over when the run ends.

use std::io::Write;
use std::path::{Path, PathBuf};

use massgen_protocol::{AnswerId, EventBody, Outcome, SnapshotId};
use massgen_workspace::{Stop, StoreError};

use super::{Files, Held};
use crate::cli::{Format, GlobalArgs};
use crate::error::CliError;

/// Folder of a run with the files that belong to its final answer.
const FINAL: &str = "final";

/// What was handed over.
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
        _global: &GlobalArgs,
    ) -> Result<Option<Delivery>, CliError> {
        let Some(Outcome::Answered { winner, presented, .. }) = outcome else { return Ok(None) };
        let (files, run_path) = (self.files.clone(), run_path.to_owned());
        let (winner, presented) = (*winner, *presented);
        let output_dir = self.output_dir.clone();
        let work = move || deliver(&files, winner, presented, &run_path, output_dir.as_deref());
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
    output_dir: Option<&Path>,
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
    if tree.is_empty() {
        return Ok(None);
    }
    let own = run_path.join(FINAL);
    let mut dirs = Vec::new();
    match files.store.restore_new(&id, &own, &Stop::default()) {
        // Handed over before the run was resumed.
        Ok(()) | Err(StoreError::Exists { .. }) => dirs.push(own),
        Err(error) => return Err(failed(error)),
    }
    let mut notes = Vec::new();
    if let Some(dir) = output_dir {
        match files.store.restore_new(&id, dir, &Stop::default()) {
            Ok(()) => dirs = vec![dir.to_owned()],
            Err(StoreError::Exists { path }) => notes.push(format!(
                "warning: `{}` is not empty, so nothing was written there\n  hint: the files are in `{}`",
                path.display(),
                run_path.join(FINAL).display()
            )),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(Some(Delivery { files: tree.files(), dirs, notes }))
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
