//! Names and inodes out of the versions of both: what is live, and what was deleted.
use super::Volume;
use super::content::Content;
use super::node::{Attribute, Entry, Part, Reference};
use super::scan::Scanned;
use crate::base::{Name, NodeId, Run, Time};
use crate::fs::raw::{corrupt, size};
use crate::fs::{DirEntry, FsError, NodeKind, Stat, Times};
use crate::image::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) const ROOT: u32 = 1;
/// Longest target of a link.
const MAX_LINK: u64 = 4096;

pub(super) fn id(number: u32) -> NodeId {
    NodeId { number: u64::from(number), generation: 0 }
}

pub(super) struct Nodes {
    parts: BTreeMap<u32, Vec<Part>>,
    /// Names of each directory that stand.
    live: BTreeMap<u32, Vec<Entry>>,
    /// Names that were removed or lead elsewhere now; one for each inode they led to.
    gone: Vec<Entry>,
    /// Names that lead to an inode, and directories among what a directory holds.
    links: BTreeMap<u32, u32>,
    folders: BTreeMap<u32, u32>,
    attributes: BTreeMap<u32, Attribute>,
    references: BTreeMap<u32, Vec<Reference>>,
    pub(super) free: Vec<Run>,
}

impl Nodes {
    pub(super) fn new(scanned: Scanned) -> Self {
        let Scanned { parts, entries, attributes, references, free } = scanned;
        let mut this = Self {
            parts,
            live: BTreeMap::new(),
            gone: Vec::new(),
            links: BTreeMap::new(),
            folders: BTreeMap::new(),
            attributes,
            references,
            free,
        };
        for (parent, entries) in entries {
            for versions in entries.chunk_by(|a, b| a.name == b.name) {
                let newest = versions.iter().rev().find(|e| !e.obsolete).filter(|e| e.inode != 0);
                let now = newest.map_or(0, |e| e.inode);
                let mut seen = BTreeSet::from([0, now]);
                this.gone.extend(versions.iter().rev().filter(|e| seen.insert(e.inode)).cloned());
                if let Some(entry) = newest {
                    let links = this.links.entry(entry.inode).or_default();
                    *links = links.saturating_add(1);
                    if entry.kind == NodeKind::Directory {
                        let folders = this.folders.entry(parent).or_default();
                        *folders = folders.saturating_add(1);
                    }
                    this.live.entry(parent).or_default().push(entry.clone());
                }
            }
        }
        this
    }
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.live.is_empty() && self.gone.is_empty()
    }
    /// Whether the names below an inode are met by a walk.
    fn is_folder(&self, number: u32) -> bool {
        number == ROOT
            || (self.is_live(number) && self.newest_of(number).is_none_or(|p| p.kind() == NodeKind::Directory))
    }
    /// Names in directories that are none: there is neither a name nor a node of them, or they are files.
    pub(super) fn homeless(&self) -> impl Iterator<Item = &Entry> {
        let gone: BTreeSet<u32> = self.gone.iter().map(|e| e.inode).collect();
        let is_removed = move |n: u32| !self.is_live(n) && (self.parts.contains_key(&n) || gone.contains(&n));
        let is_there = move |n: u32| self.is_folder(n) || is_removed(n);
        self.live.iter().filter(move |(parent, _)| !is_there(**parent)).flat_map(|(_, entries)| entries)
    }
    /// The latest time that any node has.
    pub(super) fn newest(&self) -> Option<Time> {
        let names = self.live.values().flatten().chain(&self.gone).map(|e| e.time);
        let files = self.parts.values().flatten().map(|p| p.times.into_iter().max().unwrap_or(0));
        names.chain(files).max().map(|s| Time::seconds(i64::from(s)))
    }
    fn is_live(&self, number: u32) -> bool {
        number == ROOT || self.links.contains_key(&number)
    }
    /// The versions that count: of a file in use those that are not obsolete, unless no others are there.
    fn versions(&self, number: u32) -> impl DoubleEndedIterator<Item = &Part> {
        let all = self.parts.get(&number).map(Vec::as_slice).unwrap_or_default();
        let has = self.is_live(number) && all.iter().any(|p| !p.obsolete);
        all.iter().filter(move |p| !has || !p.obsolete)
    }
    fn newest_of(&self, number: u32) -> Option<&Part> {
        self.versions(number).next_back()
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
fn name_only(node: NodeId) -> Option<NodeKind> {
    KINDS.get(size(node.generation.checked_sub(1)?)).copied()
}
fn number(node: NodeId) -> Result<u32, FsError> {
    u32::try_from(node.number).ok().filter(|_| node.generation == 0).ok_or(FsError::NotFound(node))
}

pub(super) fn read_dir(volume: &Volume, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
    let number = number(dir)?;
    for entry in volume.nodes.live.get(&number).into_iter().flatten() {
        each(DirEntry { name: Name::new(&entry.name), node: id(entry.inode), kind: entry.kind });
    }
    Ok(())
}

fn bare(kind: NodeKind, flags: Vec<&'static str>) -> Stat {
    Stat {
        kind,
        len: 0,
        allocated: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 0,
        times: Times::default(),
        flags,
        xattrs: Vec::new(),
        device: None,
    }
}

pub(super) fn stat(volume: &Volume, node: NodeId) -> Result<Stat, FsError> {
    if let Some(kind) = name_only(node) {
        return Ok(bare(kind, vec!["inode-lost"]));
    }
    let number = number(node)?;
    let nodes = &volume.nodes;
    let Some(part) = nodes.newest_of(number) else {
        // The root of an image may have no node of its own.
        return if number == ROOT { Ok(bare(NodeKind::Directory, Vec::new())) } else { Err(FsError::NotFound(node)) };
    };
    let kind = part.kind();
    let links = nodes.links.get(&number).copied().unwrap_or(0);
    let time = |seconds: u32| Some(Time::seconds(i64::from(seconds)));
    let [accessed, modified, changed] = part.times;
    let held = |p: &Part| u64::from(p.packed);
    Ok(Stat {
        len: if matches!(kind, NodeKind::File | NodeKind::Symlink) { length(nodes, number, part) } else { 0 },
        allocated: nodes.versions(number).fold(0_u64, |sum, p| sum.saturating_add(held(p))),
        mode: part.mode & 0o7777,
        uid: u32::from(part.uid),
        gid: u32::from(part.gid),
        links: match kind {
            NodeKind::Directory => nodes.folders.get(&number).copied().unwrap_or(0).saturating_add(2),
            _ => links,
        },
        times: Times { modified: time(modified), accessed: time(accessed), changed: time(changed), ..Times::default() },
        xattrs: attributes(nodes, number),
        device: device(volume, number, kind),
        ..bare(kind, Vec::new())
    })
}

/// Bytes of a file; of a link those of its target, which older writers did not enter as a size.
fn length(nodes: &Nodes, number: u32, part: &Part) -> u64 {
    if part.kind() == NodeKind::Symlink && part.size == 0 {
        return nodes.versions(number).map(|p| u64::from(p.len)).max().unwrap_or(0);
    }
    u64::from(part.size)
}

fn attributes(nodes: &Nodes, number: u32) -> Vec<(Name, Vec<u8>)> {
    let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
    for reference in nodes.references.get(&number).into_iter().flatten() {
        let sequence = newest.entry(reference.attribute).or_default();
        *sequence = reference.sequence.max(*sequence);
    }
    // An odd number takes the attribute away.
    let held = newest.into_iter().filter(|(_, sequence)| sequence % 2 == 0);
    let found = held.filter_map(|(attribute, _)| nodes.attributes.get(&attribute));
    let mut out: Vec<_> = found.map(|a| (Name::new(&a.name), a.value.clone())).collect();
    out.sort();
    out.dedup();
    out
}

fn device(volume: &Volume, number: u32, kind: NodeKind) -> Option<(u32, u32)> {
    if !matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice) {
        return None;
    }
    let part = volume.nodes.versions(number).rev().find(|p| p.len > 0)?;
    let bytes = crate::image::read_exact(&*volume.source, part.at, size(u64::from(part.packed.min(8)))).ok()??;
    match part.len {
        2 => volume.order.u16(&bytes, 0).map(|d| (u32::from(d >> 8), u32::from(d & 0xff))),
        _ => volume.order.u32(&bytes, 0).map(|d| (d >> 8 & 0xfff, d & 0xff | d >> 12 & 0xf_ff00)),
    }
}

fn content(volume: &Arc<Volume>, number: u32, part: &Part) -> Content {
    Content::new(volume, length(&volume.nodes, number, part), volume.nodes.versions(number))
}

pub(super) fn open(volume: &Arc<Volume>, node: NodeId) -> Result<Source, FsError> {
    if name_only(node).is_some() {
        return Err(FsError::Unsupported("content of a deleted file whose inode is lost".to_owned()));
    }
    let number = number(node)?;
    match volume.nodes.newest_of(number) {
        Some(part) if part.kind() == NodeKind::File => Ok(Arc::new(content(volume, number, part))),
        Some(_) => Ok(Arc::new(Vec::new())),
        None if number == ROOT => Ok(Arc::new(Vec::new())),
        None => Err(FsError::NotFound(node)),
    }
}

pub(super) fn link(volume: &Arc<Volume>, node: NodeId) -> Result<Vec<u8>, FsError> {
    let number = number(node)?;
    let part = volume.nodes.newest_of(number).ok_or(FsError::NotFound(node))?;
    if part.kind() != NodeKind::Symlink {
        return Err(corrupt(part.at, "not a symbolic link"));
    }
    let content = content(volume, number, part);
    let len = crate::image::ReadAt::len(&content);
    if len > MAX_LINK {
        return Err(corrupt(part.at, "target of a symbolic link is too long"));
    }
    let mut target = vec![0; size(len)];
    crate::image::ReadAt::read_at(&content, 0, &mut target)?;
    Ok(target)
}

pub(super) fn deleted(volume: &Volume, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) {
    let nodes = &volume.nodes;
    let mut named: BTreeSet<u32> = nodes.links.keys().copied().collect();
    named.insert(ROOT);
    for entry in &nodes.gone {
        named.insert(entry.inode);
        let position = KINDS.iter().position(|k| *k == entry.kind).unwrap_or(0) as u64;
        let generation = if nodes.parts.contains_key(&entry.inode) { 0 } else { position.saturating_add(1) };
        let node = NodeId { number: u64::from(entry.inode), generation };
        each(Some(id(entry.parent)), DirEntry { name: Name::new(&entry.name), node, kind: entry.kind });
    }
    // Names of a directory that no name leads to any more: removed with it, or it is lost.
    let without = nodes.live.iter().filter(|(parent, _)| !nodes.is_folder(**parent));
    for (parent, entry) in without.flat_map(|(parent, entries)| entries.iter().map(move |e| (*parent, e))) {
        each(Some(id(parent)), DirEntry { name: Name::new(&entry.name), node: id(entry.inode), kind: entry.kind });
    }
    for number in nodes.parts.keys().filter(|n| !named.contains(n)) {
        let kind = nodes.newest_of(*number).map_or(NodeKind::Unknown, Part::kind);
        each(None, DirEntry { name: Name::default(), node: id(*number), kind });
    }
}
