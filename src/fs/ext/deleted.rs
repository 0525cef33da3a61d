//! What was deleted and can still be seen: names in the slack of directory blocks, and inodes
//! without a name whose content can still be found.
use super::Volume;
use super::damage::Of;
use super::dir::{Part, Raw, chain, entry, index_at};
use super::inode::{FLAG_CASEFOLD, FLAG_EA_INODE, FLAG_ENCRYPTED, FLAG_EXTENTS, FLAG_INDEX, FLAG_INLINE, Inode};
use super::raw::u16_at;
use super::table::REUSED;
use crate::base::{Name, NodeId, is_zero};
use crate::fs::{DirEntry, NodeKind};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

const ROOT: u32 = 2;
/// Names kept per directory; more come only from a crafted one.
const MAX_NAMES: usize = 1 << 20;

type Each<'a> = &'a mut dyn FnMut(Option<NodeId>, DirEntry);

/// A name in slack, and the inode number beside it (0 where it was cleared).
type Found = (Vec<u8>, u32, u8);

pub(super) fn deleted(volume: &Arc<Volume>, each: Each<'_>) {
    let mut named = BTreeSet::new();
    let mut nameless = Vec::new();
    let (mut unnamed, mut is_walked) = (Vec::new(), volume.listed.holds(ROOT));
    for group in 0..u32::try_from(volume.groups.len()).unwrap_or(u32::MAX) {
        volume.each_slot(group, &mut |inode| {
            if inode.kind() == NodeKind::Directory && has_content(inode) {
                directory(volume, inode, &mut named, each);
            }
            if !inode.is_used() && inode.number >= volume.sb.first_inode && has_content(inode) {
                nameless.push((inode.number, inode.id(), inode.kind()));
            }
            if inode.is_used() && !inode.has(FLAG_EA_INODE) && !volume.sb.is_own(inode.number) {
                match volume.named.holds(inode.number) {
                    false => unnamed.push((inode.number, inode.offset(), inode.id(), inode.kind())),
                    true if inode.kind() == NodeKind::Directory => is_walked &= volume.listed.holds(inode.number),
                    true => {}
                }
            }
        });
    }
    // Only after a whole walk is it known that nothing names an inode.
    for (number, offset, node, kind) in unnamed.into_iter().filter(|_| is_walked) {
        let what = "inode in use that no directory names; listed among the deleted";
        volume.damage.note(what, Of::Inode(number), offset, 0);
        each(None, DirEntry { name: Name::default(), node, kind });
    }
    for (number, node, kind) in nameless {
        if !named.contains(&number) {
            each(None, DirEntry { name: Name::default(), node, kind });
        }
    }
}

/// Whether anything in the inode still leads to content.
fn has_content(inode: &Inode) -> bool {
    let map = inode.map();
    match inode.kind() {
        NodeKind::File | NodeKind::Directory | NodeKind::Symlink => {}
        _ => return false,
    }
    if inode.has(FLAG_EXTENTS) {
        u16_at(&map, 0) == Some(0xf30a) && u16_at(&map, 2).is_some_and(|n| n > 0)
    } else {
        inode.has(FLAG_INLINE) || map.iter().any(|b| *b != 0)
    }
}

fn directory(volume: &Arc<Volume>, dir: &Inode, named: &mut BTreeSet<u32>, each: Each<'_>) {
    // A deleted directory counts if its first block is still its own.
    let live = dir.is_used();
    let mut own = live || dir.has(FLAG_INLINE);
    let mut found: Vec<Found> = Vec::new();
    let mut known: HashSet<(Vec<u8>, u32)> = HashSet::new();
    // Slack first; the live names only if there is something to hold against them.
    volume.dir_parts(dir, &mut |part| {
        if part.logical == 0 && !part.inline {
            own = own || entry(part.bytes, 0).is_some_and(|e| e.name == b"." && e.inode == dir.number);
        }
        if own && found.len() < MAX_NAMES {
            slack(volume, dir, part, live, &mut found);
        }
    });
    if found.is_empty() {
        return;
    }
    if live {
        // Damage was told when the directory was listed.
        volume.dir_parts(dir, &mut |part| {
            let _ = chain(part.bytes, |e| {
                known.insert((e.name.to_vec(), e.inode));
            });
        });
    }
    for (name, number, kind) in found {
        if (number == 0 && known.iter().any(|n| n.0 == name)) || !known.insert((name.clone(), number)) {
            continue;
        }
        let word = if volume.sb.features.has_incompat(super::features::FILETYPE) {
            super::dir::kind(kind)
        } else {
            NodeKind::Unknown
        };
        let inode = volume.slot(number).ok();
        let same = inode.filter(|i| !i.is_used() && (word == NodeKind::Unknown || i.kind() == word));
        let node = match same {
            Some(inode) => {
                named.insert(number);
                inode.id()
            }
            None => NodeId { number: u64::from(number), generation: REUSED },
        };
        each(Some(dir.id()), DirEntry { name: Name::from(name), node, kind: word });
    }
}

/// Collects the names in one block that no live entry holds.
fn slack(volume: &Volume, dir: &Inode, part: &Part<'_>, live: bool, found: &mut Vec<Found>) {
    if dir.has(FLAG_INDEX) && index_at(part).is_some() {
        return;
    }
    let hashed = dir.has(FLAG_CASEFOLD) && dir.has(FLAG_ENCRYPTED);
    let broken = chain(part.bytes, |e| {
        let end = e.at.saturating_add(e.span);
        if !live && e.inode != 0 && !matches!(e.name, b"." | b".." | b"") {
            found.push((e.name.to_vec(), e.inode, e.kind));
        }
        let mut from = e.at.saturating_add(used(&e, hashed));
        if e.inode == 0 {
            from = e.at.saturating_add(8);
            if plausible(volume, &e, true) {
                found.push((e.name.to_vec(), 0, e.kind));
                from = e.at.saturating_add(used(&e, hashed));
            }
        }
        scan(volume, part.bytes, from, end, found);
    });
    if let Err(at) = broken {
        scan(volume, part.bytes, at, part.bytes.len(), found);
    }
}

/// Bytes that an entry needs.
fn used(e: &Raw<'_>, hashed: bool) -> usize {
    let hash = if hashed { 8 } else { 0 };
    e.name.len().saturating_add(8).next_multiple_of(4).saturating_add(hash)
}

fn scan(volume: &Volume, block: &[u8], from: usize, end: usize, found: &mut Vec<Found>) {
    if block.get(from..end).is_none_or(is_zero) {
        return;
    }
    let mut at = from;
    while at.saturating_add(12) <= end {
        match entry(block, at) {
            Some(e) if plausible(volume, &e, false) && leads_on(volume, block, &e, end) => {
                found.push((e.name.to_vec(), e.inode, e.kind));
                at = at.saturating_add(used(&e, false));
            }
            _ => at = at.saturating_add(4),
        }
    }
}

/// Whether the span of an entry in slack leads where one of a directory does: to the end of the live one around it, to
/// another name, or, being no longer than its name needs, to one that was wiped. Old bytes of an index seldom do.
fn leads_on(volume: &Volume, block: &[u8], e: &Raw<'_>, end: usize) -> bool {
    let next = e.at.saturating_add(e.span);
    if next >= end {
        return next == end;
    }
    let wiped = e.span == used(e, false)
        && block.get(next..end.min(next.saturating_add(8))).is_some_and(|b| b.iter().all(|b| *b == 0));
    // The checksum of a block stands in its last twelve bytes, as an entry of a kind of its own.
    let is_checksum = |e: &Raw<'_>| e.inode == 0 && e.span == 12 && e.name.is_empty() && e.kind == 0xde;
    let is_name = |e: &Raw<'_>| plausible(volume, e, e.inode == 0);
    wiped
        || entry(block, next)
            .is_some_and(|e| is_checksum(&e) || (is_name(&e) && next.saturating_add(8 + e.name.len()) <= end))
}

/// Whether bytes look like an entry: a possible number, kind and name. `cleared` ones have no number.
fn plausible(volume: &Volume, e: &Raw<'_>, cleared: bool) -> bool {
    let number = if cleared { e.inode == 0 } else { e.inode >= 1 && e.inode <= volume.sb.inodes };
    let typed = volume.sb.features.has_incompat(super::features::FILETYPE);
    let kind = if typed { (1..=7).contains(&e.kind) } else { e.kind == 0 };
    number && kind && !matches!(e.name, b"" | b"." | b"..") && !e.name.iter().any(|b| *b == 0 || *b == b'/')
}
