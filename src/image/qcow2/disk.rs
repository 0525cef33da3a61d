//! Where the bytes of a QCOW2 disk lie.
use crate::base::Run;
use crate::image::cache::Cache;
use crate::image::decoded::{Blocks, Decoded};
use crate::image::inflate::deflate;
use crate::image::parent::Below;
use crate::image::{Extent, Map, ReadError, Source, expand_zstd_into, read_exact};
use std::sync::Arc;

/// Bytes of tables that are kept.
const KEPT: u64 = 16 << 20;
pub(super) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
pub(super) const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
/// Set where a cluster is this image's alone; in an external data file it tells byte 0 from nowhere.
const OWN: u64 = 1 << 63;
/// Clusters that are told of in one answer.
const RUN: u64 = 256;
/// Subclusters of a cluster, where the image has them.
const PARTS: u64 = 32;

/// What decides how entries are read.
#[derive(Clone, Copy)]
pub(super) struct Features {
    pub is_extended: bool,
    pub has_zeros: bool,
    pub is_external: bool,
}

/// The two levels of tables.
pub(super) struct Tables {
    file: Source,
    l1: Vec<u64>,
    bits: u32,
    size: u64,
    is_extended: bool,
    /// Zeros are marked from version 3 on.
    has_zeros: bool,
    /// Clusters lie in another file, and may begin with its first byte.
    is_external: bool,
    /// Bytes of the file that hold something else than clusters and their tables.
    taken: Vec<Run>,
    l2: Cache<Vec<u64>>,
}

/// What an entry says of a cluster, or of a part of one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stored(u64),
    Zero,
    Below,
    Compressed(u64),
}

impl Tables {
    pub(super) fn new(file: Source, l1: Vec<u64>, bits: u32, size: u64, features: Features, taken: Vec<Run>) -> Self {
        let l2 = Cache::of_bytes(KEPT, 1_u64.checked_shl(bits).unwrap_or(u64::MAX));
        let Features { is_extended, has_zeros, is_external } = features;
        Self { file, l1, bits, size, is_extended, has_zeros, is_external, taken, l2 }
    }
    /// Whether an entry names a place.
    fn is_placed(&self, entry: u64) -> bool {
        entry & OFFSET != 0 || (self.is_external && entry & OWN != 0)
    }
    /// What is wrong with a place where a cluster is said to begin.
    fn misplaced(&self, offset: u64) -> Option<&'static str> {
        if offset.rem_euclid(self.cluster()) != 0 {
            return Some("which is within a cluster");
        }
        let end = offset.saturating_add(self.cluster());
        let is_taken = self.taken.iter().any(|run| run.offset < end && offset < run.end());
        is_taken.then_some("where the image's own tables stand")
    }
    fn cluster(&self) -> u64 {
        1_u64.checked_shl(self.bits).unwrap_or(1)
    }
    /// Entries of a table of the second level.
    fn entries(&self) -> u64 {
        self.cluster().div_euclid(if self.is_extended { 16 } else { 8 })
    }
    /// The table that a cluster's entry stands in; `None` if it was never made.
    fn table(&self, cluster: u64) -> Result<Option<Arc<Vec<u64>>>, String> {
        let index = cluster.div_euclid(self.entries());
        let entry = usize::try_from(index).ok().and_then(|i| self.l1.get(i));
        let offset = entry.ok_or("the table of the first level ends before it")? & OFFSET;
        if offset == 0 {
            return Ok(None);
        }
        if let Some(why) = self.misplaced(offset) {
            return Err(format!("its table is said to stand at byte {offset}, {why}"));
        }
        let read = || {
            let len = usize::try_from(self.cluster()).map_err(|e| e.to_string())?;
            let bytes = read_exact(&*self.file, offset, len).map_err(|e| e.to_string())?;
            let bytes = bytes.ok_or_else(|| format!("its table at byte {offset} lies beyond the file"))?;
            Ok::<_, String>(bytes.chunks_exact(8).filter_map(|c| c.try_into().ok().map(u64::from_be_bytes)).collect())
        };
        self.l2.get(index, read).map(Some)
    }
    /// What lies at `offset`, and how many bytes from there on one entry tells of.
    fn kind(&self, table: &[u64], offset: u64) -> Result<(Kind, u64), String> {
        let inside = offset.rem_euclid(self.cluster());
        let number = offset.div_euclid(self.cluster()).rem_euclid(self.entries());
        let at = usize::try_from(number).map_err(|e| e.to_string())?;
        let get = |at: usize| table.get(at).copied().ok_or("its table is cut");
        let rest = self.cluster().saturating_sub(inside);
        if !self.is_extended {
            let entry = get(at)?;
            let kind = match entry {
                e if e & COMPRESSED != 0 => Kind::Compressed(e),
                e if e & ZERO != 0 && self.has_zeros => Kind::Zero,
                e if !self.is_placed(e) => Kind::Below,
                e => match self.misplaced(e & OFFSET).filter(|_| !self.is_external) {
                    Some(why) => return Err(format!("it is said to stand at byte {}, {why}", e & OFFSET)),
                    None => Kind::Stored((e & OFFSET).saturating_add(inside)),
                },
            };
            return Ok((kind, rest));
        }
        let (entry, bitmap) = (get(at.saturating_mul(2))?, get(at.saturating_mul(2).saturating_add(1))?);
        if entry & COMPRESSED != 0 {
            return Ok((Kind::Compressed(entry), rest));
        }
        let part = self.cluster().div_euclid(PARTS);
        let number = u32::try_from(inside.div_euclid(part)).map_err(|e| e.to_string())?;
        let bit = |n: u32| bitmap & 1_u64.checked_shl(n).unwrap_or(0) != 0;
        let kind = match (bit(number), bit(number.saturating_add(32))) {
            (_, true) => Kind::Zero,
            (true, _) if self.is_placed(entry) => Kind::Stored((entry & OFFSET).saturating_add(inside)),
            (true, _) => return Err("it is marked as stored, but nowhere".into()),
            _ => Kind::Below,
        };
        Ok((kind, part.saturating_sub(inside.rem_euclid(part))))
    }
    fn at(&self, offset: u64) -> Result<(Kind, u64), String> {
        match self.table(offset.div_euclid(self.cluster()))? {
            Some(table) => self.kind(&table, offset),
            None => Ok((Kind::Below, self.cluster().saturating_sub(offset.rem_euclid(self.cluster())))),
        }
    }
}

/// The compressed bytes that an entry leads to, where clusters have two to the power of `bits` bytes. Their last sector
/// may be cut by the file's end.
pub(super) fn compressed(entry: u64, bits: u32) -> Run {
    let shift = 62_u32.saturating_sub(bits.saturating_sub(8));
    let low = 1_u64.checked_shl(shift).unwrap_or(0).wrapping_sub(1);
    let offset = entry & low & !(3 << 62);
    let sectors = (entry & !(3 << 62)).checked_shr(shift).unwrap_or(0).saturating_add(1);
    Run::new(offset, sectors.saturating_mul(512).saturating_sub(offset.rem_euclid(512)))
}

pub(super) struct Disk {
    tables: Arc<Tables>,
    /// Where clusters that are stored as they are lie.
    data: Source,
    below: Below,
    packed: Source,
}

impl Disk {
    pub(super) fn new(tables: Arc<Tables>, data: Source, below: Below, is_zstd: bool) -> Self {
        let packed = Arc::new(Decoded::new(Packed { tables: tables.clone(), is_zstd }));
        Self { tables, data, below, packed }
    }
}

impl Map for Disk {
    fn len(&self) -> u64 {
        self.tables.size
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let failed = |what: String| {
            let cluster = offset.div_euclid(self.tables.cluster());
            ReadError { offset, what: format!("cluster {cluster}: {what}") }
        };
        let (kind, mut len) = self.tables.at(offset).map_err(failed)?;
        // What follows and lies there in the same way is told of in one answer.
        for _ in 1..RUN {
            let next = offset.saturating_add(len);
            if next >= self.tables.size || matches!(kind, Kind::Compressed(_)) {
                break;
            }
            let Ok((after, more)) = self.tables.at(next) else { break };
            let follows = match (kind, after) {
                (Kind::Stored(from), Kind::Stored(to)) => from.saturating_add(len) == to,
                _ => kind == after,
            };
            if !follows {
                break;
            }
            len = len.saturating_add(more);
        }
        Ok(match kind {
            Kind::Stored(at) => {
                let left = self.data.len().saturating_sub(at);
                if left == 0 {
                    let what = format!("cluster at byte {at} lies beyond the file's end");
                    return Err(failed(what));
                }
                Extent::Stored { source: self.data.clone(), offset: at, len: len.min(left) }
            }
            Kind::Zero => Extent::Hole { len },
            Kind::Below => self.below.at(offset, len),
            Kind::Compressed(_) => Extent::Stored { source: self.packed.clone(), offset, len },
        })
    }
}

/// The compressed clusters, at the places of the disk they stand for.
struct Packed {
    tables: Arc<Tables>,
    is_zstd: bool,
}

impl Packed {
    fn run(&self, number: u64) -> Result<Run, String> {
        match self.tables.at(number.saturating_mul(self.tables.cluster()))?.0 {
            Kind::Compressed(entry) => Ok(compressed(entry, self.tables.bits)),
            _ => Err("it is not compressed".into()),
        }
    }
}

impl Blocks for Packed {
    fn len(&self) -> u64 {
        self.tables.size
    }
    fn size(&self) -> usize {
        usize::try_from(self.tables.cluster()).unwrap_or(1)
    }
    fn decode(&self, number: u64, out: &mut [u8]) -> Result<(), String> {
        let run = self.run(number)?;
        let left = self.tables.file.len().saturating_sub(run.offset);
        let mut stored = vec![0; usize::try_from(run.len.min(left)).map_err(|e| e.to_string())?];
        let n = self.tables.file.read_at(run.offset, &mut stored).map_err(|e| e.to_string())?;
        stored.truncate(n);
        // The last cluster is whole as well, however short the disk's part of it is.
        let mut full = Vec::new();
        let target = if out.len() == self.size() {
            &mut *out
        } else {
            full.resize(self.size(), 0);
            full.as_mut_slice()
        };
        let place = |e: String| format!("compressed at byte {}: {e}", run.offset);
        let n =
            if self.is_zstd { expand_zstd_into(&stored, target) } else { deflate(&stored, target) }.map_err(place)?;
        if n != target.len() {
            return Err(format!("compressed at byte {}: it decodes to {n} bytes only", run.offset));
        }
        if !full.is_empty() {
            let len = out.len();
            out.copy_from_slice(full.get(..len).unwrap_or_default());
        }
        Ok(())
    }
    fn input(&self, number: u64) -> Option<(u32, u64)> {
        let pieces = self.tables.file.locate(self.run(number).ok()?);
        pieces.first().map(|p| (p.image, p.offset))
    }
}
