//! Directories: within the inode, or in blocks of entries; what the hash index tells is not needed to
//! list them, so its damage costs nothing. Names that were removed stand in the free space of blocks.
//! Format: "Directories" in "XFS Algorithms & Data Structures".
use super::Volume;
use super::inode::{Fork, Format, Inode, read};
use super::map::map;
use super::raw::{corrupt, size, sum_fits, u8_at, u16_at, u32_at, u64_at};
use crate::base::{Name, NodeId};
use crate::fs::{DirEntry, FsError, NodeKind};
use std::collections::HashSet;

/// Byte of a directory at which its hash index begins; entries stand before.
const LEAF: u64 = 32 << 30;
const MAGICS: [u32; 4] = [0x5844_3242, 0x5844_3244, 0x5844_4233, 0x5844_4433];

/// An entry as it stands.
pub(super) struct Raw {
    pub(super) name: Vec<u8>,
    /// Of a removed name the lower half only is left.
    pub(super) inode: u64,
    pub(super) kind: NodeKind,
}

fn kind(ftype: Option<u8>) -> NodeKind {
    match ftype {
        Some(1) => NodeKind::File,
        Some(2) => NodeKind::Directory,
        Some(3) => NodeKind::CharDevice,
        Some(4) => NodeKind::BlockDevice,
        Some(5) => NodeKind::Fifo,
        Some(6) => NodeKind::Socket,
        Some(7) => NodeKind::Symlink,
        _ => NodeKind::Unknown,
    }
}

pub(super) fn read_dir(volume: &Volume, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
    let inode = read(volume, dir.number)?;
    if inode.kind() != NodeKind::Directory {
        return Err(corrupt(inode.at, "not a directory"));
    }
    entries(volume, &inode, false, &mut |raw| {
        if raw.name.iter().any(|b| *b == b'/' || *b == 0) {
            volume.damage.note("directory entry with '/' or NUL in its name", inode.number, inode.at, 0);
        }
        // The name tells no generation; an inode that cannot be read is told when it is asked for.
        let generation = read(volume, raw.inode).map_or(0, |i| i.generation());
        each(DirEntry { name: Name::from(raw.name), node: NodeId { number: raw.inode, generation }, kind: raw.kind });
    });
    Ok(())
}

/// Calls `each` for every entry but the two for the directory itself and the one above; `removed`
/// asks for names in free space instead.
pub(super) fn entries(volume: &Volume, dir: &Inode, removed: bool, each: &mut dyn FnMut(Raw)) {
    if dir.format(Fork::Data) == Format::Local {
        if !removed {
            short(volume, dir, each);
        }
        return;
    }
    let map = map(volume, dir, Fork::Data);
    let (block, unit) = (volume.sb.block, volume.sb.dir_block);
    let per = (unit / block).max(1);
    if map.broken && !removed {
        volume.damage.note("part of a directory is lost with the tree of its extents", dir.number, dir.at, 0);
    }
    if !removed && !map.broken {
        // The first block holds the directory's own two names, and its size is where its last block ends.
        let blocks = || map.list.iter().filter(|m| m.first.saturating_mul(block) < LEAF);
        let end = blocks().map(super::map::Mapped::end).max().unwrap_or(0).saturating_mul(block);
        if blocks().all(|m| m.first > 0) || end != dir.len() {
            volume.damage.note("directory whose size is not that of its blocks", dir.number, dir.at, 0);
        }
    }
    let mut steps = volume.budget;
    let mut seen = HashSet::new();
    let mut next = 0;
    for extent in map.list.iter().filter(|m| m.first.saturating_mul(block) < LEAF) {
        let mut number = extent.first.next_multiple_of(per).max(next);
        while number < extent.end() && number.saturating_mul(block) < LEAF {
            if steps.step(1).is_err() {
                volume.damage.note("budget: blocks of a directory; the rest was not listed", dir.number, dir.at, 0);
                return;
            }
            next = number.saturating_add(per);
            let mut bytes = Vec::with_capacity(size(unit));
            let mut first = None;
            for part in number..next {
                let Some(at) = map.place(part, block) else { break };
                if !seen.insert(at) || !volume.claim(at, dir.number) {
                    let what = "directory with blocks that it has twice or another one has as well; not listed there";
                    volume.damage.note(what, dir.number, at, block);
                    break;
                }
                first = first.or(Some(at));
                let Ok(read) = volume.bytes(at, size(block)) else { break };
                bytes.extend(read);
            }
            let at = first.unwrap_or(dir.at);
            if bytes.len() as u64 == unit {
                data(volume, dir, at, &bytes, removed, each);
            } else if !removed {
                volume.damage.note("block of a directory could not be read", dir.number, at, unit);
            }
            number = next;
        }
    }
}

/// A directory within its inode.
fn short(volume: &Volume, dir: &Inode, each: &mut dyn FnMut(Raw)) {
    let fork = dir.fork(Fork::Data);
    let fork = fork.get(..size(dir.len())).unwrap_or(fork);
    let note = || volume.damage.note("directory within its inode is cut short", dir.number, dir.at, 0);
    let (Some(count), Some(wide)) = (u8_at(fork, 0), u8_at(fork, 1)) else { return note() };
    let width = if wide > 0 { 8 } else { 4 };
    let mut at = width + 2;
    for _ in 0..count {
        let Some(len) = u8_at(fork, at).map(usize::from) else { return note() };
        let start = at.saturating_add(3);
        let mut after = start.saturating_add(len);
        let Some(name) = fork.get(start..after).filter(|n| !n.is_empty()) else { return note() };
        let ftype = if volume.sb.ftype { u8_at(fork, after) } else { None };
        after = after.saturating_add(usize::from(volume.sb.ftype));
        let inode = if wide > 0 { u64_at(fork, after) } else { u32_at(fork, after).map(u64::from) };
        let Some(inode) = inode else { return note() };
        each(Raw { name: name.to_vec(), inode, kind: kind(ftype) });
        at = after.saturating_add(width);
    }
    if at as u64 != dir.len() {
        volume.damage.note("directory within its inode whose size is not that of its entries", dir.number, dir.at, 0);
    }
}

/// A block of entries.
fn data(volume: &Volume, dir: &Inode, place: u64, bytes: &[u8], removed: bool, each: &mut dyn FnMut(Raw)) {
    let note = |what: &'static str| {
        if !removed {
            volume.damage.note(what, dir.number, place, bytes.len() as u64);
        }
    };
    let magic = u32_at(bytes, 0).unwrap_or(0);
    if !MAGICS.contains(&magic) {
        return note("block of a directory is none");
    }
    let v5 = matches!(magic, 0x5844_4233 | 0x5844_4433);
    if v5 && !sum_fits(bytes, 4) {
        note("checksum of a block of a directory does not fit");
    }
    let mut end = bytes.len();
    if matches!(magic, 0x5844_3242 | 0x5844_4233) {
        // A directory of one block keeps its index at the block's end.
        let count = u32_at(bytes, end.saturating_sub(8)).unwrap_or(0);
        let index = size(u64::from(count)).saturating_mul(8).saturating_add(8);
        if let Some(e) = end.checked_sub(index).filter(|e| *e >= 64) {
            end = e;
        } else {
            note("index of a directory reaches beyond its block");
            end = end.saturating_sub(8);
        }
    }
    let mut at = if v5 { 64 } else { 16 };
    while at < end {
        if u16_at(bytes, at) == Some(0xffff) {
            let len = usize::from(u16_at(bytes, at.saturating_add(2)).unwrap_or(0));
            if len < 8 || !len.is_multiple_of(8) || at.saturating_add(len) > end {
                return note("free space in a block of a directory is damaged; the rest of the block was not listed");
            }
            if removed {
                slack(volume, bytes, at, at.saturating_add(len), each);
            }
            at = at.saturating_add(len);
            continue;
        }
        let Some((raw, len)) = entry(volume, bytes, at, end) else {
            return note("entry in a block of a directory is damaged; the rest of the block was not listed");
        };
        if !removed && !matches!(raw.name.as_slice(), b"." | b"..") {
            each(raw);
        }
        at = at.saturating_add(len);
    }
}

/// The entry at byte `at`, and its length.
fn entry(volume: &Volume, bytes: &[u8], at: usize, end: usize) -> Option<(Raw, usize)> {
    let inode = u64_at(bytes, at)?;
    let len = usize::from(u8_at(bytes, at.checked_add(8)?)?);
    let start = at.checked_add(9)?;
    let after = start.checked_add(len)?;
    let name = bytes.get(start..after).filter(|n| !n.is_empty())?;
    let ftype = if volume.sb.ftype { u8_at(bytes, after) } else { None };
    let whole = len.checked_add(11 + usize::from(volume.sb.ftype))?.next_multiple_of(8);
    if at.checked_add(whole)? > end {
        return None;
    }
    Some((Raw { name: name.to_vec(), inode, kind: kind(ftype) }, whole))
}

/// Names in a run of free space: freeing overwrites the upper half of an entry's inode number, and
/// the tag at its end where it is the last of the run. The others must end with their own place.
fn slack(volume: &Volume, bytes: &[u8], from: usize, end: usize, each: &mut dyn FnMut(Raw)) {
    let mut at = from;
    while at < end {
        let found = entry(volume, bytes, at, end).filter(|(raw, len)| {
            let tag = at.saturating_add(*len).saturating_sub(2);
            let last = at.saturating_add(*len) == end;
            let told = u16_at(bytes, tag).map(usize::from);
            let tagged = told == Some(at) || (last && told == Some(from));
            tagged && !raw.name.iter().any(|b| *b == b'/' || *b == 0) && raw.name != b"." && raw.name != b".."
        });
        let Some((raw, len)) = found else {
            at = at.saturating_add(8);
            continue;
        };
        each(Raw { inode: raw.inode & 0xffff_ffff, ..raw });
        at = at.saturating_add(len);
    }
}
