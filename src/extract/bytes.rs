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

/// What bytes are that nothing interprets. A part of what is unparsed or unallocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    Erased,
    Dense,
}

/// Claims on the bytes of all images.
#[derive(Default)]
pub(super) struct Claims {
    list: Vec<(u32, Class, Run)>,
    fillings: Vec<(u32, Filling, Run)>,
}

impl Claims {
    /// Claims a run of a source, wherever in the images it lies.
    pub(super) fn add(&mut self, source: &Source, run: Run, class: Class) {
        self.list.extend(places(source, run).map(|(image, run)| (image, class, run)));
    }
    /// Notes what fills a run of a source.
    pub(super) fn note(&mut self, source: &Source, run: Run, filling: Filling) {
        self.fillings.extend(places(source, run).map(|(image, run)| (image, filling, run)));
    }

    /// The account of an image of `size` bytes; its sum is `size`.
    pub(super) fn settle(&self, image: u32, size: u64) -> BytesRead {
        let mut count = [0_u64; 4];
        // Bytes covered by this class or a stronger one: a class counts what it adds.
        let mut stronger = 0_u64;
        for (n, count) in count.iter_mut().enumerate() {
            let classes = STRONGEST_FIRST.get(..=n).unwrap_or_default();
            let of_image = self.list.iter().filter(|(i, class, _)| *i == image && classes.contains(class));
            let covered = covered(of_image.map(|(_, _, run)| *run).collect(), size);
            *count = covered.saturating_sub(stronger);
            stronger = covered;
        }
        let [read, encrypted, unparsed, zero] = count;
        let unallocated = size.saturating_sub(stronger);
        let [erased, dense] = [Filling::Erased, Filling::Dense].map(|filling| self.filled(image, size, filling));
        BytesRead { read, encrypted, unparsed, zero, unreadable: 0, unallocated, erased, dense }
    }
    /// Bytes that are so filled and in nothing that is read or encrypted.
    fn filled(&self, image: u32, size: u64, filling: Filling) -> u64 {
        let known =
            self.list.iter().filter(|(i, class, _)| *i == image && matches!(class, Class::Read | Class::Encrypted));
        let mut runs: Vec<Run> = known.map(|(_, _, run)| *run).collect();
        let before = covered(runs.clone(), size);
        runs.extend(self.fillings.iter().filter(|(i, f, _)| *i == image && *f == filling).map(|(_, _, run)| *run));
        covered(runs, size).saturating_sub(before)
    }
}

/// Where in the images a run's bytes lie.
fn places(source: &Source, run: Run) -> impl Iterator<Item = (u32, Run)> {
    let stored = source.locate(run).into_iter().filter(|p| matches!(p.kind, PieceKind::Stored | PieceKind::Decoded));
    stored.map(|p| (p.image, Run::new(p.offset, p.len)))
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
        let list = vec![
            (0, Class::Unparsed, run(0, 50)),
            (0, Class::Read, run(10, 20)),
            (0, Class::Read, run(20, 20)),
            (0, Class::Encrypted, run(45, 10)),
            (0, Class::Zero, run(90, 30)),
            (1, Class::Read, run(0, 100)),
        ];
        let fillings =
            vec![(0, Filling::Erased, run(35, 20)), (0, Filling::Dense, run(60, 5)), (1, Filling::Dense, run(0, 9))];
        let claims = Claims { list, fillings };
        let bytes = claims.settle(0, 100);
        let expected = BytesRead {
            read: 30,
            encrypted: 10,
            unparsed: 15,
            zero: 10,
            unreadable: 0,
            unallocated: 35,
            erased: 5,
            dense: 5,
        };
        assert_eq!(bytes, expected);
    }
}
