//! One file system's nodes, each visited once.
use crate::base::order::{arrange, by_bytes};
use crate::base::parallel::{in_order, split, threads};
use crate::base::{Cancelled, Evidence, FsId, Gaps, ImageRun, Name, NodeId, Progress, Run};
use crate::fs::{FileSystem, FsError, NodeKind, Stat, Stream};
use crate::image::Source;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Why a file that lies on the disk is not what the running system shows at its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cover {
    /// It is what the system shows.
    #[default]
    Seen,
    /// Something else stands at its path in a layer above.
    Replaced,
    /// A layer above marks it, or a folder it is in, as removed.
    Removed,
    /// A layer above has a folder of this path that shows nothing of the layers below.
    Opaque,
    /// A folder whose content is shown, with the attributes of the layer above.
    Merged,
    /// An inode that holds attributes for a content of a layer below.
    Attributes,
    /// It is itself a mark: a whiteout, or what tells that a folder is opaque.
    Mark,
    /// A mount lies over it.
    Mount,
    /// Its folder holds the name twice.
    Twice,
}
impl Cover {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
            Self::Opaque => "opaque",
            Self::Merged => "merged",
            Self::Attributes => "attributes",
            Self::Mark => "mark",
            Self::Mount => "mount",
            Self::Twice => "twice",
        }
    }
}

/// A name in the evidence and the inode behind it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Path in the file system, or in the running system where a system holds it.
    pub path: Name,
    pub fs: FsId,
    pub node: NodeId,
    /// `None` where the inode could not be read; a gap says why.
    pub stat: Option<Arc<Stat>>,
    pub deleted: bool,
    /// The layer of a merged tree that it comes from.
    pub layer: Option<Arc<str>>,
    /// Why the running system does not show it at this path.
    pub covered: Cover,
    /// Its content lies in a lower layer, and none there holds it: what its own inode would give is not it.
    pub lost: bool,
}
impl Entry {
    pub fn kind(&self) -> NodeKind {
        self.stat.as_ref().map_or(NodeKind::Unknown, |s| s.kind)
    }
    pub fn len(&self) -> u64 {
        self.stat.as_ref().map_or(0, |s| s.len)
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn is_file(&self) -> bool {
        self.kind() == NodeKind::File
    }
    pub fn is_dir(&self) -> bool {
        self.kind() == NodeKind::Directory
    }
}

/// A file system with all its entries, sorted by path; the root is `/`.
pub struct Tree {
    pub id: FsId,
    pub fs: Arc<dyn FileSystem>,
    pub entries: Vec<Entry>,
}

/// Deeper nesting than any real system has; what lies below becomes a gap.
const MAX_DEPTH: usize = 4096;
/// File systems that keep a count of names in each inode, and in which nothing but names is counted.
const COUNTED: [&str; 2] = ["ext", "xfs"];
/// Names that stand twice in their folders, told for one file system.
const MAX_TWINS: usize = 100;
/// A path longer than this comes from a loop or an attack.
const MAX_PATH: usize = 1 << 16;

/// A folder whose entries are to be listed.
struct Folder {
    node: NodeId,
    path: Name,
    /// Folders above it.
    depth: usize,
}

/// An entry of a folder.
struct Listed {
    entry: Entry,
    is_folder: bool,
}

impl Folder {
    fn gaps(&self, gaps: &Gaps) -> Gaps {
        gaps.at(|p| {
            p.path = Some(self.path.clone());
            p.inode = Some(self.node.number);
        })
    }
    fn list(&self, fs: &dyn FileSystem, id: FsId, gaps: &Gaps, progress: &Progress) -> Result<Vec<Listed>, Cancelled> {
        progress.step(1)?;
        let mut found = Vec::new();
        if let Err(e) = fs.read_dir(self.node, &mut |e| found.push(e)) {
            self.gaps(gaps).add("walk", format!("directory not read: {e}"), 0);
        }
        // A folder of a million names may give them by their hashes: their inodes then lie anywhere in the tables.
        if found.len() > MANY {
            found.sort_by_key(|e| e.node);
        }
        let mut odd: Option<(u64, Name)> = None;
        let mut listed = Vec::with_capacity(found.len());
        for item in found {
            // A folder of a million names takes its time, in which something has to be heard of it.
            progress.step(1)?;
            let entry = entry(fs, id, self.path.join(item.name.bytes()), item.node, false, gaps);
            let is_folder = entry.is_dir() || (entry.stat.is_none() && item.kind == NodeKind::Directory);
            // A name that leads to another inode than it was made for tells itself by this, if at all.
            if item.kind != NodeKind::Unknown && !matches!(entry.kind(), NodeKind::Unknown) && item.kind != entry.kind()
            {
                let (count, _) = odd.get_or_insert((0, item.name));
                *count = count.saturating_add(1);
            }
            listed.push(Listed { entry, is_folder });
        }
        if let Some((count, name)) = odd {
            let what = format!("{count} names say another kind of file than their inodes, {name} is the first");
            self.gaps(gaps).add("walk", what, 0);
        }
        Ok(listed)
    }
}

/// Of so many names the inodes are asked for in their own order.
const MANY: usize = 4096;
/// Levels with fewer folders are not worth a second thread.
const FEW: usize = 16;
/// Folders whose lists wait at once to be taken: a level may hold a million entries.
const AT_ONCE: usize = 256;

/// Tells of folders that hold a name twice, which no file system makes: one of the two names was another. `entries`
/// are sorted.
fn tell_twins(entries: &[Entry], gaps: &Gaps) {
    let twins = entries.windows(2).filter_map(|pair| match pair {
        [a, b] if !a.deleted && !b.deleted && a.path == b.path => Some((a, b)),
        _ => None,
    });
    for (a, b) in twins.take(MAX_TWINS) {
        let path = a.path.bytes();
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0).max(1);
        let what = format!("{} stands twice in its folder, for inodes {} and {}", a.path, a.node.number, b.node.number);
        gaps.at(|p| p.path = path.get(..end).map(Name::new)).add("walk", what, 0);
    }
}

/// Tells of inodes that say that more names lead to them than are there: a name was lost, or became another's.
/// `entries` are sorted.
pub(super) fn tell_links(entries: &[Entry], gaps: &Gaps) {
    let linked = |e: &&Entry| !e.deleted && !e.is_dir() && e.stat.as_ref().is_some_and(|s| s.links > 1);
    let mut names: HashMap<NodeId, (u32, &Entry)> = HashMap::new();
    for entry in entries.iter().filter(linked) {
        let (count, _) = names.entry(entry.node).or_insert((0, entry));
        *count = count.saturating_add(1);
    }
    let says = |entry: &Entry| entry.stat.as_ref().map_or(0, |s| s.links);
    let mut short: Vec<(u32, &Entry)> = names.into_values().filter(|(count, entry)| *count < says(entry)).collect();
    short.sort_by(|(_, a), (_, b)| a.path.cmp(&b.path).then(a.node.cmp(&b.node)));
    for (count, entry) in short.into_iter().take(MAX_TWINS) {
        let what = format!("its inode says that {} names lead to it; {count} were found", says(entry));
        gaps.at(|p| {
            p.path = Some(entry.path.clone());
            p.inode = Some(entry.node.number);
        })
        .add("walk", what, 0);
    }
}

impl Tree {
    /// Walks everything, live and deleted. Directories are visited once each, whatever links there are.
    pub fn index(fs: Arc<dyn FileSystem>, id: FsId, gaps: &Gaps, progress: &Progress) -> Result<Self, Cancelled> {
        let gaps = gaps.at(|p| p.filesystem = Some(id));
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        let root = fs.root();
        entries.push(entry(&*fs, id, Name::from("/"), root, false, &gaps));
        seen.insert(root);
        let mut level = vec![Folder { node: root, path: Name::from("/"), depth: 0 }];
        // Level by level: what the folders of one hold is read side by side, and taken in their order.
        while !level.is_empty() {
            let mut next = Vec::new();
            for some in level.chunks(AT_ONCE) {
                let list = |range: Range<usize>| -> Result<Vec<Vec<Listed>>, Cancelled> {
                    some.get(range).unwrap_or_default().iter().map(|f| f.list(&*fs, id, &gaps, progress)).collect()
                };
                let parts = if some.len() < FEW { 1 } else { threads() };
                let read = in_order("walk", &split(some.len(), parts), &list);
                let read = read.into_iter().collect::<Result<Vec<_>, Cancelled>>()?;
                for (folder, found) in some.iter().zip(read.into_iter().flatten()) {
                    entries.reserve(found.len());
                    for Listed { entry: new, is_folder } in found {
                        if is_folder {
                            if !seen.insert(new.node) {
                                let what = format!("directory {} stands in more than one place; listed once", new.path);
                                folder.gaps(&gaps).add("walk", what, 0);
                                continue;
                            }
                            if folder.depth >= MAX_DEPTH || new.path.bytes().len() >= MAX_PATH {
                                folder.gaps(&gaps).add("walk", "budget: depth; what lies below was not listed", 0);
                            } else {
                                let depth = folder.depth.saturating_add(1);
                                next.push(Folder { node: new.node, path: new.path.clone(), depth });
                            }
                        }
                        entries.push(new);
                    }
                }
            }
            level = next;
        }
        let mut dirs = None;
        let mut lost = Vec::new();
        let listed = fs.deleted(&mut |parent, item| lost.push((parent, item)));
        if let Err(e) = listed {
            gaps.add("walk", format!("deleted entries not listed: {e}"), 0);
        }
        for (parent, item) in lost {
            progress.step(1)?;
            let dirs = dirs.get_or_insert_with(|| {
                entries
                    .iter()
                    .filter(|e| e.is_dir())
                    .map(|e| (e.node, e.path.clone()))
                    .collect::<std::collections::HashMap<_, _>>()
            });
            let path = match parent.and_then(|p| dirs.get(&p)) {
                Some(dir) => dir.join(item.name.bytes()),
                None if item.name.is_empty() => Name::from(format!("/$deleted/{}", item.node.number)),
                None => Name::from("/$deleted").join(item.name.bytes()),
            };
            entries.push(entry(&*fs, id, path, item.node, true, &gaps));
        }
        let ties = |a: usize, b: usize| {
            let key = |at: usize| entries.get(at).map(|e| (e.deleted, e.node));
            key(a).cmp(&key(b)).then(a.cmp(&b))
        };
        let order = by_bytes(entries.iter().map(|e| e.path.bytes()).enumerate(), &ties);
        arrange(&mut entries, order);
        tell_twins(&entries, &gaps);
        if COUNTED.iter().any(|kind| fs.info().kind.starts_with(kind)) {
            tell_links(&entries, &gaps);
        }
        Ok(Self { id, fs, entries })
    }
    /// The live entry at exactly this path; links are not followed.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        let at = self.entries.partition_point(|e| e.path.bytes() < path);
        self.entries.get(at).filter(|e| e.path.bytes() == path && !e.deleted)
    }
    pub fn open(&self, entry: &Entry) -> Result<Source, FsError> {
        if entry.lost {
            return Err(FsError::Unsupported("its content lies in a lower layer, and no layer has it".to_owned()));
        }
        self.fs.open(entry.node, Stream::Data)
    }
    /// Where an entry's bytes lie: of the whole file, or of a part of it.
    pub fn evidence(&self, entry: &Entry, range: Option<Run>) -> Evidence {
        let image_runs = match self.open(entry) {
            Ok(source) if entry.is_file() => image_runs(&source, range),
            _ => Vec::new(),
        };
        Evidence {
            filesystem: entry.fs,
            path: entry.path.clone(),
            node: entry.node,
            deleted: entry.deleted,
            range,
            image_runs,
            ..Evidence::default()
        }
    }
}

/// The pieces of the images that hold a file, or a part of it, in file order.
pub(crate) fn image_runs(source: &Source, range: Option<Run>) -> Vec<ImageRun> {
    let range = range.unwrap_or(Run::new(0, source.len()));
    let mut at = range.offset;
    source
        .locate(range)
        .into_iter()
        .map(|p| {
            let run = ImageRun { image: p.image, file_offset: at, offset: p.offset, len: p.len, kind: p.kind };
            at = at.saturating_add(p.len);
            run
        })
        .collect()
}

fn entry(fs: &dyn FileSystem, id: FsId, path: Name, node: NodeId, deleted: bool, gaps: &Gaps) -> Entry {
    let stat = match fs.stat(node) {
        Ok(stat) => Some(Arc::new(stat)),
        Err(e) => {
            gaps.at(|p| {
                p.path = Some(path.clone());
                p.inode = Some(node.number);
            })
            .add("walk", format!("inode not read: {e}"), 0);
            None
        }
    };
    Entry { path, fs: id, node, stat, deleted, layer: None, covered: Cover::Seen, lost: false }
}
