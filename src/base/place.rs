//! Where something is: in which image, volume, file system, file, and at which byte of each.
use super::{Digest, Name};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `len` bytes at `offset` of whatever the context names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run {
    pub offset: u64,
    pub len: u64,
}
impl Run {
    pub const fn new(offset: u64, len: u64) -> Self {
        Self { offset, len }
    }
    /// The first byte after the run, saturating.
    pub const fn end(self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// How a piece of a source exists in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PieceKind {
    /// The bytes lie in the image as they are.
    Stored,
    /// No bytes exist; the format defines them as zero, or as erased flash (0xFF).
    Hole,
    /// The bytes come out of a decoder whose input is this run.
    Decoded,
    /// The bytes lie where the evidence does not reach: on a disk that was not imaged, in a lost map.
    Absent,
}
impl PieceKind {
    /// Whether bytes of an image stand behind it: else image and offset of a piece mean nothing.
    pub const fn has_place(self) -> bool {
        matches!(self, Self::Stored | Self::Decoded)
    }
}

/// A run of an acquired image, by index of the image within the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub image: u32,
    pub offset: u64,
    pub len: u64,
    pub kind: PieceKind,
}

/// A piece, together with where it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageRun {
    pub image: u32,
    pub file_offset: u64,
    pub offset: u64,
    pub len: u64,
    pub kind: PieceKind,
}

/// Index of a file system within the case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FsId(pub u32);

/// Identity of a file inside one file system. The generation tells a reused slot from the original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId {
    pub number: u64,
    pub generation: u64,
}

/// Where a fact was read, precise enough to find it again byte by byte with another tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    pub filesystem: FsId,
    /// Path in the running system, or in the file system where no system mounts it.
    pub path: Name,
    pub node: NodeId,
    pub deleted: bool,
    /// SHA-256 of the whole file, where it was read.
    pub sha256: Option<Digest>,
    /// Bytes within the file; `None` means the file as a whole.
    pub range: Option<Run>,
    /// The same bytes in the images as acquired, in file order.
    pub image_runs: Vec<ImageRun>,
    /// 1-based.
    pub line: Option<u32>,
    /// Registry key and value, INI section and key, JSON pointer.
    pub key: Option<String>,
    pub excerpt: Option<String>,
}

impl Evidence {
    /// Bytes of the file as evidence, with the runs of the images that they lie in.
    pub fn part(&self, run: Run) -> Self {
        let within = |piece: &ImageRun| {
            let (start, end) = (piece.file_offset.max(run.offset), piece.file_offset.saturating_add(piece.len));
            let end = end.min(run.end());
            match piece.kind {
                // How far into the file a decoder's input leads is not told by its length.
                PieceKind::Decoded => (piece.file_offset < run.end()).then_some(*piece),
                _ => (start < end).then(|| ImageRun {
                    file_offset: start,
                    offset: piece.offset.saturating_add(start.saturating_sub(piece.file_offset)),
                    len: end.saturating_sub(start),
                    ..*piece
                }),
            }
        };
        let image_runs = self.image_runs.iter().filter_map(within).collect();
        Self { range: Some(run), image_runs, ..self.clone() }
    }
}

/// Where a gap is; as much of it as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub image: Option<u32>,
    pub volume: Option<u32>,
    pub filesystem: Option<FsId>,
    pub path: Option<Name>,
    pub inode: Option<u64>,
    /// Name of the space (`image_offset`, `volume_offset`, `file_offset`) and the byte.
    pub offset: Option<(String, u64)>,
}
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.image.map(|i| format!("image {i}")));
        parts.extend(self.volume.map(|v| format!("volume {v}")));
        parts.extend(self.filesystem.map(|s| format!("file system {}", s.0)));
        parts.extend(self.path.as_ref().map(Name::display));
        parts.extend(self.inode.map(|i| format!("inode {i}")));
        parts.extend(self.offset.as_ref().map(|(space, at)| format!("{space} {at}")));
        f.write_str(&parts.join(", "))
    }
}
