//! Extended attributes: behind the inode, or shared by several; names by a number and the rest, or by a long prefix.
//! Format: see `superblock.rs`, "xattrs".
use super::Volume;
use super::inode::Inode;
use crate::base::Name;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, size, u8_at, u16_at, u32_at};
use crate::image::{ReadAt, read_exact};

/// Bytes before the shared ones' numbers.
const HEAD: u64 = 12;
/// Bytes of the area behind an inode: sixteen bits of four bytes.
const MAX_AREA: u64 = 1 << 18;
/// Bytes of one table of long prefixes.
const MAX_PREFIX: u64 = 256;

fn prefix(index: u8) -> Option<&'static [u8]> {
    Some(match index {
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        5 => b"lustre.",
        6 => b"security.",
        _ => return None,
    })
}

/// The long prefixes of the volume. `within` is the packed inode's content, where they stand in it.
pub(super) fn prefixes(volume: &Volume, within: Option<&dyn ReadAt>) -> Vec<Option<Vec<u8>>> {
    let Some((count, from, _)) = volume.sb.prefixes else { return Vec::new() };
    let source: &dyn ReadAt = within.unwrap_or(&*volume.source);
    let mut out = Vec::new();
    let mut at = from;
    for _ in 0..count {
        at = at.next_multiple_of(4);
        let len = read_exact(source, at, 2).ok().flatten().and_then(|b| u16_at(&b, 0)).map(u64::from);
        let bytes = len.filter(|n| (1..=MAX_PREFIX).contains(n));
        let bytes = bytes.and_then(|n| read_exact(source, at.saturating_add(2), size(n)).ok().flatten());
        let Some((base, rest)) = bytes.as_deref().and_then(<[u8]>::split_first) else {
            volume.damage.once(at, "the long prefixes of attribute names cannot be read", 0);
            break;
        };
        out.push(prefix(*base).map(|p| [p, rest].concat()));
        at = at.saturating_add(2).saturating_add(len.unwrap_or(0));
    }
    out
}

pub(super) fn read(volume: &Volume, inode: &Inode) -> Vec<(Name, Vec<u8>)> {
    let mut out = Vec::new();
    if collect(volume, inode, &mut out).is_err() {
        volume.damage.note("extended attributes not all read: they are damaged", inode.nid, inode.at, 0);
    }
    out
}

fn collect(volume: &Volume, inode: &Inode, out: &mut Vec<(Name, Vec<u8>)>) -> Result<(), FsError> {
    if inode.xattrs == 0 {
        return Ok(());
    }
    let at = inode.at.saturating_add(inode.own);
    let area = read_exact(&*volume.source, at, size(inode.xattrs.min(MAX_AREA)))?;
    let area = area.ok_or_else(|| corrupt(at, "attributes beyond the end of the volume"))?;
    let shared = usize::from(u8_at(&area, 4).unwrap_or(0));
    for number in 0..shared {
        let place = size(HEAD).saturating_add(number.saturating_mul(4));
        let id = u32_at(&area, place).ok_or_else(|| corrupt(at, "numbers of shared attributes cut off"))?;
        let from = u64::from(id).saturating_mul(4).saturating_add(volume.sb.xattrs);
        let left = volume.source.len().saturating_sub(from).min(4 + 255 + 65_535);
        let bytes = read_exact(&*volume.source, from, size(left))?.unwrap_or_default();
        let (name, value, _) = entry(volume, &bytes).ok_or_else(|| corrupt(from, "shared attribute cut off"))?;
        out.push((name, value));
    }
    let mut rest = area.get(size(HEAD).saturating_add(shared.saturating_mul(4))..).unwrap_or_default();
    // Fewer than an entry's head is padding.
    while rest.len() >= 4 {
        // So is an entry without anything.
        if rest.first_chunk::<4>() == Some(&[0; 4]) {
            break;
        }
        let (name, value, len) = entry(volume, rest).ok_or_else(|| corrupt(at, "attribute cut off"))?;
        out.push((name, value));
        rest = rest.get(len..).unwrap_or_default();
    }
    Ok(())
}

/// One attribute, and the bytes it takes.
fn entry(volume: &Volume, bytes: &[u8]) -> Option<(Name, Vec<u8>, usize)> {
    let (named, index) = (usize::from(u8_at(bytes, 0)?), u8_at(bytes, 1)?);
    let len = usize::from(u16_at(bytes, 2)?);
    let own = bytes.get(4..named.saturating_add(4))?;
    let end = named.saturating_add(4).saturating_add(len);
    let value = bytes.get(named.saturating_add(4)..end)?.to_vec();
    let prefix = if index & 0x80 == 0 {
        prefix(index)?.to_vec()
    } else {
        volume.prefixes.get(usize::from(index & 0x7f))?.clone()?
    };
    Some((Name::from([prefix.as_slice(), own].concat()), value, end.next_multiple_of(4)))
}
