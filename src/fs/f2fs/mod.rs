//! F2FS: the file system that writes to flash as to a log; of Android and of newer panels and gateways. Inode numbers
//! are the kernel's; a deleted inode's generation is the block where it still stands.
//! Format: the Linux kernel's Documentation/filesystems/f2fs.rst.
mod checkpoint;
mod content;
mod deleted;
mod folder;
mod inode;
mod node;
mod superblock;
mod xattr;

use super::damage::Damage;
use super::listed::Listed;
use super::raw::{corrupt, size};
use crate::base::{NodeId, Run};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, NodeKind, Options, Stat, Stream, Times};
use crate::image::Source;
use crate::image::cache::Cache;
use deleted::{NAME_ONLY, Segments};
use inode::Inode;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

/// The reader's name in gaps.
const BY: &str = "fs.f2fs";
/// Inodes whose equal faults are one gap.
const STRETCH: u64 = 1024;
/// Blocks of nodes and of their table that are kept; decoded clusters.
const NODES: usize = 4096;
const NAT: usize = 512;
const CLUSTERS: usize = 128;

pub(super) const FORMAT: Format = Format {
    name: "f2fs",
    about: "F2FS: both superblocks and checkpoints, what was synced after the checkpoint, inline files and directories, compressed files (lzo, lz4, zstd), attributes, deleted files",
    limits: "blocks of 16 KiB and lzo-rle clusters are named but not read; encrypted names are shown as they stand, encrypted contents are gaps; files on further devices are gaps; of what was synced after the checkpoint nodes and names are recovered, segment information is not",
    probe: superblock::probe,
    probe_damaged: superblock::probe_second,
    size: superblock::length,
    open: |source, options| Ok(Arc::new(open(source, options)?)),
};

/// What all readers of one file system share.
struct Volume {
    source: Source,
    sb: superblock::Superblock,
    cp: checkpoint::Checkpoint,
    synced: node::Synced,
    damage: Damage,
    listed: Listed,
    /// Blocks of the table of nodes, and nodes, by number.
    nat: Cache<Vec<u8>>,
    nodes: Cache<node::Node>,
    /// Decoded clusters, by their first byte.
    clusters: Cache<Vec<u8>>,
    segments: OnceLock<Segments>,
}
impl Volume {
    fn segments(&self) -> &Segments {
        self.segments.get_or_init(|| deleted::segments(self))
    }
    /// Whether a live file or node uses a block.
    fn in_use(&self, block: u64) -> bool {
        self.segments().used(block.saturating_sub(self.sb.main))
    }
}

struct F2fs {
    volume: Arc<Volume>,
    info: FsInfo,
}

fn open(source: &Source, options: &Options) -> Result<F2fs, FsError> {
    let sb = superblock::read(source)?;
    let damage = Damage::new(options.gaps.clone(), BY, "inodes", STRETCH);
    for (at, what) in &sb.faults {
        damage.once(*at, what, 0);
    }
    let len = sb.here().saturating_mul(superblock::BLOCK);
    if len > source.len() {
        let what = format!("file system of {len} bytes on a volume of {}", source.len());
        damage.once(1024 + 36, what, len.saturating_sub(source.len()));
    }
    for (path, blocks) in sb.devices.iter().skip(1) {
        let what = format!("files on a further device (\"{}\", {blocks} blocks) are not here", path.escape_default());
        damage.once(1024 + 2201, what, 0);
    }
    let cp = checkpoint::read(source, &sb)?;
    for (at, what) in &cp.faults {
        damage.once(*at, what, 0);
    }
    let most = (source.len() / 8).saturating_add(1 << 16).min(options.budget.steps);
    let mut volume = Volume {
        source: source.clone(),
        sb,
        cp,
        synced: node::Synced::default(),
        damage,
        listed: Listed::new(most),
        nat: Cache::new(NAT),
        nodes: Cache::new(NODES),
        clusters: Cache::new(CLUSTERS),
        segments: OnceLock::new(),
    };
    let synced = node::synced(&volume);
    let open = synced.chain;
    if options.replay_journal {
        volume.synced = synced;
    } else if open > 0 {
        let what = format!("{open} nodes were synced after the checkpoint, and are not shown");
        volume.damage.once(volume.sb.main.saturating_mul(superblock::BLOCK), what, 0);
    }
    let root = inode::read(&volume, volume.sb.root)?;
    if root.kind != NodeKind::Directory {
        return Err(corrupt(root.node.at(), "the root is no directory"));
    }
    let info = info(&volume, open);
    Ok(F2fs { volume: Arc::new(volume), info })
}

fn info(volume: &Volume, open: u64) -> FsInfo {
    let sb = &volume.sb;
    let mut features = sb.names();
    features.extend(sb.devices.iter().map(|(path, _)| format!("device \"{}\"", path.escape_default())));
    features.sort();
    let mut uuid = String::new();
    for (n, byte) in sb.uuid.iter().enumerate().filter(|_| sb.uuid != [0; 16]) {
        if matches!(n, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        // Writing to a String does not fail.
        let _ = write!(uuid, "{byte:02x}");
    }
    FsInfo {
        kind: "f2fs".to_owned(),
        label: sb.label.clone(),
        uuid,
        block_size: 4096,
        clean: volume.cp.unmounted() && open == 0,
        features,
        ..FsInfo::default()
    }
}

impl F2fs {
    fn inode(&self, node: NodeId) -> Result<Inode, FsError> {
        let ino = u32::try_from(node.number).map_err(|_| FsError::NotFound(node))?;
        match node.generation {
            0 => inode::read(&self.volume, ino),
            NAME_ONLY.. => Err(FsError::NotFound(node)),
            block => {
                let found = self.volume.node_at(block)?;
                if found.ino() != ino {
                    return Err(FsError::NotFound(node));
                }
                inode::parse(&self.volume, Arc::new(found), true)
            }
        }
    }
}

impl FileSystem for F2fs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        NodeId { number: self.volume.sb.root.into(), generation: 0 }
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        let inode = self.inode(dir)?;
        if inode.kind != NodeKind::Directory {
            return Err(corrupt(inode.node.at(), "not a directory"));
        }
        folder::list(&self.volume, &inode, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        if let Some(number) = node.generation.checked_sub(NAME_ONLY) {
            // The name of a deleted file is all that is left of it.
            return Ok(Stat {
                kind: folder::kind(u8::try_from(number).unwrap_or(0)),
                len: 0,
                allocated: 0,
                mode: 0,
                uid: 0,
                gid: 0,
                links: 0,
                times: Times::default(),
                flags: vec!["name-only"],
                xattrs: Vec::new(),
                device: None,
            });
        }
        let inode = self.inode(node)?;
        Ok(Stat {
            kind: inode.kind,
            len: inode.len,
            // The inode's own block counts as one.
            allocated: inode.blocks().saturating_sub(1).saturating_mul(superblock::BLOCK),
            mode: inode.mode & 0o7777,
            uid: inode.uid(),
            gid: inode.gid(),
            links: inode.links(),
            times: inode.times(&self.volume),
            flags: inode.flags(&self.volume),
            xattrs: xattr::read(&self.volume, &inode),
            device: inode.device(),
        })
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        let inode = self.inode(node)?;
        if inode.kind != NodeKind::Symlink {
            return Err(FsError::NotFound(node));
        }
        let content = content::open(&self.volume, &inode);
        let mut out = vec![0; size(content.len().min(superblock::BLOCK))];
        let n = content.read_at(0, &mut out)?;
        out.truncate(n);
        Ok(out)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        if let Stream::Named(_) = stream {
            return Err(FsError::NotFound(node));
        }
        if node.generation >= NAME_ONLY {
            return Err(FsError::Unsupported("only the name of the deleted file is left".to_owned()));
        }
        let inode = self.inode(node)?;
        match inode.kind {
            NodeKind::File if inode.encrypted() => {
                Err(FsError::Unsupported("encrypted file (fscrypt); its key is not on the disk".to_owned()))
            }
            NodeKind::File => Ok(content::open(&self.volume, &inode)),
            _ => Ok(Arc::new(Vec::new())),
        }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        deleted::each(&self.volume, each)
    }
    fn unallocated(&self) -> Vec<Run> {
        deleted::unallocated(&self.volume)
    }
}
