//! One file: what is known of it, its bytes, the target of a link.
use super::Volume;
use super::attr::{REMOTE, attributes};
use super::deleted;
use super::inode::{Fork, Format, Inode, REALTIME, read};
use super::map::{Mapped, map};
use super::raw::{corrupt, size, sum_fits, u32_at};
use crate::base::NodeId;
use crate::fs::extents::{At, Extent, Extents};
use crate::fs::{FsError, NodeKind, Stat};
use crate::image::Source;
use std::sync::Arc;

/// Longest target of a link.
const MAX_LINK: u64 = 1024;

const FLAGS: &[(u16, &str)] = &[
    (REALTIME, "realtime"),
    (2, "preallocated"),
    (8, "immutable"),
    (0x10, "append"),
    (0x20, "sync"),
    (0x40, "noatime"),
    (0x80, "nodump"),
    (0x100, "rt-inherit"),
    (0x200, "projinherit"),
    (0x400, "nosymlinks"),
    (0x800, "extsize"),
    (0x1000, "extsize-inherit"),
    (0x2000, "nodefrag"),
    (0x4000, "filestream"),
];

/// The inode of a node; one that was given to another file since is an error.
pub(super) fn inode(volume: &Volume, node: NodeId) -> Result<Inode, FsError> {
    let inode = read(volume, node.number)?;
    if inode.generation() != node.generation {
        return Err(corrupt(inode.at, format!("inode {} belongs to another file by now", node.number)));
    }
    Ok(inode)
}

pub(super) fn stat(volume: &Volume, node: NodeId) -> Result<Stat, FsError> {
    if let Some(kind) = deleted::reused(node) {
        return Ok(deleted::name_only(kind));
    }
    let inode = inode(volume, node)?;
    let is_gone = inode.mode() == 0;
    let mut flags: Vec<&'static str> =
        FLAGS.iter().filter(|(bit, _)| inode.flags() & bit != 0).map(|(_, name)| *name).collect();
    for (bit, name) in [(1, "dax"), (2, "reflink"), (4, "cowextsize")] {
        if inode.flags2() & bit != 0 {
            flags.push(name);
        }
    }
    let mut stat = Stat {
        kind: inode.kind(),
        len: inode.len(),
        allocated: inode.blocks().saturating_mul(volume.sb.block),
        mode: u32::from(inode.mode() & 0o7777),
        uid: inode.uid(),
        gid: inode.gid(),
        links: inode.links(),
        times: inode.times(),
        flags,
        xattrs: Vec::new(),
        device: None,
    };
    if is_gone {
        stat.kind = NodeKind::File;
        stat.len =
            deleted::left(volume, &inode).iter().map(Mapped::end).max().unwrap_or(0).saturating_mul(volume.sb.block);
        stat.allocated = 0;
        stat.flags.push("size-lost");
        // What changed last was that the inode was given up.
        stat.times.deleted = stat.times.changed;
        return Ok(stat);
    }
    stat.xattrs = attributes(volume, &inode);
    if inode.format(Fork::Data) == Format::Device {
        let raw = u32_at(inode.fork(Fork::Data), 0).unwrap_or(0);
        stat.device = matches!(stat.kind, NodeKind::CharDevice | NodeKind::BlockDevice)
            .then_some((raw >> 18 & 0x3fff, raw & 0x3_ffff));
    }
    Ok(stat)
}

pub(super) fn link(volume: &Volume, node: NodeId) -> Result<Vec<u8>, FsError> {
    let inode = inode(volume, node)?;
    if inode.kind() != NodeKind::Symlink {
        return Err(corrupt(inode.at, "not a symbolic link"));
    }
    let len = inode.len();
    if len > MAX_LINK {
        return Err(corrupt(inode.at, "target of a symbolic link is too long"));
    }
    if inode.format(Fork::Data) == Format::Local {
        let fork = inode.fork(Fork::Data);
        return fork.get(..size(len)).map(<[u8]>::to_vec).ok_or_else(|| corrupt(inode.at, "target is cut short"));
    }
    let mut out = Vec::new();
    for extent in map(volume, &inode, Fork::Data).list {
        let want = size(len).saturating_sub(out.len());
        if want == 0 {
            break;
        }
        // A header stands at the start of each extent, not of each block.
        let bytes = extent.count.saturating_mul(volume.sb.block).min(volume.sb.block.saturating_add(4 * MAX_LINK));
        let bytes = volume.bytes(extent.at, size(bytes))?;
        if volume.sb.v5 {
            if bytes.get(..4) != Some(b"XSLM") {
                return Err(corrupt(extent.at, "block of a target is none"));
            }
            if !sum_fits(&bytes, 12) {
                volume.damage.note(
                    "checksum of the target of a symbolic link does not fit",
                    inode.number,
                    extent.at,
                    len,
                );
            }
            out.extend(bytes.iter().skip(REMOTE).take(want));
        } else {
            out.extend(bytes.iter().take(want));
        }
    }
    if (out.len() as u64) < len {
        return Err(corrupt(inode.at, "target leads to no block"));
    }
    Ok(out)
}

pub(super) fn open(volume: &Volume, node: NodeId) -> Result<Source, FsError> {
    if deleted::reused(node).is_some() {
        return Err(FsError::Unsupported("content of a deleted file whose inode is in use again".to_owned()));
    }
    let inode = inode(volume, node)?;
    if inode.mode() == 0 {
        return Ok(deleted::open(volume, &inode));
    }
    if matches!(inode.kind(), NodeKind::File) && inode.flags() & REALTIME != 0 {
        return Err(FsError::Unsupported("content on the real-time device".to_owned()));
    }
    match inode.format(Fork::Data) {
        Format::Local => {
            let at = inode.at.saturating_add(inode.fork_start(Fork::Data) as u64);
            let len = inode.len().min(inode.fork(Fork::Data).len() as u64);
            let list = Box::new([Extent { start: 0, len, at: At::Volume(at) }]);
            Ok(Arc::new(Extents { volume: volume.source.clone(), len, valid: len, list }))
        }
        Format::Device => Err(FsError::Unsupported("a device, pipe or socket has no content".to_owned())),
        _ => Ok(Arc::new(map(volume, &inode, Fork::Data).source(volume, inode.len()))),
    }
}
