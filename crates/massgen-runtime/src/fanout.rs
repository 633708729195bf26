//! Shows events to whoever watches, after they are in the log.
//!
//! A slow watcher never slows the run: it misses what does not fit its queue and
//! reads it again from the log.

use std::sync::Arc;

use massgen_log::{Follower, RunDir};
use massgen_protocol::Event;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Events a watcher may be behind before it has to read the log.
const WATCHER_EVENTS_MAX: usize = 4_096;

/// The loop's end: watchers end when it goes.
pub(crate) struct Fanout {
    sender: broadcast::Sender<Arc<Event>>,
}

/// The watchers' end, which keeps nothing alive.
pub(crate) struct Watch {
    sender: broadcast::WeakSender<Arc<Event>>,
    run: RunDir,
}

impl Fanout {
    pub(crate) fn new(run: RunDir) -> (Fanout, Watch) {
        let sender = broadcast::Sender::new(WATCHER_EVENTS_MAX);
        let watch = Watch { sender: sender.downgrade(), run };
        (Fanout { sender }, watch)
    }

    pub(crate) fn show(&self, event: Arc<Event>) {
        // Nobody watching is fine.
        let _ = self.sender.send(event);
    }
}

impl Watch {
    pub(crate) fn watch(&self, from: u64) -> Subscription {
        // After the end there is still the log to read.
        let sender = self.sender.upgrade().unwrap_or_else(|| broadcast::Sender::new(1));
        Subscription {
            receiver: sender.subscribe(),
            log: Follower::new(&self.run, from),
            next: from,
            is_behind: true,
            missed: Vec::new().into_iter(),
            held: None,
        }
    }
}

/// All events of a run from some point on, in order, each once.
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<Event>>,
    log: Follower,
    next: u64,
    /// The log may have events that nobody will send: those before the watcher came.
    is_behind: bool,
    /// Read again from the log.
    missed: std::vec::IntoIter<Arc<Event>>,
    /// Received, but later than what is read from the log.
    held: Option<Arc<Event>>,
}

impl Subscription {
    /// Returns the next event, or `None` when the run's process part is over.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            if let Some(event) = self.missed.next() {
                if event.seq >= self.next {
                    self.next = event.seq + 1;
                    return Some(event);
                }
                continue;
            }
            if self.is_behind {
                self.catch_up();
                self.is_behind = self.missed.len() > 0;
                continue;
            }
            let event = match self.held.take() {
                Some(event) => event,
                None => match self.receiver.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => {
                        self.catch_up();
                        continue;
                    }
                    Err(RecvError::Closed) => {
                        // The last events may have been dropped from the queue.
                        self.catch_up();
                        if self.missed.len() == 0 {
                            return None;
                        }
                        continue;
                    }
                },
            };
            if event.seq < self.next {
                continue;
            }
            if event.seq > self.next {
                self.catch_up();
                if self.missed.len() > 0 {
                    self.held = Some(event);
                    continue;
                }
                // The log does not have them either (the disk is full): go on with what is there.
            }
            self.next = event.seq + 1;
            return Some(event);
        }
    }

    /// Reads some of what was missed from the log.
    fn catch_up(&mut self) {
        let mut missed = Vec::new();
        // What cannot be read cannot be shown; the run itself is not concerned.
        while let Ok(events) = self.log.poll() {
            let is_last = events.is_empty();
            let wanted = events.into_iter().filter(|event| event.seq >= self.next);
            missed.extend(wanted.map(Arc::new));
            // A batch at a time: what is shown first need not wait for the rest.
            if is_last || !missed.is_empty() {
                break;
            }
        }
        self.missed = missed.into_iter();
    }
}
