//! Inodes: ownership, times, flags and the 60 bytes that lead to the content.
//! Format: "Index Nodes" in the Linux kernel's Documentation/filesystems/ext4.
use super::features::{HUGE_FILE, LARGE_DIR};
use super::raw::{crc32c, crc32c_without, u16_at, u32_at};
use super::superblock::Super;
use super::table::Chunk;
use crate::base::{NodeId, Time};
use crate::fs::{NodeKind, Times};
use std::sync::Arc;

pub(super) const FLAG_COMPRESSED_BLOCKS: u32 = 0x200;
pub(super) const FLAG_COMPRESSED: u32 = 0x4;
pub(super) const FLAG_ENCRYPTED: u32 = 0x800;
pub(super) const FLAG_INDEX: u32 = 0x1000;
pub(super) const FLAG_HUGE_FILE: u32 = 0x4_0000;
pub(super) const FLAG_EXTENTS: u32 = 0x8_0000;
pub(super) const FLAG_VERITY: u32 = 0x10_0000;
pub(super) const FLAG_EA_INODE: u32 = 0x20_0000;
pub(super) const FLAG_INLINE: u32 = 0x1000_0000;
pub(super) const FLAG_CASEFOLD: u32 = 0x4000_0000;

/// Flags worth telling; those that only say how the content is stored are left out.
const FLAGS: &[(u32, &str)] = &[
    (0x1, "secure_deletion"),
    (0x2, "undelete"),
    (FLAG_COMPRESSED, "compressed"),
    (0x8, "sync"),
    (0x10, "immutable"),
    (0x20, "append"),
    (0x40, "nodump"),
    (0x80, "noatime"),
    (FLAG_ENCRYPTED, "encrypted"),
    (0x4000, "journal_data"),
    (0x8000, "notail"),
    (0x1_0000, "dirsync"),
    (0x2_0000, "topdir"),
    (FLAG_VERITY, "verity"),
    (FLAG_EA_INODE, "ea_inode"),
    (0x200_0000, "dax"),
    (FLAG_INLINE, "inline_data"),
    (0x2000_0000, "projinherit"),
    (FLAG_CASEFOLD, "casefold"),
];

const SUM_LOW: usize = 0x7c;
const SUM_HIGH: usize = 0x82;
/// The fields every inode has, and where the extra ones begin.
pub(super) const BASE: usize = 128;

/// One slot of an inode table. The table guarantees at least [`BASE`] bytes.
#[derive(Clone)]
pub(super) struct Inode {
    pub(super) number: u32,
    chunk: Arc<Chunk>,
    at: usize,
    len: usize,
}

impl Inode {
    pub(super) fn new(number: u32, chunk: Arc<Chunk>, at: usize, len: usize) -> Option<Self> {
        (len >= BASE && at.checked_add(len)? <= chunk.bytes.len()).then_some(Self { number, chunk, at, len })
    }
    pub(super) fn bytes(&self) -> &[u8] {
        self.chunk.bytes.get(self.at..self.at.saturating_add(self.len)).unwrap_or_default()
    }
    /// Byte of the volume.
    pub(super) fn offset(&self) -> u64 {
        self.chunk.offset.saturating_add(self.at as u64)
    }
    /// Fields below [`BASE`] always exist.
    fn half(&self, at: usize) -> u16 {
        u16_at(self.bytes(), at).unwrap_or(0)
    }
    fn word(&self, at: usize) -> u32 {
        u32_at(self.bytes(), at).unwrap_or(0)
    }
    pub(super) fn id(&self) -> NodeId {
        NodeId { number: u64::from(self.number), generation: u64::from(self.generation()) }
    }
    pub(super) fn mode(&self) -> u16 {
        self.half(0)
    }
    pub(super) fn kind(&self) -> NodeKind {
        match self.mode() >> 12 {
            0x1 => NodeKind::Fifo,
            0x2 => NodeKind::CharDevice,
            0x4 => NodeKind::Directory,
            0x6 => NodeKind::BlockDevice,
            0x8 => NodeKind::File,
            0xa => NodeKind::Symlink,
            0xc => NodeKind::Socket,
            _ => NodeKind::Unknown,
        }
    }
    pub(super) fn uid(&self) -> u32 {
        u32::from(self.half(0x2)) | (u32::from(self.half(0x78)) << 16)
    }
    pub(super) fn gid(&self) -> u32 {
        u32::from(self.half(0x18)) | (u32::from(self.half(0x7a)) << 16)
    }
    pub(super) fn links(&self) -> u16 {
        self.half(0x1a)
    }
    pub(super) fn flags(&self) -> u32 {
        self.word(0x20)
    }
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags() & flag != 0
    }
    pub(super) fn flag_names(&self) -> Vec<&'static str> {
        let flags = self.flags();
        FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect()
    }
    pub(super) fn generation(&self) -> u32 {
        self.word(0x64)
    }
    /// The size in bytes that the inode states.
    pub(super) fn size(&self, sb: &Super) -> u64 {
        let wide = match self.kind() {
            NodeKind::Directory => sb.features.has_incompat(LARGE_DIR),
            _ => true,
        };
        u64::from(self.word(0x4)) | if wide { u64::from(self.word(0x6c)) << 32 } else { 0 }
    }
    /// Bytes of storage, by the inode's own count.
    pub(super) fn allocated(&self, sb: &Super) -> u64 {
        let low = u64::from(self.word(0x1c));
        if !sb.features.has_read_only(HUGE_FILE) {
            return low.saturating_mul(512);
        }
        let count = low | (u64::from(self.half(0x74)) << 32);
        count.saturating_mul(if self.has(FLAG_HUGE_FILE) { u64::from(sb.block_size) } else { 512 })
    }
    /// The block of external attributes; 0 if there is none.
    pub(super) fn xattr_block(&self) -> u64 {
        u64::from(self.word(0x68)) | (u64::from(self.half(0x76)) << 32)
    }
    /// Content map, inline data, link target or device number.
    pub(super) fn map(&self) -> [u8; 60] {
        self.bytes().get(0x28..).and_then(|b| b.first_chunk().copied()).unwrap_or([0; 60])
    }
    /// Bytes of extra fields in use after the first 128; 0 where the inode is not larger.
    pub(super) fn extra(&self) -> usize {
        if self.len <= BASE {
            return 0;
        }
        let extra = usize::from(self.half(BASE));
        if extra >= 4 && extra % 4 == 0 && extra <= self.len.saturating_sub(BASE) { extra } else { 0 }
    }
    /// Whether it says that it has extra fields, and more or fewer than it can have.
    pub(super) fn has_odd_extra(&self) -> bool {
        self.len > BASE && self.half(BASE) != 0 && self.extra() == 0
    }
    /// Byte of the inode at which attributes may stand.
    pub(super) fn attributes_at(&self) -> Option<usize> {
        let extra = self.extra();
        (extra > 0).then(|| BASE.saturating_add(extra))
    }
    /// An extra field, if this inode has it.
    fn extra_word(&self, at: usize) -> Option<u32> {
        (at.saturating_add(4) <= BASE.saturating_add(self.extra())).then(|| self.word(at))
    }
    fn time(&self, at: usize, extra_at: usize) -> Time {
        let seconds = i64::from(self.word(at).cast_signed());
        match self.extra_word(extra_at) {
            Some(extra) => {
                let epoch = i64::from(extra & 3) << 32;
                Time::nanos(seconds.saturating_add(epoch), (extra >> 2).min(999_999_999))
            }
            None => Time::seconds(seconds),
        }
    }
    pub(super) fn deleted_at(&self) -> u32 {
        self.word(0x14)
    }
    /// A deletion time below the count of inodes is a link of the orphan list, not a time.
    pub(super) fn times(&self, sb: &Super) -> Times {
        let dtime = self.deleted_at();
        Times {
            modified: Some(self.time(0x10, 0x88)),
            accessed: Some(self.time(0x8, 0x8c)),
            changed: Some(self.time(0xc, 0x84)),
            created: self.extra_word(0x90).map(|_| self.time(0x90, 0x94)),
            deleted: (dtime > sb.inodes).then(|| Time::seconds(i64::from(dtime))),
        }
    }
    /// Major and minor number; the old encoding is 16 bits, the new one 32.
    pub(super) fn device(&self) -> (u32, u32) {
        let (old, new) = (self.word(0x28), self.word(0x2c));
        if old != 0 {
            ((old >> 8) & 0xff, old & 0xff)
        } else {
            ((new >> 8) & 0xfff, (new & 0xff) | ((new >> 12) & 0xf_ff00))
        }
    }
    /// Start value of the checksums of everything that belongs to this inode.
    pub(super) fn seed(&self, sb: &Super) -> u32 {
        seed(self.bytes(), self.number, sb)
    }
    /// Whether it belongs to a file that was not deleted.
    pub(super) fn is_used(&self) -> bool {
        self.mode() != 0 && self.links() != 0 && self.deleted_at() == 0
    }
}

fn seed(bytes: &[u8], number: u32, sb: &Super) -> u32 {
    let crc = crc32c(sb.seed, &number.to_le_bytes());
    crc32c(crc, bytes.get(0x64..0x68).unwrap_or_default())
}

/// Whether the checksum of an inode's bytes fits; slots never used, and file systems without checksums, pass.
pub(super) fn checksum_fits(bytes: &[u8], number: u32, sb: &Super) -> bool {
    if !sb.has_metadata_csum() || u16_at(bytes, 0) == Some(0) {
        return true;
    }
    let low = u16_at(bytes, SUM_LOW).map_or(0, u32::from);
    let extra = if bytes.len() > BASE { u16_at(bytes, BASE).unwrap_or(0) } else { 0 };
    let crc = seed(bytes, number, sb);
    if extra < 4 {
        return crc32c_without(crc, bytes, SUM_LOW, 2) & 0xffff == low;
    }
    let head = bytes.get(..SUM_HIGH).unwrap_or_default();
    let tail = bytes.get(SUM_HIGH.saturating_add(2)..).unwrap_or_default();
    let crc = crc32c(crc32c(crc32c_without(crc, head, SUM_LOW, 2), &[0; 2]), tail);
    crc == low | (u16_at(bytes, SUM_HIGH).map_or(0, u32::from) << 16)
}
