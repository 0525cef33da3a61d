//! What a mount shows and where: each file system's files, the systems joined, deleted files apart, the decoded
//! disks, and the texts that say what is what.
//!
//! Every node has a number that the same evidence gives it again in another worker: the kernel remembers numbers
//! longer than a worker lives. A folder has one in each view, as the kernel wants every folder in one place only;
//! anything else has the same one under all its names.
use crate::base::{FsId, Name, NodeId};
use crate::evidence::{Entry, Tree};
use crate::extract::Indexed;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The kernel's number of the root.
pub(super) const ROOT: u64 = 1;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A folder that no evidence has.
    Folder,
    /// An entry of a file system: position of the tree and of the entry; live, or needed for what was deleted below.
    Tree(u32, u32),
    /// A deleted entry of a file system.
    Gone(u32, u32),
    /// An entry of a system: position of the system and of the entry.
    System(u32, u32),
    /// An image's decoded disk.
    Disk(u32),
    /// One of the texts.
    Text(u32),
}

#[derive(Clone, Debug)]
struct Node {
    of: Of,
    /// Its folder; the root's is itself. Of what has several names, one of them.
    parent: u32,
    /// Of a folder, its names: from and to.
    names: (u32, u32),
    is_folder: bool,
    /// What stat(2) calls its inode.
    ino: u64,
}

/// A name in a folder.
#[derive(Clone, Debug)]
struct Named {
    folder: u32,
    node: u32,
    /// Where the name is read from.
    of: Of,
    /// The name, where it is not that of `of`.
    other: Option<Box<[u8]>>,
}

pub(super) struct View<'a> {
    pub(super) indexed: &'a Indexed,
    nodes: Vec<Node>,
    names: Vec<Named>,
    texts: Vec<Vec<u8>>,
    /// Whose each number of an inode is.
    inodes: HashMap<u64, (FsId, NodeId, bool)>,
}

/// Bits of an inode's number that are the evidence's own; those above are the file system's number. Nodes that
/// would have another's number, and those that no evidence has, are counted from [`OWN`].
const FILESYSTEM: u32 = 48;
const OWN: u64 = 0x7fff << FILESYSTEM;

/// Numbers given to nodes of file systems that are no folders.
type Shared = HashMap<(FsId, NodeId, bool), u32>;

impl<'a> View<'a> {
    /// Lays everything out. `texts` go into the root.
    pub(super) fn new(indexed: &'a Indexed, texts: Vec<(&str, String)>) -> Self {
        let (names, texts_of, inodes) = (Vec::new(), Vec::new(), HashMap::new());
        let mut view = Self { indexed, nodes: Vec::new(), names, texts: texts_of, inodes };
        view.node_of(0, Of::Folder, true);
        for (name, text) in texts {
            let of = Of::Text(position(view.texts.len()));
            view.texts.push(text.into_bytes());
            view.add(0, of, false, Some(name.as_bytes()));
        }
        let disks = view.add(0, Of::Folder, true, Some(b"disks"));
        for image in 0..indexed.layout.images.len() {
            view.add(disks, Of::Disk(position(image)), false, Some(format!("{image}.raw").as_bytes()));
        }
        let mut shared = Shared::new();
        for (folder, deleted) in [("volumes", false), ("deleted", true)] {
            let folder = view.add(0, Of::Folder, true, Some(folder.as_bytes()));
            for (number, tree) in (0..).zip(&indexed.trees) {
                let top = view.add(folder, Of::Folder, true, Some(tree.id.0.to_string().as_bytes()));
                let of = |at| if deleted { Of::Gone(number, at) } else { Of::Tree(number, at) };
                let wanted = (0..).zip(&tree.entries).filter(|(_, e)| e.deleted == deleted);
                let above = |path: &[u8]| live(tree, path).map(|at| Of::Tree(number, at));
                view.branch(top, wanted, &of, &above, &mut shared);
            }
        }
        let folder = view.add(0, Of::Folder, true, Some(b"systems"));
        for (number, system) in (0..).zip(&indexed.systems) {
            let top = view.add(folder, Of::Folder, true, Some(number.to_string().as_bytes()));
            let of = |at| Of::System(number, at);
            view.branch(top, (0..).zip(system.entries()), &of, &|_| None, &mut shared);
        }
        view.finish();
        view
    }

    /// Puts entries, sorted by path, below `top`. Where a folder of a path is not among them, `above` may know it.
    fn branch<'e>(
        &mut self,
        top: u32,
        entries: impl Iterator<Item = (u32, &'e Entry)>,
        of: &dyn Fn(u32) -> Of,
        above: &dyn Fn(&[u8]) -> Option<Of>,
        shared: &mut Shared,
    ) {
        let mut folders: HashMap<&[u8], u32> = HashMap::from([(b"".as_slice(), top)]);
        if let Some(of) = above(b"/") {
            self.replace(top, of);
        }
        for (at, entry) in entries {
            let path = entry.path.bytes();
            if path == b"/" {
                self.replace(top, of(at));
                continue;
            }
            let split = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
            let (parent, _) = path.split_at(split);
            let folder = self.folder(parent, &mut folders, above);
            if is_folder(entry) {
                // A folder may have been needed already for what lies below one of the same path.
                if !folders.contains_key(path) {
                    let node = self.add(folder, of(at), true, None);
                    folders.insert(path, node);
                    continue;
                }
                self.add(folder, of(at), true, None);
                continue;
            }
            let key = (entry.fs, entry.node, entry.deleted);
            let node = *shared.entry(key).or_insert_with(|| self.node_of(folder, of(at), false));
            self.names.push(Named { folder, node, of: of(at), other: None });
        }
    }

    /// Makes a folder that stands for a root that root.
    fn replace(&mut self, folder: u32, of: Of) {
        let Some(parent) = self.nodes.get(folder as usize).map(|n| n.parent) else { return };
        // As the last one, so that it gets a number of its own; then in the place of the folder.
        self.node_of(parent, of, true);
        if let (Some(new), Some(old)) = (self.nodes.pop(), self.nodes.get_mut(folder as usize)) {
            *old = new;
        }
    }

    /// The folder of a path, made with all that lead to it where it is not there.
    fn folder<'e>(
        &mut self,
        path: &'e [u8],
        folders: &mut HashMap<&'e [u8], u32>,
        above: &dyn Fn(&[u8]) -> Option<Of>,
    ) -> u32 {
        let mut missing = Vec::new();
        let mut here = path;
        let mut node = loop {
            if let Some(found) = folders.get(here) {
                break *found;
            }
            missing.push(here);
            here = here.get(..here.iter().rposition(|b| *b == b'/').unwrap_or(0)).unwrap_or_default();
        };
        for path in missing.into_iter().rev() {
            let name = path.rsplit(|b| *b == b'/').next();
            node = self.add(node, above(path).unwrap_or(Of::Folder), true, name);
            folders.insert(path, node);
        }
        node
    }

    fn add(&mut self, folder: u32, of: Of, is_folder: bool, name: Option<&[u8]>) -> u32 {
        let node = self.node_of(folder, of, is_folder);
        self.names.push(Named { folder, node, of, other: name.map(Into::into) });
        node
    }

    fn node_of(&mut self, parent: u32, of: Of, is_folder: bool) -> u32 {
        let node = position(self.nodes.len());
        let key = self.entry(of).map(|e| (e.fs, e.node, e.deleted));
        let number = |(fs, node, _): (FsId, NodeId, bool)| (u64::from(fs.0) << FILESYSTEM) | node.number;
        let fits = |(fs, node, _): &(FsId, NodeId, bool)| fs.0 < 0x7fff && node.number >> FILESYSTEM == 0;
        // Two nodes with one number would be taken for two names of one file.
        let ino = key.filter(fits).map(|key| (number(key), key));
        let ino = ino.filter(|(ino, key)| self.inodes.entry(*ino).or_insert(*key) == key).map(|(ino, _)| ino);
        let ino = ino.unwrap_or(OWN | ROOT.saturating_add(node.into()));
        self.nodes.push(Node { of, parent, names: (0, 0), is_folder, ino });
        node
    }

    /// Sorts the names, gives each a place of its own, and tells the folders which are theirs.
    fn finish(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        for named in &mut names {
            // No kernel takes such a name; a reader may still have found it.
            let name = self.text_of(named);
            let is_odd = name.is_empty()
                || name == b"."
                || name == b".."
                || name.len() > 1024
                || name.iter().any(|b| matches!(b, 0 | b'/'));
            if is_odd {
                let shown: String = Name::new(name).display().chars().take(200).collect();
                named.other = Some(format!("({})", shown.replace('/', "\\x2f")).into_bytes().into());
            }
        }
        names.sort_by(|a, b| (a.folder, self.text_of(a)).cmp(&(b.folder, self.text_of(b))));
        // Of several that have one name, the first keeps it; the others carry their number behind it.
        let same = |view: &Self, a: &Named, b: &Named| a.folder == b.folder && view.text_of(a) == view.text_of(b);
        let mut first = 0;
        let mut renamed = false;
        for at in 1..names.len() {
            let (Some(kept), Some(named)) = (names.get(first), names.get(at)) else { break };
            if !same(self, kept, named) {
                first = at;
                continue;
            }
            let inode = self.entry(named.of).map_or(0, |e| e.node.number);
            let name = [self.text_of(named), format!("~{inode}~{}", at.saturating_sub(first)).as_bytes()].concat();
            renamed = true;
            if let Some(named) = names.get_mut(at) {
                named.other = Some(name.into());
            }
        }
        if renamed {
            names.sort_by(|a, b| (a.folder, self.text_of(a)).cmp(&(b.folder, self.text_of(b))));
        }
        let mut at = 0;
        while let Some(folder) = names.get(at).map(|n| n.folder) {
            let end = at.saturating_add(names.iter().skip(at).take_while(|n| n.folder == folder).count());
            if let Some(node) = self.nodes.get_mut(folder as usize) {
                node.names = (position(at), position(end));
            }
            at = end;
        }
        self.names = names;
    }

    fn text_of<'n>(&'n self, named: &'n Named) -> &'n [u8] {
        match &named.other {
            Some(name) => name,
            None => self.entry(named.of).map_or(b"", |e| e.path.file_name()),
        }
    }

    fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(usize::try_from(number.checked_sub(ROOT)?).ok()?)
    }
    pub(super) fn of(&self, number: u64) -> Option<Of> {
        self.node(number).map(|n| n.of)
    }
    pub(super) fn is_folder(&self, number: u64) -> Option<bool> {
        self.node(number).map(|n| n.is_folder)
    }
    pub(super) fn ino(&self, number: u64) -> u64 {
        self.node(number).map_or(0, |n| n.ino)
    }
    pub(super) fn parent(&self, number: u64) -> u64 {
        self.node(number).map_or(ROOT, |n| ROOT.saturating_add(n.parent.into()))
    }
    pub(super) fn len(&self) -> u64 {
        self.nodes.len() as u64
    }
    pub(super) fn text(&self, number: u32) -> &[u8] {
        self.texts.get(number as usize).map_or(&[], Vec::as_slice)
    }
    /// The entry of the evidence behind a node.
    pub(super) fn entry(&self, of: Of) -> Option<&'a Entry> {
        match of {
            Of::Tree(tree, at) | Of::Gone(tree, at) => self.indexed.trees.get(tree as usize)?.entries.get(at as usize),
            Of::System(system, at) => self.indexed.systems.get(system as usize)?.entries().get(at as usize),
            Of::Folder | Of::Disk(_) | Of::Text(_) => None,
        }
    }
    /// The names of a folder from position `from` on.
    pub(super) fn names(&self, folder: u64, from: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let (start, end) = self.node(folder).map_or((0, 0), |n| n.names);
        let names = self.names.get(start as usize..end as usize).unwrap_or_default();
        let rest = usize::try_from(from).ok().and_then(|from| names.get(from..)).unwrap_or_default();
        rest.iter().map(|n| (ROOT.saturating_add(n.node.into()), self.text_of(n)))
    }
    /// What stands under a name of a folder.
    pub(super) fn lookup(&self, folder: u64, name: &[u8]) -> Option<u64> {
        let (start, end) = self.node(folder)?.names;
        let names = self.names.get(start as usize..end as usize)?;
        let at = names.binary_search_by(|n| self.text_of(n).cmp(name)).ok()?;
        names.get(at).map(|n| ROOT.saturating_add(n.node.into()))
    }
    /// Tells one layout from another: numbers of nodes mean the same only where this is the same.
    pub(super) fn mark(&self) -> u64 {
        let mut all = DefaultHasher::new();
        for named in &self.names {
            (named.folder, named.node, self.text_of(named)).hash(&mut all);
        }
        all.finish()
    }
}

fn is_folder(entry: &Entry) -> bool {
    entry.is_dir()
}

/// Position of the live entry at a path.
fn live(tree: &Tree, path: &[u8]) -> Option<u32> {
    let at = tree.entries.partition_point(|e| e.path.bytes() < path);
    let found = tree.entries.get(at).is_some_and(|e| e.path.bytes() == path && !e.deleted && e.is_dir());
    found.then(|| position(at))
}

/// More nodes than this do not fit into the memory of an index.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
