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
mod transpose;
mod zeros;

pub(super) use md5::Md5Lanes;
use pulp::{Arch, Simd, WithSimd};
pub(super) use sha256::{Sha256Lanes, pays as sha256_pays};
use std::marker::PhantomData;
pub(super) use zeros::Alone;

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
    /// Messages up to which one after the other is faster than side by side.
    const FEW: usize;
    /// Blocks of one message, one after the other.
    fn alone(state: &mut [u32; N], blocks: &[[u8; BLOCK]]);
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

/// A row of words, one of each lane.
type Row = [u32; LANES];

#[inline(always)]
fn schedule<F: Function<N>, const N: usize, S: Simd>(simd: S, tasks: &mut [Task<'_, N>]) {
    let count = S::U32_LANES.min(LANES);
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    // The longest first, so that no long one is left over for a single lane at the end.
    order.sort_by_key(|i| std::cmp::Reverse(tasks.get(*i).map_or(0, |t| t.blocks.len())));
    let mut waiting = order.into_iter();
    let mut lanes: [Option<Lane<'_>>; LANES] = [None; LANES];
    let mut state: [Row; N] = [[0; LANES]; N];
    loop {
        for (at, lane) in lanes.iter_mut().enumerate().take(count) {
            match *lane {
                Some((number, [], [])) => {
                    if let Some(task) = tasks.get_mut(number) {
                        for (to, row) in task.state.iter_mut().zip(&state) {
                            *to = row.get(at).copied().unwrap_or(0);
                        }
                    }
                    *lane = None;
                }
                Some((number, [], tail)) => *lane = Some((number, tail, &[])),
                _ => {}
            }
            while lane.is_none()
                && let Some(next) = waiting.next()
            {
                // A task without any block needs no lane.
                if let Some(task) = tasks.get(next).filter(|t| !(t.blocks.is_empty() && t.tail.is_empty())) {
                    let empty = task.blocks.is_empty();
                    *lane = Some(if empty { (next, task.tail, &[]) } else { (next, task.blocks, task.tail) });
                    for (row, from) in state.iter_mut().zip(task.state) {
                        if let Some(to) = row.get_mut(at) {
                            *to = from;
                        }
                    }
                }
            }
        }
        if waiting.len() == 0 && lanes.iter().flatten().count() <= F::FEW {
            for (at, (number, left, tail)) in lanes.iter().enumerate().filter_map(|(at, l)| Some((at, (*l)?))) {
                if let Some(task) = tasks.get_mut(number) {
                    for (to, row) in task.state.iter_mut().zip(&state) {
                        *to = row.get(at).copied().unwrap_or(0);
                    }
                    F::alone(&mut task.state, left);
                    F::alone(&mut task.state, tail);
                }
            }
            return;
        }
        // An idle lane repeats what another one does; its state is not used.
        let Some(busy) = lanes.iter().flatten().map(|l| l.1).min_by_key(|b| b.len()) else { return };
        let steps = busy.len();
        let mut input = [busy; LANES];
        for (to, lane) in input.iter_mut().zip(&mut lanes) {
            if let Some((_, left, _)) = lane {
                *to = left.get(..steps).unwrap_or_default();
                *left = left.get(steps..).unwrap_or_default();
            }
        }
        advance::<F, N, S>(simd, &mut state, &input, steps);
    }
}

/// `steps` blocks of every lane.
#[inline(always)]
fn advance<F: Function<N>, const N: usize, S: Simd>(
    simd: S,
    state: &mut [Row; N],
    input: &[&[[u8; BLOCK]]; LANES],
    steps: usize,
) {
    // Loops, not closures: code in a closure may end up outside of what is compiled for these vectors.
    let mut hash = [simd.splat_u32s(0); N];
    for (to, from) in hash.iter_mut().zip(&*state) {
        *to = load(simd, from);
    }
    let mut room: [Row; WORDS] = [[0; LANES]; WORDS];
    for step in 0..steps {
        let Some(m) = transpose::words(simd, input, step, F::BIG_ENDIAN, &mut room) else { return };
        hash = F::compress(simd, hash, m);
    }
    for (to, from) in state.iter_mut().zip(hash) {
        if let Some(to) = S::as_mut_simd_u32s(to).0.first_mut() {
            *to = from;
        }
    }
}

/// The first words of a row, as many as there are lanes.
#[inline(always)]
fn load<S: Simd>(simd: S, row: &Row) -> S::u32s {
    match S::as_simd_u32s(row).0.first() {
        Some(words) => *words,
        None => simd.splat_u32s(0),
    }
}

#[inline(always)]
fn rotate_left<S: Simd>(s: S, x: S::u32s, n: u32) -> S::u32s {
    let left = s.wrapping_dyn_shl_u32s(x, s.splat_u32s(n));
    s.or_u32s(left, s.wrapping_dyn_shr_u32s(x, s.splat_u32s(32_u32.wrapping_sub(n))))
}
