//! Inodes: a block each, with the first addresses of the file's blocks, or the file itself, in its rest.
//! Format: see `superblock.rs`, the structure `f2fs_inode`.
use super::Volume;
use super::node::{FOOTER, Node};
use super::superblock::{CRTIME, FLEXIBLE_XATTR, INODE_SUM, PROJECT, crc};
use crate::base::Time;
use crate::fs::raw::{corrupt, size, u8_at, u16_at, u32_at, u64_at};
use crate::fs::{FsError, NodeKind, Times};
use std::sync::Arc;

/// Byte of an inode at which its addresses begin, and how many there are.
const ADDRESSES: usize = 360;
const COUNT: usize = 923;
/// Byte of the five numbers of further nodes.
const NODES: usize = 4052;
/// Words for attributes where the inode does not say.
const XATTRS: usize = 50;

const INLINE_XATTR: u8 = 1;
pub(super) const INLINE_DATA: u8 = 2;
pub(super) const INLINE_DENTRY: u8 = 4;
const EXTRA: u8 = 0x20;
const ENCRYPTED: u8 = 4;
const NAME_ENCRYPTED: u8 = 8;
const VERITY: u8 = 0x40;
const COMPRESSED: u32 = 4;
const FLAGS: &[(u32, &str)] = &[
    (0x4, "compressed"),
    (0x8, "sync"),
    (0x10, "immutable"),
    (0x20, "append"),
    (0x40, "nodump"),
    (0x80, "noatime"),
    (0x400, "nocompress"),
    (0x1_0000, "dirsync"),
    (0x2000_0000, "project-inherit"),
    (0x4000_0000, "casefold"),
];

/// How the clusters of a file are compressed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) algorithm: u8,
    /// Blocks of a cluster, as a power of two.
    pub(super) log: u32,
    /// A checksum stands before each cluster's data.
    pub(super) checked: bool,
}

#[derive(Clone)]
pub(super) struct Inode {
    pub(super) node: Arc<Node>,
    pub(super) kind: NodeKind,
    pub(super) mode: u32,
    advise: u8,
    pub(super) inline: u8,
    flags: u32,
    pub(super) len: u64,
    /// Words before the addresses.
    extra: usize,
    /// Words for attributes behind the addresses.
    xattrs: usize,
    pub(super) packed: Option<Packed>,
    /// It was deleted, and its blocks may have been given to others.
    pub(super) stale: bool,
}

pub(super) fn kind(mode: u16) -> Option<NodeKind> {
    Some(match mode >> 12 {
        0o10 => NodeKind::File,
        0o4 => NodeKind::Directory,
        0o12 => NodeKind::Symlink,
        0o2 => NodeKind::CharDevice,
        0o6 => NodeKind::BlockDevice,
        0o1 => NodeKind::Fifo,
        0o14 => NodeKind::Socket,
        _ => return None,
    })
}

pub(super) fn read(volume: &Volume, ino: u32) -> Result<Inode, FsError> {
    parse(volume, volume.node(ino)?, false)
}

pub(super) fn parse(volume: &Volume, node: Arc<Node>, stale: bool) -> Result<Inode, FsError> {
    let at = node.at();
    if !node.is_inode() {
        return Err(corrupt(at, format!("node {} is no inode", node.nid())));
    }
    let b = &node.bytes;
    let mode = u16_at(b, 0).unwrap_or(0);
    let kind = kind(mode).ok_or_else(|| corrupt(at, format!("inode with the mode {mode:o}")))?;
    let inline = u8_at(b, 3).unwrap_or(0);
    let bytes = if inline & EXTRA != 0 { usize::from(u16_at(b, 360).unwrap_or(0)) } else { 0 };
    let extra = bytes / 4;
    let own = u16_at(b, 362).filter(|_| bytes >= 4 && volume.sb.features & FLEXIBLE_XATTR != 0).map(usize::from);
    let xattrs = own.unwrap_or(if inline & (INLINE_XATTR | INLINE_DENTRY) != 0 { XATTRS } else { 0 });
    if bytes % 4 != 0 || extra.saturating_add(xattrs).saturating_add(1) > COUNT {
        return Err(corrupt(at, format!("inode with {bytes} bytes of extra fields and {xattrs} words of attributes")));
    }
    let flags = u32_at(b, 80).unwrap_or(0);
    let packed = match (u8_at(b, 392), u8_at(b, 393)) {
        (Some(algorithm), Some(log)) if flags & COMPRESSED != 0 && bytes >= 36 && kind == NodeKind::File => {
            if !(2..=8).contains(&log) {
                return Err(corrupt(at, format!("compressed file with clusters of 2^{log} blocks")));
            }
            Some(Packed { algorithm, log: log.into(), checked: u16_at(b, 394).unwrap_or(0) & 1 != 0 })
        }
        _ => None,
    };
    let len = u64_at(b, 16).unwrap_or(0);
    let advise = u8_at(b, 2).unwrap_or(0);
    let inode = Inode { node, kind, mode: mode.into(), advise, inline, flags, len, extra, xattrs, packed, stale };
    if !stale && !inode.sum_holds(volume) {
        volume.damage.note("checksum of an inode is wrong", inode.ino().into(), at, 0);
    }
    Ok(inode)
}

impl Inode {
    pub(super) fn ino(&self) -> u32 {
        self.node.ino()
    }
    fn bytes(&self) -> &[u8] {
        &self.node.bytes
    }
    fn word(&self, at: usize) -> u32 {
        u32_at(self.bytes(), at).unwrap_or(0)
    }
    /// The field is there: in extra fields as long as that.
    fn has(&self, end: usize) -> bool {
        self.extra.saturating_mul(4).saturating_add(ADDRESSES) >= end
    }
    /// Over the inode with its sum's field zero, begun with the volume's UUID, its number and its generation.
    fn sum_holds(&self, volume: &Volume) -> bool {
        if volume.sb.features & INODE_SUM == 0 || !self.has(372) {
            return true;
        }
        let b = self.bytes();
        let begin = crc(crc(u32::MAX, &volume.sb.uuid), &self.ino().to_le_bytes());
        let begin = crc(begin, &self.word(68).to_le_bytes());
        let head = crc(begin, b.get(..368).unwrap_or_default());
        let zero = crc(head, &[0; 4]);
        crc(zero, b.get(372..).unwrap_or_default()) == self.word(368)
    }
    pub(super) fn uid(&self) -> u32 {
        self.word(4)
    }
    pub(super) fn gid(&self) -> u32 {
        self.word(8)
    }
    pub(super) fn links(&self) -> u32 {
        self.word(12)
    }
    pub(super) fn blocks(&self) -> u64 {
        u64_at(self.bytes(), 24).unwrap_or(0)
    }
    pub(super) fn parent(&self) -> u32 {
        self.word(84)
    }
    /// The name that it was last given, where it is not encrypted.
    pub(super) fn name(&self) -> Option<&[u8]> {
        let len = size(self.word(88).into());
        let name = self.bytes().get(92..92_usize.saturating_add(len)).filter(|_| (1..=255).contains(&len));
        name.filter(|_| self.advise & NAME_ENCRYPTED == 0)
    }
    pub(super) fn encrypted(&self) -> bool {
        self.advise & ENCRYPTED != 0
    }
    pub(super) fn xattr_node(&self) -> u32 {
        self.word(76)
    }
    pub(super) fn times(&self, volume: &Volume) -> Times {
        let b = self.bytes();
        let time = |seconds: usize, nanos: usize| {
            let seconds = u64_at(b, seconds)?.cast_signed();
            let nanos = u32_at(b, nanos)?;
            Some(if nanos < 1_000_000_000 { Time::nanos(seconds, nanos) } else { Time::seconds(seconds) })
        };
        let created = volume.sb.features & CRTIME != 0 && self.has(384);
        Times {
            accessed: time(32, 56),
            changed: time(40, 60),
            modified: time(48, 64),
            created: if created { time(372, 380) } else { None },
            deleted: None,
        }
    }
    pub(super) fn flags(&self, volume: &Volume) -> Vec<&'static str> {
        let mut out: Vec<&str> = FLAGS.iter().filter(|(bit, _)| self.flags & bit != 0).map(|(_, n)| *n).collect();
        if self.encrypted() {
            out.push("encrypted");
        }
        if self.advise & VERITY != 0 {
            out.push("verity");
        }
        if volume.sb.features & PROJECT != 0 && self.has(368) && self.word(364) != 0 {
            out.push("project");
        }
        out
    }
    /// Addresses of blocks that stand in the inode.
    pub(super) fn count(&self) -> usize {
        let count = COUNT.saturating_sub(self.extra).saturating_sub(self.xattrs);
        self.packed.map_or(count, |p| count >> p.log << p.log)
    }
    pub(super) fn address(&self, number: usize) -> u32 {
        let word = self.extra.saturating_add(number);
        if word >= COUNT {
            return 0;
        }
        self.word(ADDRESSES.saturating_add(word.saturating_mul(4)))
    }
    pub(super) fn further(&self, number: usize) -> u32 {
        self.word(NODES.saturating_add(number.min(4).saturating_mul(4)))
    }
    /// Bytes of the inode that hold the file, or the directory, itself.
    pub(super) fn inside(&self) -> (usize, usize) {
        // A word is kept free before them.
        let words = COUNT.saturating_sub(self.extra).saturating_sub(self.xattrs).saturating_sub(1);
        (ADDRESSES.saturating_add(self.extra.saturating_add(1).saturating_mul(4)), words.saturating_mul(4))
    }
    pub(super) fn inline_xattrs(&self) -> &[u8] {
        let from = ADDRESSES.saturating_add(COUNT.saturating_sub(self.xattrs).saturating_mul(4));
        let used = self.inline & INLINE_XATTR != 0;
        self.bytes().get(from..ADDRESSES.saturating_add(COUNT.saturating_mul(4))).filter(|_| used).unwrap_or_default()
    }
    pub(super) fn device(&self) -> Option<(u32, u32)> {
        if !matches!(self.kind, NodeKind::CharDevice | NodeKind::BlockDevice) {
            return None;
        }
        let (old, new) = (self.address(0), self.address(1));
        Some(if old != 0 {
            (old >> 8 & 0xff, old & 0xff)
        } else {
            (new >> 8 & 0xfff, new & 0xff | new >> 12 & 0xf_ff00)
        })
    }
}

/// Addresses of blocks in a direct node.
pub(super) fn direct(node: &Node, number: usize) -> u32 {
    let at = number.saturating_mul(4);
    if at >= FOOTER { 0 } else { u32_at(&node.bytes, at).unwrap_or(0) }
}
