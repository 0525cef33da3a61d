//! JFFS2: a log of nodes over raw flash, without any table. All nodes are read once; the newest version of each name
//! and of each part of a file counts, the older ones tell what was deleted.
//! Format: the kernel's `include/uapi/linux/jffs2.h`.
mod codec;
mod content;
mod node;
mod scan;
mod tree;

use super::damage::Damage;
use crate::base::{NodeId, Run};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, Options, Stat, Stream};
use crate::image::Source;
use crate::image::cache::Cache;
use node::Order;
use std::sync::Arc;
use tree::Nodes;

/// The reader's name in gaps.
const BY: &str = "fs.jffs2";
/// Inodes whose equal faults are one gap.
const STRETCH: u64 = 1024;
/// Bytes of decoded nodes that are kept, and of an ordinary one.
const KEPT: u64 = 16 << 20;
const PAGE: u64 = 4096;

pub(super) const FORMAT: Format = Format {
    name: "jffs2",
    about: "JFFS2 of either byte order, compressed by zlib, rtime, rubin, lzo or lzma (OpenWrt); deleted names and files",
    limits: "times are whole seconds; older versions of a file that was not deleted are not listed; an inode number that was given again after a deletion shows both files as one",
    probe: |source| scan::starts(source).is_some(),
    // It has no first structure: a search finds the first node that is left.
    probe_damaged: |_| false,
    size: scan::len,
    open: |source, options| Ok(Arc::new(open(source, options)?)),
};

/// What all readers of one file system share.
struct Volume {
    source: Source,
    order: Order,
    nodes: Nodes,
    blocks: Cache<Vec<u8>>,
}

pub(super) struct Jffs2 {
    volume: Arc<Volume>,
    info: FsInfo,
}

fn open(source: &Source, options: &Options) -> Result<Jffs2, FsError> {
    let damage = Damage::new(options.gaps.clone(), BY, "inodes", STRETCH);
    let order = scan::starts(source).or_else(|| scan::order(source, source.len()));
    let order = order.ok_or_else(|| super::raw::corrupt(0, "no node of JFFS2"))?;
    let mut budget = options.budget;
    let scanned = scan::scan(source, order, &damage, &mut budget);
    let nodes = Nodes::new(scanned);
    if nodes.is_empty() {
        damage.once(0, "no file or name: the file system is empty, or all of it is lost", 0);
    }
    for entry in nodes.homeless() {
        let what = "name in a directory that is none, or of which nothing is there; listed among the deleted";
        damage.note(what, u64::from(entry.inode), entry.at, 0);
    }
    let info = FsInfo {
        kind: "jffs2".to_owned(),
        block_size: u32::try_from(PAGE).unwrap_or(4096),
        last_write_time: nodes.newest(),
        clean: true,
        features: vec![if order.big { "big-endian" } else { "little-endian" }.to_owned()],
        ..FsInfo::default()
    };
    let blocks = Cache::of_bytes(KEPT, PAGE);
    Ok(Jffs2 { volume: Arc::new(Volume { source: source.clone(), order, nodes, blocks }), info })
}

impl FileSystem for Jffs2 {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        tree::id(tree::ROOT)
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        tree::read_dir(&self.volume, dir, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        tree::stat(&self.volume, node)
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        tree::link(&self.volume, node)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        match stream {
            Stream::Data => tree::open(&self.volume, node),
            Stream::Named(_) => Err(FsError::NotFound(node)),
        }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        tree::deleted(&self.volume, each);
        Ok(())
    }
    /// What is erased.
    fn unallocated(&self) -> Vec<Run> {
        self.volume.nodes.free.clone()
    }
}
