//! The mounts of a system as they are made, one after the other: what stands where, links followed.
use super::overlay::Layer;
use super::system::Shown;
use super::tree::Entry;
use super::view::{Folder, View, below};
use super::walk::{MAX_PATH, walk};
use crate::base::Name;
use std::sync::Arc;

/// More mounts than any real system makes; further ones are refused.
pub(super) const MAX_MOUNTS: usize = 512;

/// Entries that bind mounts and their like may show a further time, in one system.
const MAX_REPEATED: usize = 2_000_000;

/// What is mounted so far.
#[derive(Default)]
pub(super) struct Namespace {
    mounts: Vec<Shown>,
    aliases: Vec<(Vec<u8>, Name)>,
    /// Mount points whose content is lost when the system stops.
    memory: Vec<Vec<u8>>,
    /// Mount points of file systems that the evidence does not have.
    missing: Vec<Vec<u8>>,
    /// Entries that mounts show a further time.
    repeated: usize,
}

impl Namespace {
    pub(super) fn new(root: Folder) -> Self {
        let mounts = vec![Shown { at: Vec::new(), folder: root, without: Vec::new() }];
        Self {
            mounts,
            memory: [b"/run".as_slice(), b"/dev", b"/proc", b"/sys"].map(<[u8]>::to_vec).to_vec(),
            ..Self::default()
        }
    }
    /// The mount that shows a canonical path: the one that begins deepest, of several there the last.
    fn mount_of(&self, path: &[u8]) -> Option<&Shown> {
        let holds = |m: &&Shown| below(path, &m.at).is_some();
        self.mounts.iter().filter(holds).max_by_key(|m| m.at.len())
    }
    /// The entry at a canonical path.
    fn get(&self, path: &[u8]) -> Option<&Entry> {
        let mount = self.mount_of(path)?;
        let rest = below(path, &mount.at)?;
        mount.folder.view.get(&[mount.folder.path.as_slice(), rest].concat())
    }
    /// A path as it is, links followed; `None` if nothing is there.
    pub(super) fn canonical(&self, path: &[u8]) -> Option<Vec<u8>> {
        if path.len() > MAX_PATH || !path.starts_with(b"/") {
            return None;
        }
        let target = |e: &Entry| {
            let trees = self.mounts.iter().flat_map(|m| m.folder.view.trees());
            trees.into_iter().find(|t| t.id == e.fs).and_then(|t| t.fs.read_link(e.node).ok()).map(Name::from)
        };
        let aliased = |p: &[u8]| self.aliases.iter().find(|(at, _)| at == p).map(|(_, to)| to.clone());
        let found = walk(Name::from("/"), path, &|p| self.get(p), &target, &aliased)?;
        Some(if found.bytes() == b"/" { Vec::new() } else { found.bytes().to_vec() })
    }
    /// The folder at a path, as a mount or a layer begins there.
    pub(super) fn folder(&self, path: &[u8]) -> Option<Folder> {
        let at = self.canonical(path)?;
        let mount = self.mount_of(&at)?;
        let rest = below(&at, &mount.at)?;
        let folder = Folder { view: mount.folder.view.clone(), path: [mount.folder.path.as_slice(), rest].concat() };
        folder.entry().is_some().then_some(folder)
    }
    /// Mounts a folder. `false`: there are too many mounts, or they show too much again.
    pub(super) fn mount(&mut self, at: &[u8], folder: Folder) -> bool {
        // Told twice, by fstab and by a script: it is one mount, or one that covers its like.
        let again = |m: &Shown| m.at == at && same_view(&m.folder.view, &folder.view) && m.folder.path == folder.path;
        if self.mounts.iter().any(again) {
            return true;
        }
        let known = self.mounts.iter().any(|m| same_view(&m.folder.view, &folder.view));
        let more = if known { self.repeated.saturating_add(folder.size()) } else { self.repeated };
        if self.mounts.len() >= MAX_MOUNTS || more > MAX_REPEATED {
            return false;
        }
        self.repeated = more;
        self.memory.retain(|m| m != at);
        self.missing.retain(|m| m != at);
        self.mounts.push(Shown { at: at.to_vec(), folder, without: Vec::new() });
        true
    }
    /// A file system in memory is mounted here.
    pub(super) fn in_memory(&mut self, at: &[u8]) {
        self.memory.push(at.to_vec());
    }
    /// A file system that the evidence does not have is mounted here.
    pub(super) fn absent(&mut self, at: &[u8]) {
        self.missing.push(at.to_vec());
    }
    /// Where a path would be written to: which of the three kinds of mounts holds it.
    pub(super) fn kind_of(&self, path: &[u8]) -> Kind {
        let deepest = |list: &[Vec<u8>]| list.iter().filter(|m| below(path, m).is_some()).map(Vec::len).max();
        let on_disk = self.mounts.iter().filter(|m| below(path, &m.at).is_some()).map(|m| m.at.len()).max();
        let (memory, missing) = (deepest(&self.memory), deepest(&self.missing));
        if memory > missing && memory > on_disk {
            Kind::Memory
        } else if missing.is_some() && missing > on_disk {
            Kind::Missing
        } else {
            Kind::Disk
        }
    }
    /// The upper folder of an overlay at `at` is shown there, and not a second time in its own place.
    pub(super) fn shown_at(&mut self, upper: &Folder, at: &[u8]) {
        let mut aliases = Vec::new();
        for mount in &mut self.mounts {
            if same_view(&mount.folder.view, &upper.view)
                && let Some(rest) = below(&upper.path, &mount.folder.path).filter(|r| !r.is_empty())
            {
                mount.without.push(upper.path.clone());
                aliases.push(([mount.at.as_slice(), rest].concat(), Name::new(if at.is_empty() { b"/" } else { at })));
            }
        }
        self.aliases.extend(aliases);
    }
    /// The root as a mount of its own.
    pub(super) fn shown_root(&self) -> Vec<Shown> {
        let root = self.mounts.first().map(|m| m.folder.clone());
        root.into_iter().map(|folder| Shown { at: Vec::new(), folder, without: Vec::new() }).collect()
    }
    /// All mounts, for a system. Of a file system that is mounted as a whole and in part, the part stands at
    /// its own mount point only.
    pub(super) fn finish(mut self) -> (Vec<Shown>, Vec<(Vec<u8>, Name)>) {
        let parts: Vec<(View, Vec<u8>, Vec<u8>)> =
            self.mounts.iter().map(|m| (m.folder.view.clone(), m.folder.path.clone(), m.at.clone())).collect();
        for mount in &mut self.mounts {
            for (view, path, at) in &parts {
                let inside = below(path, &mount.folder.path).filter(|r| !r.is_empty());
                // A bind mount of a folder within the system shows it twice, and both are names of it.
                let within = is_subvolume(view, path);
                if let Some(rest) = inside.filter(|_| within && same_view(view, &mount.folder.view)) {
                    mount.without.push(path.clone());
                    let to = Name::new(if at.is_empty() { b"/" } else { at });
                    self.aliases.push(([mount.at.as_slice(), rest].concat(), to));
                }
            }
        }
        (self.mounts, self.aliases)
    }
}

/// What holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Disk,
    Memory,
    Missing,
}

/// Whether two views are one and the same.
pub(super) fn same_view(a: &View, b: &View) -> bool {
    match (a, b) {
        (View::Tree(a), View::Tree(b)) => Arc::ptr_eq(a, b),
        (View::Merged(a), View::Merged(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// Whether a folder is the root of a subvolume (Btrfs).
pub(super) fn is_subvolume(view: &View, path: &[u8]) -> bool {
    let flags = view.get(path).and_then(|e| e.stat.as_ref()).map(|s| s.flags.as_slice()).unwrap_or_default();
    flags.iter().any(|f| matches!(*f, "subvolume" | "snapshot"))
}

/// A layer over a folder, named.
pub(super) fn layer(folder: Folder, role: &str, name: &str) -> Layer {
    Layer { folder, name: super::overlay::layer_name(role, name), data_only: false }
}
