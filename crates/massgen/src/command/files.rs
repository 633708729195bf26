//! The files that belong to the answers of a run: listed, compared, written out.

use std::fmt::Write as _;
use std::path::Path;

use massgen_log::{Reader, RunDir};
use massgen_protocol::{AnswerId, EventBody, SnapshotId};
use massgen_workspace::{DiffOptions, Node, Stop, Store, StoreError, Tree};
use serde_json::{Value, json};

use super::runs::{from_log, pretty};
use crate::equipment::SNAPSHOTS;
use crate::error::CliError;
use crate::output::clean;

/// Files listed of one answer; a build tree that slipped in is not worth a million lines.
const LISTED_MAX: usize = 1_000;

/// Lists the files of every answer.
pub fn listing(run: &RunDir, json: bool) -> Result<String, CliError> {
    let answers = answers(run)?;
    let store = open(run)?;
    let mut text = String::new();
    let mut values = Vec::new();
    for (answer, snapshot) in &answers {
        let tree = tree(store.as_ref(), snapshot)?;
        if json {
            values.push(as_json(*answer, snapshot, &tree));
            continue;
        }
        let s = if tree.files() == 1 { "" } else { "s" };
        let size = bytes(tree.bytes());
        let _ = writeln!(text, "{answer}: {} file{s}, {size}", tree.files());
        for entry in tree.entries().iter().take(LISTED_MAX) {
            let what = match &entry.node {
                Node::File { bytes: of, .. } => bytes(*of),
                Node::Folder { .. } => continue,
                Node::Link { target } => format!("-> {}", target.display()),
            };
            let _ = writeln!(text, "  {:<48}  {what}", entry.path.display());
        }
        if tree.entries().len() > LISTED_MAX {
            let _ = writeln!(text, "  … {} more", tree.entries().len() - LISTED_MAX);
        }
    }
    Ok(match json {
        true => pretty(&values.into_iter().collect()),
        false if answers.is_empty() => "no answer yet\n".to_owned(),
        false => clean(&text).into_owned(),
    })
}

/// Compares the files of two answers.
pub fn diff(run: &RunDir, from: &str, to: &str, json: bool) -> Result<String, CliError> {
    let answers = answers(run)?;
    let (before, after) = (find(&answers, from)?, find(&answers, to)?);
    let Some(store) = open(run)? else { return Ok(String::new()) };
    let diff = store.diff(&before, &after).map_err(failed)?;
    if json {
        let changes = diff.changes.iter().map(
            |change| json!({ "path": change.path, "change": change.kind().letter().to_string() }),
        );
        return Ok(pretty(&changes.collect()));
    }
    if diff.is_empty() {
        return Ok(format!("the files of {from} and {to} are the same\n"));
    }
    store
        .unified(&diff, &DiffOptions::default())
        .map(|text| clean(&text).into_owned())
        .map_err(failed)
}

/// Writes the files of an answer into a folder.
pub fn restore(run: &RunDir, answer: &str, dir: &Path) -> Result<String, CliError> {
    let id = find(&answers(run)?, answer)?;
    let made = |error| CliError::file(dir, error);
    match open(run)? {
        Some(store) if id != SnapshotId::empty() => {
            store.restore_new(&id, dir, &Stop::default()).map_err(|error| match error {
                StoreError::Exists { .. } => {
                    CliError::configuration(format!("`{}` is not empty", dir.display()))
                        .hint("name a folder that is not there yet")
                }
                error => failed(error),
            })?;
        }
        Some(_) | None => std::fs::create_dir_all(dir).map_err(made)?,
    }
    let tree = tree(open(run)?.as_ref(), &id)?;
    let s = if tree.files() == 1 { "" } else { "s" };
    Ok(format!("{} file{s} in {}\n", tree.files(), dir.display()))
}

/// Returns the answers of a run with their copies, in order.
pub fn answers(run: &RunDir) -> Result<Vec<(AnswerId, SnapshotId)>, CliError> {
    let mut answers = Vec::new();
    for event in Reader::open(run).map_err(from_log)? {
        // What cannot be read any more is told by `replay`; the files before it are there.
        let Ok(event) = event else { break };
        if let EventBody::AnswerAccepted { answer, snapshot, .. } = event.body {
            answers.push((answer, snapshot));
        }
    }
    Ok(answers)
}

fn find(answers: &[(AnswerId, SnapshotId)], wanted: &str) -> Result<SnapshotId, CliError> {
    let found = answers.iter().find(|(answer, _)| answer.to_string() == wanted.trim());
    found.map(|(_, snapshot)| snapshot.clone()).ok_or_else(|| {
        let known: Vec<String> = answers.iter().map(|(answer, _)| answer.to_string()).collect();
        let error = CliError::configuration(format!("there is no answer `{wanted}` in this run"));
        match known.as_slice() {
            [] => error.hint("nobody has answered in it"),
            known => error.hint(format!("there are: {}", known.join(", "))),
        }
    })
}

/// Opens a run's snapshots; `None` if its agents had no files.
fn open(run: &RunDir) -> Result<Option<Store>, CliError> {
    let dir = run.path().join(SNAPSHOTS);
    if !dir.is_dir() {
        return Ok(None);
    }
    Store::read_only(&dir).map(Some).map_err(failed)
}

fn tree(store: Option<&Store>, id: &SnapshotId) -> Result<std::sync::Arc<Tree>, CliError> {
    match store {
        Some(store) => store.tree(id).map_err(failed),
        None => Ok(std::sync::Arc::default()),
    }
}

fn failed(error: StoreError) -> CliError {
    CliError::execution("failed to read the run's snapshots").because(error.full_text())
}

fn as_json(answer: AnswerId, snapshot: &SnapshotId, tree: &Tree) -> Value {
    let files = tree.entries().iter().filter_map(|entry| match &entry.node {
        Node::File { bytes, mode, .. } => {
            Some(json!({ "path": entry.path, "bytes": bytes, "mode": format!("{mode:o}") }))
        }
        Node::Link { target } => Some(json!({ "path": entry.path, "link": target })),
        Node::Folder { .. } => None,
    });
    json!({
        "answer": answer.to_string(),
        "snapshot": snapshot,
        "files": files.collect::<Vec<_>>(),
        "bytes": tree.bytes(),
    })
}

/// A size as people read it.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut scaled = n as f64;
    while scaled >= 1_000.0 && unit + 1 < UNITS.len() {
        scaled /= 1_000.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        for (n, told) in [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_234_567, "1.2 MB")] {
            assert_eq!(bytes(n), told);
        }
    }
}
