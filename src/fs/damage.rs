//! Damage that does not stop a reader. Repetitions are merged: one gap for all places of a stretch
//! of the volume with the same fault, its count growing, so that a ledger stays readable.
use crate::base::{Gap, Gaps};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// Places remembered per merged gap; further ones are "more".
const MAX_PLACES: usize = 8192;
/// Numbers written out in a merged gap.
const MAX_NAMED: usize = 8;

pub(super) struct Damage {
    gaps: Gaps,
    by: &'static str,
    unit: Unit,
    merged: Mutex<BTreeMap<(&'static str, u64), Merged>>,
}

/// What the numbers count, and which of them are told together.
pub(super) struct Unit {
    /// `inodes`, `entries`.
    pub many: &'static str,
    /// What a lone number is called where it is not an inode's; empty where the number says nothing.
    pub one: &'static str,
    /// The lowest number.
    pub first: u64,
    /// Numbers whose equal faults are one gap; not 0.
    pub stretch: u64,
    /// What a stretch is called, if it has a name.
    pub within: &'static str,
    pub is_inode: bool,
}

#[derive(Default)]
struct Merged {
    /// The number, and the byte of the volume.
    places: BTreeSet<(u64, u64)>,
    /// Those of gaps that were taken before, so that none is told twice.
    taken: BTreeSet<(u64, u64)>,
    numbers: BTreeSet<u64>,
    bytes: u64,
    more: bool,
    gap: Option<Gap>,
}

impl Damage {
    /// `by` is the reader's name in gaps; faults of `stretch` numbers (not 0) become one gap.
    pub(super) fn new(gaps: Gaps, by: &'static str, unit: &'static str, stretch: u64) -> Self {
        Self::of(gaps, by, Unit { many: unit, one: "", first: 0, stretch, within: "", is_inode: true })
    }
    pub(super) fn of(gaps: Gaps, by: &'static str, unit: Unit) -> Self {
        Self { gaps, by, unit, merged: Mutex::default() }
    }
    /// Something that happens once.
    pub(super) fn once(&self, volume_offset: u64, what: impl std::fmt::Display, bytes: u64) {
        self.gaps.add_at(self.by, "volume_offset", volume_offset, what, bytes);
    }
    /// One more place with the fault `what`, in what belongs to a number; `bytes` of evidence are
    /// lost there. A place that was noted before is not counted again.
    pub(super) fn note(&self, what: &'static str, number: u64, volume_offset: u64, bytes: u64) {
        let mut all = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        let scope = number.saturating_sub(self.unit.first) / self.unit.stretch.max(1);
        let merged = all.entry((what, scope)).or_default();
        let place = (number, volume_offset);
        if merged.more || merged.places.contains(&place) || merged.taken.contains(&place) {
            return;
        }
        // What was taken from the ledger is told; further places are a gap of their own.
        if merged.gap.as_ref().is_some_and(|gap| !self.gaps.holds(gap)) {
            let taken = std::mem::take(merged);
            merged.taken = taken.taken;
            merged.taken.extend(taken.places);
        }
        if merged.places.len().saturating_add(merged.taken.len()) >= MAX_PLACES {
            merged.more = true;
        } else {
            merged.places.insert(place);
            merged.numbers.insert(number);
            merged.bytes = merged.bytes.saturating_add(bytes);
        }
        let gap = merged.describe(self, what, scope);
        match merged.gap.replace(gap.clone()) {
            Some(old) => self.gaps.replace(&old, gap),
            None => self.gaps.push(gap),
        }
    }
}

impl Merged {
    fn describe(&self, all: &Damage, what: &str, scope: u64) -> Gap {
        let (first, offset) = self.places.first().copied().unwrap_or_default();
        let (numbers, unit) = (&self.numbers, &all.unit);
        let mut text = what.to_owned();
        if numbers.len() > 1 {
            let named: Vec<String> = numbers.iter().take(MAX_NAMED).map(u64::to_string).collect();
            let _ = write!(text, " ({} {}: {}", numbers.len(), unit.many, named.join(", "));
            if numbers.len() > MAX_NAMED {
                let _ = write!(text, " … {}", numbers.last().copied().unwrap_or_default());
            }
            if !unit.within.is_empty() {
                let _ = write!(text, "; all in {} {scope}", unit.within);
            }
            text.push(')');
        } else if !unit.one.is_empty() {
            let _ = write!(text, " ({} {first})", unit.one);
        }
        if self.places.len() > numbers.len() {
            let _ = write!(text, "; {} places", self.places.len());
        }
        if self.more {
            text.push_str("; and more");
        }
        let at = all.gaps.at(|p| {
            p.offset = Some(("volume_offset".to_owned(), offset));
            p.inode = unit.is_inode.then_some(first);
        });
        Gap { at: at.here().clone(), by: all.by.to_owned(), what: text, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_flood_is_one_gap_with_its_count() {
        let gaps = Gaps::default();
        let damage = Damage::new(gaps.clone(), "fs.test", "records", 1024);
        for n in (0..1000).rev() {
            damage.note("differs", n, n * 1024, 10);
            damage.note("differs", n, n * 1024, 10);
        }
        let all = gaps.take();
        assert_eq!(all.len(), 1);
        let gap = all.first().unwrap();
        assert_eq!(gap.bytes, 10_000);
        assert_eq!(gap.at.to_string(), "inode 0, volume_offset 0");
        assert_eq!(gap.what, "differs (1000 records: 0, 1, 2, 3, 4, 5, 6, 7 … 999)");
    }
    #[test]
    fn what_is_met_after_a_ledger_was_taken_is_a_gap_of_its_own() {
        let gaps = Gaps::default();
        let damage = Damage::new(gaps.clone(), "fs.test", "records", 1024);
        damage.note("differs", 1, 1024, 10);
        damage.note("differs", 2, 2048, 10);
        assert_eq!(gaps.take().first().unwrap().what, "differs (2 records: 1, 2)");
        damage.note("differs", 2, 2048, 10);
        assert_eq!(gaps.take(), []);
        damage.note("differs", 3, 3072, 10);
        let after = gaps.take();
        assert_eq!(after.len(), 1);
        assert_eq!((after.first().unwrap().what.as_str(), after.first().unwrap().bytes), ("differs", 10));
    }
}
