//! The index: a tree on flash, read whole into one ordered map in memory; the journal is laid over it there.
use super::Volume;
use super::node::{DATA, ENTRY, Entry, HEADER, INDEX, INODE, Key, Spot, XENTRY};
use crate::base::Budget;
use crate::fs::raw::{u16_at, u32_at};
use crate::image::read_exact;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;

/// A tree of more levels has no flash to stand on.
const MAX_LEVELS: usize = 64;

/// Every node that counts, by key. Names of one hash share a key, so the place belongs to it.
#[derive(Default)]
pub(super) struct Index {
    nodes: BTreeMap<(Key, u32, u32), u32>,
}

impl Index {
    /// All nodes whose keys lie in a range, in order.
    pub(super) fn range(&self, keys: RangeInclusive<Key>) -> impl Iterator<Item = (Key, Spot)> + '_ {
        let (from, to) = keys.into_inner();
        let range = if from <= to { (from, 0, 0)..=(to, u32::MAX, u32::MAX) } else { (from, 1, 0)..=(from, 1, 0) };
        let empty = from > to;
        let each = |(&(key, block, offset), &len): (&(Key, u32, u32), &u32)| (key, Spot { block, offset, len });
        self.nodes.range(range).map(each).take(if empty { 0 } else { usize::MAX })
    }
    pub(super) fn get(&self, key: Key) -> Option<Spot> {
        self.range(key..=key).next().map(|(_, spot)| spot)
    }
    pub(super) fn holds(&self, key: Key, spot: Spot) -> bool {
        self.nodes.contains_key(&(key, spot.block, spot.offset))
    }
    /// Adds a name, whatever else has its hash.
    pub(super) fn add(&mut self, key: Key, spot: Spot) {
        self.nodes.insert((key, spot.block, spot.offset), spot.len);
    }
    /// The only node of its key from now on.
    pub(super) fn set(&mut self, key: Key, spot: Spot) {
        self.remove(key..=key);
        self.add(key, spot);
    }
    pub(super) fn remove(&mut self, keys: RangeInclusive<Key>) {
        let gone: Vec<(Key, Spot)> = self.range(keys).collect();
        for (key, spot) in gone {
            self.nodes.remove(&(key, spot.block, spot.offset));
        }
    }
    pub(super) fn remove_at(&mut self, key: Key, spot: Spot) {
        self.nodes.remove(&(key, spot.block, spot.offset));
    }
    pub(super) fn inodes(&self) -> impl Iterator<Item = Key> + '_ {
        self.nodes.keys().map(|(key, ..)| *key).filter(|key| key.kind() == INODE)
    }
    /// Blocks of the volume that hold a node that counts.
    pub(super) fn blocks(&self) -> BTreeSet<u32> {
        self.nodes.keys().map(|(_, block, _)| *block).collect()
    }
}

/// What a walk over the tree gave beside the index.
pub(super) struct Walked {
    pub(super) index: Index,
    /// Blocks of the volume that the tree's own nodes stand in.
    pub(super) blocks: BTreeSet<u32>,
    /// Keys that a part of the tree led to which is lost.
    pub(super) lost: Vec<RangeInclusive<Key>>,
}

/// Walks the tree from its root. What is damaged is a gap, and its keys are given to be searched for.
pub(super) fn walk(volume: &Volume, root: Spot, budget: &mut Budget) -> Walked {
    let mut out = Walked { index: Index::default(), blocks: BTreeSet::new(), lost: Vec::new() };
    let mut seen = HashSet::new();
    // With the level that the parent makes it stand on.
    let mut todo = vec![(root, Key::default()..=Key::MAX, MAX_LEVELS, None)];
    while let Some((spot, keys, levels, stands)) = todo.pop() {
        let lose = |why: &str, out: &mut Walked| {
            let what = format!("node of the index: {why}; what it leads to is searched for among all nodes");
            volume.damage.once(volume.at(spot), what, u64::from(spot.len));
            out.lost.push(keys.clone());
        };
        if budget.step(1).is_err() {
            lose("budget: steps", &mut out);
            continue;
        }
        if !seen.insert((spot.block, spot.offset)) || levels == 0 {
            lose("it stands in the tree twice, or too deep", &mut out);
            continue;
        }
        let node = match volume.node(spot, INDEX) {
            Ok(node) => node,
            Err(e) => {
                lose(&e.to_string(), &mut out);
                continue;
            }
        };
        let Some(branches) = branches(&node) else {
            lose("its branches do not fit into it", &mut out);
            continue;
        };
        // A whole node that stands in another's place has keys of its own: those of its place would be lost unnoticed.
        let level = u16_at(&node, 26).unwrap_or(0);
        if stands.is_some_and(|s| s != level) || !fit(&branches, &keys) {
            lose("it is another one: its keys or its level are not those of its place", &mut out);
            continue;
        }
        out.blocks.insert(spot.block);
        let is_leaf = level == 0;
        for (n, (key, branch)) in branches.iter().enumerate() {
            if is_leaf {
                if budget.step(1).is_err() {
                    continue;
                }
                match key_of(volume, *branch) {
                    Some(own) if own != *key => {
                        let what =
                            "the index leads to a node of another key; both keys are searched for among all nodes";
                        volume.damage.note(what, u64::from(key.inode), volume.at(*branch), u64::from(branch.len));
                        out.lost.extend([*key..=*key, own..=own]);
                    }
                    // What cannot be read says so when it is.
                    _ => out.index.add(*key, *branch),
                }
                continue;
            }
            let next = branches.get(n.saturating_add(1)).map_or(*keys.end(), |(key, _)| *key);
            todo.push((*branch, *key..=next, levels.saturating_sub(1), Some(level.saturating_sub(1))));
        }
    }
    out
}

/// The key that a node says is its own.
fn key_of(volume: &Volume, spot: Spot) -> Option<Key> {
    let node = read_exact(&*volume.source, volume.at(spot), HEADER.saturating_add(8)).ok()??;
    Key::parse(&node, HEADER)
}

/// Whether branches are in order, and within the keys that the parent gives them.
fn fit(branches: &[(Key, Spot)], keys: &RangeInclusive<Key>) -> bool {
    branches.is_sorted_by_key(|(key, _)| *key) && branches.iter().all(|(key, _)| keys.contains(key))
}

fn branches(node: &[u8]) -> Option<Vec<(Key, Spot)>> {
    let count = usize::from(u16_at(node, 24)?);
    let room = node.len().checked_sub(28)?;
    // An authenticated tree has a hash behind each key.
    let width = room.checked_div(count).filter(|w| (20..=84).contains(w) && w.saturating_mul(count) == room)?;
    let branch = |bytes: &[u8]| {
        let spot = Spot { block: u32_at(bytes, 0)?, offset: u32_at(bytes, 4)?, len: u32_at(bytes, 8)? };
        Some((Key::parse(bytes, 12)?, spot))
    };
    node.get(28..)?.chunks_exact(width).map(branch).collect()
}

/// What a node does to the index when it is replayed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Inode { gone: bool },
    Data,
    Name(Entry),
    Cut(super::node::Truncation),
}

/// A node that was written, and when.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) sequence: u64,
    pub(super) key: Key,
    pub(super) spot: Spot,
    pub(super) change: Change,
}

/// Lays nodes over the index, oldest first, as a mount replays the journal.
pub(super) fn replay(volume: &Volume, index: &mut Index, mut events: Vec<Event>) {
    events.sort_by_key(|e| (e.sequence, e.spot));
    // The last word on each inode: one that is given up and linked again later is not given up.
    let mut last: BTreeMap<u32, u64> = BTreeMap::new();
    for event in events.iter().filter(|e| matches!(e.change, Change::Inode { gone: false })) {
        last.insert(event.key.inode, event.sequence);
    }
    for event in events {
        let Event { sequence, key, spot, change } = event;
        match change {
            Change::Inode { gone: true } => {
                if last.get(&key.inode).is_none_or(|s| *s < sequence) {
                    let values = index.range(Key::new(key.inode, XENTRY, 0)..=Key::new(key.inode, XENTRY, u32::MAX));
                    let values: Vec<Spot> = values.map(|(_, spot)| spot).collect();
                    for spot in values {
                        if let Some(entry) = volume.entry(spot).filter(|e| e.inode != key.inode) {
                            index.remove(Key::new(entry.inode, 0, 0)..=Key::new(entry.inode, 7, u32::MAX));
                        }
                    }
                    index.remove(Key::new(key.inode, 0, 0)..=Key::new(key.inode, 7, u32::MAX));
                }
            }
            Change::Inode { gone: false } | Change::Data => index.set(key, spot),
            Change::Cut(cut) => index.remove(cut.range()),
            Change::Name(entry) => {
                let same: Vec<Spot> = index
                    .range(key..=key)
                    .map(|(_, spot)| spot)
                    .filter(|spot| volume.entry(*spot).is_some_and(|e| e.name == entry.name))
                    .collect();
                for spot in same {
                    index.remove_at(key, spot);
                }
                if entry.inode != 0 {
                    index.add(key, spot);
                }
            }
        }
    }
}

/// The event that a node of a kind stands for.
pub(super) fn event(kind: u8, sequence: u64, spot: Spot, node: &[u8]) -> Option<Event> {
    let change = match kind {
        INODE => Change::Inode { gone: u32_at(node, 92)? == 0 },
        DATA => Change::Data,
        ENTRY | XENTRY => Change::Name(Entry::parse(node)?),
        super::node::TRUNCATION => Change::Cut(super::node::Truncation::parse(node)?),
        _ => return None,
    };
    let key = match &change {
        Change::Cut(cut) => Key::new(cut.inode, DATA, 0),
        _ => Key::parse(node, 24)?,
    };
    (matches!(change, Change::Cut(_)) || key.kind() == kind).then_some(Event { sequence, key, spot, change })
}
