//! Directories: every block in turn, entry by entry. The hash tree is only an index over these
//! blocks, so its own nodes read as empty entries.
//! Format: "Directory Entries" in the Linux kernel's Documentation/filesystems/ext4.
use super::Volume;
use super::contradiction::Index;
use super::damage::Of;
use super::features::FILETYPE;
use super::inode::{FLAG_INDEX, FLAG_INLINE, Inode};
use super::map;
use super::raw::{crc32c, size, u8_at, u16_at, u32_at};
use crate::fs::NodeKind;
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of directory read at once.
const READ: u64 = 256 << 10;
/// Blocks of one directory; ten million names need a fifth of it.
const MAX_BLOCKS: u64 = 1 << 20;
/// The entry that holds a block's checksum: no inode, no name, this kind.
const TAIL_KIND: u8 = 0xde;
const TAIL: usize = 12;

/// One entry as it lies in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    /// Byte within the block.
    pub(super) at: usize,
    pub(super) inode: u32,
    /// Bytes to the next entry.
    pub(super) span: usize,
    pub(super) name: &'a [u8],
    pub(super) kind: u8,
}

/// A directory's piece of storage.
pub(super) struct Part<'a> {
    /// Block of the directory.
    pub(super) logical: u64,
    /// Byte of the volume.
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
    /// Inline directories have no `.`, no `..`, no checksum.
    pub(super) inline: bool,
}

pub(super) fn kind(code: u8) -> NodeKind {
    match code {
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

/// Reads the entry at a byte of a block; `None` if none can stand there.
pub(super) fn entry(block: &[u8], at: usize) -> Option<Raw<'_>> {
    let bytes = block.get(at..)?;
    let span = match u16_at(bytes, 4)? {
        0 | u16::MAX if block.len() >= 1 << 16 => 1 << 16,
        n => usize::from(n),
    };
    let len = usize::from(u8_at(bytes, 6)?);
    let name = bytes.get(8..8_usize.saturating_add(len))?;
    if span < 8_usize.saturating_add(len) || span % 4 != 0 || span > bytes.len() {
        return None;
    }
    Some(Raw { at, inode: u32_at(bytes, 0)?, span, name, kind: u8_at(bytes, 7)? })
}

/// Calls `each` for the chain of entries in a block, empty ones included. The error is the byte at
/// which the chain breaks.
pub(super) fn chain<'a>(block: &'a [u8], mut each: impl FnMut(Raw<'a>)) -> Result<(), usize> {
    let mut at = 0_usize;
    // Fewer than eight bytes at the end of inline content are no entry.
    while at.saturating_add(8) <= block.len() {
        let found = entry(block, at).ok_or(at)?;
        each(found);
        at = at.saturating_add(found.span);
    }
    Ok(())
}

impl Volume {
    /// Calls `each` for every part of a directory that can be read.
    pub(super) fn dir_parts(self: &Arc<Self>, dir: &Inode, each: &mut dyn FnMut(&Part<'_>)) {
        let of = Of::Inode(dir.number);
        if dir.has(FLAG_INLINE) {
            let map = dir.map();
            // The first four bytes are the parent's number.
            let bytes = map.get(4..).unwrap_or_default();
            each(&Part { logical: 0, offset: dir.offset().saturating_add(0x2c), bytes, inline: true });
            if let Some(rest) = self.own_attributes(dir).iter().find(|a| a.is_inline_content()) {
                let offset = rest.stored.map_or(0, |r| r.offset);
                each(&Part { logical: 0, offset, bytes: &rest.value, inline: true });
            }
            return;
        }
        let bs = u64::from(self.sb.block_size);
        let blocks = dir.size(&self.sb).div_ceil(bs);
        let most = MAX_BLOCKS.min(self.budget.steps);
        let mut seen = 0_u64;
        let mut met = HashSet::new();
        let mut next = 0_u64;
        for run in map::runs(self, dir, blocks) {
            let hole = u64::from(run.logical).saturating_sub(next);
            if hole > 0 || run.physical == map::UNWRITTEN {
                self.damage.note("directory with a hole", of, dir.offset(), 0);
            }
            next = run.end();
            if !run.is_stored() {
                if run.physical == map::LOST {
                    self.damage.note(
                        "part of the directory could not be reached",
                        of,
                        dir.offset(),
                        u64::from(run.len).saturating_mul(bs),
                    );
                }
                continue;
            }
            let inside = blocks.saturating_sub(u64::from(run.logical)).min(u64::from(run.len));
            let mut done = 0_u64;
            while done < inside {
                let count = (READ / bs).max(1).min(inside.saturating_sub(done));
                seen = seen.saturating_add(count);
                if seen > most {
                    self.damage.note(
                        "budget: directory with too many blocks; the rest was not listed",
                        of,
                        dir.offset(),
                        0,
                    );
                    return;
                }
                let physical = run.physical.saturating_add(done);
                let offset = physical.saturating_mul(bs);
                let (bytes, bad) = self.blocks.read_tolerant(offset, size(count.saturating_mul(bs)));
                for (n, block) in (0_u64..).zip(bytes.chunks(self.sb.block_size as usize)) {
                    let from = n.saturating_mul(bs);
                    let here = offset.saturating_add(from);
                    if bad.iter().any(|r| r.offset <= from && from < r.end()) {
                        self.damage.note("block of the directory could not be read", of, here, bs);
                    } else if !met.insert(physical.saturating_add(n)) {
                        self.damage.note("directory uses one block twice", of, here, 0);
                    } else {
                        let logical = u64::from(run.logical).saturating_add(done).saturating_add(n);
                        each(&Part { logical, offset: here, bytes: block, inline: false });
                    }
                }
                done = done.saturating_add(count);
            }
        }
        if next < blocks {
            self.damage.note("directory is larger than its blocks", of, dir.offset(), 0);
        }
    }
    /// Calls `each` with every live entry but `.` and `..`.
    pub(super) fn live_entries(self: &Arc<Self>, dir: &Inode, each: &mut dyn FnMut(&Raw<'_>)) {
        let of = Of::Inode(dir.number);
        let seed = self.sb.has_metadata_csum().then(|| dir.seed(&self.sb));
        let mut numbers = Vec::new();
        let (mut hashes, mut first) = (Index::default(), dir.offset());
        self.dir_parts(dir, &mut |part| {
            if dir.has(FLAG_INDEX) && !part.inline {
                hashes.block(part, self.has_large_index());
                first = if part.logical == 0 { part.offset } else { first };
            }
            if let Some(seed) = seed
                && !part.inline
                && !checksum_fits(part, seed, dir.has(FLAG_INDEX))
            {
                self.damage.note("checksum of a directory block differs", of, part.offset, part.bytes.len() as u64);
            }
            let mut index = 0_usize;
            let mut own = part.logical != 0 || part.inline;
            let broken = chain(part.bytes, |e| {
                let place = index;
                index = index.saturating_add(1);
                let here = part.offset.saturating_add(e.at as u64);
                if e.inode == 0 {
                    return;
                }
                match e.name {
                    b"." if part.logical == 0 && place == 0 && !part.inline => own = e.inode == dir.number,
                    b".." if part.logical == 0 && place == 1 && !part.inline => {}
                    b"." | b".." => {
                        self.damage.note("entry named '.' or '..' out of its place; not followed", of, here, 0);
                    }
                    b"" => self.damage.note("directory entry without a name", of, here, 0),
                    name => {
                        if name.iter().any(|b| *b == b'/' || *b == 0) {
                            self.damage.note("directory entry with '/' or NUL in its name", of, here, 0);
                        }
                        if e.inode > self.sb.inodes {
                            self.damage.note("directory entry with an inode number out of range", of, here, 0);
                        }
                        numbers.push(e.inode);
                        each(&e);
                    }
                }
            });
            if !own {
                let what = "first block of a directory does not begin with the directory itself: it may be another's";
                self.damage.note(what, of, part.offset, part.bytes.len() as u64);
            }
            if let Err(at) = broken {
                let lost = part.bytes.len().saturating_sub(at) as u64;
                let here = part.offset.saturating_add(at as u64);
                self.damage.note(
                    "chain of directory entries is broken; the rest of its block was not listed",
                    of,
                    here,
                    lost,
                );
            }
        });
        self.check_index(dir, hashes, first);
        self.named.add(&numbers);
    }
    /// What an entry says of its kind.
    pub(super) fn kind_of(&self, entry: &Raw<'_>) -> NodeKind {
        if self.sb.features.has_incompat(FILETYPE) { kind(entry.kind) } else { NodeKind::Unknown }
    }
}

/// Where the hash entries of an index block begin: its root, or one of its nodes.
pub(super) fn index_at(part: &Part<'_>) -> Option<usize> {
    let block = part.bytes;
    let span = usize::from(u16_at(block, 4)?);
    let whole = block.len() == span || (block.len() >= 1 << 16 && span == 0);
    if part.logical != 0 {
        // An emptied block of names looks the same but for the room for hash entries.
        let room = block.len().checked_sub(8)? / 8;
        let limit = usize::from(u16_at(block, 8)?);
        return (whole && u32_at(block, 0)? == 0 && (limit == room || limit.checked_add(1)? == room)).then_some(8);
    }
    let rest = block.len().checked_sub(12)?;
    let root = span == 12 && usize::from(u16_at(block, 16)?) == rest && u8_at(block, 29)? == 8;
    root.then_some(32)
}

fn checksum_fits(part: &Part<'_>, seed: u32, indexed: bool) -> bool {
    let block = part.bytes;
    let stored = |at: Option<usize>| u32_at(block, at?);
    if indexed && let Some(at) = index_at(part) {
        let limit = u16_at(block, at).map_or(0, usize::from);
        let count = u16_at(block, at.saturating_add(2)).map_or(0, usize::from);
        let tail = at.saturating_add(limit.saturating_mul(8));
        let used = block.get(..at.saturating_add(count.saturating_mul(8)));
        let (Some(used), Some(reserved)) = (used, block.get(tail..tail.saturating_add(4))) else {
            return false;
        };
        let sum = crc32c(crc32c(crc32c(seed, used), reserved), &[0; 4]);
        return stored(tail.checked_add(4)) == Some(sum);
    }
    let Some(at) = block.len().checked_sub(TAIL) else {
        return false;
    };
    let tail = block.get(at..).unwrap_or_default();
    let marked = u32_at(tail, 0) == Some(0)
        && u16_at(tail, 4) == Some(12)
        && u8_at(tail, 6) == Some(0)
        && u8_at(tail, 7) == Some(TAIL_KIND);
    marked && block.get(..at).map(|b| crc32c(seed, b)) == stored(at.checked_add(8))
}
