//! The boot sector of a BitLocker volume: which kind it is, and where its metadata lies.
use crate::image::{ReadError, Source, read_exact};
use memchr::memmem::find;

/// `4967d63b-2e29-4ad8-8399-f6a339e3d001`: three offsets of metadata follow.
const METADATA: [u8; 16] =
    [0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 1];
/// `92a84d3b-dd80-4d0e-9e4e-b1e3284eaed8`: the same, and two offsets of the state of each part.
const ON_WRITE: [u8; 16] =
    [0x3b, 0x4d, 0xa8, 0x92, 0x80, 0xdd, 0x0e, 0x4d, 0x9e, 0x4e, 0xb1, 0xe3, 0x28, 0x4e, 0xae, 0xd8];
const SIGNATURE: &[u8] = b"-FVE-FS-";

/// Number of metadata copies.
pub(super) const COPIES: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The boot sector is NTFS's own but for two fields.
    Vista,
    /// Windows 7 and later.
    Fixed,
    /// A file system in front of it tells computers without BitLocker what it is.
    ToGo,
}

pub(super) struct Boot {
    pub kind: Kind,
    /// Bytes of a sector: 512 to 4096.
    pub sector: usize,
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Where the metadata copies begin.
    pub metadata: Vec<u64>,
    /// Where the copies of the state of each part begin; empty where there is none.
    pub on_write: Vec<u64>,
}

impl Boot {
    /// `None` if it is none of BitLocker.
    pub(super) fn read(source: &Source) -> Result<Option<Self>, ReadError> {
        Ok(read_exact(&**source, 0, 512)?.as_deref().and_then(Self::parse))
    }
    fn parse(bytes: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?));
        let longs = |at: usize, n: usize| (0..n).map_while(|n| long(at.checked_add(n.checked_mul(8)?)?)).collect();
        let is_signed = bytes.get(3..11) == Some(SIGNATURE);
        let sector = short(11).filter(|n| matches!(n, 512 | 1024 | 2048 | 4096));
        let cluster = u64::from(sector.unwrap_or(512)).checked_mul(u64::from(*bytes.get(13)?))?;
        let kind = if is_signed { Kind::Fixed } else { Kind::ToGo };
        let mut boot = Self {
            kind,
            sector: usize::from(sector.unwrap_or(512)),
            cluster,
            metadata: Vec::new(),
            on_write: Vec::new(),
        };
        if let Some(at) = find(bytes, &ON_WRITE) {
            boot.metadata = longs(at.checked_add(16)?, COPIES);
            boot.on_write = longs(at.checked_add(40)?, 2);
        } else if let Some(at) = find(bytes, &METADATA) {
            boot.metadata = longs(at.checked_add(16)?, COPIES);
        } else if is_signed {
            boot.kind = Kind::Vista;
            boot.metadata = vec![long(56)?.checked_mul(cluster)?];
        } else {
            return None;
        }
        Some(boot)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tells_the_kinds_apart() {
        let mut bytes = vec![0; 512];
        bytes.splice(11..14, [0, 2, 8]);
        assert!(Boot::parse(&bytes).is_none());
        bytes.splice(424..440, METADATA);
        bytes.splice(440..464, [1_u64, 2, 3].iter().flat_map(|n| n.to_le_bytes()));
        let boot = Boot::parse(&bytes).unwrap();
        assert_eq!((boot.kind, boot.sector, boot.metadata), (Kind::ToGo, 512, vec![1, 2, 3]));
        bytes.splice(3..11, *b"-FVE-FS-");
        assert_eq!(Boot::parse(&bytes).unwrap().kind, Kind::Fixed);
        bytes.splice(424..440, ON_WRITE);
        bytes.splice(464..480, [4_u64, 5].iter().flat_map(|n| n.to_le_bytes()));
        assert_eq!(Boot::parse(&bytes).unwrap().on_write, [4, 5]);
        bytes.splice(424..440, [0; 16]);
        bytes.splice(56..64, 7_u64.to_le_bytes());
        let boot = Boot::parse(&bytes).unwrap();
        assert_eq!((boot.kind, boot.metadata), (Kind::Vista, vec![7 * 4096]));
        for end in 0..512 {
            assert!(Boot::parse(bytes.get(..end).unwrap()).is_none_or(|b| b.metadata.len() <= 3));
        }
    }
}
