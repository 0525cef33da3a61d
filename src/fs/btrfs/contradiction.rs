//! Where parts of one file system contradict each other, though each can be read.
use super::Volume;
use super::block::Item;
use super::raw::{BLOCK_GROUP_ITEM, EXTENT_ITEM, METADATA_ITEM, u64_at};
use std::collections::BTreeSet;

/// Of an extent: it holds data, or a block of a tree.
const DATA: u64 = 1;
const TREE: u64 = 2;
/// A feature: groups of blocks stand in a tree of their own.
const GROUP_TREE: u64 = 8;

/// Places of one fault: how many, and the logical byte of the first.
#[derive(Default)]
struct Places(u64, u64);
impl Places {
    fn add(&mut self, logical: u64) {
        if self.0 == 0 {
            self.1 = logical;
        }
        self.0 = self.0.saturating_add(1);
    }
}

/// What the tree of extents says, held against the chunks and the trees.
#[derive(Default)]
pub(super) struct Extents {
    misplaced: Places,
    groups: Places,
    seen: BTreeSet<u64>,
}

impl Extents {
    pub(super) fn see(&mut self, volume: &Volume, item: &Item<'_>) {
        let chunk = volume.blocks.space.chunks.find(item.key.object);
        match item.key.kind {
            EXTENT_ITEM | METADATA_ITEM => {
                let flags = u64_at(item.data, 16).unwrap_or(0);
                let fits =
                    chunk.is_some_and(|c| (flags & TREE == 0 || c.is_metadata()) && (flags & DATA == 0 || c.is_data()));
                if !fits {
                    self.misplaced.add(item.key.object);
                }
            }
            BLOCK_GROUP_ITEM => {
                let of = |c: &super::chunk::Chunk| (c.start, c.len, Some(c.flags));
                let stated = (item.key.object, item.key.offset, u64_at(item.data, 16));
                if chunk.map(of) != Some(stated) {
                    self.groups.add(item.key.object);
                }
                self.seen.insert(item.key.object);
            }
            _ => {}
        }
    }
    /// Tells it; `free` are logical stretches that no extent has.
    pub(super) fn tell(mut self, volume: &Volume, free: &[(u64, u64)]) {
        let space = &volume.blocks.space;
        if volume.sb.compat_ro & GROUP_TREE == 0 {
            space.chunks.0.keys().filter(|start| !self.seen.contains(start)).for_each(|start| self.groups.add(*start));
        }
        let mut outdated = Places::default();
        let roots = volume.roots.subvolumes.values().map(|s| s.root).chain(volume.roots.other.values().copied());
        for root in roots {
            let next = free.partition_point(|(_, end)| *end <= root.logical);
            if free.get(next).is_some_and(|(start, _)| *start <= root.logical) {
                outdated.add(root.logical);
            }
        }
        for (places, what) in [
            (self.misplaced, "extents lie in a chunk of another kind, or in none"),
            (self.groups, "chunks and groups of blocks contradict each other; what is free may not be"),
            (outdated, "trees begin in a block that counts as free; what they show may be out of date"),
        ] {
            if places.0 > 0 {
                volume.damage.once(space.volume_offset(places.1), format!("{what} ({} places)", places.0), 0);
            }
        }
    }
}
