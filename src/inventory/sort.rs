//! The order of a table's rows: by system, key columns and place of the evidence, so that it does not depend on who
//! read first.
//!
//! Most keys begin with a path, and paths begin alike: they are sorted eight bytes at a time, each group of equal
//! ones by its next eight. Rows are large; they are moved once, when their order is known.
use super::record::Record;
use crate::base::Evidence;
use std::cmp::Ordering;

/// Groups up to this size are compared in full.
const FEW: usize = 24;
const WORD: usize = 8;

/// A row by number, with its first key's bytes.
struct Item<'a> {
    system: Option<u32>,
    bytes: &'a [u8],
    /// The next bytes to sort by, padded, and how many of them there are.
    word: (u64, usize),
    row: usize,
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

/// Sorts a whole table.
pub(super) fn sort<R: Record>(rows: &mut [R]) {
    let mut order = order(rows);
    // Each row that is not yet in its place is exchanged for the one that belongs there; whither that one's place
    // went stands in the order from then on.
    for at in 0..order.len() {
        let mut from = order.get(at).copied().unwrap_or(at);
        while from < at {
            from = order.get(from).copied().unwrap_or(at);
        }
        if let Some(now) = order.get_mut(at) {
            *now = from;
        }
        rows.swap(at, from);
    }
}

/// The rows' numbers in their order.
fn order<R: Record>(rows: &[R]) -> Vec<usize> {
    let first: Option<Vec<&[u8]>> = rows.iter().map(Record::first_key).collect();
    let Some(first) = first else {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| whole(rows, *a, *b));
        return order;
    };
    let item = |((row, r), bytes): ((usize, &R), _)| Item { system: r.system(), bytes, word: (0, 0), row };
    let mut items: Vec<Item<'_>> = rows.iter().enumerate().zip(first).map(item).collect();
    items.sort_unstable_by_key(|i| (i.system, i.row));
    // Ranges that are equal up to a depth.
    let mut todo: Vec<(usize, usize, usize)> = Vec::new();
    groups(&items, 0, |i| i.system, |from, to, _| todo.push((from, to, 0)));
    while let Some((from, to, depth)) = todo.pop() {
        let some = items.get_mut(from..to).unwrap_or_default();
        if some.len() <= FEW {
            some.sort_unstable_by(|a, b| a.bytes.cmp(b.bytes).then_with(|| whole(rows, a.row, b.row)));
            continue;
        }
        some.iter_mut().for_each(|i| i.step_to(depth));
        some.sort_unstable_by_key(|i| i.word);
        let mut equal = Vec::new();
        groups(
            some,
            from,
            |i| i.word,
            |from, to, (_, len)| {
                if len == WORD {
                    todo.push((from, to, depth.saturating_add(WORD)));
                } else {
                    equal.push((from, to));
                }
            },
        );
        for (from, to) in equal {
            items.get_mut(from..to).unwrap_or_default().sort_unstable_by(|a, b| whole(rows, a.row, b.row));
        }
    }
    items.into_iter().map(|i| i.row).collect()
}

/// Calls `each` with every run of at least two items that are alike, its ends counted from `base` on.
fn groups<T: PartialEq>(
    items: &[Item<'_>],
    base: usize,
    like: impl Fn(&Item<'_>) -> T,
    mut each: impl FnMut(usize, usize, T),
) {
    let mut at = base;
    for run in items.chunk_by(|a, b| like(a) == like(b)) {
        let to = at.saturating_add(run.len());
        if let [first, _, ..] = run {
            each(at, to, like(first));
        }
        at = to;
    }
}

fn whole<R: Record>(rows: &[R], a: usize, b: usize) -> Ordering {
    let (Some(x), Some(y)) = (rows.get(a), rows.get(b)) else { return Ordering::Equal };
    let system = x.system().cmp(&y.system());
    let key = system.then_with(|| x.key_order(y));
    key.then_with(|| place(x.evidence()).cmp(&place(y.evidence()))).then(a.cmp(&b))
}

/// What tells two places apart; runs and digests follow from the rest.
fn place(e: &Evidence) -> impl Ord + '_ {
    (e.filesystem, &e.path, e.node, e.range, e.line, &e.key, &e.excerpt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Name, NodeId};
    use crate::inventory::{Event, File};

    /// What the order is, said in the simplest way.
    fn simply<R: Record>(rows: &mut [R]) {
        rows.sort_by(|a, b| {
            let key = |r: &R| R::TABLE.key.iter().map(|k| r.get(k)).collect::<Vec<_>>();
            (a.system(), key(a)).cmp(&(b.system(), key(b))).then_with(|| place(a.evidence()).cmp(&place(b.evidence())))
        });
    }

    #[test]
    fn paths_are_sorted_as_values_are() {
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let mut rows = Vec::new();
        for _ in 0..3000 {
            let mut path = b"/usr/share".to_vec();
            for _ in 0..next(4) {
                path.extend_from_slice(
                    [b"/".as_slice(), b"-", b"\0", b"long name", b"/usr/share", b"\xff"][next(6) as usize],
                );
            }
            let mut row = File { path: Name::from(path), deleted: next(2) == 0, ..File::default() };
            row.system = [None, Some(0), Some(1)].get(next(3) as usize).copied().flatten();
            row.evidence.node = NodeId { number: next(5), generation: 0 };
            row.size = rows.len() as u64;
            rows.push(row);
        }
        let mut expected = rows.clone();
        simply(&mut expected);
        sort(&mut rows);
        assert!(rows == expected);
    }

    #[test]
    fn of_equal_beginnings_the_rest_decides() {
        let times = [Some(5), None, Some(-3), Some(5), Some(0)];
        let event = |at: Option<i64>| Event {
            kind: "sshd-accepted".into(),
            time: at.map(crate::base::Time::seconds),
            ..Event::default()
        };
        let mut rows: Vec<Event> = times.into_iter().map(event).collect();
        let mut expected = rows.clone();
        simply(&mut expected);
        sort(&mut rows);
        assert!(rows == expected);
    }
}
