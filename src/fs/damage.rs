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
    /// What the numbers count: `inodes`, `entries`.
    unit: &'static str,
    /// Numbers whose equal faults are one gap.
    stretch: u64,
    merged: Mutex<BTreeMap<(&'static str, u64), Merged>>,
}

#[derive(Default)]
struct Merged {
    /// The number, and the byte of the volume.
    places: BTreeSet<(u64, u64)>,
    numbers: BTreeSet<u64>,
    bytes: u64,
    more: bool,
    gap: Option<Gap>,
}

impl Damage {
    /// `by` is the reader's name in gaps; faults of `stretch` numbers (not 0) become one gap.
    pub(super) fn new(gaps: Gaps, by: &'static str, unit: &'static str, stretch: u64) -> Self {
        Self { gaps, by, unit, stretch: stretch.max(1), merged: Mutex::default() }
    }
    /// Something that happens once.
    pub(super) fn once(&self, volume_offset: u64, what: impl std::fmt::Display, bytes: u64) {
        self.gaps.add_at(self.by, "volume_offset", volume_offset, what, bytes);
    }
    /// One more place with the fault `what`, in what belongs to a number; `bytes` of evidence are
    /// lost there. A place that was noted before is not counted again.
    pub(super) fn note(&self, what: &'static str, number: u64, volume_offset: u64, bytes: u64) {
        let mut all = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = all.entry((what, number / self.stretch)).or_default();
        if merged.more || merged.places.contains(&(number, volume_offset)) {
            return;
        }
        if merged.places.len() >= MAX_PLACES {
            merged.more = true;
        } else {
            merged.places.insert((number, volume_offset));
            merged.numbers.insert(number);
            merged.bytes = merged.bytes.saturating_add(bytes);
        }
        let gap = merged.describe(self, what);
        match merged.gap.replace(gap.clone()) {
            Some(old) => self.gaps.replace(&old, gap),
            None => self.gaps.push(gap),
        }
    }
}

impl Merged {
    fn describe(&self, all: &Damage, what: &str) -> Gap {
        let (first, offset) = self.places.first().copied().unwrap_or_default();
        let numbers = &self.numbers;
        let mut text = what.to_owned();
        if numbers.len() > 1 {
            let named: Vec<String> = numbers.iter().take(MAX_NAMED).map(u64::to_string).collect();
            let _ = write!(text, " ({} {}: {}", numbers.len(), all.unit, named.join(", "));
            if numbers.len() > MAX_NAMED {
                let _ = write!(text, " … {}", numbers.last().copied().unwrap_or_default());
            }
            text.push(')');
        }
        if self.places.len() > numbers.len() {
            let _ = write!(text, "; {} places", self.places.len());
        }
        if self.more {
            text.push_str("; and more");
        }
        let at = all.gaps.at(|p| {
            p.offset = Some(("volume_offset".to_owned(), offset));
            p.inode = Some(first);
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
}
