//! What all contents of files together may cost. Holes, packed blocks and blocks that many files share let a megabyte
//! of evidence be terabytes of contents: the largest files are then listed only, and the smallest are read.
use super::flight::unhashed;
use crate::base::{Gap, Place};
use crate::evidence::Entry;

/// Why a file that was cut has no hash.
pub(super) const REASON: &str = "budget: bytes of contents";
/// Files that are told one by one.
const TOLD: u64 = 100;

/// Bytes that reading a file's content costs; none where it is not read for another reason.
pub(super) fn cost(entry: &Entry) -> u64 {
    let len = entry.len();
    let allocated = entry.stat.as_ref().map_or(len, |s| s.allocated);
    if entry.is_file() && unhashed(len, allocated).is_none() { len } else { 0 }
}

/// Which of these are not read, if `most` bytes are read in all: the largest; of equal ones the later.
pub(super) fn cut(costs: &[u64], most: u64) -> Vec<bool> {
    let mut is_cut = vec![false; costs.len()];
    let mut order: Vec<(u64, usize)> = costs.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut all = 0_u64;
    for (cost, index) in order {
        all = all.saturating_add(cost);
        if let Some(mark) = is_cut.get_mut(index).filter(|_| all > most && cost > 0) {
            *mark = true;
        }
    }
    is_cut
}

/// What was cut, as it is told.
pub(super) struct Cuts {
    most: u64,
    files: u64,
    /// Of those that are not told one by one.
    bytes: u64,
}

impl Cuts {
    pub(super) fn of(most: u64) -> Self {
        Self { most, files: 0, bytes: 0 }
    }
    /// The gap of a file, if it is told by itself.
    pub(super) fn gap(&mut self, entry: &Entry) -> Option<Gap> {
        self.files = self.files.saturating_add(1);
        if self.files > TOLD {
            self.bytes = self.bytes.saturating_add(entry.len());
            return None;
        }
        let at = Place {
            filesystem: Some(entry.fs),
            path: Some(entry.path.clone()),
            inode: Some(entry.node.number),
            ..Place::default()
        };
        let what = format!(
            "{REASON}: listed, not read; the images say that they hold far more than they have bytes, and of all contents \
             {} bytes are read, those of the smallest files",
            self.most
        );
        Some(Gap { at, by: "contents".into(), what, bytes: entry.len() })
    }
    /// The gap of all others, and the item that it belongs to.
    pub(super) fn rest(&self) -> Option<(u64, Gap)> {
        let more = self.files.checked_sub(TOLD).filter(|n| *n > 0)?;
        let what = format!("{REASON}: {more} further files are listed, not read");
        let gap = Gap { at: Place::default(), by: "contents".into(), what, bytes: self.bytes };
        Some((super::item_key(&("contents", REASON)), gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_cut() {
        assert_eq!(cut(&[5, 1, 9, 3], 18), [false; 4]);
        assert_eq!(cut(&[5, 1, 9, 3], 17), [false, false, true, false]);
        assert_eq!(cut(&[5, 1, 9, 3], 8), [true, false, true, false]);
        assert_eq!(cut(&[5, 1, 9, 3], 0), [true; 4]);
        assert_eq!(cut(&[0, 0], 0), [false; 2]);
    }
    #[test]
    fn of_equal_ones_the_later_are_cut() {
        assert_eq!(cut(&[4, 4, 4, 0], 8), [false, false, true, false]);
    }
    #[test]
    fn a_sum_beyond_all_numbers_is_one() {
        let half = u64::MAX / 2 + 1;
        assert_eq!(cut(&[half, 7, half, half], half + 7), [false, false, true, true]);
        assert_eq!(cut(&[half, 7, half], 7), [true, false, true]);
        assert_eq!(cut(&[u64::MAX, u64::MAX], 3), [true, true]);
    }
}
