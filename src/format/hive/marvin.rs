//! Marvin32, the keyed hash over entries of transaction logs. Format: US patent 8,555,059; the seed by the
//! specification of the hive's format.

/// What Windows begins the hashes of logs with.
const HIGH: u32 = 0x82ef_4d88;
const LOW: u32 = 0x7a4e_55c5;

pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut state = State { low: LOW, high: HIGH };
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        state.mix(u32::from_le_bytes(*word));
    }
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest.iter().chain(&[0x80])) {
        *to = *from;
    }
    state.mix(u32::from_le_bytes(last));
    state.mix(0);
    u64::from(state.high) << 32 | u64::from(state.low)
}

struct State {
    low: u32,
    high: u32,
}
impl State {
    fn mix(&mut self, word: u32) {
        self.low = self.low.wrapping_add(word);
        self.high ^= self.low;
        self.low = self.low.rotate_left(20).wrapping_add(self.high);
        self.high = self.high.rotate_left(9) ^ self.low;
        self.low = self.low.rotate_left(27).wrapping_add(self.high);
        self.high = self.high.rotate_left(19);
    }
}
