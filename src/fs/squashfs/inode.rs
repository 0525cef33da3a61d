//! Inodes: a head that all share, and what each type adds; the extended types have attributes.
//! Format: see `superblock.rs`, section inode table.
use super::Volume;
use super::meta::Cursor;
use super::superblock::NONE;
use crate::base::{Name, NodeId, Time};
use crate::fs::raw::corrupt;
use crate::fs::{FsError, NodeKind, Stat, Times};

/// No fragment, no attributes.
pub(super) const NO_INDEX: u32 = u32::MAX;
/// Bytes of a link's target; Linux takes no more than 4095.
pub(super) const MAX_TARGET: u32 = 64 << 10;

/// Where a file's bytes stand.
#[derive(Clone, Copy)]
pub(super) struct FileAt<'a> {
    pub(super) start: u64,
    pub(super) len: u64,
    /// Bytes of it that are holes.
    pub(super) holes: u64,
    /// Number of the fragment block that has the tail, and the tail's place in it.
    pub(super) fragment: Option<(u32, u32)>,
    /// Where the sizes of the blocks stand.
    pub(super) sizes: Cursor<'a>,
}

/// Where a directory's listing stands.
#[derive(Clone, Copy)]
pub(super) struct ListAt<'a> {
    /// Block, counted from the directory table.
    pub(super) block: u32,
    pub(super) offset: u16,
    /// Bytes of the listing and 3.
    pub(super) len: u32,
    /// Number of index entries and where they stand.
    pub(super) index: Option<(u16, Cursor<'a>)>,
}

pub(super) enum Body<'a> {
    Directory(ListAt<'a>),
    File(FileAt<'a>),
    Link(Vec<u8>),
    Device(u32),
    Plain,
}

pub(super) struct Inode<'a> {
    pub(super) kind: NodeKind,
    pub(super) number: u32,
    pub(super) links: u32,
    pub(super) mode: u16,
    /// Positions in the table of ids.
    pub(super) owner: u16,
    pub(super) group: u16,
    pub(super) modified: u32,
    pub(super) xattrs: Option<u32>,
    pub(super) body: Body<'a>,
    /// Byte of the volume of its metadata block.
    pub(super) at: u64,
}

/// The kind by the number of a type; extended types are seven higher.
pub(super) fn kind(number: u16) -> Option<NodeKind> {
    Some(match number {
        1 | 8 => NodeKind::Directory,
        2 | 9 => NodeKind::File,
        3 | 10 => NodeKind::Symlink,
        4 | 11 => NodeKind::BlockDevice,
        5 | 12 => NodeKind::CharDevice,
        6 | 13 => NodeKind::Fifo,
        7 | 14 => NodeKind::Socket,
        _ => return None,
    })
}

pub(super) fn id(number: u32, reference: u64) -> NodeId {
    NodeId { number: u64::from(number), generation: reference.saturating_add(1) }
}

/// The generation of a node is its reference and one; 0 asks by number alone.
pub(super) fn read(volume: &Volume, node: NodeId) -> Result<Inode<'_>, FsError> {
    let reference = match node.generation.checked_sub(1) {
        Some(reference) => reference,
        None => super::tables::exported(volume, node.number)?,
    };
    let inode = parse(volume, reference)?;
    if u64::from(inode.number) != node.number {
        return Err(FsError::NotFound(node));
    }
    Ok(inode)
}

pub(super) fn parse(volume: &Volume, reference: u64) -> Result<Inode<'_>, FsError> {
    if volume.superblock.version == 3 {
        return super::old::inode(volume, reference);
    }
    let superblock = &volume.superblock;
    let mut c = volume.meta.at(superblock.inode_table, reference)?;
    let at = c.at;
    if reference >> 48 != 0 || at >= superblock.directory_table {
        return Err(corrupt(at, "reference to an inode beyond the inode table"));
    }
    let number = c.u16()?;
    let kind = kind(number).ok_or_else(|| corrupt(at, format!("type {number} of an inode")))?;
    let (mode, owner, group) = (c.u16()?, c.u16()?, c.u16()?);
    let (modified, own) = (c.u32()?, c.u32()?);
    let mut links = 1;
    let mut xattrs = NO_INDEX;
    let body = match number {
        1 => {
            let block = c.u32()?;
            links = c.u32()?;
            let (len, offset, _parent) = (u32::from(c.u16()?), c.u16()?, c.u32()?);
            Body::Directory(ListAt { block, offset, len, index: None })
        }
        8 => {
            links = c.u32()?;
            let (len, block, _parent) = (c.u32()?, c.u32()?, c.u32()?);
            let (count, offset) = (c.u16()?, c.u16()?);
            xattrs = c.u32()?;
            Body::Directory(ListAt { block, offset, len, index: Some((count, c)) })
        }
        2 => {
            let (start, fragment, offset, len) = (u64::from(c.u32()?), c.u32()?, c.u32()?, u64::from(c.u32()?));
            let fragment = (fragment != NO_INDEX).then_some((fragment, offset));
            Body::File(FileAt { start, len, holes: 0, fragment, sizes: c })
        }
        9 => {
            let (start, len, holes) = (c.u64()?, c.u64()?, c.u64()?);
            links = c.u32()?;
            let (fragment, offset) = (c.u32()?, c.u32()?);
            xattrs = c.u32()?;
            let fragment = (fragment != NO_INDEX).then_some((fragment, offset));
            Body::File(FileAt { start, len, holes, fragment, sizes: c })
        }
        3 | 10 => {
            links = c.u32()?;
            let len = c.u32()?;
            if len > MAX_TARGET {
                return Err(corrupt(at, format!("link whose target has {len} bytes")));
            }
            let target = c.bytes(usize::try_from(len).unwrap_or(0))?;
            if number == 10 {
                xattrs = c.u32()?;
            }
            Body::Link(target)
        }
        4 | 5 | 11 | 12 => {
            links = c.u32()?;
            let device = c.u32()?;
            if number > 7 {
                xattrs = c.u32()?;
            }
            Body::Device(device)
        }
        _ => {
            links = c.u32()?;
            if number > 7 {
                xattrs = c.u32()?;
            }
            Body::Plain
        }
    };
    let xattrs = (xattrs != NO_INDEX && superblock.xattr_table != NONE).then_some(xattrs);
    Ok(Inode { kind, number: own, links, mode, owner, group, modified, xattrs, body, at })
}

pub(super) fn stat(volume: &Volume, inode: &Inode<'_>) -> Stat {
    let mut flags = Vec::new();
    let mut id = |index: u16| {
        volume.ids.get(usize::from(index)).copied().flatten().unwrap_or_else(|| {
            volume.damage.note("owner or group not in the table of owners", u64::from(inode.number), inode.at, 0);
            flags = vec!["owner-unknown"];
            u32::MAX
        })
    };
    let (uid, gid) = (id(inode.owner), id(inode.group));
    // As Linux counts it: what is not a hole, before compression.
    let (len, allocated) = match &inode.body {
        Body::Directory(list) => (u64::from(list.len), 0),
        Body::File(file) => (file.len, file.len.saturating_sub(file.holes)),
        Body::Link(target) => (target.len() as u64, 0),
        Body::Device(_) | Body::Plain => (0, 0),
    };
    let device = match inode.body {
        Body::Device(raw) => Some((raw >> 8 & 0xfff, raw & 0xff | raw >> 12 & 0xf_ff00)),
        _ => None,
    };
    let xattrs: Vec<(Name, Vec<u8>)> = match inode.xattrs {
        Some(index) => super::xattr::read(volume, index, inode),
        None => Vec::new(),
    };
    Stat {
        kind: inode.kind,
        len,
        allocated,
        mode: u32::from(inode.mode & 0o7777),
        uid,
        gid,
        links: inode.links,
        times: Times { modified: Some(Time::seconds(i64::from(inode.modified))), ..Times::default() },
        flags,
        xattrs,
        device,
    }
}
