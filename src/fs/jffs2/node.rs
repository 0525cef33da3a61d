//! Nodes: all that JFFS2 writes. There is no table: a mount, and this reader, look at every one of them.
//! Format: the kernel's `include/uapi/linux/jffs2.h`; in the byte order of the machine, CRC-32 begun with zero and not
//! inverted.
use crate::fs::NodeKind;

pub(super) const MAGIC: u16 = 0x1985;
/// Bytes of the header that all nodes have.
pub(super) const HEADER: usize = 12;
/// In a node's type: it was not marked obsolete.
const ACCURATE: u16 = 0x2000;
pub(super) const ENTRY: u16 = 0xe001;
pub(super) const INODE: u16 = 0xe002;
const CLEAN: u16 = 0x2003;
const PADDING: u16 = 0x2004;
const SUMMARY: u16 = 0x2006;
pub(super) const XATTR: u16 = 0xe008;
pub(super) const XREF: u16 = 0xe009;

/// CRC-32 as JFFS2 takes it.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new_with_initial(u32::MAX);
    hash.update(bytes);
    !hash.finalize()
}

/// Numbers in the byte order of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) big: bool,
}
impl Order {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let b = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let b = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// As if it were not obsolete.
    pub(super) kind: u16,
    pub(super) obsolete: bool,
    pub(super) len: usize,
}

/// The header at the start of `bytes`, if its checksum fits.
pub(super) fn head(order: Order, bytes: &[u8]) -> Option<Head> {
    if order.u16(bytes, 0)? != MAGIC {
        return None;
    }
    let stored = order.u16(bytes, 2)?;
    let kind = stored | ACCURATE;
    let mut counted: [u8; 8] = *bytes.first_chunk()?;
    // Marking a node obsolete clears a bit after the checksum was made.
    let restored = if order.big { kind.to_be_bytes() } else { kind.to_le_bytes() };
    counted.get_mut(2..4)?.copy_from_slice(&restored);
    let fits = crc(&counted) == order.u32(bytes, 8)?;
    let len = usize::try_from(order.u32(bytes, 4)?).ok()?;
    (fits && len >= HEADER).then_some(Head { kind, obsolete: stored & ACCURATE == 0, len })
}

impl Head {
    /// Whether it is one of those that hold no file's part.
    pub(super) fn is_filling(self) -> bool {
        matches!(self.kind, CLEAN | PADDING | SUMMARY)
    }
    /// Undoes in a node's bytes what marked it obsolete: its checksums were made before.
    pub(super) fn restore(self, order: Order, bytes: &mut [u8]) {
        let kind = if order.big { self.kind.to_be_bytes() } else { self.kind.to_le_bytes() };
        if let Some(stored) = bytes.get_mut(2..4) {
            stored.copy_from_slice(&kind);
        }
    }
    pub(super) fn is_summary(self) -> bool {
        self.kind == SUMMARY
    }
}

/// A version of an inode, with a part of its data.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) inode: u32,
    pub(super) version: u32,
    pub(super) mode: u32,
    pub(super) uid: u16,
    pub(super) gid: u16,
    /// Of the whole file.
    pub(super) size: u32,
    /// Seconds: access, modification, change.
    pub(super) times: [u32; 3],
    pub(super) offset: u32,
    /// Bytes as stored, and decoded.
    pub(super) packed: u32,
    pub(super) len: u32,
    pub(super) compressor: u8,
    pub(super) data_crc: u32,
    /// Byte of the volume at which the data stand.
    pub(super) at: u64,
    pub(super) obsolete: bool,
}
pub(super) const PART: usize = 68;

impl Part {
    /// `at` is the node's byte of the volume. `None` where its checksum does not fit.
    pub(super) fn parse(order: Order, node: &[u8], at: u64, obsolete: bool) -> Option<Self> {
        let u32 = |at| order.u32(node, at);
        if crc(node.get(..60)?) != u32(64)? {
            return None;
        }
        Some(Self {
            inode: u32(12)?,
            version: u32(16)?,
            mode: u32(20)?,
            uid: order.u16(node, 24)?,
            gid: order.u16(node, 26)?,
            size: u32(28)?,
            times: [u32(32)?, u32(36)?, u32(40)?],
            offset: u32(44)?,
            packed: u32(48)?,
            len: u32(52)?,
            compressor: *node.get(56)?,
            data_crc: u32(60)?,
            at: at.saturating_add(PART as u64),
            obsolete,
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

/// A version of a name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) parent: u32,
    pub(super) version: u32,
    /// 0: the name was removed.
    pub(super) inode: u32,
    pub(super) kind: NodeKind,
    pub(super) name: Vec<u8>,
    /// Byte of the volume.
    pub(super) at: u64,
    pub(super) obsolete: bool,
    /// When it was written, in seconds.
    pub(super) time: u32,
    /// Whether the name's own checksum fits.
    pub(super) whole: bool,
}
impl Entry {
    pub(super) fn parse(order: Order, node: &[u8], at: u64, obsolete: bool) -> Option<Self> {
        let u32 = |at| order.u32(node, at);
        if crc(node.get(..32)?) != u32(32)? {
            return None;
        }
        let len = usize::from(*node.get(28)?);
        let name = node.get(40..40_usize.checked_add(len)?)?.to_vec();
        let kind = match node.get(29)? {
            1 => NodeKind::Fifo,
            2 => NodeKind::CharDevice,
            4 => NodeKind::Directory,
            6 => NodeKind::BlockDevice,
            8 => NodeKind::File,
            10 => NodeKind::Symlink,
            12 => NodeKind::Socket,
            _ => NodeKind::Unknown,
        };
        let whole = crc(&name) == u32(36)?;
        Some(Self {
            parent: u32(12)?,
            version: u32(16)?,
            inode: u32(20)?,
            kind,
            name,
            at,
            obsolete,
            time: u32(24)?,
            whole,
        })
    }
}

/// A name and value that inodes share.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) id: u32,
    pub(super) version: u32,
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) whole: bool,
}
impl Attribute {
    pub(super) fn parse(order: Order, node: &[u8]) -> Option<Self> {
        if crc(node.get(..28)?) != order.u32(node, 28)? {
            return None;
        }
        let prefix: &[u8] = match node.get(20)? {
            1 => b"user.",
            2 => b"security.",
            3 => b"system.posix_acl_access",
            4 => b"system.posix_acl_default",
            5 => b"trusted.",
            _ => b"unknown.",
        };
        let (name, value) = (usize::from(*node.get(21)?), usize::from(order.u16(node, 22)?));
        let from = 33_usize.checked_add(name)?;
        let end = from.checked_add(value)?;
        Some(Self {
            id: order.u32(node, 12)?,
            version: order.u32(node, 16)?,
            name: [prefix, node.get(32..32_usize.checked_add(name)?)?].concat(),
            value: node.get(from..end)?.to_vec(),
            whole: crc(node.get(32..end)?) == order.u32(node, 24)?,
        })
    }
}

/// That an inode has an attribute; an odd sequence number: has it no longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub(super) inode: u32,
    pub(super) attribute: u32,
    pub(super) sequence: u32,
}
impl Reference {
    pub(super) fn parse(order: Order, node: &[u8]) -> Option<Self> {
        if crc(node.get(..24)?) != order.u32(node, 24)? {
            return None;
        }
        let u32 = |at| order.u32(node, at);
        Some(Self { inode: u32(12)?, attribute: u32(16)?, sequence: u32(20)? })
    }
}
