//! The tables that are found through a list of the places of their metadata blocks: ids, fragments,
//! export (number of an inode → where it stands), and the entries of extended attributes.
use super::Volume;
use super::meta::{BLOCK, Cursor};
use super::superblock::NONE;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, u32_at, u64_at};
use crate::image::read_exact;

/// A fragment block: tails of several files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) start: u64,
    /// As a data block's size is stored.
    pub(super) word: u32,
}

/// The cursor at entry `number` of a table whose list of blocks stands at `list`, entries of `width` bytes.
pub(super) fn entry(volume: &Volume, list: u64, number: u64, width: u64) -> Result<Cursor<'_>, FsError> {
    if list == NONE {
        return Err(corrupt(0, "a table that the superblock does not have is needed"));
    }
    let byte = number.saturating_mul(width);
    let (block, offset) = (byte / BLOCK as u64, byte % BLOCK as u64);
    let at = block.saturating_mul(8).saturating_add(list);
    let place = read_exact(&*volume.source, at, 8)?.and_then(|b| u64_at(&b, 0));
    let place = place.map(|n| if volume.superblock.big { n.swap_bytes() } else { n });
    let place = place.ok_or_else(|| corrupt(list, "list of a table's blocks reaches beyond the volume"))?;
    volume.meta.at(place, offset)
}

/// Owners and groups; what cannot be read is `None`.
pub(super) fn ids(volume: &Volume) -> Vec<Option<u32>> {
    if volume.superblock.version == 3 {
        return old_ids(volume);
    }
    let mut out = Vec::with_capacity(usize::from(volume.superblock.ids));
    let mut lost = None;
    for number in 0..u64::from(volume.superblock.ids) {
        let id = entry(volume, volume.superblock.id_table, number, 4).and_then(|mut c| c.u32());
        out.push(id.as_ref().ok().copied());
        lost = lost.or(id.err());
    }
    if let Some(e) = lost {
        let unread = out.iter().filter(|id| id.is_none()).count();
        let what = format!("table of owners: {unread} of {} entries not read; {e}", out.len());
        volume.damage.once(volume.superblock.id_table, what, 0);
    }
    out
}

/// Owners, then groups, of version 3: two lists that are not compressed.
fn old_ids(volume: &Volume) -> Vec<Option<u32>> {
    let s = &volume.superblock;
    let mut out = Vec::new();
    for (table, count) in [(s.id_table, s.ids), (s.group_table, s.groups)] {
        let mut lost = false;
        for number in 0..u64::from(count) {
            let at = number.saturating_mul(4).saturating_add(table);
            let id = read_exact(&*volume.source, at, 4).ok().flatten().and_then(|b| u32_at(&b, 0));
            lost |= id.is_none();
            out.push(id.map(|n| if s.big { n.swap_bytes() } else { n }));
        }
        if lost {
            volume.damage.once(table, "table of owners or groups not all read".to_owned(), 0);
        }
    }
    out
}

pub(super) fn fragment(volume: &Volume, number: u32) -> Result<Fragment, FsError> {
    if number >= volume.superblock.fragments {
        return Err(corrupt(volume.superblock.fragment_table, format!("fragment {number} beyond the fragment table")));
    }
    let mut cursor = entry(volume, volume.superblock.fragment_table, u64::from(number), 16)?;
    Ok(Fragment { start: cursor.u64()?, word: cursor.u32()? })
}

/// Where inode `number` stands, by the export table.
pub(super) fn exported(volume: &Volume, number: u64) -> Result<u64, FsError> {
    let index = number.checked_sub(1).filter(|n| *n < u64::from(volume.superblock.inodes));
    let index = index.ok_or_else(|| corrupt(0, format!("inode {number} beyond the count of inodes")))?;
    entry(volume, volume.superblock.export_table, index, 8)?.u64()
}
