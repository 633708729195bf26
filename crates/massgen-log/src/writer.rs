//! Appends events: payloads first, then the line that names them.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use massgen_protocol::{EVENTS_VERSION, Event, EventBody, Kept, Millis, PayloadHash};
use serde::Serialize;

use crate::error::io_error;
use crate::lock::RunLock;
use crate::payload::{Payloads, remove_unfinished};
use crate::sync::{Syncer, is_durable};
use crate::{LogError, Reader, Redactor, RunDir, crash};

/// Values up to this size stay in their line, where a person can read them.
const INLINE_MAX: usize = 2 * 1024;

/// Lines that wait in memory for a flush, after which they are written unasked.
const BUFFER_MAX: usize = 1024 * 1024;

/// How a writer behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterOptions {
    /// For tests of resuming: the process kills itself as soon as the line of this
    /// event is written, and nothing after it.
    pub crash_after: Option<u64>,
}

/// The one writer of a run.
///
/// [`Writer::append`] numbers and redacts an event and keeps its line in memory;
/// [`Writer::flush`] writes all lines at once. Flush before acting on what was
/// appended: only then does the log tell at least what was done.
#[derive(Debug)]
pub struct Writer {
    run_path: PathBuf,
    events: File,
    payloads: Payloads,
    redactor: Arc<Redactor>,
    options: WriterOptions,
    buffer: Vec<u8>,
    /// Whether a line in the buffer should be synced soon.
    urgent: bool,
    next_seq: u64,
    recording: Recording,
    syncer: Syncer,
    /// Given back last, when everything is written.
    _lock: RunLock,
}

#[derive(Debug, PartialEq, Eq)]
enum Recording {
    Works,
    /// The disk refused something; nothing more is written.
    Failed {
        message: String,
        told: bool,
    },
}

/// A run taken up again.
#[derive(Debug)]
pub struct Resumed {
    pub writer: Writer,
    /// All events the log holds.
    pub events: Vec<Event>,
    /// Length of the torn last line that was cut off.
    pub torn_bytes: u64,
}

impl Writer {
    /// Begins the log of a run that has none.
    pub fn create(
        dir: &RunDir,
        redactor: Arc<Redactor>,
        options: WriterOptions,
    ) -> Result<Writer, LogError> {
        let lock = RunLock::acquire(dir)?;
        let path = dir.events_path();
        let events = File::options().append(true).create_new(true).open(&path);
        Writer::over(dir, events.map_err(io_error("create", &path))?, lock, redactor, options, 0)
    }

    /// Takes up the log of a run that was interrupted: cuts off a torn last line
    /// and goes on after the last whole event.
    pub fn resume(
        dir: &RunDir,
        redactor: Arc<Redactor>,
        options: WriterOptions,
    ) -> Result<Resumed, LogError> {
        let lock = RunLock::acquire(dir)?;
        let path = dir.events_path();
        if RunDir::is_incomplete(dir.path()) {
            return Err(LogError::RecordingFailed { run: dir.id().clone() });
        }
        let manifest = dir.manifest();
        if manifest.has_newer_events() {
            // It can be shown, but decisions may rest on facts we do not know.
            return Err(LogError::NewerFormat {
                path,
                found: manifest.events,
                known: EVENTS_VERSION,
                build: Some(manifest.build.clone()),
            });
        }
        let mut reader = Reader::open(dir)?;
        let read: Vec<Event> = reader.by_ref().collect::<Result<_, _>>()?;
        let mut options_of_file = File::options();
        let file = options_of_file.append(true).create(true).open(&path);
        let file = file.map_err(io_error("open", &path))?;
        let mut torn_bytes = 0;
        if let Some(torn_at) = reader.torn_at() {
            let len = file.metadata().map_err(io_error("open", &path))?.len();
            file.set_len(torn_at).map_err(io_error("cut", &path))?;
            torn_bytes = len - torn_at;
        }
        let payloads = dir.payloads_path();
        // A copy of a run may have lost a folder that was empty.
        std::fs::create_dir_all(&payloads).map_err(io_error("create", &payloads))?;
        remove_unfinished(&payloads).map_err(io_error("clean", &payloads))?;
        let next_seq = reader.next_seq();
        let writer = Writer::over(dir, file, lock, redactor, options, next_seq)?;
        Ok(Resumed { writer, events: read, torn_bytes })
    }

    fn over(
        dir: &RunDir,
        events: File,
        lock: RunLock,
        redactor: Arc<Redactor>,
        options: WriterOptions,
        next_seq: u64,
    ) -> Result<Writer, LogError> {
        let path = dir.events_path();
        let synced = events.try_clone().map_err(io_error("open", &path))?;
        Ok(Writer {
            run_path: dir.path().to_owned(),
            events,
            payloads: Payloads::new(dir.payloads_path()),
            redactor,
            options,
            buffer: Vec::with_capacity(64 * 1024),
            urgent: false,
            next_seq,
            recording: Recording::Works,
            syncer: Syncer::start(synced).map_err(io_error("sync", &path))?,
            _lock: lock,
        })
    }

    /// Numbers, redacts and buffers an event, and returns it as the log has it,
    /// its values at hand.
    pub fn append(&mut self, at: Millis, body: EventBody) -> Event {
        let event = Event { seq: self.next_seq, at, body };
        self.next_seq += 1;
        let start = self.buffer.len();
        let event = self.serialise_redacted(event, start);
        if !self.works() {
            self.buffer.truncate(start);
            return event;
        }
        if self.buffer.len() - start > INLINE_MAX {
            self.move_to_payload(&event, start);
        }
        self.buffer.push(b'\n');
        self.urgent |= is_durable(&event.body);
        if self.options.crash_after.is_some() {
            self.flush();
            if self.options.crash_after == Some(event.seq) {
                crash::kill_this_process();
            }
        } else if self.buffer.len() > BUFFER_MAX {
            self.flush();
        }
        event
    }

    /// Writes what was appended, in one piece. Call it before carrying out or
    /// showing what the events led to. What a flush wrote survives the process.
    pub fn flush(&mut self) {
        if let Some(error) = self.syncer.take_failure() {
            self.fail("sync events.jsonl", &error);
        }
        if self.buffer.is_empty() || !self.works() {
            return;
        }
        if let Err(error) = self.events.write_all(&self.buffer) {
            self.fail("write events.jsonl", &error);
            return;
        }
        self.buffer.clear();
        self.syncer.written(std::mem::take(&mut self.urgent));
    }

    /// Returns why recording failed, once, so that it can be told to the user. From
    /// then on events are only numbered and redacted.
    pub fn take_failure(&mut self) -> Option<String> {
        match &mut self.recording {
            Recording::Failed { message, told } if !*told => {
                *told = true;
                Some(message.clone())
            }
            Recording::Works | Recording::Failed { .. } => None,
        }
    }

    /// Returns whether everything appended so far is, or will be, in the log.
    pub fn works(&self) -> bool {
        self.recording == Recording::Works
    }

    /// Returns the number of the next event.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Writes and syncs everything. Returns why recording failed, if it did and
    /// nobody was told yet.
    pub fn close(mut self) -> Option<String> {
        self.finish();
        self.take_failure()
    }

    fn finish(&mut self) {
        self.flush();
        self.syncer.stop();
        if let Some(error) = self.syncer.take_failure() {
            self.fail("sync events.jsonl", &error);
        }
    }

    /// Puts the event's line at the buffer's end and returns the event without secrets.
    fn serialise_redacted(&mut self, event: Event, start: usize) -> Event {
        if let Err(error) = serde_json::to_writer(&mut self.buffer, &event) {
            self.fail("serialise an event", &io::Error::from(error));
            return withheld(&event);
        }
        if self.redactor.is_clean(&self.buffer[start..]) {
            return event;
        }
        // Where a secret cannot be told from the format itself, better a hole in
        // the record than the secret in it.
        let redacted = self.redactor.redact_value(&event).unwrap_or_else(|_| withheld(&event));
        self.buffer.truncate(start);
        if let Err(error) = serde_json::to_writer(&mut self.buffer, &redacted) {
            self.fail("serialise an event", &io::Error::from(error));
        }
        redacted
    }

    /// Replaces the line at `start` by one that names a payload, if the event has
    /// a value large enough.
    fn move_to_payload(&mut self, event: &Event, start: usize) {
        let named = match self.named_by_payload(event) {
            Ok(Some(named)) => named,
            Ok(None) => return,
            Err(error) => {
                self.fail("write a payload", &error);
                return;
            }
        };
        self.buffer.truncate(start);
        if let Err(error) = serde_json::to_writer(&mut self.buffer, &named) {
            self.fail("serialise an event", &io::Error::from(error));
        }
    }

    fn named_by_payload(&mut self, event: &Event) -> io::Result<Option<Event>> {
        let mut named = event.clone();
        let mut is_changed = false;
        if let Some(text) = named.body.kept_texts()
            && text.text().len() > INLINE_MAX
        {
            let bytes = text.text().len() as u64;
            let payload = self.store(text.text().as_bytes())?;
            *text = Kept::Payload { payload, bytes };
            is_changed = true;
        }
        if let Some(turn) = named.body.kept_turn() {
            is_changed |= self.keep_json(turn)?;
        }
        if let Some(media) = named.body.kept_media() {
            is_changed |= self.keep_json(media)?;
        }
        Ok(is_changed.then_some(named))
    }

    /// Puts a large value into a payload, as JSON.
    fn keep_json<T: Serialize>(&mut self, kept: &mut Kept<T>) -> io::Result<bool> {
        let Some(value) = kept.get() else { return Ok(false) };
        let json = serde_json::to_vec(value)?;
        if json.len() <= INLINE_MAX {
            return Ok(false);
        }
        let payload = self.store(&json)?;
        *kept = Kept::Payload { payload, bytes: json.len() as u64 };
        Ok(true)
    }

    fn store(&mut self, bytes: &[u8]) -> io::Result<PayloadHash> {
        let (hash, new) = self.payloads.put(bytes)?;
        if let Some(file) = new {
            self.syncer.payload(file)?;
        }
        Ok(hash)
    }

    /// Ends recording. A later write could succeed, but it would leave a hole.
    fn fail(&mut self, doing: &str, error: &io::Error) {
        if !self.works() {
            return;
        }
        let message = format!("failed to {doing} in `{}`: {error}", self.run_path.display());
        RunDir::mark_incomplete(&self.run_path, &message);
        self.buffer.clear();
        self.recording = Recording::Failed { message, told: false };
    }
}

/// Stands for an event that could not be redacted.
fn withheld(event: &Event) -> Event {
    let message = format!("event {} is withheld, because it cannot be redacted", event.seq);
    Event { seq: event.seq, at: event.at, body: EventBody::RecordingFailed { message } }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests;
