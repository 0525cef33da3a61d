//! Fields of on-disk structures, as all readers of file systems take them. Out of range is `None`, never zero.
use super::FsError;

macro_rules! field {
    ($name:ident, $t:ty, $from:ident) => {
        pub(super) fn $name(bytes: &[u8], at: usize) -> Option<$t> {
            bytes.get(at..)?.first_chunk().map(|b| <$t>::$from(*b))
        }
    };
}
field!(u8_at, u8, from_le_bytes);
field!(u16_at, u16, from_le_bytes);
field!(u32_at, u32, from_le_bytes);
field!(u64_at, u64, from_le_bytes);
// Big-endian: XFS, and the journal of ext.
field!(be16_at, u16, from_be_bytes);
field!(be32_at, u32, from_be_bytes);
field!(be64_at, u64, from_be_bytes);

/// As a length in memory; what no memory holds is the largest there is.
pub(super) fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
pub(super) fn corrupt(at: u64, what: impl Into<String>) -> FsError {
    FsError::Corrupt { at, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_is_none() {
        assert_eq!(u32_at(&[1, 2, 3], 0), None);
        assert_eq!(u16_at(&[1, 2, 3], 1), Some(0x302));
        assert_eq!(u16_at(&[], usize::MAX), None);
        assert_eq!(u64_at(&[0; 7], 0), None);
        assert_eq!(u32_at(&[1, 2, 3], usize::MAX), None);
        assert_eq!(be64_at(&[0; 7], 0), None);
        assert_eq!(be16_at(&[1], usize::MAX), None);
        assert_eq!(be16_at(&[1, 2, 3], 1), Some(0x203));
    }
}
