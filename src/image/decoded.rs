//! Bytes that come out of a decoder block by block: whole blocks straight into the reader's buffer, parts of
//! one through a bounded cache, by any number of threads at once.
use super::cache::Cache;
use super::{ReadAt, ReadError};
use crate::base::{Piece, PieceKind, Run};

/// Bytes of decoded blocks that are kept.
const KEPT: u64 = 32 << 20;

/// Blocks of equal size; only the last may be shorter.
pub(super) trait Blocks: Send + Sync {
    /// Decoded bytes of all blocks.
    fn len(&self) -> u64;
    /// Decoded bytes of a block, never 0.
    fn size(&self) -> usize;
    /// Decodes block `number` into `out`, which is as long as the block.
    fn decode(&self, number: u64, out: &mut [u8]) -> Result<(), String>;
    /// Where the decoder's input for a block lies: image and byte.
    fn input(&self, number: u64) -> Option<(u32, u64)>;
}

pub(super) struct Decoded<B> {
    blocks: B,
    kept: Cache<Vec<u8>>,
}

impl<B: Blocks> Decoded<B> {
    pub(super) fn new(blocks: B) -> Self {
        let kept = Cache::of_bytes(KEPT, blocks.size() as u64);
        Self { blocks, kept }
    }
    fn block(&self, number: u64) -> usize {
        let start = number.saturating_mul(self.blocks.size() as u64);
        usize::try_from(self.blocks.len().saturating_sub(start)).unwrap_or(usize::MAX).min(self.blocks.size())
    }
}

impl<B: Blocks> ReadAt for Decoded<B> {
    fn len(&self) -> u64 {
        self.blocks.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let left = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buf.len());
        let size = self.blocks.size() as u64;
        let mut done = 0_usize;
        while done < wanted {
            let at = offset.saturating_add(done as u64);
            let number = at.checked_div(size).unwrap_or(0);
            let inside = usize::try_from(at.checked_rem(size).unwrap_or(0)).unwrap_or(0);
            let Some(out) = buf.get_mut(done..wanted) else { break };
            let failed = |what: String| ReadError { offset: at, what: format!("block {number}: {what}") };
            let len = self.block(number);
            if let Some(whole) = out.get_mut(..len).filter(|_| inside == 0) {
                self.blocks.decode(number, whole).map_err(failed)?;
                done = done.saturating_add(len);
                continue;
            }
            let make = || {
                let mut block = vec![0; len];
                self.blocks.decode(number, &mut block).map(|()| block)
            };
            let block = self.kept.get(number, make).map_err(failed)?;
            let from = block.get(inside..).unwrap_or_default();
            let n = from.len().min(out.len());
            match (out.get_mut(..n), from.get(..n)) {
                (Some(to), Some(from)) if n > 0 => to.copy_from_slice(from),
                _ => break,
            }
            done = done.saturating_add(n);
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let end = bytes.end().min(self.len());
        let size = self.blocks.size() as u64;
        let mut at = bytes.offset;
        let mut pieces = Vec::new();
        while at < end {
            let number = at.checked_div(size).unwrap_or(0);
            let len = number.saturating_add(1).saturating_mul(size).min(end).saturating_sub(at).max(1);
            pieces.push(match self.blocks.input(number) {
                Some((image, offset)) => Piece { image, offset, len, kind: PieceKind::Decoded },
                None => Piece { image: 0, offset: 0, len, kind: PieceKind::Absent },
            });
            at = at.saturating_add(len);
        }
        pieces
    }
}
