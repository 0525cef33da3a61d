//! Items as the replay of a log changes them.
use super::raw::{Key, u16_at, u64_at};
use super::roots::names;
use super::tree::Patch;

/// The hash under which a name stands in its directory.
pub(super) fn hash(name: &[u8]) -> u64 {
    u64::from(!crc32c::crc32c_append(1, name))
}

/// An extent's item for a part of it.
pub(super) fn cut(patch: &Patch, skip: u64, len: u64) -> Patch {
    let mut new = patch.clone();
    let offset = u64_at(&patch.data, 37).unwrap_or(0).saturating_add(skip);
    for (at, value) in [(37_usize, offset), (45, len)] {
        if let Some(field) = new.data.get_mut(at..at.saturating_add(8)) {
            field.copy_from_slice(&value.to_le_bytes());
        }
    }
    new
}

/// Positions in their directories of the names of a reference.
pub(super) fn indices(data: &[u8], extended: bool) -> Vec<u64> {
    let (at, len_at) = if extended { (8, 16) } else { (0, 8) };
    let mut out = Vec::new();
    let mut rest = data;
    while let (Some(index), Some(len)) = (u64_at(rest, at), u16_at(rest, len_at)) {
        out.push(index);
        rest = rest.get(usize::from(len).saturating_add(len_at).saturating_add(2)..).unwrap_or_default();
    }
    out
}

/// A directory's item without one of its names.
pub(super) fn without_entry(data: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = data;
    while let (Some(extra), Some(len)) = (u16_at(rest, 25), u16_at(rest, 27)) {
        let end = 30_usize.saturating_add(usize::from(len)).saturating_add(usize::from(extra));
        let Some((this, behind)) = rest.split_at_checked(end) else { break };
        if this.get(30..30_usize.saturating_add(usize::from(len))) != Some(name) {
            out.extend_from_slice(this);
        }
        rest = behind;
    }
    out
}

/// A reference without one of its names.
pub(super) fn without_name(key: Key, data: &[u8], extended: bool, directory: u64, name: &[u8]) -> Vec<u8> {
    let head = if extended { 18 } else { 10 };
    let mut out = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let Some((dir, this_name)) = names(key, rest, extended).into_iter().next() else { break };
        let Some((this, behind)) = rest.split_at_checked(this_name.len().saturating_add(head)) else { break };
        if dir != directory || this_name != name {
            out.extend_from_slice(this);
        }
        rest = behind;
    }
    out
}

/// The number of a kind of file in a directory's entries.
pub(super) fn kind_number(mode: u32) -> u8 {
    match mode >> 12 {
        8 => 1,
        4 => 2,
        2 => 3,
        6 => 4,
        1 => 5,
        12 => 6,
        10 => 7,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::extent::REGULAR;
    use super::super::raw::INODE_REF;
    use super::*;

    #[test]
    fn names_hash_as_the_format_says() {
        // Offsets of the entry "default" of every root tree directory, and of an empty name's seed.
        assert_eq!(hash(b"default"), 0x8dbf_c2d2);
        assert_eq!(hash(b""), 0xffff_fffe);
    }
    #[test]
    fn parts_of_extents_keep_their_place() {
        let whole = Patch { data: vec![0; REGULAR], logical: 7 };
        let part = cut(&cut(&whole, 4096, 8192), 4096, 4096);
        assert_eq!((u64_at(&part.data, 37), u64_at(&part.data, 45)), (Some(8192), Some(4096)));
        assert_eq!(part.data.len(), REGULAR);
    }
    #[test]
    fn one_name_is_taken_out_of_several() {
        let one = |name: &[u8]| {
            let len = u16::try_from(name.len()).unwrap().to_le_bytes();
            [&5_u64.to_le_bytes()[..], &len, name].concat()
        };
        let data = [one(b"a"), one(b"bc"), one(b"a")].concat();
        let key = Key::new(300, INODE_REF, 256);
        assert_eq!(without_name(key, &data, false, 256, b"bc"), [one(b"a"), one(b"a")].concat());
        assert_eq!(without_name(key, &data, false, 257, b"bc"), data);
        assert_eq!(indices(&data, false), [5, 5, 5]);
    }
}
