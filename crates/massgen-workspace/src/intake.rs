//! Taking the content of files into the store, each as it was at one moment.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, Timespec, Timestamps, fchmod, fstat, futimens};
use rustix::io::Errno;

use crate::error::{StoreError, failed};
use crate::object::ObjectId;
use crate::pack::PackWriter;
use crate::scan::{Stop, Unfinished, now, open_file};
use crate::sparse;
use crate::statcache::{Fingerprint, Seen, StatCache};
use crate::store::{CopyError, OBJECTS, PACKS, Store, sync_dir};

/// From this size on a file is streamed into a file of its own.
const OWN_BYTES_MIN: u64 = 8 << 20;

/// Also a smaller one, if as much of it is not there.
const HOLE_BYTES_MIN: u64 = 256 << 10;

/// Times a file is read that changes meanwhile.
const READS_MAX: usize = 4;

/// A file written this soon before is read twice: on some systems it could change again within
/// a tick of the clock without its times changing.
const FRESH_NANOS: i128 = 20_000_000;

/// What one snapshot brings into the store. Nothing of it is seen by others before `commit`.
pub(crate) struct Intake<'a> {
    store: &'a Store,
    stop: &'a Stop,
    pack: Option<(PackWriter, Unfinished)>,
    own: Vec<Own>,
    buffer: Vec<u8>,
    second: Vec<u8>,
    pub cache: StatCache,
    files_read: u64,
    unsettled: Vec<PathBuf>,
}

/// A large object that is written and not yet in its place.
struct Own {
    object: ObjectId,
    bytes: u64,
    unfinished: Unfinished,
}

pub(crate) struct Kept {
    pub cache: StatCache,
    pub files_read: u64,
    pub bytes_stored: u64,
    pub unsettled: Vec<PathBuf>,
}

/// What the file's own side says; our side's errors end the snapshot.
type Read = io::Result<(ObjectId, rustix::fs::Stat)>;

/// Whether a file stood still while it was read.
enum Look {
    Still(ObjectId),
    Moved(ObjectId),
    /// It got shorter.
    Cut,
}

impl<'a> Intake<'a> {
    pub fn new(store: &'a Store, stop: &'a Stop) -> Intake<'a> {
        Intake {
            store,
            stop,
            pack: None,
            own: Vec::new(),
            buffer: Vec::new(),
            second: Vec::new(),
            cache: StatCache::default(),
            files_read: 0,
            unsettled: Vec::new(),
        }
    }

    /// Reads a file until it stood still while being read, within bounds.
    pub fn read(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        path: &Path,
    ) -> Result<Read, StoreError> {
        self.files_read += 1;
        let file = match open_file(folder, name) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut last = None;
        let own_before = self.own.len();
        for _ in 0..READS_MAX {
            self.stop.check()?;
            // What an earlier try has copied is not wanted any more.
            self.own.truncate(own_before);
            let read_at = now();
            let stat = match fstat(&file) {
                Ok(stat) => stat,
                Err(error) => return Ok(Err(error.into())),
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Ok(Err(io::Error::other("it was replaced meanwhile")));
            }
            let print = Fingerprint::of(&stat);
            let look = if is_own(&stat) {
                self.look_large(&file, path, print)?
            } else {
                self.look_small(&file, print, read_at)?
            };
            let look = match look {
                Ok(look) => look,
                Err(error) => return Ok(Err(error)),
            };
            match look {
                Look::Still(object) => {
                    self.store_small(object, print)?;
                    let path = path.to_path_buf();
                    self.cache.seen.push(Seen { path, print, read_at, object });
                    return Ok(Ok((object, stat)));
                }
                Look::Moved(object) => last = Some((object, stat, print)),
                Look::Cut => last = None,
            }
        }
        self.unsettled.push(path.to_path_buf());
        match last {
            // It never stood still: what was read last is as good as anything.
            Some((object, stat, print)) => {
                self.store_small(object, print)?;
                Ok(Ok((object, stat)))
            }
            None => Ok(Err(io::Error::other("it keeps changing"))),
        }
    }

    /// Puts all of it on disk, then lets others see it.
    pub fn commit(mut self) -> Result<Kept, StoreError> {
        let dir = &self.store.inner.dir;
        let mut bytes_stored = 0;
        for Own { object, bytes, unfinished } in self.own.drain(..) {
            bytes_stored += bytes;
            let path = self.store.object_path(&object);
            let synced = File::open(&unfinished.0).and_then(|file| file.sync_all());
            synced.map_err(failed("sync", &unfinished.0))?;
            let fan = path.parent().unwrap_or(dir);
            fs::create_dir_all(fan).map_err(failed("create", fan))?;
            fs::rename(&unfinished.0, &path).map_err(failed("rename", &path))?;
            sync_dir(fan)?;
            sync_dir(&dir.join(OBJECTS))?;
            self.store.add_own(object, path);
        }
        if let Some((pack, unfinished)) = self.pack {
            bytes_stored += pack.bytes();
            let packs = dir.join(PACKS);
            let pack = pack.finish(&packs)?;
            drop(unfinished);
            sync_dir(&packs)?;
            self.store.add_pack(&pack);
        }
        Ok(Kept {
            cache: self.cache,
            files_read: self.files_read,
            bytes_stored,
            unsettled: self.unsettled,
        })
    }

    /// Reads a small file into the buffer.
    fn look_small(
        &mut self,
        file: &File,
        print: Fingerprint,
        read_at: (i64, u32),
    ) -> Result<io::Result<Look>, StoreError> {
        let looked = self.try_small(file, print, read_at);
        Ok(match looked {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Look::Cut),
            other => other,
        })
    }

    fn try_small(
        &mut self,
        file: &File,
        print: Fingerprint,
        read_at: (i64, u32),
    ) -> io::Result<Look> {
        let bytes = usize::try_from(print.bytes).map_err(io::Error::other)?;
        self.buffer.resize(bytes, 0);
        file.read_exact_at(&mut self.buffer, 0)?;
        let mut still = Fingerprint::of(&fstat(file)?) == print;
        if still && is_fresh(print, read_at) {
            self.second.resize(bytes, 0);
            file.read_exact_at(&mut self.second, 0)?;
            still = self.second == self.buffer && Fingerprint::of(&fstat(file)?) == print;
        }
        let object = ObjectId::of(&self.buffer);
        Ok(if still { Look::Still(object) } else { Look::Moved(object) })
    }

    /// Adds what is in the buffer to the pack. A large file is stored already.
    fn store_small(&mut self, object: ObjectId, print: Fingerprint) -> Result<(), StoreError> {
        if self.own.iter().any(|own| own.object == object) || self.store.holds(&object) {
            return Ok(());
        }
        if print.bytes != u64::try_from(self.buffer.len()).unwrap_or(u64::MAX) {
            return Err(StoreError::Damaged { what: format!("content `{object}`") });
        }
        let (pack, _) = match &mut self.pack {
            Some(pack) => pack,
            None => {
                let path = self.store.unfinished("pack");
                let pack = PackWriter::create(path.clone())?;
                self.pack.insert((pack, Unfinished(path)))
            }
        };
        if pack.holds(&object) { Ok(()) } else { pack.add(object, &self.buffer) }
    }

    /// Streams a large file: first only its hash, because most large files are in the store
    /// already, then a copy that is hashed again.
    fn look_large(
        &mut self,
        file: &File,
        path: &Path,
        print: Fingerprint,
    ) -> Result<io::Result<Look>, StoreError> {
        let store = self.store;
        let stop = self.stop;
        let mut go_on = || stop.check().map_err(CopyError::Store);
        let object = match sparse::hash(file, print.bytes, &mut go_on) {
            Ok(object) => object,
            Err(error) => return cut(error),
        };
        if self.own.iter().any(|own| own.object == object) || store.holds(&object) {
            return Ok(fstat(file).map_err(io::Error::from).map(|stat| {
                if Fingerprint::of(&stat) == print {
                    Look::Still(object)
                } else {
                    Look::Moved(object)
                }
            }));
        }
        let unfinished = Unfinished(store.unfinished("object"));
        let copy = File::options().read(true).write(true).create_new(true).open(&unfinished.0);
        let copy = copy.map_err(failed("create", &unfinished.0))?;
        let copied = match sparse::copy(file, &copy, print.bytes, &mut go_on) {
            Ok(copied) => copied,
            Err(CopyError::Target(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Ok(Look::Cut));
            }
            Err(error) => return Err(error.at(path)),
        };
        let stat = match fstat(file) {
            Ok(stat) => stat,
            Err(error) => return Ok(Err(error.into())),
        };
        for_readers(&copy, print).map_err(failed("write", &unfinished.0))?;
        self.own.push(Own { object: copied, bytes: print.bytes, unfinished });
        let still = copied == object && Fingerprint::of(&stat) == print;
        Ok(Ok(if still { Look::Still(copied) } else { Look::Moved(copied) }))
    }
}

fn cut(error: CopyError) -> Result<io::Result<Look>, StoreError> {
    match error {
        CopyError::Store(error) => Err(error),
        CopyError::Target(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Ok(Ok(Look::Cut))
        }
        CopyError::Target(error) => Ok(Err(error)),
    }
}

/// Others read it by a link, which shows what the object itself has.
fn for_readers(object: &File, print: Fingerprint) -> Result<(), Errno> {
    let (seconds, nanos) = print.modified;
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    futimens(object, &Timestamps { last_access: time, last_modification: time })?;
    fchmod(object, Mode::from_raw_mode(0o444))
}

fn is_own(stat: &rustix::fs::Stat) -> bool {
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
    bytes >= OWN_BYTES_MIN || bytes.saturating_sub(blocks) >= HOLE_BYTES_MIN
}

fn is_fresh(print: Fingerprint, read_at: (i64, u32)) -> bool {
    let nanos =
        |(seconds, nanos): (i64, u32)| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    nanos(print.changed) + FRESH_NANOS >= nanos(read_at)
}
