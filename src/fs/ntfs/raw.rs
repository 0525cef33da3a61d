//! Little-endian fields, times and names as NTFS stores them. Out of range is `None`, never zero.
use crate::base::Time;
use crate::fs::FsError;
pub(super) use crate::fs::utf16::name;

pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}
pub(super) fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
pub(super) fn corrupt(at: u64, what: impl Into<String>) -> FsError {
    FsError::Corrupt { at, what: what.into() }
}

/// A reference to a record of the MFT: its number, and the sequence number that it had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Reference {
    pub(super) number: u64,
    pub(super) sequence: u16,
}
impl Reference {
    pub(super) fn new(raw: u64) -> Self {
        Self { number: raw & 0xffff_ffff_ffff, sequence: u16::try_from(raw >> 48).unwrap_or(0) }
    }
}

/// Hundreds of nanoseconds since 1601-01-01 UTC; 0 means that no time was recorded.
pub(super) fn filetime(raw: u64) -> Option<Time> {
    if raw == 0 {
        return None;
    }
    let seconds = i64::try_from(raw / 10_000_000).ok()?.checked_sub(11_644_473_600)?;
    let nanos = u32::try_from(raw % 10_000_000).ok()?.saturating_mul(100);
    Some(Time { seconds, nanos, digits: 7 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times() {
        let utf16 = |units: &[u16]| units.iter().flat_map(|u| u.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(name(&utf16(&[0x61, 0x5cb8, 0xd83d, 0xde00])), "a岸😀".as_bytes());
        assert_eq!(name(&utf16(&[0xd800])), b"\xed\xa0\x80");
        assert_ne!(name(&utf16(&[0xd800])), name(&utf16(&[0xdc00])));
        let time = filetime(116_444_736_000_000_000 + 12_345_678).map(|t| t.to_string());
        assert_eq!(time.as_deref(), Some("1970-01-01T00:00:01.2345678Z"));
        assert_eq!(filetime(0), None);
    }
    #[test]
    fn out_of_range_is_none() {
        assert_eq!(u64_at(&[0; 7], 0), None);
        assert_eq!(u32_at(&[1, 2, 3], usize::MAX), None);
        assert_eq!(Reference::new(0x0005_0000_0000_0005), Reference { number: 5, sequence: 5 });
    }
}
