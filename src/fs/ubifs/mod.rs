//! UBIFS: the writable file system of raw flash, over a volume of UBI. The index is read into memory, the journal
//! laid over it there; where the index is damaged, nodes are searched for one by one.
//! Format: the kernel's `fs/ubifs/ubifs-media.h`, and "UBIFS design" (linux-mtd.infradead.org).
mod codec;
mod content;
mod deleted;
mod file;
mod index;
mod node;
mod open;
mod scan;
mod superblock;

use super::damage::Damage;
use crate::base::{Budget, NodeId, Run};
use crate::fs::raw::{corrupt, size};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, Stat, Stream};
use crate::image::cache::Cache;
use crate::image::{Source, read_exact};
use deleted::Gone;
use index::Index;
use node::{Entry, Spot};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use superblock::Superblock;

/// The reader's name in gaps.
const BY: &str = "fs.ubifs";
/// Inodes whose equal faults are one gap.
const STRETCH: u64 = 1024;
/// Of the root.
const ROOT: u32 = 1;

pub(super) const FORMAT: Format = Format {
    name: "ubifs",
    about: "UBIFS, compressed by lzo, zlib or zstd; its journal, deleted names and files; damaged indexes by a search among all nodes",
    limits: "what fscrypt encrypted is listed by its encrypted names and not decrypted; hashes and signatures of an authenticated image are not checked; attributes of deleted files are not read; a deleted file holds what the flash still has of it",
    probe: superblock::probe,
    probe_damaged: |source| superblock::searched(source).is_some(),
    size: superblock::len,
    open: |source, options| Ok(Arc::new(open::open(source, options)?)),
};

/// What all readers of one file system share.
struct Volume {
    source: Source,
    superblock: Superblock,
    index: Index,
    /// Blocks that hold something that counts.
    used: BTreeSet<u32>,
    blocks: Cache<Vec<u8>>,
    gone: OnceLock<Gone>,
    budget: Budget,
    damage: Damage,
}

impl Volume {
    /// Byte of the volume.
    fn at(&self, spot: Spot) -> u64 {
        self.superblock.block.saturating_mul(u64::from(spot.block)).saturating_add(u64::from(spot.offset))
    }
    /// Blocks that the volume has, of those that the file system should have.
    fn reach(&self) -> u32 {
        let have = self.source.len().div_ceil(self.superblock.block.max(1));
        self.superblock.blocks.min(u32::try_from(have).unwrap_or(u32::MAX))
    }
    /// A node's bytes as they are, and whether its CRC fits.
    fn raw(&self, spot: Spot, kind: u8) -> Result<(Vec<u8>, bool), FsError> {
        let at = self.at(spot);
        let fits = u64::from(spot.offset).saturating_add(u64::from(spot.len)) <= self.superblock.block;
        if !fits || spot.block >= self.superblock.blocks {
            return Err(corrupt(at, "a node beyond its block"));
        }
        let bytes = read_exact(&*self.source, at, size(u64::from(spot.len)))?;
        let bytes = bytes.ok_or_else(|| corrupt(at, "the volume ends before a node does"))?;
        let head = node::head(&bytes).filter(|h| h.kind == kind && h.len == bytes.len());
        let head = head.ok_or_else(|| corrupt(at, "no node of the kind that the index names"))?;
        Ok((bytes, head.whole))
    }
    /// A node whose CRC fits.
    fn node(&self, spot: Spot, kind: u8) -> Result<Vec<u8>, FsError> {
        match self.raw(spot, kind)? {
            (bytes, true) => Ok(bytes),
            (_, false) => Err(corrupt(self.at(spot), "checksum of a node does not fit")),
        }
    }
    /// The name that stands there, of a directory or an attribute.
    fn entry(&self, spot: Spot) -> Option<Entry> {
        let node = self.node(spot, node::ENTRY).or_else(|_| self.node(spot, node::XENTRY)).ok()?;
        Entry::parse(&node)
    }
    fn gone(&self) -> &Gone {
        self.gone.get_or_init(|| deleted::find(self))
    }
}

pub(super) struct UbiFs {
    volume: Arc<Volume>,
    info: FsInfo,
}

impl FileSystem for UbiFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        file::id(ROOT)
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        file::read_dir(&self.volume, dir, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        file::stat(&self.volume, node)
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        file::link(&self.volume, node)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        match stream {
            Stream::Data => content::open(&self.volume, node),
            Stream::Named(_) => Err(FsError::NotFound(node)),
        }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        deleted::deleted(&self.volume, each);
        Ok(())
    }
    /// Blocks of the area of files that hold nothing that counts, and what lies behind the file system.
    fn unallocated(&self) -> Vec<Run> {
        let block = self.volume.superblock.block;
        let free = (self.volume.superblock.main..self.volume.reach()).filter(|n| !self.volume.used.contains(n));
        let mut runs: Vec<Run> = Vec::new();
        for number in free {
            let run = Run::new(u64::from(number).saturating_mul(block), block);
            match runs.last_mut() {
                Some(last) if last.end() == run.offset => last.len = last.len.saturating_add(block),
                _ => runs.push(run),
            }
        }
        let end = block.saturating_mul(u64::from(self.volume.superblock.blocks));
        let rest = self.volume.source.len().saturating_sub(end);
        if rest > 0 {
            runs.push(Run::new(end, rest));
        }
        runs
    }
}
