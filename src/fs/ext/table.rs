//! Inode tables, read in large pieces and kept in a bounded cache that many threads share.
use super::Volume;
use super::damage::Of;
use super::group::INODE_UNINIT;
use super::inode::{Inode, checksum_fits};
use super::raw::{corrupt, size};
use crate::base::{NodeId, Run};
use crate::fs::FsError;
use crate::image::ReadError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of table per cached piece, unless a block is larger.
const CHUNK: u32 = 32 << 10;
const SHARDS: usize = 16;
/// Pieces per shard: 48 MiB in all with pieces of 32 KiB.
const PER_SHARD: usize = 96;
/// The generation of a name whose inode number has passed to another file.
pub(super) const REUSED: u64 = u64::MAX;

/// A piece of one group's inode table.
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// Byte of the volume.
    pub(super) offset: u64,
    /// Runs of `bytes` that could not be read.
    bad: Vec<Run>,
}

/// Piece number → the piece, and when it was last used.
type Shard = Mutex<(u64, HashMap<u64, (Arc<Chunk>, u64)>)>;

#[derive(Default)]
pub(super) struct Cache {
    shards: [Shard; SHARDS],
}

impl Cache {
    fn shard(&self, key: u64) -> Option<&Shard> {
        self.shards.get(size(key % SHARDS as u64))
    }
    fn get(&self, key: u64) -> Option<Arc<Chunk>> {
        let mut shard = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        shard.0 = shard.0.wrapping_add(1);
        let now = shard.0;
        let (chunk, used) = shard.1.get_mut(&key)?;
        *used = now;
        Some(chunk.clone())
    }
    fn put(&self, key: u64, chunk: &Arc<Chunk>) {
        let Some(shard) = self.shard(key) else {
            return;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.1.len() >= PER_SHARD
            && let Some(oldest) = shard.1.iter().min_by_key(|(_, (_, used))| *used).map(|(k, _)| *k)
        {
            shard.1.remove(&oldest);
        }
        let now = shard.0;
        shard.1.insert(key, (chunk.clone(), now));
    }
}

impl Volume {
    /// The inode behind a node; not found if the slot holds another file by now.
    pub(super) fn inode(&self, node: NodeId) -> Result<Inode, FsError> {
        let number = u32::try_from(node.number).map_err(|_| FsError::NotFound(node))?;
        let inode = self.slot(number)?;
        if u64::from(inode.generation()) == node.generation { Ok(inode) } else { Err(FsError::NotFound(node)) }
    }
    /// A slot of the inode tables, by number, whatever it holds.
    pub(super) fn slot(&self, number: u32) -> Result<Inode, FsError> {
        let missing = || FsError::NotFound(NodeId { number: u64::from(number), generation: 0 });
        let index = number.checked_sub(1).filter(|_| number <= self.sb.inodes).ok_or_else(missing)?;
        let group = index / self.sb.inodes_per_group;
        let inside = u64::from(index % self.sb.inodes_per_group).saturating_mul(u64::from(self.sb.inode_size));
        let piece = u64::from(CHUNK.max(self.sb.block_size));
        let chunk = self.chunk(group, inside / piece)?;
        let at = inside % piece;
        if chunk.bad.iter().any(|run| run.offset <= at && at < run.end()) {
            let offset = chunk.offset.saturating_add(at);
            return Err(FsError::Read(ReadError { offset, what: "inode table not readable here".to_owned() }));
        }
        Inode::new(number, chunk, size(at), self.sb.inode_size as usize).ok_or_else(missing)
    }
    /// Calls `each` for every slot of a group that was ever used; what cannot be read is left out
    /// (and noted).
    pub(super) fn each_slot(&self, group: u32, each: &mut dyn FnMut(&Inode)) {
        let Some(found) = self.groups.get(group as usize).filter(|g| g.inode_table != 0) else {
            return;
        };
        let used = if found.flags & INODE_UNINIT == 0 {
            u64::from(self.sb.inodes_per_group.saturating_sub(found.unused))
        } else {
            0
        };
        let len = self.sb.inode_size as usize;
        let first = u64::from(group).saturating_mul(u64::from(self.sb.inodes_per_group));
        let piece = u64::from(CHUNK.max(self.sb.block_size));
        let per_piece = piece / u64::from(self.sb.inode_size);
        for index in 0..used.div_ceil(per_piece) {
            let Ok(chunk) = self.chunk(group, index) else {
                continue;
            };
            let before = index.saturating_mul(per_piece);
            for slot in 0..per_piece.min(used.saturating_sub(before)) {
                let at = slot.saturating_mul(u64::from(self.sb.inode_size));
                let number = first.saturating_add(before).saturating_add(slot).saturating_add(1);
                let Ok(number) = u32::try_from(number) else {
                    return;
                };
                if number > self.sb.inodes || chunk.bad.iter().any(|run| run.offset <= at && at < run.end()) {
                    continue;
                }
                if let Some(inode) = Inode::new(number, chunk.clone(), size(at), len) {
                    each(&inode);
                }
            }
        }
    }
    fn chunk(&self, group: u32, index: u64) -> Result<Arc<Chunk>, FsError> {
        let bs = u64::from(self.sb.block_size);
        let piece = u64::from(CHUNK.max(self.sb.block_size));
        let table = self.sb.inode_table_blocks().saturating_mul(bs);
        let key = u64::from(group).saturating_mul(table.div_ceil(piece)).saturating_add(index);
        if let Some(chunk) = self.cache.get(key) {
            return Ok(chunk);
        }
        let start = self.groups.get(group as usize).map_or(0, |g| g.inode_table);
        if start == 0 {
            return Err(corrupt(0, format!("the inode table of block group {group} is lost")));
        }
        let start = self.blocks.offset(start).ok_or_else(|| corrupt(u64::MAX, "inode table out of range"))?;
        let offset = start.saturating_add(index.saturating_mul(piece));
        let len = piece.min(table.saturating_sub(index.saturating_mul(piece)));
        let (bytes, bad) = self.blocks.read_tolerant(offset, size(len));
        let chunk = Arc::new(Chunk { bytes, offset, bad });
        self.check(&chunk, group, index.saturating_mul(piece / u64::from(self.sb.inode_size)));
        self.cache.put(key, &chunk);
        Ok(chunk)
    }
    /// Notes what is wrong with a piece; `first` is the index in the group of its first inode.
    fn check(&self, chunk: &Chunk, group: u32, first: u64) {
        let base = u64::from(group).saturating_mul(u64::from(self.sb.inodes_per_group)).saturating_add(first);
        for run in &chunk.bad {
            let number = base.saturating_add(run.offset / u64::from(self.sb.inode_size)).saturating_add(1);
            let of = Of::Inode(u32::try_from(number).unwrap_or(u32::MAX));
            let at = chunk.offset.saturating_add(run.offset);
            self.damage.note("block of the inode table could not be read", of, at, run.len);
        }
        if !self.sb.has_metadata_csum() {
            return;
        }
        let unused = self.groups.get(group as usize).map_or(0, |g| g.unused);
        let initialised = u64::from(self.sb.inodes_per_group.saturating_sub(unused));
        let mut at = 0_u64;
        for (index, bytes) in (first..initialised).zip(chunk.bytes.chunks_exact(self.sb.inode_size as usize)) {
            let number = base.saturating_sub(first).saturating_add(index).saturating_add(1);
            if let Ok(number) = u32::try_from(number)
                && number <= self.sb.inodes
                && !checksum_fits(bytes, number, &self.sb)
                && !chunk.bad.iter().any(|run| run.offset <= at && at < run.end())
            {
                let here = chunk.offset.saturating_add(at);
                self.damage.note("checksum of the inode differs", Of::Inode(number), here, bytes.len() as u64);
            }
            at = at.saturating_add(bytes.len() as u64);
        }
    }
}
