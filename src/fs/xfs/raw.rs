//! Big-endian fields of on-disk structures and the checksums over them.
pub(super) use crate::fs::raw::{be16_at as u16_at, be32_at as u32_at, be64_at as u64_at, corrupt, size, u8_at};

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
}
