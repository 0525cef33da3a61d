//! Inodes, in two sizes, and what they say of their data.
//! Format: see `superblock.rs`, "on-disk details".
use super::Volume;
use crate::base::{NodeId, Time};
use crate::fs::raw::{corrupt, size, u16_at, u32_at, u64_at};
use crate::fs::{FsError, NodeKind};
use crate::image::read_exact;

/// Bytes of a place for an inode.
pub(super) const SLOT: u64 = 32;

/// How the data is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// In one run from this block on, if there is any; the rest behind the inode.
    Flat { block: Option<u64>, inline: bool },
    /// In chunks with pointers behind the inode; the word tells their size and form.
    Chunks(u16),
    /// Compressed: a table of all blocks behind the inode, in its long form or not; stored blocks.
    Packed { full: bool, blocks: u32 },
    /// No data; the number of a device.
    Device(u32),
}

#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) nid: u64,
    /// Byte of the volume.
    pub(super) at: u64,
    pub(super) kind: NodeKind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) len: u64,
    pub(super) modified: Time,
    pub(super) layout: Layout,
    /// Bytes of the inode, and of the attributes behind it.
    pub(super) own: u64,
    pub(super) xattrs: u64,
}
impl Inode {
    /// Byte of the volume behind the inode and its attributes.
    pub(super) fn behind(&self) -> u64 {
        self.at.saturating_add(self.own).saturating_add(self.xattrs)
    }
}

fn kind(mode: u32) -> Option<NodeKind> {
    Some(match mode & 0o170_000 {
        0o100_000 => NodeKind::File,
        0o040_000 => NodeKind::Directory,
        0o120_000 => NodeKind::Symlink,
        0o020_000 => NodeKind::CharDevice,
        0o060_000 => NodeKind::BlockDevice,
        0o010_000 => NodeKind::Fifo,
        0o140_000 => NodeKind::Socket,
        _ => return None,
    })
}

pub(super) fn read(volume: &Volume, nid: u64) -> Result<Inode, FsError> {
    let at = nid.checked_mul(SLOT).and_then(|n| n.checked_add(volume.sb.meta)).filter(|at| *at < volume.source.len());
    let at = at.ok_or(FsError::NotFound(NodeId { number: nid, generation: 0 }))?;
    let head = read_exact(&*volume.source, at, size(SLOT))?.ok_or_else(|| corrupt(at, "inode cut off"))?;
    let format = u16_at(&head, 0).unwrap_or(0);
    let long = format & 1 != 0;
    let bytes =
        if long { read_exact(&*volume.source, at, 64)?.ok_or_else(|| corrupt(at, "inode cut off"))? } else { head };
    if format & !0xf != 0 {
        return Err(corrupt(at, format!("inode with the unknown format {format:#x}")));
    }
    parse(volume, nid, at, long, format >> 1 & 7, &bytes).ok_or_else(|| corrupt(at, "inode cut off"))?
}

fn parse(volume: &Volume, nid: u64, at: u64, long: bool, layout: u16, b: &[u8]) -> Option<Result<Inode, FsError>> {
    let mode = u32::from(u16_at(b, 4)?);
    let Some(kind) = kind(mode) else {
        return Some(Err(corrupt(at, format!("inode with the mode {mode:o}"))));
    };
    let word = u32_at(b, 16)?;
    let layout = match layout {
        _ if matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice) => Layout::Device(word),
        _ if matches!(kind, NodeKind::Fifo | NodeKind::Socket) => Layout::Flat { block: None, inline: false },
        0 | 2 => Layout::Flat { block: (word != u32::MAX).then_some(word.into()), inline: layout == 2 },
        1 | 3 => Layout::Packed { full: layout == 1, blocks: word },
        4 => Layout::Chunks(u16_at(b, 16)?),
        _ => return Some(Err(corrupt(at, format!("inode with the data layout {layout}")))),
    };
    let count = u64::from(u16_at(b, 2)?);
    // The head of the attributes counts as one entry.
    let xattrs = if count == 0 { 0 } else { count.saturating_sub(1).saturating_mul(4).saturating_add(12) };
    let time = |seconds: u64, nanos: u32| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        if nanos < 1_000_000_000 { Time::nanos(seconds, nanos) } else { Time::seconds(seconds) }
    };
    let (built, nanos) = volume.sb.built;
    Some(Ok(if long {
        Inode {
            nid,
            at,
            kind,
            mode: mode & 0o7777,
            uid: u32_at(b, 24)?,
            gid: u32_at(b, 28)?,
            links: u32_at(b, 44)?,
            len: u64_at(b, 8)?,
            modified: time(u64_at(b, 32)?, u32_at(b, 40)?),
            layout,
            own: 64,
            xattrs,
        }
    } else {
        Inode {
            nid,
            at,
            kind,
            mode: mode & 0o7777,
            uid: u16_at(b, 24)?.into(),
            gid: u16_at(b, 26)?.into(),
            links: u16_at(b, 6)?.into(),
            len: u32_at(b, 8)?.into(),
            modified: time(built, nanos),
            layout,
            own: SLOT,
            xattrs,
        }
    }))
}
