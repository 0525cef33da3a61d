//! A disk put together from runs of other sources by a map: logical volumes, arrays, sparse containers.
//! A format only says where the bytes from an offset on lie; reading and provenance follow from that.
use super::{ReadAt, ReadError, Source};
use crate::base::{Piece, PieceKind, Run};

/// Where bytes lie. `len` is how many of them lie so, never 0; it may reach beyond what was asked.
pub enum Extent {
    Stored {
        source: Source,
        offset: u64,
        len: u64,
    },
    /// Zeros by definition.
    Hole {
        len: u64,
    },
    /// They cannot be had: why.
    Absent {
        len: u64,
        what: String,
    },
}
impl Extent {
    fn len(&self) -> u64 {
        match self {
            Self::Stored { len, .. } | Self::Hole { len } | Self::Absent { len, .. } => *len,
        }
    }
}

/// A map from the bytes of a disk to the sources that hold them.
pub trait Map: Send + Sync {
    /// Bytes of the disk.
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Where the bytes from `offset` on lie; asked for offsets below `len` only. An error is one of
    /// reading the map itself.
    fn at(&self, offset: u64) -> Result<Extent, ReadError>;
}

/// The disk that a [`Map`] describes.
pub struct Mapped<M>(pub M);

impl<M: Map> Mapped<M> {
    /// The extent at `offset`, cut to `end`.
    fn extent(&self, offset: u64, end: u64) -> Result<(Extent, u64), ReadError> {
        let extent = self.0.at(offset)?;
        let len = extent.len().min(end.saturating_sub(offset));
        if len == 0 {
            return Err(ReadError { offset, what: "the map of this volume has a hole in it".into() });
        }
        Ok((extent, len))
    }
}

impl<M: Map> ReadAt for Mapped<M> {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let end = offset.saturating_add(buf.len() as u64).min(self.0.len());
        let mut at = offset;
        while at < end {
            let (extent, len) = self.extent(at, end)?;
            let from = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
            let to = from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
            let Some(part) = buf.get_mut(from..to) else { break };
            match extent {
                Extent::Stored { source, offset: inside, .. } => {
                    let n = source.read_at(inside, part).map_err(|e| ReadError { offset: at, what: e.what })?;
                    if n < part.len() {
                        let what = format!("byte {} of what holds it does not exist", inside.saturating_add(n as u64));
                        return Err(ReadError { offset: at.saturating_add(n as u64), what });
                    }
                }
                Extent::Hole { .. } => part.fill(0),
                Extent::Absent { what, .. } => return Err(ReadError { offset: at, what }),
            }
            at = at.saturating_add(len);
        }
        Ok(usize::try_from(at.saturating_sub(offset)).unwrap_or(0))
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let end = bytes.end().min(self.0.len());
        let mut at = bytes.offset;
        let mut pieces: Vec<Piece> = Vec::new();
        let mut add = |piece: Piece| match pieces.last_mut() {
            Some(last) if follows(last, &piece) => last.len = last.len.saturating_add(piece.len),
            _ => pieces.push(piece),
        };
        while at < end {
            let absent = |len| Piece { image: 0, offset: 0, len, kind: PieceKind::Absent };
            let Ok((extent, len)) = self.extent(at, end) else {
                add(absent(end.saturating_sub(at)));
                break;
            };
            match extent {
                Extent::Stored { source, offset, .. } => {
                    super::pieces(&*source, Run::new(offset, len)).into_iter().for_each(&mut add);
                }
                Extent::Hole { .. } => add(Piece { image: 0, offset: 0, len, kind: PieceKind::Hole }),
                Extent::Absent { .. } => add(absent(len)),
            }
            at = at.saturating_add(len);
        }
        pieces
    }
}

/// Whether a piece goes on where the last one ended.
fn follows(last: &Piece, next: &Piece) -> bool {
    let adjacent = last.offset.saturating_add(last.len) == next.offset;
    last.kind == next.kind
        && match last.kind {
            PieceKind::Stored => last.image == next.image && adjacent,
            PieceKind::Hole | PieceKind::Absent => true,
            PieceKind::Decoded => false,
        }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::acquired::Acquired;
    use super::*;
    use std::sync::Arc;

    /// Two stripes of four bytes over two disks, a hole, and a disk that is missing.
    struct Stripes([Source; 2]);
    impl Map for Stripes {
        fn len(&self) -> u64 {
            28
        }
        fn at(&self, offset: u64) -> Result<Extent, ReadError> {
            let (row, inside) = (offset / 4, offset % 4);
            let len = 4 - inside;
            Ok(match row {
                0..=3 => {
                    let source = self.0.get(usize::try_from(row % 2).unwrap()).unwrap().clone();
                    Extent::Stored { source, offset: row / 2 * 4 + inside, len }
                }
                4 | 5 => Extent::Hole { len: 24 - offset },
                _ => Extent::Absent { len, what: "pv2 is missing".into() },
            })
        }
    }

    #[test]
    fn reads_and_leads_back() {
        let disk = |image, text: &[u8]| -> Source { Arc::new(Acquired { disk: Arc::new(text.to_vec()), image }) };
        let mapped = Mapped(Stripes([disk(0, b"abcdijkl"), disk(1, b"efghmnop")]));
        let mut buf = [9; 24];
        assert_eq!(mapped.read_at(0, &mut buf), Ok(24));
        assert_eq!(&buf, b"abcdefghijklmnop\0\0\0\0\0\0\0\0");
        let mut part = [0; 6];
        assert_eq!(mapped.read_at(2, &mut part), Ok(6));
        assert_eq!(&part, b"cdefgh");
        let lost = mapped.read_at(20, &mut [0; 6]).unwrap_err();
        assert_eq!((lost.offset, lost.what.as_str()), (24, "pv2 is missing"));
        assert_eq!(mapped.read_at(28, &mut [0; 6]), Ok(0));
        let pieces: Vec<_> =
            mapped.locate(Run::new(2, 99)).iter().map(|p| (p.image, p.offset, p.len, p.kind)).collect();
        use PieceKind::{Absent, Hole, Stored};
        let expected = [
            (0, 2, 2, Stored),
            (1, 0, 4, Stored),
            (0, 4, 4, Stored),
            (1, 4, 4, Stored),
            (0, 0, 8, Hole),
            (0, 0, 4, Absent),
        ];
        assert_eq!(pieces, expected);
    }
}
