//! What was deleted: names in the free space of directories, and inodes that were given up. Giving up
//! an inode clears its mode, size and count of extents; the extents themselves often stay behind.
use super::Volume;
use super::btree::{AGF, AGI, FREE, INODES, header, walk};
use super::dir::{self, Raw};
use super::inode::{Fork, Inode, read};
use super::map::{Mapped, extent};
use super::raw::{u16_at, u32_at, u64_at};
use crate::base::{Name, NodeId, Run};
use crate::fs::extents::{At, Extent, Extents};
use crate::fs::{DirEntry, NodeKind, Stat, Times};
use crate::image::Source;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

type Each<'a> = &'a mut dyn FnMut(Option<NodeId>, DirEntry);

/// Set in the generation of a name whose inode is another file's by now; the rest is its kind.
const REUSED: u64 = 1 << 62;
/// Names and inodes that are listed; more come only from a crafted volume.
const MAX_LISTED: usize = 1 << 21;

pub(super) fn reused(node: NodeId) -> Option<NodeKind> {
    Some(match node.generation.checked_sub(REUSED)? {
        1 => NodeKind::Directory,
        2 => NodeKind::Symlink,
        3 => NodeKind::File,
        _ => NodeKind::Unknown,
    })
}
fn mark(kind: NodeKind) -> u64 {
    REUSED
        | match kind {
            NodeKind::Directory => 1,
            NodeKind::Symlink => 2,
            NodeKind::File => 3,
            _ => 0,
        }
}
pub(super) fn name_only(kind: NodeKind) -> Stat {
    Stat {
        kind,
        len: 0,
        allocated: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 0,
        times: Times::default(),
        flags: vec!["inode-reused"],
        xattrs: Vec::new(),
        device: None,
    }
}

/// Every inode that the group's trees know: its number, and whether it is in use.
fn inodes(volume: &Volume, each: &mut dyn FnMut(u64, bool)) {
    let mut budget = volume.budget;
    for group in 0..volume.sb.ag_count {
        let Some(agi) = header(volume, group, &AGI) else { continue };
        let (Some(root), Some(levels)) = (u32_at(&agi, 20), u32_at(&agi, 24)) else { continue };
        walk(volume, group, &INODES, root, levels, &mut |raw| {
            let (Some(start), Some(free)) = (u32_at(raw, 0), u64_at(raw, 8)) else { return };
            if budget.step(64).is_err() {
                return;
            }
            // One bit for four inodes that have no storage.
            let holes = if volume.sb.sparse_inodes { u16_at(raw, 4).unwrap_or(0) } else { 0 };
            for n in 0..64_u32 {
                if holes >> (n / 4) & 1 == 0 {
                    let inside = u64::from(start).saturating_add(u64::from(n));
                    each(volume.sb.inode_number(group, inside), free >> n & 1 == 0);
                }
            }
        });
    }
}

pub(super) fn deleted(volume: &Volume, each: Each<'_>) {
    let mut gone: HashMap<u64, NodeId> = HashMap::new();
    let mut orphans = Vec::new();
    let mut dirs = Vec::new();
    inodes(volume, &mut |number, used| {
        // A damaged inode is told where a name leads to it.
        let Ok(inode) = read(volume, number) else { return };
        match (used, inode.mode()) {
            (false, 0) if !inode.is_blank() && gone.len() < MAX_LISTED => _ = gone.insert(number, inode.node()),
            (true, 1..) if inode.kind() == NodeKind::Directory => dirs.push(number),
            (true, 1..) if inode.links() == 0 => orphans.push(inode.node()),
            _ => {}
        }
    });
    let mut named = HashSet::new();
    let mut told = 0_usize;
    for number in dirs {
        let Ok(inode) = read(volume, number) else { continue };
        let mut live = HashSet::new();
        let mut names: Vec<Raw> = Vec::new();
        dir::entries(volume, &inode, true, &mut |raw| names.push(raw));
        if names.is_empty() {
            continue;
        }
        dir::entries(volume, &inode, false, &mut |raw| _ = live.insert((raw.name, raw.inode & 0xffff_ffff)));
        for raw in names {
            told = told.saturating_add(1);
            if told > MAX_LISTED {
                volume.damage.note("budget: removed names; the rest was not listed", number, inode.at, 0);
                break;
            }
            if live.contains(&(raw.name.clone(), raw.inode)) {
                continue;
            }
            let node = gone.get(&raw.inode).copied();
            named.extend(node.map(|n| n.number));
            let node = node.unwrap_or(NodeId { number: raw.inode, generation: mark(raw.kind) });
            each(Some(inode.node()), DirEntry { name: Name::from(raw.name), node, kind: raw.kind });
        }
    }
    let mut nameless: Vec<NodeId> = gone.into_values().filter(|n| !named.contains(&n.number)).collect();
    nameless.extend(orphans);
    nameless.sort_unstable();
    for node in nameless {
        each(None, DirEntry { name: Name::default(), node, kind: NodeKind::File });
    }
}

/// Extents that a given-up inode still holds: sorted, and all of one file.
pub(super) fn left(volume: &Volume, inode: &Inode) -> Vec<Mapped> {
    let mut out: Vec<Mapped> = Vec::new();
    for raw in inode.fork(Fork::Data).as_chunks::<16>().0 {
        let Some(found) = extent(volume, raw).filter(|m| m.first >= out.last().map_or(0, Mapped::end)) else { break };
        out.push(found);
    }
    out
}

/// The bytes of a given-up inode, as far as its extents are not in use again.
pub(super) fn open(volume: &Volume, inode: &Inode) -> Source {
    let list = left(volume, inode);
    if list.is_empty() {
        let what = "deleted inodes that tell nothing of their content any more";
        volume.damage.note(what, inode.number, inode.at, 0);
        return Arc::new(Vec::new());
    }
    let block = volume.sb.block;
    let free = volume.free.get_or_init(|| unallocated(volume));
    let is_free = |run: Run| {
        let at = free.partition_point(|f| f.end() <= run.offset);
        free.get(at).is_some_and(|f| f.offset <= run.offset && run.end() <= f.end())
    };
    let extents = list.iter().map(|m| {
        let len = m.count.saturating_mul(block);
        let at = match (m.unwritten, is_free(Run::new(m.at, len))) {
            (true, _) => At::Zeros,
            (_, true) => At::Volume(m.at),
            _ => At::Lost("the blocks of a deleted file are in use again"),
        };
        Extent { start: m.first.saturating_mul(block), len, at }
    });
    let list: Box<[Extent]> = extents.collect();
    let len = list.last().map_or(0, Extent::end);
    Arc::new(Extents { volume: volume.source.clone(), len, valid: len, list })
}

/// Free runs of the volume in bytes, sorted, joined where they touch.
pub(super) fn unallocated(volume: &Volume) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for group in 0..volume.sb.ag_count {
        let Some(agf) = header(volume, group, &AGF) else { continue };
        let (Some(root), Some(levels)) = (u32_at(&agf, 16), u32_at(&agf, 28)) else { continue };
        walk(volume, group, &FREE, root, levels, &mut |raw| {
            let (Some(first), Some(count)) = (u32_at(raw, 0).map(u64::from), u32_at(raw, 4).map(u64::from)) else {
                return;
            };
            let last = first.checked_add(count).and_then(|n| n.checked_sub(1));
            let (Some(at), Some(_)) =
                (volume.sb.group_block(group, first), last.and_then(|l| volume.sb.group_block(group, l)))
            else {
                return;
            };
            out.push(Run::new(at, count.saturating_mul(volume.sb.block)));
        });
    }
    out.sort_unstable();
    let mut joined: Vec<Run> = Vec::new();
    for run in out {
        match joined.last_mut() {
            Some(last) if last.end() >= run.offset => last.len = last.end().max(run.end()).saturating_sub(last.offset),
            _ => joined.push(run),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_reused_inodes_keep_their_kind() {
        for kind in [NodeKind::Directory, NodeKind::Symlink, NodeKind::File, NodeKind::Unknown] {
            assert_eq!(reused(NodeId { number: 1, generation: mark(kind) }), Some(kind));
        }
        assert_eq!(reused(NodeId { number: 1, generation: u64::from(u32::MAX) }), None);
    }
}
