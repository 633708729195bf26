//! Getting what was written to the disk itself, without making the writer wait.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use massgen_protocol::EventBody;

/// Longest time that written events stay in the system's memory alone, apart
/// from the disk's own time: what a power cut may cost.
pub const SYNC_EVERY: Duration = Duration::from_millis(500);

/// Shortest time between two syncs. A thousand agents that finish together
/// share a few, so that the disk stays free for writing.
const SYNC_GAP: Duration = Duration::from_millis(50);

/// Payload files that may wait for their sync. Each holds a file descriptor, of
/// which a process often has 1,024.
const UNSYNCED_FILES_MAX: usize = 64;

/// The thread that syncs a run's files.
#[derive(Debug)]
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// The events have lines that were not synced.
    dirty: bool,
    /// Some of them should not wait.
    urgent: bool,
    payloads: Vec<File>,
    stop: bool,
    failure: Option<io::Error>,
}

impl Syncer {
    pub(crate) fn start(events: File) -> io::Result<Syncer> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("massgen-log-sync".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(&events)
        })?;
        Ok(Syncer { shared, thread: Some(thread) })
    }

    /// Takes a payload file whose content must be on disk before the event that names it.
    pub(crate) fn payload(&self, file: File) -> io::Result<()> {
        let mut work = self.shared.lock();
        if work.payloads.len() < UNSYNCED_FILES_MAX {
            work.payloads.push(file);
            return Ok(());
        }
        drop(work);
        file.sync_data()
    }

    /// Tells that lines were written; `urgent` if one of them [`is_durable`].
    pub(crate) fn written(&self, urgent: bool) {
        let mut work = self.shared.lock();
        let wake = !work.dirty || (urgent && !work.urgent);
        work.dirty = true;
        work.urgent |= urgent;
        drop(work);
        if wake {
            self.shared.changed.notify_one();
        }
    }

    /// Returns why a sync failed, once.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.shared.lock().failure.take()
    }

    /// Syncs what is left and ends the thread. Does nothing the second time.
    pub(crate) fn stop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there would be nobody left to sync.
            let _ = thread.join();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, events: &File) {
        let mut work = self.lock();
        loop {
            while !work.dirty && !work.stop {
                work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
            }
            if !work.urgent && !work.stop {
                let waited = self
                    .changed
                    .wait_timeout_while(work, SYNC_EVERY, |work| !work.urgent && !work.stop);
                work = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            let payloads = std::mem::take(&mut work.payloads);
            let dirty = std::mem::take(&mut work.dirty);
            work.urgent = false;
            drop(work);

            let synced = payloads.iter().try_for_each(File::sync_data);
            let synced = synced.and_then(|()| if dirty { events.sync_data() } else { Ok(()) });
            drop(payloads);

            work = self.lock();
            if let Err(error) = synced {
                work.failure = Some(error);
            }
            if work.stop && !work.dirty && work.payloads.is_empty() {
                return;
            }
            let waited = self.changed.wait_timeout_while(work, SYNC_GAP, |work| !work.stop);
            work = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The state stays whole whatever its holder was doing, so a poisoned lock is as good.
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether losing the event to a power cut would cost money or an
/// agent's work, so that its sync should not wait for [`SYNC_EVERY`].
pub(crate) fn is_durable(body: &EventBody) -> bool {
    match body {
        EventBody::RunStarted { .. }
        | EventBody::RunResumed { .. }
        | EventBody::QuestionAsked { .. }
        | EventBody::CallFinished { .. }
        | EventBody::ToolStarted { .. }
        | EventBody::ToolFinished { .. }
        | EventBody::PermissionDecided { .. }
        | EventBody::InsightShared { .. }
        | EventBody::AnswerSubmitted { .. }
        | EventBody::VoteSubmitted { .. }
        | EventBody::SnapshotTaken { .. }
        | EventBody::AnswerAccepted { .. }
        | EventBody::VoteCast { .. }
        | EventBody::WinnerSelected { .. }
        | EventBody::Presented { .. }
        | EventBody::AttemptReviewed { .. }
        | EventBody::AttemptRestarted { .. }
        | EventBody::InterruptRequested
        | EventBody::StopRequested
        | EventBody::TurnFinished { .. } => true,
        EventBody::AttemptStarted { .. }
        | EventBody::RoundOpened { .. }
        | EventBody::CallRequested { .. }
        | EventBody::CallGranted { .. }
        | EventBody::CallRefused { .. }
        | EventBody::TextStreamed { .. }
        | EventBody::ToolCallStreaming { .. }
        | EventBody::CallRetried { .. }
        | EventBody::RemoteToolStarted { .. }
        | EventBody::RemoteToolFinished { .. }
        | EventBody::CallThrottled { .. }
        | EventBody::CallFellBack { .. }
        | EventBody::CallFailed { .. }
        | EventBody::CallCancelled { .. }
        | EventBody::RoundEnded { .. }
        | EventBody::SnapshotFailed { .. }
        | EventBody::DeadlineReached { .. }
        | EventBody::AnswerProposed { .. }
        | EventBody::SubmissionRejected { .. }
        | EventBody::VotesVoided { .. }
        | EventBody::UpdateSent { .. }
        | EventBody::UpdateSeen { .. }
        | EventBody::RuleEnforced { .. }
        | EventBody::RoundClosed { .. }
        | EventBody::AgentFailed { .. }
        | EventBody::AgentRetired { .. }
        | EventBody::WrapUpStarted { .. }
        | EventBody::InputIgnored { .. }
        | EventBody::RecordingFailed { .. }
        | EventBody::ToolOutputStreamed { .. }
        | EventBody::ToolNotice { .. }
        | EventBody::PermissionAsked { .. }
        | EventBody::SandboxChosen { .. }
        | EventBody::ProviderNotice { .. } => false,
    }
}
