//! Reads a log while it is being written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use massgen_protocol::Event;

use crate::line::{self, LINE_MAX, Line, Unknowns};
use crate::payload::Payloads;
use crate::reader::unknowns;
use crate::{ReadError, ReadProblem, RunDir};

/// Events returned by one poll, so that catching up with a long log does not
/// take its memory at once.
const BATCH_MAX: usize = 1_024;

/// The events of a run from some number on, as far as they are written. It does
/// not wait: its owner decides when to ask again. The writer may be this
/// process, another one, or one that resumes the run later.
#[derive(Debug)]
pub struct Follower {
    file: PathBuf,
    payloads: Payloads,
    unknowns: Unknowns,
    /// Events before this one are passed over.
    from_seq: u64,
    next_seq: u64,
    /// Where the next line begins. Nothing beyond it is kept between two polls:
    /// it may be a torn line that a resume cuts off.
    offset: u64,
    n_lines: u64,
    skipped: u64,
}

impl Follower {
    pub fn new(dir: &RunDir, from_seq: u64) -> Follower {
        Follower {
            file: dir.events_path(),
            payloads: Payloads::new(dir.payloads_path()),
            unknowns: unknowns(dir),
            from_seq,
            next_seq: 0,
            offset: 0,
            n_lines: 0,
            skipped: 0,
        }
    }

    /// Returns events that were written since, none if there are none yet, and not
    /// more than some thousand at once: ask again until it returns none.
    pub fn poll(&mut self) -> Result<Vec<Event>, ReadError> {
        self.read_batch().map_err(|problem| ReadError {
            file: self.file.clone(),
            line: self.n_lines + 1,
            offset: self.offset,
            problem,
        })
    }

    /// Returns the number of the next event it will look at.
    pub fn next_seq(&self) -> u64 {
        self.next_seq.max(self.from_seq)
    }

    /// Returns how many facts of a newer version were passed over so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn read_batch(&mut self) -> Result<Vec<Event>, ReadProblem> {
        let mut file = match File::open(&self.file) {
            Ok(file) => file,
            // The run has not come to its first event.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ReadProblem::Io(error)),
        };
        file.seek(SeekFrom::Start(self.offset)).map_err(ReadProblem::Io)?;
        let mut lines = BufReader::with_capacity(64 * 1024, file);
        let mut events = Vec::new();
        let mut buffer = Vec::new();
        while events.len() < BATCH_MAX {
            buffer.clear();
            let n = (&mut lines).take(LINE_MAX).read_until(b'\n', &mut buffer);
            let n = n.map_err(ReadProblem::Io)? as u64;
            if buffer.pop_if(|&mut byte| byte == b'\n').is_none() {
                if n == LINE_MAX {
                    return Err(ReadProblem::TooLong);
                }
                break;
            }
            // What lies before is passed over without being read in full.
            let is_before = self.next_seq < self.from_seq;
            if !(is_before && line::seq_of(&buffer) == Some(self.next_seq)) {
                match line::parse(&buffer, self.next_seq, &self.payloads, self.unknowns)? {
                    Line::Event(event) => events.push(event),
                    Line::Unknown => self.skipped += 1,
                }
            }
            self.next_seq += 1;
            self.n_lines += 1;
            self.offset += n;
        }
        Ok(events)
    }
}
