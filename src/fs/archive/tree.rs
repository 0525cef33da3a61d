//! The members of an archive as a tree. Folders that no member names are made up for the names below them; a name
//! that stands twice is live with its last member, as unpacking would leave it, and the ones before are listed as
//! replaced.
use super::member::{Body, Kept, Member};
use super::{MAX_MEMBERS, MAX_NAME};
use crate::base::{Gaps, Name, NodeId};
use crate::fs::{DirEntry, FileSystem, FsError, FsInfo, NodeKind, Stat, Stream};
use crate::image::{Source, Store};
use std::collections::HashMap;

/// A folder that no member of the archive names.
const IMPLIED: &str = "implied";

struct Node {
    member: Kept,
    /// Which of the archive's sources holds its bytes.
    source: u16,
    links: u32,
    /// Names in it, in the order of the archive: a folder's only.
    names: Vec<(Name, u32)>,
}

/// Gathers members in the order of the archive.
pub(super) struct Builder {
    by: &'static str,
    gaps: Gaps,
    nodes: Vec<Node>,
    /// Folder and name → folder.
    folders: HashMap<(u32, Name), u32>,
    /// Folder and name → what is no folder, and where in the folder's names it stands.
    others: HashMap<(u32, Name), (u32, usize)>,
    /// Folder, name, node: replaced by a later member.
    replaced: Vec<(u32, Name, u32)>,
    sources: Vec<Source>,
    store: Store,
    full: bool,
    cut_names: u64,
}

impl Builder {
    /// `by` is the reader's name in gaps.
    pub(super) fn new(by: &'static str, source: Source, gaps: Gaps) -> Self {
        let mut root = Member::new(Vec::new(), NodeKind::Directory);
        root.flags.push(IMPLIED);
        let root = Node { member: root.kept(), source: 0, links: 1, names: Vec::new() };
        Self {
            by,
            gaps,
            nodes: vec![root],
            folders: HashMap::new(),
            others: HashMap::new(),
            replaced: Vec::new(),
            sources: vec![source],
            store: Store::default(),
            full: false,
            cut_names: 0,
        }
    }
    /// What members that are packed on their own may keep in memory.
    pub(super) fn share(&mut self, store: Store) {
        self.store = store;
    }
    pub(super) fn gap(&self, at: u64, what: impl std::fmt::Display, bytes: u64) {
        self.gaps.add_at(self.by, "volume_offset", at, what, bytes);
    }
    /// Members from now on have their bytes in this source.
    pub(super) fn next_source(&mut self, source: Source) {
        self.sources.push(source);
    }
    pub(super) fn members(&self) -> usize {
        self.nodes.len().saturating_sub(1)
    }
    /// Whether no further member is taken; told once.
    pub(super) fn is_full(&mut self, at: u64, rest: u64) -> bool {
        if self.nodes.len() > MAX_MEMBERS && !self.full {
            self.full = true;
            self.gap(at, format!("budget: more than {MAX_MEMBERS} members; the rest is not listed"), rest);
        }
        self.full
    }
    /// Adds a member; its number.
    pub(super) fn add(&mut self, mut member: Member) -> u32 {
        let (parent, name) = self.place(&mut member);
        let Some(name) = name else {
            // `./` is the archive's own root.
            self.set_folder(0, member);
            return 0;
        };
        if member.kind == NodeKind::Directory {
            let folder = self.folder(parent, &name);
            self.set_folder(folder, member);
            return folder;
        }
        let node = self.push(member);
        self.link(parent, name, node);
        node
    }
    /// A further name of a member that was added before.
    pub(super) fn add_link(&mut self, name: &[u8], node: u32) {
        let mut member = Member::new(name.to_vec(), NodeKind::File);
        let (parent, name) = self.place(&mut member);
        let Some(name) = name else { return };
        if let Some(n) = self.get_mut(node) {
            n.links = n.links.saturating_add(1);
            for flag in member.flags {
                n.member.flag(flag);
            }
        }
        self.link(parent, name, node);
    }
    /// The live member of this name that is no folder.
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        let mut parts = parts(name);
        let last = Name::new(parts.pop()?);
        let mut at = 0;
        for part in parts {
            at = *self.folders.get(&(at, Name::new(part)))?;
        }
        self.others.get(&(at, last)).map(|(node, _)| *node)
    }
    pub(super) fn member_mut(&mut self, node: u32) -> Option<&mut Kept> {
        self.get_mut(node).map(|n| &mut n.member)
    }
    fn get_mut(&mut self, node: u32) -> Option<&mut Node> {
        self.nodes.get_mut(node as usize)
    }
    fn push(&mut self, member: Member) -> u32 {
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let source = u16::try_from(self.sources.len().saturating_sub(1)).unwrap_or(u16::MAX);
        self.nodes.push(Node { member: member.kept(), source, links: 1, names: Vec::new() });
        number
    }
    /// The folder that a member lies in, made where it is not there, and its own name. What an unpacking program
    /// would have to refuse in its name is noted on the member.
    fn place(&mut self, member: &mut Member) -> (u32, Option<Name>) {
        let mut name = std::mem::take(&mut member.name);
        if name.len() > MAX_NAME {
            name.truncate(MAX_NAME);
            member.flags.push("name-cut");
            self.cut_names = self.cut_names.saturating_add(1);
        }
        if name.starts_with(b"/") {
            member.flags.push("absolute-name");
        }
        let mut parts = parts(&name);
        if parts.contains(&b"..".as_slice()) {
            member.flags.push("name-leads-up");
        }
        let Some(last) = parts.pop() else { return (0, None) };
        let mut at = 0;
        for part in parts {
            let part = Name::new(part);
            let through = self.others.get(&(at, part.clone())).map(|(node, _)| *node);
            let is_link = through.and_then(|n| self.nodes.get(n as usize)).map(|n| n.member.kind);
            if is_link == Some(NodeKind::Symlink) && !member.flags.contains(&"name-goes-through-link") {
                member.flags.push("name-goes-through-link");
            }
            at = self.folder(at, &part);
        }
        (at, Some(Name::new(last)))
    }
    fn folder(&mut self, parent: u32, name: &Name) -> u32 {
        if let Some(known) = self.folders.get(&(parent, name.clone())) {
            return *known;
        }
        let mut made = Member::new(Vec::new(), NodeKind::Directory);
        made.flags.push(IMPLIED);
        let node = self.push(made);
        self.folders.insert((parent, name.clone()), node);
        if let Some(parent) = self.get_mut(parent) {
            parent.names.push((name.clone(), node));
        }
        node
    }
    fn set_folder(&mut self, node: u32, member: Member) {
        let source = u16::try_from(self.sources.len().saturating_sub(1)).unwrap_or(u16::MAX);
        if let Some(n) = self.get_mut(node) {
            n.member = Member { len: 0, body: Body::Nothing, ..member }.kept();
            n.source = source;
        }
    }
    fn link(&mut self, parent: u32, name: Name, node: u32) {
        let at = self.nodes.get(parent as usize).map_or(0, |p| p.names.len());
        if let Some((old, place)) = self.others.get(&(parent, name.clone())).copied() {
            if old == node {
                return;
            }
            self.replaced.push((parent, name.clone(), old));
            if let Some(entry) = self.get_mut(parent).and_then(|p| p.names.get_mut(place)) {
                entry.1 = node;
            }
            self.others.insert((parent, name), (node, place));
            return;
        }
        self.others.insert((parent, name.clone()), (node, at));
        if let Some(parent) = self.get_mut(parent) {
            parent.names.push((name, node));
        }
    }
    pub(super) fn finish(mut self, info: FsInfo) -> Archive {
        if self.cut_names > 0 {
            self.gaps.add(self.by, format!("{} names longer than {MAX_NAME} bytes are cut", self.cut_names), 0);
        }
        let folders: Vec<u32> = self.folders.iter().map(|((parent, _), _)| *parent).collect();
        for parent in folders {
            // Each folder holds a link to the one above it.
            if let Some(n) = self.get_mut(parent) {
                n.links = n.links.saturating_add(1);
            }
        }
        let Self { nodes, replaced, sources, store, .. } = self;
        Archive { info, nodes, replaced, sources, store }
    }
}

/// The components of a name; empty ones and `.` lead nowhere.
fn parts(name: &[u8]) -> Vec<&[u8]> {
    name.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".").collect()
}

/// An archive whose members are indexed.
pub(super) struct Archive {
    info: FsInfo,
    nodes: Vec<Node>,
    replaced: Vec<(u32, Name, u32)>,
    sources: Vec<Source>,
    store: Store,
}

impl Archive {
    fn node(&self, id: NodeId) -> Result<&Node, FsError> {
        usize::try_from(id.number).ok().and_then(|n| self.nodes.get(n)).ok_or(FsError::NotFound(id))
    }
}
fn id(number: u32) -> NodeId {
    NodeId { number: u64::from(number), generation: 0 }
}

impl FileSystem for Archive {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        id(0)
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        for (name, node) in &self.node(dir)?.names {
            let kind = self.nodes.get(*node as usize).map_or(NodeKind::Unknown, |n| n.member.kind);
            each(DirEntry { name: name.clone(), node: id(*node), kind });
        }
        Ok(())
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let node = self.node(node)?;
        Ok(node.member.stat(node.links))
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        match &self.node(node)?.member.body {
            Body::Target(target) => Ok(target.to_vec()),
            Body::Lost(why) => Err(FsError::Unsupported(why.to_string())),
            _ => Err(FsError::NotFound(node)),
        }
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        let found = self.node(node)?;
        let source = self.sources.get(usize::from(found.source)).ok_or(FsError::NotFound(node))?;
        match stream {
            Stream::Data => found.member.open(source, &self.store),
            Stream::Named(_) => Err(FsError::NotFound(node)),
        }
    }
    fn release(&self) {
        self.sources.iter().for_each(|s| s.release());
    }
    /// Members that a later one of the same name replaces.
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        for (parent, name, node) in &self.replaced {
            let kind = self.nodes.get(*node as usize).map_or(NodeKind::Unknown, |n| n.member.kind);
            each(Some(id(*parent)), DirEntry { name: name.clone(), node: id(*node), kind });
        }
        Ok(())
    }
}
