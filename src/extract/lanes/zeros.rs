//! SHA-256 (FIPS 180-4) of one message by itself, with the processor's SHA instructions where it has them. Zeros that a
//! message begins with, as sparse files and the list of bad clusters of NTFS do, are counted, not hashed.
use super::{BLOCK, Function, Sha256Lanes, Tail, digest};
use crate::base::is_zero;

/// Bytes between two states of the table.
const STEP: u64 = 64 << 20;
/// The states after 64 MiB of zeros, after 128 MiB, and so on.
const STATES: [[u32; 8]; 16] = [
    [0xbe92_4b25, 0x8be4_4490, 0x868b_6369, 0xd13f_bc7a, 0x63ac_8ad4, 0xcffe_c4a5, 0x9eda_d8a5, 0x6932_4fd8],
    [0xf9d7_4942, 0x8eed_988a, 0x273e_01a6, 0x0035_2d95, 0x39d6_813c, 0xdd9f_d724, 0x1a0a_c500, 0xe292_a385],
    [0xacb9_9689, 0xedfb_e0f0, 0xf27f_ab57, 0x8de3_a2e9, 0xe3f4_cb3e, 0xdaba_d0dd, 0xdb2a_8f2b, 0x3fe4_b527],
    [0x5960_f560, 0x9c83_0d66, 0x013e_f44c, 0x7b49_ed1d, 0xd009_87e0, 0x2c41_d494, 0xca26_580b, 0xd2f8_4dc7],
    [0xa1b8_0bcd, 0x5861_d2fa, 0x1341_c625, 0xce5d_7fa9, 0x2183_cc16, 0xb3ba_c39b, 0x7c08_62d1, 0x4eea_7e66],
    [0xb918_153d, 0xadb5_608a, 0x18ce_7a47, 0x080c_fdd3, 0x7290_f52c, 0x335f_6ebc, 0x9ca4_5b46, 0x37db_7f61],
    [0x6613_eeea, 0x7f90_6142, 0x6dab_e4c6, 0xd953_faab, 0x4fe2_582c, 0x5fd3_2a07, 0x211e_d065, 0xdcbc_dc5e],
    [0xc194_5316, 0x0ed0_3e10, 0x4e10_64e9, 0x2f8b_0652, 0xe527_74ad, 0x065e_a229, 0xc9c3_c246, 0x0e0c_c072],
    [0x43d4_32c4, 0xbbeb_a961, 0xccac_8d99, 0x024d_0ebe, 0x7407_9eb6, 0xa11f_f7b6, 0xebf1_f912, 0x4bca_996e],
    [0x4eae_ecc5, 0xaeaf_9e93, 0xe63c_4c90, 0xcf4a_4f3f, 0xb8a1_e2c1, 0xdc7f_8b92, 0x6281_0fa4, 0x6ff6_df4d],
    [0xda9f_eca7, 0xad5d_042f, 0x6ad4_a481, 0xa161_e6ee, 0xce3a_3cd4, 0xa92d_5808, 0xef4b_6551, 0x5f11_025e],
    [0xeff7_0a3a, 0x6a29_2fe1, 0xa7f2_4cc7, 0x647a_57ab, 0xe1fa_a965, 0xb570_d4ec, 0x9ff5_d8d5, 0x02cd_5232],
    [0x736c_11bf, 0xac7f_4c00, 0x1c9f_6448, 0x20dc_e2b3, 0x5857_135c, 0xcc6e_3984, 0x7062_5635, 0x5e89_aa70],
    [0xe425_45b9, 0x4b07_f05c, 0x2b68_5c43, 0x9a13_0ccb, 0x3e30_5426, 0xfdc3_17c2, 0x39ea_ed5d, 0x270d_2460],
    [0x0989_03e8, 0xbb03_4564, 0x1bfb_9d14, 0xa30b_3e95, 0xaba9_6526, 0xcce1_8764, 0x7888_fdb2, 0xe3cd_2347],
    [0x93c8_1837, 0x87de_705a, 0xd047_6e09, 0xc0f7_cccd, 0x521f_cf62, 0x8d62_099a, 0xe9d7_21b9, 0xcded_b746],
];
/// Zeros that are hashed at once.
const ZEROS: [[u8; BLOCK]; 256] = [[0; BLOCK]; 256];

/// A message on its way.
pub(in super::super) struct Alone {
    state: [u32; 8],
    /// Bytes so far, as long as all of them are zero.
    zeros: Option<u64>,
    /// Behind the last whole block.
    rest: Vec<u8>,
}

impl Alone {
    pub(in super::super) fn new() -> Self {
        Self { state: Sha256Lanes::START, zeros: Some(0), rest: Vec::new() }
    }
    /// The next bytes: whole blocks each time but the last.
    pub(in super::super) fn update(&mut self, bytes: &[u8]) {
        if let Some(before) = self.zeros {
            if is_zero(bytes) {
                self.zeros = Some(before.saturating_add(bytes.len() as u64));
                return;
            }
            self.catch_up(before);
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        Sha256Lanes::alone(&mut self.state, blocks);
        self.rest = rest.to_vec();
    }
    /// Hashes the zeros that were counted.
    fn catch_up(&mut self, zeros: u64) {
        self.zeros = None;
        let steps = usize::try_from(zeros.div_euclid(STEP)).unwrap_or(usize::MAX).min(STATES.len());
        if let Some(state) = steps.checked_sub(1).and_then(|at| STATES.get(at)) {
            self.state = *state;
        }
        let mut blocks = zeros.saturating_sub((steps as u64).saturating_mul(STEP)).div_euclid(BLOCK as u64);
        while blocks > 0 {
            let some = usize::try_from(blocks).unwrap_or(usize::MAX).min(ZEROS.len());
            Sha256Lanes::alone(&mut self.state, ZEROS.get(..some).unwrap_or_default());
            blocks = blocks.saturating_sub(some as u64);
        }
        let rest = usize::try_from(zeros.rem_euclid(BLOCK as u64)).unwrap_or(0);
        self.rest = vec![0; rest];
    }
    /// The digest of the message of `len` bytes.
    pub(in super::super) fn finish(mut self, len: u64) -> [u8; 32] {
        if let Some(zeros) = self.zeros {
            self.catch_up(zeros);
        }
        let tail = Tail::new::<Sha256Lanes, 8>(&self.rest, len);
        Sha256Lanes::alone(&mut self.state, tail.blocks());
        digest::<Sha256Lanes, 8, 32>(self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    /// Zeros, then other bytes, in pieces of whole blocks.
    fn both(zeros: u64, more: &[u8]) -> ([u8; 32], [u8; 32]) {
        let (mut own, mut other) = (Alone::new(), sha2::Sha256::new());
        let piece = vec![0; 1 << 20];
        let mut left = zeros;
        while left > 0 {
            let some = piece.get(..usize::try_from(left).unwrap_or(usize::MAX).min(piece.len())).unwrap_or_default();
            left -= some.len() as u64;
            // The last piece brings what follows the zeros along.
            let last = [some, if left == 0 { more } else { b"" }].concat();
            own.update(&last);
            other.update(&last);
        }
        if zeros == 0 {
            own.update(more);
            other.update(more);
        }
        (own.finish(zeros + more.len() as u64), other.finalize().into())
    }

    #[test]
    fn zeros_that_are_counted_hash_as_zeros() {
        for zeros in [0, 1, 64, 100, (1 << 20) - 1, STEP - 64, STEP - 1, STEP, STEP + 1, 2 * STEP + 4096] {
            for more in [b"".as_slice(), b"x", &[7; 200], &[0, 0, 1]] {
                let (own, other) = both(zeros, more);
                assert_eq!(own, other, "{zeros} zeros and {} bytes", more.len());
            }
        }
    }

    #[test]
    fn every_state_of_the_table_is_right() {
        let mut state = Sha256Lanes::START;
        for expected in STATES {
            for _ in 0..STEP / (BLOCK * ZEROS.len()) as u64 {
                Sha256Lanes::alone(&mut state, &ZEROS);
            }
            assert_eq!(state, expected);
        }
    }
}
