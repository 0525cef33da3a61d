//! Bytes of an acquisition. An image, a partition, a file: all are a [`Source`].
//!
//! Reads are positioned and `&self`; no write method exists. `locate` leads any bytes back to runs
//! of the acquired images, so that every fact can be checked with `dd`.
mod cursor;
pub mod magic;
mod raw;
mod slice;

use crate::base::{Gaps, Piece, PieceKind, Run};
pub use cursor::Cursor;
pub use raw::RawImage;
pub use slice::Slice;
use std::fmt;
use std::fs::File;
use std::sync::Arc;

/// A read that failed. `offset` is in the space of the source that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    pub offset: u64,
    pub what: String,
}
impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read error at byte {}: {}", self.offset, self.what)
    }
}
impl std::error::Error for ReadError {}

/// Positioned, read-only bytes.
pub trait ReadAt: Send + Sync {
    /// Size in bytes.
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `buf` from `offset`. A short count means that the end was reached, never a partial success.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError>;
    /// The pieces of the acquired images that hold `bytes`, in order and together exactly as long
    /// as the part of `bytes` that lies within the source.
    fn locate(&self, bytes: Run) -> Vec<Piece>;
}
pub type Source = Arc<dyn ReadAt>;

/// Reads exactly `len` bytes; `None` if the source ends before (out of range is never zeros).
pub fn read_exact(source: &dyn ReadAt, offset: u64, len: usize) -> Result<Option<Vec<u8>>, ReadError> {
    let end = offset.checked_add(len as u64);
    if end.is_none_or(|end| end > source.len()) {
        return Ok(None);
    }
    let mut buf = vec![0; len];
    let n = source.read_at(offset, &mut buf)?;
    Ok((n == len).then_some(buf))
}

/// Bytes in memory: text file systems in tests, decoded content. They exist only decoded.
impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let rest = usize::try_from(offset).ok().and_then(|o| self.get(o..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let len = bytes.len.min(ReadAt::len(self).saturating_sub(bytes.offset));
        vec![Piece { image: 0, offset: bytes.offset, len, kind: PieceKind::Decoded }]
    }
}

/// One file of an acquisition, as the parent opened it: read-only.
pub struct Segment {
    pub file: File,
    /// As the examiner named it.
    pub name: String,
    /// Bytes; for a block device the device's size.
    pub len: u64,
}

/// A container format of acquired images.
pub struct Format {
    pub name: &'static str,
    pub about: &'static str,
    /// What of it is not read, in words for `formats`.
    pub limits: &'static str,
    /// Whether these segments look like it, by content.
    pub probe: fn(&[Segment]) -> bool,
    /// `image` is the index that `locate` reports.
    pub open: fn(Vec<Segment>, image: u32, &Gaps) -> Result<Source, ReadError>,
}

/// Every container format, in the order in which they are tried. `raw` accepts anything and is last.
pub const ALL: &[&Format] = &[&raw::FORMAT];

/// Opens the segments of one image with the first format that recognises them.
pub fn open(segments: Vec<Segment>, image: u32, gaps: &Gaps) -> Result<(&'static Format, Source), ReadError> {
    let format = ALL.iter().find(|f| (f.probe)(&segments)).copied().unwrap_or(&raw::FORMAT);
    Ok((format, (format.open)(segments, image, gaps)?))
}
