//! Where the bytes of each image went: what volumes claim, laid over one another and counted once.
use crate::base::{PieceKind, Run};
use crate::image::Source;
use crate::inventory::BytesRead;

/// What became of a run. Where claims overlap the strongest counts; what nobody claims is unallocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Zero,
    Unparsed,
    Encrypted,
    Read,
}
const STRONGEST_FIRST: [Class; 4] = [Class::Read, Class::Encrypted, Class::Unparsed, Class::Zero];

/// Claims on the bytes of all images.
#[derive(Default)]
pub(super) struct Claims(Vec<(u32, Class, Run)>);

impl Claims {
    /// Claims a run of a source, wherever in the images it lies.
    pub(super) fn add(&mut self, source: &Source, run: Run, class: Class) {
        for piece in source.locate(run) {
            if matches!(piece.kind, PieceKind::Stored | PieceKind::Decoded) {
                self.0.push((piece.image, class, Run::new(piece.offset, piece.len)));
            }
        }
    }

    /// The account of an image of `size` bytes; its sum is `size`.
    pub(super) fn settle(&self, image: u32, size: u64) -> BytesRead {
        let mut count = [0_u64; 4];
        // Bytes covered by this class or a stronger one: a class counts what it adds.
        let mut stronger = 0_u64;
        for (n, count) in count.iter_mut().enumerate() {
            let classes = STRONGEST_FIRST.get(..=n).unwrap_or_default();
            let of_image = self.0.iter().filter(|(i, class, _)| *i == image && classes.contains(class));
            let covered = covered(of_image.map(|(_, _, run)| *run).collect(), size);
            *count = covered.saturating_sub(stronger);
            stronger = covered;
        }
        let [read, encrypted, unparsed, zero] = count;
        BytesRead { read, encrypted, unparsed, zero, unreadable: 0, unallocated: size.saturating_sub(stronger) }
    }
}

/// How many bytes below `size` the runs cover together.
fn covered(mut runs: Vec<Run>, size: u64) -> u64 {
    runs.sort_unstable();
    let (mut sum, mut reach) = (0_u64, 0_u64);
    for run in runs {
        let (from, to) = (run.offset.max(reach), run.end().min(size));
        sum = sum.saturating_add(to.saturating_sub(from));
        reach = reach.max(to);
    }
    sum
}

/// What `holes` leave of a source of `len` bytes, in order.
pub(super) fn without(len: u64, mut holes: Vec<Run>) -> Vec<Run> {
    holes.sort_unstable();
    let mut left = Vec::with_capacity(holes.len().saturating_add(1));
    let mut at = 0;
    for hole in holes {
        if hole.offset.min(len) > at {
            left.push(Run::new(at, hole.offset.min(len).saturating_sub(at)));
        }
        at = at.max(hole.end());
    }
    if at < len {
        left.push(Run::new(at, len.saturating_sub(at)));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_once() {
        let run = Run::new;
        assert_eq!(
            without(100, vec![run(50, 10), run(10, 5), run(12, 20), run(90, 40)]),
            [run(0, 10), run(32, 18), run(60, 30)]
        );
        assert_eq!(without(10, vec![run(0, 10)]), []);
        let claims = Claims(vec![
            (0, Class::Unparsed, run(0, 50)),
            (0, Class::Read, run(10, 20)),
            (0, Class::Read, run(20, 20)),
            (0, Class::Encrypted, run(45, 10)),
            (0, Class::Zero, run(90, 30)),
            (1, Class::Read, run(0, 100)),
        ]);
        let bytes = claims.settle(0, 100);
        let expected = BytesRead { read: 30, encrypted: 10, unparsed: 15, zero: 10, unreadable: 0, unallocated: 35 };
        assert_eq!(bytes, expected);
    }
}
