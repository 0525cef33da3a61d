//! A file's bytes as a source: one read of the volume per contiguous piece, straight into the
//! caller's buffer.
use super::Volume;
use super::map::{LOST, Run, UNWRITTEN};
use crate::base::{Piece, PieceKind, Run as Bytes};
use crate::fs::extents::{At, MAP_DAMAGED, Placed, locate_placed, read_placed};
use crate::image::{ReadAt, ReadError};
use std::sync::Arc;

pub(super) struct Content {
    pub(super) volume: Arc<Volume>,
    pub(super) len: u64,
    /// Sorted by `logical`, not overlapping.
    pub(super) runs: Box<[Run]>,
}

impl Placed for Content {
    fn place(&self, offset: u64) -> (At, u64) {
        let bs = u64::from(self.volume.sb.block_size);
        let block = offset / bs;
        let next = self.runs.partition_point(|run| run.end() <= block);
        let (place, end) = match self.runs.get(next) {
            Some(run) if u64::from(run.logical) <= block => {
                let into = offset.saturating_sub(u64::from(run.logical).saturating_mul(bs));
                let place = match run.physical {
                    UNWRITTEN => At::Zeros,
                    LOST => At::Lost(MAP_DAMAGED),
                    physical => At::Volume(physical.saturating_mul(bs).saturating_add(into)),
                };
                (place, run.end().saturating_mul(bs))
            }
            Some(run) => (At::Zeros, u64::from(run.logical).saturating_mul(bs)),
            None => (At::Zeros, self.len),
        };
        (place, end.min(self.len).saturating_sub(offset))
    }
    fn read_volume(&self, from: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        self.volume.blocks.read_at(from, to)
    }
    fn locate_volume(&self, run: Bytes, out: &mut Vec<Piece>) {
        self.volume.blocks.locate(run, out);
    }
}

impl ReadAt for Content {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        read_placed(self, offset, buf)
    }
    fn locate(&self, bytes: Bytes) -> Vec<Piece> {
        locate_placed(self, bytes)
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
