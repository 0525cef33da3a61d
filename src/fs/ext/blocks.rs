//! The volume's bytes as a mount would see them: the source, with the journal's newer copies of
//! blocks laid over it.
use super::raw::{corrupt, size};
use crate::base::{Piece, PieceKind, Run};
use crate::fs::FsError;
use crate::image::{ReadError, Source};
use std::collections::BTreeMap;

/// First bytes of a journal block; a data block that starts with them is stored escaped (zeroed).
pub(super) const JOURNAL_MAGIC: [u8; 4] = [0xc0, 0x3b, 0x39, 0x98];

/// Where the journal keeps the newest copy of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) block: u64,
    /// Its first four bytes are [`JOURNAL_MAGIC`], stored as zeros.
    pub(super) escaped: bool,
}

#[derive(Clone)]
pub(super) struct Blocks {
    source: Source,
    /// Bytes per block.
    pub(super) size: u32,
    /// Bytes of the volume that exist.
    pub(super) len: u64,
    overlay: BTreeMap<u64, Copy>,
}

/// A part of the volume, from one place.
struct Part {
    /// Byte of the source.
    at: u64,
    len: usize,
    escaped: bool,
    /// Where in the block it starts; matters for escaped ones only.
    inside: u64,
}

impl Blocks {
    pub(super) fn new(source: Source, size: u32) -> Self {
        let len = source.len();
        Self { source, size, len, overlay: BTreeMap::new() }
    }
    /// The volume as acquired, without the journal's copies.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }
    pub(super) fn lay_over(&mut self, overlay: BTreeMap<u64, Copy>) {
        self.overlay = overlay;
    }
    /// The byte at which a block starts; `None` where that is no number.
    pub(super) fn offset(&self, block: u64) -> Option<u64> {
        block.checked_mul(u64::from(self.size))
    }
    /// The longest part from `offset` on that comes from one place.
    fn part(&self, offset: u64, len: usize) -> Part {
        let whole = Part { at: offset, len, escaped: false, inside: 0 };
        if self.overlay.is_empty() || len == 0 {
            return whole;
        }
        let bs = u64::from(self.size);
        let block = offset / bs;
        let inside = offset % bs;
        if let Some(copy) = self.overlay.get(&block) {
            let len = len.min(size(bs.saturating_sub(inside)));
            let at = copy.block.saturating_mul(bs).saturating_add(inside);
            return Part { at, len, escaped: copy.escaped, inside };
        }
        match self.overlay.range(block..).next() {
            Some((next, _)) => {
                let until = next.saturating_mul(bs).saturating_sub(offset);
                Part { len: len.min(size(until)), ..whole }
            }
            None => whole,
        }
    }
    /// Fills `buf` from a byte of the volume; short only at the volume's end.
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        if self.overlay.is_empty() {
            return self.source.read_at(offset, buf);
        }
        let mut done = 0_usize;
        while done < buf.len() {
            let rest = buf.len().saturating_sub(done);
            let part = self.part(offset.saturating_add(done as u64), rest);
            let Some(to) = buf.get_mut(done..done.saturating_add(part.len)) else {
                break;
            };
            let n = self.source.read_at(part.at, to)?;
            if part.escaped {
                let magic = JOURNAL_MAGIC.iter().skip(size(part.inside));
                for (to, from) in to.iter_mut().take(n).zip(magic) {
                    *to = *from;
                }
            }
            done = done.saturating_add(n);
            if n < part.len {
                break;
            }
        }
        Ok(done)
    }
    /// Exactly `len` bytes.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FsError> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(corrupt(offset, "lies beyond the end of the volume"));
        }
        let mut buf = vec![0; len];
        let n = self.read_at(offset, &mut buf)?;
        if n == len { Ok(buf) } else { Err(corrupt(offset, "the volume ends inside")) }
    }
    pub(super) fn block(&self, block: u64) -> Result<Vec<u8>, FsError> {
        let at = self.offset(block).ok_or_else(|| corrupt(u64::MAX, "block number out of range"))?;
        self.read(at, self.size as usize)
    }
    /// As many of `len` bytes as can be read; the others are zero, and their runs (relative to
    /// `offset`, in whole blocks) come with them.
    pub(super) fn read_tolerant(&self, offset: u64, len: usize) -> (Vec<u8>, Vec<Run>) {
        let mut buf = vec![0; len];
        if self.read_at(offset, &mut buf).is_ok_and(|n| n == len) {
            return (buf, Vec::new());
        }
        let mut bad = Vec::new();
        let mut at = offset;
        for block in buf.chunks_mut(self.size as usize) {
            if !self.read_at(at, block).is_ok_and(|n| n == block.len()) {
                block.fill(0);
                bad.push(Run::new(at.saturating_sub(offset), block.len() as u64));
            }
            at = at.saturating_add(block.len() as u64);
        }
        (buf, bad)
    }
    /// The image's bytes behind a run of the volume, in order.
    pub(super) fn locate(&self, run: Run, out: &mut Vec<Piece>) {
        let end = run.end().min(self.len);
        let mut at = run.offset;
        while at < end {
            let part = self.part(at, size(end.saturating_sub(at)));
            if part.len == 0 {
                break;
            }
            let pieces = self.source.locate(Run::new(part.at, part.len as u64));
            out.extend(pieces.into_iter().map(|p| {
                let kind = if part.escaped && p.kind == PieceKind::Stored { PieceKind::Decoded } else { p.kind };
                Piece { kind, ..p }
            }));
            at = at.saturating_add(part.len as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::sync::Arc;

    fn volume() -> Blocks {
        let bytes: Vec<u8> = (0..8_u8).flat_map(|b| [b; 16]).collect();
        let mut blocks = Blocks::new(Arc::new(bytes), 16);
        let copies = [(1, Copy { block: 6, escaped: false }), (3, Copy { block: 7, escaped: true })];
        blocks.lay_over(copies.into_iter().collect());
        blocks
    }

    #[test]
    fn overlay_replaces_blocks_and_unescapes() {
        let got = volume().read(8, 60).unwrap();
        let mut want = [vec![0; 8], vec![6; 16], vec![2; 16], vec![7; 16], vec![4; 4]].concat();
        want[40..44].copy_from_slice(&JOURNAL_MAGIC);
        assert_eq!(got, want);
        assert_eq!(volume().read(50, 4).unwrap(), [0x39, 0x98, 7, 7]);
        assert!(volume().read(120, 9).is_err());
        assert!(volume().read(u64::MAX, 9).is_err());
    }
    #[test]
    fn overlaid_bytes_locate_to_the_journal() {
        let mut out = Vec::new();
        volume().locate(Run::new(8, 60), &mut out);
        let got: Vec<_> = out.iter().map(|p| (p.offset, p.len)).collect();
        assert_eq!(got, [(8, 8), (96, 16), (32, 16), (112, 16), (64, 4)]);
    }
}
