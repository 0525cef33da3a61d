//! A file system written as text: what artifact and rule tests run on.
//!
//! Notation, one file a paragraph: `/path` and its content indented by four spaces;
//! `/path -> target` is a symlink; `/path/` an empty directory; `/path @hex …` content in hex.
//! After the path, `mode=4755`, `uid=1000`, `gid=5`, `mtime=SECONDS`, `flags=immutable,append`,
//! `xattr=NAME:HEX`, `char=MAJOR:MINOR` (a device node) and `deleted` (found as a deleted entry of its
//! folder) may follow.
use super::{DirEntry, FileSystem, FsError, FsInfo, NodeKind, Stat, Stream, Times};
use crate::base::{Name, NodeId, Time};
use crate::image::Source;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The attributes that `flags=` knows.
const FLAGS: &[&str] = &["append", "default-subvolume", "immutable", "nodump", "snapshot", "subvolume"];

#[derive(Default)]
pub struct MemFs {
    nodes: Vec<Node>,
    info: FsInfo,
}

struct Node {
    kind: NodeKind,
    data: Vec<u8>,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: i64,
    flags: Vec<&'static str>,
    xattrs: Vec<(Name, Vec<u8>)>,
    deleted: bool,
    device: Option<(u32, u32)>,
    children: BTreeMap<Vec<u8>, u64>,
}
impl Node {
    fn new(kind: NodeKind) -> Self {
        let mode = if kind == NodeKind::Directory { 0o755 } else { 0o644 };
        Self {
            kind,
            data: Vec::new(),
            mode,
            uid: 0,
            gid: 0,
            mtime: 1_600_000_000,
            flags: Vec::new(),
            xattrs: Vec::new(),
            deleted: false,
            device: None,
            children: BTreeMap::new(),
        }
    }
}

impl MemFs {
    /// Reads the notation above. Lines that fit nothing are ignored.
    pub fn parse(text: &str) -> Self {
        let mut fs = Self {
            nodes: vec![Node::new(NodeKind::Directory)],
            info: FsInfo { kind: "text".into(), block_size: 1, clean: true, ..FsInfo::default() },
        };
        let mut open = None;
        for line in text.lines() {
            if line.starts_with('/') {
                open = Some(fs.header(line));
            } else if let (Some(at), Some(body)) = (open, line.strip_prefix("    ")) {
                fs.append(at, body);
            } else if line.is_empty()
                && let Some(at) = open
                && fs.nodes.get(at).is_some_and(|n| n.kind == NodeKind::File && !n.data.is_empty())
            {
                fs.append(at, "");
            }
        }
        for node in &mut fs.nodes {
            while node.kind == NodeKind::File && node.data.ends_with(b"\n\n") {
                node.data.pop();
            }
        }
        fs
    }
    /// Adds a file with any bytes; what text cannot say.
    pub fn add(&mut self, path: &str, data: Vec<u8>) -> &mut Self {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(NodeKind::Directory));
        }
        let at = self.insert(path.as_bytes(), NodeKind::File);
        if let Some(node) = self.nodes.get_mut(at) {
            node.data = data;
        }
        self
    }
    fn header(&mut self, line: &str) -> usize {
        let (path, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(target) = rest.strip_prefix("-> ") {
            let at = self.insert(path.as_bytes(), NodeKind::Symlink);
            if let Some(node) = self.nodes.get_mut(at) {
                node.data = target.as_bytes().to_vec();
            }
            return at;
        }
        let kind = if path.ends_with('/') { NodeKind::Directory } else { NodeKind::File };
        let at = self.insert(path.trim_end_matches('/').as_bytes(), kind);
        if let Some(node) = self.nodes.get_mut(at) {
            for word in rest.split_whitespace() {
                match word.split_once('=') {
                    Some(("mode", v)) => node.mode = u32::from_str_radix(v, 8).unwrap_or(node.mode),
                    Some(("uid", v)) => node.uid = v.parse().unwrap_or(0),
                    Some(("gid", v)) => node.gid = v.parse().unwrap_or(0),
                    Some(("mtime", v)) => node.mtime = v.parse().unwrap_or(0),
                    Some(("flags", v)) => {
                        node.flags = FLAGS.iter().copied().filter(|f| v.split(',').any(|w| w == *f)).collect();
                    }
                    Some(("xattr", v)) => {
                        let (name, hex) = v.split_once(':').unwrap_or((v, ""));
                        node.xattrs.push((name.into(), unhex(hex)));
                    }
                    Some(("char", v)) => {
                        let (major, minor) = v.split_once(':').unwrap_or((v, "0"));
                        node.kind = NodeKind::CharDevice;
                        node.device = Some((major.parse().unwrap_or(0), minor.parse().unwrap_or(0)));
                    }
                    None if word == "deleted" => node.deleted = true,
                    _ => {
                        if let Some(hex) = word.strip_prefix('@') {
                            node.data.extend(unhex(hex));
                        }
                    }
                }
            }
        }
        at
    }
    fn append(&mut self, at: usize, body: &str) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.data.extend_from_slice(body.as_bytes());
            node.data.push(b'\n');
        }
    }
    fn insert(&mut self, path: &[u8], kind: NodeKind) -> usize {
        let mut at = 0;
        for name in path.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            let next = self.nodes.len();
            let known = self.nodes.get_mut(at).map(|n| *n.children.entry(name.into()).or_insert(next as u64));
            at = known.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
            if at == next {
                self.nodes.push(Node::new(NodeKind::Directory));
            }
        }
        if let Some(node) = self.nodes.get_mut(at)
            && at != 0
        {
            let children = std::mem::take(&mut node.children);
            *node = Node { children, ..Node::new(kind) };
        }
        at
    }
    fn node(&self, id: NodeId) -> Result<&Node, FsError> {
        usize::try_from(id.number).ok().and_then(|i| self.nodes.get(i)).ok_or(FsError::NotFound(id))
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks_exact(2).filter_map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok()).collect()
}
fn id(number: u64) -> NodeId {
    NodeId { number, generation: 0 }
}

impl FileSystem for MemFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        id(0)
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        for (name, &n) in &self.node(dir)?.children {
            let node = self.node(id(n))?;
            if !node.deleted {
                each(DirEntry { name: Name::new(name), node: id(n), kind: node.kind });
            }
        }
        Ok(())
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        for (folder, parent) in (0..).zip(&self.nodes) {
            for (name, &n) in &parent.children {
                let node = self.node(id(n))?;
                if node.deleted {
                    each(Some(id(folder)), DirEntry { name: Name::new(name), node: id(n), kind: node.kind });
                }
            }
        }
        Ok(())
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let n = self.node(node)?;
        Ok(Stat {
            kind: n.kind,
            len: n.data.len() as u64,
            allocated: n.data.len() as u64,
            mode: n.mode,
            uid: n.uid,
            gid: n.gid,
            links: 1,
            times: Times { modified: Some(Time::seconds(n.mtime)), ..Times::default() },
            flags: n.flags.clone(),
            xattrs: n.xattrs.clone(),
            device: n.device,
        })
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        Ok(self.node(node)?.data.clone())
    }
    fn open(&self, node: NodeId, _stream: Stream<'_>) -> Result<Source, FsError> {
        Ok(Arc::new(self.node(node)?.data.clone()))
    }
}
