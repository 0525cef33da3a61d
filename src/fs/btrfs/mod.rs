//! Btrfs: subvolumes as directories below the top-level one, snapshots, every profile of chunks over one or
//! several devices, compressed contents, checksums. Tolerant of damage, with the place of every byte.
//!
//! A node's number is its inode's, its generation the subvolume's. Several devices are one volume here, one after
//! the other, as `volume/btrfs` lays them; a file system on one device is opened where it lies.
//! Format: see `raw.rs`.
mod block;
mod chunk;
mod codec;
mod content;
mod contradiction;
mod deleted;
mod dir;
mod extent;
mod free;
mod inode;
mod log;
mod open;
mod patch;
mod raw;
mod roots;
mod space;
mod subvolume;
mod sums;
mod tree;

use super::damage::Damage;
use crate::base::{Budget, NodeId, Run};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, Stat, Stream};
use crate::image::Source;
use crate::image::cache::Cache;
use crate::volume::btrfs::{PLACES, Root, Superblock};
use block::Item;
use raw::{FIRST, FS_TREE, Key};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// The reader's name in gaps.
const BY: &str = "fs.btrfs";

pub(super) const FORMAT: Format = Format {
    name: "btrfs",
    about: "Btrfs over one or several devices: all profiles, subvolumes and snapshots, zlib, lzo and zstd, all four checksums",
    limits: "the extent tree of version 2, the stripe tree, the remap tree, zoned devices and encrypted contents are named, not read; deleted files are found as far as older blocks of trees are left in the first 4 GiB of free metadata; of snapshots together 4 million names are listed",
    probe: |source| Superblock::at(&**source, PLACES[0]).is_some(),
    probe_damaged: |source| Superblock::newest(&**source).is_some(),
    size: |source| Superblock::at(&**source, PLACES[0]).map(|sb| sb.device.total),
    open: |source, options| Ok(Arc::new(open::open(source, options)?)),
};

/// What all readers of one file system share.
struct Volume {
    sb: Superblock,
    blocks: block::Blocks,
    roots: roots::Roots,
    csum_root: Option<Root>,
    extent_root: Option<Root>,
    /// What logs lay over subvolumes.
    overlays: BTreeMap<u64, tree::Overlay>,
    /// Checksums in logs.
    log_sums: tree::Overlay,
    /// What older blocks tell of what is gone, once it was asked for.
    stale: OnceLock<deleted::Stale>,
    /// Subvolumes to which no directory entry leads.
    unreachable: Vec<u64>,
    damage: Damage,
    budget: Budget,
    /// Decoded extents.
    decoded: Cache<Vec<u8>>,
    /// Logical sector → the copy that it was read from, where that was not the first.
    healed: Mutex<BTreeMap<u64, usize>>,
    listed: Mutex<dir::Listed>,
    free: OnceLock<Vec<Run>>,
}

impl Volume {
    /// The items of a subvolume from one key to another, both included; whether all blocks could be read.
    fn items(&self, subvolume: u64, from: Key, to: Key, each: &mut dyn FnMut(Item<'_>) -> bool) -> bool {
        let Some(found) = self.roots.subvolumes.get(&subvolume) else { return self.roots.whole };
        tree::each(&self.blocks, found.root, self.overlays.get(&subvolume), from, to, each)
    }
    /// Byte of the volume at which a subvolume's tree begins.
    fn subvolume_place(&self, subvolume: u64) -> u64 {
        let root = self.roots.subvolumes.get(&subvolume).map_or(self.sb.root, |s| s.root);
        self.blocks.space.volume_offset(root.logical)
    }
}

pub(super) struct BtrfsFs {
    volume: Arc<Volume>,
    info: FsInfo,
}

impl FileSystem for BtrfsFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        NodeId { number: FIRST, generation: FS_TREE }
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        dir::read_dir(&self.volume, dir, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        inode::stat(&self.volume, node)
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        inode::link(&self.volume, node)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        match stream {
            Stream::Data => inode::open(&self.volume, node),
            Stream::Named(_) => Err(FsError::NotFound(node)),
        }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        deleted::deleted(&self.volume, each);
        Ok(())
    }
    fn unallocated(&self) -> Vec<Run> {
        self.volume.free.get_or_init(|| free::unallocated(&self.volume)).clone()
    }
}
