//! What the flash still holds of names and files that the index no longer has: UBIFS overwrites nothing in place, so
//! a node stays until its block is needed. Inode numbers are never given twice, so what is found belongs together.
use super::node::{DATA, ENTRY, Entry, INODE, Inode, Key, ORPHANS, Spot, XATTR};
use super::{Volume, file, scan};
use crate::base::{Name, NodeId};
use crate::fs::raw::u64_at;
use crate::fs::{DirEntry, NodeKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

#[derive(Default)]
pub(super) struct Gone {
    /// Directory, name and inode → the kind, by the newest node.
    names: BTreeMap<(u32, Vec<u8>, u32), (u64, NodeKind)>,
    inodes: BTreeMap<u32, Last>,
    /// When an inode was given up: seconds and nanoseconds.
    deaths: BTreeMap<u32, (u64, (u64, u32))>,
    data: BTreeMap<Key, (u64, Spot)>,
    /// Given up while in use: they have no name, and the next mount would remove them.
    orphans: BTreeSet<u32>,
}

/// An inode's newest node that tells something: whether it does, its sequence, its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Last {
    tells: bool,
    sequence: u64,
    spot: Spot,
    is_attribute: bool,
}

impl Gone {
    pub(super) fn inode(&self, number: u32) -> Option<Spot> {
        self.inodes.get(&number).map(|last| last.spot)
    }
    pub(super) fn block(&self, keys: RangeInclusive<Key>) -> Option<(Key, Spot)> {
        if keys.is_empty() {
            return None;
        }
        self.data.range(keys).next().map(|(key, (_, spot))| (*key, *spot))
    }
    pub(super) fn death(&self, number: u32) -> Option<(u64, u32)> {
        self.deaths.get(&number).map(|(_, time)| *time)
    }
}

/// Generations of nodes that are names without an inode, one for each kind.
const KINDS: [NodeKind; 8] = [
    NodeKind::Unknown,
    NodeKind::File,
    NodeKind::Directory,
    NodeKind::Symlink,
    NodeKind::CharDevice,
    NodeKind::BlockDevice,
    NodeKind::Fifo,
    NodeKind::Socket,
];
/// The kind that a name without an inode has.
pub(super) fn name_only(node: NodeId) -> Option<NodeKind> {
    let at = usize::try_from(node.generation.checked_sub(1)?).ok()?;
    KINDS.get(at).copied()
}

/// Looks at every node of the area of files.
pub(super) fn find(volume: &Volume) -> Gone {
    let mut gone = Gone::default();
    let live: BTreeSet<u32> = volume.index.inodes().map(|key| key.inode).collect();
    let mut budget = volume.budget;
    for block in volume.superblock.main..volume.reach() {
        let mut ended = false;
        let odd = scan::nodes(volume, block, 0, &mut |head, spot, node| {
            ended |= budget.step(1).is_err();
            if !ended {
                note(volume, &mut gone, &live, head.kind, head.sequence, spot, node);
            }
        });
        if let Some(first) = odd.first.filter(|_| !volume.used.contains(&block)) {
            volume.damage.note(
                "blocks that are not in use: bytes that are no node",
                u64::from(block),
                first,
                odd.bytes,
            );
        }
        if ended {
            let at = u64::from(block).saturating_mul(volume.superblock.block);
            volume.damage.once(at, "budget: nodes; deleted files behind this were not looked for", 0);
            break;
        }
    }
    let (first, count) = volume.superblock.orphans;
    for block in first..first.saturating_add(count).min(volume.reach()) {
        scan::nodes(volume, block, 0, &mut |head, _, node| {
            if head.kind == ORPHANS {
                let numbers = (32..node.len()).step_by(8).filter_map(|at| u64_at(node, at));
                gone.orphans.extend(numbers.filter_map(|n| u32::try_from(n).ok()).filter(|n| live.contains(n)));
            }
        });
    }
    gone
}

fn note(volume: &Volume, gone: &mut Gone, live: &BTreeSet<u32>, kind: u8, sequence: u64, spot: Spot, node: &[u8]) {
    let Some(key) = Key::parse(node, 24).filter(|key| key.kind() == kind) else { return };
    match kind {
        ENTRY if !volume.index.holds(key, spot) => {
            let Some(entry) = Entry::parse(node).filter(|e| e.inode != 0) else { return };
            let same = |e: &Entry| (e.inode, &e.name) == (entry.inode, &entry.name);
            let stands = volume.index.range(key..=key).any(|(_, s)| volume.entry(s).as_ref().is_some_and(same));
            if !stands {
                let newest = gone.names.entry((key.inode, entry.name, entry.inode)).or_insert((0, entry.kind));
                if sequence >= newest.0 {
                    *newest = (sequence, entry.kind);
                }
            }
        }
        INODE if !live.contains(&key.inode) => {
            let Some(inode) = Inode::parse(node) else { return };
            let tells = inode.links > 0 || inode.size > 0;
            let this = Last { tells, sequence, spot, is_attribute: inode.flags & XATTR != 0 };
            let last = gone.inodes.entry(key.inode).or_insert(this);
            *last = this.max(*last);
            if inode.links == 0 {
                let [_, changed, _] = inode.times;
                let death = gone.deaths.entry(key.inode).or_insert((sequence, changed));
                *death = (sequence, changed).max(*death);
            }
        }
        DATA if !live.contains(&key.inode) => {
            let newest = gone.data.entry(key).or_insert((sequence, spot));
            *newest = (sequence, spot).max(*newest);
        }
        _ => {}
    }
}

pub(super) fn deleted(volume: &Volume, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) {
    let gone = volume.gone();
    let mut named = BTreeSet::new();
    for ((directory, name, inode), (_, kind)) in &gone.names {
        named.insert(*inode);
        let known = gone.inodes.contains_key(inode) || volume.index.get(Key::new(*inode, INODE, 0)).is_some();
        let position = KINDS.iter().position(|k| k == kind).unwrap_or(0) as u64;
        let generation = if known { 0 } else { position.saturating_add(1) };
        let node = NodeId { number: u64::from(*inode), generation };
        each(Some(file::id(*directory)), DirEntry { name: Name::new(name), node, kind: *kind });
    }
    let nameless = gone.inodes.iter().filter(|(number, last)| !last.is_attribute && !named.contains(number));
    for number in nameless.map(|(number, _)| *number).chain(gone.orphans.iter().copied()) {
        let inode = file::inode(volume, file::id(number));
        // An orphan that was linked again is none.
        if inode.as_ref().is_ok_and(|(inode, live, _)| *live && inode.links > 0) {
            continue;
        }
        let kind = inode.map_or(NodeKind::Unknown, |(inode, ..)| inode.kind());
        each(None, DirEntry { name: Name::default(), node: file::id(number), kind });
    }
}
