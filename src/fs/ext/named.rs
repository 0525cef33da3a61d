//! Which inodes the directories name. One that is in use and that none names is not met by a walk: its directory is
//! damaged, or somebody took the name and left the rest.
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Numbers of one piece of the set.
const PIECE: u32 = 64 * 64;

/// A set of inode numbers, dense in places.
#[derive(Default)]
pub(super) struct Numbers(Mutex<BTreeMap<u32, [u64; 64]>>);

/// The word of a piece that holds a number, and its bit there.
fn place(number: u32) -> (usize, u64) {
    let inside = number % PIECE;
    (usize::try_from(inside / 64).unwrap_or(0), 1_u64.checked_shl(inside % 64).unwrap_or(0))
}

impl Numbers {
    pub(super) fn add(&self, numbers: &[u32]) {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            let (word, bit) = place(*number);
            if let Some(word) = pieces.entry(number / PIECE).or_insert([0; 64]).get_mut(word) {
                *word |= bit;
            }
        }
    }
    pub(super) fn holds(&self, number: u32) -> bool {
        let pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (word, bit) = place(number);
        pieces.get(&(number / PIECE)).and_then(|p| p.get(word)).is_some_and(|w| w & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_held_and_nothing_else() {
        let set = Numbers::default();
        set.add(&[0, 63, 64, 4095, 4096, u32::MAX]);
        for number in [0, 63, 64, 4095, 4096, u32::MAX] {
            assert!(set.holds(number), "{number}");
        }
        for number in [1, 62, 65, 4094, 4097, u32::MAX - 1, 1 << 20] {
            assert!(!set.holds(number), "{number}");
        }
    }
}
