//! One name looked up through the layers of a folder, step for step as the kernel's `ovl_lookup` does it:
//! whiteouts, opaque folders, redirects by name and by path, contents of attribute-only files.
use super::marks::Marks;
use super::{At, Stack};
use crate::evidence::tree::{Cover, Entry};

/// What a name means in a merged folder.
#[derive(Default)]
pub(super) struct Found {
    /// The layers' entries, topmost first: one for a file, all that are merged for a folder.
    pub(super) stack: Vec<At>,
    /// The entry whose content counts, where the topmost holds attributes only.
    pub(super) content: Option<At>,
    /// The topmost holds attributes only, and no layer has the content.
    pub(super) lost: bool,
    /// What ended the search: what lies below it is covered by this.
    pub(super) end: Option<Cover>,
    /// Said of marks that cannot be followed.
    pub(super) trouble: Option<&'static str>,
    /// A redirect led away from the own name.
    pub(super) redirected: bool,
}

/// Steps of a redirect's path; paths are no longer than 4096 bytes.
const MAX_STEPS: usize = 2048;

/// The state of a search.
struct Search<'a> {
    layers: &'a Stack<'a>,
    marks: Marks,
    /// A name, or a path from the layer's root.
    name: Vec<u8>,
    is_dir: bool,
    metacopy: bool,
    stop: bool,
    found: Found,
}

/// Looks `name` up in the folder that `stack` stands for, topmost layer first.
pub(super) fn lookup(layers: &Stack<'_>, stack: &[At], name: &[u8], marks: Marks) -> Found {
    let mut search = Search {
        layers,
        marks,
        name: name.to_vec(),
        is_dir: false,
        metacopy: false,
        stop: false,
        found: Found::default(),
    };
    let last = layers.len().saturating_sub(1);
    let mut from = 0;
    for at in stack {
        if search.stop || search.name.starts_with(b"/") {
            break;
        }
        search.step(*at, last);
        from = at.layer.saturating_add(1);
    }
    // From a redirect by path on, every lower layer is asked from its root.
    while !search.stop && search.name.starts_with(b"/") && from < layers.len() {
        search.by_path(from, last);
        from = from.saturating_add(1);
    }
    if search.metacopy {
        search.data_only();
    }
    let Search { mut found, metacopy, .. } = search;
    found.lost = metacopy;
    found
}

impl Search<'_> {
    /// The name in one folder of the stack.
    fn step(&mut self, folder: At, last: usize) {
        let Some(child) = self.layers.child(folder, &self.name) else {
            if self.layers.removes(folder, &self.name) {
                self.stop = true;
                self.found.end.get_or_insert(Cover::Removed);
            }
            return;
        };
        self.single(child, true, &[], &[], last);
    }

    /// A path from the root of one layer.
    fn by_path(&mut self, layer: usize, last: usize) {
        let mut at = self.layers.root(layer);
        // The path may change on the way: what is left of it is counted from its end.
        let mut left = self.name.len().saturating_sub(1);
        for _ in 0..MAX_STEPS {
            let Some(here) = at else { return };
            let start = self.name.len().saturating_sub(left);
            let rest = self.name.get(start..).unwrap_or_default().to_vec();
            let len = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            let (part, next) = rest.split_at(len);
            let prefix = self.name.get(..start).unwrap_or_default().to_vec();
            let end = next.is_empty();
            let Some(child) = self.layers.child(here, part) else { return };
            if !self.single(child, end, &prefix, next, last) || end {
                return;
            }
            left = left.saturating_sub(len.saturating_add(1));
            at = Some(child).filter(|c| self.layers.entry(*c).is_some_and(Entry::is_dir));
        }
    }

    /// One entry on the way; `false` where it is not there for the merged tree.
    fn single(&mut self, at: At, is_last: bool, prefix: &[u8], post: &[u8], last: usize) -> bool {
        let Some(entry) = self.layers.entry(at) else { return false };
        if self.layers.is_whiteout(at) {
            self.stop = true;
            self.found.end.get_or_insert(Cover::Removed);
            return false;
        }
        if is_last && self.metacopy && !entry.is_file() {
            self.stop = true;
            return false;
        }
        if entry.is_dir() {
            if is_last {
                self.is_dir = true;
                self.take(at);
            }
            if at.layer == last {
                return true;
            }
            if self.layers.is_opaque(at) {
                self.stop = true;
                if is_last {
                    self.found.end.get_or_insert(Cover::Opaque);
                }
                return true;
            }
        } else {
            if self.is_dir || !is_last {
                self.stop = true;
                self.found.end.get_or_insert(Cover::Replaced);
                return false;
            }
            let attributes_only = self.marks.is_metacopy(entry);
            self.take(at);
            self.metacopy = attributes_only;
            self.stop = !attributes_only;
            self.found.end.get_or_insert(Cover::Replaced);
            if !attributes_only || (at.layer == last && !self.layers.has_data_layers()) {
                return true;
            }
        }
        match self.marks.redirect(entry) {
            Ok(None) => {}
            Ok(Some(to)) => {
                let mut name = if to.starts_with(b"/") {
                    self.stop = false;
                    to.to_vec()
                } else {
                    [prefix, to].concat()
                };
                name.extend_from_slice(post);
                self.found.redirected = true;
                self.name = name;
            }
            Err(trouble) => self.found.trouble = Some(trouble),
        }
        true
    }

    fn take(&mut self, at: At) {
        if self.metacopy {
            self.found.content = Some(at);
        } else {
            self.found.stack.push(at);
        }
    }

    /// Layers that serve contents only, by a redirect's path.
    fn data_only(&mut self) {
        if !self.name.starts_with(b"/") {
            return;
        }
        for layer in self.layers.data_layers() {
            let Some(found) = self.layers.walk(layer, &self.name) else { continue };
            if self.layers.entry(found).is_some_and(Entry::is_file) {
                self.found.content = Some(found);
                self.metacopy = false;
                return;
            }
        }
    }
}
