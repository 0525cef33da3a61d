//! Where parts of one file system contradict each other, though each can be read: what is shown may then not be what
//! the system saw, or there is more than what is shown. Format: the Linux kernel's Documentation/filesystems/ext4.
use super::Volume;
use super::bitmap::metadata;
use super::damage::Of;
use super::dir::{Part, index_at};
use super::features::{HAS_JOURNAL, INLINE_DATA, LARGE_DIR};
use super::group::INODE_UNINIT;
use super::inode::{FLAG_EXTENTS, FLAG_INLINE, FLAG_VERITY, Inode};
use super::map::{Run, runs};
use super::raw::{size, u8_at, u16_at, u32_at};
use crate::fs::NodeKind;
use std::sync::Arc;

/// The inode that lists bad blocks, and the one that holds a journal.
const BAD: u32 = 1;
const ROOT: u32 = 2;
const JOURNAL: u32 = 8;
/// Hashes of names that the format knows are numbered up to here.
const MAX_HASH: u8 = 6;
/// The bits of an entry of the index that are a block's number.
const BLOCK: u32 = 0x0fff_ffff;

impl Volume {
    /// What the superblock, the groups and the inodes of the file system's own say of each other.
    pub(super) fn contradictions(self: &Arc<Self>, superblock: u64) {
        let sb = &self.sb;
        let room = sb.inode_size.saturating_sub(128);
        let odd = |n: u16| u32::from(n) > room || !n.is_multiple_of(4);
        if room > 0 && sb.extra_sizes.into_iter().any(odd) {
            let what = "the superblock asks for extra fields of inodes that do not fit into them";
            self.damage.once(superblock.saturating_add(0x15c), what, 0);
        }
        if !sb.features.has_compat(HAS_JOURNAL)
            && let Ok(inode) = self.slot(JOURNAL)
            && inode.kind() == NodeKind::File
            && inode.links() > 0
        {
            let what = "a journal is there that the superblock does not tell of; it is not read";
            self.damage.note(what, Of::Inode(JOURNAL), inode.offset(), inode.size(sb));
        }
        if let Ok(inode) = self.slot(BAD)
            && !inode.has(FLAG_EXTENTS)
        {
            let bad = runs(self, &inode, inode.size(sb).div_ceil(u64::from(sb.block_size)));
            if let Some(first) = bad.iter().find(|run| run.is_stored()) {
                let at = self.blocks.offset(first.physical).unwrap_or(inode.offset());
                let bytes = bad.iter().filter(|r| r.is_stored()).map(|r| u64::from(r.len)).sum::<u64>();
                let own = if bad.iter().any(|run| self.is_own_block(*run)) { ", structures among them" } else { "" };
                let what = format!("{bytes} blocks are marked as bad; no file has them{own}");
                self.damage.once(at, what, bytes.saturating_mul(u64::from(sb.block_size)));
            }
        }
    }
    /// An inode that a live entry names, as far as the inode itself and its group tell.
    pub(super) fn contradictions_of(&self, inode: &Inode) {
        let note = |what| self.damage.note(what, Of::Inode(inode.number), inode.offset(), 0);
        if inode.links() == 0 && inode.kind() != NodeKind::Unknown {
            note("inode that a directory names, and that says that no name leads to it");
        }
        let index = inode.number.saturating_sub(1);
        let per_group = self.sb.inodes_per_group.max(1);
        if let Some(group) = self.groups.get((index / per_group) as usize) {
            let unused = if group.flags & INODE_UNINIT == 0 { group.unused } else { per_group };
            if index % per_group >= per_group.saturating_sub(unused) {
                note("inode that a directory names, in a part of the table that its group says was never used");
            }
        }
        if inode.has(FLAG_INLINE) && !self.sb.features.has_incompat(INLINE_DATA) {
            note("inode with inline content, which the superblock says there is none of");
        }
        if inode.has_odd_extra() {
            note("inode whose extra fields have an impossible length; they and attributes behind them are not read");
        }
        if inode.kind() == NodeKind::File && self.ends_before_content(inode) {
            note("content is stored behind the end of the file; it is not part of what is shown");
        }
    }
    /// Whether the map in the inode itself leads to written blocks behind the file's end.
    fn ends_before_content(&self, inode: &Inode) -> bool {
        let map = inode.map();
        let blocks = inode.size(&self.sb).div_ceil(u64::from(self.sb.block_size));
        // What fs-verity keeps stands there.
        if inode.has(FLAG_INLINE) || inode.has(FLAG_VERITY) {
            return false;
        }
        if !inode.has(FLAG_EXTENTS) {
            let direct = (0_u64..12).any(|n| n >= blocks && u32_at(&map, size(n.saturating_mul(4))) != Some(0));
            return direct || (blocks <= 12 && (12..15_usize).any(|n| u32_at(&map, n.saturating_mul(4)) != Some(0)));
        }
        let (entries, depth) = (u16_at(&map, 2).unwrap_or(0), u16_at(&map, 6).unwrap_or(0));
        // The last of at most four entries; further levels begin where it says.
        let Some(last) = usize::from(entries.min(4)).checked_sub(1) else { return false };
        let at = last.saturating_mul(12).saturating_add(12);
        let (logical, len) = (u32_at(&map, at).unwrap_or(0), u16_at(&map, at.saturating_add(4)).unwrap_or(0));
        if depth > 0 {
            return blocks == 0 && logical == 0;
        }
        // A length above this marks what was not written.
        len <= 0x8000 && u64::from(logical).saturating_add(u64::from(len)) > blocks.next_multiple_of(self.cluster())
    }
    fn cluster(&self) -> u64 {
        u64::from(self.sb.cluster_ratio.max(1))
    }
    /// Whether blocks of a file's map are the file system's own.
    pub(super) fn is_own_block(&self, run: Run) -> bool {
        let own = self.own.get_or_init(|| metadata(self));
        let end = run.physical.saturating_add(u64::from(run.len));
        let next = own.partition_point(|(_, to)| *to <= run.physical);
        run.is_stored() && own.get(next).is_some_and(|(from, _)| *from < end)
    }
    /// Of a run of blocks that a map gives: whether it is where content can lie.
    pub(super) fn check_run(&self, number: u32, run: Run, is_indirect: bool, at: u64) {
        let ratio = self.cluster();
        if !run.is_stored() || run.len == 0 {
            return;
        }
        if ratio > 1 && (is_indirect || run.physical % ratio != u64::from(run.logical) % ratio) {
            let what = "content does not lie in clusters as it must; what it is may be another file's";
            self.damage.note(what, Of::Inode(number), at, 0);
        }
        // Inodes of the file system's own hold such blocks.
        if (number == ROOT || !self.sb.is_own(number)) && self.is_own_block(run) {
            let what = "content lies over structures of the file system; what is read is not this file's";
            self.damage.note(what, Of::Inode(number), at, 0);
        }
    }
    /// A link's target that no kernel would follow.
    pub(super) fn check_target(&self, inode: &Inode, target: &[u8]) {
        if target.contains(&0) || target.is_empty() || target.len() >= self.sb.block_size as usize {
            let what = "the target of a link is empty, has a NUL or is longer than a block; no system follows it";
            self.damage.note(what, Of::Inode(inode.number), inode.offset(), 0);
        }
    }
}

/// The index of hashed names in a directory: every block of names has its place in it once. Names are read without it,
/// but a running system looks them up by it.
#[derive(Default)]
pub(super) struct Index {
    leaves: Vec<u64>,
    nodes: Vec<u64>,
    children: Vec<u32>,
    broken: bool,
    any: bool,
}

impl Index {
    pub(super) fn block(&mut self, part: &Part<'_>, large: bool) {
        self.any = true;
        let Some(at) = index_at(part) else {
            self.broken |= part.logical == 0;
            self.leaves.push(part.logical);
            return;
        };
        if part.logical == 0 {
            let field = |at| u8_at(part.bytes, at).unwrap_or(u8::MAX);
            let deepest = if large { 2 } else { 1 };
            self.broken |= field(28) > MAX_HASH || field(30) > deepest || field(31) & 1 != 0;
        } else {
            self.nodes.push(part.logical);
        }
        let count = u16_at(part.bytes, at.saturating_add(2)).map_or(0, usize::from);
        let limit = u16_at(part.bytes, at).map_or(0, usize::from);
        self.broken |= count == 0 || count > limit;
        let mut before = 0;
        for n in 0..count.min(limit) {
            let at = at.saturating_add(n.saturating_mul(8));
            // The first has no hash: its count stands there.
            let hash = if n == 0 { 0 } else { u32_at(part.bytes, at).unwrap_or(0) };
            self.broken |= hash < before;
            before = hash;
            self.children.push(u32_at(part.bytes, at.saturating_add(4)).unwrap_or(0) & BLOCK);
        }
    }
    /// Whether it leads to each block once, and to no other.
    pub(super) fn contradicts(mut self) -> bool {
        self.children.sort_unstable();
        let mut all: Vec<u64> = self.leaves.into_iter().chain(self.nodes).filter(|n| *n != 0).collect();
        all.sort_unstable();
        self.any && (self.broken || !all.into_iter().eq(self.children.into_iter().map(u64::from)))
    }
}

impl Volume {
    pub(super) fn has_large_index(&self) -> bool {
        self.sb.features.has_incompat(LARGE_DIR)
    }
    /// Notes that the index of a directory does not fit its blocks.
    pub(super) fn check_index(&self, dir: &Inode, index: Index, offset: u64) {
        if index.contradicts() {
            let what = "the index of a directory contradicts it; a running system may not find names that are listed";
            self.damage.note(what, Of::Inode(dir.number), offset, 0);
        }
    }
}

/// Blocks that a bitmap calls free and those that the group counts.
pub(super) fn check_count(volume: &Volume, number: u32, counted: u64, stated: u32, at: u64) {
    if counted != u64::from(stated) {
        let what = "the count of free blocks differs from the block bitmap; what is free is told by the bitmap";
        volume.damage.note(what, Of::Group(number), at, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root of 1024 bytes with two leaves, or what is made of it.
    fn broken(change: impl Fn(&mut Vec<u8>)) -> bool {
        let mut root = vec![0; 1024];
        let mut put = |at: usize, bytes: &[u8]| root.splice(at..at + bytes.len(), bytes.iter().copied()).for_each(drop);
        put(4, &12_u16.to_le_bytes());
        put(16, &1012_u16.to_le_bytes());
        put(28, &[1, 8, 0, 0]);
        put(32, &[124, 0, 2, 0, 1, 0, 0, 0]);
        put(40, &[0, 0, 0, 128, 2, 0, 0, 0]);
        change(&mut root);
        let mut index = Index::default();
        let leaf = [1, 0, 0, 0, 0, 4, 1, 1, b'a', 0, 0, 0];
        index.block(&Part { logical: 0, offset: 0, bytes: &root, inline: false }, false);
        for logical in [1, 2] {
            index.block(&Part { logical, offset: 0, bytes: &leaf, inline: false }, false);
        }
        index.contradicts()
    }

    #[test]
    fn an_index_leads_to_each_block_once() {
        let set = |at: usize, value: u8| {
            broken(move |root| {
                root.splice(at..=at, [value]).for_each(drop);
            })
        };
        assert!(!broken(|_| {}));
        // Hash, depth, count, a block twice, a block that is not there, no room.
        for (at, value) in [(28, 240), (30, 8), (34, 0), (34, 3), (44, 1), (44, 9), (16, 0)] {
            assert!(set(at, value), "{at} {value}");
        }
        assert!(!Index::default().contradicts());
    }
}
