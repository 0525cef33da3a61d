//! Fields of on-disk structures (the journal's are big-endian), and the checksums over them.
pub(super) use crate::fs::raw::{be16_at, be32_at, corrupt, size, u8_at, u16_at, u32_at};

/// A number made of its low and its high part.
pub(super) fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | (u64::from(high) << 32)
}

/// CRC-32C as ext4 and jbd2 use it: no inversion at either end, so that calls can be chained.
pub(super) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    !::crc32c::crc32c_append(!seed, bytes)
}
/// CRC-32C with the `len` bytes at `at` taken as zero.
pub(super) fn crc32c_without(seed: u32, bytes: &[u8], at: usize, len: usize) -> u32 {
    const ZEROS: [u8; 8] = [0; 8];
    let crc = crc32c(seed, bytes.get(..at).unwrap_or(bytes));
    let crc = crc32c(crc, ZEROS.get(..len).unwrap_or(&ZEROS));
    crc32c(crc, bytes.get(at.saturating_add(len)..).unwrap_or_default())
}

/// CRC-16 (polynomial 0x8005, reflected) of group descriptors before `metadata_csum`.
pub(super) fn crc16(mut crc: u16, bytes: &[u8]) -> u16 {
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_have_their_published_check_values() {
        assert_eq!(crc32c(!0, b"123456789"), !0xe306_9283);
        assert_eq!(crc16(0, b"123456789"), 0xbb3d);
        assert_eq!(crc32c_without(7, b"ab\x01\x02\x03\x04cd", 2, 4), crc32c(7, b"ab\0\0\0\0cd"));
    }
}
