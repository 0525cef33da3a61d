//! Listing a directory: runs of entries whose inodes stand in one metadata block. Where a part of the
//! listing is damaged, the index of a large directory tells where the next run begins.
//! Format: see `superblock.rs`, section directory table.
use super::Volume;
use super::inode::{Body, Inode, ListAt, id, kind, parse};
use super::meta::{BLOCK, Cursor};
use super::old;
use crate::base::{Name, NodeId};
use crate::fs::raw::corrupt;
use crate::fs::{DirEntry, FsError, NodeKind};
use std::sync::PoisonError;

/// Bytes of the length that stand for nothing.
const EXTRA: u32 = 3;
/// Entries of a run, at most.
const MAX_RUN: u32 = 256;
/// Bytes of a name, at most.
const MAX_NAME: u32 = 256;

/// A place from which a listing can be read again.
struct Index {
    /// Byte of the listing.
    byte: u64,
    /// Block, counted from the directory table.
    block: u32,
}

fn index(list: &ListAt<'_>, old: bool) -> Vec<Index> {
    let mut out = Vec::new();
    let Some((count, mut cursor)) = list.index else { return out };
    let mut next = || -> Result<Option<Index>, FsError> {
        let (byte, block) = (u64::from(cursor.u32()?), cursor.u32()?);
        let len = if old { u32::from(cursor.u8()?) } else { cursor.u32()? };
        if len >= MAX_NAME {
            return Ok(None);
        }
        cursor.bytes(usize::try_from(len).unwrap_or(0).saturating_add(1))?;
        Ok(Some(Index { byte, block }))
    };
    for _ in 0..count {
        match next() {
            Ok(Some(found)) => out.push(found),
            _ => break,
        }
    }
    out
}

pub(super) fn read_dir(
    volume: &Volume,
    dir: NodeId,
    inode: &Inode<'_>,
    each: &mut dyn FnMut(DirEntry),
) -> Result<(), FsError> {
    let Body::Directory(list) = &inode.body else {
        return Err(corrupt(inode.at, "not a directory"));
    };
    let table = volume.superblock.directory_table;
    let total = u64::from(list.len.saturating_sub(EXTRA));
    if total == 0 {
        return Ok(());
    }
    let start = table.saturating_add(u64::from(list.block));
    let mut walk = Walk { volume, dir, cursor: volume.meta.cursor(start, usize::from(list.offset)), done: 0, count: 0 };
    let mut known = None;
    loop {
        match walk.runs(total, each) {
            Ok(()) => break,
            Err(FsError::Unsupported(what)) => return Err(FsError::Unsupported(what)),
            Err(e) => {
                let known = known.get_or_insert_with(|| index(list, volume.superblock.version == 3));
                let next = known.iter().find(|i| i.byte > walk.done && i.byte < total);
                let end = next.map_or(total, |i| i.byte);
                let what = format!(
                    "directory with inode {}: bytes {} to {end} of its listing not read: {e}",
                    dir.number, walk.done
                );
                volume.damage.once(walk.cursor.at, what, 0);
                let Some(next) = next else { break };
                let inside = u64::from(list.offset).saturating_add(next.byte) % BLOCK as u64;
                let place = table.saturating_add(u64::from(next.block));
                walk.cursor = volume.meta.cursor(place, usize::try_from(inside).unwrap_or(0));
                walk.done = next.byte;
            }
        }
    }
    volume.listed.lock().unwrap_or_else(PoisonError::into_inner).note(dir, walk.count);
    Ok(())
}

struct Walk<'a> {
    volume: &'a Volume,
    dir: NodeId,
    cursor: Cursor<'a>,
    /// Bytes of the listing that were read.
    done: u64,
    /// Entries.
    count: u64,
}

impl Walk<'_> {
    fn old(&self) -> bool {
        self.volume.superblock.version == 3
    }
    fn runs(&mut self, total: u64, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        while self.done < total {
            let (count, block, base) = if self.old() {
                old::run(&mut self.cursor)?
            } else {
                (self.cursor.u32()?, self.cursor.u32()?, self.cursor.u32()?)
            };
            self.done = self.done.saturating_add(if self.old() { old::RUN } else { 12 });
            if count >= MAX_RUN {
                return Err(corrupt(self.cursor.at, format!("run of {count} entries in a directory")));
            }
            for _ in 0..=count {
                if self.done >= total {
                    return Err(corrupt(self.cursor.at, "run of entries reaches beyond its directory"));
                }
                self.entry(block, base, each)?;
            }
        }
        Ok(())
    }
    fn entry(&mut self, block: u32, base: u32, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        let volume = self.volume;
        self.count = self.count.saturating_add(1);
        if !volume.listed.lock().unwrap_or_else(PoisonError::into_inner).allows(self.dir, self.count) {
            return Err(FsError::Unsupported("budget: entries of all directories".to_owned()));
        }
        let at = self.cursor.at;
        let (offset, delta, number, len) = if self.old() {
            let (offset, delta, number, len) = old::entry(&mut self.cursor)?;
            (offset, delta, number, len)
        } else {
            (self.cursor.u16()?, self.cursor.u16()?, self.cursor.u16()?, self.cursor.u16()?)
        };
        let len = u32::from(len).saturating_add(1);
        if len > MAX_NAME {
            return Err(corrupt(at, format!("name of {len} bytes in a directory")));
        }
        let name = self.cursor.bytes(usize::try_from(len).unwrap_or(0))?;
        let own = if self.old() { old::ENTRY } else { 8 };
        self.done = self.done.saturating_add(own).saturating_add(u64::from(len));
        let stated = base.wrapping_add_signed(i32::from(delta.cast_signed()));
        let stated_kind = kind(number).unwrap_or(NodeKind::Unknown);
        let reference = u64::from(block) << 16 | u64::from(offset);
        let here = self.dir.number;
        match name.as_slice() {
            b"." | b".." => {
                volume.damage.note("entry named '.' or '..' in a directory; not followed", here, at, 0);
                return Ok(());
            }
            name if name.iter().any(|b| *b == b'/' || *b == 0) => {
                volume.damage.note("directory entry with '/' or NUL in its name", here, at, 0);
            }
            _ => {}
        }
        // The inode's own number is the node's. Where it cannot be read there, the export table may lead to it.
        let node = match parse(volume, reference) {
            Ok(inode) => {
                if inode.number != stated || inode.kind != stated_kind {
                    let what = "directory entry and inode differ in the inode's number or kind";
                    volume.damage.note(what, u64::from(inode.number), at, 0);
                }
                id(inode.number, reference)
            }
            Err(_) => NodeId { number: u64::from(stated), generation: other(volume, stated, reference) },
        };
        each(DirEntry { name: Name::from(name), node, kind: stated_kind });
        Ok(())
    }
}

/// The generation of an inode that cannot be read where its directory says it stands.
fn other(volume: &Volume, number: u32, reference: u64) -> u64 {
    let found = super::tables::exported(volume, u64::from(number)).ok();
    let found = found.filter(|r| parse(volume, *r).is_ok_and(|i| i.number == number));
    id(number, found.unwrap_or(reference)).generation
}
