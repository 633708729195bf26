//! What files looked like when they were last read, so that they need not be read again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::object::ObjectId;
use crate::record::{Reader, Writer};

const MAGIC: &[u8] = b"massgen stat cache 1\n";

/// A file written this soon before it was read may change again without its times changing,
/// where the system's clock for files ticks only so often.
const TICK_NANOS: i128 = 20_000_000;

/// The same where times are kept in seconds, or in twos of them.
const COARSE_TICK_NANOS: i128 = 2_000_000_000;

/// What the system tells of a file that changes with its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub inode: u64,
    pub bytes: u64,
    pub modified: (i64, u32),
    /// Of content or anything else; no program can set it.
    pub changed: (i64, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub path: PathBuf,
    pub print: Fingerprint,
    /// Before it was read.
    pub read_at: (i64, u32),
    pub object: ObjectId,
}

/// The files of one folder as they were at its last snapshot, in the order of paths.
#[derive(Debug, Default)]
pub(crate) struct StatCache {
    /// The tree of that snapshot.
    pub last: Option<ObjectId>,
    pub seen: Vec<Seen>,
}

impl Seen {
    /// Returns whether a file that looks the same is the same: the rule by which git tells
    /// files that were changed right after they were looked at.
    pub fn is_settled(&self) -> bool {
        let (_, nanos) = self.print.changed;
        let tick = if nanos == 0 { COARSE_TICK_NANOS } else { TICK_NANOS };
        in_nanos(self.print.changed) + tick < in_nanos(self.read_at)
    }
}

impl Fingerprint {
    #[allow(clippy::useless_conversion)]
    pub fn of(stat: &rustix::fs::Stat) -> Fingerprint {
        let nanos = |nanos| u32::try_from(nanos).unwrap_or(0);
        Fingerprint {
            inode: u64::from(stat.st_ino),
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (i64::from(stat.st_mtime), nanos(stat.st_mtime_nsec)),
            changed: (i64::from(stat.st_ctime), nanos(stat.st_ctime_nsec)),
        }
    }
}

fn in_nanos((seconds, nanos): (i64, u32)) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

impl StatCache {
    /// Reads a cache; what is not one is as good as none.
    pub fn load(path: &Path) -> StatCache {
        fs::read(path).ok().and_then(|bytes| StatCache::parse(&bytes)).unwrap_or_default()
    }

    /// Writes a cache. It is not synced, and losing it costs time only: what a crash left of it
    /// does not match its own hash.
    pub fn save(&self, path: &Path, unfinished: &Path) -> std::io::Result<()> {
        fs::write(unfinished, self.bytes())?;
        fs::rename(unfinished, path)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(u8::from(self.last.is_some()));
        writer.object(&self.last.unwrap_or(ObjectId([0; ObjectId::BYTES])));
        for seen in &self.seen {
            writer.path(&seen.path);
            writer.u64(seen.print.inode);
            writer.u64(seen.print.bytes);
            for (seconds, nanos) in [seen.print.modified, seen.print.changed, seen.read_at] {
                writer.i64(seconds);
                writer.u32(nanos);
            }
            writer.object(&seen.object);
        }
        let hash = ObjectId::of(&writer.0);
        [MAGIC, &hash.0, &writer.0].concat()
    }

    fn parse(bytes: &[u8]) -> Option<StatCache> {
        let mut reader = Reader(bytes.strip_prefix(MAGIC)?);
        let hash = reader.object()?;
        if ObjectId::of(reader.0) != hash {
            return None;
        }
        let has_last = reader.u8()? == 1;
        let last = reader.object()?;
        let mut seen = Vec::new();
        while !reader.is_empty() {
            let path = reader.path()?;
            let (inode, bytes) = (reader.u64()?, reader.u64()?);
            let mut time = || Some((reader.i64()?, reader.u32()?));
            let (modified, changed, read_at) = (time()?, time()?, time()?);
            let print = Fingerprint { inode, bytes, modified, changed };
            seen.push(Seen { path, print, read_at, object: reader.object()? });
        }
        Some(StatCache { last: has_last.then_some(last), seen })
    }
}

/// Looks paths up that come in order.
pub(crate) struct Lookup<'a> {
    rest: std::iter::Peekable<std::slice::Iter<'a, Seen>>,
}

impl<'a> Lookup<'a> {
    pub fn new(cache: &'a StatCache) -> Lookup<'a> {
        Lookup { rest: cache.seen.iter().peekable() }
    }

    pub fn get(&mut self, path: &Path) -> Option<&'a Seen> {
        while self.rest.next_if(|seen| seen.path.as_path() < path).is_some() {}
        self.rest.next_if(|seen| seen.path == path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn seen(path: &str, changed: (i64, u32), read_at: (i64, u32)) -> Seen {
        let print = Fingerprint { inode: 1, bytes: 2, modified: (3, 4), changed };
        Seen { path: PathBuf::from(path), print, read_at, object: ObjectId::of(b"x") }
    }

    #[test]
    fn a_file_read_as_it_was_written_is_not_trusted() {
        assert!(!seen("a", (100, 5), (100, 6)).is_settled());
        assert!(!seen("a", (100, 5), (100, 19_000_000)).is_settled());
        assert!(seen("a", (100, 5), (100, 30_000_000)).is_settled());
        assert!(!seen("a", (100, 0), (101, 0)).is_settled(), "times in seconds");
        assert!(seen("a", (100, 0), (103, 0)).is_settled());
        assert!(!seen("a", (200, 5), (100, 5)).is_settled(), "a clock that went back");
    }

    #[test]
    fn a_damaged_cache_is_none() {
        let entries = vec![seen("a", (1, 2), (3, 4)), seen("b", (1, 2), (3, 4))];
        let cache = StatCache { last: Some(ObjectId::of(b"t")), seen: entries };
        let bytes = cache.bytes();
        assert_eq!(StatCache::parse(&bytes).unwrap().seen, cache.seen);
        for n in 0..bytes.len() {
            assert!(StatCache::parse(&bytes[..n]).is_none(), "{n}");
            let mut changed = bytes.clone();
            changed[n] ^= 1;
            assert!(StatCache::parse(&changed).is_none(), "{n}");
        }
    }

    #[test]
    fn paths_are_found_in_order() {
        let entries = ["a", "b/c", "b.txt", "d"].map(|path| seen(path, (1, 2), (3, 4)));
        let cache = StatCache { last: None, seen: entries.to_vec() };
        let mut lookup = Lookup::new(&cache);
        assert!(lookup.get(Path::new("a")).is_some());
        assert!(lookup.get(Path::new("b")).is_none());
        assert!(lookup.get(Path::new("b/c")).is_some());
        assert!(lookup.get(Path::new("d")).is_some());
    }
}
