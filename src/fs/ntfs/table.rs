//! The MFT: where it lies, and its records, read in large pieces and kept in a bounded cache that
//! many threads share. Its first four records have a mirror elsewhere.
use super::boot::Boot;
use super::content::{Content, Disk};
use super::list;
use super::raw::{corrupt, size};
use super::record::{ATTRIBUTE_LIST, DATA, Record, fix_up};
use super::runs::{self, Extent};
use crate::base::{NodeId, is_zero};
use crate::fs::FsError;
use crate::fs::damage::Damage;
use crate::fs::extents::{At, Placed as _};
use crate::image::{ReadAt, ReadError, read_exact};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes per cached piece.
const CHUNK: usize = 64 << 10;
const SHARDS: usize = 16;
/// Pieces per shard: 64 MiB in all.
const PER_SHARD: usize = 64;
/// Bytes of the MFT in a row without one good record, after which it is walked no further: a crafted one on a disk that
/// is nearly all holes goes on for terabytes. One that Windows wrote has records, used or not, in all of its length.
const MAX_BARREN: u64 = 256 << 20;
/// Records that the mirror holds.
const MIRRORED: u64 = 4;

/// A piece of the MFT, the update sequences of its records applied.
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// Byte of the MFT.
    pub(super) offset: u64,
    /// One for each record.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Good,
    /// Never written.
    Empty,
    Damaged(&'static str),
    Unread,
}

/// Piece number → the piece, and when it was last used.
type Shard = Mutex<(u64, HashMap<u64, (Arc<Chunk>, u64)>)>;

pub(super) struct Mft {
    pub(super) content: Arc<Content>,
    /// Bytes of a record.
    pub(super) record: usize,
    mirror: u64,
    shards: [Shard; SHARDS],
}

impl Mft {
    /// Finds the MFT by its own first record, or by the mirror of it.
    pub(super) fn find(disk: &Arc<Disk>, boot: &Boot, damage: &Damage) -> Result<Self, FsError> {
        let (first, what) = match first_record(disk, boot.mft, boot.record) {
            Ok(chunk) => (Some(chunk), String::new()),
            Err(what) => (first_record(disk, boot.mirror, boot.record).ok(), what),
        };
        let Some(chunk) = first else {
            damage.once(
                boot.mft,
                format!(
                    "the MFT's first record and its mirror are damaged ({what}); the MFT was taken to lie in one piece"
                ),
                boot.record as u64,
            );
            let extents = one_piece(disk, boot).ok_or_else(|| corrupt(boot.mft, "no MFT here and no mirror of it"))?;
            let len = extents.len.saturating_mul(disk.cluster);
            return Ok(Self::new(disk, vec![extents], len, len, boot));
        };
        if !what.is_empty() {
            let text =
                format!("the MFT's first record is damaged ({what}); its mirror at byte {} was used", boot.mirror);
            damage.once(boot.mft, text, boot.record as u64);
        }
        let record = Record::new(0, Arc::new(chunk), 0, boot.record).ok_or_else(|| corrupt(boot.mft, "no MFT"))?;
        let mut extents = Vec::new();
        let (mut len, mut initialized, mut has_list) = (0, 0, false);
        let mut broken = None;
        let _ = record.attributes(|a| {
            has_list |= a.kind == ATTRIBUTE_LIST;
            if a.kind == DATA && a.name().is_empty() && !a.is_resident() && a.lowest() == 0 && len == 0 {
                (len, initialized) = (a.len(), a.initialized());
                broken = runs::decode(a.runs(), 0, &mut extents).err();
            }
        });
        if let Some(what) = broken {
            damage.note(what, 0, boot.mft, 0);
        }
        if extents.is_empty() {
            return Err(corrupt(boot.mft, "the MFT's first record does not tell where the MFT lies"));
        }
        let mut mft = Self::new(disk, extents, len, initialized, boot);
        if has_list {
            mft = mft.with_list(&record, damage);
        }
        Ok(mft.within_its_clusters(damage))
    }
    /// What the sizes claim beyond the known clusters is told once, not record by record.
    fn within_its_clusters(mut self, damage: &Damage) -> Self {
        let old = &self.content;
        let end = old.extents.last().map_or(0, Extent::end).saturating_mul(old.disk.cluster);
        if old.initialized > end {
            let lost = old.initialized.saturating_sub(end);
            damage.once(self.volume_offset(0), "a part of the MFT has no known place", lost);
            let (disk, extents) = (old.disk.clone(), old.extents.clone());
            self.content = Arc::new(Content { disk, len: old.len, initialized: end, extents });
        }
        self
    }
    fn new(disk: &Arc<Disk>, mut extents: Vec<Extent>, len: u64, initialized: u64, boot: &Boot) -> Self {
        let len = len.min(disk.source.len());
        // No MFT has holes; one in a crafted volume would only cost time.
        extents.truncate(extents.iter().take_while(|e| e.is_stored()).count());
        let content = Content { disk: disk.clone(), len, initialized: initialized.min(len), extents: extents.into() };
        Self { content: Arc::new(content), record: boot.record, mirror: boot.mirror, shards: Default::default() }
    }
    /// A fragmented MFT tells the rest of its places in records that lie in what is known already.
    fn with_list(self, first: &Record, damage: &Damage) -> Self {
        let mut extents = self.content.extents.to_vec();
        let numbers = list::records(first, &self, damage);
        for number in numbers {
            let Ok(record) = self.record(number, damage) else { continue };
            let _ = record.attributes(|a| {
                if a.kind == DATA && a.name().is_empty() && !a.is_resident() && a.lowest() > 0 {
                    let mut more = Vec::new();
                    if let Err(what) = runs::decode(a.runs(), a.lowest(), &mut more) {
                        damage.note(what, number, self.volume_offset(number), 0);
                    }
                    extents.extend(more);
                }
            });
        }
        extents.sort_by_key(|e| e.vcn);
        extents.dedup_by(|b, a| b.vcn < a.end());
        extents.retain(Extent::is_stored);
        let old = &self.content;
        let content =
            Content { disk: old.disk.clone(), len: old.len, initialized: old.initialized, extents: extents.into() };
        Self { content: Arc::new(content), record: self.record, mirror: self.mirror, shards: Default::default() }
    }
    /// Records that the MFT has room for.
    pub(super) fn count(&self) -> u64 {
        self.content.initialized / (self.record as u64)
    }
    pub(super) fn per_chunk(&self) -> u64 {
        (CHUNK / self.record).max(1) as u64
    }
    /// Byte of the volume at which a record begins; 0 where that is not known.
    pub(super) fn volume_offset(&self, number: u64) -> u64 {
        match self.content.place(number.saturating_mul(self.record as u64)).0 {
            At::Volume(at) => at,
            _ => 0,
        }
    }
    /// A record by its number, whatever it holds. Damage is told once, when its piece is read.
    pub(super) fn record(&self, number: u64, damage: &Damage) -> Result<Record, FsError> {
        let missing = || FsError::NotFound(NodeId { number, generation: 0 });
        if number >= self.count() {
            return Err(missing());
        }
        let chunk = self.chunk(number / self.per_chunk(), damage);
        let slot = size(number % self.per_chunk());
        match chunk.slots.get(slot) {
            Some(Slot::Good) => {}
            Some(Slot::Damaged(what)) => return Err(corrupt(self.volume_offset(number), *what)),
            Some(Slot::Unread) => {
                let (offset, what) = (self.volume_offset(number), "record of the MFT not readable".to_owned());
                return Err(FsError::Read(ReadError { offset, what }));
            }
            _ => return Err(missing()),
        }
        Record::new(number, chunk, slot.saturating_mul(self.record), self.record).ok_or_else(missing)
    }
    /// Calls `each` for every record that can be read, in order, up to where [`MAX_BARREN`] bytes hold none.
    pub(super) fn each(&self, damage: &Damage, mut each: impl FnMut(&Record)) {
        let per = self.per_chunk();
        let mut barren = 0_u64;
        for index in 0..self.count().div_ceil(per) {
            let chunk = self.chunk(index, damage);
            barren = if chunk.slots.contains(&Slot::Good) { 0 } else { barren.saturating_add(CHUNK as u64) };
            if barren > MAX_BARREN {
                let next = index.saturating_add(1).saturating_mul(per);
                let left = self.count().saturating_sub(next);
                let what = format!(
                    "budget: {MAX_BARREN} bytes of the MFT in a row without a record; its {left} records from {next} on were not searched for deleted and lost files"
                );
                damage.once(self.volume_offset(next), what, left.saturating_mul(self.record as u64));
                return;
            }
            for (n, slot) in chunk.slots.iter().enumerate() {
                let number = index.saturating_mul(per).saturating_add(n as u64);
                if *slot == Slot::Good
                    && number < self.count()
                    && let Some(record) = Record::new(number, chunk.clone(), n.saturating_mul(self.record), self.record)
                {
                    each(&record);
                }
            }
        }
    }
    fn chunk(&self, index: u64, damage: &Damage) -> Arc<Chunk> {
        let Some(shard) = self.shards.get(size(index % SHARDS as u64)) else {
            return Arc::new(self.load(index, damage));
        };
        let mut kept = shard.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 = kept.0.wrapping_add(1);
        let now = kept.0;
        if let Some((chunk, used)) = kept.1.get_mut(&index) {
            *used = now;
            return chunk.clone();
        }
        let chunk = Arc::new(self.load(index, damage));
        if kept.1.len() >= PER_SHARD
            && let Some(oldest) = kept.1.iter().min_by_key(|(_, (_, used))| *used).map(|(k, _)| *k)
        {
            kept.1.remove(&oldest);
        }
        kept.1.insert(index, (chunk.clone(), now));
        chunk
    }
    fn load(&self, index: u64, damage: &Damage) -> Chunk {
        let first = index.saturating_mul(self.per_chunk());
        let offset = first.saturating_mul(self.record as u64);
        let len = self.content.initialized.saturating_sub(offset).min(CHUNK.max(self.record) as u64);
        let mut bytes = vec![0; size(len)];
        let whole = self.content.read_at(offset, &mut bytes).is_ok_and(|n| n == bytes.len());
        let mut slots = Vec::new();
        for (number, record) in (first..).zip(bytes.chunks_exact_mut(self.record)) {
            let at = number.saturating_mul(self.record as u64);
            let read = whole || self.content.read_at(at, record).is_ok_and(|n| n == record.len());
            let mut slot = if read { prepare(record) } else { Slot::Unread };
            let told = match slot {
                Slot::Damaged(what) => Some(what),
                Slot::Unread => Some("record of the MFT could not be read"),
                Slot::Empty if number < MIRRORED => Some("record of the MFT is empty"),
                _ => None,
            };
            if let Some(what) = told {
                damage.note(what, number, self.volume_offset(number), record.len() as u64);
                if number < MIRRORED && self.copy_mirrored(number, record) {
                    slot = Slot::Good;
                    let what = "mirror of a record of the MFT used";
                    damage.note(what, number, self.mirror.saturating_add(at), 0);
                }
            }
            slots.push(slot);
        }
        Chunk { bytes, offset, slots }
    }
    fn copy_mirrored(&self, number: u64, record: &mut [u8]) -> bool {
        let at = self.mirror.saturating_add(number.saturating_mul(record.len() as u64));
        let copy = read_exact(&*self.content.disk.source, at, record.len()).ok().flatten();
        let Some(mut copy) = copy else { return false };
        let good = prepare(&mut copy) == Slot::Good;
        if good {
            record.copy_from_slice(&copy);
        }
        good
    }
}

/// Checks a record and applies its update sequence.
fn prepare(record: &mut [u8]) -> Slot {
    match record.get(..4) {
        Some(b"FILE") => {}
        Some(b"BAAD") => return Slot::Damaged("record of the MFT that the system marked as damaged"),
        _ if is_zero(record) => return Slot::Empty,
        _ => return Slot::Damaged("record of the MFT without its signature"),
    }
    match fix_up(record) {
        Ok(()) => Slot::Good,
        Err(_) => Slot::Damaged("update sequence of a record of the MFT differs: sectors of different writes"),
    }
}

fn first_record(disk: &Disk, at: u64, len: usize) -> Result<Chunk, String> {
    let bytes = read_exact(&*disk.source, at, len).map_err(|e| e.to_string())?;
    let mut bytes = bytes.ok_or("the volume ends before it")?;
    match prepare(&mut bytes) {
        Slot::Good => Ok(Chunk { bytes, offset: 0, slots: vec![Slot::Good] }),
        Slot::Damaged(what) => Err(what.to_owned()),
        _ => Err("empty".to_owned()),
    }
}

/// The run of records that begins where the boot sector puts the MFT, as far as they look like some.
fn one_piece(disk: &Disk, boot: &Boot) -> Option<Extent> {
    let mut buf = vec![0; CHUNK];
    let mut found = 0_u64;
    'all: loop {
        let n = disk.source.read_at(boot.mft.saturating_add(found), &mut buf).unwrap_or(0);
        let mut any = false;
        for record in buf.get(..n).unwrap_or_default().chunks_exact(boot.record) {
            // The first records may be what is damaged.
            let known = matches!(record.get(..4), Some(b"FILE" | b"BAAD"));
            if !known && found >= 16_u64.saturating_mul(boot.record as u64) {
                break 'all;
            }
            any = true;
            found = found.saturating_add(boot.record as u64);
        }
        if !any {
            break;
        }
    }
    let len = found / disk.cluster;
    (len > 0).then_some(Extent { vcn: 0, lcn: boot.mft / disk.cluster, len })
}
