//! Hashes of journal data objects: Bob Jenkins' lookup3 (`hashlittle2`), or SipHash-2-4 keyed by the file's id
//! where the header says so (`HEADER_INCOMPATIBLE_KEYED_HASH`).
use siphasher::sip::SipHasher24;
use std::hash::Hasher;

/// What a data object's hash must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hash {
    Jenkins,
    Keyed([u8; 16]),
}
impl Hash {
    pub(super) fn of(self, payload: &[u8]) -> u64 {
        match self {
            Self::Jenkins => jenkins(payload),
            Self::Keyed(key) => {
                let mut hash = SipHasher24::new_with_key(&key);
                hash.write(payload);
                hash.finish()
            }
        }
    }
}

/// The two halves of `hashlittle2` with both seeds 0, the first one high.
fn jenkins(bytes: &[u8]) -> u64 {
    let len = u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    let start = 0xdead_beef_u32.wrapping_add(len);
    let mut s = [start; 3];
    let mut rest = bytes;
    while rest.len() > 12 {
        let Some((words, tail)) = rest.split_first_chunk::<12>() else { break };
        add(&mut s, words);
        mix(&mut s);
        rest = tail;
    }
    if !rest.is_empty() {
        let mut last = [0; 12];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        add(&mut s, &last);
        last_mix(&mut s);
    }
    let [_, b, c] = s;
    u64::from(c) << 32 | u64::from(b)
}
fn add(s: &mut [u32; 3], words: &[u8; 12]) {
    for (state, word) in s.iter_mut().zip(words.as_chunks::<4>().0) {
        *state = state.wrapping_add(u32::from_le_bytes(*word));
    }
}
fn mix(s: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *s;
    let step = |x: &mut u32, y: &mut u32, z: u32, turn: u32| {
        *x = x.wrapping_sub(*y) ^ y.rotate_left(turn);
        *y = y.wrapping_add(z);
    };
    step(&mut a, &mut c, b, 4);
    step(&mut b, &mut a, c, 6);
    step(&mut c, &mut b, a, 8);
    step(&mut a, &mut c, b, 16);
    step(&mut b, &mut a, c, 19);
    step(&mut c, &mut b, a, 4);
    *s = [a, b, c];
}
fn last_mix(s: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *s;
    let step = |x: &mut u32, y: u32, turn: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(turn));
    step(&mut c, b, 14);
    step(&mut a, c, 11);
    step(&mut b, a, 25);
    step(&mut c, b, 16);
    step(&mut a, c, 4);
    step(&mut b, a, 14);
    step(&mut c, b, 24);
    *s = [a, b, c];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_lookup3s_own_driver() {
        // "Four score and seven years ago" with both seeds 0: 17770551 and ce7226e6 (lookup3.c, driver5).
        assert_eq!(jenkins(b"Four score and seven years ago"), 0x1777_0551_ce72_26e6);
        assert_eq!(jenkins(b""), 0xdead_beef_dead_beef);
    }
}
