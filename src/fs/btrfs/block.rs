//! Blocks of trees: read by the copy whose checksum fits, and walked in the order of their keys.
use super::BY;
use super::raw::{KEY, Key, size, u8_at, u32_at, u64_at};
use super::space::{Fault, Space};
use crate::base::{Budget, Gaps};
use crate::image::cache::Cache;
use crate::volume::btrfs::{MAX_LEVEL, Root, Sum, Uuid};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes before the items of a block.
pub(super) const HEADER: usize = 101;
/// Bytes of an item's head in a leaf, and of a pointer in a node.
const ITEM: usize = 25;
const POINTER: usize = 33;
/// Bytes of blocks that are kept.
const KEPT: u64 = 48 << 20;
/// Faults of blocks that are told one by one.
const MAX_TOLD: usize = 2000;

pub(super) struct Block {
    pub(super) logical: u64,
    pub(super) level: u8,
    pub(super) generation: u64,
    pub(super) owner: u64,
    bytes: Vec<u8>,
    /// In order: of a leaf where an item's data begins and its length, else a block and its generation.
    entries: Vec<(Key, u64, u64)>,
}

/// An item of a leaf.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) key: Key,
    pub(super) data: &'a [u8],
    /// Logical byte of its data.
    pub(super) logical: u64,
}

impl Block {
    /// What a block holds, as far as it can; and what contradicts the format.
    pub(super) fn parse(logical: u64, bytes: Vec<u8>) -> Option<(Self, Option<&'static str>)> {
        let level = u8_at(&bytes, 100).filter(|l| *l <= MAX_LEVEL)?;
        let count = size(u64::from(u32_at(&bytes, 96)?));
        let width = if level == 0 { ITEM } else { POINTER };
        let room = bytes.len().saturating_sub(HEADER) / width;
        let mut fault = (count > room).then_some("says that it has more items than it has room for");
        let mut entries = Vec::with_capacity(count.min(room));
        for n in 0..count.min(room) {
            let at = HEADER.saturating_add(n.saturating_mul(width));
            let key = Key::parse(&bytes, at)?;
            let field = at.saturating_add(KEY);
            if level > 0 {
                entries.push((key, u64_at(&bytes, field)?, u64_at(&bytes, field.saturating_add(8))?));
                continue;
            }
            let from = HEADER.saturating_add(size(u64::from(u32_at(&bytes, field)?)));
            let len = size(u64::from(u32_at(&bytes, field.saturating_add(4))?));
            let head = at.saturating_add(ITEM);
            if from < head || from.checked_add(len).is_none_or(|end| end > bytes.len()) {
                fault = Some("has items whose data lies outside of it; they are left out");
                continue;
            }
            entries.push((key, from as u64, len as u64));
        }
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            fault = fault.or(Some("has keys that are out of order"));
            entries.sort_by_key(|e| e.0);
            entries.dedup_by_key(|e| e.0);
        }
        let (generation, owner) = (u64_at(&bytes, 80)?, u64_at(&bytes, 88)?);
        Some((Self { logical, level, generation, owner, bytes, entries }, fault))
    }
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let leaf = if self.level == 0 { self.entries.as_slice() } else { &[] };
        leaf.iter().filter_map(|entry| self.item(entry))
    }
    fn item(&self, entry: &(Key, u64, u64)) -> Option<Item<'_>> {
        let data = self.bytes.get(size(entry.1)..)?.get(..size(entry.2))?;
        Some(Item { key: entry.0, data, logical: self.logical.saturating_add(entry.1) })
    }
}

/// How well a block fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    /// Its checksum does not fit, but it says that it belongs here.
    Damaged,
    /// Of another generation than what leads to it says.
    Other,
    Whole,
}

pub(super) struct Blocks {
    pub(super) space: Space,
    pub(super) sum: Sum,
    /// Bytes of a block.
    pub(super) node: u32,
    /// What blocks of this file system, and of those it has grown from, carry.
    pub(super) ids: Vec<Uuid>,
    pub(super) budget: Budget,
    cache: Cache<Block>,
    gaps: Gaps,
    told: Mutex<HashSet<(u64, &'static str)>>,
}

impl Blocks {
    pub(super) fn new(space: Space, sum: Sum, node: u32, ids: Vec<Uuid>, gaps: Gaps, budget: Budget) -> Self {
        // An odd number of sets, so that places that are powers of two apart do not share few of them.
        let sets = size(KEPT / u64::from(node.max(1)) / 4) | 1;
        Self { space, sum, node, ids, budget, cache: Cache::new(sets.saturating_mul(4)), gaps, told: Mutex::default() }
    }
    /// Does not tell again what another reader of the same blocks has told.
    pub(super) fn keep_told(&mut self, other: Self) {
        self.told = other.told;
    }
    /// A fault of one block, told once.
    pub(super) fn tell(&self, logical: u64, what: &'static str, more: &str, volume_offset: u64, bytes: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() > MAX_TOLD || !told.insert((logical, what)) {
            return;
        }
        if told.len() > MAX_TOLD {
            self.gaps.add(BY, format!("more than {MAX_TOLD} faults of tree blocks; the rest is not told"), 0);
            return;
        }
        let text = format!("tree block at logical {logical}: {what}{more}");
        self.gaps.add_at(BY, "volume_offset", volume_offset, text, bytes);
    }

    pub(super) fn get(&self, logical: u64, generation: u64) -> Result<Arc<Block>, String> {
        self.cache.get(logical / 512, || self.fetch(logical, generation))
    }
    fn grade(&self, logical: u64, bytes: &[u8], generation: u64) -> Result<Grade, &'static str> {
        if u64_at(bytes, 48) != Some(logical) {
            return Err("is none: it does not know its own place");
        }
        if !self.ids.iter().any(|id| bytes.get(32..48) == Some(id)) {
            return Err("belongs to another file system");
        }
        Ok(match (self.sum.fits_block(bytes), u64_at(bytes, 80) == Some(generation)) {
            (false, _) => Grade::Damaged,
            (true, false) => Grade::Other,
            (true, true) => Grade::Whole,
        })
    }
    fn fetch(&self, logical: u64, generation: u64) -> Result<Block, String> {
        let len = size(u64::from(self.node));
        let mut best: Option<(Grade, usize, Vec<u8>)> = None;
        let mut failed: Vec<(usize, String)> = Vec::new();
        let mut missing = None;
        for attempt in 0..self.space.attempts(logical).max(1) {
            let mut bytes = vec![0; len];
            let why = match self.space.read(logical, &mut bytes, attempt) {
                Err(Fault::Missing(id)) => {
                    missing = Some(id);
                    continue;
                }
                Err(e) => e.to_string(),
                Ok(()) => match self.grade(logical, &bytes, generation) {
                    Ok(grade) => {
                        if best.as_ref().is_none_or(|b| grade > b.0) {
                            best = Some((grade, attempt, bytes));
                        }
                        match grade {
                            Grade::Whole => break,
                            Grade::Other => "its generation differs".to_owned(),
                            Grade::Damaged => "its checksum does not fit".to_owned(),
                        }
                    }
                    Err(e) => e.to_owned(),
                },
            };
            failed.push((attempt, why));
        }
        let (grade, used, bytes) = best.ok_or_else(|| match (failed.first(), missing) {
            (Some((_, why)), _) => why.clone(),
            (None, Some(id)) => Fault::Missing(id).to_string(),
            (None, None) => "cannot be read".to_owned(),
        })?;
        let place = |attempt| self.space.offset_of(logical, attempt);
        let bytes_lost = u64::from(self.node);
        let found = u64_at(&bytes, 80).unwrap_or(0);
        match grade {
            Grade::Whole => {
                if let Some((attempt, why)) = failed.first() {
                    let more = format!(
                        " (copy {}: {why}); copy {} is read",
                        attempt.saturating_add(1),
                        used.saturating_add(1)
                    );
                    self.tell(logical, "one copy is damaged", &more, place(*attempt), bytes_lost);
                }
            }
            Grade::Other => {
                let more = format!(" {found}, what leads to it says {generation}; it is read as it stands");
                self.tell(logical, "is of generation", &more, place(used), bytes_lost);
            }
            Grade::Damaged => {
                let what = "its checksum fits in no copy; it is read as it stands";
                self.tell(logical, what, "", place(used), bytes_lost);
            }
        }
        let (block, fault) = Block::parse(logical, bytes).ok_or("its level is impossible")?;
        if let Some(fault) = fault {
            self.tell(logical, fault, "", place(used), bytes_lost);
        }
        Ok(block)
    }

    /// Calls `each` for the items of a tree from one key to another, both included, in order, until it says `false`.
    /// Blocks that cannot be read are gaps; gives whether there were none.
    pub(super) fn each(&self, root: Root, from: Key, to: Key, each: &mut dyn FnMut(Item<'_>) -> bool) -> bool {
        let mut budget = self.budget;
        let mut whole = true;
        let lost = |logical: u64, why: &str| {
            let more = format!(" ({why})");
            let at = self.space.volume_offset(logical);
            self.tell(logical, "cannot be read; what lies in or below it is lost", &more, at, u64::from(self.node));
        };
        let top = match self.get(root.logical, root.generation) {
            Ok(top) => top,
            Err(e) => {
                lost(root.logical, &e);
                return false;
            }
        };
        // Block, next entry, and the key that ends what its parent gives it (excluded).
        let mut stack: Vec<(Arc<Block>, usize, Option<Key>)> = vec![];
        let begin = |block: &Block, least: Key| {
            let after = block.entries.partition_point(|e| e.0 <= least);
            if block.level == 0 { block.entries.partition_point(|e| e.0 < least) } else { after.saturating_sub(1) }
        };
        let first = begin(&top, from);
        stack.push((top, first, None));
        while let Some((block, next, end)) = stack.last_mut() {
            if budget.step(1).is_err() {
                self.tell(root.logical, "budget: steps in one tree; the rest of it was not read", "", 0, 0);
                return false;
            }
            let below = |key: Key| key <= to && end.is_none_or(|end| key < end);
            let Some(entry) = block.entries.get(*next).copied().filter(|e| below(e.0)) else {
                stack.pop();
                continue;
            };
            *next = next.saturating_add(1);
            if block.level == 0 {
                if let Some(item) = block.item(&entry)
                    && !each(item)
                {
                    return whole;
                }
                continue;
            }
            let limit = block.entries.get(*next).map(|e| e.0).or(*end);
            let (level, end) = (block.level, limit);
            let (key, logical, generation) = entry;
            let child = self.get(logical, generation).and_then(|child| {
                if child.level.saturating_add(1) == level {
                    Ok(child)
                } else {
                    Err("it is of a wrong level".to_owned())
                }
            });
            let child = match child {
                Ok(child) => child,
                Err(e) => {
                    lost(logical, &e);
                    whole = false;
                    continue;
                }
            };
            let outside = child.entries.first().is_some_and(|e| e.0 != key)
                || child.entries.last().is_some_and(|e| end.is_some_and(|end| e.0 >= end));
            if outside {
                let what = "its keys are not those that lead to it; those outside are left out";
                self.tell(logical, what, "", self.space.volume_offset(logical), 0);
            }
            let first = begin(&child, from.max(key));
            stack.push((child, first, end));
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn leaf(items: &[(u64, u32, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        bytes.splice(96..100, u32::try_from(items.len()).unwrap().to_le_bytes());
        for (n, (object, from, len)) in items.iter().enumerate() {
            let at = HEADER + n * ITEM;
            bytes.splice(at..at + 8, object.to_le_bytes());
            bytes.splice(at + 17..at + 21, from.to_le_bytes());
            bytes.splice(at + 21..at + 25, len.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn items_outside_and_out_of_order_are_said() {
        let objects = |items: &[(u64, u32, u32)]| {
            let (block, fault) = Block::parse(0, leaf(items)).unwrap();
            let all: Vec<_> = block.items().map(|i| (i.key.object, i.data.len())).collect();
            (all, fault.is_some())
        };
        assert_eq!(objects(&[(1, 3000, 9), (2, 2990, 10)]), (vec![(1, 9), (2, 10)], false));
        assert_eq!(objects(&[(2, 3000, 9), (1, 2990, 10)]), (vec![(1, 10), (2, 9)], true));
        assert_eq!(objects(&[(1, 3990, 9), (2, 2990, 10)]), (vec![(2, 10)], true));
        assert_eq!(objects(&[(1, 10, 9)]), (vec![], true));
        let mut many = leaf(&[]);
        many.splice(96..100, [0xff; 4]);
        assert!(Block::parse(0, many).unwrap().1.is_some());
        assert!(Block::parse(0, vec![0xff; 4096]).is_none() && Block::parse(0, vec![0; 50]).is_none());
    }
}
