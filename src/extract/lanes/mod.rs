//! Hashes of several messages at once: each lane of the processor's vectors works on its own message, and takes
//! the next one when it is through. One message alone depends on its own last step and cannot go faster.
//!
//! The vectors are as wide as the processor that runs this has them: 16 lanes, 8, 4, or 1. Messages come in
//! pieces of whole blocks; the last one brings its padding along.
#![allow(clippy::inline_always)] // the steps work on registers: a call for each would go through memory
mod md5;
mod sha256;
#[cfg(test)]
mod tests;

pub(super) use md5::Md5Lanes;
use pulp::{Arch, Simd, WithSimd};
pub(super) use sha256::{Sha256Lanes, pays as sha256_pays};
use std::marker::PhantomData;

/// Bytes of a block: the same for both functions.
pub(super) const BLOCK: usize = 64;
/// Lanes of the widest vectors (AVX-512); fewer are used where the processor has no more.
const LANES: usize = 16;
/// Words of a block.
const WORDS: usize = 16;

/// A hash function of `N` 32-bit words of state over 64-byte blocks.
pub(super) trait Function<const N: usize> {
    /// The state before the first block.
    const START: [u32; N];
    /// Words and the length are stored with their highest byte first.
    const BIG_ENDIAN: bool;
    /// One block of every lane, `m` its words.
    fn compress<S: Simd>(simd: S, hash: [S::u32s; N], m: [S::u32s; WORDS]) -> [S::u32s; N];
}

/// Whole blocks that continue a message, and the padded blocks that end it (none while more is to come).
pub(super) struct Task<'a, const N: usize> {
    pub state: [u32; N],
    pub blocks: &'a [[u8; BLOCK]],
    pub tail: &'a [[u8; BLOCK]],
}

/// The end of a message of `len` bytes whose last, incomplete block is `rest`: one block or two.
pub(super) struct Tail {
    blocks: [[u8; BLOCK]; 2],
    count: usize,
}
impl Tail {
    pub(super) fn new<F: Function<N>, const N: usize>(rest: &[u8], len: u64) -> Self {
        let mut bytes = [0; 2 * BLOCK];
        let rest = rest.get(..rest.len().min(BLOCK - 1)).unwrap_or_default();
        for (to, from) in bytes.iter_mut().zip(rest.iter().chain(&[0x80])) {
            *to = *from;
        }
        let count = if rest.len() + 9 > BLOCK { 2 } else { 1 };
        // The length in bits, modulo 2^64, as both specifications say.
        let bits = len.wrapping_mul(8);
        let bits = if F::BIG_ENDIAN { bits.to_be_bytes() } else { bits.to_le_bytes() };
        if let Some(at) = bytes.get_mut(..count * BLOCK).and_then(<[u8]>::last_chunk_mut::<8>) {
            *at = bits;
        }
        let mut blocks = [[0; BLOCK]; 2];
        for (to, from) in blocks.iter_mut().zip(bytes.as_chunks::<BLOCK>().0) {
            *to = *from;
        }
        Self { blocks, count }
    }
    pub(super) fn blocks(&self) -> &[[u8; BLOCK]] {
        self.blocks.get(..self.count).unwrap_or_default()
    }
}

/// The digest's bytes from the state after the tail; `D` is four times `N`.
pub(super) fn digest<F: Function<N>, const N: usize, const D: usize>(state: [u32; N]) -> [u8; D] {
    let mut out = [0; D];
    for (to, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *to = if F::BIG_ENDIAN { word.to_be_bytes() } else { word.to_le_bytes() };
    }
    out
}

/// Compresses every task's blocks into its state.
pub(super) fn run<F: Function<N>, const N: usize>(tasks: &mut [Task<'_, N>]) {
    Arch::new().dispatch(All(tasks, PhantomData::<F>));
}

struct All<'t, 'b, F, const N: usize>(&'t mut [Task<'b, N>], PhantomData<F>);
impl<F: Function<N>, const N: usize> WithSimd for All<'_, '_, F, N> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        schedule::<F, N, S>(simd, self.0);
    }
}

/// A task by number, its blocks that are still to be done, and those of its tail.
type Lane<'a> = (usize, &'a [[u8; BLOCK]], &'a [[u8; BLOCK]]);

#[inline(always)]
fn schedule<F: Function<N>, const N: usize, S: Simd>(simd: S, tasks: &mut [Task<'_, N>]) {
    let count = S::U32_LANES.min(LANES);
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    // The longest first, so that no long one is left over for a single lane at the end.
    order.sort_by_key(|i| std::cmp::Reverse(tasks.get(*i).map_or(0, |t| t.blocks.len())));
    let mut waiting = order.into_iter();
    let mut lanes: [Option<Lane<'_>>; LANES] = [None; LANES];
    let mut states = [F::START; LANES];
    loop {
        for (lane, state) in lanes.iter_mut().zip(&mut states).take(count) {
            if let Some((number, [], tail)) = *lane {
                if tail.is_empty() {
                    if let Some(task) = tasks.get_mut(number) {
                        task.state = *state;
                    }
                    *lane = None;
                } else {
                    *lane = Some((number, tail, &[]));
                }
            }
            // A task without any block needs no lane.
            while lane.is_none()
                && let Some(next) = waiting.next()
            {
                if let Some(task) = tasks.get(next).filter(|t| !(t.blocks.is_empty() && t.tail.is_empty())) {
                    let whole = if task.blocks.is_empty() {
                        (next, task.tail, task.blocks)
                    } else {
                        (next, task.blocks, task.tail)
                    };
                    *lane = Some(whole);
                    *state = task.state;
                }
            }
        }
        // An idle lane repeats what another one does; its state is not used.
        let Some(busy) = lanes.iter().flatten().map(|l| l.1).min_by_key(|b| b.len()) else { return };
        let steps = busy.len();
        let input = lanes.map(|l| l.map_or(busy, |l| l.1));
        advance::<F, N, S>(simd, &mut states, &input, steps);
        for (_, left, _) in lanes.iter_mut().flatten() {
            *left = left.get(steps..).unwrap_or_default();
        }
    }
}

/// `steps` blocks of every lane.
#[inline(always)]
fn advance<F: Function<N>, const N: usize, S: Simd>(
    simd: S,
    states: &mut [[u32; N]; LANES],
    input: &[&[[u8; BLOCK]]; LANES],
    steps: usize,
) {
    let count = S::U32_LANES.min(LANES);
    // Loops, not closures: code in a closure may end up outside of what is compiled for these vectors.
    let mut columns = [[0_u32; LANES]; N];
    for (lane, state) in states.iter().enumerate() {
        for (to, word) in columns.iter_mut().zip(state) {
            if let Some(to) = to.get_mut(lane) {
                *to = *word;
            }
        }
    }
    let mut hash = [simd.splat_u32s(0); N];
    for (to, from) in hash.iter_mut().zip(&columns) {
        *to = simd.partial_load_u32s(from.get(..count).unwrap_or_default());
    }
    let mut words = [[0_u32; LANES]; WORDS];
    let mut m = [simd.splat_u32s(0); WORDS];
    for step in 0..steps {
        for (lane, blocks) in input.iter().enumerate().take(count) {
            let Some((block, _)) = blocks.get(step).map(|b| b.as_chunks::<4>()) else { return };
            for (to, word) in words.iter_mut().zip(block) {
                if let Some(to) = to.get_mut(lane) {
                    *to = if F::BIG_ENDIAN { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
                }
            }
        }
        for (to, from) in m.iter_mut().zip(&words) {
            *to = simd.partial_load_u32s(from.get(..count).unwrap_or_default());
        }
        hash = F::compress(simd, hash, m);
    }
    for (n, column) in hash.into_iter().enumerate() {
        let mut out = [0; LANES];
        simd.partial_store_u32s(out.get_mut(..count).unwrap_or_default(), column);
        for (state, word) in states.iter_mut().zip(out).take(count) {
            if let Some(to) = state.get_mut(n) {
                *to = word;
            }
        }
    }
}

#[inline(always)]
fn rotate_left<S: Simd>(s: S, x: S::u32s, n: u32) -> S::u32s {
    let left = s.wrapping_dyn_shl_u32s(x, s.splat_u32s(n));
    s.or_u32s(left, s.wrapping_dyn_shr_u32s(x, s.splat_u32s(32_u32.wrapping_sub(n))))
}
