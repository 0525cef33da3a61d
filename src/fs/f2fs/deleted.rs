//! What was deleted: names that directories no longer use, inodes that were waiting to be freed, and older inodes that
//! still stand where no table leads; for a file system that never writes in place leaves them behind.
//! Format: see `superblock.rs`, "on-disk layout" (segment information).
use super::inode::{self, Inode};
use super::superblock::BLOCK;
use super::{Volume, folder};
use crate::base::{Name, NodeId, Run};
use crate::fs::raw::{size, u16_at};
use crate::fs::{DirEntry, FsError, NodeKind};
use crate::image::read_exact;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Entries of a block of segment information, and bytes of one.
const ENTRIES: u64 = 55;
const ENTRY: u64 = 74;
/// Generations above this stand for a name alone, with the number of its kind.
pub(super) const NAME_ONLY: u64 = 1 << 48;
/// Blocks of nodes that are gone through: 4 GiB.
const MAX_BLOCKS: u64 = 1 << 20;
/// Former names and inodes that are listed.
const MAX_LISTED: usize = 1 << 20;

/// Which blocks of the area of files are in use.
#[derive(Default)]
pub(super) struct Segments {
    /// For each segment: its type, and a bit for each block, the first one highest.
    pub(super) list: Vec<Option<(u8, [u8; 64])>>,
}

pub(super) fn segments(volume: &Volume) -> Segments {
    let sb = &volume.sb;
    let copies = u64::from(sb.sit_segments >> 1) << sb.log;
    let held = volume.source.len() / BLOCK / sb.segment();
    let wanted = u64::from(sb.main_segments).min(held.saturating_add(1));
    let mut list = Vec::new();
    for number in 0..wanted.div_ceil(ENTRIES) {
        let second = if volume.cp.sit_second(number) { copies } else { 0 };
        let at = sb.sit.saturating_add(number).saturating_add(second).saturating_mul(BLOCK);
        let block = match read_exact(&*volume.source, at, size(BLOCK)) {
            Ok(Some(block)) => Some(block),
            Ok(None) => {
                volume.damage.once(at, "segment information lies beyond the end of the volume", 0);
                None
            }
            Err(e) => {
                volume.damage.once(at, format!("segment information not read: {e}"), BLOCK);
                None
            }
        };
        for n in 0..ENTRIES {
            let entry = block.as_ref().and_then(|b| b.get(size(n * ENTRY)..size((n + 1) * ENTRY)));
            let segment = u32::try_from(number * ENTRIES + n).unwrap_or(u32::MAX);
            let newer = volume.cp.sit_journal.get(&segment).map(Vec::as_slice);
            let parsed = newer.or(entry).and_then(|e| {
                let kind = u8::try_from(u16_at(e, 0)? >> 10).ok()?;
                Some((kind, *e.get(2..)?.first_chunk::<64>()?))
            });
            list.push(parsed);
        }
    }
    list.truncate(size(wanted));
    Segments { list }
}

impl Segments {
    /// Whether a block, counted from the area's first, is in use; where that is not known it is.
    pub(super) fn used(&self, block: u64) -> bool {
        match self.list.get(size(block / 512)) {
            Some(Some((_, map))) => map.get(size(block % 512 / 8)).is_none_or(|b| b & (0x80 >> (block % 8)) != 0),
            _ => true,
        }
    }
}

/// An inode that no table leads to: its newest version, and where it was named.
#[derive(Clone)]
struct Former {
    block: u64,
    version: u64,
    parent: u32,
    name: Vec<u8>,
    kind: NodeKind,
}

/// Goes through the nodes that are not in use.
fn formers(volume: &Arc<Volume>) -> BTreeMap<u32, Former> {
    let mut out: BTreeMap<u32, Former> = BTreeMap::new();
    let mut left = MAX_BLOCKS;
    let segment = volume.sb.segment();
    let list = &volume.segments().list;
    for (number, entry) in (0_u64..).zip(list) {
        // The types from 3 on are of nodes.
        if !entry.as_ref().is_some_and(|(kind, _)| (3..=5).contains(kind)) {
            continue;
        }
        if left < segment {
            let at = volume.sb.main.saturating_add(number * segment).saturating_mul(BLOCK);
            volume.damage.once(at, "budget: from here on not searched for deleted inodes", 0);
            break;
        }
        left = left.saturating_sub(segment);
        for block in number * segment..(number + 1) * segment {
            if volume.segments().used(block) {
                continue;
            }
            let place = volume.sb.main.saturating_add(block);
            let Ok(node) = volume.node_at(place) else { break };
            let ino = node.ino();
            if !node.is_inode() || ino <= 3 || u64::from(ino) >= volume.max_nid() {
                continue;
            }
            let version = node.version() & 0xffff_ffff;
            if out.get(&ino).is_some_and(|f| f.version > version) {
                continue;
            }
            let Ok(inode) = inode::parse(volume, Arc::new(node), true) else { continue };
            let name = inode.name().unwrap_or_default().to_vec();
            let former = Former { block: place, version, parent: inode.parent(), name, kind: inode.kind };
            if out.len() < MAX_LISTED || out.contains_key(&ino) {
                out.insert(ino, former);
            }
        }
    }
    out
}

fn live(volume: &Volume, ino: u32) -> Option<Inode> {
    let ok = volume.lookup(ino).is_ok_and(|b| b != 0);
    let arc = if ok { volume.node(ino).ok() } else { None };
    arc.and_then(|n| inode::parse(volume, n, false).ok())
}

pub(super) fn each(volume: &Arc<Volume>, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
    let formers = formers(volume);
    // All directories, by what the table leads to.
    let mut dirs = Vec::new();
    let mut todo = vec![volume.sb.root];
    let mut seen = HashSet::new();
    let mut names: HashMap<u32, Vec<(u32, folder::Found)>> = HashMap::new();
    while let Some(ino) = todo.pop() {
        if !seen.insert(ino) {
            continue;
        }
        let Some(inode) = live(volume, ino).filter(|i| i.kind == NodeKind::Directory) else { continue };
        dirs.push(ino);
        folder::each(volume, &inode, &mut |found| {
            if found.live {
                if found.kind == 2 && !matches!(found.name.as_slice(), b"." | b"..") {
                    todo.push(found.ino);
                }
            } else {
                names.entry(found.ino).or_default().push((ino, found));
            }
            Ok(())
        })?;
    }
    let is_dir: HashSet<u32> = dirs.into_iter().collect();
    let parent = |ino: u32| is_dir.contains(&ino).then_some(NodeId { number: ino.into(), generation: 0 });
    let mut told: HashSet<(u32, Vec<u8>)> = HashSet::new();
    let mut listed = 0_usize;
    let mut inos: Vec<u32> = names.keys().copied().collect();
    inos.sort_unstable();
    for ino in inos {
        for (dir, found) in names.remove(&ino).unwrap_or_default() {
            listed = listed.saturating_add(1);
            if listed > MAX_LISTED || !told.insert((dir, found.name.clone())) {
                continue;
            }
            let generation = match formers.get(&ino) {
                // Still in use by another name: moved, or one of several names.
                _ if live(volume, ino).is_some_and(|i| i.name() == Some(&found.name) || i.links() > 1) => 0,
                Some(former) => former.block,
                None => NAME_ONLY.saturating_add(found.kind.into()),
            };
            let node = NodeId { number: ino.into(), generation };
            let name = Name::from(found.name);
            each(parent(dir), DirEntry { name, node, kind: folder::kind(found.kind) });
        }
    }
    for (ino, former) in formers {
        // Older versions of what is still there are no deleted files.
        if live(volume, ino).is_some() || !told.insert((former.parent, former.name.clone())) {
            continue;
        }
        let node = NodeId { number: ino.into(), generation: former.block };
        let dir = parent(former.parent).filter(|_| !former.name.is_empty());
        let name = if former.name.contains(&b'/') { Vec::new() } else { former.name };
        each(dir, DirEntry { name: Name::from(name), node, kind: former.kind });
    }
    for ino in volume.cp.orphans.iter().copied() {
        if let Some(inode) = live(volume, ino) {
            let name = inode.name().filter(|n| !n.contains(&b'/')).unwrap_or_default().to_vec();
            if told.insert((inode.parent(), name.clone())) {
                let node = NodeId { number: ino.into(), generation: 0 };
                let dir = parent(inode.parent()).filter(|_| !name.is_empty());
                each(dir, DirEntry { name: Name::from(name), node, kind: inode.kind });
            }
        }
    }
    Ok(())
}

/// Runs of the volume that no live file or structure uses: free blocks of the area of files, and what lies behind.
pub(super) fn unallocated(volume: &Volume) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    let here = volume.sb.here().min(volume.source.len() / BLOCK);
    let synced: BTreeSet<u64> = volume.synced.nodes.values().map(|b| u64::from(*b)).collect();
    let mut push = |block: u64, count: u64| {
        let count = count.min(here.saturating_sub(block));
        let run = Run::new(block.saturating_mul(BLOCK), count.saturating_mul(BLOCK));
        match out.last_mut() {
            _ if count == 0 => {}
            Some(last) if last.end() == run.offset => last.len = last.len.saturating_add(run.len),
            _ => out.push(run),
        }
    };
    for (number, entry) in (0_u64..).zip(&volume.segments().list) {
        let Some((_, map)) = entry else { continue };
        let first = volume.sb.main.saturating_add(number << volume.sb.log);
        for (byte, place) in map.iter().zip((first..).step_by(8)) {
            if *byte == 0 && synced.range(place..place.saturating_add(8)).next().is_none() {
                push(place, 8);
                continue;
            }
            for bit in (0..8).filter(|bit| byte & (0x80 >> bit) == 0) {
                if !synced.contains(&place.saturating_add(bit)) {
                    push(place.saturating_add(bit), 1);
                }
            }
        }
    }
    let end = volume.sb.here().saturating_mul(BLOCK);
    if end < volume.source.len() {
        out.push(Run::new(end, volume.source.len().saturating_sub(end)));
    }
    out
}
