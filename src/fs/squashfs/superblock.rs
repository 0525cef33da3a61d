//! The superblock: the first 96 bytes, or 119 of version 3. Also tells the headers apart that only vendors of routers use.
//! Formats: "SquashFS binary format" by Reimbar and others (dr-emann.github.io/squashfs), section superblock; version 3
//! as the kernel's patches and `squashfs_compat.h` of squashfs-tools lay it out.
use super::codec::Codec;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, u16_at, u32_at, u64_at};
use crate::image::{Source, read_exact};

/// Bytes.
const LEN: usize = 96;
/// Bytes of version 3.
const OLD_LEN: usize = 119;
/// The least and the greatest size of a data block that the format allows, as powers of two.
const LOGS: std::ops::RangeInclusive<u16> = 12..=20;
/// A table that is not there.
pub(super) const NONE: u64 = u64::MAX;
const FLAGS: &[(u16, &str)] = &[
    (0x0001, "uncompressed-inodes"),
    (0x0002, "uncompressed-data"),
    (0x0008, "uncompressed-fragments"),
    (0x0010, "no-fragments"),
    (0x0020, "always-fragments"),
    (0x0040, "duplicates-checked"),
    (0x0080, "exportable"),
    (0x0100, "uncompressed-xattrs"),
    (0x0200, "no-xattrs"),
    (0x0400, "compressor-options"),
    (0x0800, "uncompressed-ids"),
];

/// Flags of version 3.
const OLD_FLAGS: &[(u8, &str)] = &[
    (0x01, "uncompressed-inodes"),
    (0x02, "uncompressed-data"),
    (0x04, "metadata-marked"),
    (0x08, "uncompressed-fragments"),
    (0x10, "no-fragments"),
    (0x20, "always-fragments"),
    (0x40, "duplicates-checked"),
    (0x80, "exportable"),
];

/// Places are bytes of the volume.
pub(super) struct Superblock {
    /// 3 or 4.
    pub(super) version: u16,
    pub(super) minor: u16,
    pub(super) big: bool,
    /// The signature, where it is not the format's own.
    pub(super) vendor: Option<String>,
    /// A byte stands behind the length of each metadata block.
    pub(super) marked: bool,
    /// The header tells the compressor.
    pub(super) told: bool,
    /// Groups of version 3, whose ids stand in a list of their own.
    pub(super) groups: u16,
    pub(super) group_table: u64,
    pub(super) inodes: u32,
    /// Seconds since 1970.
    pub(super) made: u32,
    /// Bytes of a data block.
    pub(super) block: u32,
    pub(super) fragments: u32,
    pub(super) codec: Codec,
    pub(super) flags: Vec<&'static str>,
    pub(super) ids: u16,
    /// Where the root's inode stands in the inode table.
    pub(super) root: u64,
    /// Bytes of the file system.
    pub(super) used: u64,
    pub(super) id_table: u64,
    pub(super) xattr_table: u64,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) fragment_table: u64,
    pub(super) export_table: u64,
}

/// What a volume begins with.
enum Head {
    /// Version, whether its numbers are big-endian, and a signature that only makers use.
    Ours(u16, bool, Option<String>),
    /// A relative that this reader does not read: what it is.
    Other(String),
}

fn head(bytes: &[u8]) -> Option<Head> {
    let magic = bytes.first_chunk::<4>()?;
    let (little, big) = (u16_at(bytes, 28)?, u16_at(bytes, 28)?.swap_bytes());
    let known = (1..=4).contains(&little) || (1..=4).contains(&big);
    if !known || ![b"hsqs", b"sqsh", b"hsqt", b"tqsh", b"shsq", b"qshs", b"sqlz"].contains(&magic) {
        return None;
    }
    let order = if (1..=4).contains(&little) { Order::Little } else { Order::Big };
    let version = if order == Order::Big { big } else { little };
    let minor = order.u16(bytes, 30)?;
    let usual: &[u8; 4] = if order == Order::Big { b"sqsh" } else { b"hsqs" };
    let vendor = (magic != usual).then(|| String::from_utf8_lossy(magic).into_owned());
    match version {
        4 if minor == 0 => Some(Head::Ours(4, order == Order::Big, vendor)),
        3 => Some(Head::Ours(3, order == Order::Big, vendor)),
        _ => {
            let side = if order == Order::Big { ", big-endian" } else { "" };
            let name = String::from_utf8_lossy(magic);
            Some(Head::Other(format!("SquashFS version {version}.{minor}{side} (signature {name})")))
        }
    }
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}
impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        u16_at(bytes, at).map(|n| if self == Self::Big { n.swap_bytes() } else { n })
    }
    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        u32_at(bytes, at).map(|n| if self == Self::Big { n.swap_bytes() } else { n })
    }
    fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        u64_at(bytes, at).map(|n| if self == Self::Big { n.swap_bytes() } else { n })
    }
}

fn first(source: &Source) -> Option<Vec<u8>> {
    read_exact(&**source, 0, LEN).ok().flatten()
}

pub(super) fn probe(source: &Source) -> bool {
    first(source).and_then(|b| head(&b)).is_some()
}

/// Bytes of the file system, by its own word.
pub(super) fn size(source: &Source) -> Option<u64> {
    let bytes = first(source)?;
    match head(&bytes)? {
        Head::Ours(version, big, _) => {
            let order = if big { Order::Big } else { Order::Little };
            order.u64(&bytes, if version == 3 { 63 } else { 40 })
        }
        Head::Other(_) => None,
    }
}

pub(super) fn read(source: &Source) -> Result<Superblock, FsError> {
    let bytes = read_exact(&**source, 0, LEN)?.ok_or_else(|| corrupt(0, "the volume ends within the superblock"))?;
    match head(&bytes) {
        Some(Head::Ours(version, big, vendor)) => {
            let order = if big { Order::Big } else { Order::Little };
            let cut = || corrupt(0, "superblock cut off");
            if version == 3 {
                let bytes = read_exact(&**source, 0, OLD_LEN)?.ok_or_else(cut)?;
                return parse_old(&bytes, order, vendor).ok_or_else(cut)?;
            }
            parse(&bytes, order, vendor).ok_or_else(cut)?
        }
        Some(Head::Other(what)) => Err(FsError::Unsupported(what)),
        None => Err(corrupt(0, "no superblock of SquashFS")),
    }
}

/// Size and logarithm say the same; one of them may be damaged.
fn block(stated: u32, log: u16) -> Option<u32> {
    let allowed = |n: u32| n.is_power_of_two() && LOGS.contains(&u16::try_from(n.trailing_zeros()).unwrap_or(0));
    match (allowed(stated), LOGS.contains(&log)) {
        (true, _) => Some(stated),
        (false, true) => 1_u32.checked_shl(u32::from(log)),
        (false, false) => None,
    }
}
fn no_block(at: u64, stated: u32) -> FsError {
    corrupt(at, format!("{stated} bytes are no size of a data block"))
}

fn parse(bytes: &[u8], order: Order, vendor: Option<String>) -> Option<Result<Superblock, FsError>> {
    let stated = order.u32(bytes, 12)?;
    let Some(block) = block(stated, order.u16(bytes, 22)?) else { return Some(Err(no_block(12, stated))) };
    let number = order.u16(bytes, 20)?;
    let Some(codec) = Codec::of(number) else {
        return Some(Err(FsError::Unsupported(format!("compressor {number} of SquashFS"))));
    };
    let bits = order.u16(bytes, 24)?;
    Some(Ok(Superblock {
        version: 4,
        minor: 0,
        big: order == Order::Big,
        marked: false,
        // Makers write a number and compress otherwise.
        told: vendor.is_none(),
        vendor,
        groups: 0,
        group_table: NONE,
        inodes: order.u32(bytes, 4)?,
        made: order.u32(bytes, 8)?,
        block,
        fragments: order.u32(bytes, 16)?,
        codec,
        flags: FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect(),
        ids: order.u16(bytes, 26)?,
        root: order.u64(bytes, 32)?,
        used: order.u64(bytes, 40)?,
        id_table: order.u64(bytes, 48)?,
        xattr_table: order.u64(bytes, 56)?,
        inode_table: order.u64(bytes, 64)?,
        directory_table: order.u64(bytes, 72)?,
        fragment_table: order.u64(bytes, 80)?,
        export_table: order.u64(bytes, 88)?,
    }))
}

/// Version 3: fields without gaps between them; no compressor is told.
fn parse_old(bytes: &[u8], order: Order, vendor: Option<String>) -> Option<Result<Superblock, FsError>> {
    let stated = order.u32(bytes, 51)?;
    let Some(block) = block(stated, order.u16(bytes, 34)?) else { return Some(Err(no_block(51, stated))) };
    let bits = *bytes.get(36)?;
    Some(Ok(Superblock {
        version: 3,
        minor: order.u16(bytes, 30)?,
        big: order == Order::Big,
        vendor,
        marked: bits & 4 != 0,
        told: false,
        groups: u16::from(*bytes.get(38)?),
        group_table: order.u64(bytes, 79)?,
        inodes: order.u32(bytes, 4)?,
        made: order.u32(bytes, 39)?,
        block,
        fragments: order.u32(bytes, 55)?,
        codec: Codec::Gzip,
        flags: OLD_FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect(),
        ids: u16::from(*bytes.get(37)?),
        root: order.u64(bytes, 43)?,
        used: order.u64(bytes, 63)?,
        id_table: order.u64(bytes, 71)?,
        xattr_table: NONE,
        inode_table: order.u64(bytes, 87)?,
        directory_table: order.u64(bytes, 95)?,
        fragment_table: order.u64(bytes, 103)?,
        export_table: if bits & 0x80 == 0 { NONE } else { order.u64(bytes, 111)? },
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::sync::Arc;

    fn source(magic: &[u8], version: [u8; 4]) -> Source {
        let mut bytes = vec![0; 96];
        bytes[..4].copy_from_slice(magic);
        bytes[28..32].copy_from_slice(&version);
        Arc::new(bytes)
    }
    #[test]
    fn relatives_are_named() {
        for (magic, version, named) in [
            (b"sqsh", [0, 2, 0, 1], "version 2.1, big-endian"),
            (b"hsqs", [2, 0, 1, 0], "version 2.1 (signature hsqs)"),
            (b"shsq", [1, 0, 0, 0], "signature shsq"),
            (b"qshs", [0, 2, 0, 0], "signature qshs"),
            (b"hsqt", [4, 0, 7, 0], "version 4.7"),
        ] {
            let source = source(magic, version);
            assert!(probe(&source));
            let Err(FsError::Unsupported(what)) = read(&source) else { panic!("{named}") };
            assert!(what.contains(named), "{what}");
        }
        assert!(!probe(&source(b"shsq", [0x77, 0x33, 0, 0])));
        assert!(!probe(&(Arc::new(b"hsqs".to_vec()) as Source)));
    }
}
