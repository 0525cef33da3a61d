//! Whether bytes are zeros.

/// Compared with in one call, which is many times as fast as a look at each byte.
const ZEROS: [u8; 4096] = [0; 4096];

/// Whether every byte is zero; true of none.
#[must_use]
pub fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|piece| ZEROS.starts_with(piece))
}

#[cfg(test)]
mod tests {
    use super::is_zero;

    #[test]
    fn one_bit_anywhere_is_seen() {
        for len in [0, 1, 100, 4095, 4096, 4097, 8192] {
            let mut bytes = vec![0; len];
            assert!(is_zero(&bytes));
            for at in 0..len {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = 0x80;
                }
                assert!(!is_zero(&bytes), "byte {at} of {len}");
                bytes.fill(0);
            }
        }
    }
}
