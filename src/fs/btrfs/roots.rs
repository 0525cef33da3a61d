//! The tree of trees: subvolumes and snapshots with what they say of themselves, and how they hang together.
use super::block::Blocks;
use super::raw::{
    BLOCK_GROUP_ITEM, CHUNK_ITEM, DEV_EXTENT, DEV_ITEM, DIR_ITEM, EXTENT_CSUM, EXTENT_ITEM, FIRST, FS_TREE, INODE_ITEM,
    Key, LOG_TREE, MAX_TREE, METADATA_ITEM, ORPHAN_ITEM, ORPHANS, ROOT_BACKREF, ROOT_ITEM, ROOT_REF, ROOT_TREE_DIR,
    size, time, u8_at, u16_at, u32_at, u64_at,
};
use crate::base::{Name, Time};
use crate::volume::btrfs::{MAX_LEVEL, Root, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a root's item before what newer file systems added.
const OLD: usize = 239;
const READ_ONLY: u64 = 1;
/// A file that its owner reads and writes.
const CACHE_MODE: u32 = 0o100_600;
/// Subvolumes of one file system; more come only from a crafted one.
const MAX_SUBVOLUMES: usize = 1 << 17;

/// A directory entry that leads to a subvolume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Subvolume and directory in it.
    pub(super) parent: u64,
    pub(super) dir: u64,
    pub(super) name: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Subvolume {
    pub(super) root: Root,
    pub(super) read_only: bool,
    /// Directory entries that lead to it; 0 once it was deleted.
    pub(super) refs: u32,
    pub(super) uuid: Uuid,
    pub(super) parent_uuid: Uuid,
    pub(super) received_uuid: Uuid,
    pub(super) created: Option<Time>,
    pub(super) changed: Option<Time>,
    pub(super) received: Option<Time>,
    pub(super) link: Option<Link>,
}

#[derive(Default)]
pub(super) struct Roots {
    /// Trees that are no subvolumes, by number.
    pub(super) other: BTreeMap<u64, Root>,
    pub(super) subvolumes: BTreeMap<u64, Subvolume>,
    /// Entries that lead from a subvolume to another: (parent, child) → directory and name.
    pub(super) refs: BTreeMap<(u64, u64), (u64, Vec<u8>)>,
    pub(super) default: Option<u64>,
    /// Subvolumes that were being deleted.
    pub(super) orphans: BTreeSet<u64>,
    /// Items that have no place in this tree: logical byte of each kind's first, and what it is.
    pub(super) odd: BTreeMap<&'static str, u64>,
    /// Whether all of the tree could be read.
    pub(super) whole: bool,
    /// Whether there are more subvolumes than are listed.
    pub(super) too_many: bool,
}

pub(super) fn is_subvolume(id: u64) -> bool {
    id == FS_TREE || (FIRST..MAX_TREE).contains(&id)
}

/// Where a tree begins, by its item.
pub(super) fn root(item: &[u8]) -> Option<Root> {
    let level = u8_at(item, 238).filter(|l| *l <= MAX_LEVEL)?;
    Some(Root { logical: u64_at(item, 176)?, generation: u64_at(item, 160)?, level })
}

fn subvolume(item: &[u8]) -> Option<Subvolume> {
    let root = root(item)?;
    let mut found = Subvolume {
        root,
        read_only: u64_at(item, 208)? & READ_ONLY != 0,
        refs: u32_at(item, 216)?,
        ..Subvolume::default()
    };
    // What old kernels do not know they leave as it was: then the second generation is not the first.
    if item.len() > OLD && u64_at(item, OLD) == Some(root.generation) {
        let uuid = |at: usize| item.get(at..).and_then(|b| b.first_chunk().copied()).unwrap_or_default();
        found.uuid = uuid(247);
        found.parent_uuid = uuid(263);
        found.received_uuid = uuid(279);
        found.changed = time(item, 327);
        found.created = time(item, 339);
        found.received = time(item, 363);
    }
    Some(found)
}

/// Directory, and name, of a reference between subvolumes.
fn reference(item: &[u8]) -> Option<(u64, Vec<u8>)> {
    let len = usize::from(u16_at(item, 16)?);
    Some((u64_at(item, 0)?, item.get(18..)?.get(..len)?.to_vec()))
}

impl Roots {
    pub(super) fn read(blocks: &Blocks, root_of_all: Root) -> Self {
        let mut roots = Self::default();
        let mut links: BTreeMap<u64, Link> = BTreeMap::new();
        let whole = blocks.each(root_of_all, Key::default(), Key::LAST, &mut |item| {
            let Key { object, kind, offset } = item.key;
            match kind {
                ROOT_ITEM if is_subvolume(object) => {
                    if roots.subvolumes.len() >= MAX_SUBVOLUMES {
                        roots.too_many = true;
                    } else if let Some(found) = subvolume(item.data) {
                        roots.subvolumes.insert(object, found);
                    }
                }
                ROOT_ITEM => {
                    if let Some(found) = root(item.data) {
                        roots.other.entry(object).or_insert(found);
                    }
                }
                ROOT_REF => {
                    if let Some(found) = reference(item.data) {
                        roots.refs.insert((object, offset), found);
                    }
                }
                ROOT_BACKREF => {
                    if let Some((dir, name)) = reference(item.data) {
                        links.insert(object, Link { parent: offset, dir, name });
                    }
                }
                ORPHAN_ITEM if object == ORPHANS => _ = roots.orphans.insert(offset),
                DIR_ITEM if object == ROOT_TREE_DIR => {
                    roots.default = Key::parse(item.data, 0).map(|k| k.object).filter(|id| is_subvolume(*id));
                }
                INODE_ITEM if object != ROOT_TREE_DIR && u32_at(item.data, 52) != Some(CACHE_MODE) => {
                    let what = "an inode of the cache of free space that is no file";
                    roots.odd.entry(what).or_insert(item.logical);
                }
                CHUNK_ITEM | DEV_ITEM | DEV_EXTENT | EXTENT_ITEM | METADATA_ITEM | BLOCK_GROUP_ITEM | EXTENT_CSUM => {
                    roots.odd.entry("an item of another tree in the tree of trees").or_insert(item.logical);
                }
                _ => {}
            }
            true
        });
        roots.whole = whole;
        for (id, link) in links {
            if let Some(found) = roots.subvolumes.get_mut(&id) {
                found.link = Some(link);
            }
        }
        roots
    }
    /// Trees of what was written since the last transaction, by the subvolume that they belong to.
    pub(super) fn logs(blocks: &Blocks, root_of_logs: Root) -> (BTreeMap<u64, Root>, bool) {
        let mut logs = BTreeMap::new();
        let from = Key::new(LOG_TREE, ROOT_ITEM, 0);
        let whole = blocks.each(root_of_logs, from, Key::new(LOG_TREE, ROOT_ITEM, u64::MAX), &mut |item| {
            if let Some(found) = root(item.data) {
                logs.insert(item.key.offset, found);
            }
            true
        });
        (logs, whole)
    }
    /// Path of a subvolume below the top, by the directory entries that lead to it and `inside`, which gives
    /// the path of a directory within a subvolume.
    pub(super) fn path(&self, id: u64, inside: &dyn Fn(u64, u64) -> Option<Vec<u8>>) -> Option<Name> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut at = id;
        let mut seen = BTreeSet::new();
        while at != FS_TREE {
            if !seen.insert(at) {
                return None;
            }
            let link = self.subvolumes.get(&at)?.link.as_ref()?;
            let mut part = inside(link.parent, link.dir)?;
            part.extend_from_slice(b"/");
            part.extend_from_slice(&link.name);
            parts.push(part);
            at = link.parent;
        }
        let all: Vec<u8> = parts.iter().rev().flatten().copied().collect();
        Some(if all.is_empty() { Name::from("/") } else { Name::from(all) })
    }
}

/// Names of a reference to an inode: its directory, position and name each.
pub(super) fn names(key: Key, data: &[u8], extended: bool) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let found = (|| {
            let (dir, len_at) = if extended { (u64_at(rest, 0)?, 16) } else { (key.offset, 8) };
            let len = size(u64::from(u16_at(rest, len_at)?));
            let start = len_at.checked_add(2)?;
            let end = start.checked_add(len)?;
            Some((dir, rest.get(start..end)?.to_vec(), end))
        })();
        let Some((dir, name, end)) = found else { break };
        all.push((dir, name));
        rest = rest.get(end..).unwrap_or_default();
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_end_where_they_loop() {
        let link = |parent, name: &str| Some(Link { parent, dir: FIRST, name: name.as_bytes().to_vec() });
        let mut roots = Roots::default();
        let mut add = |id, link| roots.subvolumes.insert(id, Subvolume { link, ..Subvolume::default() });
        add(FS_TREE, None);
        add(256, link(FS_TREE, "@"));
        add(257, link(256, "home"));
        add(258, link(259, "a"));
        add(259, link(258, "b"));
        add(260, None);
        let path = |id| roots.path(id, &|_, dir| (dir == FIRST).then(Vec::new)).map(|n| n.display());
        assert_eq!(path(257).unwrap(), "/@/home");
        assert_eq!(path(FS_TREE).unwrap(), "/");
        assert_eq!((path(258), path(260)), (None, None));
    }

    #[test]
    fn references_hold_several_names() {
        let one = |index: u64, name: &[u8]| {
            let len = u16::try_from(name.len()).unwrap().to_le_bytes();
            [&index.to_le_bytes()[..], &len, name].concat()
        };
        let data = [one(2, b"a"), one(3, b"bc")].concat();
        let key = Key::new(300, 12, 256);
        assert_eq!(names(key, &data, false), [(256, b"a".to_vec()), (256, b"bc".to_vec())]);
        assert_eq!(names(key, data.get(..data.len() - 1).unwrap(), false), [(256, b"a".to_vec())]);
        let far = [&256_u64.to_le_bytes()[..], &one(2, b"x")].concat();
        assert_eq!(names(key, &far, true), [(256, b"x".to_vec())]);
    }
}
