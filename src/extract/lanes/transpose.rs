//! The words of a block from every lane: word by word the lanes side by side, as the steps of a hash want them.
use super::{BLOCK, LANES, Row, WORDS, load};
use pulp::Simd;

/// `None` if a lane has no such block. `room` is memory to work in.
#[inline(always)]
pub(super) fn words<S: Simd>(
    simd: S,
    input: &[&[[u8; BLOCK]]; LANES],
    step: usize,
    big_endian: bool,
    room: &mut [Row; WORDS],
) -> Option<[S::u32s; WORDS]> {
    let mut m = [simd.splat_u32s(0); WORDS];
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = (&simd as &dyn std::any::Any).downcast_ref::<pulp::x86::V4>() {
        for (to, row) in m.iter_mut().zip(wide::words(*v4, input, step, big_endian)?) {
            *to = pulp::bytemuck::cast(row);
        }
        return Some(m);
    }
    for (lane, blocks) in input.iter().enumerate().take(S::U32_LANES.min(LANES)) {
        let (block, _) = blocks.get(step)?.as_chunks::<4>();
        for (to, word) in room.iter_mut().zip(block) {
            if let Some(to) = to.get_mut(lane) {
                *to = if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
            }
        }
    }
    for (to, from) in m.iter_mut().zip(&*room) {
        *to = load(simd, from);
    }
    Some(m)
}

/// Sixteen blocks of sixteen words, turned over within the registers: moved one by one, the words cost more than
/// the steps of MD5.
#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{BLOCK, LANES, WORDS};
    use pulp::bytemuck::cast;
    use pulp::x86::V4;
    use std::arch::x86_64::__m512i;

    /// Which byte of its 16 each byte comes from, to turn every word of four around.
    #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)] // computed while compiling
    const TURNED: [u8; BLOCK] = {
        let mut order = [0; BLOCK];
        let mut at = 0;
        while at < BLOCK {
            order[at] = (at % 16) as u8 ^ 3;
            at += 1;
        }
        order
    };

    /// The steps of a transposition: of words within 128 bits, of pairs of them, and of the 128 bits twice.
    #[inline(always)]
    #[allow(clippy::indexing_slicing)] // constant places of sixteen rows
    pub(super) fn words(
        v4: V4,
        input: &[&[[u8; BLOCK]]; LANES],
        step: usize,
        big_endian: bool,
    ) -> Option<[__m512i; WORDS]> {
        let (wide, bytes) = (v4.avx512f, v4.avx512bw);
        let turned: __m512i = cast(TURNED);
        let mut rows: [__m512i; WORDS] = [cast([0_u8; BLOCK]); WORDS];
        for (row, blocks) in rows.iter_mut().zip(input) {
            *row = cast(*blocks.get(step)?);
            if big_endian {
                *row = bytes._mm512_shuffle_epi8(*row, turned);
            }
        }
        let (fours, _) = rows.as_chunks_mut::<4>();
        for four in fours {
            let [a, b, c, d] = *four;
            let (ab, ab_high) = (wide._mm512_unpacklo_epi32(a, b), wide._mm512_unpackhi_epi32(a, b));
            let (cd, cd_high) = (wide._mm512_unpacklo_epi32(c, d), wide._mm512_unpackhi_epi32(c, d));
            *four = [
                wide._mm512_unpacklo_epi64(ab, cd),
                wide._mm512_unpackhi_epi64(ab, cd),
                wide._mm512_unpacklo_epi64(ab_high, cd_high),
                wide._mm512_unpackhi_epi64(ab_high, cd_high),
            ];
        }
        let mut out = rows;
        for k in 0..4 {
            let (a, b, c, d) = (rows[k], rows[k + 4], rows[k + 8], rows[k + 12]);
            let (even, odd) = (wide._mm512_shuffle_i32x4::<0x88>(a, b), wide._mm512_shuffle_i32x4::<0xdd>(a, b));
            let (even_high, odd_high) =
                (wide._mm512_shuffle_i32x4::<0x88>(c, d), wide._mm512_shuffle_i32x4::<0xdd>(c, d));
            out[k] = wide._mm512_shuffle_i32x4::<0x88>(even, even_high);
            out[k + 4] = wide._mm512_shuffle_i32x4::<0x88>(odd, odd_high);
            out[k + 8] = wide._mm512_shuffle_i32x4::<0xdd>(even, even_high);
            out[k + 12] = wide._mm512_shuffle_i32x4::<0xdd>(odd, odd_high);
        }
        Some(out)
    }
}
