//! The diffuser of BitLocker before Windows 8: it spreads each bit of a sector over all of it, so that nobody can
//! change parts of a sector knowingly. N. Ferguson, "AES-CBC + Elephant diffuser" (Microsoft, 2006).
use super::cipher::Aes;

/// Words are turned left by so many bits, by their position modulo four.
const TURN_A: [u32; 4] = [9, 0, 13, 0];
const TURN_B: [u32; 4] = [0, 10, 0, 25];
const CYCLES_A: usize = 5;
const CYCLES_B: usize = 3;

pub(super) struct Elephant {
    /// Makes the sector key.
    tweak: Aes,
}

impl Elephant {
    pub(super) fn new(tweak: Aes) -> Self {
        Self { tweak }
    }
    /// Undoes what was done to a sector before it was encrypted; `byte` is its first byte's offset.
    pub(super) fn undo(&self, byte: [u8; 16], sector: &mut [u8]) {
        let mut words: Vec<u32> =
            sector.chunks_exact(4).filter_map(|c| c.try_into().ok().map(u32::from_le_bytes)).collect();
        // The later of the two steps is undone first.
        for _ in 0..CYCLES_B {
            cycle(&mut words, &TURN_B, [2, 5]);
        }
        let behind = |n: usize| words.len().wrapping_sub(n);
        let before = [behind(2), behind(5)];
        for _ in 0..CYCLES_A {
            cycle(&mut words, &TURN_A, before);
        }
        let mut high = byte;
        if let Some(last) = high.last_mut() {
            *last = 0x80;
        }
        let key = [self.tweak.encrypt(byte), self.tweak.encrypt(high)].concat();
        let plain = words.iter().flat_map(|w| w.to_le_bytes());
        for ((to, byte), key) in sector.iter_mut().zip(plain).zip(key.iter().cycle()) {
            *to = byte ^ key;
        }
    }
}

/// One cycle over all words: to each is added what the words at these distances give, going round at the end.
fn cycle(words: &mut [u32], turn: &[u32; 4], [one, two]: [usize; 2]) {
    let count = words.len();
    let at = |words: &[u32], n: usize| {
        let n = if n < count { n } else { n.wrapping_sub(count) };
        words.get(n).copied().unwrap_or(0)
    };
    for (n, turn) in (0..count).zip(turn.iter().cycle()) {
        let sum = at(words, n.wrapping_add(one)) ^ at(words, n.wrapping_add(two)).rotate_left(*turn);
        if let Some(word) = words.get_mut(n) {
            *word = word.wrapping_add(sum);
        }
    }
}
