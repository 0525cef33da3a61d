//! Several layers as the one tree that an overlay mount of them shows, by the rules of Linux' overlayfs
//! (`Documentation/filesystems/overlayfs.rst`), and what of the layers it does not show.
mod lookup;
mod marks;
#[cfg(test)]
mod tests;

pub use marks::Marks;

use super::tree::{Cover, Entry, Tree};
use super::view::{Folder, Merged, below, joined};
use crate::base::{FsId, Gaps};
use lookup::{Found, lookup};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One layer: a folder, and the name that files of it are told by.
#[derive(Clone)]
pub struct Layer {
    pub folder: Folder,
    pub name: Arc<str>,
    /// Serves contents of attribute-only files, and shows nothing itself (`lowerdir=a::b`).
    pub data_only: bool,
}

/// An entry of a layer: position of the layer, topmost first, and position in its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    layer: usize,
    entry: usize,
}

/// The layers as they are looked into.
struct Stack<'a> {
    layers: &'a [Layer],
    /// How many of them are no data-only ones; those stand first.
    shown: usize,
    marks: Marks,
    /// Layers with folders whose whiteouts are files.
    marked: Vec<bool>,
}

impl<'a> Stack<'a> {
    fn new(layers: &'a [Layer], marks: Marks) -> Self {
        let marked = layers.iter().map(|l| {
            let inside = l.folder.view.entries().iter().filter(|e| below(e.path.bytes(), &l.folder.path).is_some());
            inside.filter(|e| !e.deleted).any(|e| marks.has_file_whiteouts(e))
        });
        Self { layers, shown: layers.iter().filter(|l| !l.data_only).count(), marks, marked: marked.collect() }
    }
    /// Number of layers that show something.
    fn len(&self) -> usize {
        self.shown
    }
    fn has_data_layers(&self) -> bool {
        self.shown < self.layers.len()
    }
    fn data_layers(&self) -> std::ops::Range<usize> {
        self.shown..self.layers.len()
    }
    fn entry(&self, at: At) -> Option<&'a Entry> {
        self.layers.get(at.layer)?.folder.view.entries().get(at.entry)
    }
    fn root(&self, layer: usize) -> Option<At> {
        let folder = &self.layers.get(layer)?.folder;
        Some(At { layer, entry: folder.view.position(&folder.path)? })
    }
    fn child(&self, folder: At, name: &[u8]) -> Option<At> {
        if self.marks.is_mark(name) {
            return None;
        }
        self.exactly(folder, name)
    }
    fn exactly(&self, folder: At, name: &[u8]) -> Option<At> {
        let path = self.entry(folder)?.path.join(name);
        let entry = self.layers.get(folder.layer)?.folder.view.position(path.bytes())?;
        Some(At { layer: folder.layer, entry })
    }
    /// Whether the folder holds the mark, in the manner of aufs, that a name is removed.
    fn removes(&self, folder: At, name: &[u8]) -> bool {
        self.marks.whiteout_of(name).is_some_and(|mark| self.exactly(folder, &mark).is_some())
    }
    /// A path from a layer's root, as it is.
    fn walk(&self, layer: usize, path: &[u8]) -> Option<At> {
        let folder = &self.layers.get(layer)?.folder;
        let full = [folder.path.as_slice(), path].concat();
        Some(At { layer, entry: folder.view.position(&full)? })
    }
    fn is_whiteout(&self, at: At) -> bool {
        let (Some(entry), Some(layer)) = (self.entry(at), self.layers.get(at.layer)) else { return false };
        self.marks.is_whiteout(entry, &layer.folder, self.marked.get(at.layer) == Some(&true))
    }
    fn is_opaque(&self, at: At) -> bool {
        let (Some(entry), Some(layer)) = (self.entry(at), self.layers.get(at.layer)) else { return false };
        self.marks.is_opaque(entry, &layer.folder)
    }
}

/// A folder of the merged tree that is still to be listed.
struct Open {
    /// `""` for the root.
    path: Vec<u8>,
    stack: Vec<At>,
}

/// Entries of the merged tree for each entry of the layers: redirects can show one folder at many places.
const SPREAD: usize = 4;
/// That many are always allowed.
const SOME: usize = 10_000;
/// Longest path of the merged tree.
const MAX_PATH: usize = 1 << 16;

/// What the layers' entries became, by layer and position.
struct Fates(Vec<Vec<Option<Cover>>>);
impl Fates {
    fn get(&self, at: At) -> Option<Cover> {
        *self.0.get(at.layer)?.get(at.entry)?
    }
    /// What is seen somewhere stays seen; of other reasons the first counts, but a merged folder's.
    fn set(&mut self, at: At, cover: Cover) {
        let Some(fate) = self.0.get_mut(at.layer).and_then(|l| l.get_mut(at.entry)) else { return };
        let strength = |c: Cover| match c {
            Cover::Seen => 3,
            Cover::Merged | Cover::Attributes | Cover::Mark => 2,
            _ => 1,
        };
        if fate.is_none_or(|f| strength(f) < strength(cover)) {
            *fate = Some(cover);
        }
    }
}

/// Merges `layers`, topmost first. Marks that cannot be followed are gaps.
pub fn merge(layers: &[Layer], marks: Marks, gaps: &Gaps) -> Merged {
    let stack = Stack::new(layers, marks);
    let count = layers.iter().map(|l| l.folder.size()).fold(0, usize::saturating_add);
    let mut work = Work {
        fates: Fates(layers.iter().map(|l| vec![None; l.folder.view.entries().len()]).collect()),
        left: count.saturating_mul(SPREAD).saturating_add(SOME),
        out: Vec::new(),
        layers: &stack,
        gaps,
    };
    let roots: Vec<At> = (0..stack.len()).filter_map(|l| stack.root(l)).collect();
    let mut todo = VecDeque::from(
        work.add(Vec::new(), Found { stack: roots, ..Found::default() }).map_or_else(Vec::new, |o| vec![o]),
    );
    while let Some(open) = todo.pop_front() {
        todo.extend(work.list(&open));
        if work.left == 0 {
            let here = gaps.at(|p| p.path = Some(joined(&open.path, b"")));
            here.add(
                "overlay",
                "budget: redirects show more than the layers hold; the rest of the merged tree is missing",
                0,
            );
            break;
        }
    }
    let Work { mut out, fates, .. } = work;
    out.sort_by(|a, b| a.path.cmp(&b.path));
    let mut covered = covered(&stack, fates);
    covered.sort_by(|a, b| (&a.path, &a.layer, a.node).cmp(&(&b.path, &b.layer, b.node)));
    let mut trees: Vec<Arc<Tree>> = Vec::new();
    for tree in layers.iter().flat_map(|l| l.folder.view.trees()) {
        if !trees.iter().any(|t| t.id == tree.id) {
            trees.push(tree.clone());
        }
    }
    Merged {
        entries: out,
        covered,
        trees,
        layers: places(layers),
        from: layers.iter().map(|l| l.folder.clone()).collect(),
    }
}

/// Where the layers lie; those of merged layers too.
fn places(layers: &[Layer]) -> Vec<(FsId, Vec<u8>, Arc<str>)> {
    let mut all = Vec::new();
    for layer in layers {
        match &layer.folder.view {
            super::view::View::Tree(tree) => all.push((tree.id, layer.folder.path.clone(), layer.name.clone())),
            super::view::View::Merged(inner) => {
                all.extend(inner.layers.iter().map(|(fs, path, name)| {
                    (*fs, [path.as_slice(), layer.folder.path.as_slice()].concat(), name.clone())
                }));
            }
        }
    }
    all
}

struct Work<'a> {
    layers: &'a Stack<'a>,
    fates: Fates,
    /// Entries that may still be made.
    left: usize,
    out: Vec<Entry>,
    gaps: &'a Gaps,
}

impl Work<'_> {
    /// Enters what was found for a path; gives the folder to be listed, if it is one.
    fn add(&mut self, path: Vec<u8>, found: Found) -> Option<Open> {
        let top = *found.stack.first()?;
        let entry = self.layers.entry(top)?;
        self.left = self.left.checked_sub(1)?;
        let name = joined(&path, b"");
        let here = self.gaps.at(|p| {
            p.filesystem = Some(entry.fs);
            p.path = Some(entry.path.clone());
            p.inode = Some(entry.node.number);
        });
        if let Some(trouble) = found.trouble {
            here.add("overlay", format!("layer mark not followed: {trouble}"), 0);
        }
        if found.lost {
            here.add("overlay", format!("{name}: its content lies in a lower layer, and no layer has it"), entry.len());
        }
        let content = found.content.filter(|_| !found.lost);
        let body = content.and_then(|at| self.layers.entry(at)).unwrap_or(entry);
        // A layer that is merged itself keeps the name of its own layer.
        let layer = entry.layer.clone().or_else(|| self.layers.layers.get(top.layer).map(|l| l.name.clone()));
        self.out.push(Entry {
            path: name,
            fs: body.fs,
            node: body.node,
            stat: entry.stat.as_ref().map(|s| self.layers.marks.shown(s)),
            deleted: false,
            layer,
            covered: Cover::Seen,
            lost: found.lost || body.lost,
        });
        if content.is_some() {
            self.fates.set(top, Cover::Attributes);
            if let Some(at) = content {
                self.fates.set(at, Cover::Replaced);
            }
        } else {
            self.fates.set(top, Cover::Seen);
        }
        for lower in found.stack.iter().skip(1) {
            self.fates.set(*lower, Cover::Merged);
        }
        (entry.is_dir() && path.len() < MAX_PATH).then_some(Open { path, stack: found.stack })
    }

    /// Looks up every name of a folder; gives the folders in it.
    fn list(&mut self, open: &Open) -> Vec<Open> {
        let mut names: BTreeMap<&[u8], Vec<At>> = BTreeMap::new();
        for at in &open.stack {
            let (Some(layer), Some(entry)) = (self.layers.layers.get(at.layer), self.layers.entry(*at)) else {
                continue;
            };
            for (name, child) in layer.folder.view.children(entry.path.bytes()) {
                names.entry(name).or_default().push(At { layer: at.layer, entry: child });
            }
        }
        let mut folders = Vec::new();
        for (name, there) in names {
            if self.layers.marks.is_mark(name) {
                there.iter().for_each(|at| self.fates.set(*at, Cover::Mark));
                continue;
            }
            let found = lookup(self.layers, &open.stack, name, self.layers.marks);
            let end = found.end.unwrap_or(Cover::Replaced);
            for at in &there {
                let cover = if self.layers.is_whiteout(*at) { Cover::Mark } else { end };
                if !found.stack.contains(at) && found.content != Some(*at) {
                    self.fates.set(*at, cover);
                }
            }
            folders.extend(self.add([open.path.as_slice(), b"/", name].concat(), found));
            if self.left == 0 {
                break;
            }
        }
        folders
    }
}

/// What of the layers the merged tree does not show, at the paths where it would stand.
fn covered(layers: &Stack<'_>, mut fates: Fates) -> Vec<Entry> {
    let mut all = Vec::new();
    for (number, layer) in layers.layers.iter().enumerate() {
        let view = &layer.folder.view;
        let start = view.position(&layer.folder.path).unwrap_or(usize::MAX);
        for (position, entry) in view.entries().iter().enumerate().skip(start) {
            let at = At { layer: number, entry: position };
            let Some(rest) = below(entry.path.bytes(), &layer.folder.path).filter(|_| !entry.deleted) else { continue };
            let fate = fates.get(at).unwrap_or_else(|| {
                // What lies in a folder that is not shown shares its fate.
                let above = (position != start).then(|| view.position(entry.path.parent())).flatten();
                let above = above.and_then(|entry| fates.get(At { layer: number, entry }));
                match above {
                    Some(Cover::Seen | Cover::Merged) => Cover::Twice,
                    Some(fate) => fate,
                    None if layer.data_only => Cover::Attributes,
                    None => Cover::Replaced,
                }
            });
            fates.set(at, fate);
            if fate != Cover::Seen {
                let name = entry.layer.clone().unwrap_or_else(|| layer.name.clone());
                all.push(Entry { path: joined(rest, b""), layer: Some(name), covered: fate, ..entry.clone() });
            }
        }
        if let super::view::View::Merged(inner) = view {
            let inside = inner.covered.iter().filter_map(|e| Some((below(e.path.bytes(), &layer.folder.path)?, e)));
            all.extend(inside.map(|(rest, e)| Entry { path: joined(rest, b""), ..e.clone() }));
        }
    }
    all
}

/// The name of a layer, for a column and for people.
pub fn layer_name(role: &str, of: &str) -> Arc<str> {
    format!("{role} {of}").into()
}
