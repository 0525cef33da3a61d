//! Inodes and extended attributes.
use super::Volume;
use super::raw::{
    EXTENT_DATA, FIRST, INODE_ITEM, Key, MAX_TREE, XATTR_ITEM, corrupt, size, time, u8_at, u16_at, u32_at, u64_at,
};
use super::{content, deleted, extent};
use crate::base::{Name, NodeId};
use crate::fs::{FsError, NodeKind, Stat, Times};
use crate::image::Source;
use std::sync::Arc;

/// Set in the generation of a node that stands for a subvolume which a snapshot does not hold; the rest is the
/// snapshot's number.
const EMPTY: u64 = 1 << 62;
/// Bytes of an inode's item.
pub(super) const ITEM: usize = 160;
const NO_SUMS: u64 = 1;
/// Bytes of attributes of one inode that are kept.
const MAX_XATTRS: usize = 1 << 20;
/// Longest target of a link.
const MAX_LINK: u64 = 4096;

const FLAGS: &[(u64, &str)] = &[
    (NO_SUMS, "nodatasum"),
    (2, "nodatacow"),
    (4, "readonly"),
    (8, "nocompress"),
    (0x10, "preallocated"),
    (0x20, "sync"),
    (0x40, "immutable"),
    (0x80, "append"),
    (0x100, "nodump"),
    (0x200, "noatime"),
    (0x400, "dirsync"),
    (0x800, "compress"),
    (1 << 32, "verity"),
];

/// The node of a directory entry that leads to a subvolume elsewhere.
pub(super) fn empty(child: u64, parent: u64) -> NodeId {
    NodeId { number: child, generation: EMPTY | parent }
}
pub(super) fn is_empty(node: NodeId) -> bool {
    node.generation & EMPTY != 0 && node.generation < EMPTY | MAX_TREE
}

pub(super) fn kind_of_mode(mode: u32) -> NodeKind {
    match mode >> 12 {
        1 => NodeKind::Fifo,
        2 => NodeKind::CharDevice,
        4 => NodeKind::Directory,
        6 => NodeKind::BlockDevice,
        8 => NodeKind::File,
        10 => NodeKind::Symlink,
        12 => NodeKind::Socket,
        _ => NodeKind::Unknown,
    }
}

/// An inode's item.
#[derive(Clone)]
pub(super) struct Inode {
    pub(super) data: Vec<u8>,
    /// Byte of the volume.
    pub(super) at: u64,
}
impl Inode {
    fn u32(&self, at: usize) -> u32 {
        u32_at(&self.data, at).unwrap_or(0)
    }
    fn u64(&self, at: usize) -> u64 {
        u64_at(&self.data, at).unwrap_or(0)
    }
    pub(super) fn len(&self) -> u64 {
        self.u64(16)
    }
    pub(super) fn kind(&self) -> NodeKind {
        kind_of_mode(self.u32(52))
    }
    pub(super) fn links(&self) -> u32 {
        self.u32(40)
    }
    pub(super) fn checked(&self) -> bool {
        self.u64(64) & NO_SUMS == 0
    }
    pub(super) fn stat(&self, sector: u64) -> Stat {
        let flags = self.u64(64);
        let kind = self.kind();
        let device = self.u64(56);
        let number = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
        Stat {
            kind,
            len: self.len(),
            allocated: self.u64(24).checked_next_multiple_of(sector).unwrap_or(u64::MAX),
            mode: self.u32(52) & 0o7777,
            uid: self.u32(44),
            gid: self.u32(48),
            links: self.links(),
            times: Times {
                modified: time(&self.data, 136),
                accessed: time(&self.data, 112),
                changed: time(&self.data, 124),
                created: time(&self.data, 148),
                deleted: None,
            },
            flags: FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect(),
            xattrs: Vec::new(),
            device: matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice)
                .then(|| (number(device >> 20), number(device & 0xf_ffff))),
        }
    }
}

/// The inode's item, and its attributes.
fn read(volume: &Volume, node: NodeId, xattrs: &mut Vec<(Name, Vec<u8>)>) -> Result<Inode, FsError> {
    let mut found = None;
    let mut bytes = 0_usize;
    let (from, to) = (Key::new(node.number, INODE_ITEM, 0), Key::new(node.number, XATTR_ITEM, u64::MAX));
    let place = |logical| volume.blocks.space.volume_offset(logical);
    let whole = volume.items(node.generation, from, to, &mut |item| {
        match item.key.kind {
            INODE_ITEM if item.data.len() >= ITEM => {
                found = Some(Inode { data: item.data.to_vec(), at: place(item.logical) });
            }
            INODE_ITEM => volume.damage.note("an inode is cut short", node.number, place(item.logical), 0),
            XATTR_ITEM => {
                bytes = bytes.saturating_add(item.data.len());
                if bytes > MAX_XATTRS || !attributes(item.data, xattrs) {
                    let what = "extended attributes are cut short or more than can be; the rest is not read";
                    volume.damage.note(what, node.number, place(item.logical), 0);
                    return bytes <= MAX_XATTRS;
                }
            }
            _ => {}
        }
        true
    });
    let at = volume.subvolume_place(node.generation);
    found.ok_or_else(|| {
        if whole {
            FsError::NotFound(node)
        } else {
            corrupt(at, format!("the part of the tree that held inode {} is lost", node.number))
        }
    })
}

/// The attributes of an item; whether none is cut short.
fn attributes(mut data: &[u8], out: &mut Vec<(Name, Vec<u8>)>) -> bool {
    while !data.is_empty() {
        let Some((name, value, rest)) = (|| {
            let (value, name) = (usize::from(u16_at(data, 25)?), usize::from(u16_at(data, 27)?));
            let (name, rest) = data.get(30..)?.split_at_checked(name)?;
            let (value, rest) = rest.split_at_checked(value)?;
            Some((name, value, rest))
        })() else {
            return false;
        };
        out.push((Name::new(name), value.to_vec()));
        data = rest;
    }
    true
}

pub(super) fn stat(volume: &Volume, node: NodeId) -> Result<Stat, FsError> {
    if is_empty(node) {
        return Ok(Stat {
            kind: NodeKind::Directory,
            len: 0,
            allocated: 0,
            mode: 0o755,
            uid: 0,
            gid: 0,
            links: 1,
            times: Times::default(),
            flags: vec!["subvolume-elsewhere"],
            xattrs: Vec::new(),
            device: None,
        });
    }
    if deleted::is_stale(node) {
        return Ok(deleted::stat(volume, node));
    }
    let mut xattrs = Vec::new();
    let inode = read(volume, node, &mut xattrs)?;
    if inode.kind() == NodeKind::Unknown || inode.links() == 0 {
        let what = "inode that is named, and that says it is of no kind or has no name: never written, or erased";
        volume.damage.note(what, node.number, inode.at, 0);
    }
    let mut stat = inode.stat(u64::from(volume.sb.sector));
    xattrs.sort();
    stat.xattrs = xattrs;
    if node.number == FIRST {
        volume.flags_of_root(node.generation, &mut stat.flags);
    }
    Ok(stat)
}

pub(super) fn link(volume: &Volume, node: NodeId) -> Result<Vec<u8>, FsError> {
    if deleted::is_stale(node) {
        return deleted::link(volume, node);
    }
    let inode = read(volume, node, &mut Vec::new())?;
    if inode.kind() != NodeKind::Symlink {
        return Err(corrupt(inode.at, "not a symbolic link"));
    }
    let mut target = None;
    let key = Key::new(node.number, EXTENT_DATA, 0);
    volume.items(node.generation, key, key, &mut |item| {
        let inline = u8_at(item.data, 20) == Some(0) && u8_at(item.data, 16) == Some(0);
        target = item.data.get(extent::INLINE..).filter(|_| inline).map(<[u8]>::to_vec);
        false
    });
    let target = target.ok_or_else(|| corrupt(inode.at, "the target of a symbolic link is lost"))?;
    let len = size(inode.len().min(MAX_LINK));
    target.get(..len).map(<[u8]>::to_vec).ok_or_else(|| corrupt(inode.at, "the target of a symbolic link is cut short"))
}

pub(super) fn open(volume: &Arc<Volume>, node: NodeId) -> Result<Source, FsError> {
    if is_empty(node) {
        return Ok(Arc::new(Vec::new()));
    }
    if deleted::is_stale(node) {
        return Ok(deleted::open(volume, node));
    }
    let inode = read(volume, node, &mut Vec::new())?;
    if !matches!(inode.kind(), NodeKind::File | NodeKind::Symlink) {
        return Ok(Arc::new(Vec::new()));
    }
    let (parts, whole) = extent::parts(volume, node.generation, node.number);
    Ok(Arc::new(content::Content {
        volume: volume.clone(),
        inode: node.number,
        len: inode.len(),
        parts,
        whole,
        checked: inode.checked(),
    }))
}
