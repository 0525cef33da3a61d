//! Forks: which blocks of the volume hold a file's data or attributes, as a list or a B+tree.
//! Format: "Data Extents" in "XFS Algorithms & Data Structures".
use super::Volume;
use super::inode::{Fork, Format, Inode};
use super::raw::{size, sum_fits, u16_at, u32_at, u64_at};
use crate::fs::extents::{At, Extent, Extents};
use std::collections::HashSet;

const BMAP: u32 = 0x424d_4150;
const BMA3: u32 = 0x424d_4133;
/// Levels of the deepest tree that fits.
const MAX_LEVEL: u16 = 12;
/// Bits of the count of a single extent.
const COUNT: u64 = 0x1f_ffff;

/// Blocks that follow each other in a fork and in the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    /// Block of the fork.
    pub(super) first: u64,
    /// Byte of the volume.
    pub(super) at: u64,
    /// Blocks.
    pub(super) count: u64,
    /// Allocated, but never written: reads as zeros.
    pub(super) unwritten: bool,
    pub(super) lost: bool,
}
impl Mapped {
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }
}

/// Extents of a fork, sorted; those that contradict the volume are noted and marked lost.
pub(super) struct Map {
    pub(super) list: Vec<Mapped>,
    /// Part of the tree could not be read: what is not in the list is lost, not a hole.
    pub(super) broken: bool,
}

fn record(bytes: &[u8]) -> Option<(u64, u64, u64, bool)> {
    let (high, low) = (u64_at(bytes, 0)?, u64_at(bytes, 8)?);
    let first = high >> 9 & ((1 << 54) - 1);
    Some((first, (high & 0x1ff) << 43 | low >> 21, low & COUNT, high >> 63 != 0))
}

/// One stored extent; `None` where it is none (count of zero or a place that no volume has).
pub(super) fn extent(volume: &Volume, bytes: &[u8]) -> Option<Mapped> {
    let (first, start, count, unwritten) = record(bytes)?;
    let at = volume.sb.block_at(start)?;
    volume.sb.block_at(start.checked_add(count.checked_sub(1)?)?)?;
    // An extent never reaches into the next group.
    let group = |b: u64| b >> volume.sb.ag_bits;
    (group(start) == group(start.saturating_add(count.saturating_sub(1)))).then_some(Mapped {
        first,
        at,
        count,
        unwritten,
        lost: false,
    })
}

pub(super) fn map(volume: &Volume, inode: &Inode, fork: Fork) -> Map {
    let mut map = Map { list: Vec::new(), broken: false };
    let bytes = inode.fork(fork);
    let note = |what: &'static str| volume.damage.note(what, inode.number, inode.at, 0);
    match inode.format(fork) {
        Format::Extents => {
            let said = size(inode.extents(fork));
            if said > bytes.len() / 16 {
                note("inode says that it has more extents than it holds");
                map.broken = true;
            }
            for raw in bytes.as_chunks::<16>().0.iter().take(said) {
                push(volume, inode, raw, inode.at, &mut map);
            }
        }
        Format::Btree => root(volume, inode, bytes, &mut map),
        Format::Device | Format::Local => {}
        Format::Other(_) => {
            note("inode with a fork in an unknown form");
            map.broken = true;
        }
    }
    map.list.sort_by_key(|m| m.first);
    let mut end = 0;
    map.list.retain(|m| {
        let keep = m.first >= end;
        if keep {
            end = m.end();
        } else {
            note("two extents of a file cover the same part; the later one was left out");
        }
        keep
    });
    map
}

fn push(volume: &Volume, inode: &Inode, raw: &[u8], at: u64, map: &mut Map) {
    if let Some(found) = extent(volume, raw) {
        map.list.push(found);
        return;
    }
    let (first, _, count, _) = record(raw).unwrap_or_default();
    let lost = count.saturating_mul(volume.sb.block);
    volume.damage.note("extent outside of the volume", inode.number, at, lost.min(inode.len()));
    if count > 0 {
        map.list.push(Mapped { first, at: 0, count, unwritten: false, lost: true });
    }
}

fn root(volume: &Volume, inode: &Inode, bytes: &[u8], map: &mut Map) {
    let (Some(level), Some(count)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else {
        map.broken = true;
        return;
    };
    let room = bytes.len().saturating_sub(4) / 16;
    if level == 0 || level > MAX_LEVEL || usize::from(count) > room {
        volume.damage.note("root of a tree of extents is damaged", inode.number, inode.at, 0);
        map.broken = true;
        return;
    }
    let mut seen = HashSet::new();
    for n in 0..usize::from(count).min(room) {
        let at = room.saturating_mul(8).saturating_add(4).saturating_add(n.saturating_mul(8));
        match u64_at(bytes, at) {
            Some(block) => node(volume, inode, block, level.saturating_sub(1), map, &mut seen),
            None => map.broken = true,
        }
    }
}

fn node(volume: &Volume, inode: &Inode, number: u64, level: u16, map: &mut Map, seen: &mut HashSet<u64>) {
    let Some(at) = volume.sb.block_at(number).filter(|_| seen.insert(number)) else {
        volume.damage.note("tree of extents leads out of the volume or back into itself", inode.number, inode.at, 0);
        map.broken = true;
        return;
    };
    let note = |what: &'static str| volume.damage.note(what, inode.number, at, volume.sb.block);
    let Ok(bytes) = volume.bytes(at, size(volume.sb.block)) else {
        note("block of a tree of extents could not be read");
        map.broken = true;
        return;
    };
    let (head, magic) = if volume.sb.v5 { (72_usize, BMA3) } else { (24, BMAP) };
    let count = usize::from(u16_at(&bytes, 6).unwrap_or(0));
    let room = bytes.len().saturating_sub(head) / 16;
    if u32_at(&bytes, 0) != Some(magic) || u16_at(&bytes, 4) != Some(level) || count > room {
        note("block of a tree of extents is none");
        map.broken = true;
        return;
    }
    if volume.sb.v5 && !sum_fits(&bytes, 64) {
        note("checksum of a block of a tree of extents does not fit");
    }
    let body = bytes.get(head..).unwrap_or_default();
    if level == 0 {
        for raw in body.as_chunks::<16>().0.iter().take(count) {
            push(volume, inode, raw, at, map);
        }
        return;
    }
    for n in 0..count {
        match u64_at(body, room.saturating_mul(8).saturating_add(n.saturating_mul(8))) {
            Some(block) => node(volume, inode, block, level.saturating_sub(1), map, seen),
            None => map.broken = true,
        }
    }
}

impl Map {
    /// The fork's bytes as a source.
    pub(super) fn source(&self, volume: &Volume, len: u64) -> Extents {
        let block = volume.sb.block;
        let mut list = Vec::with_capacity(self.list.len());
        let mut end = 0_u64;
        let why = "what leads to this part of the file is damaged";
        for m in &self.list {
            let start = m.first.saturating_mul(block);
            if self.broken && start > end {
                list.push(Extent { start: end, len: start.saturating_sub(end), at: At::Lost(why) });
            }
            let at = match (m.lost, m.unwritten) {
                (true, _) => At::Lost(why),
                (_, true) => At::Zeros,
                _ => At::Volume(m.at),
            };
            let extent = Extent { start, len: m.count.saturating_mul(block), at };
            end = extent.end();
            list.push(extent);
        }
        if self.broken && end < len {
            list.push(Extent { start: end, len: len.saturating_sub(end), at: At::Lost(why) });
        }
        Extents { volume: volume.source.clone(), len, valid: len, list: list.into() }
    }
    /// Byte of the volume at which a block of the fork stands.
    pub(super) fn place(&self, block: u64, size: u64) -> Option<u64> {
        let m = self.list.get(self.list.partition_point(|m| m.end() <= block))?;
        let into = block.checked_sub(m.first).filter(|_| !m.unwritten && !m.lost)?;
        m.at.checked_add(into.checked_mul(size)?)
    }
}
