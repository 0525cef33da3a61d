//! Many byte strings at once, at memory speed: one pass over a file, whatever the number of strings.
//!
//! Every string has at least [`SHORTEST`] bytes, so of any [`STRIDE`] successive positions in one of
//! its occurrences exactly one is a multiple of [`STRIDE`] in the file. Only those positions are
//! looked at: four bytes there are looked up in a bit table, and the few that pass are compared in full.
use std::collections::HashMap;

/// Shortest string that can be searched.
pub const SHORTEST: usize = 8;
const WINDOW: usize = 4;
const STRIDE: usize = SHORTEST - WINDOW + 1;
/// Positions looked at together, and the bytes they span: the last window ends within the block.
const POSITIONS: [usize; 8] = [0, 5, 10, 15, 20, 25, 30, 35];
const BLOCK: usize = POSITIONS.len() * STRIDE;
/// 2^19 bits, 64 KiB: large enough that chance hits are rare, small enough for the near caches.
const BITS: u32 = 19;
const WORDS: usize = 1 << (BITS - 6);

pub struct Search {
    patterns: Vec<Vec<u8>>,
    table: Box<[u64; WORDS]>,
    /// Four bytes → the strings that hold them, and where.
    places: HashMap<u32, Vec<(usize, usize)>>,
}

impl Search {
    /// Strings shorter than [`SHORTEST`] are refused: the whole list is then `Err` with the first of them.
    pub fn new(patterns: Vec<Vec<u8>>) -> Result<Self, Vec<u8>> {
        let mut places: HashMap<u32, Vec<(usize, usize)>> = HashMap::new();
        let mut table = empty_table();
        for (index, pattern) in patterns.iter().enumerate() {
            let Some(start) = rarest(pattern) else {
                return Err(pattern.clone());
            };
            for offset in (start..).take(STRIDE) {
                let key = key(pattern.get(offset..).unwrap_or_default());
                places.entry(key).or_default().push((index, offset));
                let (word, bit) = slot(key);
                if let Some(word) = table.get_mut(word) {
                    *word |= 1 << bit;
                }
            }
        }
        Ok(Self { patterns, table, places })
    }
    /// A search that finds nothing.
    pub fn none() -> Self {
        Self { patterns: Vec::new(), table: empty_table(), places: HashMap::new() }
    }
    /// Calls `found` with the index of the string and its place, for every occurrence, in order of position
    /// (to within a string's length).
    pub fn scan(&self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        // Several positions at a time: none of them is of interest in almost every block.
        let blocks = bytes.chunks_exact(BLOCK);
        let tail = blocks.remainder().len();
        for (n, block) in blocks.enumerate() {
            let mut any = 0;
            for at in POSITIONS {
                if let Some(window) = block.get(at..at + WINDOW) {
                    any |= self.bit(key(window));
                }
            }
            if any & 1 != 0 {
                self.look(bytes, n * BLOCK, (n + 1) * BLOCK, &mut found);
            }
        }
        self.look(bytes, bytes.len().saturating_sub(tail), bytes.len(), &mut found);
    }
    /// Compares in full at every position of interest in `from..to`; `from` is a multiple of [`STRIDE`].
    fn look(&self, bytes: &[u8], from: usize, to: usize, found: &mut impl FnMut(usize, usize)) {
        for at in (from..to).step_by(STRIDE) {
            let Some(window) = bytes.get(at..at.saturating_add(WINDOW)) else {
                return;
            };
            let key = key(window);
            if self.bit(key) & 1 == 0 {
                continue;
            }
            for (index, offset) in self.places.get(&key).into_iter().flatten() {
                if let Some(pattern) = self.patterns.get(*index)
                    && let Some(start) = at.checked_sub(*offset)
                    && bytes.get(start..).is_some_and(|rest| rest.starts_with(pattern))
                {
                    found(*index, start);
                }
            }
        }
    }
    /// The lowest bit is set if a string may hold these four bytes; the others mean nothing.
    fn bit(&self, key: u32) -> u64 {
        let (word, bit) = slot(key);
        self.table.get(word).map_or(0, |w| w >> bit)
    }
}

fn key(window: &[u8]) -> u32 {
    window.first_chunk().map_or(0, |raw| u32::from_le_bytes(*raw))
}

#[allow(clippy::large_stack_arrays)] // 64 KiB, once; its fixed size is what makes the lookup quick
fn empty_table() -> Box<[u64; WORDS]> {
    Box::new([0; WORDS])
}

/// Word and number of the bit in the table for a key.
fn slot(key: u32) -> (usize, u32) {
    let hash = key.wrapping_mul(0x9e37_79b1) >> (32 - BITS);
    ((hash >> 6) as usize & (WORDS - 1), hash & 63)
}

/// Where the eight bytes of a string begin that other text shares least: bytes that are rare in
/// programs weigh more, and common beginnings are avoided.
fn rarest(pattern: &[u8]) -> Option<usize> {
    let weight = |window: &[u8]| -> u32 {
        let common = [
            b"gith".as_slice(),
            b"ithu",
            b"thub",
            b"hub.",
            b"com/",
            b"http",
            b"tps:",
            b"://w",
            b"/etc",
            b"/usr",
            b"/lib",
            b".com",
        ];
        let repeated = window.iter().all(|b| Some(b) == window.first());
        if repeated {
            return 0;
        }
        if common.contains(&window) {
            return 1;
        }
        window
            .iter()
            .map(|b| {
                if b.is_ascii_lowercase() || *b == b' ' {
                    2
                } else if *b == 0 {
                    1
                } else {
                    4
                }
            })
            .sum()
    };
    let last = pattern.len().checked_sub(SHORTEST)?;
    (0..=last).max_by_key(|start| {
        let chunk = pattern.get(*start..start.saturating_add(SHORTEST)).unwrap_or_default();
        (chunk.windows(WINDOW).map(weight).min(), std::cmp::Reverse(*start))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn finds_every_occurrence_at_every_alignment() {
        let patterns: Vec<Vec<u8>> =
            ["sshd version %s, %s", "github.com/fatedier/frp/cmd/frpc", "12345678", "aaaaaaaab"]
                .map(|p| p.as_bytes().to_vec())
                .into();
        let search = Search::new(patterns.clone()).unwrap();
        for shift in 0..40 {
            let mut text = vec![b'x'; shift];
            let mut expected = Vec::new();
            for (i, p) in patterns.iter().enumerate() {
                expected.push((i, text.len()));
                text.extend_from_slice(p);
                text.extend(vec![0; i + shift % 3]);
            }
            let mut found = Vec::new();
            search.scan(&text, |i, at| found.push((i, at)));
            found.sort_unstable();
            assert_eq!(found, expected, "shift {shift}");
        }
        let mut none = 0;
        search.scan(b"1234567", |_, _| none += 1);
        search.scan(b"", |_, _| none += 1);
        assert_eq!(none, 0);
    }

    #[test]
    fn refuses_what_is_too_short() {
        assert_eq!(Search::new(vec![b"1234567".to_vec()]).err(), Some(b"1234567".to_vec()));
    }
}
