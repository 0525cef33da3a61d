//! Thin pools: which block of the pool's data holds which block of a thin volume.
//! Format: the kernel's `drivers/md/dm-thin-metadata.c` and `persistent-data/dm-btree-internal.h`: blocks of
//! 4096 bytes with a CRC-32C each, B+ trees of 64-bit keys.
use crate::base::Budget;
use crate::image::{Extent, Map, ReadError, Source, read_exact};
use std::collections::{BTreeMap, HashSet};

const BLOCK: u64 = 4096;
const MAGIC: u64 = 27_022_010;
const SUPERBLOCK_XOR: u32 = 160_774;
const NODE_XOR: u32 = 121_107;
/// A tree of 64-bit keys cannot be deeper.
const MAX_DEPTH: u32 = 16;
/// Runs of one thin volume kept in memory: 24 bytes each.
const MAX_RUNS: usize = 4_000_000;

/// The metadata of a pool.
pub(super) struct Pool {
    metadata: Source,
    data: Source,
    /// Bytes of a data block.
    block: u64,
    /// Device number to the root of its map.
    devices: BTreeMap<u64, u64>,
    /// Damage met while the list of devices was read.
    pub damage: Vec<String>,
}

/// Consecutive blocks of a thin volume that lie together in the pool.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    to: u64,
    len: u64,
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    super::super::signs::le32(bytes, at)
}
fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    super::super::signs::le64(bytes, at)
}

impl Pool {
    pub(super) fn open(metadata: Source, data: Source, budget: &mut Budget) -> Result<Self, String> {
        let block = read(&metadata, 0, SUPERBLOCK_XOR)?;
        if le64(&block, 32) != Some(MAGIC) {
            return Err("no superblock of a thin pool".to_owned());
        }
        let root = le64(&block, 320).unwrap_or(0);
        let size = u64::from(le32(&block, 336).unwrap_or(0)).saturating_mul(512);
        if size == 0 || size > 1 << 30 {
            return Err(format!("data blocks of {size} bytes"));
        }
        let mut pool = Self { metadata, data, block: size, devices: BTreeMap::new(), damage: Vec::new() };
        let mut devices = BTreeMap::new();
        let mut damage = Vec::new();
        walk(&pool.metadata, root, budget, &mut damage, &mut |device, root| {
            devices.insert(device, root);
            true
        });
        (pool.devices, pool.damage) = (devices, damage);
        Ok(pool)
    }

    /// The volume with this number, of `len` bytes. Damage of its map is text for the ledger.
    pub(super) fn volume(&self, device: u64, len: u64, budget: &mut Budget) -> Result<(Thin, Vec<String>), String> {
        let root = *self.devices.get(&device).ok_or_else(|| format!("the pool's metadata has no device {device}"))?;
        let mut runs: Vec<Run> = Vec::new();
        let mut damage = Vec::new();
        let mut full = false;
        walk(&self.metadata, root, budget, &mut damage, &mut |from, value| {
            // The lower 24 bits are the time at which it was mapped.
            let to = value >> 24;
            let crowded = runs.len() >= MAX_RUNS;
            match runs.last_mut() {
                Some(last)
                    if last.from.checked_add(last.len) == Some(from) && last.to.checked_add(last.len) == Some(to) =>
                {
                    last.len = last.len.saturating_add(1);
                }
                _ if crowded => full = true,
                _ => runs.push(Run { from, to, len: 1 }),
            }
            !full
        });
        if full {
            damage.push(format!("budget: more than {MAX_RUNS} runs; what follows reads as unmapped"));
        }
        runs.sort_by_key(|r| r.from);
        Ok((Thin { runs, data: self.data.clone(), block: self.block, len, broken: !damage.is_empty() }, damage))
    }
}

/// A block of metadata whose checksum holds.
fn read(metadata: &Source, number: u64, xor: u32) -> Result<Vec<u8>, String> {
    let at = number.checked_mul(BLOCK).ok_or("a block beyond all bounds")?;
    let block = read_exact(&**metadata, at, 4096).map_err(|e| e.to_string())?;
    let block = block.ok_or_else(|| format!("block {number} of the pool's metadata lies beyond its end"))?;
    let sum = block.get(4..).map(|b| !crc32c::crc32c(b) ^ xor);
    if le32(&block, 0) != sum {
        return Err(format!("checksum of block {number} of the pool's metadata differs"));
    }
    Ok(block)
}

/// All pairs of a tree, in order of the keys. A damaged branch is noted and left out.
fn walk(
    metadata: &Source,
    root: u64,
    budget: &mut Budget,
    damage: &mut Vec<String>,
    each: &mut dyn FnMut(u64, u64) -> bool,
) {
    let mut seen = HashSet::new();
    let mut todo = vec![(root, 0_u32)];
    while let Some((number, depth)) = todo.pop() {
        if depth > MAX_DEPTH || !seen.insert(number) || budget.step(1).is_err() {
            damage.push(format!("block {number} of the pool's metadata: its tree runs in a circle or too deep"));
            continue;
        }
        let node = match read(metadata, number, NODE_XOR) {
            Ok(node) => node,
            Err(what) => {
                damage.push(what);
                continue;
            }
        };
        let field = |at| le32(&node, at).unwrap_or(0);
        let (flags, count, most, size) = (field(4), field(16), field(20), field(24));
        let fits = u64::from(most).saturating_mul(16).saturating_add(32) <= BLOCK && count <= most && size == 8;
        if !fits || le64(&node, 8) != Some(number) {
            damage.push(format!("block {number} of the pool's metadata is no node of a map"));
            continue;
        }
        let value_at = |n: u32| {
            32_usize.saturating_add((most as usize).saturating_mul(8)).saturating_add((n as usize).saturating_mul(8))
        };
        let pair = |n: u32| {
            Some((le64(&node, 32_usize.saturating_add((n as usize).saturating_mul(8)))?, le64(&node, value_at(n))?))
        };
        if flags & 2 != 0 {
            for (key, value) in (0..count).filter_map(pair) {
                if !each(key, value) {
                    return;
                }
            }
        } else {
            // Last first, so that the first comes off the list first.
            todo.extend((0..count).rev().filter_map(pair).map(|(_, child)| (child, depth.saturating_add(1))));
        }
    }
}

/// A thin volume.
pub(super) struct Thin {
    runs: Vec<Run>,
    data: Source,
    block: u64,
    len: u64,
    /// Parts of its map are lost: what is unmapped need not be empty.
    broken: bool,
}

impl Map for Thin {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let fail = || ReadError { offset, what: "beyond what a thin volume can have".into() };
        let number = offset.checked_div(self.block).ok_or_else(fail)?;
        let inside = offset.checked_rem(self.block).ok_or_else(fail)?;
        let next = self.runs.partition_point(|r| r.from <= number);
        let here = next.checked_sub(1).and_then(|n| self.runs.get(n));
        let bytes = |blocks: u64| blocks.saturating_mul(self.block).saturating_sub(inside);
        if let Some(run) = here {
            let ahead = number.saturating_sub(run.from);
            if ahead < run.len {
                let to = run.to.checked_add(ahead).and_then(|b| b.checked_mul(self.block)).ok_or_else(fail)?;
                let offset = to.checked_add(inside).ok_or_else(fail)?;
                return Ok(Extent::Stored {
                    source: self.data.clone(),
                    offset,
                    len: bytes(run.len.saturating_sub(ahead)),
                });
            }
        }
        let free = self.runs.get(next).map_or(u64::MAX, |r| r.from.saturating_sub(number));
        let len = if free == u64::MAX { self.len.saturating_sub(offset) } else { bytes(free) };
        if self.broken {
            return Ok(Extent::Absent { len, what: "the thin pool's map of it is damaged".into() });
        }
        Ok(Extent::Hole { len })
    }
}
