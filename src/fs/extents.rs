//! A file's bytes as a source over runs of its volume: stored, holes, and parts that are lost. A reader whose
//! files are laid out otherwise says where a byte stands ([`Placed`]) and reads and locates by the same code.
use super::raw::size;
use crate::base::{Piece, PieceKind, Run};
use crate::image::{ReadAt, ReadError, Source};

/// Where a part of a file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// From this byte of the volume.
    Volume(u64),
    /// The format defines it as zeros.
    Zeros,
    /// It cannot be read: why.
    Lost(&'static str),
}

/// Why a part is [`At::Lost`] where it is not known more exactly.
pub(super) const MAP_DAMAGED: &str = "what leads to this part of the file is damaged";

/// A file that stands in parts of its volume.
pub(super) trait Placed: ReadAt {
    /// What stands at a byte of the file, and for how many bytes; none where nothing is known.
    fn place(&self, offset: u64) -> (At, u64);
    /// Reads the volume.
    fn read_volume(&self, from: u64, to: &mut [u8]) -> Result<usize, ReadError>;
    /// The image's bytes behind a run of the volume, as far as it reaches.
    fn locate_volume(&self, run: Run, out: &mut Vec<Piece>);
}

/// [`ReadAt::read_at`] of a placed file.
pub(super) fn read_placed(file: &impl Placed, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
    let fail = |at: u64, what: &str| ReadError { offset: at, what: what.to_owned() };
    let total = buf.len().min(size(file.len().saturating_sub(offset)));
    let mut done = 0_usize;
    while done < total {
        let at = offset.saturating_add(done as u64);
        let (place, len) = file.place(at);
        let end = done.saturating_add(size(len)).min(total);
        let Some(part) = buf.get_mut(done..end).filter(|p| !p.is_empty()) else {
            break;
        };
        match place {
            At::Zeros => part.fill(0),
            At::Lost(why) => return Err(fail(at, why)),
            At::Volume(from) => {
                let moved = |e: ReadError| fail(at.saturating_add(e.offset.saturating_sub(from)), &e.what);
                if file.read_volume(from, part).map_err(moved)? != part.len() {
                    return Err(fail(at, "the volume ends before this part of the file"));
                }
            }
        }
        done = end;
    }
    Ok(done)
}

/// [`ReadAt::locate`] of a placed file.
pub(super) fn locate_placed(file: &impl Placed, bytes: Run) -> Vec<Piece> {
    let mut out = Vec::new();
    let end = bytes.end().min(file.len());
    let mut at = bytes.offset;
    while at < end {
        let (place, len) = file.place(at);
        let len = len.min(end.saturating_sub(at));
        if len == 0 {
            break;
        }
        match place {
            At::Zeros => out.push(Piece { image: 0, offset: 0, len, kind: PieceKind::Hole }),
            // Nothing can be read here; a read says why.
            At::Lost(_) => out.push(absent(len)),
            At::Volume(from) => {
                let before = out.len();
                file.locate_volume(Run::new(from, len), &mut out);
                let found = out.iter().skip(before).fold(0_u64, |n, p| n.saturating_add(p.len));
                // What lies beyond the volume's end stands nowhere.
                out.extend(len.checked_sub(found).filter(|n| *n > 0).map(absent));
            }
        }
        at = at.saturating_add(len);
    }
    out
}
pub(super) fn absent(len: u64) -> Piece {
    Piece { image: 0, offset: 0, len, kind: PieceKind::Absent }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// First byte of the file that it holds.
    pub(super) start: u64,
    /// Bytes.
    pub(super) len: u64,
    pub(super) at: At,
}
impl Extent {
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

pub(super) struct Extents {
    pub(super) volume: Source,
    /// Bytes.
    pub(super) len: u64,
    /// Bytes that were ever written; what follows reads as zeros.
    pub(super) valid: u64,
    /// Sorted by `start`, not overlapping. What lies between them is a hole.
    pub(super) list: Box<[Extent]>,
}

impl Placed for Extents {
    fn place(&self, offset: u64) -> (At, u64) {
        if offset >= self.valid {
            return (At::Zeros, self.len.saturating_sub(offset));
        }
        let next = self.list.partition_point(|e| e.end() <= offset);
        let (at, end) = match self.list.get(next) {
            Some(e) if e.start <= offset => {
                let into = offset.saturating_sub(e.start);
                let at = match e.at {
                    At::Volume(from) => {
                        from.checked_add(into).map_or(At::Lost("a part of the file lies beyond any volume"), At::Volume)
                    }
                    other => other,
                };
                (at, e.end())
            }
            Some(e) => (At::Zeros, e.start),
            None => (At::Zeros, self.len),
        };
        (at, end.min(self.len).min(self.valid).saturating_sub(offset))
    }
    fn read_volume(&self, from: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        self.volume.read_at(from, to)
    }
    fn locate_volume(&self, run: Run, out: &mut Vec<Piece>) {
        out.extend(self.volume.locate(run));
    }
}

impl ReadAt for Extents {
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
