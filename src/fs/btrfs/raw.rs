//! Little-endian fields, keys and the numbers of kinds and trees.
//! Format of all of `fs/btrfs`: "On-disk Format", btrfs.readthedocs.io, and the kernel's
//! include/uapi/linux/btrfs_tree.h.
use crate::base::Time;
pub(super) use crate::fs::raw::{corrupt, size, u8_at, u16_at, u32_at, u64_at};

pub(super) const INODE_ITEM: u8 = 1;
pub(super) const INODE_REF: u8 = 12;
pub(super) const INODE_EXTREF: u8 = 13;
pub(super) const XATTR_ITEM: u8 = 24;
pub(super) const ORPHAN_ITEM: u8 = 48;
pub(super) const DIR_LOG_INDEX: u8 = 72;
pub(super) const DIR_ITEM: u8 = 84;
pub(super) const DIR_INDEX: u8 = 96;
pub(super) const EXTENT_DATA: u8 = 108;
pub(super) const EXTENT_CSUM: u8 = 128;
pub(super) const ROOT_ITEM: u8 = 132;
pub(super) const ROOT_BACKREF: u8 = 144;
pub(super) const ROOT_REF: u8 = 156;
pub(super) const EXTENT_ITEM: u8 = 168;
pub(super) const METADATA_ITEM: u8 = 169;
pub(super) const BLOCK_GROUP_ITEM: u8 = 192;
pub(super) const DEV_EXTENT: u8 = 204;
pub(super) const DEV_ITEM: u8 = 216;
pub(super) const CHUNK_ITEM: u8 = 228;

pub(super) const EXTENT_TREE: u64 = 2;
pub(super) const FS_TREE: u64 = 5;
/// The directory of the tree of trees, with the name of the default subvolume.
pub(super) const ROOT_TREE_DIR: u64 = 6;
pub(super) const CSUM_TREE: u64 = 7;
pub(super) const ORPHANS: u64 = 5_u64.wrapping_neg();
pub(super) const LOG_TREE: u64 = 6_u64.wrapping_neg();
pub(super) const EXTENT_CSUMS: u64 = 10_u64.wrapping_neg();
/// The first number of a subvolume, and that of each subvolume's root directory.
pub(super) const FIRST: u64 = 256;
/// Behind the last number of a subvolume: what lies above marks nodes that are no inodes.
pub(super) const MAX_TREE: u64 = 1 << 48;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) object: u64,
    pub(super) kind: u8,
    pub(super) offset: u64,
}
/// Bytes of a key.
pub(super) const KEY: usize = 17;

impl Key {
    pub(super) const fn new(object: u64, kind: u8, offset: u64) -> Self {
        Self { object, kind, offset }
    }
    pub(super) fn parse(bytes: &[u8], at: usize) -> Option<Self> {
        let kind = u8_at(bytes, at.checked_add(8)?)?;
        Some(Self { object: u64_at(bytes, at)?, kind, offset: u64_at(bytes, at.checked_add(9)?)? })
    }
    pub(super) const LAST: Self = Self::new(u64::MAX, u8::MAX, u64::MAX);
}

/// Seconds and nanoseconds; nothing where both are zero, as no clock was set then.
pub(super) fn time(bytes: &[u8], at: usize) -> Option<Time> {
    let seconds = u64_at(bytes, at)?.cast_signed();
    let nanos = u32_at(bytes, at.checked_add(8)?)?;
    (seconds != 0 || nanos != 0).then(|| Time::nanos(seconds, nanos.min(999_999_999)))
}
