//! Where the bytes of a VHDX disk lie.
use super::metadata::Metadata;
use crate::image::blocks::BlockTable;
use crate::image::cache::Cache;
use crate::image::parent::Below;
use crate::image::{Extent, Map, OpenError, ReadError, Source, read_exact};

/// Sectors that one bitmap stands for, and its bytes.
const BITMAP_SECTORS: u64 = 1 << 23;
const BITMAP: u64 = 1 << 20;
/// Bytes of bitmaps that are read and kept together.
const PART: u64 = 4096;
const PARTS: usize = 256;
/// Sectors that one answer tells of.
const RUN: u64 = 4096;
const PLACE: u64 = !0xf_ffff;
/// Entries that are held against each other.
const MAX_ENTRIES: u64 = 4 << 20;
/// Megabytes of the file without a block that are looked at.
const MAX_LOOKED: u64 = 1 << 16;

pub(super) struct Disk {
    file: Source,
    table: BlockTable,
    bitmaps: Cache<Vec<u8>>,
    block: u64,
    sector: u64,
    /// Blocks whose sectors stand in one bitmap; behind them stands its entry.
    ratio: u64,
    len: u64,
    /// Entries of the table that the disk's length needs.
    needed: u64,
    has_parent: bool,
    below: Below,
}

impl Disk {
    pub(super) fn new(file: Source, table: (u64, u64), metadata: &Metadata, below: Below) -> Result<Self, OpenError> {
        let &Metadata { block, len, sector, has_parent, .. } = metadata;
        let ratio = BITMAP_SECTORS.saturating_mul(sector).div_euclid(block);
        let blocks = len.div_ceil(block);
        // Every bitmap's entry is there but for the last, which only a differencing disk needs.
        let needed = if has_parent {
            blocks.div_ceil(ratio).saturating_mul(ratio.saturating_add(1))
        } else {
            blocks.saturating_add(blocks.saturating_sub(1).div_euclid(ratio))
        };
        let count = table.1.div_euclid(8);
        if needed > count {
            let what = format!("a table of {count} blocks for a disk that needs {needed}");
            return Err(OpenError::Corrupt { at: table.0, what });
        }
        let table = BlockTable::new(file.clone(), table.0, count, 8, false);
        Ok(Self { file, table, bitmaps: Cache::new(PARTS), block, sector, ratio, len, needed, has_parent, below })
    }

    /// What no writer makes of the table: bits that mean nothing, blocks over one another or over the `structures` of
    /// the file (byte and bytes of each), and contents of the file that no block has, as when the table was erased.
    pub(super) fn contradictions(&self, structures: &[(u64, u64)]) -> Vec<String> {
        let mut told = Vec::new();
        let mut used: Vec<(u64, u64)> = structures.to_vec();
        let (mut odd, mut behind) = (0_u64, 0_u64);
        // Behind the blocks of each bitmap stands its own entry.
        let is_bitmap = |number: u64| number % self.ratio.saturating_add(1) == self.ratio;
        for number in 0..self.table.count().min(MAX_ENTRIES) {
            // Each read of such a block says so itself.
            let Ok(entry) = self.table.entry(number) else { break };
            odd = odd.saturating_add(u64::from(entry & !PLACE & !7 != 0));
            behind = behind.saturating_add(u64::from(number >= self.needed && matches!(entry & 7, 6 | 7)));
            let len = if is_bitmap(number) { BITMAP } else { self.block };
            if matches!(entry & 7, 6 | 7) {
                used.push((entry & PLACE, len));
            } else if entry & PLACE != 0 {
                // A block that was given up keeps its place, which another may have by now.
                used.push((entry & PLACE, 0));
            }
        }
        if odd > 0 {
            told.push(format!("{odd} entries of the table of blocks have bits that mean nothing; it may be another's"));
        }
        if behind > 0 {
            told.push(format!(
                "{behind} blocks stand in the table behind the end of the disk: it may be longer than it says"
            ));
        }
        used.sort_unstable();
        let mut pairs = used.iter().zip(used.iter().skip(1));
        if let Some((one, _)) = pairs.find(|(one, other)| other.1 > 0 && other.0 < one.0.saturating_add(one.1)) {
            told.push(format!("what lies at byte {} of the file is said to be two things: not both are", one.0));
        }
        let (mut at, mut lost, mut looked) = (0_u64, (0_u64, 0_u64), 0_u64);
        let end = self.file.len();
        for (from, len) in used.into_iter().chain([(end, 0)]) {
            // Contents begin at whole megabytes.
            while at < from.min(end) && looked < MAX_LOOKED {
                looked = looked.saturating_add(1);
                if self.is_filled(at) {
                    lost = (if lost.1 == 0 { at } else { lost.0 }, lost.1.saturating_add(BITMAP));
                }
                at = at.saturating_add(BITMAP);
            }
            at = at.max(from.saturating_add(len).checked_next_multiple_of(BITMAP).unwrap_or(u64::MAX));
        }
        if looked >= MAX_LOOKED {
            told.push("budget: parts of the file that belong to no block; not all were looked at".to_owned());
        }
        if lost.1 > 0 {
            told.push(format!(
                "{} bytes of the file, from byte {} on, hold something and belong to no block: the table was erased, or its blocks given up",
                lost.1, lost.0
            ));
        }
        told
    }
    /// Whether anything stands where a block could begin, as far as its first bytes tell.
    fn is_filled(&self, at: u64) -> bool {
        let len = self.file.len().saturating_sub(at).min(PART);
        let bytes = read_exact(&*self.file, at, usize::try_from(len).unwrap_or(0));
        bytes.is_ok_and(|b| b.is_some_and(|b| b.iter().any(|b| *b != 0)))
    }

    /// Whether the sector is this disk's own, and how many bytes from there on are alike.
    fn own(&self, offset: u64) -> Result<(bool, u64), String> {
        let sector = offset.div_euclid(self.sector);
        let (chunk, first) = (sector.div_euclid(BITMAP_SECTORS), sector.rem_euclid(BITMAP_SECTORS));
        let entry = self.ratio.saturating_add(1).saturating_mul(chunk.saturating_add(1)).saturating_sub(1);
        let entry = self.table.entry(entry)?;
        if entry & 7 != 6 {
            return Err(format!("the bitmap that says which sectors block holds is not there (state {})", entry & 7));
        }
        let part = first.div_euclid(8).div_euclid(PART);
        let key = chunk.saturating_mul(BITMAP.div_euclid(PART)).saturating_add(part);
        let bitmap = self.bitmaps.get(key, || {
            let at = (entry & PLACE).saturating_add(part.saturating_mul(PART));
            let bytes = read_exact(&*self.file, at, 4096).map_err(|e| e.to_string())?;
            bytes.ok_or_else(|| format!("the bitmap of sectors at byte {at} lies beyond the file's end"))
        })?;
        let start = part.saturating_mul(PART.saturating_mul(8));
        let bit = |sector: u64| {
            let inside = sector.saturating_sub(start);
            let byte = usize::try_from(inside.div_euclid(8)).ok().and_then(|n| bitmap.get(n)).copied().unwrap_or(0);
            byte & 1_u8.checked_shl(u32::try_from(inside.rem_euclid(8)).unwrap_or(0)).unwrap_or(0) != 0
        };
        let is_own = bit(first);
        let last = start.saturating_add(PART.saturating_mul(8)).min(first.saturating_add(RUN));
        let alike = (first..last).take_while(|s| bit(*s) == is_own).count() as u64;
        Ok((is_own, alike.saturating_mul(self.sector).saturating_sub(offset.rem_euclid(self.sector))))
    }
}

impl Map for Disk {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let number = offset.div_euclid(self.block);
        let inside = offset.rem_euclid(self.block);
        let failed = |what: String| ReadError { offset, what: format!("block {number}: {what}") };
        let len = self.block.saturating_sub(inside);
        let entry = self.table.entry(number.saturating_add(number.div_euclid(self.ratio))).map_err(failed)?;
        let stored =
            |len| Extent::Stored { source: self.file.clone(), offset: (entry & PLACE).saturating_add(inside), len };
        Ok(match entry & 7 {
            0 => self.below.at(offset, len),
            1..=3 => Extent::Hole { len },
            6 => stored(len),
            7 if self.has_parent => {
                let (is_own, alike) = self.own(offset).map_err(failed)?;
                let len = len.min(alike);
                if is_own { stored(len) } else { self.below.at(offset, len) }
            }
            state => Extent::Absent { len, what: format!("block {number} is in state {state}, which means nothing") },
        })
    }
}
