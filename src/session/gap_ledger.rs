//! The gaps of an examination, each once, however often workers tell it; beyond a limit they are counted.
//! Which are kept does not depend on the order in which they come.
use crate::base::{Gap, Place};
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Gaps kept one by one; beyond that they are counted.
const MAX_GAPS: usize = 100_000;
/// How far they are counted.
const MAX_COUNT: usize = 1_000_000;

pub(super) struct GapLedger {
    kept: BTreeSet<Gap>,
    room: usize,
    /// Hashes of those that are not kept.
    beyond: HashSet<u64>,
}
impl Default for GapLedger {
    fn default() -> Self {
        Self { kept: BTreeSet::new(), room: MAX_GAPS, beyond: HashSet::new() }
    }
}
impl GapLedger {
    pub(super) fn add(&mut self, gaps: impl IntoIterator<Item = Gap>) {
        for gap in gaps {
            self.kept.insert(gap);
            if self.kept.len() > self.room
                && let Some(last) = self.kept.pop_last()
                && self.beyond.len() < MAX_COUNT
            {
                let mut hash = DefaultHasher::new();
                last.hash(&mut hash);
                self.beyond.insert(hash.finish());
            }
        }
    }
    /// All of them, sorted.
    pub(super) fn list(&self) -> Vec<Gap> {
        let mut all: Vec<Gap> = self.kept.iter().cloned().collect();
        let more = match self.beyond.len() {
            0 => return all,
            MAX_COUNT => format!("{MAX_COUNT} or more"),
            n => n.to_string(),
        };
        let what = format!("{more} further gaps are not listed one by one");
        all.push(Gap { at: Place::default(), by: "session".into(), what, bytes: 0 });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        let gap = |n: u64| Gap { at: Place::default(), by: "x".into(), what: String::new(), bytes: n };
        let of = |numbers: &[u64]| {
            let mut ledger = GapLedger { room: 3, ..GapLedger::default() };
            ledger.add(numbers.iter().map(|n| gap(*n)));
            ledger.list()
        };
        let first = of(&[1, 2, 3, 4, 5]);
        assert_eq!(first.len(), 4);
        assert!(first.last().is_some_and(|g| g.what.starts_with("2 further gaps")), "{first:?}");
        assert_eq!(of(&[5, 4, 3, 2, 1, 5, 4, 1]), first);
        assert_eq!(of(&[3, 3, 3]), [gap(3)]);
    }
}
