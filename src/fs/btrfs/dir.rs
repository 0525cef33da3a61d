//! Directories: entries in the order in which they were made, and the same by the hash of their names.
use super::Volume;
use super::inode;
use super::raw::{DIR_INDEX, DIR_ITEM, FIRST, FS_TREE, INODE_ITEM, Key, ROOT_ITEM, u8_at, u16_at};
use crate::base::{Name, NodeId};
use crate::fs::{DirEntry, FsError, NodeKind};
use std::collections::{HashMap, HashSet};

/// Marks a name that is encrypted.
const ENCRYPTED: u8 = 128;
/// Entries that snapshots may have together; those of other subvolumes are limited by the volume's size.
const MAX_IN_SNAPSHOTS: u64 = 4 << 20;

/// An entry as it stands.
pub(super) struct Raw {
    pub(super) name: Vec<u8>,
    /// Inode, or root of a subvolume.
    pub(super) location: Key,
    pub(super) kind: u8,
}

pub(super) fn kind(number: u8) -> NodeKind {
    match number & !ENCRYPTED {
        1 => NodeKind::File,
        2 => NodeKind::Directory,
        3 => NodeKind::CharDevice,
        4 => NodeKind::BlockDevice,
        5 => NodeKind::Fifo,
        6 => NodeKind::Socket,
        7 => NodeKind::Symlink,
        _ => NodeKind::Unknown,
    }
}

/// The entries of an item, and whether all of it could be read.
pub(super) fn entries(mut data: &[u8]) -> (Vec<Raw>, bool) {
    let mut all = Vec::new();
    while !data.is_empty() {
        let Some((raw, rest)) = (|| {
            let location = Key::parse(data, 0)?;
            let (extra, len) = (usize::from(u16_at(data, 25)?), usize::from(u16_at(data, 27)?));
            let kind = u8_at(data, 29)?;
            let (name, rest) = data.get(30..)?.split_at_checked(len)?;
            Some((Raw { name: name.to_vec(), location, kind }, rest.get(extra..)?))
        })() else {
            return (all, false);
        };
        all.push(raw);
        data = rest;
    }
    (all, true)
}

/// How many entries directories have together, each counted once: a crafted volume can show one block in many.
pub(super) struct Listed {
    each: HashMap<NodeId, u64>,
    all: u64,
    most: u64,
    snapshots: u64,
}
impl Listed {
    /// For a volume of so many bytes.
    pub(super) fn new(bytes: u64, steps: u64) -> Self {
        Self { each: HashMap::new(), all: 0, most: (bytes / 512).max(1 << 20).min(steps), snapshots: 0 }
    }
    fn allows(&mut self, dir: NodeId, count: u64, snapshot: bool) -> bool {
        let before = self.each.get(&dir).copied().unwrap_or(0);
        let more = count.saturating_sub(before);
        let all = self.all.saturating_add(more);
        let snapshots = if snapshot { self.snapshots.saturating_add(more) } else { self.snapshots };
        if all > self.most || snapshots > MAX_IN_SNAPSHOTS {
            return false;
        }
        (self.all, self.snapshots) = (all, snapshots);
        self.each.insert(dir, count.max(before));
        true
    }
}

pub(super) fn read_dir(volume: &Volume, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
    if inode::is_empty(dir) {
        return Ok(());
    }
    let raws = live(volume, dir);
    let mut listed = volume.listed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !listed.allows(dir, raws.len() as u64, volume.is_snapshot(dir.generation)) {
        let what = format!(
            "budget: directory entries of all subvolumes; this one of subvolume {} is not listed",
            dir.generation
        );
        return Err(FsError::Unsupported(what));
    }
    drop(listed);
    for raw in raws {
        let node = volume.target(dir, &raw);
        each(DirEntry { name: Name::new(&raw.name), node, kind: kind(raw.kind) });
    }
    if dir == (NodeId { number: FIRST, generation: FS_TREE }) {
        for id in &volume.unreachable {
            let node = NodeId { number: FIRST, generation: *id };
            each(DirEntry { name: Name::from(format!("$subvolume-{id}")), node, kind: NodeKind::Directory });
        }
    }
    Ok(())
}

/// The live entries of a directory, in its order.
pub(super) fn live(volume: &Volume, dir: NodeId) -> Vec<Raw> {
    let note = |what, logical| {
        volume.damage.note(what, dir.number, volume.blocks.space.volume_offset(logical), 0);
    };
    let mut out: Vec<Raw> = Vec::new();
    let mut hashed: Vec<Raw> = Vec::new();
    let mut places = (0, 0);
    let (from, to) = (Key::new(dir.number, DIR_ITEM, 0), Key::new(dir.number, DIR_INDEX, u64::MAX));
    let mut steps = volume.budget;
    let whole = volume.items(dir.generation, from, to, &mut |item| {
        if steps.step(1).is_err() {
            note("budget: entries of a directory; the rest is not listed", item.logical);
            return false;
        }
        if !matches!(item.key.kind, DIR_ITEM | DIR_INDEX) {
            return true;
        }
        let (found, fits) = entries(item.data);
        if !fits {
            note("an entry of a directory is cut short; not listed", item.logical);
        }
        let valid = found.into_iter().filter(|raw| {
            let sound =
                !raw.name.is_empty() && !raw.name.contains(&b'/') && !matches!(raw.name.as_slice(), b"." | b"..");
            if !sound {
                note("an entry of a directory has an impossible name; not listed", item.logical);
            }
            sound
        });
        if item.key.kind == DIR_INDEX {
            out.extend(valid);
            places.1 = item.logical;
        } else {
            hashed.extend(valid);
            places.0 = item.logical;
        }
        true
    });
    // Each name stands twice; where one place lacks it the other tells.
    if hashed.len() != out.len() {
        let names: HashSet<&[u8]> = out.iter().map(|r| r.name.as_slice()).collect();
        let only: Vec<Raw> = {
            let missing: HashSet<Vec<u8>> =
                hashed.iter().filter(|r| !names.contains(r.name.as_slice())).map(|r| r.name.clone()).collect();
            hashed.into_iter().filter(|r| missing.contains(&r.name)).collect()
        };
        if whole {
            note("names stand in one of the two lists of a directory only; they are listed", places.0.max(places.1));
        }
        out.extend(only);
    }
    if !whole {
        let at = volume.subvolume_place(dir.generation);
        volume.damage.note("part of a directory is lost with the tree that holds it", dir.number, at, 0);
    }
    out
}

impl Volume {
    /// What an entry leads to.
    fn target(&self, dir: NodeId, raw: &Raw) -> NodeId {
        let id = raw.location.object;
        if raw.location.kind != ROOT_ITEM {
            let known = raw.location.kind == INODE_ITEM;
            if !known {
                self.damage.note(
                    "an entry of a directory leads to no inode",
                    dir.number,
                    self.subvolume_place(dir.generation),
                    0,
                );
            }
            return NodeId { number: if known { id } else { 0 }, generation: dir.generation };
        }
        let held = self.roots.refs.get(&(dir.generation, id)).is_some_and(|(d, n)| *d == dir.number && *n == raw.name);
        // A snapshot holds the names of subvolumes below the original, not the subvolumes.
        if self.roots.subvolumes.contains_key(&id) && (held || !self.roots.whole) {
            NodeId { number: FIRST, generation: id }
        } else {
            inode::empty(id, dir.generation)
        }
    }
}
