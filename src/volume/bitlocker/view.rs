//! The volume as Windows shows it: decrypted where it was encrypted, its moved start back in its place, zeros where
//! BitLocker keeps its own.
use super::boot::{Boot, Kind};
use super::metadata::Metadata;
use super::on_write::{OnWrite, Part};
use crate::base::{Piece, PieceKind, Run};
use crate::image::{Extent, Map, ReadAt, ReadError, Source};
use std::sync::Arc;

/// What Vista leaves as it is at the volume's start.
const VISTA_START: u64 = 0x2000;

pub(super) struct View {
    /// The volume as it is stored, and as it reads when decrypted throughout.
    pub stored: Source,
    pub plain: Source,
    len: u64,
    /// The first sector as NTFS had it, where it is changed in place.
    first: Option<Source>,
    moved: Run,
    /// In order, not overlapping.
    zeros: Vec<Run>,
    /// Bytes from the start that are encrypted.
    encrypted: u64,
    on_write: Option<OnWrite>,
    /// Being converted when the volume was last used.
    in_work: Option<Run>,
}

impl View {
    pub(super) fn new(stored: Source, plain: Source, boot: &Boot, of: &Metadata, on_write: Option<OnWrite>) -> Self {
        let sector = boot.sector as u64;
        let len = stored.len().saturating_sub(stored.len().checked_rem(sector).unwrap_or(0));
        let reserved = of.reserved(boot);
        let mut zeros: Vec<Run> = of.copies.iter().map(|at| Run::new(*at, reserved)).collect();
        if of.moved.len > 0 {
            zeros.push(of.moved);
        }
        zeros.extend(on_write.iter().flat_map(|o| o.reserved.iter().copied()));
        let first = (boot.kind == Kind::Vista).then(|| {
            let first = Start { source: stored.clone(), mirror: of.mirror.to_le_bytes() };
            Arc::new(first) as Source
        });
        let encrypted = if of.encrypted == 0 { u64::MAX } else { of.encrypted };
        Self {
            stored,
            plain,
            len,
            first,
            moved: of.moved,
            zeros: merged(zeros, len),
            encrypted: if of.state == super::metadata::DECRYPTED { 0 } else { encrypted },
            on_write,
            in_work: of.in_work(),
        }
    }

    /// How the bytes from this one of the stored volume on read, `most` at most.
    fn stored_at(&self, offset: u64, most: u64) -> Extent {
        let of = |source: &Source, len| Extent::Stored { source: source.clone(), offset, len };
        if let Some(run) = self.in_work {
            if offset >= run.offset && offset < run.end() {
                let len = most.min(run.end().saturating_sub(offset));
                let what = "these bytes were being converted; BitLocker's log of them is not read".into();
                return Extent::Absent { len, what };
            }
            if offset >= run.end() {
                return of(&self.stored, most);
            }
        }
        if let Some(on_write) = &self.on_write {
            let (part, len) = on_write.part(offset);
            let len = len.min(most);
            return match part {
                Part::Encrypted => of(&self.plain, len),
                Part::Plain => of(&self.stored, len),
                Part::Unknown => Extent::Absent { len, what: "no map tells whether these bytes are encrypted".into() },
            };
        }
        match self.encrypted.saturating_sub(offset) {
            0 => of(&self.stored, most),
            left => of(&self.plain, most.min(left)),
        }
    }
}

impl Map for View {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let left = self.len.saturating_sub(offset);
        if let Some(first) = &self.first
            && offset < VISTA_START
        {
            let (source, end) = if offset < 512 { (first, 512) } else { (&self.stored, VISTA_START) };
            let len = left.min(end.saturating_sub(offset));
            return Ok(Extent::Stored { source: source.clone(), offset, len });
        }
        if offset < self.moved.len {
            let len = left.min(self.moved.len.saturating_sub(offset));
            let from = self.moved.offset.saturating_add(offset);
            if from >= self.len {
                return Ok(Extent::Absent { len, what: "the volume ends before its moved start".into() });
            }
            return Ok(self.stored_at(from, len.min(self.len.saturating_sub(from))));
        }
        let next = self.zeros.partition_point(|z| z.end() <= offset);
        Ok(match self.zeros.get(next) {
            Some(zeros) if zeros.offset <= offset => Extent::Hole { len: zeros.end().saturating_sub(offset) },
            Some(zeros) => self.stored_at(offset, left.min(zeros.offset.saturating_sub(offset))),
            None => self.stored_at(offset, left),
        })
    }
}

/// Runs in order, those that touch or overlap as one, cut to the volume.
fn merged(mut runs: Vec<Run>, len: u64) -> Vec<Run> {
    runs.sort_by_key(|r| (r.offset, r.len));
    let mut out: Vec<Run> = Vec::new();
    for run in runs.into_iter().filter(|r| r.offset < len && r.len > 0) {
        let end = run.end().min(len);
        match out.last_mut() {
            Some(last) if run.offset <= last.end() => last.len = last.len.max(end.saturating_sub(last.offset)),
            _ => out.push(Run::new(run.offset, end.saturating_sub(run.offset))),
        }
    }
    out
}

/// The first sector of Vista's volume: two fields differ from NTFS's.
struct Start {
    source: Source,
    mirror: [u8; 8],
}
impl ReadAt for Start {
    fn len(&self) -> u64 {
        self.source.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let n = self.source.read_at(offset, buf)?;
        for (at, bytes) in [(3_u64, b"NTFS    "), (56, &self.mirror)] {
            for (at, byte) in (at..).zip(bytes) {
                let place = at.checked_sub(offset).and_then(|n| usize::try_from(n).ok());
                if let Some(to) = place.and_then(|p| buf.get_mut(..n)?.get_mut(p)) {
                    *to = *byte;
                }
            }
        }
        Ok(n)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut pieces = self.source.locate(bytes);
        for piece in pieces.iter_mut().filter(|p| p.kind == PieceKind::Stored) {
            piece.kind = PieceKind::Decoded;
        }
        pieces
    }
}
