//! A file's bytes as a source: one read of the volume per contiguous piece, straight into the
//! caller's buffer.
use super::Volume;
use super::map::{LOST, Run, UNWRITTEN};
use super::raw::size;
use crate::base::{Piece, PieceKind, Run as Bytes};
use crate::image::{ReadAt, ReadError};
use std::sync::Arc;

pub(super) struct Content {
    pub(super) volume: Arc<Volume>,
    pub(super) len: u64,
    /// Sorted by `logical`, not overlapping.
    pub(super) runs: Box<[Run]>,
}

enum Place {
    Zeros,
    Lost,
    /// Byte of the volume.
    At(u64),
}

impl Content {
    /// What stands at a byte of the file, and for how many bytes.
    fn place(&self, offset: u64) -> (Place, u64) {
        let bs = u64::from(self.volume.sb.block_size);
        let block = offset / bs;
        let next = self.runs.partition_point(|run| run.end() <= block);
        let (place, end) = match self.runs.get(next) {
            Some(run) if u64::from(run.logical) <= block => {
                let into = offset.saturating_sub(u64::from(run.logical).saturating_mul(bs));
                let place = match run.physical {
                    UNWRITTEN => Place::Zeros,
                    LOST => Place::Lost,
                    physical => Place::At(physical.saturating_mul(bs).saturating_add(into)),
                };
                (place, run.end().saturating_mul(bs))
            }
            Some(run) => (Place::Zeros, u64::from(run.logical).saturating_mul(bs)),
            None => (Place::Zeros, self.len),
        };
        (place, end.min(self.len).saturating_sub(offset))
    }
}

impl ReadAt for Content {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let total = buf.len().min(size(self.len.saturating_sub(offset)));
        let mut done = 0_usize;
        while done < total {
            let at = offset.saturating_add(done as u64);
            let (place, len) = self.place(at);
            let end = done.saturating_add(size(len)).min(total);
            let Some(part) = buf.get_mut(done..end).filter(|p| !p.is_empty()) else {
                break;
            };
            let fail = |offset: u64, what: &str| ReadError { offset, what: what.to_owned() };
            match place {
                Place::Zeros => part.fill(0),
                Place::Lost => return Err(fail(at, "what leads to this part of the file is damaged")),
                Place::At(from) => {
                    let moved = |e: ReadError| fail(at.saturating_add(e.offset.saturating_sub(from)), &e.what);
                    if self.volume.blocks.read_at(from, part).map_err(moved)? != part.len() {
                        return Err(fail(at, "the volume ends before this part of the file"));
                    }
                }
            }
            done = end;
        }
        Ok(done)
    }
    fn locate(&self, bytes: Bytes) -> Vec<Piece> {
        let mut out = Vec::new();
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        while at < end {
            let (place, len) = self.place(at);
            let len = len.min(end.saturating_sub(at));
            if len == 0 {
                break;
            }
            match place {
                Place::Zeros => out.push(Piece { image: 0, offset: 0, len, kind: PieceKind::Hole }),
                // Nothing can be read here; a read says why.
                Place::Lost => out.push(Piece { image: 0, offset: 0, len, kind: PieceKind::Decoded }),
                Place::At(from) => self.volume.blocks.locate(Bytes::new(from, len), &mut out),
            }
            at = at.saturating_add(len);
        }
        out
    }
}

/// Bytes that stand within metadata (inline data, attribute values), and where.
pub(super) struct Inline {
    pub(super) volume: Arc<Volume>,
    pub(super) bytes: Vec<u8>,
    /// Runs of the volume that hold them, in order; what lies beyond is zeros.
    pub(super) stored: Vec<Bytes>,
}

impl ReadAt for Inline {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        self.bytes.read_at(offset, buf)
    }
    fn locate(&self, bytes: Bytes) -> Vec<Piece> {
        let mut out = Vec::new();
        let end = bytes.end().min(self.len());
        let mut start = 0_u64;
        let mut at = bytes.offset;
        for run in &self.stored {
            let stop = start.saturating_add(run.len).min(end);
            if let Some(len) = stop.checked_sub(at.max(start)).filter(|n| *n > 0) {
                let from = at.max(start);
                let into = run.offset.saturating_add(from.saturating_sub(start));
                self.volume.blocks.locate(Bytes::new(into, len), &mut out);
                at = stop;
            }
            start = start.saturating_add(run.len);
        }
        if at < end {
            out.push(Piece { image: 0, offset: 0, len: end.saturating_sub(at), kind: PieceKind::Hole });
        }
        out
    }
}
