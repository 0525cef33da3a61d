//! MD5 (RFC 1321) in lanes.
use super::{BLOCK, Function, WORDS, rotate_left};
use pulp::Simd;

/// Four steps: one of each register. `$word` is where the round's order of words begins, `$stride` how it goes on.
macro_rules! four {
    ($simd:ident, $f:ident, $m:expr, [$a:ident, $b:ident, $c:ident, $d:ident], $at:expr, $word:expr, $stride:expr, [$r0:literal, $r1:literal, $r2:literal, $r3:literal]) => {
        four!(@ $simd, $f, $m, $a, $b, $c, $d, $at, ($word + $at * $stride) % 16, $r0);
        four!(@ $simd, $f, $m, $d, $a, $b, $c, $at + 1, ($word + ($at + 1) * $stride) % 16, $r1);
        four!(@ $simd, $f, $m, $c, $d, $a, $b, $at + 2, ($word + ($at + 2) * $stride) % 16, $r2);
        four!(@ $simd, $f, $m, $b, $c, $d, $a, $at + 3, ($word + ($at + 3) * $stride) % 16, $r3);
    };
    (@ $simd:ident, $f:ident, $m:expr, $a:ident, $b:ident, $c:ident, $d:ident, $at:expr, $word:expr, $r:literal) => {
        let mixed = $simd.add_u32s($a, $f($simd, $b, $c, $d));
        let sum = $simd.add_u32s(mixed, $simd.add_u32s($m[$word], $simd.splat_u32s(SINES[$at])));
        $a = $simd.add_u32s($b, rotate_left($simd, sum, $r));
    };
}

pub(in super::super) struct Md5Lanes;
impl Function<4> for Md5Lanes {
    const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    const BIG_ENDIAN: bool = false;
    const FEW: usize = 1;
    fn alone(state: &mut [u32; 4], blocks: &[[u8; BLOCK]]) {
        md5::block_api::compress(state, blocks);
    }
    #[inline(always)]
    #[allow(clippy::many_single_char_names)] // the registers and words as the specification names them
    fn compress<S: Simd>(simd: S, hash: [S::u32s; 4], m: [S::u32s; WORDS]) -> [S::u32s; 4] {
        let [mut a, mut b, mut c, mut d] = hash;
        four!(simd, f, m, [a, b, c, d], 0, 0, 1, [7, 12, 17, 22]);
        four!(simd, f, m, [a, b, c, d], 4, 0, 1, [7, 12, 17, 22]);
        four!(simd, f, m, [a, b, c, d], 8, 0, 1, [7, 12, 17, 22]);
        four!(simd, f, m, [a, b, c, d], 12, 0, 1, [7, 12, 17, 22]);
        four!(simd, g, m, [a, b, c, d], 16, 1, 5, [5, 9, 14, 20]);
        four!(simd, g, m, [a, b, c, d], 20, 1, 5, [5, 9, 14, 20]);
        four!(simd, g, m, [a, b, c, d], 24, 1, 5, [5, 9, 14, 20]);
        four!(simd, g, m, [a, b, c, d], 28, 1, 5, [5, 9, 14, 20]);
        four!(simd, h, m, [a, b, c, d], 32, 5, 3, [4, 11, 16, 23]);
        four!(simd, h, m, [a, b, c, d], 36, 5, 3, [4, 11, 16, 23]);
        four!(simd, h, m, [a, b, c, d], 40, 5, 3, [4, 11, 16, 23]);
        four!(simd, h, m, [a, b, c, d], 44, 5, 3, [4, 11, 16, 23]);
        four!(simd, i, m, [a, b, c, d], 48, 0, 7, [6, 10, 15, 21]);
        four!(simd, i, m, [a, b, c, d], 52, 0, 7, [6, 10, 15, 21]);
        four!(simd, i, m, [a, b, c, d], 56, 0, 7, [6, 10, 15, 21]);
        four!(simd, i, m, [a, b, c, d], 60, 0, 7, [6, 10, 15, 21]);
        let [a0, b0, c0, d0] = hash;
        [simd.add_u32s(a0, a), simd.add_u32s(b0, b), simd.add_u32s(c0, c), simd.add_u32s(d0, d)]
    }
}

/// The four auxiliary functions of the specification.
#[inline(always)]
fn f<S: Simd>(s: S, x: S::u32s, y: S::u32s, z: S::u32s) -> S::u32s {
    s.xor_u32s(z, s.and_u32s(x, s.xor_u32s(y, z)))
}
#[inline(always)]
fn g<S: Simd>(s: S, x: S::u32s, y: S::u32s, z: S::u32s) -> S::u32s {
    s.xor_u32s(y, s.and_u32s(z, s.xor_u32s(x, y)))
}
#[inline(always)]
fn h<S: Simd>(s: S, x: S::u32s, y: S::u32s, z: S::u32s) -> S::u32s {
    s.xor_u32s(x, s.xor_u32s(y, z))
}
#[inline(always)]
fn i<S: Simd>(s: S, x: S::u32s, y: S::u32s, z: S::u32s) -> S::u32s {
    s.xor_u32s(y, s.or_u32s(x, s.not_u32s(z)))
}

/// The integer part of 2^32 times the absolute sine of 1 to 64.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];
