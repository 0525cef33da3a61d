//! Extended attributes: an entry by index, which leads to names and values; equal values are stored once.
//! Format: see `superblock.rs`, section xattr table.
use super::Volume;
use super::inode::Inode;
use super::tables::entry;
use crate::base::Name;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, u32_at, u64_at};
use crate::image::read_exact;

/// Bytes of one value; Linux takes no more.
const MAX_VALUE: u32 = 64 << 10;
/// Bytes of all values of one file.
const MAX_ALL: usize = 1 << 20;
/// Attributes of one file.
const MAX_COUNT: u32 = 4096;
/// The value stands elsewhere.
const ELSEWHERE: u16 = 0x100;

pub(super) fn read(volume: &Volume, index: u32, inode: &Inode<'_>) -> Vec<(Name, Vec<u8>)> {
    let mut out = Vec::new();
    if collect(volume, index, &mut out).is_err() {
        let what = "extended attributes not all read: their table is damaged";
        volume.damage.note(what, u64::from(inode.number), inode.at, 0);
    }
    out
}

fn collect(volume: &Volume, index: u32, out: &mut Vec<(Name, Vec<u8>)>) -> Result<(), FsError> {
    let at = volume.superblock.xattr_table;
    let head = read_exact(&*volume.source, at, 16)?.ok_or_else(|| corrupt(at, "table cut off"))?;
    let (pairs, count) = (u64_at(&head, 0).unwrap_or(u64::MAX), u32_at(&head, 8).unwrap_or(0));
    if index >= count {
        return Err(corrupt(at, "attributes beyond the table"));
    }
    let mut cursor = entry(volume, at.saturating_add(16), u64::from(index), 16)?;
    let (place, count) = (cursor.u64()?, cursor.u32()?);
    if count > MAX_COUNT {
        return Err(corrupt(at, "too many attributes"));
    }
    let mut pair = volume.meta.at(pairs, place)?;
    let mut all = 0_usize;
    for _ in 0..count {
        let (kind, len) = (pair.u16()?, pair.u16()?);
        let name = pair.bytes(usize::from(len))?;
        let prefix: &[u8] = match kind & 0xff {
            0 => b"user.",
            1 => b"trusted.",
            2 => b"security.",
            _ => return Err(corrupt(pair.at, "unknown kind of attribute")),
        };
        let mut len = pair.u32()?;
        let value = if kind & ELSEWHERE == 0 {
            pair.bytes(bounded(len, pair.at)?)?
        } else {
            let mut other = volume.meta.at(pairs, pair.u64()?)?;
            len = other.u32()?;
            other.bytes(bounded(len, other.at)?)?
        };
        all = all.saturating_add(value.len());
        if all > MAX_ALL {
            return Err(corrupt(pair.at, "attributes of too many bytes"));
        }
        out.push((Name::from([prefix, &name].concat()), value));
    }
    Ok(())
}

fn bounded(len: u32, at: u64) -> Result<usize, FsError> {
    if len > MAX_VALUE {
        return Err(corrupt(at, "value of an attribute of an impossible size"));
    }
    Ok(usize::try_from(len).unwrap_or(0))
}
