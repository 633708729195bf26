//! Many small objects in one file, because ten thousand fsyncs are deadly and one is not.
//!
//! Layout: the objects one after the other, then a record of 48 bytes for each (hash, offset,
//! length), then a footer that says where the records begin and what they hash to. A pack is
//! complete or not there: it is written under a temporary name, synced and renamed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{StoreError, failed};
use crate::object::ObjectId;
use crate::record::{Reader, Writer};

const MAGIC: &[u8; 8] = b"MGPACK1\n";

/// Offset, count, hash of the records, magic.
const FOOTER_BYTES: usize = 8 + 8 + ObjectId::BYTES + MAGIC.len();

/// Held back before a write to the disk's cache.
const BUFFER_BYTES: usize = 256 << 10;

/// Where an object is in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub offset: u64,
    pub bytes: u64,
}

/// A pack being written.
pub(crate) struct PackWriter {
    path: PathBuf,
    file: BufWriter<File>,
    at: u64,
    slots: HashMap<ObjectId, Slot>,
    order: Vec<ObjectId>,
}

/// A pack on disk.
#[derive(Debug)]
pub(crate) struct Pack {
    pub path: PathBuf,
    pub slots: Vec<(ObjectId, Slot)>,
}

impl PackWriter {
    pub fn create(path: PathBuf) -> Result<PackWriter, StoreError> {
        let file = File::options().write(true).create_new(true).open(&path);
        let file = file.map_err(failed("create", &path))?;
        Ok(PackWriter {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            path,
            at: 0,
            slots: HashMap::new(),
            order: Vec::new(),
        })
    }

    pub fn holds(&self, object: &ObjectId) -> bool {
        self.slots.contains_key(object)
    }

    pub fn bytes(&self) -> u64 {
        self.at
    }

    pub fn add(&mut self, object: ObjectId, content: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(content).map_err(failed("write", &self.path))?;
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.slots.insert(object, Slot { offset: self.at, bytes });
        self.order.push(object);
        self.at += bytes;
        Ok(())
    }

    /// Puts the pack into its folder for good.
    pub fn finish(self, packs: &Path) -> Result<Pack, StoreError> {
        let PackWriter { path, mut file, at, slots, order } = self;
        let mut records = Writer::default();
        let in_order = order.into_iter().filter_map(|object| Some((object, *slots.get(&object)?)));
        let slots: Vec<(ObjectId, Slot)> = in_order.collect();
        for (object, slot) in &slots {
            records.object(object);
            records.u64(slot.offset);
            records.u64(slot.bytes);
        }
        let hash = ObjectId::of(&records.0);
        let mut footer = Writer::default();
        footer.u64(at);
        footer.u64(u64::try_from(slots.len()).unwrap_or(u64::MAX));
        footer.object(&hash);
        footer.0.extend_from_slice(MAGIC);
        file.write_all(&records.0).map_err(failed("write", &path))?;
        file.write_all(&footer.0).map_err(failed("write", &path))?;
        let file = file.into_inner().map_err(|error| error.into_error());
        let file = file.map_err(failed("write", &path))?;
        file.sync_all().map_err(failed("sync", &path))?;
        // Two takes at once may store the same; the names must not clash then.
        let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let named = packs.join(format!("{}-{stem}.pack", &hash.to_string()[..16]));
        fs::rename(&path, &named).map_err(failed("rename", &path))?;
        Ok(Pack { path: named, slots })
    }
}

impl Pack {
    /// Reads what a pack holds, None where it is not a whole pack.
    pub fn open(path: &Path) -> Result<Option<Pack>, StoreError> {
        let file = File::open(path).map_err(failed("open", path))?;
        let size = file.metadata().map_err(failed("look at", path))?.len();
        let mut footer = [0; FOOTER_BYTES];
        let footer_bytes = u64::try_from(FOOTER_BYTES).unwrap_or(u64::MAX);
        let Some(footer_at) = size.checked_sub(footer_bytes) else { return Ok(None) };
        file.read_exact_at(&mut footer, footer_at).map_err(failed("read", path))?;
        let mut reader = Reader(&footer);
        let (Some(at), Some(count), Some(hash)) = (reader.u64(), reader.u64(), reader.object())
        else {
            return Ok(None);
        };
        let records_bytes = footer_at.checked_sub(at).and_then(|n| usize::try_from(n).ok());
        let Some(records_bytes) = records_bytes.filter(|_| reader.0 == MAGIC) else {
            return Ok(None);
        };
        let mut records = vec![0; records_bytes];
        file.read_exact_at(&mut records, at).map_err(failed("read", path))?;
        if ObjectId::of(&records) != hash {
            return Ok(None);
        }
        let mut reader = Reader(&records);
        let mut slots = Vec::new();
        for _ in 0..count {
            let (Some(object), Some(offset), Some(bytes)) =
                (reader.object(), reader.u64(), reader.u64())
            else {
                return Ok(None);
            };
            slots.push((object, Slot { offset, bytes }));
        }
        Ok(Some(Pack { path: path.to_path_buf(), slots }))
    }

    pub fn bytes(&self) -> u64 {
        self.slots.iter().map(|(_, slot)| slot.bytes).sum()
    }
}

/// Open packs during one piece of work.
#[derive(Default)]
pub(crate) struct OpenPacks {
    files: HashMap<PathBuf, File>,
}

/// Descriptors held at once.
const OPEN_MAX: usize = 32;

impl OpenPacks {
    /// Reads an object into a buffer and holds it against its name.
    pub fn read(
        &mut self,
        pack: &Path,
        slot: Slot,
        object: ObjectId,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        if self.files.len() >= OPEN_MAX && !self.files.contains_key(pack) {
            self.files.clear();
        }
        let file = match self.files.entry(pack.to_path_buf()) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(File::open(pack).map_err(failed("open", pack))?)
            }
        };
        buffer.clear();
        buffer.resize(usize::try_from(slot.bytes).unwrap_or(usize::MAX), 0);
        file.read_exact_at(buffer, slot.offset).map_err(failed("read", pack))?;
        match ObjectId::of(buffer) == object {
            true => Ok(()),
            false => Err(StoreError::Damaged { what: format!("content `{object}`") }),
        }
    }
}
