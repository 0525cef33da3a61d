//! The B+trees of an allocation group: free space and inodes.
//! Format: "AG Free Space Management" and "AG Inode Management" in "XFS Algorithms & Data Structures".
use super::Volume;
use super::raw::{size, sum_fits, u16_at, u32_at};
use std::collections::HashSet;

const MAX_LEVEL: u32 = 12;

/// A tree: its magic numbers (v4 and v5) and the sizes of its records and keys.
pub(super) struct Shape {
    magic: [u32; 2],
    record: usize,
    key: usize,
    /// What is noted: an impossible depth, a place outside, unreadable, no block of it, a checksum.
    faults: [&'static str; 5],
}
/// Free space by block.
pub(super) const FREE: Shape = Shape {
    magic: [0x4142_5442, 0x4142_3342],
    record: 8,
    key: 8,
    faults: [
        "tree of free space of a group: impossible depth",
        "tree of free space of a group: leads out of the group or back into itself",
        "tree of free space of a group: block not readable",
        "tree of free space of a group: block is none of it",
        "tree of free space of a group: checksum of a block does not fit",
    ],
};
pub(super) const INODES: Shape = Shape {
    magic: [0x4941_4254, 0x4941_4233],
    record: 16,
    key: 4,
    faults: [
        "tree of inodes of a group: impossible depth",
        "tree of inodes of a group: leads out of the group or back into itself",
        "tree of inodes of a group: block not readable",
        "tree of inodes of a group: block is none of it",
        "tree of inodes of a group: checksum of a block does not fit",
    ],
};

/// A header of a group: its magic number, its sector and where its checksum stands.
pub(super) struct Header {
    magic: u32,
    sector: u64,
    sum: usize,
}
pub(super) const AGF: Header = Header { magic: 0x5841_4746, sector: 1, sum: 216 };
pub(super) const AGI: Header = Header { magic: 0x5841_4749, sector: 2, sum: 312 };

/// Reads a header of a group.
pub(super) fn header(volume: &Volume, group: u64, what: &Header) -> Option<Vec<u8>> {
    let at = volume.sb.group_block(group, 0)?.checked_add(what.sector.checked_mul(volume.sb.sector)?)?;
    let bytes = volume.bytes(at, size(volume.sb.sector)).ok();
    let Some(bytes) = bytes.filter(|b| u32_at(b, 0) == Some(what.magic)) else {
        volume.damage.note(
            "header of an allocation group not found; its trees were not read",
            group,
            at,
            volume.sb.sector,
        );
        return None;
    };
    if volume.sb.v5 && !sum_fits(&bytes, what.sum) {
        volume.damage.note("checksum of the header of an allocation group does not fit", group, at, volume.sb.sector);
    }
    Some(bytes)
}

/// Calls `each` with every record of a tree in order. Returns whether all of it was read.
pub(super) fn walk(
    volume: &Volume,
    group: u64,
    shape: &Shape,
    root: u32,
    levels: u32,
    each: &mut dyn FnMut(&[u8]),
) -> bool {
    let mut seen = HashSet::new();
    if levels == 0 || levels > MAX_LEVEL {
        let at = volume.sb.group_block(group, 0).unwrap_or(0);
        let [depth, ..] = shape.faults;
        volume.damage.note(depth, group, at, 0);
        return false;
    }
    node(volume, group, shape, root, levels.saturating_sub(1), &mut seen, each)
}

fn node(
    volume: &Volume,
    group: u64,
    shape: &Shape,
    block: u32,
    level: u32,
    seen: &mut HashSet<u32>,
    each: &mut dyn FnMut(&[u8]),
) -> bool {
    let place = volume.sb.group_block(group, u64::from(block)).filter(|_| seen.insert(block));
    let [_, outside, unreadable, none, sum] = shape.faults;
    let note = |what: &'static str| {
        let at = place.or(volume.sb.group_block(group, 0)).unwrap_or(0);
        volume.damage.note(what, group, at, volume.sb.block);
        false
    };
    let Some(at) = place else { return note(outside) };
    let Ok(bytes) = volume.bytes(at, size(volume.sb.block)) else { return note(unreadable) };
    let head = if volume.sb.v5 { 56 } else { 16 };
    let magic = shape.magic.get(usize::from(volume.sb.v5)).copied();
    let count = usize::from(u16_at(&bytes, 6).unwrap_or(0));
    let body = bytes.get(head..).unwrap_or_default();
    let room = if level == 0 { body.len() / shape.record } else { body.len() / shape.key.saturating_add(4) };
    if u32_at(&bytes, 0) != magic || u16_at(&bytes, 4).map(u32::from) != Some(level) || count > room {
        return note(none);
    }
    if volume.sb.v5 && !sum_fits(&bytes, 52) {
        note(sum);
    }
    if level == 0 {
        body.chunks_exact(shape.record).take(count).for_each(each);
        return true;
    }
    let mut whole = true;
    for n in 0..count {
        let at = room.saturating_mul(shape.key).saturating_add(n.saturating_mul(4));
        let Some(child) = u32_at(body, at) else { return false };
        whole &= node(volume, group, shape, child, level.saturating_sub(1), seen, each);
    }
    whole
}
