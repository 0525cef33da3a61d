//! Where a file's blocks lie: one compact list of runs, made once from the extent tree or the
//! indirect block map. What is not in the list is a hole.
use super::Volume;
use super::damage::Of;
use super::inode::{FLAG_EXTENTS, Inode};
use super::raw::{crc32c, u16_at, u32_at};
use std::collections::HashSet;

/// Runs of one file; more come only from damage or an attack.
const MAX_RUNS: usize = 4 << 20;
/// Blocks of extent tree or map read for one file.
const MAX_NODES: usize = 1 << 20;
const EXTENT_MAGIC: u16 = 0xf30a;
/// The deepest tree the format allows.
const MAX_DEPTH: u16 = 5;
/// `physical` of a run that is allocated but was never written: it reads as zeros.
pub(super) const UNWRITTEN: u64 = u64::MAX;
/// `physical` of a run that cannot be read because what leads to it is damaged.
pub(super) const LOST: u64 = u64::MAX - 1;

/// `len` blocks of the file from `logical` on, at block `physical` of the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) logical: u32,
    pub(super) len: u32,
    pub(super) physical: u64,
}
impl Run {
    /// The block after the last.
    pub(super) fn end(self) -> u64 {
        u64::from(self.logical).saturating_add(u64::from(self.len))
    }
    pub(super) fn is_stored(self) -> bool {
        self.physical < LOST
    }
}

/// Maps the content of an inode. `blocks` is how many blocks its size spans: damage beyond them is
/// of no interest.
pub(super) fn runs(volume: &Volume, inode: &Inode, blocks: u64) -> Box<[Run]> {
    let mut mapper = Mapper {
        volume,
        seed: volume.sb.has_metadata_csum().then(|| inode.seed(&volume.sb)),
        number: inode.number,
        at: inode.offset(),
        blocks: u32::try_from(blocks).unwrap_or(u32::MAX),
        out: Vec::new(),
        seen: HashSet::new(),
        limit: MAX_NODES.min(usize::try_from(volume.budget.steps).unwrap_or(usize::MAX)),
    };
    let map = inode.map();
    if inode.has(FLAG_EXTENTS) {
        mapper.extents(&map, 0, u32::MAX, None);
    } else {
        mapper.indirect(&map);
    }
    mapper.out.into_boxed_slice()
}

/// The same for a map that is kept outside any inode (the superblock's copy of the journal's).
pub(super) fn runs_of_copy(volume: &Volume, map: &[u8; 60], number: u32, blocks: u64) -> Box<[Run]> {
    let mut mapper = Mapper {
        volume,
        seed: None,
        number,
        at: super::superblock::AT,
        blocks: u32::try_from(blocks).unwrap_or(u32::MAX),
        out: Vec::new(),
        seen: HashSet::new(),
        limit: MAX_NODES,
    };
    if u16_at(map, 0) == Some(EXTENT_MAGIC) {
        mapper.extents(map, 0, u32::MAX, None);
    } else {
        mapper.indirect(map);
    }
    mapper.out.into_boxed_slice()
}

struct Mapper<'a> {
    volume: &'a Volume,
    /// Start value of the checksums of extent blocks, where there are any.
    seed: Option<u32>,
    number: u32,
    /// Byte of the volume where the map begins.
    at: u64,
    blocks: u32,
    out: Vec<Run>,
    seen: HashSet<u64>,
    limit: usize,
}

impl Mapper<'_> {
    fn note(&self, what: &'static str, volume_offset: u64, bytes: u64) {
        self.volume.damage.note(what, Of::Inode(self.number), volume_offset, bytes);
    }
    fn bytes(&self, blocks: u64) -> u64 {
        blocks.saturating_mul(u64::from(self.volume.sb.block_size))
    }
    /// Appends a run, joined to the one before where both are contiguous.
    fn push(&mut self, run: Run) {
        if run.len == 0 {
            return;
        }
        if let Some(last) = self.out.last_mut()
            && last.end() == u64::from(run.logical)
            && let Some(len) = last.len.checked_add(run.len)
        {
            let follows = if last.is_stored() {
                run.physical == last.physical.saturating_add(u64::from(last.len))
            } else {
                run.physical == last.physical
            };
            if follows {
                last.len = len;
                return;
            }
        }
        if self.out.len() >= MAX_RUNS {
            self.note("budget: more pieces than a file can have; the rest was not mapped", self.at, 0);
            return;
        }
        self.out.push(run);
    }
    /// Appends blocks that exist but cannot be read, as far as the file reaches.
    fn lose(&mut self, from: u32, to: u32) {
        let to = to.min(self.blocks);
        if let Some(len) = to.checked_sub(from) {
            self.push(Run { logical: from, len, physical: LOST });
        }
    }
    /// Appends a run that must lie within the volume.
    fn store(&mut self, logical: u32, len: u32, physical: u64, is_indirect: bool) {
        let count = self.volume.sb.blocks.min(self.volume.blocks.len / u64::from(self.volume.sb.block_size));
        let inside = u32::try_from(count.saturating_sub(physical).min(u64::from(len))).unwrap_or(len);
        let inside = if physical == 0 { 0 } else { inside };
        let run = Run { logical, len: inside, physical };
        self.volume.check_run(self.number, run, is_indirect, self.at);
        self.push(run);
        if inside < len && u64::from(logical).saturating_add(u64::from(inside)) < u64::from(self.blocks) {
            let rest = logical.saturating_add(inside);
            self.note("content lies outside the volume", self.at, self.bytes(u64::from(len.saturating_sub(inside))));
            self.lose(rest, logical.saturating_add(len));
        }
    }
    /// A block of tree or map that has not been visited yet.
    fn node(&mut self, block: u64) -> Option<Vec<u8>> {
        let offset = self.volume.blocks.offset(block).unwrap_or(u64::MAX);
        if self.seen.len() >= self.limit {
            self.note("budget: too many blocks of map", offset, 0);
            return None;
        }
        if !self.seen.insert(block) {
            self.note("the map of the content leads to one block twice", offset, 0);
            return None;
        }
        if block == 0 || block >= self.volume.sb.blocks {
            self.note("the map of the content leads outside the volume", self.at, 0);
            return None;
        }
        let bytes = self.volume.blocks.block(block).ok();
        if bytes.is_none() {
            self.note("a block of the content's map could not be read", offset, 0);
        }
        bytes
    }

    /// One node of an extent tree that maps the blocks `from..to`; `level` is what its parent says.
    fn extents(&mut self, node: &[u8], from: u32, to: u32, level: Option<u16>) {
        let header = (|| Some((u16_at(node, 0)?, u16_at(node, 2)?, u16_at(node, 4)?, u16_at(node, 6)?)))();
        let Some((EXTENT_MAGIC, entries, max, depth)) = header else {
            // A file without content may have no tree at all.
            if level.is_some() || node.iter().any(|b| *b != 0) {
                self.note("extent tree without its signature", self.at, 0);
                self.lose(from, to);
            }
            return;
        };
        let room = u16::try_from(node.len().saturating_sub(12) / 12).unwrap_or(u16::MAX);
        if depth > MAX_DEPTH || level.is_some_and(|l| l != depth) || entries > max || max > room {
            self.note("extent tree with an impossible header", self.at, 0);
            self.lose(from, to);
            return;
        }
        let mut next = from;
        for index in 0..usize::from(entries) {
            let at = index.saturating_mul(12).saturating_add(12);
            let Some(entry) = node.get(at..at.saturating_add(12)) else {
                break;
            };
            let field = |at| u32_at(entry, at).unwrap_or(0);
            let half = |at| u16_at(entry, at).unwrap_or(0);
            let logical = field(0);
            if logical < next || logical >= to {
                self.note("extents out of order", self.at, 0);
                continue;
            }
            if depth == 0 {
                let stated = u32::from(half(4));
                let (len, unwritten) =
                    if stated > 0x8000 { (stated.saturating_sub(0x8000), true) } else { (stated, false) };
                let len = len.min(to.saturating_sub(logical));
                let physical = u64::from(field(8)) | (u64::from(half(6)) << 32);
                if unwritten {
                    self.push(Run { logical, len, physical: UNWRITTEN });
                } else {
                    self.store(logical, len, physical, false);
                }
                next = logical.saturating_add(len);
            } else {
                let after = node.get(at.saturating_add(12)..).and_then(|n| u32_at(n, 0));
                let last = index.saturating_add(1) >= usize::from(entries);
                let end = if last { to } else { after.unwrap_or(to).clamp(logical, to) };
                let child = u64::from(field(4)) | (u64::from(half(8)) << 32);
                let here = self.at;
                self.at = self.volume.blocks.offset(child).unwrap_or(here);
                match self.node(child) {
                    Some(bytes) => {
                        self.check_tail(&bytes);
                        self.extents(&bytes, logical, end, depth.checked_sub(1));
                    }
                    None => self.lose(logical, end),
                }
                self.at = here;
                next = end;
            }
        }
    }
    fn check_tail(&self, node: &[u8]) {
        let Some(seed) = self.seed else {
            return;
        };
        let tail = usize::from(u16_at(node, 4).unwrap_or(0)).saturating_mul(12).saturating_add(12);
        if node.get(..tail).map(|b| crc32c(seed, b)) != u32_at(node, tail) {
            self.note("checksum of an extent block differs", self.at, node.len() as u64);
        }
    }

    /// The classic map: twelve blocks, then one, two and three levels of indirection.
    fn indirect(&mut self, map: &[u8; 60]) {
        let mut next = 0_u64;
        for index in 0..15_usize {
            let pointer = u32_at(map, index.saturating_mul(4)).unwrap_or(0);
            let level = u32::try_from(index.saturating_sub(11)).unwrap_or(0);
            self.pointer(pointer, level, &mut next);
        }
    }
    /// Follows one pointer that stands `level` levels above the content, at block `next` of the file.
    fn pointer(&mut self, pointer: u32, level: u32, next: &mut u64) {
        let per_block = u64::from(self.volume.sb.block_size / 4);
        let span = per_block.saturating_pow(level);
        let from = *next;
        *next = from.saturating_add(span);
        let (Ok(logical), true) = (u32::try_from(from), from < u64::from(self.blocks)) else {
            return;
        };
        if pointer == 0 {
            return;
        }
        if level == 0 {
            self.store(logical, 1, u64::from(pointer), true);
            return;
        }
        let end = u32::try_from(*next).unwrap_or(u32::MAX);
        let here = self.at;
        self.at = self.volume.blocks.offset(u64::from(pointer)).unwrap_or(here);
        match self.node(u64::from(pointer)) {
            Some(bytes) => {
                let mut inner = from;
                for pointer in bytes.chunks_exact(4) {
                    if inner >= u64::from(self.blocks) || self.out.len() >= MAX_RUNS {
                        break;
                    }
                    self.pointer(u32_at(pointer, 0).unwrap_or(0), level.saturating_sub(1), &mut inner);
                }
            }
            None => self.lose(logical, end),
        }
        self.at = here;
    }
}
