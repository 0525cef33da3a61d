//! Where the structures of each format lie, and how their checksums are made to fit again. Written from the formats'
//! descriptions, apart from the readers, so that an error of a reader is not repeated here.
pub mod containers;
pub mod ext;
pub mod flash;
pub mod linux;
pub mod registry;
pub mod tables;
pub mod windows;

use super::Disk;

/// A structure of an image.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub kind: &'static str,
    /// Byte of the image.
    pub at: u64,
    pub len: usize,
    /// What its checksum begins with, where that depends on its place or owner.
    pub seed: u32,
    /// Numbers by which other structures point at it: blocks, inodes, bytes.
    pub names: Vec<u64>,
}
impl Part {
    pub fn new(kind: &'static str, at: u64, len: usize) -> Self {
        Self { kind, at, len, ..Self::default() }
    }
    pub fn named(mut self, names: &[u64]) -> Self {
        self.names.extend_from_slice(names);
        self
    }
}

/// What the mutator knows of a format.
pub struct Layout {
    pub name: &'static str,
    /// The structures of an image; of a damaged one, those that are found.
    pub parts: fn(&Disk) -> Vec<Part>,
    /// Makes a structure's checksum fit its bytes.
    pub mend: Option<fn(&Part, &mut [u8])>,
    /// Undoes what is done to a structure when it is written (the update sequence of NTFS).
    pub plain: Option<fn(&Part, &mut [u8])>,
    /// Numbers are big-endian.
    pub big: bool,
}

pub const ALL: &[&Layout] = &[
    &ext::EXT,
    &linux::XFS,
    &linux::BTRFS,
    &linux::F2FS,
    &linux::EROFS,
    &linux::SQUASHFS,
    &windows::NTFS,
    &windows::FAT,
    &windows::EXFAT,
    &registry::REGISTRY,
    &flash::UBI,
    &flash::UBIFS,
    &flash::JFFS2,
    &tables::GPT,
    &tables::MBR,
    &tables::LVM,
    &tables::LUKS,
    &containers::E01,
    &containers::VHDX,
    &containers::VHD,
    &containers::QCOW2,
    &containers::SECTORS,
];

pub fn layout(name: &str) -> Option<&'static Layout> {
    ALL.iter().find(|l| l.name == name).copied()
}

/// Makes the checksums of all structures fit that are found.
pub fn mend_all(layout: &Layout, disk: &mut Disk) {
    let Some(mend) = layout.mend else { return };
    for part in (layout.parts)(disk) {
        let mut bytes = disk.get(part.at, part.len);
        if let Some(plain) = layout.plain {
            plain(&part, &mut bytes);
        }
        mend(&part, &mut bytes);
        disk.put(part.at, &bytes);
    }
}

/// CRC-32C as the kernel goes on with it: not inverted before or after.
pub fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    !::crc32c::crc32c_append(!start, bytes)
}
/// CRC-32 as the kernel goes on with it.
pub fn crc32(start: u32, bytes: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new_with_initial(!start);
    hash.update(bytes);
    !hash.finalize()
}
pub fn put32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}
pub fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_le_bytes(*b))
}
pub fn le16(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from(u16::from_le_bytes(*b)))
}
pub fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u64::from_le_bytes(*b))
}
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    le32(bytes, at).swap_bytes()
}
pub fn be64(bytes: &[u8], at: usize) -> u64 {
    le64(bytes, at).swap_bytes()
}
/// Parts of `step` bytes that hold something and begin so.
pub fn beginning(disk: &Disk, step: usize, is: impl Fn(&[u8]) -> Option<(&'static str, usize)>) -> Vec<Part> {
    let part = |at: u64| {
        let (kind, len) = is(&disk.get(at, 64))?;
        Some(Part::new(kind, at, len))
    };
    disk.used(step).into_iter().filter_map(part).take(20_000).collect()
}
