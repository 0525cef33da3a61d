//! SHA-256 (FIPS 180-4) in lanes. Only where it [`pays`]: else the crate `sha2` is used, which has the
//! processor's own SHA instructions.
use super::{BLOCK, Function, WORDS, rotate_left};
use pulp::{Arch, Simd};

/// Whether lanes are faster than the SHA instructions on this processor: with 16 of them they are twice as fast,
/// with eight slower.
pub(in super::super) fn pays() -> bool {
    struct Lanes;
    impl pulp::WithSimd for Lanes {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::U32_LANES
        }
    }
    Arch::new().dispatch(Lanes) >= super::LANES
}

/// One step; the registers change places from one to the next.
macro_rules! step {
    ($s:ident, $m:ident, $at:expr, [$a:ident, $b:ident, $c:ident, $d:ident, $e:ident, $f:ident, $g:ident, $h:ident]) => {
        let word = schedule($s, &mut $m, $at);
        let choice = $s.xor_u32s($g, $s.and_u32s($e, $s.xor_u32s($f, $g)));
        let sum = $s.add_u32s($s.add_u32s($h, three($s, $e, 6, 11, 25)), choice);
        let sum = $s.add_u32s(sum, $s.add_u32s(word, $s.splat_u32s(CUBES[$at])));
        let majority = $s.or_u32s($s.and_u32s($a, $b), $s.and_u32s($c, $s.or_u32s($a, $b)));
        $d = $s.add_u32s($d, sum);
        $h = $s.add_u32s(sum, $s.add_u32s(three($s, $a, 2, 13, 22), majority));
    };
}
macro_rules! eight {
    ($s:ident, $m:ident, $at:expr, [$a:ident, $b:ident, $c:ident, $d:ident, $e:ident, $f:ident, $g:ident, $h:ident]) => {
        step!($s, $m, $at, [$a, $b, $c, $d, $e, $f, $g, $h]);
        step!($s, $m, $at + 1, [$h, $a, $b, $c, $d, $e, $f, $g]);
        step!($s, $m, $at + 2, [$g, $h, $a, $b, $c, $d, $e, $f]);
        step!($s, $m, $at + 3, [$f, $g, $h, $a, $b, $c, $d, $e]);
        step!($s, $m, $at + 4, [$e, $f, $g, $h, $a, $b, $c, $d]);
        step!($s, $m, $at + 5, [$d, $e, $f, $g, $h, $a, $b, $c]);
        step!($s, $m, $at + 6, [$c, $d, $e, $f, $g, $h, $a, $b]);
        step!($s, $m, $at + 7, [$b, $c, $d, $e, $f, $g, $h, $a]);
    };
}

pub(in super::super) struct Sha256Lanes;
impl Function<8> for Sha256Lanes {
    const START: [u32; 8] =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    const BIG_ENDIAN: bool = true;
    const FEW: usize = 7;
    fn alone(state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
        sha2::block_api::compress256(state, blocks);
    }
    #[inline(always)]
    #[allow(clippy::many_single_char_names)] // the registers as the specification names them
    fn compress<S: Simd>(s: S, hash: [S::u32s; 8], mut m: [S::u32s; WORDS]) -> [S::u32s; 8] {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = hash;
        eight!(s, m, 0, [a, b, c, d, e, f, g, h]);
        eight!(s, m, 8, [a, b, c, d, e, f, g, h]);
        eight!(s, m, 16, [a, b, c, d, e, f, g, h]);
        eight!(s, m, 24, [a, b, c, d, e, f, g, h]);
        eight!(s, m, 32, [a, b, c, d, e, f, g, h]);
        eight!(s, m, 40, [a, b, c, d, e, f, g, h]);
        eight!(s, m, 48, [a, b, c, d, e, f, g, h]);
        eight!(s, m, 56, [a, b, c, d, e, f, g, h]);
        let [a0, b0, c0, d0, e0, f0, g0, h0] = hash;
        [
            s.add_u32s(a0, a),
            s.add_u32s(b0, b),
            s.add_u32s(c0, c),
            s.add_u32s(d0, d),
            s.add_u32s(e0, e),
            s.add_u32s(f0, f),
            s.add_u32s(g0, g),
            s.add_u32s(h0, h),
        ]
    }
}

/// The word of step `at`: of the block for the first 16, then mixed from earlier ones in their place.
#[inline(always)]
#[allow(clippy::indexing_slicing)] // every place is a remainder by the number of words
fn schedule<S: Simd>(s: S, m: &mut [S::u32s; WORDS], at: usize) -> S::u32s {
    if at >= WORDS {
        let (old, new) = (m[(at + 1) % WORDS], m[(at + 14) % WORDS]);
        let old = s.xor_u32s(two(s, old, 7, 18), s.wrapping_dyn_shr_u32s(old, s.splat_u32s(3)));
        let new = s.xor_u32s(two(s, new, 17, 19), s.wrapping_dyn_shr_u32s(new, s.splat_u32s(10)));
        m[at % WORDS] = s.add_u32s(s.add_u32s(m[at % WORDS], old), s.add_u32s(m[(at + 9) % WORDS], new));
    }
    m[at % WORDS]
}
#[inline(always)]
fn two<S: Simd>(s: S, x: S::u32s, first: u32, second: u32) -> S::u32s {
    // To the right by some bits is to the left by the others.
    s.xor_u32s(rotate_left(s, x, 32 - first), rotate_left(s, x, 32 - second))
}
#[inline(always)]
fn three<S: Simd>(s: S, x: S::u32s, first: u32, second: u32, third: u32) -> S::u32s {
    s.xor_u32s(two(s, x, first, second), rotate_left(s, x, 32 - third))
}

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const CUBES: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];
