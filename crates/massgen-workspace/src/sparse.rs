//! Large files, a piece at a time, with their holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::object::ObjectId;

/// Held of a large file at once.
const PIECE_BYTES: usize = 1 << 20;

/// Is asked between two pieces whether to go on.
pub(crate) type GoOn<'a, E> = &'a mut dyn FnMut() -> Result<(), E>;

/// Returns the hash of the first `bytes` of a file; holes are zeros. An error if there are not
/// as many.
pub(crate) fn hash<E: From<io::Error>>(
    file: &File,
    bytes: u64,
    go_on: GoOn<'_, E>,
) -> Result<ObjectId, E> {
    each_piece(file, bytes, go_on, |_, _, _| Ok(()))
}

/// Copies the first `bytes` of a file into an empty one, leaving holes where there are some,
/// and returns the hash of what was copied.
pub(crate) fn copy<E: From<io::Error>>(
    from: &File,
    to: &File,
    bytes: u64,
    go_on: GoOn<'_, E>,
) -> Result<ObjectId, E> {
    let object = each_piece(from, bytes, go_on, |piece, at, is_hole| match is_hole {
        true => Ok(()),
        false => to.write_all_at(piece, at),
    })?;
    to.set_len(bytes)?;
    Ok(object)
}

fn each_piece<E: From<io::Error>>(
    file: &File,
    bytes: u64,
    go_on: GoOn<'_, E>,
    mut write: impl FnMut(&[u8], u64, bool) -> io::Result<()>,
) -> Result<ObjectId, E> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PIECE_BYTES];
    let zeros = vec![0; PIECE_BYTES];
    let piece_max = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
    let mut at = 0;
    let mut data = next_data(file, 0, bytes)?;
    while at < bytes {
        go_on()?;
        let (start, end) = data;
        if at >= end {
            data = next_data(file, at, bytes)?;
            continue;
        }
        let is_hole = at < start;
        let until = if is_hole { start } else { end };
        let n = usize::try_from((until - at).min(piece_max)).unwrap_or(PIECE_BYTES);
        let piece = if is_hole { zeros.get(..n) } else { buffer.get(..n) }.unwrap_or_default();
        if is_hole {
            hasher.update(piece);
            write(piece, at, true)?;
        } else {
            let piece = buffer.get_mut(..n).unwrap_or_default();
            file.read_exact_at(piece, at)?;
            hasher.update(piece);
            write(piece, at, false)?;
        }
        at += u64::try_from(n).unwrap_or(0);
    }
    Ok(ObjectId::finish(&hasher))
}

/// Returns where data begins and ends from here on; a hole up to the end is an empty range
/// there.
fn next_data(file: &File, from: u64, bytes: u64) -> io::Result<(u64, u64)> {
    let start = match rustix::fs::seek(file, SeekFrom::Data(from)) {
        Ok(start) => start.min(bytes),
        // Nothing but a hole.
        Err(Errno::NXIO) => return Ok((bytes, bytes)),
        // A file system that knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok((from, bytes)),
        Err(error) => return Err(error.into()),
    };
    if start >= bytes {
        return Ok((bytes, bytes));
    }
    match rustix::fs::seek(file, SeekFrom::Hole(start)) {
        Ok(end) => Ok((start, end.min(bytes))),
        Err(_) => Ok((start, bytes)),
    }
}
