//! Reads a log from its beginning.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use massgen_protocol::Event;

use crate::error::io_error;
use crate::line::{self, LINE_MAX, Line, Unknowns};
use crate::payload::Payloads;
use crate::{LogError, ReadError, ReadProblem, RunDir};

/// The events of a run in order, their payloads put back in. Ends before a torn
/// last line, and after the first error.
#[derive(Debug)]
pub struct Reader {
    file: PathBuf,
    /// `None` for a run that was killed before its first event, and after an error.
    lines: Option<BufReader<File>>,
    payloads: Payloads,
    unknowns: Unknowns,
    buffer: Vec<u8>,
    /// Lines read so far.
    n_lines: u64,
    /// Where the next line begins.
    offset: u64,
    next_seq: u64,
    torn_at: Option<u64>,
    skipped: u64,
}

impl Reader {
    pub fn open(dir: &RunDir) -> Result<Reader, LogError> {
        let file = dir.events_path();
        let lines = match File::open(&file) {
            Ok(events) => Some(BufReader::with_capacity(64 * 1024, events)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io_error("open", &file)(error)),
        };
        Ok(Reader {
            file,
            lines,
            payloads: Payloads::new(dir.payloads_path()),
            unknowns: unknowns(dir),
            buffer: Vec::new(),
            n_lines: 0,
            offset: 0,
            next_seq: 0,
            torn_at: None,
            skipped: 0,
        })
    }

    /// Returns where a torn last line begins, once the reader has come to its end.
    pub fn torn_at(&self) -> Option<u64> {
        self.torn_at
    }

    /// Returns how many facts of a newer version were passed over so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the number the next event must have.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Reads one line into the buffer; `false` at the end of what is whole.
    fn next_line(&mut self) -> Result<bool, ReadProblem> {
        let Some(lines) = &mut self.lines else { return Ok(false) };
        self.buffer.clear();
        let n =
            lines.take(LINE_MAX).read_until(b'\n', &mut self.buffer).map_err(ReadProblem::Io)?;
        if self.buffer.pop_if(|&mut byte| byte == b'\n').is_some() {
            return Ok(true);
        }
        if n as u64 == LINE_MAX {
            return Err(ReadProblem::TooLong);
        }
        // Even one that reads as an event: its write did not come to its end, so
        // nothing was done that depends on it.
        self.torn_at = (n > 0).then_some(self.offset);
        self.lines = None;
        Ok(false)
    }

    fn fail(&mut self, problem: ReadProblem) -> ReadError {
        self.lines = None;
        ReadError { file: self.file.clone(), line: self.n_lines + 1, offset: self.offset, problem }
    }
}

impl Iterator for Reader {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Result<Event, ReadError>> {
        loop {
            match self.next_line() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(problem) => return Some(Err(self.fail(problem))),
            }
            let parsed = line::parse(&self.buffer, self.next_seq, &self.payloads, self.unknowns);
            let parsed = match parsed {
                Ok(parsed) => parsed,
                Err(problem) => return Some(Err(self.fail(problem))),
            };
            self.n_lines += 1;
            self.offset += self.buffer.len() as u64 + 1;
            self.next_seq += 1;
            match parsed {
                Line::Event(event) => return Some(Ok(event)),
                Line::Unknown => self.skipped += 1,
            }
        }
    }
}

pub(crate) fn unknowns(dir: &RunDir) -> Unknowns {
    if dir.manifest().has_newer_events() { Unknowns::Skipped } else { Unknowns::Refused }
}
