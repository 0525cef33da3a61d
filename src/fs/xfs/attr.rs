//! Extended attributes: within the inode, in leaf blocks, and values in blocks of their own.
//! Format: "Extended Attributes" in "XFS Algorithms & Data Structures".
use super::Volume;
use super::inode::{Fork, Format, Inode};
use super::map::{Map, map};
use super::raw::{size, sum_fits, u8_at, u16_at, u32_at};
use crate::base::Name;
use std::collections::HashSet;

type Attributes = Vec<(Name, Vec<u8>)>;

const LOCAL: u8 = 1;
const ROOT: u8 = 2;
const SECURE: u8 = 4;
/// A link to the directory above, kept as an attribute.
const PARENT: u8 = 8;
const INCOMPLETE: u8 = 0x80;
/// The kernel allows no longer value.
const MAX_VALUE: usize = 64 << 10;
/// Bytes of the header of a block that holds part of a value (v5).
pub(super) const REMOTE: usize = 56;

fn name(flags: u8, name: &[u8]) -> Name {
    let space: &[u8] = match flags & (ROOT | SECURE | PARENT) {
        0 => b"user.",
        ROOT => b"trusted.",
        SECURE => b"security.",
        PARENT => b"parent.",
        _ => b"unknown.",
    };
    Name::from([space, name].concat())
}

/// All attributes, sorted by name.
pub(super) fn attributes(volume: &Volume, inode: &Inode) -> Attributes {
    let mut out = Vec::new();
    if !inode.has(Fork::Attributes) {
        return out;
    }
    match inode.format(Fork::Attributes) {
        Format::Local => short(volume, inode, &mut out),
        Format::Extents | Format::Btree => {
            let map = map(volume, inode, Fork::Attributes);
            if !map.list.is_empty() || map.broken {
                block(volume, inode, &map, 0, 8, &mut HashSet::new(), &mut out);
            }
        }
        _ => volume.damage.note("attributes in an unknown form", inode.number, inode.at, 0),
    }
    out.sort();
    out
}

fn short(volume: &Volume, inode: &Inode, out: &mut Attributes) {
    let fork = inode.fork(Fork::Attributes);
    let note = || volume.damage.note("attributes within the inode are cut short", inode.number, inode.at, 0);
    let Some(count) = u8_at(fork, 2) else { return note() };
    let mut at = 4_usize;
    for _ in 0..count {
        let field = |n: usize| u8_at(fork, at.saturating_add(n));
        let (Some(name_len), Some(len), Some(flags)) = (field(0), field(1), field(2)) else { return note() };
        let start = at.saturating_add(3);
        let middle = start.saturating_add(usize::from(name_len));
        let end = middle.saturating_add(usize::from(len));
        let (Some(text), Some(value)) = (fork.get(start..middle), fork.get(middle..end)) else { return note() };
        out.push((name(flags, text), value.to_vec()));
        at = end;
    }
}

/// A block of the attribute fork: a node, whose children are read, or a leaf.
fn block(
    volume: &Volume,
    inode: &Inode,
    map: &Map,
    number: u32,
    depth: u8,
    seen: &mut HashSet<u32>,
    out: &mut Attributes,
) {
    let place = map.place(u64::from(number), volume.sb.block).filter(|_| depth > 0 && seen.insert(number));
    let place = place.filter(|at| volume.claim(*at, inode.number));
    let note = |what: &'static str| volume.damage.note(what, inode.number, place.unwrap_or(inode.at), volume.sb.block);
    let Some(at) = place else {
        return note("attributes lead to no block, back into themselves or into those of another file");
    };
    let Ok(bytes) = volume.bytes(at, size(volume.sb.block)) else { return note("block of attributes not readable") };
    let magic = u16_at(&bytes, 8).unwrap_or(0);
    let v5 = matches!(magic, 0x3bee | 0x3ebe);
    if v5 && !sum_fits(&bytes, 12) {
        note("checksum of a block of attributes does not fit");
    }
    match magic {
        0xfebe | 0x3ebe => {
            let head = if v5 { 64 } else { 16 };
            let count = usize::from(u16_at(&bytes, if v5 { 56 } else { 12 }).unwrap_or(0));
            for n in 0..count {
                match u32_at(&bytes, n.saturating_mul(8).saturating_add(head + 4)) {
                    Some(child) => {
                        block(volume, inode, map, child, depth.saturating_sub(1), seen, out);
                    }
                    None => return note("node of attributes is cut short"),
                }
            }
        }
        0xfbee | 0x3bee => leaf(volume, inode, map, (at, &bytes, v5), seen, out),
        _ => note("block of attributes is none"),
    }
}

fn leaf(
    volume: &Volume,
    inode: &Inode,
    map: &Map,
    (at, bytes, v5): (u64, &[u8], bool),
    seen: &mut HashSet<u32>,
    out: &mut Attributes,
) {
    let note = |what: &'static str| volume.damage.note(what, inode.number, at, 0);
    let (head, counted) = if v5 { (80_usize, 56) } else { (32, 12) };
    let count = usize::from(u16_at(bytes, counted).unwrap_or(0));
    for n in 0..count {
        let entry = head.saturating_add(n.saturating_mul(8));
        let (Some(index), Some(flags)) =
            (u16_at(bytes, entry.saturating_add(4)), u8_at(bytes, entry.saturating_add(6)))
        else {
            return note("leaf of attributes is cut short");
        };
        if flags & INCOMPLETE != 0 {
            continue;
        }
        let body = bytes.get(usize::from(index)..).unwrap_or_default();
        let parts = if flags & LOCAL != 0 { local(body) } else { None };
        let found = match parts {
            Some((text, value)) => Some((text, Some(value.to_vec()))),
            None if flags & LOCAL != 0 => None,
            None => remote(volume, inode, map, body, seen),
        };
        match found {
            Some((text, Some(value))) => out.push((name(flags, text), value)),
            Some((text, None)) => {
                note("value of an attribute could not be read");
                out.push((name(flags, text), Vec::new()));
            }
            None => note("attribute reaches beyond its block"),
        }
    }
}

fn local(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let middle = usize::from(u8_at(body, 2)?).checked_add(3)?;
    let end = middle.checked_add(usize::from(u16_at(body, 0)?))?;
    Some((body.get(3..middle)?, body.get(middle..end)?))
}

/// A value in blocks of its own; those of v5 begin with a header each.
fn remote<'a>(
    volume: &Volume,
    inode: &Inode,
    map: &Map,
    body: &'a [u8],
    seen: &mut HashSet<u32>,
) -> Option<(&'a [u8], Option<Vec<u8>>)> {
    let (first, len) = (u32_at(body, 0)?, size(u64::from(u32_at(body, 4)?)));
    let text = body.get(9..usize::from(u8_at(body, 8)?).checked_add(9)?)?;
    let place = map.place(u64::from(first), volume.sb.block);
    // A value that another attribute has as well is none.
    if len > MAX_VALUE || !seen.insert(first) || place.is_some_and(|at| !volume.claim(at, inode.number)) {
        return Some((text, None));
    }
    let mut value = Vec::with_capacity(len);
    let mut number = u64::from(first);
    while value.len() < len {
        let bytes = map.place(number, volume.sb.block).and_then(|at| volume.bytes(at, size(volume.sb.block)).ok());
        let Some(bytes) = bytes else { return Some((text, None)) };
        let part = if volume.sb.v5 {
            if bytes.get(..4) != Some(b"XARM") || !sum_fits(&bytes, 12) {
                return Some((text, None));
            }
            bytes.get(REMOTE..).unwrap_or_default()
        } else {
            &bytes
        };
        value.extend(part.iter().take(len.saturating_sub(value.len())));
        number = number.saturating_add(1);
    }
    Some((text, Some(value)))
}
