//! The superblock: the first 96 bytes. Also tells the headers apart that only vendors of routers use.
//! Format: "SquashFS binary format" by Reimbar and others (dr-emann.github.io/squashfs), section superblock.
use super::codec::Codec;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, u16_at, u32_at, u64_at};
use crate::image::{Source, read_exact};

/// Bytes.
const LEN: usize = 96;
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

/// Places are bytes of the volume.
pub(super) struct Superblock {
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
    Ours,
    /// A relative that this reader does not read: what it is.
    Other(String),
}

fn head(bytes: &[u8]) -> Option<Head> {
    let magic = bytes.first_chunk::<4>()?;
    let (little, big) = (u16_at(bytes, 28)?, u16_at(bytes, 28)?.swap_bytes());
    let minor = u16_at(bytes, 30)?;
    match magic {
        b"hsqs" if little == 4 && minor == 0 => Some(Head::Ours),
        b"hsqs" if (1..=4).contains(&little) => {
            Some(Head::Other(format!("SquashFS version {little}.{minor} (signature hsqs)")))
        }
        b"sqsh" if (1..=4).contains(&big) => {
            let minor = minor.swap_bytes();
            Some(Head::Other(format!("SquashFS version {big}.{minor}, big-endian (signature sqsh)")))
        }
        b"sqsh" | b"hsqt" | b"tqsh" | b"shsq" | b"qshs" | b"sqlz"
            if (1..=4).contains(&little) || (1..=4).contains(&big) =>
        {
            let (version, order) = if (1..=4).contains(&little) { (little, "little") } else { (big, "big") };
            let name = String::from_utf8_lossy(magic);
            let what =
                format!("SquashFS with the vendor signature {name} (version {version} by its {order}-endian header)");
            Some(Head::Other(what))
        }
        _ => None,
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
    matches!(head(&bytes), Some(Head::Ours)).then(|| u64_at(&bytes, 40))?
}

pub(super) fn read(source: &Source) -> Result<Superblock, FsError> {
    let bytes = read_exact(&**source, 0, LEN)?.ok_or_else(|| corrupt(0, "the volume ends within the superblock"))?;
    match head(&bytes) {
        Some(Head::Ours) => {}
        Some(Head::Other(what)) => return Err(FsError::Unsupported(what)),
        None => return Err(corrupt(0, "no superblock of SquashFS")),
    }
    parse(&bytes).ok_or_else(|| corrupt(0, "superblock cut off"))?
}

fn parse(bytes: &[u8]) -> Option<Result<Superblock, FsError>> {
    let log = u16_at(bytes, 22)?;
    let stated = u32_at(bytes, 12)?;
    let allowed = |n: u32| n.is_power_of_two() && LOGS.contains(&u16::try_from(n.trailing_zeros()).unwrap_or(0));
    // Size and logarithm say the same; one of them may be damaged.
    let block = match (allowed(stated), LOGS.contains(&log)) {
        (true, _) => stated,
        (false, true) => 1_u32.checked_shl(u32::from(log))?,
        (false, false) => return Some(Err(corrupt(12, format!("{stated} bytes are no size of a data block")))),
    };
    let number = u16_at(bytes, 20)?;
    let Some(codec) = Codec::of(number) else {
        return Some(Err(FsError::Unsupported(format!("compressor {number} of SquashFS"))));
    };
    let bits = u16_at(bytes, 24)?;
    Some(Ok(Superblock {
        inodes: u32_at(bytes, 4)?,
        made: u32_at(bytes, 8)?,
        block,
        fragments: u32_at(bytes, 16)?,
        codec,
        flags: FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect(),
        ids: u16_at(bytes, 26)?,
        root: u64_at(bytes, 32)?,
        used: u64_at(bytes, 40)?,
        id_table: u64_at(bytes, 48)?,
        xattr_table: u64_at(bytes, 56)?,
        inode_table: u64_at(bytes, 64)?,
        directory_table: u64_at(bytes, 72)?,
        fragment_table: u64_at(bytes, 80)?,
        export_table: u64_at(bytes, 88)?,
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
            (b"sqsh", [0, 3, 0, 1], "version 3.1, big-endian"),
            (b"hsqs", [3, 0, 1, 0], "version 3.1"),
            (b"shsq", [3, 0, 0, 0], "signature shsq"),
            (b"qshs", [0, 3, 0, 0], "signature qshs"),
            (b"hsqt", [4, 0, 0, 0], "signature hsqt"),
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
