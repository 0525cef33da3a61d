//! Big-endian fields of on-disk structures and the checksums over them. Out of range is `None`, never zero.
use crate::fs::FsError;

pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}
pub(super) fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
pub(super) fn corrupt(at: u64, what: impl Into<String>) -> FsError {
    FsError::Corrupt { at, what: what.into() }
}

/// Whether the CRC-32C at byte `at`, little-endian, fits the bytes with itself taken as zero.
pub(super) fn sum_fits(bytes: &[u8], at: usize) -> bool {
    let (Some(head), Some(rest)) = (bytes.get(..at), bytes.get(at.saturating_add(4)..)) else { return false };
    let stored = bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
    let sum = ::crc32c::crc32c_append(::crc32c::crc32c_append(::crc32c::crc32c(head), &[0; 4]), rest);
    stored == Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_leave_themselves_out() {
        let mut bytes = vec![7; 64];
        bytes.splice(20..24, [0; 4]);
        let sum = ::crc32c::crc32c(&bytes);
        bytes.splice(20..24, sum.to_le_bytes());
        assert!(sum_fits(&bytes, 20));
        assert!(!sum_fits(&bytes, 16) && !sum_fits(&bytes, 62) && !sum_fits(&[], 0));
    }
    #[test]
    fn out_of_range_is_none() {
        assert_eq!(u64_at(&[0; 7], 0), None);
        assert_eq!(u16_at(&[1], usize::MAX), None);
    }
}
