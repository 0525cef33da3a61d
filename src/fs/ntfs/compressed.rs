//! A stream that NTFS compresses: units of (mostly) sixteen clusters. A unit without clusters is
//! zeros, one with all of them is stored as it is, any other is LZNT1.
use super::content::{Content, fail};
use super::lznt1;
use super::raw::size;
use crate::base::{Piece, PieceKind, Run};
use crate::fs::extents::{At, Placed as _, absent};
use crate::image::{ReadAt, ReadError, pieces};
use std::sync::{Mutex, PoisonError};

/// A unit of the largest size that Windows makes is 64 KiB.
pub(super) const MAX_UNIT: u64 = 2 << 20;

pub(super) struct Compressed {
    /// The clusters as they are stored.
    pub(super) stored: Content,
    /// Bytes that are compressed together.
    pub(super) unit: u64,
    /// Bytes of the stream.
    pub(super) len: u64,
    /// Bytes of it that were ever written; the rest reads as zeros.
    pub(super) initialized: u64,
    /// The unit that was expanded last.
    pub(super) last: Mutex<Option<(u64, Vec<u8>)>>,
}

enum Unit {
    Zeros,
    Plain,
    /// Bytes of it that are stored.
    Packed(u64),
    Lost,
}

impl Compressed {
    fn unit(&self, number: u64) -> Unit {
        let start = number.saturating_mul(self.unit);
        let (mut at, mut stored, mut holes) = (start, 0_u64, 0_u64);
        let end = start.saturating_add(self.unit).min(self.stored.len);
        while at < end {
            let (place, len) = self.stored.place(at);
            let len = len.min(end.saturating_sub(at));
            match place {
                _ if len == 0 => return Unit::Lost,
                At::Lost(_) => return Unit::Lost,
                At::Zeros => holes = holes.saturating_add(len),
                // Clusters behind a hole belong to no way of compressing.
                At::Volume(_) if holes > 0 => return Unit::Lost,
                At::Volume(_) => stored = stored.saturating_add(len),
            }
            at = at.saturating_add(len);
        }
        match (stored, holes) {
            (0, _) => Unit::Zeros,
            (_, 0) if end == start.saturating_add(self.unit) => Unit::Plain,
            _ => Unit::Packed(stored),
        }
    }
    /// Copies from a unit, beginning `into` it.
    fn copy(&self, number: u64, into: usize, to: &mut [u8]) -> Result<(), ReadError> {
        let start = number.saturating_mul(self.unit);
        let Unit::Packed(stored) = self.unit(number) else {
            return match self.unit(number) {
                Unit::Zeros => {
                    to.fill(0);
                    Ok(())
                }
                Unit::Plain => self.stored.read_at(start.saturating_add(into as u64), to).map(|_| ()),
                _ => Err(fail(start, "what leads to this part of the file is damaged")),
            };
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|l| l.0 != number) {
            let mut input = vec![0; size(stored)];
            self.stored.read_at(start, &mut input)?;
            let bytes = lznt1::expand(&input, size(self.unit))
                .map_err(|at| fail(start, &format!("LZNT1 data contradicts its format at byte {at} of this unit")))?;
            *last = Some((number, bytes));
        }
        let bytes = last.as_ref().and_then(|l| l.1.get(into..into.saturating_add(to.len())));
        to.copy_from_slice(bytes.ok_or_else(|| fail(start, "unit of the wrong size"))?);
        Ok(())
    }
    /// Bytes of the units that a hole covers whole, from the start of one.
    fn whole_units(&self, at: u64) -> u64 {
        match self.stored.place(at) {
            (At::Zeros, len) if at.is_multiple_of(self.unit) => len.saturating_sub(len % self.unit),
            _ => 0,
        }
    }
    /// The unit of a byte, the byte in it, and how many of `len` bytes from there it holds.
    fn split(&self, at: u64, len: u64) -> (u64, u64, u64) {
        let into = at % self.unit;
        (at / self.unit, into, len.min(self.unit.saturating_sub(into)))
    }
}

impl ReadAt for Compressed {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let total = buf.len().min(size(self.len.saturating_sub(offset)));
        let mut done = 0_usize;
        while done < total {
            let at = offset.saturating_add(done as u64);
            let (number, into, len) = self.split(at, total.saturating_sub(done) as u64);
            let end = done.saturating_add(size(len));
            let Some(part) = buf.get_mut(done..end) else { break };
            self.copy(number, size(into), part)?;
            done = end;
        }
        // Never written, whatever the unit holds there.
        if let Some(rest) = self.initialized.checked_sub(offset).map(size)
            && let Some(tail) = buf.get_mut(rest..total)
        {
            tail.fill(0);
        } else if offset >= self.initialized
            && let Some(all) = buf.get_mut(..total)
        {
            all.fill(0);
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        // Byte of the image behind the last compressed unit.
        let mut next = None;
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        while at < end {
            let (number, _, mut len) = self.split(at, end.saturating_sub(at));
            let start = number.saturating_mul(self.unit);
            match self.unit(number) {
                _ if at >= self.initialized => {
                    out.push(Piece { image: 0, offset: 0, len: end.saturating_sub(at), kind: PieceKind::Hole });
                    return out;
                }
                Unit::Zeros => {
                    // A hole of many units is one piece.
                    len = len.max(self.whole_units(at)).min(end.saturating_sub(at));
                    out.push(Piece { image: 0, offset: 0, len, kind: PieceKind::Hole });
                }
                Unit::Plain if at.saturating_add(len) <= self.initialized => {
                    out.extend(pieces(&self.stored, Run::new(at, len)));
                }
                Unit::Lost => out.push(absent(len)),
                Unit::Packed(_) | Unit::Plain => {
                    let stored = self.stored.locate(Run::new(start, self.unit));
                    let stored: Vec<&Piece> = stored.iter().filter(|p| p.kind == PieceKind::Stored).collect();
                    let first = stored.first().map_or((0, 0), |p| (p.image, p.offset));
                    match out.last_mut() {
                        // Units that follow one another on the volume are one piece.
                        Some(last) if next == Some(first) => last.len = last.len.saturating_add(len),
                        _ => out.push(Piece { image: first.0, offset: first.1, len, kind: PieceKind::Decoded }),
                    }
                    next = stored.last().map(|p| (p.image, p.offset.saturating_add(p.len)));
                    at = at.saturating_add(len);
                    continue;
                }
            }
            next = None;
            at = at.saturating_add(len);
        }
        out
    }
}
