//! What was deleted. A transaction writes changed blocks of trees to new places, so older ones stay behind in
//! free metadata until they are used again: their leaves still hold names, inodes and extents of what is gone.
//! Besides, inodes that were open when they were deleted, and subvolumes that were not cleared away yet.
use super::block::{Block, HEADER};
use super::extent::{self, From, Part};
use super::inode::{self, Inode};
use super::raw::{
    DIR_INDEX, EXTENT_DATA, EXTENT_ITEM, FIRST, INODE_ITEM, Key, MAX_TREE, METADATA_ITEM, ORPHAN_ITEM, ORPHANS, size,
    u8_at, u32_at, u64_at,
};
use super::roots::is_subvolume;
use super::{Volume, content, dir, free};
use crate::base::{Name, NodeId};
use crate::fs::{DirEntry, FsError, NodeKind, Stat, Times};
use crate::image::Source;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

type Each<'a> = &'a mut dyn FnMut(Option<NodeId>, DirEntry);

/// Set in the generation of a node that only older blocks know; the rest is its subvolume.
const STALE: u64 = 1 << 63;
/// Bytes of free metadata that are looked through, and items of older leaves that are kept.
const MAX_SCANNED: u64 = 4 << 30;
const MAX_ITEMS: usize = 1 << 20;
/// Entries of deleted subvolumes that are listed.
const MAX_LISTED: usize = 1 << 20;
/// Directories within each other.
const MAX_DEPTH: usize = 256;

pub(super) fn is_stale(node: NodeId) -> bool {
    node.generation & STALE != 0
}
fn stale(number: u64, subvolume: u64) -> NodeId {
    NodeId { number, generation: STALE | subvolume }
}

/// An item of the newest older leaf that has it.
struct Old {
    /// Of the leaf.
    generation: u64,
    data: Vec<u8>,
    logical: u64,
}

#[derive(Default)]
pub(super) struct Stale {
    /// By subvolume and inode.
    inodes: BTreeMap<(u64, u64), Old>,
    extents: BTreeMap<(u64, u64), BTreeMap<u64, Old>>,
    /// Subvolume, directory, name, inode → kind.
    names: BTreeMap<(u64, u64, Vec<u8>, u64), u8>,
    /// By subvolume and inode, as their names say.
    kinds: BTreeMap<(u64, u64), u8>,
    items: usize,
}

impl Stale {
    fn add(&mut self, block: &Block) {
        for item in block.items() {
            let key = item.key;
            let old = || Old { generation: block.generation, data: item.data.to_vec(), logical: item.logical };
            let of = (block.owner, key.object);
            let newer = |held: Option<&Old>| held.is_none_or(|h| h.generation < block.generation);
            let later = |held: Option<&Old>, data: &[u8]| {
                held.is_none_or(|h| rank(h.generation, &h.data) < rank(block.generation, data))
            };
            match key.kind {
                INODE_ITEM if item.data.len() >= inode::ITEM && later(self.inodes.get(&of), item.data) => {
                    self.items = self.items.saturating_add(usize::from(self.inodes.insert(of, old()).is_none()));
                }
                EXTENT_DATA => {
                    let all = self.extents.entry(of).or_default();
                    if newer(all.get(&key.offset)) {
                        self.items = self.items.saturating_add(usize::from(all.insert(key.offset, old()).is_none()));
                    }
                }
                DIR_INDEX => {
                    for raw in dir::entries(item.data).0.into_iter().filter(|r| r.location.kind == INODE_ITEM) {
                        if raw.name.is_empty() || raw.name.contains(&b'/') || raw.name.contains(&0) {
                            continue;
                        }
                        self.kinds.insert((block.owner, raw.location.object), raw.kind);
                        let named = (block.owner, key.object, raw.name, raw.location.object);
                        let new = self.names.insert(named, raw.kind).is_none();
                        self.items = self.items.saturating_add(usize::from(new));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Which of two items of an inode is the later: one that still had a name, as what is cleared away is cut to nothing
/// first; then by generation, and within one by the time of change and by what had been written out.
fn rank(generation: u64, item: &[u8]) -> (bool, u64, u64, u32, u64, u64) {
    let word = |at| u32_at(item, at).unwrap_or(0);
    let long = |at| u64_at(item, at).unwrap_or(0);
    (word(40) > 0, generation, long(124), word(132), long(24), long(16))
}

/// Older leaves of subvolumes in free metadata. Of each place where a block can begin the header is read, and the
/// rest only where it is one.
fn scan(volume: &Volume) -> Stale {
    let blocks = &volume.blocks;
    let mut found = Stale::default();
    let mut left = MAX_SCANNED;
    let node = u64::from(volume.sb.node);
    // Blocks stand at multiples of their size, but for file systems that once were of another kind.
    let mut roots = volume.roots.subvolumes.values().map(|s| s.root.logical).chain([volume.sb.root.logical]);
    let step = if roots.all(|at| at.is_multiple_of(node)) { node } else { node.min(u64::from(volume.sb.sector)) };
    let end = |what: &str, logical: u64| {
        let what = format!("budget: {what}; older ones were not looked at");
        volume.damage.once(blocks.space.volume_offset(logical), what, 0);
    };
    let read = |at: u64, buf: &mut [u8]| (0..blocks.space.attempts(at)).any(|a| blocks.space.read(at, buf, a).is_ok());
    let mut header = [0; HEADER];
    for (from, to) in free::logical(volume, &mut |_| {}) {
        if !blocks.space.chunks.find(from).is_some_and(super::chunk::Chunk::is_metadata) {
            continue;
        }
        let mut at = from.next_multiple_of(step);
        while at.saturating_add(node) <= to {
            if left < step {
                end("free metadata", at);
                return found;
            }
            left = left.saturating_sub(step);
            let is_leaf = read(at, &mut header)
                && u64_at(&header, 48) == Some(at)
                && u8_at(&header, HEADER - 1) == Some(0)
                && u64_at(&header, 88).is_some_and(is_subvolume)
                && blocks.ids.iter().any(|id| header.get(32..48) == Some(id));
            let mut bytes = if is_leaf { vec![0; size(node)] } else { Vec::new() };
            if is_leaf
                && read(at, &mut bytes)
                && blocks.sum.fits_block(&bytes)
                && let Some((block, _)) = Block::parse(at, bytes)
            {
                found.add(&block);
                if found.items > MAX_ITEMS {
                    end("items of older blocks", at);
                    return found;
                }
            }
            at = at.saturating_add(if is_leaf { node } else { step });
        }
    }
    found
}

fn of(volume: &Volume) -> &Stale {
    volume.stale.get_or_init(|| scan(volume))
}

fn is_live(volume: &Volume, subvolume: u64, number: u64) -> bool {
    let mut live = false;
    let key = Key::new(number, INODE_ITEM, 0);
    if volume.roots.subvolumes.contains_key(&subvolume) {
        volume.items(subvolume, key, key, &mut |_| {
            live = true;
            false
        });
    }
    live
}

pub(super) fn deleted(volume: &Volume, each: Each<'_>) {
    for (id, found) in &volume.roots.subvolumes {
        if volume.is_deleted(*id, found) {
            subvolume(volume, *id, each);
        } else {
            orphans(volume, *id, each);
        }
    }
    let old = of(volume);
    let mut live: HashMap<(u64, u64), HashSet<(Vec<u8>, u64)>> = HashMap::new();
    let mut named: BTreeSet<(u64, u64)> = BTreeSet::new();
    // Directories that are gone, by the name that an older block has for them.
    let mut dirs: BTreeMap<(u64, u64), (u64, &[u8])> = BTreeMap::new();
    for ((subvolume, directory, name, inode), kind) in &old.names {
        if dir::kind(*kind) == NodeKind::Directory {
            dirs.insert((*subvolume, *inode), (*directory, name));
        }
    }
    for ((subvolume, directory, name, inode), kind) in &old.names {
        let of_dir = live.entry((*subvolume, *directory)).or_insert_with(|| {
            let node = NodeId { number: *directory, generation: *subvolume };
            let known = volume.roots.subvolumes.contains_key(subvolume);
            let all = if known { dir::live(volume, node) } else { Vec::new() };
            all.into_iter().map(|raw| (raw.name, raw.location.object)).collect()
        });
        if of_dir.contains(&(name.clone(), *inode)) {
            continue;
        }
        named.insert((*subvolume, *inode));
        let node = if is_live(volume, *subvolume, *inode) {
            NodeId { number: *inode, generation: *subvolume }
        } else {
            stale(*inode, *subvolume)
        };
        let (parent, path) = place(volume, &dirs, *subvolume, *directory, name);
        each(parent, DirEntry { name: Name::from(path), node, kind: dir::kind(*kind) });
    }
    for (subvolume, number) in old.inodes.keys() {
        if !named.contains(&(*subvolume, *number)) && *number != FIRST && !is_live(volume, *subvolume, *number) {
            each(None, DirEntry { name: Name::default(), node: stale(*number, *subvolume), kind: NodeKind::Unknown });
        }
    }
}

/// The nearest directory above that is still there, and the path from it.
fn place(
    volume: &Volume,
    dirs: &BTreeMap<(u64, u64), (u64, &[u8])>,
    subvolume: u64,
    directory: u64,
    name: &[u8],
) -> (Option<NodeId>, Vec<u8>) {
    let mut path = name.to_vec();
    let mut at = directory;
    for _ in 0..MAX_DEPTH {
        if is_live(volume, subvolume, at) {
            return (Some(NodeId { number: at, generation: subvolume }), path);
        }
        let Some((up, name)) = dirs.get(&(subvolume, at)) else { break };
        path = [*name, b"/", &path].concat();
        at = *up;
    }
    let top = if volume.roots.subvolumes.contains_key(&subvolume) {
        String::new()
    } else {
        format!("subvolume-{subvolume}/")
    };
    (None, [top.as_bytes(), &path].concat())
}

/// Inodes that were deleted while they were open.
fn orphans(volume: &Volume, id: u64, each: Each<'_>) {
    let (from, to) = (Key::new(ORPHANS, ORPHAN_ITEM, 0), Key::new(ORPHANS, ORPHAN_ITEM, u64::MAX));
    let mut all = Vec::new();
    volume.items(id, from, to, &mut |item| {
        all.push(item.key.offset);
        all.len() < MAX_LISTED
    });
    for number in all.into_iter().filter(|n| is_live(volume, id, *n)) {
        let node = NodeId { number, generation: id };
        each(None, DirEntry { name: Name::default(), node, kind: NodeKind::Unknown });
    }
}

/// All that is left of a subvolume that was being deleted.
fn subvolume(volume: &Volume, id: u64, each: Each<'_>) {
    let top = format!("subvolume-{id}").into_bytes();
    let root = NodeId { number: FIRST, generation: id };
    each(None, DirEntry { name: Name::new(&top), node: root, kind: NodeKind::Directory });
    let mut todo = vec![(root, top)];
    let mut seen = HashSet::from([root]);
    let mut count = 0_usize;
    while let Some((node, path)) = todo.pop() {
        for raw in dir::live(volume, node) {
            count = count.saturating_add(1);
            if count > MAX_LISTED || path.len() > 1 << 16 {
                let what = "budget: names of a deleted subvolume; the rest is not listed";
                volume.damage.once(volume.subvolume_place(id), what, 0);
                return;
            }
            if raw.location.kind != INODE_ITEM {
                continue;
            }
            let below = NodeId { number: raw.location.object, generation: id };
            let path = [&path, b"/".as_slice(), &raw.name].concat();
            if dir::kind(raw.kind) == NodeKind::Directory && seen.insert(below) {
                todo.push((below, path.clone()));
            }
            each(None, DirEntry { name: Name::from(path), node: below, kind: dir::kind(raw.kind) });
        }
    }
}

fn found(volume: &Volume, node: NodeId) -> ((u64, u64), Option<Inode>) {
    let of_node = (node.generation & MAX_TREE.saturating_sub(1), node.number);
    let old = of(volume).inodes.get(&of_node);
    let at = |logical| volume.blocks.space.volume_offset(logical);
    (of_node, old.map(|old| Inode { data: old.data.clone(), at: at(old.logical) }))
}

pub(super) fn stat(volume: &Volume, node: NodeId) -> Stat {
    let (of_node, inode) = found(volume, node);
    if let Some(inode) = inode {
        return inode.stat(u64::from(volume.sb.sector));
    }
    let kind = of(volume).kinds.get(&of_node).map(|kind| dir::kind(*kind));
    Stat {
        kind: kind.unwrap_or(NodeKind::Unknown),
        len: 0,
        allocated: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 0,
        times: Times::default(),
        flags: vec!["inode-lost"],
        xattrs: Vec::new(),
        device: None,
    }
}

pub(super) fn link(volume: &Volume, node: NodeId) -> Result<Vec<u8>, FsError> {
    let (of_node, inode) = found(volume, node);
    let inode = inode.filter(|i| i.kind() == NodeKind::Symlink).ok_or(FsError::NotFound(node))?;
    let target =
        of(volume).extents.get(&of_node).and_then(|all| all.get(&0)).filter(|old| u8_at(&old.data, 20) == Some(0));
    let target = target.and_then(|old| old.data.get(extent::INLINE..)?.get(..size(inode.len())));
    target.map(<[u8]>::to_vec).ok_or(FsError::NotFound(node))
}

/// The content, as far as its extents are free or still the same.
pub(super) fn open(volume: &Arc<Volume>, node: NodeId) -> Source {
    let (of_node, inode) = found(volume, node);
    let Some(inode) = inode.filter(|i| i.kind() == NodeKind::File) else { return Arc::new(Vec::new()) };
    let mut parts: Vec<Part> = Vec::new();
    for (start, old) in of(volume).extents.get(&of_node).into_iter().flatten() {
        let part = extent::parse(*start, &old.data, old.logical, u64::from(volume.sb.sector));
        let Some(mut part) = part.filter(|p| p.len > 0 && p.start >= parts.last().map_or(0, Part::end)) else {
            continue;
        };
        let stored = (u64_at(&old.data, 21), u64_at(&old.data, 29), u64_at(&old.data, 0));
        if let (false, From::Plain(_) | From::Packed { .. }, (Some(at), Some(len), Some(generation))) =
            (part.inline, &part.from, stored)
            && is_taken(volume, at, len, generation)
        {
            part.from = From::Lost("the blocks of a deleted file are in use again");
        }
        parts.push(part);
    }
    let len = inode.len();
    // Without its extents a file of some length is not known to be a hole.
    let whole = !parts.is_empty() || len == 0;
    Arc::new(content::Content { volume: volume.clone(), inode: node.number, len, parts, whole, checked: false })
}

/// Whether another extent has a part of these bytes by now.
fn is_taken(volume: &Volume, at: u64, len: u64, generation: u64) -> bool {
    let Some(root) = volume.extent_root else { return true };
    let mut taken = false;
    // No extent is longer than 128 MiB.
    let from = Key::new(at.saturating_sub(128 << 20), 0, 0);
    let to = Key::new(at.saturating_add(len.saturating_sub(1)), u8::MAX, u64::MAX);
    let whole = volume.blocks.each(root, from, to, &mut |item| {
        let long = match item.key.kind {
            EXTENT_ITEM => item.key.offset,
            METADATA_ITEM => u64::from(volume.sb.node),
            _ => return true,
        };
        if item.key.object.saturating_add(long) > at {
            let same = item.key.object == at && long == len && u64_at(item.data, 8) == Some(generation);
            taken = taken || !same;
        }
        !taken
    });
    taken || !whole
}
