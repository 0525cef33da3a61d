//! File systems: trees of nodes over a [`Source`].
mod archive;
mod boot;
mod btrfs;
mod chunks;
mod damage;
mod erofs;
mod ext;
mod extents;
mod f2fs;
mod fat;
mod folder;
mod iso;
mod jffs2;
mod listed;
mod mem;
mod ntfs;
mod own;
mod raw;
mod squashfs;
mod ubifs;
mod xfs;

use crate::base::{Budget, Exceeded, Gaps, Name, NodeId, Run, Time, utf16};
use crate::image::{ReadError, Source, Store};
pub use archive::KINDS as ARCHIVES;
pub use folder::{FolderDisk, FolderFs};
pub(crate) use iso::{NAME as DISC, holds_disc, same_disc};
pub use mem::MemFs;
pub use ntfs::{NAME_TIMES, OWNERS, attribute_names, name_times, owners};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    File,
    Directory,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
    Unknown,
}
impl NodeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::CharDevice => "char-device",
            Self::BlockDevice => "block-device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::Unknown => "unknown",
        }
    }
}

/// A name in a directory. The kind is the directory's word for it, `Unknown` where it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: Name,
    pub node: NodeId,
    pub kind: NodeKind,
}

/// All timestamps a file system keeps, each at its own precision; `None` where it keeps none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    pub modified: Option<Time>,
    pub accessed: Option<Time>,
    /// Change of the metadata (ctime).
    pub changed: Option<Time>,
    /// Birth of the inode (crtime).
    pub created: Option<Time>,
    /// Deletion (ext dtime).
    pub deleted: Option<Time>,
}

/// The extended attribute under which an acquisition tells the MD5 of a file's content, 16 bytes.
pub const STORED_MD5: &[u8] = b"acquired.md5";

/// Whether an attribute is none of the evidence's own: a reader tells by it what [`Stat`] has no field for.
pub fn is_told(attribute: &[u8]) -> bool {
    attribute == STORED_MD5 || ntfs::is_told(attribute)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: NodeKind,
    /// Size in bytes; for a symlink the length of its target.
    pub len: u64,
    /// Bytes of storage allocated.
    pub allocated: u64,
    /// Permission bits with setuid, setgid and sticky: `mode & 0o7777`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    pub times: Times,
    /// Names as `lsattr` and its kin give them: `immutable`, `append`, `nodump`, `encrypted` …
    pub flags: Vec<&'static str>,
    /// Full names (`security.capability`), raw values.
    pub xattrs: Vec<(Name, Vec<u8>)>,
    /// Major and minor number of a device node.
    pub device: Option<(u32, u32)>,
}

/// What a file system says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsInfo {
    /// `ext4`, `ntfs`: what `blkid` would say.
    pub kind: String,
    pub label: String,
    /// Canonical text form, lower case.
    pub uuid: String,
    /// Bytes.
    pub block_size: u32,
    /// Where it was last mounted, by its own record.
    pub last_mounted: String,
    pub created: Option<Time>,
    pub last_mount_time: Option<Time>,
    pub last_write_time: Option<Time>,
    /// Unmounted cleanly, with nothing left in the journal.
    pub clean: bool,
    /// Feature names, sorted.
    pub features: Vec<String>,
    /// What else it says of itself, field and value: devices, subvolumes and snapshots.
    pub details: Vec<(String, String)>,
}

/// Which bytes of a node to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stream<'a> {
    #[default]
    Data,
    /// An alternate data stream or resource fork, by its raw name.
    Named(&'a [u8]),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FsError {
    /// The bytes could not be read.
    Read(ReadError),
    /// The structure at this byte of the volume contradicts the format.
    Corrupt {
        at: u64,
        what: String,
    },
    /// The format allows it; this reader does not.
    Unsupported(String),
    NotFound(NodeId),
}
impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(e) => e.fmt(f),
            Self::Corrupt { at, what } => write!(f, "damaged at volume_offset {at}: {what}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::NotFound(node) => write!(f, "no inode {}", node.number),
        }
    }
}
impl From<ReadError> for FsError {
    fn from(e: ReadError) -> Self {
        Self::Read(e)
    }
}
impl From<Exceeded> for FsError {
    fn from(e: Exceeded) -> Self {
        Self::Unsupported(e.0.to_owned())
    }
}

/// How to open a file system.
#[derive(Clone)]
pub struct Options {
    /// Where damage goes that does not stop the reader.
    pub gaps: Gaps,
    pub budget: Budget,
    /// Overlay the journal in memory, as a mount would replay it.
    pub replay_journal: bool,
    /// What decoded streams may keep in memory.
    pub store: Store,
}
impl Default for Options {
    fn default() -> Self {
        Self { gaps: Gaps::default(), budget: Budget::default(), replay_journal: true, store: Store::default() }
    }
}

/// One file system, read-only. `&self` everywhere: any number of threads read at once.
pub trait FileSystem: Send + Sync {
    fn info(&self) -> &FsInfo;
    fn root(&self) -> NodeId;
    /// Calls `each` for every live entry but `.` and `..`, in the order of the directory. What is
    /// damaged is a gap, and the rest of the directory still comes; an error means nothing more could be read.
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError>;
    fn stat(&self, node: NodeId) -> Result<Stat, FsError>;
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError>;
    /// A file's bytes are a [`Source`] like any image, so an image inside a file opens the same way.
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError>;
    /// Deleted entries: names found in directory slack with the directory they were in, and deleted
    /// inodes without a name (name empty, parent `None`).
    fn deleted(&self, _each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        Ok(())
    }
    /// Runs of the volume that no live file or structure uses.
    fn unallocated(&self) -> Vec<Run> {
        Vec::new()
    }
    /// Hardly any content will be read again: what is kept decoded in memory may go.
    fn release(&self) {}
    /// Another reader's independent view of the same bytes, for cross-checking; `None` if there is
    /// none. The error says why that reader refuses the file system.
    fn second_reader(&self) -> Option<Result<Box<dyn SecondReader + '_>, String>> {
        None
    }
}

/// A name as an independent reader sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecondEntry {
    pub name: Name,
    /// `NodeKind::as_str`.
    pub kind: &'static str,
    /// Size in bytes.
    pub len: u64,
}

/// An independent reader, asked path by path after the examination.
pub trait SecondReader {
    fn name(&self) -> &'static str;
    /// What is in a directory but `.` and `..`, sorted.
    fn list(&mut self, dir: &Name) -> Result<Vec<SecondEntry>, String>;
    /// The content of a file from its start, piece by piece, until `each` says `false`.
    fn read(&mut self, path: &Name, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), String>;
}

/// A file-system format: how to recognise it and how to open it.
pub struct Format {
    pub name: &'static str,
    pub about: &'static str,
    pub limits: &'static str,
    /// Whether a volume begins like it. Cheap: asked of every volume.
    pub probe: fn(&Source) -> bool,
    /// Whether a copy of its first structure is found elsewhere. Asked only of a volume that nothing
    /// recognises, so it may search; `open` must then find the copy as well.
    pub probe_damaged: fn(&Source) -> bool,
    /// Bytes that the file system says it has, by its first structure; `None` where that says nothing. Tells
    /// a search where to go on.
    pub size: fn(&Source) -> Option<u64>,
    pub open: fn(&Source, &Options) -> Result<Arc<dyn FileSystem>, FsError>,
}

/// Every file-system format, in the order in which they are tried.
pub const ALL: &[&Format] = &[
    &ext::FORMAT,
    &ntfs::FORMAT,
    &xfs::FORMAT,
    &btrfs::FORMAT,
    &squashfs::FORMAT,
    &ubifs::FORMAT,
    &jffs2::FORMAT,
    &fat::EXFAT,
    &fat::FORMAT,
    &erofs::FORMAT,
    &f2fs::FORMAT,
    &iso::FORMAT,
    &boot::UIMAGE,
    &boot::FIT,
    &boot::TRX,
    &boot::ANDROID,
    &boot::VENDOR,
    &boot::ENVIRONMENT,
    &archive::CPIO,
    &archive::ZIP,
    &archive::AR,
    &archive::L01,
    &archive::TAR,
];

/// The first format that recognises the source.
pub fn recognise(source: &Source) -> Option<&'static Format> {
    ALL.iter().find(|f| (f.probe)(source)).copied()
}

/// Whether what begins here is a piece among others that ends before the source does: a boot image in a dump.
pub fn is_piece(format: &Format, source: &Source) -> bool {
    boot::is_piece(format) && (format.size)(source).is_some_and(|len| len < source.len())
}

/// The first format that finds a copy of its first structure on a volume that nothing recognises.
pub fn recognise_damaged(source: &Source) -> Option<&'static Format> {
    ALL.iter().find(|f| (f.probe_damaged)(source)).copied()
}
