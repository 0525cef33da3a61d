//! Both functions in lanes against the crates that compute them one message at a time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use sha2::Digest as _;

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
fn hashed<F: Function<N>, const N: usize, const D: usize>(messages: &[Vec<u8>]) -> Vec<[u8; D]> {
    let parts: Vec<_> = messages.iter().map(|m| m.as_chunks::<BLOCK>()).collect();
    let tails: Vec<Tail> =
        parts.iter().zip(messages).map(|((_, rest), m)| Tail::new::<F, N>(rest, m.len() as u64)).collect();
    let tasks = || -> Vec<Task<'_, N>> {
        let both = parts.iter().zip(&tails);
        both.map(|((blocks, _), tail)| Task { state: F::START, blocks, tail: tail.blocks() }).collect()
    };
    let (mut wide, mut scalar) = (tasks(), tasks());
    run::<F, N>(&mut wide);
    // What runs where the processor has no vectors gives the same.
    All(&mut scalar, PhantomData::<F>).with_simd(pulp::Scalar::new());
    let digests = |tasks: &[Task<'_, N>]| tasks.iter().map(|t| digest::<F, N, D>(t.state)).collect::<Vec<_>>();
    assert_eq!(digests(&wide), digests(&scalar));
    digests(&wide)
}
fn agree(messages: &[Vec<u8>]) {
    let md5: Vec<[u8; 16]> = messages.iter().map(|m| ::md5::Md5::digest(m).into()).collect();
    let sha256: Vec<[u8; 32]> = messages.iter().map(|m| sha2::Sha256::digest(m).into()).collect();
    assert_eq!(hashed::<Md5Lanes, 4, 16>(messages), md5);
    assert_eq!(hashed::<Sha256Lanes, 8, 32>(messages), sha256);
}

#[test]
fn every_short_length_agrees_with_the_reference() {
    let messages: Vec<Vec<u8>> = (0..=300).map(|n| noise(7, n)).collect();
    agree(&messages);
    for one in &messages {
        agree(std::slice::from_ref(one));
    }
}

#[test]
fn any_number_of_any_lengths_agrees_with_the_reference() {
    agree(&[]);
    for count in 1..40_u32 {
        let len = |n: u32| (n.wrapping_mul(2_246_822_519) >> (11 + n % 9)) as usize % 70_000;
        let messages: Vec<Vec<u8>> = (0..count).map(|n| noise(n, len(n * 31 + count))).collect();
        agree(&messages);
    }
}

#[test]
fn a_message_may_come_in_pieces() {
    let message = noise(3, 64 * 50);
    let (blocks, _) = message.as_chunks::<BLOCK>();
    let mut state = Sha256Lanes::START;
    let tail = Tail::new::<Sha256Lanes, 8>(&[], message.len() as u64);
    for (blocks, tail) in
        [(&blocks[..1], [].as_slice()), (&blocks[1..20], &[]), (&[], &[]), (&blocks[20..], &[]), (&[], tail.blocks())]
    {
        let mut tasks = [Task { state, blocks, tail }];
        run::<Sha256Lanes, 8>(&mut tasks);
        state = tasks[0].state;
    }
    let expected: [u8; 32] = sha2::Sha256::digest(&message).into();
    assert_eq!(digest::<Sha256Lanes, 8, 32>(state), expected);
}
