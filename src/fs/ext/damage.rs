//! Damage that does not stop the reader. Repetitions are merged: one gap for all inodes of a block
//! group (or all groups) with the same fault, its count growing, so that a ledger stays readable.
use crate::base::{Gap, Gaps};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// The reader's name in gaps.
pub(super) const BY: &str = "fs.ext";
/// Places remembered per merged gap; further ones are "more".
const MAX_PLACES: usize = 8192;
/// Numbers written out in a merged gap.
const MAX_NAMED: usize = 4;

/// What a damaged place belongs to, and with what it is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Merged with the other inodes of its block group.
    Inode(u32),
    /// Merged with all other groups.
    Group(u32),
    /// A block of the journal, merged with the others.
    Journal,
}

pub(super) struct Damage {
    gaps: Gaps,
    inodes_per_group: u32,
    merged: Mutex<BTreeMap<(&'static str, u64), Merged>>,
}

#[derive(Default)]
struct Merged {
    /// Number of the inode or group, and the byte of the volume.
    places: BTreeSet<(u32, u64)>,
    numbers: BTreeSet<u32>,
    bytes: u64,
    more: bool,
    gap: Option<Gap>,
}

impl Damage {
    pub(super) fn new(gaps: Gaps, inodes_per_group: u32) -> Self {
        Self { gaps, inodes_per_group: inodes_per_group.max(1), merged: Mutex::default() }
    }
    /// Something that happens once.
    pub(super) fn once(&self, volume_offset: u64, what: impl std::fmt::Display, bytes: u64) {
        self.gaps.add_at(BY, "volume_offset", volume_offset, what, bytes);
    }
    /// One more place with the fault `what`; `bytes` of evidence are lost there. A place that was
    /// noted before is not counted again.
    pub(super) fn note(&self, what: &'static str, of: Of, volume_offset: u64, bytes: u64) {
        let (number, scope) = match of {
            Of::Inode(n) => (n, u64::from(n.saturating_sub(1) / self.inodes_per_group)),
            Of::Group(n) => (n, u64::MAX),
            Of::Journal => (0, u64::MAX),
        };
        let mut all = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = all.entry((what, scope)).or_default();
        if merged.places.contains(&(number, volume_offset)) || merged.more {
            return;
        }
        if merged.places.len() >= MAX_PLACES {
            merged.more = true;
        } else {
            merged.places.insert((number, volume_offset));
            merged.numbers.insert(number);
            merged.bytes = merged.bytes.saturating_add(bytes);
        }
        let gap = merged.describe(&self.gaps, what, of, scope);
        match merged.gap.replace(gap.clone()) {
            Some(old) => self.gaps.replace(&old, gap),
            None => self.gaps.push(gap),
        }
    }
}

impl Merged {
    fn describe(&self, gaps: &Gaps, what: &str, of: Of, scope: u64) -> Gap {
        let (first, offset) = self.places.first().copied().unwrap_or_default();
        let mut text = what.to_owned();
        let (places, numbers) = (self.places.len(), self.numbers.len());
        let unit = match of {
            Of::Inode(_) => "inodes",
            Of::Group(_) => "block groups",
            Of::Journal => "blocks",
        };
        if numbers > 1 {
            let named: Vec<String> = self.numbers.iter().take(MAX_NAMED).map(u32::to_string).collect();
            let _ = write!(text, " ({numbers} {unit}: {}", named.join(", "));
            if numbers > MAX_NAMED {
                let _ = write!(text, " … {}", self.numbers.last().copied().unwrap_or_default());
            }
            if let Of::Inode(_) = of {
                let _ = write!(text, "; all in block group {scope}");
            }
            text.push(')');
        } else if let Of::Group(n) = of {
            let _ = write!(text, " (block group {n})");
        }
        if places > numbers {
            let _ = write!(text, "; {places} places");
        }
        if self.more {
            text.push_str("; and more");
        }
        let at = gaps
            .at(|p| {
                p.offset = Some(("volume_offset".to_owned(), offset));
                if let Of::Inode(_) = of {
                    p.inode = Some(u64::from(first));
                }
            })
            .here()
            .clone();
        Gap { at, by: BY.to_owned(), what: text, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn repetitions_become_one_gap_whatever_their_order() {
        let text = |order: &[u32]| {
            let gaps = Gaps::default();
            let damage = Damage::new(gaps.clone(), 100);
            for n in order {
                damage.note("checksum differs", Of::Inode(*n), u64::from(*n) * 256, 256);
            }
            gaps.take().into_iter().map(|g| format!("{}: {} ({})", g.at, g.what, g.bytes)).collect::<Vec<_>>()
        };
        let up = text(&[3, 4, 5, 6, 7, 8, 8, 201]);
        assert_eq!(
            up.first().unwrap(),
            "inode 3, volume_offset 768: checksum differs (6 inodes: 3, 4, 5, 6 … 8; all in block group 0) (1536)"
        );
        assert_eq!(up.len(), 2);
        assert_eq!(text(&[8, 5, 3, 7, 201, 4, 6]), up);
    }
    #[test]
    fn a_flood_stays_one_gap() {
        let gaps = Gaps::default();
        let damage = Damage::new(gaps.clone(), u32::MAX);
        for n in 0..20_000 {
            damage.note("x", Of::Group(n), u64::from(n), 1);
        }
        let all = gaps.take();
        assert_eq!(all.len(), 1);
        assert!(all.first().unwrap().what.ends_with("and more"));
    }
}
