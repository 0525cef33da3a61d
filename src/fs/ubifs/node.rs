//! Nodes: all that UBIFS writes begins with one header, which says what follows and has a CRC over it.
//! Format: the kernel's `fs/ubifs/ubifs-media.h`; little-endian, CRC-32 without the final inversion.
use crate::fs::NodeKind;
use crate::fs::raw::{size, u8_at, u16_at, u32_at, u64_at};

pub(super) const MAGIC: u32 = 0x0610_1831;
/// Bytes of the header.
pub(super) const HEADER: usize = 24;
/// Bytes of a block of a file.
pub(super) const BLOCK: u64 = 4096;

pub(super) const INODE: u8 = 0;
pub(super) const DATA: u8 = 1;
pub(super) const ENTRY: u8 = 2;
pub(super) const XENTRY: u8 = 3;
pub(super) const TRUNCATION: u8 = 4;
pub(super) const PADDING: u8 = 5;
pub(super) const SUPERBLOCK: u8 = 6;
pub(super) const MASTER: u8 = 7;
pub(super) const REFERENCE: u8 = 8;
pub(super) const INDEX: u8 = 9;
pub(super) const COMMIT: u8 = 10;
pub(super) const ORPHANS: u8 = 11;
const LAST: u8 = 13;

/// CRC-32 as UBI and UBIFS take it.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    !crc32fast::hash(bytes)
}

/// What a node is found by: an inode, and within it a kind with a block number or a name's hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) inode: u32,
    word: u32,
}
impl Key {
    pub(super) const MAX: Self = Self { inode: u32::MAX, word: u32::MAX };
    /// `number` is a block or a hash, and has 29 bits.
    pub(super) fn new(inode: u32, kind: u8, number: u32) -> Self {
        Self { inode, word: u32::from(kind & 7) << 29 | number & 0x1fff_ffff }
    }
    pub(super) fn parse(bytes: &[u8], at: usize) -> Option<Self> {
        Some(Self { inode: u32_at(bytes, at)?, word: u32_at(bytes, at.checked_add(4)?)? })
    }
    pub(super) fn kind(self) -> u8 {
        u8::try_from(self.word >> 29).unwrap_or(0)
    }
    /// Block number, or hash of a name.
    pub(super) fn number(self) -> u32 {
        self.word & 0x1fff_ffff
    }
}

/// Where a node stands: block of the volume, byte in it, bytes of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spot {
    pub(super) block: u32,
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// The header of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) len: usize,
    pub(super) kind: u8,
    /// Whether the CRC fits, as far as the bytes were there.
    pub(super) whole: bool,
}

/// The node at the start of `bytes`; `None` where none begins or it reaches beyond them.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    if u32_at(bytes, 0)? != MAGIC {
        return None;
    }
    let len = size(u64::from(u32_at(bytes, 16)?));
    let kind = u8_at(bytes, 20)?;
    let body = bytes.get(8..len)?;
    (len >= HEADER && kind <= LAST).then_some(())?;
    Some(Head { sequence: u64_at(bytes, 8)?, len, kind, whole: crc(body) == u32_at(bytes, 4)? })
}

/// An inode's fields behind the key.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) key: Key,
    pub(super) size: u64,
    /// Seconds and nanoseconds: access, change, modification.
    pub(super) times: [(u64, u32); 3],
    pub(super) links: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) flags: u32,
    /// Target of a link, number of a device, value of an attribute.
    pub(super) data: Vec<u8>,
}
pub(super) const INODE_DATA: usize = 160;
pub(super) const XATTR: u32 = 0x20;
pub(super) const ENCRYPTED: u32 = 0x40;

impl Inode {
    pub(super) fn parse(node: &[u8]) -> Option<Self> {
        let time = |seconds: usize, nanos: usize| Some((u64_at(node, seconds)?, u32_at(node, nanos)?));
        let len = size(u64::from(u32_at(node, 112)?));
        Some(Self {
            key: Key::parse(node, 24)?,
            size: u64_at(node, 48)?,
            times: [time(56, 80)?, time(64, 84)?, time(72, 88)?],
            links: u32_at(node, 92)?,
            uid: u32_at(node, 96)?,
            gid: u32_at(node, 100)?,
            mode: u32_at(node, 104)?,
            flags: u32_at(node, 108)?,
            data: node.get(INODE_DATA..INODE_DATA.checked_add(len)?)?.to_vec(),
        })
    }
    pub(super) fn kind(&self) -> NodeKind {
        match self.mode & 0o170_000 {
            0o100_000 => NodeKind::File,
            0o040_000 => NodeKind::Directory,
            0o120_000 => NodeKind::Symlink,
            0o020_000 => NodeKind::CharDevice,
            0o060_000 => NodeKind::BlockDevice,
            0o010_000 => NodeKind::Fifo,
            0o140_000 => NodeKind::Socket,
            _ => NodeKind::Unknown,
        }
    }
}

/// A name of a directory, or of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// 0: the name was removed.
    pub(super) inode: u32,
    pub(super) kind: NodeKind,
    pub(super) name: Vec<u8>,
}
impl Entry {
    pub(super) fn parse(node: &[u8]) -> Option<Self> {
        let len = usize::from(u16_at(node, 50)?);
        let kind = match u8_at(node, 49)? {
            0 => NodeKind::File,
            1 => NodeKind::Directory,
            2 => NodeKind::Symlink,
            3 => NodeKind::BlockDevice,
            4 => NodeKind::CharDevice,
            5 => NodeKind::Fifo,
            6 => NodeKind::Socket,
            _ => NodeKind::Unknown,
        };
        let inode = u32::try_from(u64_at(node, 40)?).ok()?;
        let name = node.get(56..56_usize.checked_add(len)?)?.to_vec();
        (len <= 255).then_some(Self { key: Key::parse(node, 24)?, inode, kind, name })
    }
}

/// A file that was cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truncation {
    pub(super) inode: u32,
    pub(super) old: u64,
    pub(super) new: u64,
}
impl Truncation {
    pub(super) fn parse(node: &[u8]) -> Option<Self> {
        Some(Self { inode: u32_at(node, 24)?, old: u64_at(node, 40)?, new: u64_at(node, 48)? })
    }
    /// Keys of the blocks that went.
    pub(super) fn range(self) -> std::ops::RangeInclusive<Key> {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).min(0x1fff_ffff);
        let first = Key::new(self.inode, DATA, number(self.new.div_ceil(BLOCK)));
        let last = Key::new(self.inode, DATA, number(self.old.div_ceil(BLOCK).saturating_sub(1)));
        // Nothing went: a range that holds no key.
        if self.new >= self.old || last < first {
            first..=Key { word: first.word.saturating_sub(1), ..first }
        } else {
            first..=last
        }
    }
}
