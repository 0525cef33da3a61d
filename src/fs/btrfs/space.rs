//! Logical bytes: through chunks to the devices that hold them, by any of their copies, or rebuilt from the
//! rest of a row where a device is missing or wrong.
use super::chunk::{Chunk, Chunks, Profile};
use super::raw::size;
use crate::base::{Piece, PieceKind, Run};
use crate::fs::extents::absent;
use crate::image::{Source, pieces};
use crate::volume::btrfs::Uuid;
use crate::volume::{add, add_scaled, inverse, power};

/// A device that is part of the evidence.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) id: u64,
    pub(super) uuid: Uuid,
    /// First byte in the volume, and bytes.
    pub(super) run: Run,
}

/// Why logical bytes cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The device is not part of the evidence, which was said once.
    Missing(u64),
    Other(String),
}
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(id) => write!(f, "device {id} is missing"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// Runs of one stretch; further ones are left.
const MAX_RUNS: usize = 4 << 20;

pub(super) struct Space {
    /// All devices, one after the other.
    pub(super) source: Source,
    pub(super) devices: Vec<Device>,
    pub(super) chunks: Chunks,
}

impl Space {
    /// Byte of the volume, if the device is there.
    fn place(&self, chunk: &Chunk, stripe: usize, offset: u64) -> Result<u64, Fault> {
        let stripe = chunk.stripes.get(stripe).ok_or_else(|| Fault::Other("a chunk without stripes".to_owned()))?;
        let mine = |d: &&Device| d.uuid == stripe.uuid;
        let device = self.devices.iter().find(mine).or_else(|| self.devices.iter().find(|d| d.id == stripe.device));
        let device = device.ok_or(Fault::Missing(stripe.device))?;
        if offset >= device.run.len {
            return Err(Fault::Other(format!("byte {offset} of device {} does not exist", device.id)));
        }
        Ok(device.run.offset.saturating_add(offset))
    }
    fn chunk(&self, logical: u64) -> Result<&Chunk, Fault> {
        self.chunks.find(logical).ok_or_else(|| Fault::Other(format!("no chunk holds logical {logical}")))
    }
    /// Ways to come by a run, at least one.
    pub(super) fn attempts(&self, logical: u64) -> usize {
        self.chunks.find(logical).map_or(1, Chunk::attempts)
    }
    /// The volume's byte of a copy, for words about it; the first that is there.
    pub(super) fn volume_offset(&self, logical: u64) -> u64 {
        let Some(chunk) = self.chunks.find(logical) else { return 0 };
        let inside = logical.saturating_sub(chunk.start);
        let place = |copy| chunk.spot(inside, copy).and_then(|s| self.place(chunk, s.stripe, s.offset).ok());
        (0..chunk.copies()).find_map(place).unwrap_or(0)
    }
    /// The same of one way to come by it.
    pub(super) fn offset_of(&self, logical: u64, attempt: usize) -> u64 {
        let Some(chunk) = self.chunks.find(logical) else { return 0 };
        let spot = chunk.spot(logical.saturating_sub(chunk.start), attempt.min(chunk.copies().saturating_sub(1)));
        spot.and_then(|s| self.place(chunk, s.stripe, s.offset).ok()).unwrap_or(0)
    }

    /// Fills `buf` from a logical byte on, in one of the ways there are.
    pub(super) fn read(&self, logical: u64, buf: &mut [u8], attempt: usize) -> Result<(), Fault> {
        let mut done = 0_usize;
        while done < buf.len() {
            let at = logical.checked_add(done as u64).ok_or_else(|| Fault::Other("beyond all bytes".to_owned()))?;
            let chunk = self.chunk(at)?;
            let inside = at.saturating_sub(chunk.start);
            let direct = attempt < chunk.copies();
            let copy = if direct { attempt } else { 0 };
            let spot = chunk.spot(inside, copy);
            let spot = spot.ok_or_else(|| Fault::Other(format!("the chunk at {} is impossible", chunk.start)))?;
            let end = done.saturating_add(size(spot.len)).min(buf.len());
            let Some(part) = buf.get_mut(done..end).filter(|p| !p.is_empty()) else { break };
            if direct {
                self.read_stripe(chunk, spot.stripe, spot.offset, part)?;
            } else {
                let without = attempt.checked_sub(chunk.copies().saturating_add(1));
                self.rebuild(chunk, inside, part, without)?;
            }
            done = end;
        }
        Ok(())
    }
    fn read_stripe(&self, chunk: &Chunk, stripe: usize, offset: u64, part: &mut [u8]) -> Result<(), Fault> {
        let at = self.place(chunk, stripe, offset)?;
        let n = self.source.read_at(at, part).map_err(|e| Fault::Other(e.to_string()))?;
        if n == part.len() {
            return Ok(());
        }
        Err(Fault::Other(format!("the volume ends before volume_offset {}", at.saturating_add(n as u64))))
    }

    /// Bytes of one cell from the rest of its row; `without` is a further stripe that is not trusted.
    fn rebuild(&self, chunk: &Chunk, inside: u64, buf: &mut [u8], without: Option<usize>) -> Result<(), Fault> {
        let Profile::Parity(parities) = chunk.profile else {
            return Err(Fault::Other("no further copy".to_owned()));
        };
        let (row, lost, rest) = chunk.cell(inside);
        let read = |column: u64, to: &mut [u8]| {
            let stripe = chunk.turned(row, column);
            let base = chunk.stripes.get(stripe).filter(|_| without != Some(stripe)).map(|s| s.offset);
            let at = row.checked_mul(chunk.stripe_len).and_then(|r| r.checked_add(rest)?.checked_add(base?));
            let at = at.ok_or_else(|| Fault::Other("a stripe that is not trusted".to_owned()))?;
            self.read_stripe(chunk, stripe, at, to)
        };
        let (mut sum, mut weighted) = (vec![0_u8; buf.len()], vec![0_u8; buf.len()]);
        let mut cell = vec![0_u8; buf.len()];
        let mut missing = vec![lost];
        let mut why = None;
        for column in (0..chunk.columns()).filter(|c| *c != lost) {
            match read(column, &mut cell) {
                Ok(()) => {
                    add(&mut sum, &cell);
                    if parities == 2 {
                        add_scaled(&mut weighted, &cell, power(column));
                    }
                }
                Err(e) => {
                    missing.push(column);
                    why = why.or(Some(e));
                }
            }
        }
        let mut parity = |n: u64| {
            let got = read(chunk.columns().saturating_add(n), &mut cell);
            if let Err(e) = &got {
                why = why.take().or(Some(e.clone()));
            }
            got.ok().map(|()| cell.clone())
        };
        let p = parity(0);
        let q = if parities == 2 { parity(1) } else { None };
        let mine = power(lost);
        match (missing.as_slice(), p, q) {
            ([_], Some(p), _) => {
                add(&mut sum, &p);
                buf.copy_from_slice(&sum);
            }
            ([_], None, Some(q)) => {
                add(&mut weighted, &q);
                buf.fill(0);
                add_scaled(buf, &weighted, inverse(mine));
            }
            ([_, other], Some(p), Some(q)) => {
                let other = power(*other);
                add(&mut sum, &p);
                add(&mut weighted, &q);
                add_scaled(&mut weighted, &sum, other);
                buf.fill(0);
                add_scaled(buf, &weighted, inverse(mine ^ other));
            }
            _ => return Err(why.unwrap_or_else(|| Fault::Other("too little of a row is left".to_owned()))),
        }
        Ok(())
    }

    /// Where a run lies, by one of its copies or the first that is there. What is rebuilt from others lies nowhere
    /// as it is: it is `Decoded` from the first of them.
    pub(super) fn locate(&self, run: Run, copy: usize, out: &mut Vec<Piece>) {
        let mut at = run.offset;
        while at < run.end() {
            let left = run.end().saturating_sub(at);
            let Some(chunk) = self.chunks.find(at) else {
                out.push(absent(left));
                return;
            };
            let inside = at.saturating_sub(chunk.start);
            let order = [copy].into_iter().chain(0..chunk.copies());
            let found = order.filter_map(|c| chunk.spot(inside, c)).find_map(|s| {
                let place = self.place(chunk, s.stripe, s.offset).ok()?;
                Some((place, s.len))
            });
            let len = found.map_or_else(|| chunk.spot(inside, 0).map_or(left, |s| s.len), |f| f.1).clamp(1, left);
            match found {
                Some((place, _)) => {
                    pieces(&*self.source, Run::new(place, len)).into_iter().for_each(|p| push(out, p));
                }
                None => push(out, self.row_mate(chunk, inside).map_or(absent(len), |p| Piece { len, ..p })),
            }
            at = at.saturating_add(len);
        }
    }
    /// The first stripe that is there of the row of a cell that is not.
    fn row_mate(&self, chunk: &Chunk, inside: u64) -> Option<Piece> {
        if self.read(chunk.start.saturating_add(inside), &mut [0], 1).is_err() {
            return None;
        }
        let Profile::Parity(parities) = chunk.profile else { return None };
        let (row, lost, rest) = chunk.cell(inside);
        let mut others = (0..chunk.columns().saturating_add(parities as u64)).filter(|c| *c != lost);
        others.find_map(|column| {
            let stripe = chunk.turned(row, column);
            let offset = row.checked_mul(chunk.stripe_len)?.checked_add(rest)?;
            let at = chunk.stripes.get(stripe)?.offset.checked_add(offset)?;
            let place = self.place(chunk, stripe, at).ok()?;
            let piece = *self.source.locate(Run::new(place, 1)).first()?;
            (piece.kind == PieceKind::Stored).then_some(Piece { kind: PieceKind::Decoded, ..piece })
        })
    }
    /// Volume runs of a stretch of one chunk's logical bytes on all devices, without parities.
    pub(super) fn runs(&self, chunk: &Chunk, from: u64, to: u64, out: &mut Vec<Run>) {
        let (mut at, end) = (from.saturating_sub(chunk.start), to.min(chunk.end()).saturating_sub(chunk.start));
        let row_bytes = chunk.columns().saturating_mul(chunk.stripe_len);
        // Places only grow: when a whole row and more lies on no device, a chunk longer than its devices is left.
        let mut missed = 0_u64;
        while at < end && missed <= chunk.columns().saturating_add(1) && out.len() < MAX_RUNS {
            missed = missed.saturating_add(1);
            // Whole rows are one run on each device, but for parities, which turn.
            let whole = matches!(chunk.profile, Profile::Striped | Profile::Both) && at.is_multiple_of(row_bytes);
            let rows = if whole { end.saturating_sub(at) / row_bytes.max(1) } else { 0 };
            let (step, columns) = if rows > 0 { (rows.saturating_mul(row_bytes), chunk.columns()) } else { (0, 1) };
            let mut taken = 0;
            for column in 0..columns {
                let here = at.saturating_add(column.saturating_mul(chunk.stripe_len));
                for copy in 0..chunk.copies() {
                    let Some(spot) = chunk.spot(here, copy) else { continue };
                    let len = if rows > 0 {
                        rows.saturating_mul(chunk.stripe_len)
                    } else {
                        spot.len.min(end.saturating_sub(at))
                    };
                    taken = len;
                    if let Ok(place) = self.place(chunk, spot.stripe, spot.offset) {
                        missed = 0;
                        out.push(Run::new(place, len));
                    }
                }
            }
            at = at.saturating_add(if rows > 0 { step } else { taken.max(1) });
        }
    }
}

/// Adds a piece, to the last one where it goes on.
fn push(out: &mut Vec<Piece>, piece: Piece) {
    match out.last_mut() {
        Some(last)
            if last.kind == piece.kind
                && match piece.kind {
                    PieceKind::Stored => {
                        last.image == piece.image && last.offset.saturating_add(last.len) == piece.offset
                    }
                    PieceKind::Hole | PieceKind::Absent => true,
                    PieceKind::Decoded => false,
                } =>
        {
            last.len = last.len.saturating_add(piece.len);
        }
        _ => out.push(piece),
    }
}
