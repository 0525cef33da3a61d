//! EROFS: the compressed, read-only file system of Android, of containers and of newer gateways and live systems.
//! Inode numbers are the kernel's.
//! Format: the Linux kernel's Documentation/filesystems/erofs.rst.
mod codec;
mod content;
mod folder;
mod index;
mod inode;
mod lz4;
mod superblock;
mod xattr;

use super::chunks::Stand;
use super::damage::Damage;
use super::listed::Listed;
use super::raw::corrupt;
use crate::base::{NodeId, Run, Time};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, NodeKind, Options, Stat, Stream, Times};
use crate::image::Source;
use crate::image::cache::Cache;
use inode::{Inode, Layout};
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

/// The reader's name in gaps.
const BY: &str = "fs.erofs";
/// Inodes whose equal faults are one gap.
const STRETCH: u64 = 1024;
/// Decoded clusters that are kept.
const KEPT: usize = 256;

pub(super) const FORMAT: Format = Format {
    name: "erofs",
    about: "EROFS: plain, chunked and compressed files (lz4, MicroLZMA, deflate, zstd; big clusters, inline tails, fragments, dedupe), attributes",
    limits: "images with the features 48bit or metabox are named but not read; parts of files on further devices are gaps; only the time of modification is kept; files that nothing leads to are not looked for, as nothing is deleted in it",
    probe: superblock::probe,
    // No copy of the superblock exists.
    probe_damaged: |_| false,
    size: superblock::length,
    open: |source, options| Ok(Arc::new(open(source, options)?)),
};

/// What all readers of one file system share.
struct Volume {
    source: Source,
    sb: superblock::Superblock,
    damage: Damage,
    listed: Listed,
    /// Prefixes of attribute names, by number.
    prefixes: Vec<Option<Vec<u8>>>,
    /// Decoded clusters, by their block and how much of them was wanted.
    clusters: Cache<Vec<u8>>,
    /// The inode that holds the ends of many files; or why it cannot be read.
    packed: OnceLock<Result<Source, String>>,
}

impl Volume {
    /// The byte of this volume at a block of a device; none where that is another device.
    fn device(&self, device: u16, block: u64) -> Option<u64> {
        let elsewhere =
            |d: &superblock::Device| d.first > 0 && block >= d.first && block < d.first.saturating_add(d.blocks);
        if device != 0 || self.sb.devices.iter().any(elsewhere) {
            return None;
        }
        block.checked_mul(self.sb.block())
    }
    /// Where an end of a file stands that lies together with others.
    fn fragment_stand(&self, from: u64, len: u64) -> Stand {
        match self.packed.get() {
            None => Stand::Lost(
                "the file's end stands in the packed inode, which this file system does not have".to_owned(),
            ),
            Some(Err(why)) => Stand::Lost(format!("the file's end stands in the packed inode: {why}")),
            Some(Ok(packed)) if from.saturating_add(len) > packed.len() => {
                Stand::Lost("the file's end stands behind the end of the packed inode".to_owned())
            }
            Some(Ok(packed)) => {
                let at = packed.locate(Run::new(from, 1)).first().map_or(0, |p| p.offset);
                // Read from the packed inode, whatever that is made of.
                Stand::Packed(Run::new(at, len))
            }
        }
    }
    fn fragment(&self, from: u64, wanted: usize) -> Result<Vec<u8>, String> {
        let Some(Ok(packed)) = self.packed.get() else { return Err("the packed inode cannot be read".to_owned()) };
        if wanted as u64 > packed.len() {
            return Err("the file's end stands behind the end of the packed inode".to_owned());
        }
        let mut out = vec![0; wanted];
        match packed.read_at(from, &mut out) {
            Ok(n) if n == wanted => Ok(out),
            Ok(_) => Err("the packed inode ends before".to_owned()),
            Err(e) => Err(format!("packed inode: {e}")),
        }
    }
}

struct Erofs {
    volume: Arc<Volume>,
    info: FsInfo,
}

fn open(source: &Source, options: &Options) -> Result<Erofs, FsError> {
    let sb = superblock::read(source)?;
    let damage = Damage::new(options.gaps.clone(), BY, "inodes", STRETCH);
    for (at, what) in &sb.faults {
        damage.once(*at, what, 0);
    }
    if sb.end() > source.len() {
        let what = format!("file system of {} bytes on a volume of {}", sb.end(), source.len());
        damage.once(superblock::AT.saturating_add(36), what, sb.end().saturating_sub(source.len()));
    }
    // No compressor gets an entry into an eighth of a byte, but for short listings.
    let most = source.len().saturating_mul(8).saturating_add(1 << 16).min(options.budget.steps);
    let mut volume = Volume {
        source: source.clone(),
        damage,
        listed: Listed::new(most),
        prefixes: Vec::new(),
        clusters: Cache::new(KEPT),
        packed: OnceLock::new(),
        sb,
    };
    if let Some(nid) = volume.sb.packed {
        // Read by a volume of its own, which has no packed inode: so it cannot lead to itself.
        let inner = Arc::new(Volume {
            source: source.clone(),
            sb: superblock::read(source)?,
            damage: Damage::new(options.gaps.clone(), BY, "inodes", STRETCH),
            listed: Listed::new(most),
            prefixes: Vec::new(),
            clusters: Cache::new(KEPT),
            packed: OnceLock::new(),
        });
        let content = inode::read(&inner, nid).map_err(|e| e.to_string()).and_then(|i| content::open(&inner, &i));
        if let Err(why) = &content {
            volume.damage.once(volume.sb.meta, format!("the inode with the ends of files is not read: {why}"), 0);
        }
        volume.packed = content.into();
    }
    let within = volume.sb.prefixes.is_some_and(|p| p.2).then(|| volume.packed.get().and_then(|p| p.as_ref().ok()));
    let prefixes = match within {
        Some(None) => {
            volume.damage.once(volume.sb.meta, "the long prefixes of attribute names cannot be read", 0);
            Vec::new()
        }
        Some(Some(packed)) => xattr::prefixes(&volume, Some(&**packed)),
        None => xattr::prefixes(&volume, None),
    };
    volume.prefixes = prefixes;
    let root = inode::read(&volume, volume.sb.root)?;
    if root.kind != NodeKind::Directory {
        return Err(corrupt(root.at, "the root is no directory"));
    }
    let info = info(&volume);
    Ok(Erofs { volume: Arc::new(volume), info })
}

fn info(volume: &Volume) -> FsInfo {
    let sb = &volume.sb;
    let mut features = sb.features.clone();
    let used = (0..16_u8).filter(|n| sb.settings.used & (1 << n) != 0).filter_map(codec::Codec::of);
    features.extend(used.map(|c| format!("compressor-{}", c.name())));
    features.extend(sb.devices.iter().map(|d| format!("device \"{}\"", d.tag.escape_default())));
    features.sort();
    let mut uuid = String::new();
    for (n, byte) in sb.uuid.iter().enumerate().filter(|_| sb.uuid != [0; 16]) {
        if matches!(n, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        // Writing to a String does not fail.
        let _ = write!(uuid, "{byte:02x}");
    }
    let built = i64::try_from(sb.built.0).ok().filter(|n| *n > 0);
    FsInfo {
        kind: "erofs".to_owned(),
        label: sb.label.clone(),
        uuid,
        block_size: u32::try_from(sb.block()).unwrap_or(0),
        created: built.map(|n| Time::nanos(n, sb.built.1.min(999_999_999))),
        clean: true,
        features,
        ..FsInfo::default()
    }
}

impl Erofs {
    fn inode(&self, node: NodeId) -> Result<Inode, FsError> {
        inode::read(&self.volume, node.number)
    }
    fn content(&self, inode: &Inode) -> Result<Source, FsError> {
        content::open(&self.volume, inode).map_err(|what| corrupt(inode.at, what))
    }
}

impl FileSystem for Erofs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        NodeId { number: self.volume.sb.root, generation: 0 }
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        let inode = self.inode(dir)?;
        if inode.kind != NodeKind::Directory {
            return Err(corrupt(inode.at, "not a directory"));
        }
        folder::list(&self.volume, &inode, &self.content(&inode)?, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let inode = self.inode(node)?;
        let block = self.volume.sb.block();
        let mut flags = Vec::new();
        let (allocated, device) = match inode.layout {
            Layout::Packed { blocks, .. } => {
                flags.push("compressed");
                (u64::from(blocks).saturating_mul(block), None)
            }
            Layout::Device(raw) => (0, Some((raw >> 8 & 0xfff, raw & 0xff | raw >> 12 & 0xf_ff00))),
            _ => (inode.len.checked_next_multiple_of(block).unwrap_or(u64::MAX), None),
        };
        Ok(Stat {
            kind: inode.kind,
            len: inode.len,
            allocated,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            links: inode.links,
            times: Times { modified: Some(inode.modified), ..Times::default() },
            flags,
            xattrs: xattr::read(&self.volume, &inode),
            device,
        })
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        let inode = self.inode(node)?;
        match inode.kind {
            NodeKind::Symlink => folder::target(&inode, &self.content(&inode)?),
            _ => Err(FsError::NotFound(node)),
        }
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        let inode = self.inode(node)?;
        match (stream, inode.kind) {
            (Stream::Data, NodeKind::File) => self.content(&inode),
            (Stream::Data, _) => Ok(Arc::new(Vec::new())),
            (Stream::Named(_), _) => Err(FsError::NotFound(node)),
        }
    }
    /// What lies behind the file system.
    fn unallocated(&self) -> Vec<Run> {
        let used = self.volume.sb.end();
        let rest = self.volume.source.len().saturating_sub(used);
        if rest == 0 { Vec::new() } else { vec![Run::new(used, rest)] }
    }
}
