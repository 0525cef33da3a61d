//! The checkpoint: the newest of two packs whose head and end agree; with the bitmaps that choose the copies of the
//! tables, the journals that overlay them, and the inodes that were to be deleted.
//! Format: see `superblock.rs`, "checkpoint".
use super::superblock::{BLOCK, MAGIC, Superblock, crc};
use crate::base::is_zero;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, size, u16_at, u32_at, u64_at};
use crate::image::{Source, read_exact};
use std::collections::BTreeMap;

const UNMOUNTED: u32 = 0x1;
const ORPHANS: u32 = 0x2;
const COMPACT: u32 = 0x4;
const FASTBOOT: u32 = 0x20;
const CRC_RECOVERY: u32 = 0x40;
const NO_CRC_RECOVERY: u32 = 0x200;
const LARGE_NAT: u32 = 0x400;
/// Byte of the head at which the bitmaps begin.
const BITMAPS: usize = 192;
/// Byte of a summary block at which its journal stands, and a journal's bytes.
const JOURNAL: usize = 3584;
const JOURNAL_LEN: usize = 507;
/// Numbers in a block of orphans.
const MAX_ORPHANS: usize = 1020;
/// Blocks of orphans that are read.
const MAX_ORPHAN_BLOCKS: u32 = 512;

#[derive(Debug, Default)]
pub(super) struct Checkpoint {
    pub(super) version: u64,
    pub(super) flags: u32,
    /// Of the head, as recovery compares it.
    crc: u32,
    /// Where new nodes of files go: segment and block.
    pub(super) warm: (u32, u16),
    nat_bitmap: Vec<u8>,
    sit_bitmap: Vec<u8>,
    /// Newer entries of the tables: node to block, segment to entry.
    pub(super) nat_journal: BTreeMap<u32, (u32, u32)>,
    pub(super) sit_journal: BTreeMap<u32, Vec<u8>>,
    pub(super) orphans: Vec<u32>,
    pub(super) faults: Vec<(u64, String)>,
}

fn bit(map: &[u8], number: u64) -> bool {
    map.get(size(number / 8)).is_some_and(|byte| byte & (0x80 >> (number % 8)) != 0)
}

impl Checkpoint {
    pub(super) fn unmounted(&self) -> bool {
        self.flags & UNMOUNTED != 0
    }
    /// Whether the second copy of this block of the table of nodes counts.
    pub(super) fn nat_second(&self, block: u64) -> bool {
        bit(&self.nat_bitmap, block)
    }
    pub(super) fn sit_second(&self, block: u64) -> bool {
        bit(&self.sit_bitmap, block)
    }
    /// Whether a node was written after this checkpoint, by what stands in its footer.
    pub(super) fn follows(&self, version: u64) -> bool {
        let low = |v: u64| v & 0xffff_ffff;
        if self.flags & NO_CRC_RECOVERY != 0 {
            return low(version) == low(self.version);
        }
        let own = if self.flags & CRC_RECOVERY != 0 { self.version | u64::from(self.crc) << 32 } else { self.version };
        version == own
    }
}

fn block(source: &Source, number: u64) -> Result<Vec<u8>, FsError> {
    let at = number.checked_mul(BLOCK).ok_or_else(|| corrupt(0, "block beyond any volume"))?;
    read_exact(&**source, at, 4096)?.ok_or_else(|| corrupt(at, "block beyond the end of the volume"))
}

/// A head or end of a pack: its bytes, version and checksum.
fn valid(source: &Source, number: u64) -> Result<(Vec<u8>, u64, u32), FsError> {
    let at = number.saturating_mul(BLOCK);
    let bytes = block(source, number)?;
    let sum_at = size(u32_at(&bytes, 164).unwrap_or(0).into());
    let (Some(head), Some(sum)) = (bytes.get(..sum_at), u32_at(&bytes, sum_at)) else {
        return Err(corrupt(at, "checkpoint without a checksum"));
    };
    if sum_at < BITMAPS {
        return Err(corrupt(at, "checkpoint whose checksum stands in its own fields"));
    }
    let mut own = crc(MAGIC, head);
    let behind = sum_at.saturating_add(4);
    if behind < bytes.len() {
        own = crc(own, bytes.get(behind..).unwrap_or_default());
    }
    if own != sum {
        return Err(corrupt(at, format!("checksum of the checkpoint is {own:#010x}, {sum:#010x} is stated")));
    }
    let version = u64_at(&bytes, 0).unwrap_or(0);
    Ok((bytes, version, sum))
}

/// First block, head, version, checksum.
type Pack = (u64, Vec<u8>, u64, u32);

fn pack(source: &Source, first: u64, segment: u64) -> Result<Pack, FsError> {
    let (head, version, sum) = valid(source, first)?;
    let total = u64::from(u32_at(&head, 136).unwrap_or(0));
    let at = first.saturating_mul(BLOCK);
    if total < 2 || total > segment {
        return Err(corrupt(at, format!("checkpoint of {total} blocks")));
    }
    let (_, end, _) = valid(source, first.saturating_add(total).saturating_sub(1))?;
    if end != version {
        return Err(corrupt(at, format!("checkpoint {version} ends as {end}: it was not finished")));
    }
    Ok((first, head, version, sum))
}

pub(super) fn read(source: &Source, sb: &Superblock) -> Result<Checkpoint, FsError> {
    let segment = sb.segment();
    let packs = [0, segment].map(|n| pack(source, sb.checkpoint.saturating_add(n), segment));
    let mut faults = Vec::new();
    for (n, pack) in [0, segment].into_iter().zip(&packs) {
        if let Err(e) = pack {
            let at = sb.checkpoint.saturating_add(n).saturating_mul(BLOCK);
            // A volume that was just made has one pack only.
            let blank = block(source, sb.checkpoint.saturating_add(n)).is_ok_and(|b| is_zero(&b));
            if !blank {
                faults.push((at, format!("one checkpoint is not usable: {e}")));
            }
        }
    }
    // Of equal versions the first counts, as for the kernel: a tool that writes one pack leaves the other's number.
    let best = packs.into_iter().flatten().reduce(|a, b| if b.2 > a.2 { b } else { a });
    let Some((first, head, version, sum)) = best else {
        let at = sb.checkpoint.saturating_mul(BLOCK);
        let why = faults.first().map_or_else(|| "both are empty".to_owned(), |f| f.1.clone());
        return Err(corrupt(at, format!("no checkpoint can be followed: {why}")));
    };
    let mut out = Checkpoint { version, crc: sum, faults, ..Checkpoint::default() };
    out.flags = u32_at(&head, 132).unwrap_or(0);
    out.warm = (u32_at(&head, 40).unwrap_or(0), u16_at(&head, 70).unwrap_or(0));
    bitmaps(source, sb, first, &head, &mut out);
    let total = u64::from(u32_at(&head, 136).unwrap_or(0));
    let summaries = u64::from(u32_at(&head, 140).unwrap_or(0));
    orphans(source, sb, first, summaries, &mut out);
    journals(source, first, total, summaries, &mut out);
    Ok(out)
}

fn bitmaps(source: &Source, sb: &Superblock, first: u64, head: &[u8], out: &mut Checkpoint) {
    let len = |at| size(u32_at(head, at).unwrap_or(0).into());
    let (sit, nat) = (len(156), len(160));
    let large = out.flags & LARGE_NAT != 0;
    // A checksum of the bitmaps stands before them where the table of nodes is large.
    let begin = if large { BITMAPS.saturating_add(4) } else { BITMAPS };
    let (nat_at, sit_at) = match (large, sb.payload > 0) {
        (true, _) => (begin, begin.saturating_add(nat)),
        (false, true) => (begin, 4096),
        (false, false) => (begin.saturating_add(sit), begin),
    };
    let mut all = head.to_vec();
    for n in 0..u64::from(sb.payload).min(sb.segment()) {
        match block(source, first.saturating_add(1).saturating_add(n)) {
            Ok(bytes) => all.extend(bytes),
            Err(e) => {
                out.faults.push((first.saturating_mul(BLOCK), format!("bitmaps of the checkpoint: {e}")));
                break;
            }
        }
    }
    for (from, len, to) in [(nat_at, nat, &mut out.nat_bitmap), (sit_at, sit, &mut out.sit_bitmap)] {
        match from.checked_add(len).and_then(|end| all.get(from..end)) {
            Some(bytes) => *to = bytes.to_vec(),
            None => out.faults.push((first.saturating_mul(BLOCK), "a bitmap reaches out of the checkpoint".to_owned())),
        }
    }
}

fn orphans(source: &Source, sb: &Superblock, first: u64, summaries: u64, out: &mut Checkpoint) {
    if out.flags & ORPHANS == 0 {
        return;
    }
    let begin = u64::from(sb.payload).saturating_add(1);
    for n in begin..summaries.min(begin.saturating_add(MAX_ORPHAN_BLOCKS.into())) {
        let number = first.saturating_add(n);
        match block(source, number) {
            Ok(bytes) => {
                let count = size(u32_at(&bytes, 4088).unwrap_or(0).into()).min(MAX_ORPHANS);
                out.orphans.extend(bytes.as_chunks::<4>().0.iter().take(count).map(|b| u32::from_le_bytes(*b)));
            }
            Err(e) => out.faults.push((number.saturating_mul(BLOCK), format!("list of orphans: {e}"))),
        }
    }
    out.orphans.sort_unstable();
    out.orphans.dedup();
}

fn journals(source: &Source, first: u64, total: u64, summaries: u64, out: &mut Checkpoint) {
    let mut read = |number: u64, at: usize| -> Option<Vec<u8>> {
        match block(source, number) {
            Ok(bytes) => bytes.get(at..at.saturating_add(JOURNAL_LEN)).map(<[u8]>::to_vec),
            Err(e) => {
                out.faults.push((number.saturating_mul(BLOCK), format!("journal of the checkpoint: {e}")));
                None
            }
        }
    };
    let (nat, sit) = if out.flags & COMPACT != 0 {
        let number = first.saturating_add(summaries);
        (read(number, 0), read(number, JOURNAL_LEN))
    } else {
        // Of the six (or three) summaries before the end: the first is of hot data, the third of cold data.
        let base = if out.flags & (UNMOUNTED | FASTBOOT) != 0 { 6 } else { 3 };
        let number = first.saturating_add(total.saturating_sub(base + 1));
        (read(number, JOURNAL), read(number.saturating_add(2), JOURNAL))
    };
    if let Some(bytes) = nat {
        let count = usize::from(u16_at(&bytes, 0).unwrap_or(0)).min(38);
        for entry in bytes.get(2..).unwrap_or_default().as_chunks::<13>().0.iter().take(count) {
            if let (Some(nid), Some(ino), Some(block)) = (u32_at(entry, 0), u32_at(entry, 5), u32_at(entry, 9)) {
                out.nat_journal.insert(nid, (ino, block));
            }
        }
    }
    if let Some(bytes) = sit {
        let count = usize::from(u16_at(&bytes, 0).unwrap_or(0)).min(6);
        for entry in bytes.get(2..).unwrap_or_default().as_chunks::<78>().0.iter().take(count) {
            if let (Some(segment), Some(own)) = (u32_at(entry, 0), entry.get(4..)) {
                out.sit_journal.insert(segment, own.to_vec());
            }
        }
    }
}
