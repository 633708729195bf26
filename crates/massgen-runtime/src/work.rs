//! What is behind the seams, as work with an end: whatever a copy or a tool does, the
//! loop is told one result, or it would wait for ever.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use massgen_protocol::{AnswerId, SnapshotId, ToolOutput, ToolReport};
use tokio::sync::mpsc;

use crate::seams::{FilesView, Snapshots, ToolReports, ToolRequest, Tools};

/// A workspace copy that takes longer counts as failed; the run must go on.
const SNAPSHOT_MS_MAX: u64 = 120_000;

/// Pieces of one tool's output that may wait to be shown.
const SAID_MAX: usize = 64;

/// Takes a copy, within its bound.
pub(crate) async fn copy(
    snapshots: Arc<dyn Snapshots>,
    answer: AnswerId,
) -> Result<SnapshotId, String> {
    let bound = Duration::from_millis(SNAPSHOT_MS_MAX);
    // The call itself may panic as well as the future it gives.
    let work = async move { tokio::time::timeout(bound, snapshots.take(answer)).await };
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(format!("not finished after {SNAPSHOT_MS_MAX} ms")),
        Err(panic) => Err(format!("the copy panicked: {}", panic_message(&*panic))),
    }
}

/// Lays out what a round may see of the others' files, within its bound.
pub(crate) async fn prepare(
    snapshots: Arc<dyn Snapshots>,
    view: Option<FilesView>,
) -> Result<(), String> {
    let Some(view) = view else { return Ok(()) };
    let bound = Duration::from_millis(SNAPSHOT_MS_MAX);
    let work = async move { tokio::time::timeout(bound, snapshots.prepare(view)).await };
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(format!("not finished after {SNAPSHOT_MS_MAX} ms")),
        Err(panic) => Err(format!("laying them out panicked: {}", panic_message(&*panic))),
    }
}

/// Takes what tools say while they run, so that none of it comes after their results.
pub(crate) struct Said {
    said: mpsc::UnboundedReceiver<ToolReport>,
    pieces: Arc<AtomicUsize>,
}

/// Returns where a tool says things, and where they are heard. Output that comes faster than
/// it is heard is dropped, for it is only shown; all else is rare, and waits.
pub(crate) fn listen() -> (ToolReports, Said) {
    let (tell, said) = mpsc::unbounded_channel();
    let pieces = Arc::new(AtomicUsize::new(0));
    let waiting = pieces.clone();
    let take: ToolReports = Arc::new(move |report| {
        let is_output = matches!(report, ToolReport::Output { .. });
        if is_output && waiting.load(Ordering::Relaxed) >= SAID_MAX {
            return;
        }
        waiting.fetch_add(1, Ordering::Relaxed);
        let _ = tell.send(report);
    });
    (take, Said { said, pieces })
}

impl Said {
    /// Returns what is said next; nothing more once all who could say something are gone.
    pub(crate) async fn next(&mut self) -> Option<ToolReport> {
        let report = self.said.recv().await?;
        self.pieces.fetch_sub(1, Ordering::Relaxed);
        Some(report)
    }

    /// Returns what was said before now.
    pub(crate) fn now(&mut self) -> Option<ToolReport> {
        self.said.try_recv().ok()
    }
}

/// Runs a tool. Its time is bounded by its round's.
pub(crate) async fn tool(tools: Arc<dyn Tools>, request: ToolRequest) -> ToolOutput {
    let work = async move { tools.call(request).await };
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(output) => output,
        Err(panic) => ToolOutput::error(format!("the tool panicked: {}", panic_message(&*panic))),
    }
}

/// Returns what a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
