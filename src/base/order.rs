//! Sorting by byte strings that begin alike, as paths do: eight bytes at a time, each group of equal ones by its
//! next eight. Large values are moved once, when their order is known.
use std::cmp::Ordering;

/// Groups up to this size are compared in full.
const FEW: usize = 24;
const WORD: usize = 8;

struct Item<'a> {
    row: usize,
    bytes: &'a [u8],
    /// The next bytes to sort by, padded, and how many of them there are.
    word: (u64, usize),
}
impl Item<'_> {
    fn step_to(&mut self, depth: usize) {
        let rest = self.bytes.get(depth..).unwrap_or_default();
        let len = rest.len().min(WORD);
        let mut word = [0; WORD];
        for (to, from) in word.iter_mut().zip(rest) {
            *to = *from;
        }
        self.word = (u64::from_be_bytes(word), len);
    }
}

/// The numbers of rows in the order of their bytes; `ties` decides between two rows of the same bytes.
pub fn by_bytes<'a>(
    rows: impl Iterator<Item = (usize, &'a [u8])>,
    ties: &dyn Fn(usize, usize) -> Ordering,
) -> Vec<usize> {
    let mut items: Vec<Item<'_>> = rows.map(|(row, bytes)| Item { row, bytes, word: (0, 0) }).collect();
    // Ranges that are equal up to a depth.
    let mut todo = vec![(0, items.len(), 0_usize)];
    while let Some((from, to, depth)) = todo.pop() {
        let some = items.get_mut(from..to).unwrap_or_default();
        if some.len() <= FEW {
            some.sort_unstable_by(|a, b| a.bytes.cmp(b.bytes).then_with(|| ties(a.row, b.row)));
            continue;
        }
        some.iter_mut().for_each(|i| i.step_to(depth));
        some.sort_unstable_by_key(|i| i.word);
        let mut at = from;
        for group in some.chunk_by_mut(|a, b| a.word == b.word) {
            let end = at.saturating_add(group.len());
            match group {
                [] | [_] => {}
                [first, ..] if first.word.1 == WORD => todo.push((at, end, depth.saturating_add(WORD))),
                // They end here: all of their bytes are the same.
                group => group.sort_unstable_by(|a, b| ties(a.row, b.row)),
            }
            at = end;
        }
    }
    items.into_iter().map(|i| i.row).collect()
}

/// Puts values into an order: at each place the one whose number stands there.
pub fn arrange<T>(values: &mut [T], mut order: Vec<usize>) {
    // Each value that is not yet in its place is exchanged for the one that belongs there; whither that one's place
    // went stands in the order from then on.
    for at in 0..order.len() {
        let mut from = order.get(at).copied().unwrap_or(at);
        while from < at {
            from = order.get(from).copied().unwrap_or(at);
        }
        if let Some(now) = order.get_mut(at) {
            *now = from;
        }
        values.swap(at, from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_bytes() {
        let parts = [b"/".as_slice(), b"-", b"\0", b"long name", b"/usr/share", b"\xff"];
        let mut random = 7_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(random >> 33).unwrap_or(0) % below
        };
        let path = |next: &mut dyn FnMut(usize) -> usize| {
            let mut path = b"/usr/share".to_vec();
            (0..next(5))
                .for_each(|_| path.extend_from_slice(parts.get(next(parts.len())).copied().unwrap_or_default()));
            path
        };
        for count in [0, 1, 2, FEW, FEW + 1, 3000] {
            let mut values: Vec<(Vec<u8>, usize)> = (0..count).map(|n| (path(&mut next), n)).collect();
            let mut expected = values.clone();
            expected.sort();
            let order = by_bytes(values.iter().map(|v| v.0.as_slice()).enumerate(), &|a, b| a.cmp(&b));
            arrange(&mut values, order);
            assert_eq!(values, expected);
        }
    }
}
