//! Values too large for a line, by content.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use massgen_protocol::PayloadHash;

use crate::atomic;

/// The payload files of one run. A file is named by the blake3 hash of its
/// content and holds it deflated; equal values share one file.
#[derive(Debug)]
pub(crate) struct Payloads {
    dir: PathBuf,
    /// Files known to be whole, so that a repeated value costs no look at the disk.
    known: HashSet<PayloadHash>,
}

/// Why a payload cannot be had.
#[derive(Debug)]
pub(crate) enum PayloadProblem {
    Missing,
    Corrupt(String),
    Io(io::Error),
}

impl Payloads {
    pub(crate) fn new(dir: PathBuf) -> Payloads {
        Payloads { dir, known: HashSet::new() }
    }

    /// Stores a value and returns its name, and its file where it is new and so
    /// still has to be synced.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> io::Result<(PayloadHash, Option<File>)> {
        let hash = PayloadHash(blake3::hash(bytes).to_hex().to_string());
        if self.known.contains(&hash) {
            return Ok((hash, None));
        }
        // A file that is there but broken was cut by a power failure: write it again.
        let is_whole = self.get(&hash, bytes.len() as u64).is_ok();
        let file = if is_whole {
            None
        } else {
            Some(atomic::replace(&self.dir.join(&hash.0), &deflated(bytes)?)?)
        };
        self.known.insert(hash.clone());
        Ok((hash, file))
    }

    /// Reads a value of `len` bytes back and checks that it is the one that was stored.
    pub(crate) fn get(&self, hash: &PayloadHash, len: u64) -> Result<Vec<u8>, PayloadProblem> {
        // The name comes from a file; it must not lead out of the folder.
        if hash.0.len() != 64 || !hash.0.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(PayloadProblem::Corrupt("its name is not a hash".to_owned()));
        }
        let file = File::open(self.path(hash)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PayloadProblem::Missing,
            _ => PayloadProblem::Io(error),
        })?;
        let mut bytes = Vec::new();
        // One byte more than expected is enough to see that it is the wrong value,
        // and keeps a small file from unpacking into a huge one.
        DeflateDecoder::new(file)
            .take(len.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| PayloadProblem::Corrupt(error.to_string()))?;
        if blake3::hash(&bytes).to_hex().as_str() != hash.0 {
            let found = bytes.len();
            let problem = format!("its content is not what its name says ({found} of {len} bytes)");
            return Err(PayloadProblem::Corrupt(problem));
        }
        Ok(bytes)
    }

    pub(crate) fn path(&self, hash: &PayloadHash) -> PathBuf {
        self.dir.join(&hash.0)
    }
}

/// Removes what a killed process left of files it was writing.
pub(crate) fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn deflated(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
