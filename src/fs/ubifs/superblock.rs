//! The superblock (the volume's first block) and the master node (its second and third, appended again and again).
//! Format: see `node.rs`.
use super::node::{HEADER, Head, MASTER, SUPERBLOCK, head};
use crate::fs::FsError;
use crate::fs::raw::{corrupt, size, u8_at, u16_at, u32_at, u64_at};
use crate::image::{ReadAt, ReadError, Source, read_exact};

/// Bytes of a superblock and of a master node.
const LEN: usize = 4096;
const MASTER_LEN: usize = 512;
/// Logical blocks of any flash.
const BLOCKS: std::ops::RangeInclusive<u64> = 2048..=64 << 20;
/// A lost superblock's block size is looked for so far.
const SEARCHED: u64 = 8 << 20;

const FLAGS: &[(u32, &str)] =
    &[(2, "big-lpt"), (4, "space-fixup"), (8, "double-hash"), (0x10, "encryption"), (0x20, "authentication")];

#[derive(Clone, Debug)]
pub(super) struct Superblock {
    /// Bytes of a logical block.
    pub(super) block: u64,
    pub(super) blocks: u32,
    pub(super) log_blocks: u32,
    /// First block of the orphan area, and how many.
    pub(super) orphans: (u32, u32),
    /// First block that holds files and index.
    pub(super) main: u32,
    pub(super) version: u32,
    pub(super) compressor: u16,
    pub(super) features: Vec<&'static str>,
    pub(super) uuid: [u8; 16],
    pub(super) min_io: u32,
}

fn node(source: &dyn ReadAt, at: u64, len: usize, kind: u8) -> Result<Option<(Head, Vec<u8>)>, ReadError> {
    let Some(bytes) = read_exact(source, at, len)? else { return Ok(None) };
    Ok(head(&bytes).filter(|h| h.whole && h.kind == kind && h.len == len).map(|h| (h, bytes)))
}

pub(super) fn probe(source: &Source) -> bool {
    matches!(node(&**source, 0, LEN, SUPERBLOCK), Ok(Some(_)))
}

/// Bytes of the file system.
pub(super) fn len(source: &Source) -> Option<u64> {
    let (_, bytes) = node(&**source, 0, LEN, SUPERBLOCK).ok()??;
    parse(&bytes).map(|s| s.block.saturating_mul(u64::from(s.blocks)))
}

fn parse(bytes: &[u8]) -> Option<Superblock> {
    let block = u64::from(u32_at(bytes, 36)?);
    let [log_blocks, lpt, orphans] = [u32_at(bytes, 56)?, u32_at(bytes, 60)?, u32_at(bytes, 64)?];
    let first = 3_u32.checked_add(log_blocks)?.checked_add(lpt)?;
    let flags = u32_at(bytes, 28)?;
    let this = Superblock {
        block,
        blocks: u32_at(bytes, 40)?,
        log_blocks,
        orphans: (first, orphans),
        main: first.checked_add(orphans)?,
        version: u32_at(bytes, 80)?,
        compressor: u16_at(bytes, 84)?,
        features: FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect(),
        uuid: *bytes.get(108..)?.first_chunk()?,
        min_io: u32_at(bytes, 32)?,
    };
    // One hash of names and one form of keys exist.
    let known = u8_at(bytes, 26)? <= 1 && u8_at(bytes, 27)? == 0;
    (BLOCKS.contains(&block) && known && this.main < this.blocks).then_some(this)
}

pub(super) fn read(source: &Source) -> Result<Superblock, FsError> {
    if let Some((_, bytes)) = node(&**source, 0, LEN, SUPERBLOCK)? {
        return parse(&bytes).ok_or_else(|| corrupt(0, "the superblock contradicts itself"));
    }
    let block = searched(source).ok_or_else(|| corrupt(0, "no superblock of UBIFS, and no master node"))?;
    let blocks = u32::try_from(source.len() / block).unwrap_or(u32::MAX);
    Ok(Superblock {
        block,
        blocks,
        log_blocks: 0,
        orphans: (3, 0),
        main: 3,
        version: 0,
        compressor: 0,
        features: vec!["superblock-lost"],
        uuid: [0; 16],
        min_io: 8,
    })
}

/// The size of a block where the superblock is lost: both master nodes stand one block from each other.
pub(super) fn searched(source: &Source) -> Option<u64> {
    let mut at = 2048_u64;
    while at <= SEARCHED.min(source.len()) {
        let is_master = |at| matches!(node(&**source, at, MASTER_LEN, MASTER), Ok(Some(_)));
        if is_master(at) && is_master(at.saturating_mul(2)) {
            return Some(at);
        }
        at = at.saturating_add(512);
    }
    None
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) commit: u64,
    sequence: u64,
    pub(super) dirty: bool,
    /// First block of the log.
    pub(super) log: u32,
    /// Block, byte and length of the index's root.
    pub(super) root: (u32, u32, u32),
    pub(super) highest: u64,
}

/// The newest master node that holds, and which of the two blocks have none that does.
pub(super) fn master(source: &Source, block: u64) -> (Option<Master>, Vec<u64>) {
    let mut best: Option<Master> = None;
    let mut without = Vec::new();
    for number in [1, 2] {
        let start = block.saturating_mul(number);
        let mut found = None;
        let Ok(Some(bytes)) = read_exact(&**source, start, size(block)) else {
            without.push(number);
            continue;
        };
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|r| r.len() >= HEADER) {
            let Some(this) = head(rest).filter(|h| h.kind == MASTER && h.whole) else {
                at = at.saturating_add(8);
                continue;
            };
            let read = || {
                Some(Master {
                    commit: u64_at(rest, 32)?,
                    sequence: this.sequence,
                    dirty: u32_at(rest, 40)? & 1 != 0,
                    log: u32_at(rest, 44)?,
                    root: (u32_at(rest, 48)?, u32_at(rest, 52)?, u32_at(rest, 56)?),
                    highest: u64_at(rest, 24)?,
                })
            };
            found = read().or(found);
            at = at.saturating_add(this.len.next_multiple_of(8));
        }
        match found {
            Some(this) if best.is_none_or(|b| (this.commit, this.sequence) > (b.commit, b.sequence)) => best = found,
            Some(_) => {}
            None => without.push(number),
        }
    }
    (best, without)
}
