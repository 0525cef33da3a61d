//! The four checksums of Btrfs, over blocks whose first 32 bytes hold the sum.
use blake2::Blake2b;
use blake2::digest::consts::U32;
use sha2::{Digest as _, Sha256};

/// Bytes at the start of a block that are kept for its sum, and not covered by it.
const FIELD: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    Crc32c,
    Xxhash64,
    Sha256,
    Blake2b,
}

impl Sum {
    pub(super) fn of(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Crc32c,
            1 => Self::Xxhash64,
            2 => Self::Sha256,
            3 => Self::Blake2b,
            _ => return None,
        })
    }
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32c => "crc32c",
            Self::Xxhash64 => "xxhash64",
            Self::Sha256 => "sha256",
            Self::Blake2b => "blake2b",
        }
    }
    /// Bytes of a sum.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Crc32c => 4,
            Self::Xxhash64 => 8,
            Self::Sha256 | Self::Blake2b => 32,
        }
    }
    /// Whether `stored` begins with the sum of `bytes`.
    pub(crate) fn fits(self, bytes: &[u8], stored: &[u8]) -> bool {
        match self {
            Self::Crc32c => stored.starts_with(&crc32c::crc32c(bytes).to_le_bytes()),
            Self::Xxhash64 => stored.starts_with(&twox_hash::XxHash64::oneshot(0, bytes).to_le_bytes()),
            Self::Sha256 => stored.starts_with(&Sha256::digest(bytes)),
            Self::Blake2b => stored.starts_with(&Blake2b::<U32>::digest(bytes)),
        }
    }
    /// Whether the sum in a block's own first bytes fits it.
    pub(crate) fn fits_block(self, block: &[u8]) -> bool {
        block.split_at_checked(FIELD).is_some_and(|(stored, rest)| self.fits(rest, stored))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sums_have_their_published_check_values() {
        let fits = |sum: Sum, text: &[u8], hex: &str| {
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|n| u8::from_str_radix(hex.get(n * 2..n * 2 + 2).unwrap(), 16).unwrap())
                .collect();
            assert_eq!(bytes.len(), sum.len());
            assert!(sum.fits(text, &bytes), "{}", sum.name());
            assert!(!sum.fits(b"other", &bytes) && !sum.fits(text, bytes.get(1..).unwrap()));
            let block = [&bytes[..], &vec![0; 32 - bytes.len()], text].concat();
            assert!(sum.fits_block(&block) && !sum.fits_block(block.get(..20).unwrap()));
        };
        fits(Sum::Crc32c, b"123456789", "839206e3");
        fits(Sum::Xxhash64, b"", "99e9d85137db46ef");
        fits(Sum::Sha256, b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        fits(Sum::Blake2b, b"", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    }
}
