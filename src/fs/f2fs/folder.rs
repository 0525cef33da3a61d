//! Directories: blocks of entries with a bitmap of those in use; hashed over several levels, which are all read. The
//! entries that the bitmap no longer names are those of deleted files.
//! Format: see `superblock.rs`, "directory structure".
use super::Volume;
use super::content;
use super::inode::{INLINE_DENTRY, Inode};
use super::superblock::BLOCK;
use crate::base::{Name, NodeId, PieceKind, Run};
use crate::fs::own::OwnNames;
use crate::fs::raw::{size, u8_at, u16_at, u32_at};
use crate::fs::{DirEntry, FsError, NodeKind};
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of an entry, and of each part of a name.
const ENTRY: usize = 11;
const SLOT: usize = 8;
/// Entries of a block, and bytes before them.
const ENTRIES: usize = 214;
const BEFORE: usize = 30;
const MAX_NAME: usize = 255;
/// Blocks of one directory that are read.
const MAX_BLOCKS: u64 = 1 << 22;
/// Blocks of one directory that cannot be read, before the rest is given up.
const MAX_LOST: u32 = 16;
/// Blocks that are looked over at once for the end of a hole.
const AHEAD: u64 = 1 << 14;

pub(super) fn kind(number: u8) -> NodeKind {
    match number {
        1 => NodeKind::File,
        2 => NodeKind::Directory,
        3 => NodeKind::CharDevice,
        4 => NodeKind::BlockDevice,
        5 => NodeKind::Fifo,
        6 => NodeKind::Socket,
        7 => NodeKind::Symlink,
        _ => NodeKind::Unknown,
    }
}

/// An entry as it stands.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) name: Vec<u8>,
    pub(super) ino: u32,
    pub(super) kind: u8,
    pub(super) live: bool,
}

/// Where the parts of an area of entries begin.
struct Shape {
    entries: usize,
    table: usize,
    names: usize,
}

fn inline_shape(len: usize) -> Shape {
    let entries = len.saturating_mul(8) / ((ENTRY + SLOT) * 8 + 1);
    let table = len.saturating_sub(entries.saturating_mul(ENTRY + SLOT));
    Shape { entries, table, names: table.saturating_add(entries.saturating_mul(ENTRY)) }
}

/// The entries of one area; of those not in use, such as may have been.
fn entries(bytes: &[u8], shape: &Shape, each: &mut dyn FnMut(Result<Found, &'static str>)) {
    let used = |n: usize| bytes.get(n / 8).is_some_and(|b| b & (1 << (n % 8)) != 0);
    let mut n = 0_usize;
    while n < shape.entries {
        let live = used(n);
        let at = shape.table.saturating_add(n.saturating_mul(ENTRY));
        let fields = u32_at(bytes, at.saturating_add(4)).zip(u16_at(bytes, at.saturating_add(8)));
        let Some(((ino, len), kind)) = fields.zip(u8_at(bytes, at.saturating_add(10))) else { break };
        let len = usize::from(len);
        let slots = len.div_ceil(SLOT).max(1);
        let from = shape.names.saturating_add(n.saturating_mul(SLOT));
        let fits = (1..=MAX_NAME).contains(&len) && n.saturating_add(slots) <= shape.entries;
        let name = bytes.get(from..from.saturating_add(len)).filter(|_| fits);
        match name {
            Some(name) if live => {
                each(Ok(Found { name: name.to_vec(), ino, kind, live }));
                n = n.saturating_add(slots);
                continue;
            }
            None if live => each(Err("directory entry with an impossible name")),
            // All of its places have to be free.
            Some(name) => {
                let free = (n..n.saturating_add(slots)).all(|n| !used(n));
                let sane = ino > 3 && (1..=7).contains(&kind) && !name.contains(&0) && !name.contains(&b'/');
                if free && sane {
                    each(Ok(Found { name: name.to_vec(), ino, kind, live }));
                    n = n.saturating_add(slots);
                    continue;
                }
            }
            None => {}
        }
        n = n.saturating_add(1);
    }
}

/// Calls `each` for the entries of a directory, live and not.
pub(super) fn each(
    volume: &Arc<Volume>,
    inode: &Inode,
    each: &mut dyn FnMut(Found) -> Result<(), FsError>,
) -> Result<(), FsError> {
    let at = inode.node.at();
    let source = content::open(volume, inode);
    let mut failed = None;
    let mut take = |found: Result<Found, &'static str>| match found {
        Ok(found) if failed.is_none() => failed = each(found).err(),
        Ok(_) => {}
        Err(what) => volume.damage.note(what, inode.ino().into(), at, 0),
    };
    if inode.inline & INLINE_DENTRY != 0 {
        let mut bytes = vec![0; size(source.len())];
        source.read_at(0, &mut bytes)?;
        entries(&bytes, &inline_shape(bytes.len()), &mut take);
        return failed.map_or(Ok(()), Err);
    }
    let shape = Shape { entries: ENTRIES, table: BEFORE, names: BEFORE + ENTRIES * ENTRY };
    let blocks = inode.len.div_ceil(BLOCK);
    let (mut number, mut read, mut lost, mut ahead) = (0_u64, 0_u64, 0_u32, 1_u64);
    while number < blocks {
        let from = number.saturating_mul(BLOCK);
        // Levels are of fixed size; most of the last ones are holes.
        let piece = source.locate(Run::new(from, BLOCK.saturating_mul(ahead))).first().copied();
        if let Some(hole) = piece.filter(|p| p.kind == PieceKind::Hole) {
            number = number.saturating_add((hole.len / BLOCK).max(1));
            ahead = AHEAD;
            continue;
        }
        ahead = 1;
        read = read.saturating_add(1);
        if read > MAX_BLOCKS {
            volume.damage.once(at, format!("budget: blocks of the directory with inode {}", inode.ino()), 0);
            break;
        }
        let mut bytes = vec![0; size(BLOCK.min(inode.len.saturating_sub(from)))];
        if let Err(e) = source.read_at(from, &mut bytes) {
            lost = lost.saturating_add(1);
            let rest = if lost < MAX_LOST { BLOCK } else { inode.len.saturating_sub(from) };
            volume.damage.once(at, format!("directory with inode {}: {e}", inode.ino()), rest);
            if lost >= MAX_LOST {
                break;
            }
            number = number.saturating_add(1);
            continue;
        }
        entries(&bytes, &shape, &mut take);
        number = number.saturating_add(1);
    }
    failed.map_or(Ok(()), Err)
}

pub(super) fn list(volume: &Arc<Volume>, inode: &Inode, out: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
    let dir = NodeId { number: inode.ino().into(), generation: 0 };
    let at = inode.node.at();
    // What was synced after the checkpoint stands in place of older names.
    let newer = volume.synced.names.get(&inode.ino()).map(Vec::as_slice).unwrap_or_default();
    let mut named: HashSet<Vec<u8>> = HashSet::new();
    let mut count = 0_u64;
    let mut give = |ino: u32, kind: NodeKind, name: Vec<u8>| -> Result<(), FsError> {
        count = count.saturating_add(1);
        volume.listed.take(dir, count)?;
        out(DirEntry { name: Name::from(name), node: NodeId { number: ino.into(), generation: 0 }, kind });
        Ok(())
    };
    let mut own = OwnNames::default();
    each(volume, inode, &mut |found| {
        if !found.live || own.take(&found.name, found.ino == inode.ino()) {
            return Ok(());
        }
        if found.name.iter().any(|b| *b == 0 || *b == b'/') && !inode.encrypted() {
            volume.damage.note("directory entry with '/' or NUL in its name", inode.ino().into(), at, 0);
        }
        let synced = newer.iter().rfind(|n| n.name == found.name);
        if synced.is_some() {
            named.insert(found.name.clone());
        }
        let (ino, number) = synced.map_or((found.ino, found.kind), |n| (n.ino, mode_kind(n.mode)));
        give(ino, kind(number), found.name)
    })?;
    own.check(&volume.damage, inode.ino().into(), at);
    for new in newer {
        if named.insert(new.name.clone()) {
            give(new.ino, kind(mode_kind(new.mode)), new.name.clone())?;
        }
    }
    Ok(())
}

/// The number of a kind as entries have it, from an inode's mode.
fn mode_kind(mode: u8) -> u8 {
    match mode {
        0o10 => 1,
        0o4 => 2,
        0o2 => 3,
        0o6 => 4,
        0o1 => 5,
        0o14 => 6,
        0o12 => 7,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn put(bytes: &mut [u8], shape: &Shape, n: usize, name: &[u8], live: bool) {
        let at = shape.table + n * ENTRY;
        bytes[at + 4..at + 8].copy_from_slice(&(100 + u32::try_from(n).unwrap()).to_le_bytes());
        bytes[at + 8..at + 10].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes[at + 10] = 1;
        let from = shape.names + n * SLOT;
        bytes[from..from + name.len()].copy_from_slice(name);
        for n in (n..n + name.len().div_ceil(SLOT)).filter(|_| live) {
            bytes[n / 8] |= 1 << (n % 8);
        }
    }
    #[test]
    fn live_and_former_entries() {
        // 3488 bytes: an inode with 50 words of attributes and no extra fields.
        let shape = inline_shape(3488);
        assert_eq!((shape.entries, shape.table, shape.names), (182, 30, 2032));
        let mut bytes = vec![0; 3488];
        put(&mut bytes, &shape, 2, b"a name of three parts", true);
        put(&mut bytes, &shape, 5, b"former", false);
        put(&mut bytes, &shape, 180, b"last", true);
        let mut found = Vec::new();
        entries(&bytes, &shape, &mut |e| found.push(e.unwrap()));
        let seen: Vec<_> = found.iter().map(|f| (f.ino, f.live, f.name.len())).collect();
        assert_eq!(seen, [(102, true, 21), (105, false, 6), (280, true, 4)]);
        for len in 0..bytes.len() {
            entries(&bytes[..len], &inline_shape(len), &mut |_| {});
        }
    }
}
