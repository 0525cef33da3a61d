//! The volume with sectors laid over it that exist in memory alone: what the replay of a log makes.
use super::raw::size;
use crate::base::{Piece, PieceKind, Run};
use crate::image::{ReadAt, ReadError, Source};
use std::collections::BTreeMap;

/// Bytes of a sector of the log's addresses.
pub(super) const SECTOR: u64 = 512;

/// A sector, and the byte of the volume (in the log) that it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sector {
    pub(super) bytes: Box<[u8; 512]>,
    pub(super) from: u64,
}

pub(super) struct Overlaid {
    pub(super) source: Source,
    /// By number.
    pub(super) sectors: BTreeMap<u64, Sector>,
}

impl Overlaid {
    /// Fills `buf` from a byte of the volume on, as if it had been written there.
    fn lay_over(&self, offset: u64, buf: &mut [u8]) {
        let end = offset.saturating_add(buf.len() as u64);
        for (number, sector) in self.sectors.range(offset / SECTOR..end.div_ceil(SECTOR)) {
            let start = number.saturating_mul(SECTOR);
            let (from, to) = (start.max(offset), start.saturating_add(SECTOR).min(end));
            let there = buf.get_mut(size(from.saturating_sub(offset))..size(to.saturating_sub(offset)));
            let here = sector.bytes.get(size(from.saturating_sub(start))..size(to.saturating_sub(start)));
            if let (Some(there), Some(here)) = (there, here) {
                there.copy_from_slice(here);
            }
        }
    }
}

impl ReadAt for Overlaid {
    fn len(&self) -> u64 {
        self.source.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let n = self.source.read_at(offset, buf)?;
        self.lay_over(offset, buf.get_mut(..n).unwrap_or_default());
        Ok(n)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out = Vec::new();
        let end = bytes.end().min(self.len());
        let mut at = bytes.offset;
        while at < end {
            let next = self.sectors.range(at / SECTOR..).next();
            let start = next.map_or(end, |(number, _)| number.saturating_mul(SECTOR)).min(end);
            if start > at {
                out.extend(self.source.locate(Run::new(at, start.saturating_sub(at))));
                at = start;
                continue;
            }
            let Some((number, sector)) = next else { break };
            let len = number.saturating_add(1).saturating_mul(SECTOR).min(end).saturating_sub(at);
            let place = self.source.locate(Run::new(sector.from, 1)).first().copied();
            out.push(match place {
                Some(piece) => Piece { len, kind: PieceKind::Decoded, ..piece },
                None => crate::fs::extents::absent(len),
            });
            at = at.saturating_add(len);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;

    #[test]
    fn sectors_lie_over_the_volume() {
        let sector = Sector { bytes: Box::new([7; 512]), from: 0 };
        let over = Overlaid { source: Arc::new(vec![1; 4096]), sectors: BTreeMap::from([(2, sector)]) };
        let mut buf = vec![0; 2000];
        assert_eq!(over.read_at(1000, &mut buf), Ok(2000));
        let expected: Vec<u8> = (1000..3000).map(|at| if (1024..1536).contains(&at) { 7 } else { 1 }).collect();
        assert_eq!(buf, expected);
        let pieces: Vec<_> = over.locate(Run::new(1000, 1000)).iter().map(|p| (p.len, p.offset)).collect();
        assert_eq!(pieces, [(24, 1000), (512, 0), (464, 1536)]);
        assert_eq!(over.read_at(4090, &mut [0; 20]), Ok(6));
    }
}
