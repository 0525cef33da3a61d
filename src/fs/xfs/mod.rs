//! XFS, versions 4 and 5, read by inode number, tolerant of damage, with the place of every byte.
//! Format: "XFS Algorithms & Data Structures" (kernel.org). Checksums are checked; where one does not fit
//! that is a gap, and what is there is read all the same.
mod attr;
mod btree;
mod deleted;
mod dir;
mod file;
mod inode;
mod log;
mod map;
mod open;
mod overlay;
mod raw;
mod records;
mod replay;
mod sb;

use super::damage::Damage;
use crate::base::{Budget, NodeId, Run};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, Stat, Stream};
use crate::image::{Source, read_exact};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The reader's name in gaps.
const BY: &str = "fs.xfs";

pub(super) const FORMAT: Format = Format {
    name: "xfs",
    about: "XFS versions 4 and 5",
    limits: "the log is replayed in memory, but for what a mount would finish by itself (freeing of extents, counts of references), which is named, and for logs on another device; contents on a real-time device are not read; of deleted inodes the size is lost, and the content only what their extents still tell",
    probe: sb::probe,
    probe_damaged: sb::probe_copy,
    size: sb::len,
    open: |source, options| Ok(Arc::new(open::open(source, options)?)),
};

/// What all readers of one file system share.
struct Volume {
    source: Source,
    sb: sb::Super,
    cache: inode::Cache,
    damage: Damage,
    budget: Budget,
    /// Byte of a block that one inode alone can have → that inode.
    claims: Mutex<HashMap<u64, u64>>,
    /// Free runs, once they were asked for.
    free: OnceLock<Vec<Run>>,
}

impl Volume {
    /// Whether no other inode has this block of a directory or of attributes: so that what inodes of a
    /// crafted volume share is read once, not once for each.
    fn claim(&self, at: u64, inode: u64) -> bool {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        *claims.entry(at).or_insert(inode) == inode
    }
    /// Exactly `len` bytes of the volume.
    fn bytes(&self, at: u64, len: usize) -> Result<Vec<u8>, FsError> {
        read_exact(&*self.source, at, len)?.ok_or_else(|| raw::corrupt(at, "the volume ends before"))
    }
}

pub(super) struct XfsFs {
    volume: Volume,
    info: FsInfo,
    root: NodeId,
}

impl FileSystem for XfsFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        self.root
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        dir::read_dir(&self.volume, dir, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        file::stat(&self.volume, node)
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        file::link(&self.volume, node)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        match stream {
            Stream::Data => file::open(&self.volume, node),
            Stream::Named(_) => Err(FsError::NotFound(node)),
        }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        deleted::deleted(&self.volume, each);
        Ok(())
    }
    fn unallocated(&self) -> Vec<Run> {
        self.volume.free.get_or_init(|| deleted::unallocated(&self.volume)).clone()
    }
}
