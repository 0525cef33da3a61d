//! A file whose bytes stand in parts of which some are compressed, as a source: what each part is, its reader says
//! ([`Chunked`]); reading across parts and locating them is the same for all formats.
use super::extents::absent;
use super::raw::size;
use crate::base::{Piece, PieceKind, Run};
use crate::image::{ReadAt, ReadError, Source, pieces};
use std::sync::Arc;

/// Where a part stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// From this byte of the volume, as it is.
    Volume(u64),
    /// The format defines it as zeros.
    Zeros,
    /// It cannot be read: why.
    Lost(String),
    /// Decoded from this run of the volume.
    Packed(Run),
}

/// A part of a file: the bytes from `start` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) stand: Stand,
}

pub(super) trait Chunked: Send + Sync {
    /// Bytes of the file.
    fn len(&self) -> u64;
    fn volume(&self) -> &Source;
    /// The part in which a byte of the file stands: `start` is not behind it, and the part reaches beyond it.
    fn part(&self, offset: u64) -> Part;
    /// The bytes of a packed part, all of them; the reader keeps those that may be asked for again.
    fn decode(&self, part: &Part) -> Result<Arc<Vec<u8>>, String>;
}

/// A chunked file as a source.
pub(super) struct Chunks<T>(pub(super) T);

impl<T: Chunked> Chunks<T> {
    /// The part at a byte, and how many bytes from there on belong to it; never 0 within the file.
    fn at(&self, offset: u64) -> (Part, u64) {
        let part = self.0.part(offset);
        let end = part.start.saturating_add(part.len).min(self.0.len());
        let left = end.saturating_sub(offset);
        if left == 0 || part.start > offset {
            // A reader that contradicts itself costs the rest of the file, never the program.
            let len = self.0.len().saturating_sub(offset);
            let what = "what leads to this part of the file is damaged".to_owned();
            return (Part { start: offset, len, stand: Stand::Lost(what) }, len);
        }
        (part, left)
    }
}

impl<T: Chunked> ReadAt for Chunks<T> {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let total = buf.len().min(size(self.0.len().saturating_sub(offset)));
        let mut done = 0_usize;
        while done < total {
            let at = offset.saturating_add(done as u64);
            let fail = |what: String| ReadError { offset: at, what };
            let (part, left) = self.at(at);
            let end = done.saturating_add(size(left)).min(total);
            let Some(to) = buf.get_mut(done..end).filter(|p| !p.is_empty()) else { break };
            let into = at.saturating_sub(part.start);
            match &part.stand {
                Stand::Zeros => to.fill(0),
                Stand::Lost(why) => return Err(fail(why.clone())),
                Stand::Volume(from) => {
                    let from = from.saturating_add(into);
                    let read = self.0.volume().read_at(from, to).map_err(|e| fail(e.to_string()))?;
                    if read != to.len() {
                        return Err(fail("the volume ends before this part of the file".to_owned()));
                    }
                }
                Stand::Packed(run) => {
                    let decoded = self.0.decode(&part).map_err(fail)?;
                    let from = size(into);
                    let bytes = decoded.get(from..from.saturating_add(to.len()));
                    let short = || fail(format!("compressed data at volume_offset {} gives too few bytes", run.offset));
                    to.copy_from_slice(bytes.ok_or_else(short)?);
                }
            }
            done = end;
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        let end = bytes.end().min(self.0.len());
        let mut at = bytes.offset;
        // Byte of the volume behind the last compressed part.
        let mut next = None;
        while at < end {
            let (part, left) = self.at(at);
            let len = left.min(end.saturating_sub(at));
            let into = at.saturating_sub(part.start);
            let mut behind = None;
            match &part.stand {
                Stand::Zeros => push(&mut out, Piece { image: 0, offset: 0, len, kind: PieceKind::Hole }),
                Stand::Lost(_) => push(&mut out, absent(len)),
                Stand::Volume(from) => {
                    for piece in pieces(&**self.0.volume(), Run::new(from.saturating_add(into), len)) {
                        join(&mut out, piece);
                    }
                }
                Stand::Packed(run) => {
                    behind = Some(run.end());
                    match out.last_mut() {
                        Some(last) if next == Some(run.offset) => last.len = last.len.saturating_add(len),
                        _ => {
                            let pieces = self.0.volume().locate(*run);
                            let first = pieces.first().map_or((0, run.offset), |p| (p.image, p.offset));
                            out.push(Piece { image: first.0, offset: first.1, len, kind: PieceKind::Decoded });
                        }
                    }
                }
            }
            next = behind;
            at = at.saturating_add(len);
        }
        out
    }
}

/// Adds a piece without bytes in the image, to the last one where that is of its kind.
fn push(out: &mut Vec<Piece>, piece: Piece) {
    match out.last_mut() {
        Some(last) if last.kind == piece.kind => last.len = last.len.saturating_add(piece.len),
        _ => out.push(piece),
    }
}
/// Adds a stored piece, to the last one where it goes on from there.
fn join(out: &mut Vec<Piece>, piece: Piece) {
    match out.last_mut() {
        Some(last)
            if last.kind == piece.kind
                && piece.kind == PieceKind::Stored
                && last.image == piece.image
                && last.offset.saturating_add(last.len) == piece.offset =>
        {
            last.len = last.len.saturating_add(piece.len);
        }
        _ => out.push(piece),
    }
}
