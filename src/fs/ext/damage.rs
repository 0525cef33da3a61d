//! Damage that does not stop the reader, merged over the inodes of a block group, over all groups, over the journal.
use crate::base::Gaps;
use crate::fs::damage::{Damage as Merging, Unit};

/// The reader's name in gaps.
pub(super) const BY: &str = "fs.ext";

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
    inodes: Merging,
    groups: Merging,
    journal: Merging,
}

impl Damage {
    pub(super) fn new(gaps: &Gaps, inodes_per_group: u32) -> Self {
        let stretch = u64::from(inodes_per_group.max(1));
        let unit = Unit { many: "inodes", one: "", first: 1, stretch, within: "block group", is_inode: true };
        let all = |many, one| Unit { many, one, first: 0, stretch: u64::MAX, within: "", is_inode: false };
        Self {
            inodes: Merging::of(gaps.clone(), BY, unit),
            groups: Merging::of(gaps.clone(), BY, all("block groups", "block group")),
            journal: Merging::of(gaps.clone(), BY, all("blocks", "")),
        }
    }
    /// Something that happens once.
    pub(super) fn once(&self, volume_offset: u64, what: impl std::fmt::Display, bytes: u64) {
        self.inodes.once(volume_offset, what, bytes);
    }
    /// One more place with the fault `what`; `bytes` of evidence are lost there. A place that was
    /// noted before is not counted again.
    pub(super) fn note(&self, what: &'static str, of: Of, volume_offset: u64, bytes: u64) {
        match of {
            Of::Inode(n) => self.inodes.note(what, u64::from(n), volume_offset, bytes),
            Of::Group(n) => self.groups.note(what, u64::from(n), volume_offset, bytes),
            Of::Journal => self.journal.note(what, 0, volume_offset, bytes),
        }
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
            let damage = Damage::new(&gaps, 100);
            for n in order {
                damage.note("checksum differs", Of::Inode(*n), u64::from(*n) * 256, 256);
            }
            gaps.take().into_iter().map(|g| format!("{}: {} ({})", g.at, g.what, g.bytes)).collect::<Vec<_>>()
        };
        let up = text(&[3, 4, 5, 6, 7, 8, 8, 100, 201]);
        assert_eq!(
            up.first().unwrap(),
            "inode 3, volume_offset 768: checksum differs (7 inodes: 3, 4, 5, 6, 7, 8, 100; all in block group 0) (1792)"
        );
        assert_eq!(up.len(), 2);
        assert_eq!(text(&[8, 5, 3, 7, 100, 201, 4, 6]), up);
    }
    #[test]
    fn a_lone_group_is_named_and_a_flood_stays_one_gap() {
        let gaps = Gaps::default();
        let damage = Damage::new(&gaps, u32::MAX);
        damage.note("x", Of::Group(7), 7, 1);
        assert_eq!(gaps.take().first().unwrap().what, "x (block group 7)");
        for n in 0..20_000 {
            damage.note("x", Of::Group(n), u64::from(n), 1);
        }
        let all = gaps.take();
        assert_eq!(all.len(), 1);
        assert!(all.first().unwrap().what.ends_with("and more"));
        damage.note("a block is gone", Of::Journal, 4096, 1024);
        assert_eq!(gaps.take().first().unwrap().what, "a block is gone");
    }
}
