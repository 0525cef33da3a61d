//! What one mount shows: the tree of a file system, or several merged, from some folder on.
use super::tree::{Entry, Tree};
use crate::base::{FsId, Name};
use std::sync::Arc;

/// Entries sorted by path, the root `/`.
#[derive(Clone)]
pub enum View {
    Tree(Arc<Tree>),
    Merged(Arc<Merged>),
}

/// Several layers as one tree; see `overlay`.
pub struct Merged {
    /// What is seen, sorted by path.
    pub entries: Vec<Entry>,
    /// What lies in the layers and is not seen, with the path at which it would stand; sorted.
    pub covered: Vec<Entry>,
    /// The file systems of all layers, each once.
    pub trees: Vec<Arc<Tree>>,
    /// Where each layer lies: file system, folder in it, name.
    pub layers: Vec<(FsId, Vec<u8>, Arc<str>)>,
    /// The folders that the layers are.
    pub from: Vec<Folder>,
}

impl View {
    /// All entries, deleted ones of a single tree among them.
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::Tree(tree) => &tree.entries,
            Self::Merged(merged) => &merged.entries,
        }
    }
    pub fn trees(&self) -> &[Arc<Tree>] {
        match self {
            Self::Tree(tree) => std::slice::from_ref(tree),
            Self::Merged(merged) => &merged.trees,
        }
    }
    /// Position of the live entry at exactly this path.
    pub fn position(&self, path: &[u8]) -> Option<usize> {
        let entries = self.entries();
        let path: &[u8] = if path.is_empty() { b"/" } else { path };
        let at = entries.partition_point(|e| e.path.bytes() < path);
        entries.get(at).filter(|e| e.path.bytes() == path && !e.deleted).map(|_| at)
    }
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.entries().get(self.position(path)?)
    }
    /// Positions of the live entries directly below a folder, with their names; the first of each name.
    pub fn children<'a>(&'a self, folder: &'a [u8]) -> impl Iterator<Item = (&'a [u8], usize)> {
        let prefix = slashed(folder);
        let entries = self.entries();
        let mut at = entries.partition_point(|e| e.path.bytes() < prefix.as_slice());
        let mut last: Option<&[u8]> = None;
        std::iter::from_fn(move || {
            loop {
                let here = at;
                let entry = entries.get(at)?;
                let name = entry.path.bytes().strip_prefix(prefix.as_slice())?;
                at = at.saturating_add(1);
                if let Some(slash) = name.iter().position(|b| *b == b'/') {
                    // What lies below a child stands behind it: go to the next name. `0` follows `/`.
                    let mut next = prefix.clone();
                    next.extend_from_slice(name.get(..slash).unwrap_or_default());
                    next.push(b'0');
                    at = entries.partition_point(|e| e.path.bytes() < next.as_slice()).max(at);
                    continue;
                }
                if name.is_empty() || entry.deleted || last == Some(name) {
                    continue;
                }
                last = Some(name);
                return Some((name, here));
            }
        })
    }
    /// What a symlink points to, as stored.
    pub fn link_target(&self, entry: &Entry) -> Option<Name> {
        let tree = self.trees().iter().find(|t| t.id == entry.fs)?;
        tree.fs.read_link(entry.node).ok().map(Name::from)
    }
}

/// A folder's path with one slash at its end.
fn slashed(folder: &[u8]) -> Vec<u8> {
    let mut prefix = folder.strip_suffix(b"/").unwrap_or(folder).to_vec();
    prefix.push(b'/');
    prefix
}

/// What of `path` lies below `folder` (`""` for the root), with its leading slash; empty for the folder itself.
pub(super) fn below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    let path: &[u8] = if path == b"/" { b"" } else { path };
    path.strip_prefix(folder).filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// `at` (`""` for the root) with what [`below`] gave.
pub(super) fn joined(at: &[u8], rest: &[u8]) -> Name {
    let path = [at, rest].concat();
    if path.is_empty() { Name::from("/") } else { Name::from(path) }
}

/// A folder of a view: where a mount or a layer begins.
#[derive(Clone)]
pub struct Folder {
    pub view: View,
    /// Its path in the view; `""` for the root.
    pub path: Vec<u8>,
}
impl Folder {
    pub fn root(tree: Arc<Tree>) -> Self {
        Self { view: View::Tree(tree), path: Vec::new() }
    }
    pub fn entry(&self) -> Option<&Entry> {
        self.view.get(&self.path)
    }
    /// Entries from here on down.
    pub fn size(&self) -> usize {
        let entries = self.view.entries();
        if self.path.is_empty() {
            return entries.len();
        }
        let before = |end: u8| {
            let bound = [self.path.as_slice(), &[end]].concat();
            entries.partition_point(|e| e.path.bytes() < bound.as_slice())
        };
        // `0` follows `/`.
        before(b'0').saturating_sub(before(b'/')).saturating_add(1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::{Gaps, Progress};
    use crate::fs::MemFs;

    #[test]
    fn children_come_once_and_without_what_lies_below_them() {
        let text = "/a/x/deep\n    1\n/a/x-y\n    2\n/a/x.z/\n/a/gone deleted\n    3\n/a0\n    4\n/b -> a\n";
        let fs = Arc::new(MemFs::parse(text));
        let tree = Tree::index(fs, FsId(0), &Gaps::default(), &Progress::default()).unwrap();
        let view = View::Tree(Arc::new(tree));
        let names = |folder: &[u8]| view.children(folder).map(|(n, _)| n.to_vec()).collect::<Vec<_>>();
        assert_eq!(names(b""), [b"a".to_vec(), b"a0".to_vec(), b"b".to_vec()]);
        assert_eq!(names(b"/a"), [b"x".to_vec(), b"x-y".to_vec(), b"x.z".to_vec()]);
        assert_eq!(names(b"/a/x"), [b"deep".to_vec()]);
        let size = |path: &[u8]| Folder { view: view.clone(), path: path.to_vec() }.size();
        assert_eq!((size(b"/a/x"), size(b"/a"), size(b"/a0")), (2, 6, 1));
        assert_eq!(below(b"/a/b", b"/a"), Some(b"/b".as_slice()));
        assert_eq!(
            (below(b"/ab", b"/a"), below(b"/", b""), joined(b"", b"")),
            (None, Some(b"".as_slice()), "/".into())
        );
    }
}
