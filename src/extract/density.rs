//! What the bytes are that nothing interprets: zero, erased flash, or dense. Dense is a block in which all values of
//! a byte stand about as often: what encryption gives, and compression.
use crate::base::{Gaps, Run, is_zero};
use crate::image::Source;

/// Bytes that are weighed together.
pub(super) const BLOCK: usize = 4096;
/// Shorter dense runs are counted but not told: programs hold tables of that kind.
const TOLD: u64 = 64 << 10;
/// Dense runs of one volume that are told one by one.
const MAX_TOLD: usize = 100;
/// The sum of the squared counts of all values in a block. Evenly random bytes give 69,616 with a deviation of
/// some 360; programs and text give more than 120,000.
const EVEN: u64 = 78_000;
/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// Runs of whole blocks, by what they are.
#[derive(Default)]
pub(super) struct Densities {
    pub(super) zero: Vec<Run>,
    /// 0xFF.
    pub(super) erased: Vec<Run>,
    pub(super) dense: Vec<Run>,
}

impl Densities {
    /// Weighs the blocks of a window that begins at byte `at`.
    pub(super) fn note(&mut self, window: &[u8], at: u64) {
        let mut offset = at;
        for block in window.chunks(BLOCK) {
            let run = Run::new(offset, block.len() as u64);
            offset = run.end();
            let runs = match block.first() {
                Some(0) if is_zero(block) => &mut self.zero,
                Some(0xff) if block.iter().all(|b| *b == 0xff) => &mut self.erased,
                _ if block.len() == BLOCK && is_dense(block) => &mut self.dense,
                _ => continue,
            };
            match runs.last_mut() {
                Some(last) if last.end() == run.offset => last.len = last.len.saturating_add(run.len),
                _ => runs.push(run),
            }
        }
    }
    /// Notes a run of a hole: zeros that need not be read.
    pub(super) fn hole(&mut self, run: Run) {
        match self.zero.last_mut() {
            Some(last) if last.end() == run.offset => last.len = last.len.saturating_add(run.len),
            _ => self.zero.push(run),
        }
    }
    /// Weighs up to `most` bytes of a source; gives how many could be read.
    pub(super) fn weigh(&mut self, source: &Source, most: u64) -> u64 {
        let end = source.len().min(most);
        let mut buf = vec![0; CHUNK];
        let (mut at, mut read) = (0_u64, 0_u64);
        while at < end {
            if let Ok(n) = source.read_at(at, &mut buf) {
                let n = n.min(usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX));
                self.note(buf.get(..n).unwrap_or_default(), at);
                read = read.saturating_add(n as u64);
            }
            at = at.saturating_add(CHUNK as u64);
        }
        read
    }
    /// A gap for every long dense run outside of `covered`.
    pub(super) fn tell(&self, covered: &[Run], gaps: &Gaps) {
        let left = self.dense.iter().flat_map(|run| outside(*run, covered)).filter(|run| run.len >= TOLD);
        let left: Vec<Run> = left.collect();
        for run in left.iter().take(MAX_TOLD) {
            let what = format!(
                "{} bytes are as dense as encrypted or compressed data and have no signature (bytes {} to {})",
                run.len,
                run.offset,
                run.end()
            );
            gaps.add_at("volume", "volume_offset", run.offset, what, run.len);
        }
        if let Some(more) = left.get(MAX_TOLD..).filter(|m| !m.is_empty()) {
            let bytes = more.iter().fold(0_u64, |sum, run| sum.saturating_add(run.len));
            gaps.add("volume", format!("{} further areas of dense bytes without a signature", more.len()), bytes);
        }
    }
}

/// What `covered` leaves of a run.
fn outside(run: Run, covered: &[Run]) -> Vec<Run> {
    let within = covered.iter().filter(|c| c.offset < run.end() && c.end() > run.offset);
    let holes = within.map(|c| {
        let from = c.offset.max(run.offset).saturating_sub(run.offset);
        Run::new(from, c.end().min(run.end()).saturating_sub(run.offset).saturating_sub(from))
    });
    let left = super::bytes::without(run.len, holes.collect());
    left.into_iter().map(|r| Run::new(r.offset.saturating_add(run.offset), r.len)).collect()
}

fn is_dense(block: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for byte in block {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.wrapping_add(1);
        }
    }
    let sum: u64 = counts.iter().map(|c| u64::from(*c) * u64::from(*c)).sum();
    sum <= EVEN
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::try_from(state >> 56).unwrap()
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn every_kind_is_weighed_by_blocks() {
        let text = b"The quick brown crane lifts a container. ".repeat(400);
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut bytes = [noise(100 << 10), vec![0; 8192], vec![0xff; 12 << 10], noise(32 << 10)].concat();
        bytes.extend(text.get(..16_384).unwrap());
        bytes.extend(noise(80 << 10));
        let mut all = Densities::default();
        let source: Source = std::sync::Arc::new(bytes.clone());
        assert_eq!(all.weigh(&source, u64::MAX), bytes.len() as u64);
        let run = |kib: u64, len: u64| Run::new(kib << 10, len << 10);
        assert_eq!(all.dense, [run(0, 100), run(120, 32), run(168, 80)]);
        assert_eq!((all.zero.clone(), all.erased.clone()), (vec![run(100, 8)], vec![run(108, 12)]));
        let gaps = Gaps::default();
        all.tell(&[run(0, 20)], &gaps);
        let said: Vec<_> = gaps.take().into_iter().map(|g| (g.at.offset.unwrap().1, g.bytes)).collect();
        assert_eq!(said, [(20 << 10, 80 << 10), (168 << 10, 80 << 10)]);
        let mut code = Densities::default();
        code.note(program.get(..4 << 20).unwrap(), 0);
        let dense: u64 = code.dense.iter().map(|r| r.len).sum();
        assert!(dense < 1 << 20, "{dense} bytes of a program are dense");
    }
}
