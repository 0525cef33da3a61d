//! ext2, ext3 and ext4, read by our own reader: tolerant of damage, with the place of every byte.
//! Format: the Linux kernel's Documentation/filesystems/ext4, and the headers of e2fsprogs.
mod bitmap;
mod blocks;
mod content;
mod contradiction;
mod damage;
mod deleted;
mod dir;
mod features;
mod group;
mod inode;
mod journal;
mod map;
mod named;
mod open;
mod raw;
mod second;
mod superblock;
mod table;
mod xattr;

use crate::base::{Budget, Name, NodeId};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, NodeKind, Stat, Stream};
use crate::image::Source;
use content::{Content, Inline};
use inode::{FLAG_COMPRESSED, FLAG_COMPRESSED_BLOCKS, FLAG_ENCRYPTED, FLAG_EXTENTS, FLAG_INLINE, Inode};
use std::sync::{Arc, OnceLock};

pub(super) const FORMAT: Format = Format {
    name: "ext",
    about: "ext2, ext3 and ext4",
    limits: "contents encrypted by fscrypt or compressed by e2compr are listed but not read; an external journal and fast commits are not replayed",
    probe: |source| superblock::has_magic(&**source),
    probe_damaged: |source| superblock::backup(source).is_some(),
    size: superblock::stated_size,
    open: |source, options| Ok(Arc::new(open::open(source, options)?)),
};

/// Longest link target that is read; Linux allows 4096 bytes.
const MAX_LINK: u64 = 1 << 16;

/// What all readers of one file system share.
struct Volume {
    blocks: blocks::Blocks,
    sb: superblock::Super,
    groups: Vec<group::Group>,
    damage: damage::Damage,
    cache: table::Cache,
    xattrs: xattr::Cache,
    budget: Budget,
    /// Inodes that a live entry names, and directories that were listed.
    named: named::Numbers,
    listed: named::Numbers,
    /// Blocks of the file system's own, sorted: first, and the one behind.
    own: OnceLock<Vec<(u64, u64)>>,
}

pub(super) struct ExtFs {
    volume: Arc<Volume>,
    info: FsInfo,
    root: NodeId,
}

/// Of so many names the inodes are asked for in their own order.
const MANY: usize = 4096;

impl Volume {
    /// The bytes of any inode that has content.
    fn content(self: &Arc<Self>, inode: &Inode) -> Result<Source, FsError> {
        if inode.has(FLAG_ENCRYPTED) && matches!(inode.kind(), NodeKind::File | NodeKind::Symlink) {
            return Err(FsError::Unsupported("content encrypted by fscrypt; no key".to_owned()));
        }
        if inode.has(FLAG_COMPRESSED) && inode.has(FLAG_COMPRESSED_BLOCKS) {
            return Err(FsError::Unsupported("content compressed by e2compr".to_owned()));
        }
        let len = inode.size(&self.sb);
        if inode.has(FLAG_INLINE) {
            return Ok(Arc::new(self.inline(inode, len)?));
        }
        let blocks = len.div_ceil(u64::from(self.sb.block_size));
        let runs = map::runs(self, inode, blocks);
        Ok(Arc::new(Content { volume: self.clone(), len, runs }))
    }
    fn inline(self: &Arc<Self>, inode: &Inode, len: u64) -> Result<Inline, FsError> {
        let map = inode.map();
        let mut bytes = map.to_vec();
        let mut stored = vec![crate::base::Run::new(inode.offset().saturating_add(0x28), 60)];
        if let Some(rest) = self.own_attributes(inode).into_iter().find(xattr::Attribute::is_inline_content) {
            stored.extend(rest.stored);
            bytes.extend(rest.value);
        }
        if len > bytes.len() as u64 {
            let what = format!("inline content has {} bytes, its inode says {len}", bytes.len());
            return Err(raw::corrupt(inode.offset(), what));
        }
        bytes.truncate(raw::size(len));
        Ok(Inline { volume: self.clone(), bytes, stored })
    }
    fn link(self: &Arc<Self>, inode: &Inode) -> Result<Vec<u8>, FsError> {
        let len = inode.size(&self.sb);
        let map = inode.map();
        let blocks = u64::from(self.sb.block_size).saturating_mul(u64::from(self.sb.cluster_ratio));
        let shared = if inode.xattr_block() == 0 { 0 } else { blocks };
        let fast = !inode.has(FLAG_INLINE) && !inode.has(FLAG_EXTENTS) && inode.allocated(&self.sb) <= shared;
        if let Some(target) = map.get(..raw::size(len)).filter(|_| fast && !inode.has(FLAG_ENCRYPTED)) {
            return Ok(target.to_vec());
        }
        let source = self.content(inode)?;
        if source.len() > MAX_LINK {
            return Err(raw::corrupt(inode.offset(), format!("link target of {} bytes", source.len())));
        }
        let mut target = vec![0; raw::size(source.len())];
        let n = source.read_at(0, &mut target)?;
        target.truncate(n);
        Ok(target)
    }
}

impl FileSystem for ExtFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        self.root
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        self.volume.listed.add(&u32::try_from(dir.number).map_or([0], |number| [number]));
        let inode = self.volume.inode(dir)?;
        if inode.kind() != NodeKind::Directory {
            return Err(raw::corrupt(inode.offset(), "not a directory"));
        }
        let mut entries = Vec::new();
        self.volume.live_entries(&inode, &mut |e| entries.push((e.inode, Name::new(e.name), self.volume.kind_of(e))));
        // They lie by the hashes of their names, so that their inodes would be met anywhere in the tables.
        if entries.len() > MANY {
            entries.sort_by_key(|(number, _, _)| *number);
        }
        for (number, name, kind) in entries {
            let found = self.volume.slot(number);
            if let Some(inode) = found.as_ref().ok().filter(|i| i.kind() == NodeKind::Unknown) {
                let what = "inode that a directory names, and that holds nothing: never written, or erased";
                self.volume.damage.note(what, damage::Of::Inode(number), inode.offset(), 0);
            }
            if let Ok(inode) = &found {
                self.volume.contradictions_of(inode);
            }
            let node = found.map_or(NodeId { number: u64::from(number), generation: 0 }, |i| i.id());
            each(DirEntry { name, node, kind });
        }
        Ok(())
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let inode = self.volume.inode(node)?;
        let sb = &self.volume.sb;
        let kind = inode.kind();
        Ok(Stat {
            kind,
            len: inode.size(sb),
            allocated: inode.allocated(sb),
            mode: u32::from(inode.mode() & 0o7777),
            uid: inode.uid(),
            gid: inode.gid(),
            links: u32::from(inode.links()),
            times: inode.times(sb),
            flags: inode.flag_names(),
            xattrs: self.volume.attributes(&inode),
            device: matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice).then(|| inode.device()),
        })
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        let inode = self.volume.inode(node)?;
        if inode.kind() != NodeKind::Symlink {
            return Err(raw::corrupt(inode.offset(), "not a symbolic link"));
        }
        let target = self.volume.link(&inode)?;
        self.volume.check_target(&inode, &target);
        Ok(target)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        let inode = self.volume.inode(node)?;
        if let Stream::Named(name) = stream {
            let wanted = Name::new(name);
            let found = self.volume.attributes(&inode).into_iter().find(|(n, _)| *n == wanted);
            let (_, value) = found.ok_or(FsError::NotFound(node))?;
            return Ok(Arc::new(value));
        }
        match inode.kind() {
            NodeKind::File | NodeKind::Directory | NodeKind::Unknown => self.volume.content(&inode),
            NodeKind::Symlink => {
                let target = self.volume.link(&inode)?;
                if inode.has(FLAG_EXTENTS) { self.volume.content(&inode) } else { Ok(Arc::new(target)) }
            }
            _ => Err(FsError::Unsupported("a device, pipe or socket has no content".to_owned())),
        }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        deleted::deleted(&self.volume, each);
        Ok(())
    }
    fn second_reader(&self) -> Option<Result<Box<dyn crate::fs::SecondReader + '_>, String>> {
        Some(second::open(self.volume.blocks.source()))
    }
    fn unallocated(&self) -> Vec<crate::base::Run> {
        bitmap::unallocated(&self.volume)
    }
}
