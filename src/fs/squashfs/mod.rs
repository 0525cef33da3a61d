//! SquashFS 4.0 and 3: a compressed, read-only file system of gateways, installers and live systems. Tolerant of
//! damage, with the place of every byte. Inode numbers are the file system's own.
//! Format: "SquashFS binary format" (dr-emann.github.io/squashfs) and the Linux kernel's
//! Documentation/filesystems/squashfs.rst.
mod codec;
mod content;
mod folder;
mod inode;
mod meta;
mod old;
mod superblock;
mod tables;
mod xattr;

use super::damage::Damage;
use crate::base::{Gaps, NodeId, Run, Time};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, Options, Stat, Stream};
use crate::image::Source;
use crate::image::cache::Cache;
use codec::{Codec, UNTOLD};
use inode::Body;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The reader's name in gaps.
const BY: &str = "fs.squashfs";
/// Inodes whose equal faults are one gap.
const STRETCH: u64 = 1024;
/// Bytes of decoded blocks that are kept.
const KEPT: u64 = 32 << 20;

pub(super) const FORMAT: Format = Format {
    name: "squashfs",
    about: "SquashFS 4.0, compressed by gzip, lzma, lzo, xz, lz4 or zstd; version 3 of old routers in either byte order, by gzip or lzma, also with the makers' signatures hsqt, tqsh, shsq, qshs and sqlz",
    limits: "versions 1 and 2 are named but not read; LZMA without a header is read where it has the usual properties; files of a directory whose listing is lost are not found otherwise; only the time of modification is kept, in whole seconds",
    probe: superblock::probe,
    // No copy of the superblock exists.
    probe_damaged: |_| false,
    size: superblock::size,
    open: |source, options| Ok(Arc::new(open(source, options)?)),
};

/// What all readers of one file system share.
struct Volume {
    source: Source,
    superblock: superblock::Superblock,
    codec: Codec,
    meta: meta::Meta,
    ids: Vec<Option<u32>>,
    blocks: Cache<Vec<u8>>,
    damage: Damage,
    listed: Mutex<Listed>,
}

/// How many entries the directories have together, each counted once: directories of a crafted volume can
/// share one listing.
struct Listed {
    each: HashMap<NodeId, u64>,
    all: u64,
    most: u64,
}
impl Listed {
    fn allows(&self, dir: NodeId, count: u64) -> bool {
        let before = self.each.get(&dir).copied().unwrap_or(0);
        count <= before || self.all.saturating_sub(before).saturating_add(count) <= self.most
    }
    fn note(&mut self, dir: NodeId, count: u64) {
        let before = self.each.insert(dir, count).unwrap_or(0);
        self.all = self.all.saturating_sub(before).saturating_add(count);
    }
}

pub(super) struct SquashFs {
    volume: Arc<Volume>,
    info: FsInfo,
    root: NodeId,
}

fn open(source: &Source, options: &Options) -> Result<SquashFs, FsError> {
    let superblock = superblock::read(source)?;
    if superblock.used > source.len() {
        let what = format!("file system of {} bytes on a volume of {}", superblock.used, source.len());
        options.gaps.add_at(BY, "volume_offset", 40, what, superblock.used.saturating_sub(source.len()));
    }
    let behind = source.len().min(superblock.used).saturating_sub(superblock.directory_table);
    // No compressor gets an entry into an eighth of a byte, but for short listings.
    let most = behind.saturating_mul(8).saturating_add(1 << 16).min(options.budget.steps);
    let with = |codec: Codec, superblock: superblock::Superblock, gaps: Gaps| {
        let mut volume = Volume {
            source: source.clone(),
            meta: meta::Meta::new(source, codec, source.len(), &superblock),
            codec,
            ids: Vec::new(),
            blocks: Cache::of_bytes(KEPT, u64::from(superblock.block)),
            damage: Damage::new(gaps, BY, "inodes", STRETCH),
            listed: Mutex::new(Listed { each: HashMap::new(), all: 0, most }),
            superblock,
        };
        volume.ids = tables::ids(&volume);
        volume
    };
    let codec = if superblock.told { superblock.codec } else { codec(source, &superblock, &with)? };
    let volume = with(codec, superblock, options.gaps.clone());
    let superblock = &volume.superblock;
    let root = match inode::parse(&volume, superblock.root) {
        Ok(root) => inode::id(root.number, superblock.root),
        Err(e) => return Err(e),
    };
    let mut features: Vec<String> = superblock.flags.iter().map(|f| (*f).to_owned()).collect();
    features.push(format!("compressor-{}", codec.name().replace(' ', "-")));
    features.extend((superblock.version < 4).then(|| format!("version-{}.{}", superblock.version, superblock.minor)));
    features.extend(superblock.big.then(|| "big-endian".to_owned()));
    features.extend(superblock.vendor.as_ref().map(|name| format!("signature-{name}")));
    features.sort();
    let made = Some(Time::seconds(i64::from(superblock.made)));
    let info = FsInfo {
        kind: "squashfs".to_owned(),
        block_size: superblock.block,
        created: made,
        clean: true,
        features,
        ..FsInfo::default()
    };
    Ok(SquashFs { volume: Arc::new(volume), info, root })
}

type With<'a> = dyn Fn(Codec, superblock::Superblock, Gaps) -> Volume + 'a;

/// The compressor, where the header does not tell it: the first by which the root is a directory that can be listed.
fn codec(source: &Source, stated: &superblock::Superblock, with: &With<'_>) -> Result<Codec, FsError> {
    let fits = |codec: Codec, whole: bool| {
        let Ok(superblock) = superblock::read(source) else { return false };
        let gaps = Gaps::default();
        let volume = with(codec, superblock, gaps.clone());
        let at = volume.superblock.root;
        let listed = inode::parse(&volume, at).and_then(|root| {
            folder::read_dir(&volume, inode::id(root.number, at), &root, &mut |_| {})?;
            Ok(root.number)
        });
        // What its own damage is, the reading proper tells.
        drop(volume);
        listed.is_ok() && (gaps.take().is_empty() || !whole)
    };
    let all = || std::iter::once(stated.codec).chain(UNTOLD);
    // A root with damage is better than none.
    let found = all().find(|codec| fits(*codec, true)).or_else(|| all().find(|codec| fits(*codec, false)));
    found.ok_or_else(|| {
        let what = format!(
            "SquashFS version {}.{}: its root can be read by none of gzip, lzma and xz",
            stated.version, stated.minor
        );
        FsError::Unsupported(what)
    })
}

impl FileSystem for SquashFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        self.root
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        folder::read_dir(&self.volume, dir, &inode::read(&self.volume, dir)?, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        Ok(inode::stat(&self.volume, &inode::read(&self.volume, node)?))
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        match inode::read(&self.volume, node)?.body {
            Body::Link(target) => Ok(target),
            _ => Err(FsError::NotFound(node)),
        }
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        match (stream, inode::read(&self.volume, node)?.body) {
            (Stream::Data, Body::File(file)) => Ok(Arc::new(content::Content::new(&self.volume, &file))),
            (Stream::Data, _) => Ok(Arc::new(Vec::new())),
            (Stream::Named(_), _) => Err(FsError::NotFound(node)),
        }
    }
    /// What lies behind the file system.
    fn unallocated(&self) -> Vec<Run> {
        let used = self.volume.superblock.used;
        let rest = self.volume.source.len().saturating_sub(used);
        if rest == 0 { Vec::new() } else { vec![Run::new(used, rest)] }
    }
}
