//! A file's bytes.
use super::Volume;
use super::extent::{From, Part};
use super::raw::size;
use crate::base::{Piece, PieceKind, Run};
use crate::fs::extents::{MAP_DAMAGED, absent};
use crate::image::{ReadAt, ReadError};
use std::sync::Arc;

pub(super) struct Content {
    pub(super) volume: Arc<Volume>,
    pub(super) inode: u64,
    /// Bytes.
    pub(super) len: u64,
    pub(super) parts: Vec<Part>,
    /// Whether all of the parts are known; what lies between them is lost otherwise.
    pub(super) whole: bool,
    /// Whether its content has checksums.
    pub(super) checked: bool,
}

impl Content {
    /// What a byte of the file comes from, how far into that it lies, and for how many bytes.
    fn part(&self, offset: u64) -> (Option<&Part>, u64, u64) {
        let next = self.parts.partition_point(|p| p.end() <= offset);
        match self.parts.get(next) {
            Some(p) if p.start <= offset => (Some(p), offset.saturating_sub(p.start), p.end().saturating_sub(offset)),
            Some(p) => (None, 0, p.start.saturating_sub(offset)),
            None => (None, 0, self.len.saturating_sub(offset)),
        }
    }
    fn decoded(&self, part: &Part) -> Result<Arc<Vec<u8>>, String> {
        let From::Packed { at, stored, len, codec, inline, .. } = part.from else {
            return Err("not compressed".to_owned());
        };
        let make = || {
            let mut packed = vec![0; size(stored)];
            self.volume.content(at, &mut packed, self.checked && !inline, self.inode).map_err(|e| e.what)?;
            let place = self.volume.blocks.space.volume_offset(at);
            let failed = |e| format!("compressed extent at logical {at}, volume_offset {place}: {e}");
            codec.decode(&packed, size(len), size(u64::from(self.volume.sb.sector))).map_err(failed)
        };
        // An odd factor, so that the length tells apart what a crafted item says of the same place.
        let key = at.wrapping_add(len.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ stored.rotate_left(40);
        self.volume.decoded.get(key, make)
    }
    fn copy(&self, part: &Part, into: u64, to: &mut [u8]) -> Result<(), String> {
        match &part.from {
            From::Hole => to.fill(0),
            From::Lost(why) => return Err((*why).to_owned()),
            From::Plain(at) => {
                let check = self.checked && !part.inline;
                self.volume.content(at.saturating_add(into), to, check, self.inode).map_err(|e| e.what)?;
            }
            From::Packed { skip, .. } => {
                let decoded = self.decoded(part)?;
                let from = size(skip.saturating_add(into));
                let bytes = decoded.get(from..from.saturating_add(to.len()));
                to.copy_from_slice(bytes.ok_or("an extent holds less than the file has there")?);
            }
        }
        Ok(())
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
            let (part, into, len) = self.part(at);
            let end = done.saturating_add(size(len)).min(total);
            let Some(to) = buf.get_mut(done..end).filter(|p| !p.is_empty()) else { break };
            match part {
                Some(part) => self.copy(part, into, to).map_err(|what| ReadError { offset: at, what })?,
                None if self.whole => to.fill(0),
                None => return Err(ReadError { offset: at, what: MAP_DAMAGED.to_owned() }),
            }
            done = end;
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        let space = &self.volume.blocks.space;
        let plain = |kind, len| Piece { image: 0, offset: 0, len, kind };
        while at < end {
            let (part, into, len) = self.part(at);
            let len = len.min(end.saturating_sub(at));
            if len == 0 {
                break;
            }
            match part.map(|p| &p.from) {
                None if !self.whole => out.push(absent(len)),
                None | Some(From::Hole) => out.push(plain(PieceKind::Hole, len)),
                Some(From::Lost(_)) => out.push(absent(len)),
                Some(From::Plain(from)) => {
                    let from = from.saturating_add(into);
                    for (start, end, copy) in self.volume.copies_of(from, from.saturating_add(len)) {
                        space.locate(Run::new(start, end.saturating_sub(start)), copy, &mut out);
                    }
                }
                Some(From::Packed { at: from, .. }) => {
                    let mut first = Vec::new();
                    space.locate(Run::new(*from, 1), 0, &mut first);
                    out.push(match first.first() {
                        Some(p) if p.kind != PieceKind::Absent => Piece { len, kind: PieceKind::Decoded, ..*p },
                        _ => absent(len),
                    });
                }
            }
            at = at.saturating_add(len);
        }
        out
    }
}
