//! Inodes and listings of version 3: the same structures in fewer bytes, with fields of single bits, which lie from the
//! other end where numbers are big-endian. Format: see `superblock.rs`.
use super::Volume;
use super::inode::{Body, FileAt, Inode, ListAt, MAX_TARGET, NO_INDEX, kind};
use super::meta::Cursor;
use crate::fs::FsError;
use crate::fs::raw::corrupt;

/// The group is that of the owner's number.
const AS_OWNER: u8 = 255;

/// The lower and the upper part of a word of `bits`, of which the first field has `first`.
fn split(word: u64, bits: u32, first: u32, big: bool) -> (u64, u64) {
    let rest = bits.saturating_sub(first);
    let mask = |n: u32| (1_u64 << n).wrapping_sub(1);
    if big { (word >> rest & mask(first), word & mask(rest)) } else { (word & mask(first), word >> first & mask(rest)) }
}

fn narrow(value: u64) -> u16 {
    u16::try_from(value & 0xffff).unwrap_or(0)
}

/// The head of a run in a listing: entries less one, block, number that the entries' numbers count from.
pub(super) fn run(cursor: &mut Cursor<'_>) -> Result<(u32, u32, u32), FsError> {
    Ok((u32::from(cursor.u8()?), cursor.u32()?, cursor.u32()?))
}
/// Bytes of such a head, and of an entry without its name.
pub(super) const RUN: u64 = 9;
pub(super) const ENTRY: u64 = 5;

/// An entry: offset in the block, difference of the number, type, bytes of the name less one.
pub(super) fn entry(cursor: &mut Cursor<'_>) -> Result<(u16, u16, u16, u16), FsError> {
    let (offset, number) = split(u64::from(cursor.u16()?), 16, 13, cursor.is_big());
    let len = u16::from(cursor.u8()?);
    Ok((narrow(offset), cursor.u16()?, narrow(number), len))
}

pub(super) fn inode(volume: &Volume, reference: u64) -> Result<Inode<'_>, FsError> {
    let superblock = &volume.superblock;
    let mut c = volume.meta.at(superblock.inode_table, reference)?;
    let at = c.at;
    if reference >> 48 != 0 || at >= superblock.directory_table {
        return Err(corrupt(at, "reference to an inode beyond the inode table"));
    }
    let big = c.is_big();
    let (number, mode) = split(u64::from(c.u16()?), 16, 4, big);
    let number = narrow(number);
    let known = kind(number).filter(|_| number <= 9);
    let kind = known.ok_or_else(|| corrupt(at, format!("type {number} of an inode")))?;
    let (owner, group) = (u16::from(c.u8()?), c.u8()?);
    let group = if group == AS_OWNER { owner } else { superblock.ids.saturating_add(u16::from(group)) };
    let (modified, own) = (c.u32()?, c.u32()?);
    let mut links = 1;
    let body = match number {
        1 => {
            links = c.u32()?;
            let (len, offset) = split(u64::from(c.u32()?), 32, 19, big);
            let (block, _parent) = (c.u32()?, c.u32()?);
            Body::Directory(ListAt { block, offset: narrow(offset), len: u32::try_from(len).unwrap_or(0), index: None })
        }
        8 => {
            links = c.u32()?;
            let mut five = [0; 5];
            c.fill(&mut five)?;
            let word = if big {
                five.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b))
            } else {
                five.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b))
            };
            let (len, offset) = split(word, 40, 27, big);
            let (block, count, _parent) = (c.u32()?, c.u16()?, c.u32()?);
            let len = u32::try_from(len).unwrap_or(0);
            Body::Directory(ListAt { block, offset: narrow(offset), len, index: Some((count, c)) })
        }
        2 | 9 => {
            if number == 9 {
                links = c.u32()?;
            }
            let (start, fragment, offset) = (c.u64()?, c.u32()?, c.u32()?);
            let len = if number == 9 { c.u64()? } else { u64::from(c.u32()?) };
            let fragment = (fragment != NO_INDEX).then_some((fragment, offset));
            Body::File(FileAt { start, len, holes: 0, fragment, sizes: c })
        }
        3 => {
            links = c.u32()?;
            let len = u32::from(c.u16()?);
            if len > MAX_TARGET {
                return Err(corrupt(at, format!("link whose target has {len} bytes")));
            }
            Body::Link(c.bytes(usize::try_from(len).unwrap_or(0))?)
        }
        4 | 5 => {
            links = c.u32()?;
            Body::Device(u32::from(c.u16()?))
        }
        _ => {
            links = c.u32()?;
            Body::Plain
        }
    };
    Ok(Inode { kind, number: own, links, mode: narrow(mode), owner, group, modified, xattrs: None, body, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_bits_lie_from_either_end() {
        // Type 2 and mode 0644, as either machine writes them.
        assert_eq!(split(0x1a42, 16, 4, false), (2, 0o644));
        assert_eq!(split(0x21a4, 16, 4, true), (2, 0o644));
        assert_eq!(split(5 << 19 | 0x64, 32, 19, false), (100, 5));
        assert_eq!(split(0x64 << 13 | 5, 32, 19, true), (100, 5));
        assert_eq!(split(0xff_ffff_ffff, 40, 27, false), (0x7ff_ffff, 0x1fff));
    }
}
