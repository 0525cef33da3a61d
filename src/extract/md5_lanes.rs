//! MD5 (RFC 1321) of eight messages at once: each lane of the vectors works on its own message, and takes
//! the next one when it is through. One message alone depends on its own last step and cannot go faster.
#![allow(clippy::inline_always)] // the steps work on registers: a call for each would go through memory

use wide::u32x4;

/// What is computed at the start of a message.
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
pub(super) const BLOCK: usize = 64;
const LANES: usize = 8;

/// The hash of the blocks so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(pub [u32; 4]);
impl Default for State {
    fn default() -> Self {
        Self(START)
    }
}
impl State {
    /// The digest, after the padded last block.
    pub(super) fn digest(self) -> [u8; 16] {
        let mut out = [0; 16];
        for (to, word) in out.chunks_exact_mut(4).zip(self.0) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        out
    }
}

/// Whole blocks that continue a message.
pub(super) struct Task<'a> {
    pub state: State,
    pub blocks: &'a [[u8; BLOCK]],
}

/// Writes the padding of a message of `len` bytes in all after its last `tail` bytes (the message's bytes in
/// `buf`), and gives the length with it: a whole number of blocks. `buf` has room for [`BLOCK`] and 8 bytes more.
pub(super) fn pad(buf: &mut [u8], tail: usize, len: u64) -> usize {
    let end = tail.saturating_add(9).next_multiple_of(BLOCK);
    if let Some(padding) = buf.get_mut(tail..end) {
        padding.fill(0);
        if let Some(first) = padding.first_mut() {
            *first = 0x80;
        }
        // The length in bits, modulo 2^64, as the specification says.
        if let Some(bits) = padding.last_chunk_mut::<8>() {
            *bits = len.wrapping_mul(8).to_le_bytes();
        }
    }
    end
}

/// A task by number, and the blocks of it that are still to be done.
type Lane<'a> = (usize, &'a [[u8; BLOCK]]);

/// Compresses every task's blocks into its state.
pub(super) fn run(tasks: &mut [Task<'_>]) {
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    // The longest first, so that no long one is left over for a single lane at the end.
    order.sort_by_key(|i| std::cmp::Reverse(tasks.get(*i).map_or(0, |t| t.blocks.len())));
    let mut waiting = order.into_iter();
    let mut lanes: [Option<Lane<'_>>; LANES] = [None; LANES];
    let mut states = [State::default(); LANES];
    loop {
        for (lane, state) in lanes.iter_mut().zip(&mut states) {
            if lane.is_none()
                && let Some((next, task)) = waiting.next().and_then(|i| Some((i, tasks.get(i)?)))
            {
                *lane = Some((next, task.blocks));
                *state = task.state;
            }
        }
        // An idle lane repeats what another one does; its state is not used.
        let Some(busy) = lanes.iter().flatten().map(|l| l.1).min_by_key(|b| b.len()) else { return };
        let steps = busy.len();
        let input = lanes.map(|l| l.map_or(busy, |l| l.1));
        compress(&mut states, input, steps);
        for (lane, state) in lanes.iter_mut().zip(&states) {
            if let Some((task, left)) = lane {
                *left = left.get(steps..).unwrap_or_default();
                if left.is_empty() {
                    if let Some(task) = tasks.get_mut(*task) {
                        task.state = *state;
                    }
                    *lane = None;
                }
            }
        }
    }
}

/// Eight words, one of each lane. Two vectors of four rather than one of eight: without AVX2 that is what the
/// processor has, and only the smaller one transposes quickly.
#[derive(Clone, Copy)]
struct Words(u32x4, u32x4);
impl Words {
    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(u32x4::splat(word), u32x4::splat(word))
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0, self.1 + o.1)
    }
    #[inline(always)]
    fn rotate<const N: u32>(self) -> Self {
        let one = |x: u32x4| (x << N) | (x >> (32_u32.wrapping_sub(N)));
        Self(one(self.0), one(self.1))
    }
    #[inline(always)]
    fn each(x: Self, y: Self, z: Self, f: impl Fn(u32x4, u32x4, u32x4) -> u32x4) -> Self {
        Self(f(x.0, y.0, z.0), f(x.1, y.1, z.1))
    }
}

/// The four auxiliary functions of the specification.
#[inline(always)]
fn f(x: Words, y: Words, z: Words) -> Words {
    Words::each(x, y, z, |x, y, z| z ^ (x & (y ^ z)))
}
#[inline(always)]
fn g(x: Words, y: Words, z: Words) -> Words {
    Words::each(x, y, z, |x, y, z| y ^ (z & (x ^ y)))
}
#[inline(always)]
fn h(x: Words, y: Words, z: Words) -> Words {
    Words::each(x, y, z, |x, y, z| x ^ y ^ z)
}
#[inline(always)]
fn i(x: Words, y: Words, z: Words) -> Words {
    Words::each(x, y, z, |x, y, z| y ^ (x | !z))
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

/// Four steps: one of each register. `$word` is where the round's order of words begins, `$stride` how it goes on.
macro_rules! four {
    ($f:ident, $s:expr, $m:expr, [$a:ident, $b:ident, $c:ident, $d:ident], $at:expr, $word:expr, $stride:expr, [$r0:literal, $r1:literal, $r2:literal, $r3:literal]) => {
        $a = $b.add(
            $a.add($f($b, $c, $d)).add($m[($word + $at * $stride) % 16].add(Words::splat($s[$at]))).rotate::<$r0>(),
        );
        $d = $a.add(
            $d.add($f($a, $b, $c))
                .add($m[($word + ($at + 1) * $stride) % 16].add(Words::splat($s[$at + 1])))
                .rotate::<$r1>(),
        );
        $c = $d.add(
            $c.add($f($d, $a, $b))
                .add($m[($word + ($at + 2) * $stride) % 16].add(Words::splat($s[$at + 2])))
                .rotate::<$r2>(),
        );
        $b = $c.add(
            $b.add($f($c, $d, $a))
                .add($m[($word + ($at + 3) * $stride) % 16].add(Words::splat($s[$at + 3])))
                .rotate::<$r3>(),
        );
    };
}

/// `steps` blocks of every lane.
#[allow(clippy::many_single_char_names)] // the registers and words as the specification names them
fn compress(states: &mut [State; LANES], input: [&[[u8; BLOCK]]; LANES], steps: usize) {
    let column = |n: usize| {
        let word = |lane: usize| states.get(lane).and_then(|s| s.0.get(n)).copied().unwrap_or(0);
        Words(u32x4::new([word(0), word(1), word(2), word(3)]), u32x4::new([word(4), word(5), word(6), word(7)]))
    };
    let mut hash = [column(0), column(1), column(2), column(3)];
    let [l0, l1, l2, l3, l4, l5, l6, l7] = input.map(|l| l.get(..steps).unwrap_or_default().iter());
    let lower = l0.zip(l1).zip(l2.zip(l3));
    let upper = l4.zip(l5).zip(l6.zip(l7));
    for (((b0, b1), (b2, b3)), ((b4, b5), (b6, b7))) in lower.zip(upper) {
        let mut m = [Words::splat(0); 16];
        let (quads, _) = m.as_chunks_mut::<4>();
        for (at, to) in (0..).step_by(16).zip(quads) {
            let low = u32x4::transpose([load(b0, at), load(b1, at), load(b2, at), load(b3, at)]);
            let high = u32x4::transpose([load(b4, at), load(b5, at), load(b6, at), load(b7, at)]);
            for (to, (low, high)) in to.iter_mut().zip(low.into_iter().zip(high)) {
                *to = Words(low, high);
            }
        }
        let [mut a, mut b, mut c, mut d] = hash;
        four!(f, SINES, m, [a, b, c, d], 0, 0, 1, [7, 12, 17, 22]);
        four!(f, SINES, m, [a, b, c, d], 4, 0, 1, [7, 12, 17, 22]);
        four!(f, SINES, m, [a, b, c, d], 8, 0, 1, [7, 12, 17, 22]);
        four!(f, SINES, m, [a, b, c, d], 12, 0, 1, [7, 12, 17, 22]);
        four!(g, SINES, m, [a, b, c, d], 16, 1, 5, [5, 9, 14, 20]);
        four!(g, SINES, m, [a, b, c, d], 20, 1, 5, [5, 9, 14, 20]);
        four!(g, SINES, m, [a, b, c, d], 24, 1, 5, [5, 9, 14, 20]);
        four!(g, SINES, m, [a, b, c, d], 28, 1, 5, [5, 9, 14, 20]);
        four!(h, SINES, m, [a, b, c, d], 32, 5, 3, [4, 11, 16, 23]);
        four!(h, SINES, m, [a, b, c, d], 36, 5, 3, [4, 11, 16, 23]);
        four!(h, SINES, m, [a, b, c, d], 40, 5, 3, [4, 11, 16, 23]);
        four!(h, SINES, m, [a, b, c, d], 44, 5, 3, [4, 11, 16, 23]);
        four!(i, SINES, m, [a, b, c, d], 48, 0, 7, [6, 10, 15, 21]);
        four!(i, SINES, m, [a, b, c, d], 52, 0, 7, [6, 10, 15, 21]);
        four!(i, SINES, m, [a, b, c, d], 56, 0, 7, [6, 10, 15, 21]);
        four!(i, SINES, m, [a, b, c, d], 60, 0, 7, [6, 10, 15, 21]);
        let [a0, b0, c0, d0] = hash;
        hash = [a0.add(a), b0.add(b), c0.add(c), d0.add(d)];
    }
    for (n, words) in hash.into_iter().enumerate() {
        let all = words.0.to_array().into_iter().chain(words.1.to_array());
        for (state, word) in states.iter_mut().zip(all) {
            if let Some(to) = state.0.get_mut(n) {
                *to = word;
            }
        }
    }
}

/// Four words of a block, from byte `at`.
#[inline(always)]
fn load(block: &[u8; BLOCK], at: usize) -> u32x4 {
    let word = |n: usize| {
        let from = at.wrapping_add(n);
        let bytes = block.get(from..from.wrapping_add(4)).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    u32x4::new([word(0), word(4), word(8), word(12)])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use md5::{Digest as _, Md5};

    /// Bytes that repeat nowhere near; the same in every run.
    fn noise(seed: u32, len: usize) -> Vec<u8> {
        let mut x = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let next = |_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x.to_le_bytes()[1]
        };
        (0..len).map(next).collect()
    }
    fn digests(messages: &[Vec<u8>]) -> Vec<[u8; 16]> {
        let padded: Vec<Vec<u8>> = messages
            .iter()
            .map(|m| {
                let mut buf = m.clone();
                buf.resize(m.len() + BLOCK + 8, 0xee);
                let end = pad(&mut buf, m.len(), m.len() as u64);
                buf.truncate(end);
                buf
            })
            .collect();
        let mut tasks: Vec<Task> =
            padded.iter().map(|p| Task { state: State::default(), blocks: p.as_chunks::<BLOCK>().0 }).collect();
        run(&mut tasks);
        tasks.iter().map(|t| t.state.digest()).collect()
    }
    fn expected(messages: &[Vec<u8>]) -> Vec<[u8; 16]> {
        messages.iter().map(|m| Md5::digest(m).into()).collect()
    }

    #[test]
    fn every_short_length_agrees_with_the_reference() {
        let messages: Vec<Vec<u8>> = (0..=300).map(|n| noise(7, n)).collect();
        assert_eq!(digests(&messages), expected(&messages));
        for one in &messages {
            assert_eq!(digests(std::slice::from_ref(one)), expected(std::slice::from_ref(one)));
        }
    }

    #[test]
    fn any_number_of_any_lengths_agrees_with_the_reference() {
        assert!(digests(&[]).is_empty());
        for count in 1..40_u32 {
            let len = |n: u32| (n.wrapping_mul(2_246_822_519) >> (11 + n % 9)) as usize % 70_000;
            let messages: Vec<Vec<u8>> = (0..count).map(|n| noise(n, len(n * 31 + count))).collect();
            assert_eq!(digests(&messages), expected(&messages), "{count}");
        }
    }

    #[test]
    fn a_message_may_come_in_pieces() {
        let message = noise(3, 64 * 50);
        let (blocks, _) = message.as_chunks::<BLOCK>();
        let mut state = State::default();
        for part in [&blocks[..1], &blocks[1..20], &[], &blocks[20..]] {
            let mut tasks = [Task { state, blocks: part }];
            run(&mut tasks);
            state = tasks[0].state;
        }
        let mut tail = [0; BLOCK + 8];
        let end = pad(&mut tail, 0, message.len() as u64);
        let mut tasks = [Task { state, blocks: tail[..end].as_chunks::<BLOCK>().0 }];
        run(&mut tasks);
        assert_eq!(tasks[0].state.digest(), <[u8; 16]>::from(Md5::digest(&message)));
    }
}
