//! One line of `events.jsonl`, and what can be wrong with it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use massgen_protocol::{AssistantTurn, Event, Kept, Media, PayloadHash};
use serde::Deserialize;
use thiserror::Error;

use crate::payload::{PayloadProblem, Payloads};

/// Longest line a reader takes. The longest we write is a question, which a
/// command line or a pipe gives us whole; what is longer is not a log.
pub(crate) const LINE_MAX: u64 = 64 * 1024 * 1024;

/// Why a log cannot be read on from some line.
#[derive(Debug, Error)]
#[error("`{}` cannot be read at line {line} (byte {offset}): {problem}", file.display())]
pub struct ReadError {
    pub file: PathBuf,
    /// From 1.
    pub line: u64,
    /// Where the line begins.
    pub offset: u64,
    pub problem: ReadProblem,
}

#[derive(Debug)]
pub enum ReadProblem {
    Io(io::Error),
    NotAnEvent(serde_json::Error),
    /// Events are numbered without gaps.
    OutOfOrder {
        expected: u64,
        found: u64,
    },
    TooLong,
    PayloadMissing {
        file: PathBuf,
    },
    PayloadCorrupt {
        file: PathBuf,
        why: String,
    },
}

impl ReadError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> String {
        let kept = self.line.saturating_sub(1);
        match &self.problem {
            ReadProblem::Io(_) => "check the disk and the rights of the file".to_owned(),
            ReadProblem::NotAnEvent(_) | ReadProblem::OutOfOrder { .. } | ReadProblem::TooLong => {
                let file = self.file.display();
                format!(
                    "the {kept} lines before it are good; if a newer massgen wrote the rest, use \
                     that; to go on from there with this one, keep a copy and cut the file: \
                     `truncate --size {} {file}`",
                    self.offset
                )
            }
            ReadProblem::PayloadMissing { file } | ReadProblem::PayloadCorrupt { file, .. } => {
                format!(
                    "put `{}` back from a copy of the run, or cut the log before the line: \
                     `truncate --size {} {}`",
                    file.display(),
                    self.offset,
                    self.file.display()
                )
            }
        }
    }
}

impl fmt::Display for ReadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadProblem::Io(error) => write!(f, "{error}"),
            ReadProblem::NotAnEvent(error) => write!(f, "not an event: {error}"),
            ReadProblem::OutOfOrder { expected, found } => {
                write!(f, "event {found} where event {expected} belongs")
            }
            ReadProblem::TooLong => write!(f, "longer than {LINE_MAX} bytes"),
            ReadProblem::PayloadMissing { file } => {
                write!(f, "its payload `{}` is missing", file.display())
            }
            ReadProblem::PayloadCorrupt { file, why } => {
                write!(f, "its payload `{}` is broken: {why}", file.display())
            }
        }
    }
}

/// What a line holds.
pub(crate) enum Line {
    Event(Event),
    /// A fact that only a newer build knows.
    Unknown,
}

/// Whether a line may hold facts this build does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknowns {
    Skipped,
    Refused,
}

/// The part of an event that every version of it has.
#[derive(Deserialize)]
struct Head {
    seq: u64,
}

/// Reads a line without its end, which must be event `expected`, and puts its
/// payload back in.
pub(crate) fn parse(
    line: &[u8],
    expected: u64,
    payloads: &Payloads,
    unknowns: Unknowns,
) -> Result<Line, ReadProblem> {
    let mut event: Event = match serde_json::from_slice(line) {
        Ok(event) => event,
        Err(error) => {
            let head: Option<Head> = serde_json::from_slice(line).ok();
            return match (unknowns, head) {
                (Unknowns::Skipped, Some(head)) => {
                    in_order(expected, head.seq).map(|()| Line::Unknown)
                }
                (Unknowns::Skipped, None) | (Unknowns::Refused, _) => {
                    Err(ReadProblem::NotAnEvent(error))
                }
            };
        }
    };
    in_order(expected, event.seq)?;
    if let Some(text) = event.body.kept_texts()
        && let Kept::Payload { payload, bytes } = text
    {
        let content = load(payloads, payload, *bytes)?;
        let restored = String::from_utf8(content).map_err(|error| {
            corrupt(payloads, payload, format!("not a text: {}", error.utf8_error()))
        })?;
        *text = Kept::inline(restored);
    }
    if let Some(turn) = event.body.kept_turn()
        && let Kept::Payload { payload, bytes } = turn
    {
        let content = load(payloads, payload, *bytes)?;
        let restored: AssistantTurn = serde_json::from_slice(&content)
            .map_err(|error| corrupt(payloads, payload, format!("not a model's turn: {error}")))?;
        *turn = Kept::inline(restored);
    }
    if let Some(media) = event.body.kept_media()
        && let Kept::Payload { payload, bytes } = media
    {
        let content = load(payloads, payload, *bytes)?;
        let restored: Vec<Media> = serde_json::from_slice(&content)
            .map_err(|error| corrupt(payloads, payload, format!("not a list of files: {error}")))?;
        *media = Kept::inline(restored);
    }
    Ok(Line::Event(event))
}

/// Returns the number of the event in a line, cheaply where we wrote it.
pub(crate) fn seq_of(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"seq\":").map(|rest| {
        let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        &rest[..end]
    });
    let quick = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    quick.or_else(|| serde_json::from_slice::<Head>(line).ok().map(|head| head.seq))
}

fn in_order(expected: u64, found: u64) -> Result<(), ReadProblem> {
    if found == expected { Ok(()) } else { Err(ReadProblem::OutOfOrder { expected, found }) }
}

fn load(payloads: &Payloads, hash: &PayloadHash, bytes: u64) -> Result<Vec<u8>, ReadProblem> {
    payloads.get(hash, bytes).map_err(|problem| match problem {
        PayloadProblem::Missing => ReadProblem::PayloadMissing { file: payloads.path(hash) },
        PayloadProblem::Corrupt(why) => corrupt(payloads, hash, why),
        PayloadProblem::Io(error) => ReadProblem::Io(error),
    })
}

fn corrupt(payloads: &Payloads, hash: &PayloadHash, why: String) -> ReadProblem {
    ReadProblem::PayloadCorrupt { file: payloads.path(hash), why }
}
