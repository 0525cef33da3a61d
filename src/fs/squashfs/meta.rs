//! Metadata blocks: at most 8 KiB each, stored as they are or compressed, one after the other; what they
//! hold runs on from one to the next. Few are kept; a reader of one structure is a [`Cursor`].
use super::codec::Codec;
use super::superblock::Superblock;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, size, u16_at};
use crate::image::cache::Cache;
use crate::image::{Source, read_exact};
use std::sync::Arc;

/// Decoded bytes of a metadata block; only the last of a table is shorter.
pub(super) const BLOCK: usize = 8192;
/// Blocks kept: 4 MiB.
const KEPT: usize = 512;

pub(super) struct Block {
    bytes: Vec<u8>,
    /// Byte of the volume behind it.
    next: u64,
}

pub(super) struct Meta {
    source: Source,
    codec: Codec,
    /// Byte of the volume behind all metadata.
    end: u64,
    /// The numbers are big-endian.
    big: bool,
    /// Bytes of a block's head: its length, and in some a mark.
    head: u64,
    kept: Cache<Block>,
}

impl Meta {
    pub(super) fn new(source: &Source, codec: Codec, end: u64, superblock: &Superblock) -> Self {
        let head = if superblock.marked { 3 } else { 2 };
        Self { source: source.clone(), codec, end, big: superblock.big, head, kept: Cache::new(KEPT) }
    }
    pub(super) fn block(&self, at: u64) -> Result<Arc<Block>, FsError> {
        self.kept.get(at, || self.decode(at))
    }
    /// Where the block's bytes begin and end, and whether they are compressed.
    fn head(&self, at: u64) -> Result<((u64, u64), bool), FsError> {
        let head = read_exact(&*self.source, at, 2)?.and_then(|b| u16_at(&b, 0));
        let head = head.map(|n| if self.big { n.swap_bytes() } else { n });
        let head = head.ok_or_else(|| corrupt(at, "metadata block beyond the end of the volume"))?;
        let len = u64::from(head & 0x7fff);
        if len == 0 || len > BLOCK as u64 {
            return Err(corrupt(at, format!("metadata block of {len} bytes")));
        }
        let from = at.saturating_add(self.head);
        let end = from.saturating_add(len);
        if end > self.end {
            return Err(corrupt(at, "metadata block reaches beyond the file system"));
        }
        Ok(((from, end), head & 0x8000 == 0))
    }
    fn decode(&self, at: u64) -> Result<Block, FsError> {
        let ((from, next), packed) = self.head(at)?;
        let stored = read_exact(&*self.source, from, size(next.saturating_sub(from)))?;
        let stored = stored.ok_or_else(|| corrupt(at, "metadata block is cut off"))?;
        let bytes = if packed {
            self.codec.decode(&stored, BLOCK).map_err(|e| corrupt(at, format!("metadata block: {e}")))?
        } else {
            stored
        };
        if bytes.is_empty() {
            return Err(corrupt(at, "metadata block without content"));
        }
        Ok(Block { bytes, next })
    }
    /// From byte `offset` of the block at `at` on.
    pub(super) fn cursor(&self, at: u64, offset: usize) -> Cursor<'_> {
        Cursor { meta: self, at, offset }
    }
    /// From a reference on: block counted from `table`, and byte of it.
    pub(super) fn at(&self, table: u64, reference: u64) -> Result<Cursor<'_>, FsError> {
        let at = table.checked_add(reference >> 16).filter(|at| *at < self.end);
        let at = at.ok_or_else(|| corrupt(table, "reference beyond the file system"))?;
        Ok(self.cursor(at, size(reference & 0xffff)))
    }
}

/// A place in metadata; reading moves it on.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    meta: &'a Meta,
    /// Byte of the volume where the block begins.
    pub(super) at: u64,
    /// Byte of the decoded block.
    pub(super) offset: usize,
}

impl Cursor<'_> {
    /// Fills `out`; on an error the place is where the block lies that could not be read.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> Result<(), FsError> {
        let mut done = 0_usize;
        while done < out.len() {
            let block = self.meta.block(self.at)?;
            let left = block.bytes.len().checked_sub(self.offset);
            let left = left.ok_or_else(|| corrupt(self.at, "reference beyond the end of a metadata block"))?;
            if left == 0 {
                self.at = block.next;
                self.offset = 0;
                continue;
            }
            let n = left.min(out.len().saturating_sub(done));
            let (to, from) = (done.saturating_add(n), self.offset.saturating_add(n));
            if let (Some(to), Some(from)) = (out.get_mut(done..to), block.bytes.get(self.offset..from)) {
                to.copy_from_slice(from);
            }
            (done, self.offset) = (to, from);
        }
        Ok(())
    }
    /// The next `len` bytes; the caller bounds `len`.
    pub(super) fn bytes(&mut self, len: usize) -> Result<Vec<u8>, FsError> {
        let mut out = vec![0; len];
        self.fill(&mut out)?;
        Ok(out)
    }
    pub(super) fn is_big(&self) -> bool {
        self.meta.big
    }
    pub(super) fn u8(&mut self) -> Result<u8, FsError> {
        let mut out = [0];
        self.fill(&mut out)?;
        let [byte] = out;
        Ok(byte)
    }
    pub(super) fn u16(&mut self) -> Result<u16, FsError> {
        let mut out = [0; 2];
        self.fill(&mut out)?;
        Ok(if self.meta.big { u16::from_be_bytes(out) } else { u16::from_le_bytes(out) })
    }
    pub(super) fn u32(&mut self) -> Result<u32, FsError> {
        let mut out = [0; 4];
        self.fill(&mut out)?;
        Ok(if self.meta.big { u32::from_be_bytes(out) } else { u32::from_le_bytes(out) })
    }
    pub(super) fn u64(&mut self) -> Result<u64, FsError> {
        let mut out = [0; 8];
        self.fill(&mut out)?;
        Ok(if self.meta.big { u64::from_be_bytes(out) } else { u64::from_le_bytes(out) })
    }
}
