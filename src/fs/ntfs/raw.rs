//! Fields, times and names as NTFS stores them.
use crate::base::Time;
pub(super) use crate::fs::raw::{corrupt, size, u8_at, u16_at, u32_at, u64_at};
pub(super) use crate::fs::utf16::name;

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
    Time::from_filetime(raw)
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
    fn references() {
        assert_eq!(Reference::new(0x0005_0000_0000_0005), Reference { number: 5, sequence: 5 });
    }
}
