//! The order of a table's rows: by system, key columns and place of the evidence, so that it does not depend on who
//! read first.
use super::record::Record;
use crate::base::Evidence;
use crate::base::order::{arrange, by_bytes};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Sorts a whole table.
pub(super) fn sort<R: Record>(rows: &mut [R]) {
    let order = order(rows);
    arrange(rows, order);
}

/// The rows' numbers in their order.
fn order<R: Record>(rows: &[R]) -> Vec<usize> {
    let mut systems: BTreeMap<Option<u32>, Vec<(usize, &[u8])>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(bytes) = row.first_key() else {
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by(|a, b| whole(rows, *a, *b));
            return order;
        };
        systems.entry(row.system()).or_default().push((at, bytes));
    }
    systems.into_values().flat_map(|some| by_bytes(some.into_iter(), &|a, b| whole(rows, a, b))).collect()
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
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
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
