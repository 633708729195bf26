//! What is behind the seams, as work with an end: whatever a copy or a tool does, the
//! loop is told one result, or it would wait for ever.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use massgen_protocol::{AgentIndex, AnswerId, SnapshotId, ToolCall};

use crate::seams::{Snapshots, ToolOutput, Tools};

/// A workspace copy that takes longer counts as failed; the run must go on.
const SNAPSHOT_MS_MAX: u64 = 120_000;

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

/// Runs a tool. Its time is bounded by its round's.
pub(crate) async fn tool(tools: Arc<dyn Tools>, agent: AgentIndex, call: ToolCall) -> ToolOutput {
    let work = async move { tools.call(agent, call).await };
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(output) => output,
        Err(panic) => ToolOutput {
            text: format!("the tool panicked: {}", panic_message(&*panic)),
            is_error: true,
        },
    }
}

/// Returns what a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
