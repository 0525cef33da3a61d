//! The decoded disk of one acquisition: where evidence is led back to. Offsets are the disk's own, whatever
//! container it came in, so the same disk gives the same evidence from eight containers.
use super::{ReadAt, ReadError, Source};
use crate::base::{Piece, PieceKind, Run};

pub(super) struct Acquired {
    pub disk: Source,
    /// Index of the image within the case.
    pub image: u32,
}

impl ReadAt for Acquired {
    fn len(&self) -> u64 {
        self.disk.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        self.disk.read_at(offset, buf)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let offset = bytes.offset.min(self.len());
        let len = bytes.len.min(self.len().saturating_sub(offset));
        vec![Piece { image: self.image, offset, len, kind: PieceKind::Stored }]
    }
}
