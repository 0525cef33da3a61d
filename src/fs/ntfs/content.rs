//! The bytes of a value as a source: in clusters of its own (holes and what was never written read
//! as zeros), or within a record of the MFT.
use super::raw::size;
use super::record::{Record, STRIDE};
use super::runs::{Extent, HOLE, LOST};
use crate::base::{Piece, Run};
use crate::fs::extents::{At, MAP_DAMAGED, Placed, locate_placed, read_placed};
use crate::image::{ReadAt, ReadError, Source, pieces};
use std::sync::Arc;

/// The volume, and how it is divided.
pub(super) struct Disk {
    pub(super) source: Source,
    /// Bytes.
    pub(super) cluster: u64,
}

pub(super) struct Content {
    pub(super) disk: Arc<Disk>,
    pub(super) len: u64,
    /// Bytes that were ever written; what follows reads as zeros.
    pub(super) initialized: u64,
    /// Sorted by `vcn`, not overlapping.
    pub(super) extents: Box<[Extent]>,
}

impl Placed for Content {
    fn place(&self, offset: u64) -> (At, u64) {
        if offset >= self.initialized {
            return (At::Zeros, self.len.saturating_sub(offset));
        }
        let cluster = self.disk.cluster;
        let vcn = offset / cluster;
        let next = self.extents.partition_point(|e| e.end() <= vcn);
        let (place, end) = match self.extents.get(next) {
            Some(e) if e.vcn <= vcn => {
                let into = offset.saturating_sub(e.vcn.saturating_mul(cluster));
                let place = match e.lcn {
                    HOLE => At::Zeros,
                    LOST => At::Lost(MAP_DAMAGED),
                    lcn => {
                        lcn.checked_mul(cluster).map_or(At::Lost(MAP_DAMAGED), |at| At::Volume(at.saturating_add(into)))
                    }
                };
                (place, e.end().saturating_mul(cluster))
            }
            Some(e) => (At::Lost(MAP_DAMAGED), e.vcn.saturating_mul(cluster)),
            None => (At::Lost(MAP_DAMAGED), self.len),
        };
        (place, end.min(self.len).min(self.initialized.max(offset)).saturating_sub(offset))
    }
    fn read_volume(&self, from: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        self.disk.source.read_at(from, to)
    }
    fn locate_volume(&self, run: Run, out: &mut Vec<Piece>) {
        out.extend(self.disk.source.locate(run));
    }
}

pub(super) fn fail(offset: u64, what: &str) -> ReadError {
    ReadError { offset, what: what.to_owned() }
}

impl ReadAt for Content {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        read_placed(self, offset, buf)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        locate_placed(self, bytes)
    }
}

/// A value that stands within a record of the MFT.
pub(super) struct Resident {
    /// The MFT itself.
    pub(super) mft: Arc<Content>,
    pub(super) record: Record,
    /// Byte of the record.
    pub(super) at: usize,
    pub(super) len: usize,
}

impl Resident {
    pub(super) fn bytes(&self) -> &[u8] {
        self.record.bytes().get(self.at..self.at.saturating_add(self.len)).unwrap_or_default()
    }
    /// Bytes of the MFT that hold the byte `at` of the record, and how many follow it there: the
    /// last two of each sector are kept in the record's head.
    fn stored(&self, at: usize) -> (u64, usize) {
        let inside = at % STRIDE;
        let tail = STRIDE.saturating_sub(2);
        let (byte, len) = if inside < tail {
            (at, tail.saturating_sub(inside))
        } else {
            let kept = (at / STRIDE).saturating_mul(2).saturating_add(inside.saturating_sub(tail));
            (self.record.fixups().saturating_add(kept), STRIDE.saturating_sub(inside))
        };
        (self.record.offset().saturating_add(byte as u64), len)
    }
}

impl ReadAt for Resident {
    fn len(&self) -> u64 {
        self.bytes().len() as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let rest = self.bytes().get(size(offset)..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out = Vec::new();
        let end = size(bytes.end().min(self.bytes().len() as u64));
        let mut at = size(bytes.offset);
        while at < end {
            let (from, len) = self.stored(self.at.saturating_add(at));
            let len = len.min(end.saturating_sub(at));
            out.extend(pieces(&*self.mft, Run::new(from, len as u64)));
            at = at.saturating_add(len);
        }
        out
    }
}
