//! Bytes of an acquisition. An image, a partition, a file: all are a [`Source`].
//!
//! Reads are positioned and `&self`; no write method exists. `locate` leads any bytes back to runs
//! of the acquired images, so that every fact can be checked with `dd`.
mod acquired;
mod blocks;
pub(crate) mod cache;
mod cursor;
mod decoded;
mod ewf;
mod fields;
mod file;
pub mod fwtool;
mod inflate;
mod joined;
pub mod magic;
mod mapped;
mod packed;
mod parent;
mod pieces;
mod qcow2;
mod raw;
mod slice;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;

use crate::base::{Budget, Exceeded, Gaps, Piece, PieceKind, Run, Wanted};
use acquired::Acquired;
pub use cursor::Cursor;
pub(crate) use fields::guid;
pub use file::OpenFile;
pub use joined::Joined;
pub use mapped::{Extent, Map, Mapped};
pub(crate) use packed::{
    Codec, Forward, Opened, Unpacked, expand_lzo, expand_zstd, expand_zstd_into, first_bytes, peek, tell,
};
pub use packed::{Scratch, Store};
pub use pieces::pieces;
pub use slice::Slice;
use std::fmt;
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
    /// Hardly anything of it will be read again: what it keeps decoded in memory may go.
    fn release(&self) {}
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

/// A file that belongs to an image.
#[derive(Clone)]
pub struct Segment {
    pub source: Source,
    /// As the examiner named it, or as it was found.
    pub name: String,
}

/// Where a container's reader gets the further files that its image names: the parent process looks beside
/// the image, or, for an image inside a file system, the folder it lies in is asked.
pub trait Siblings {
    /// The file, or why it was not given.
    fn ask(&self, wanted: &Wanted) -> Result<Segment, String>;
}

/// No further files exist.
pub struct Alone;
impl Siblings for Alone {
    fn ask(&self, wanted: &Wanted) -> Result<Segment, String> {
        Err(format!("{wanted} was not looked for"))
    }
}

/// What a container's reader is given.
pub struct Opening<'a> {
    /// The file, or all segments of a set that was cut into equal pieces, one after the other.
    pub source: Source,
    pub files: &'a dyn Siblings,
    /// The ledger of this image: damage that does not stop the reader, a missing file that leaves the rest readable.
    pub gaps: &'a Gaps,
    /// Of it, `bytes` are how many decoded ones a compressed stream may have.
    pub budget: Budget,
    /// What decoded streams may keep in memory.
    pub store: Store,
}

/// An opened container.
pub struct Container {
    /// The decoded disk. Its `locate` leads to the files of the container (compressed parts as
    /// `Decoded` runs); for an image that the examiner gave, the frame replaces it by the disk's own offsets.
    pub disk: Source,
    /// Hashes of the decoded disk that the acquisition tool stored: algorithm (`md5`, `sha1`, `sha256`), lower-case hex.
    pub stored_hashes: Vec<(String, String)>,
    /// What the container says of the acquisition or of itself: field and value, in its own order.
    pub details: Vec<(String, String)>,
}
impl Container {
    /// A container that says nothing but its bytes.
    pub fn of(disk: Source) -> Self {
        Self { disk, stored_hashes: Vec::new(), details: Vec::new() }
    }
}

/// Why a container could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    Read(ReadError),
    /// The structure at this byte of the file contradicts the format.
    Corrupt {
        at: u64,
        what: String,
    },
    /// The format allows it; this reader does not.
    Unsupported(String),
    /// A further file without which nothing can be read.
    Missing {
        wanted: String,
        why: String,
    },
}
impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(e) => e.fmt(f),
            Self::Corrupt { at, what } => write!(f, "damaged at byte {at} of the file: {what}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::Missing { wanted, why } => write!(f, "it needs {wanted}: {why}"),
        }
    }
}
impl From<ReadError> for OpenError {
    fn from(e: ReadError) -> Self {
        Self::Read(e)
    }
}
impl From<Exceeded> for OpenError {
    fn from(e: Exceeded) -> Self {
        Self::Unsupported(e.0.to_owned())
    }
}

/// A container format: how to recognise it and how to open it.
pub struct Format {
    pub name: &'static str,
    pub about: &'static str,
    /// What of it is not read, in words for `formats`.
    pub limits: &'static str,
    /// Whether a file looks like it, by content.
    pub probe: fn(&Source) -> bool,
    pub open: fn(&Opening<'_>) -> Result<Container, OpenError>,
}

/// Every container format, in the order in which they are tried. `raw` accepts anything and is last.
pub const ALL: &[&Format] = &[
    &ewf::FORMAT,
    &ewf::SECOND,
    &qcow2::FORMAT,
    &vmdk::FORMAT,
    &vhdx::FORMAT,
    &vhd::FORMAT,
    &vdi::FORMAT,
    &packed::GZIP,
    &packed::XZ,
    &packed::ZSTD,
    &packed::BZIP2,
    &packed::LZ4,
    &packed::LZ4_LEGACY,
    &packed::LZOP,
    &packed::LZMA,
    &raw::FORMAT,
];

/// The first format that recognises the file; `None` if it is none but raw bytes.
pub fn recognise(source: &Source) -> Option<&'static Format> {
    ALL.iter().filter(|f| f.name != raw::FORMAT.name).find(|f| (f.probe)(source)).copied()
}

/// What an image may be packed in; magic's words.
const PACKED: &[&str] = &["gzip", "xz", "zstd", "bzip2", "lz4", "7z", "rar"];

/// Whether a format is a compressed stream, whose opening decodes all of it.
pub fn is_stream(format: &Format) -> bool {
    packed::ALL.contains(&format.name)
}

/// The segments of a set that was cut into equal pieces, one after the other.
pub fn join(segments: Vec<Segment>) -> Source {
    match segments.as_slice() {
        [one] => one.source.clone(),
        _ => Arc::new(Joined::new(segments.into_iter().map(|s| s.source).collect())),
    }
}

/// The bytes of an acquisition as image number `image` of the case: where evidence is led back to.
pub fn acquired(disk: Source, image: u32) -> Source {
    Arc::new(Acquired { disk, image })
}

/// Opens image number `image` of the case with the first format that recognises it.
pub fn open(
    source: Source,
    image: u32,
    files: &dyn Siblings,
    gaps: &Gaps,
) -> Result<(&'static Format, Container), OpenError> {
    open_with(source, image, files, gaps, &Store::default())
}

/// [`open`], sharing memory for decoded streams with other images.
pub fn open_with(
    source: Source,
    image: u32,
    files: &dyn Siblings,
    gaps: &Gaps,
    store: &Store,
) -> Result<(&'static Format, Container), OpenError> {
    let format = recognise(&source).unwrap_or(&raw::FORMAT);
    let packed = magic::find(&*source, 0, |m| PACKED.contains(&m.word)).filter(|_| format.name == raw::FORMAT.name);
    if let Some(packed) = packed {
        let what =
            format!("it begins like {}: a packed image is read as it is; unpack it and examine that", packed.name);
        gaps.add("image", what, source.len());
    }
    let mut container =
        (format.open)(&Opening { source, files, gaps, budget: Budget::default(), store: store.clone() })?;
    container.disk = Arc::new(Acquired { disk: container.disk, image });
    Ok((format, container))
}
