//! Looking inside without examining: `ls`, `cat`, and raw bytes for a hex view.
//!
//! A place is a path in the first system (or the first file system where no system is installed), or
//! `N:/path` in file system N, or `N:@INODE` there, by the node's
//! number (`N:@INODE:/path` chooses among its names); deleted entries stand below the folder they
//! were in.
use super::link::Link;
use super::protocol::Listed;
use crate::base::{Cancelled, Gap, Gaps, Name, Progress, Stage, Wanted};
use crate::evidence::{Entry, Tree};
use crate::extract::{self, Indexed, Input, Request, Sink};
use crate::fs::{FolderDisk, NodeKind};
use crate::image::{ReadAt, Scratch, Segment, Siblings, Store};
use crate::inventory::{Row, Scene};
use std::sync::{Arc, Mutex, PoisonError};

/// Nothing is committed when one only looks; further files are asked for all the same.
pub(super) struct Quiet<'a> {
    link: &'a Link,
    /// The first thing that could not be read: what bars the way to a whole volume before anything else.
    unread: Mutex<Option<Gap>>,
}
impl<'a> Quiet<'a> {
    pub(super) fn new(link: &'a Link) -> Self {
        Self { link, unread: Mutex::default() }
    }
    /// Why there is no file system, where there is none.
    pub(super) fn why(&self) -> String {
        let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.as_ref().map(|g| format!(": {}: {}", g.by, g.what)).unwrap_or_default()
    }
}
impl Sink for Quiet<'_> {
    fn enter(&self, _item: u64, _name: &str) -> bool {
        true
    }
    fn is_done(&self, _item: u64) -> bool {
        false
    }
    fn stage(&self, _stage: Stage, _total: u64) {}
    fn scene(&self, _scene: &Scene) {}
    fn sibling(&self, image: u32, wanted: &Wanted) -> Result<Segment, String> {
        self.link.sibling(image, wanted)
    }
    fn scratch(&self) -> Option<Arc<dyn Scratch>> {
        self.link.scratch()
    }
    fn commit(&self, _items: &[u64], _rows: Vec<Row>, gaps: Vec<Gap>) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let rank = |g: &Gap| match g {
            g if g.by == "image" || g.what.starts_with("encrypted: ") => 0,
            g if g.at.volume.is_some() => 1,
            _ => 2,
        };
        for gap in gaps {
            if unread.as_ref().is_none_or(|first| rank(&gap) < rank(first)) {
                *unread = Some(gap);
            }
        }
    }
}

/// The parent, asked for the files of one image.
pub(super) struct Files<'a>(pub &'a Link, pub u32);
impl Siblings for Files<'_> {
    fn ask(&self, wanted: &Wanted) -> Result<Segment, String> {
        self.0.sibling(self.1, wanted)
    }
}

pub(super) type Told<T> = Result<Result<T, String>, Cancelled>;

/// A folder's entries, or the one file.
pub(super) fn list(
    inputs: Vec<Input>,
    place: &str,
    request: &Request,
    link: &Link,
    progress: &Progress,
) -> Told<Vec<Listed>> {
    let quiet = Quiet::new(link);
    let indexed = extract::index(inputs, request, &quiet, progress)?;
    Ok(find(&indexed, place, &quiet).map(|(tree, found)| {
        let is_dir = found.is_dir();
        let entries = if is_dir { children(&indexed, place, tree, &found) } else { vec![found] };
        entries.iter().map(|e| listed(&indexed, e)).collect()
    }))
}

/// A file's bytes, in pieces.
pub(super) fn read(
    inputs: Vec<Input>,
    place: &str,
    request: &Request,
    link: &Link,
    progress: &Progress,
    emit: &mut dyn FnMut(&[u8]),
) -> Told<()> {
    let quiet = Quiet::new(link);
    let indexed = extract::index(inputs, request, &quiet, progress)?;
    let found = find(&indexed, place, &quiet).and_then(|(tree, entry)| match entry.kind() {
        NodeKind::File => tree.open(&entry).map_err(|e| format!("{}: {e}", entry.path)),
        kind => Err(format!("{}: a {}, not a regular file", entry.path, kind.as_str())),
    });
    let source = match found {
        Ok(source) => source,
        Err(what) => return Ok(Err(what)),
    };
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        progress.step(1)?;
        match source.read_at(at, &mut buf) {
            Ok(0) => return Ok(Ok(())),
            Ok(n) => {
                emit(buf.get(..n).unwrap_or_default());
                at = at.saturating_add(n as u64);
            }
            Err(e) => return Ok(Err(format!("{place}: {e}"))),
        }
    }
}

/// Bytes of an image as acquired.
pub(super) fn raw(inputs: Vec<Input>, image: u32, offset: u64, len: u32, link: &Link) -> Result<Vec<u8>, String> {
    let gaps = Gaps::default();
    let input = inputs.into_iter().nth(image as usize).ok_or_else(|| format!("there is no image {image}"))?;
    if let Some((folder, opener)) = input.folder {
        let disk = FolderDisk::new(folder, opener);
        let mut buf = vec![0; len.min(16 << 20) as usize];
        let n = disk.read_at(offset, &mut buf).map_err(|e| e.to_string())?;
        buf.truncate(n);
        return Ok(buf);
    }
    let files = Files(link, image);
    let store = Store::new(link.scratch());
    let source = crate::image::join(input.segments);
    let opened = crate::image::open_with(source, image, &files, &gaps, &store);
    let (_, container) = opened.map_err(|e| e.to_string())?;
    let mut buf = vec![0; len.min(16 << 20) as usize];
    let n = container.disk.read_at(offset, &mut buf).map_err(|e| e.to_string())?;
    buf.truncate(n);
    Ok(buf)
}

/// `N:/path` or a path of the first system; links are followed as the system would.
pub(super) fn find<'a>(indexed: &'a Indexed, place: &str, quiet: &Quiet<'_>) -> Result<(&'a Arc<Tree>, Entry), String> {
    let none = || format!("{place}: nothing is there");
    if let Some((number, path)) = place.split_once(':')
        && let Ok(number) = number.parse::<u32>()
    {
        let tree = indexed.trees.iter().find(|t| t.id.0 == number);
        let tree = tree.ok_or_else(|| format!("{place}: there is no readable file system {number}"))?;
        let path = if path.is_empty() { "/" } else { path };
        if let Some(node) = path.strip_prefix('@') {
            // Of several names the one that the path in the running system ends with.
            let (node, path) = node.split_once(':').unwrap_or((node, ""));
            let entry = node.parse().ok().and_then(|node: u64| {
                let of_node = |e: &&Entry| e.node.number == node;
                let named = |e: &&Entry| of_node(e) && path.ends_with(&e.path.display());
                let live = |e: &&Entry| of_node(e) && !e.deleted;
                let all = || tree.entries.iter();
                all().find(named).or_else(|| all().find(live)).or_else(|| all().find(of_node))
            });
            return entry.map(|e| (tree, e.clone())).ok_or_else(none);
        }
        let entry = tree.entries.iter().find(|e| e.path.display() == path || e.path.bytes() == path.as_bytes());
        return entry.map(|e| (tree, e.clone())).ok_or_else(none);
    }
    if let Some(system) = indexed.systems.first() {
        let entry = system.resolve(place).or_else(|| system.entries().iter().find(|e| e.path.display() == place));
        let entry = entry.ok_or_else(none)?;
        let tree = indexed.trees.iter().find(|t| t.id == entry.fs).ok_or_else(none)?;
        return Ok((tree, entry.clone()));
    }
    let nothing = || format!("no readable file system in this evidence{}; `examine` tells more", quiet.why());
    let tree = indexed.trees.first().ok_or_else(nothing)?;
    let entry = tree.entries.iter().find(|e| e.path.bytes() == place.as_bytes() || e.path.display() == place);
    entry.map(|e| (tree, e.clone())).ok_or_else(none)
}

/// The entries directly below a folder.
fn children(indexed: &Indexed, place: &str, tree: &Tree, dir: &Entry) -> Vec<Entry> {
    let mut prefix = dir.path.bytes().to_vec();
    if prefix != b"/" {
        prefix.push(b'/');
    }
    let below = |e: &&Entry| {
        let rest = e.path.bytes().strip_prefix(prefix.as_slice());
        rest.is_some_and(|r| !r.is_empty() && !r.contains(&b'/'))
    };
    let in_tree = place.split_once(':').is_some_and(|(n, _)| n.parse::<u32>().is_ok());
    match indexed.systems.first() {
        Some(system) if !in_tree => system.entries().iter().filter(below).cloned().collect(),
        _ => tree.entries.iter().filter(below).cloned().collect(),
    }
}

fn listed(indexed: &Indexed, entry: &Entry) -> Listed {
    let tree = indexed.trees.iter().find(|t| t.id == entry.fs);
    let stat = entry.stat.as_ref();
    let link = stat.filter(|s| s.kind == NodeKind::Symlink).and(tree);
    Listed {
        name: Name::new(entry.path.file_name()),
        kind: entry.kind().as_str().to_owned(),
        size: entry.len(),
        mode: stat.map_or(0, |s| s.mode),
        uid: stat.map_or(0, |s| s.uid),
        gid: stat.map_or(0, |s| s.gid),
        modified: stat.and_then(|s| s.times.modified),
        inode: entry.node.number,
        target: link.and_then(|t| t.fs.read_link(entry.node).ok()).map(Name::from),
        deleted: entry.deleted,
    }
}
