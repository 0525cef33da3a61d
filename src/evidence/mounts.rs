//! The mounts of a system made: file systems, parts of them, bind mounts, overlays over folders.
use super::devices::{self, Meant};
use super::identify::Candidate;
use super::namespace::{Kind, MAX_MOUNTS, Namespace, is_subvolume, layer};
use super::overlay::{Layer, Marks, merge};
use super::stack::overlayroot::layer_below;
use super::stack::{Further, Recurse, Stack, Upper};
use super::table::{Line, lower_dirs};
use super::view::{Folder, View};
use crate::base::Gaps;
use crate::inventory::{LayerInfo, LayeringInfo, Mount};
use std::sync::Arc;

/// What a system's mounts are made with.
pub(super) struct Maker<'a, 'c> {
    pub(super) all: &'a [Candidate<'c>],
    /// The file system that the root begins on.
    pub(super) own: &'a Candidate<'c>,
    /// What the system calls its root's device.
    pub(super) root: String,
    pub(super) gaps: Gaps,
    pub(super) listed: Vec<Mount>,
    pub(super) layerings: Vec<LayeringInfo>,
    /// Merged entries that overlays over overlays may still make.
    budget: usize,
    /// Facts about the mounts that no layering has a place for.
    pub(super) notes: Vec<String>,
}

/// What is said of a stack.
struct Merging<'s> {
    by: &'s str,
    /// `""` for the root.
    at: &'s [u8],
    /// disk, memory, missing, none.
    state: &'s str,
    /// What the source calls the writable layer.
    named: &'s str,
    marks: Marks,
}

/// Entries of all merged trees of one system.
const MERGED: usize = 4_000_000;

const VIRTUAL: &[&str] = &[
    "proc",
    "sysfs",
    "tmpfs",
    "ramfs",
    "devpts",
    "devtmpfs",
    "swap",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "nfs",
    "nfs4",
    "cifs",
    "overlay",
    "overlayfs",
    "none",
    "bind",
    "fuse",
    "autofs",
    "mqueue",
    "hugetlbfs",
    "configfs",
    "efivarfs",
    "securityfs",
    "pstore",
    "binfmt_misc",
    "9p",
    "virtiofs",
];

fn is_disk(device: &str, kind: &str) -> bool {
    !VIRTUAL.contains(&kind)
        && (device.contains('=') || device.starts_with("/dev/"))
        && !device.starts_with("/dev/sr")
        && !device.starts_with("/dev/cdrom")
        && !device.starts_with("/dev/fd")
}

impl<'a, 'c> Maker<'a, 'c> {
    pub(super) fn new(all: &'a [Candidate<'c>], own: &'a Candidate<'c>, gaps: Gaps) -> Self {
        Self {
            all,
            own,
            root: String::new(),
            gaps,
            listed: Vec::new(),
            layerings: Vec::new(),
            budget: MERGED,
            notes: Vec::new(),
        }
    }

    /// The root of a layered system, with what its scheme mounts besides.
    pub(super) fn root(&mut self, stack: Stack, gaps: &Gaps) -> Namespace {
        let Stack { by, upper, named, lowers, marks, further, .. } = stack;
        let (upper, state) = match upper {
            Upper::Disk(folder) => (Some(folder), "disk"),
            Upper::Memory => (None, "memory"),
            Upper::Missing => (None, "missing"),
            Upper::None => (None, "none"),
        };
        let lowers: Vec<Layer> = lowers.into_iter().map(|f| layer(f.clone(), "lower", &self.named(&f))).collect();
        let roots: Vec<Folder> = lowers.iter().map(|l| l.folder.clone()).collect();
        let merging = Merging { by: &by, at: b"", state, named: &named, marks };
        let merged = self.stack(&merging, upper.as_ref(), lowers, gaps, &mut Namespace::default());
        let mut space = Namespace::new(merged);
        for one in further {
            match one {
                Further::Folder { at, folder } => {
                    let kind = if self.named(&folder).contains(':') { "bind" } else { "" };
                    let line = Line { at: at.clone(), device: self.named(&folder), ..Line::default() };
                    self.list(&line, Some(&folder), kind);
                    let at = space.canonical(at.as_bytes()).unwrap_or_else(|| at.into_bytes());
                    space.mount(&at, folder);
                }
                Further::Union { at, upper, named } => {
                    let below = |f: &Folder| {
                        let folder = Folder { view: f.view.clone(), path: [f.path.as_slice(), at.as_bytes()].concat() };
                        folder.entry().is_some().then_some(folder)
                    };
                    let lowers = roots.iter().filter_map(below).map(|f| layer(f.clone(), "lower", &self.named(&f)));
                    let lowers: Vec<Layer> = lowers.collect();
                    let at = space.canonical(at.as_bytes()).unwrap_or_else(|| at.clone().into_bytes());
                    let merging = Merging { by: &by, at: &at, state: "disk", named: &named, marks };
                    let folder = self.stack(&merging, Some(&upper), lowers, gaps, &mut space);
                    space.mount(&at, folder);
                }
            }
        }
        if let Some(folder) = &upper {
            space.shown_at(folder, b"");
        }
        space
    }

    /// Writable layers over the other file systems of fstab, as overlayroot makes them; what stays written to is told.
    pub(super) fn recurse(&mut self, lines: &[Line], recurse: &Recurse, space: &mut Namespace) {
        let disks =
            lines.iter().filter(|l| !l.at.is_empty() && !l.is_overlay() && !l.is_bind() && is_disk(&l.device, &l.kind));
        for line in disks.filter(|l| l.by.starts_with("fstab")) {
            let at = line.at.as_bytes();
            let Some(lower) = space.folder(at) else { continue };
            let plain = matches!(line.kind.as_str(), "vfat" | "fat");
            if plain || line.fields < 6 {
                let why = if plain { "its kind" } else { "its line of fewer than six words" };
                let what = format!(
                    "{}: {} gets no layer of its own, for {why}: what is written there stays",
                    line.by, line.at
                );
                self.notes.push(what);
                continue;
            }
            let upper = recurse.below.as_ref().and_then(|b| layer_below(b, &line.at));
            let state = if upper.is_some() || recurse.state != "disk" { recurse.state } else { "none" };
            let by = format!("overlayroot, recurse ({})", line.by);
            let lower = layer(lower.clone(), "lower", &self.named(&lower));
            let here = self.at(line);
            let at = space.canonical(at).unwrap_or_else(|| at.to_vec());
            let merging = Merging { by: &by, at: &at, state, named: "", marks: Marks::default() };
            let folder = self.stack(&merging, upper.as_ref(), vec![lower], &here, space);
            self.place(line, folder, space);
        }
    }

    fn at(&self, line: &Line) -> Gaps {
        self.gaps.at(|p| p.path = Some(line.path.clone()))
    }

    /// Makes all mounts but the root: file systems first, as what they hold others build on.
    pub(super) fn make(&mut self, lines: &[Line], space: &mut Namespace) {
        let mut order: Vec<&Line> = lines.iter().filter(|l| !l.at.is_empty()).collect();
        // systemd makes a mount point's mount before those below it.
        order.sort_by_key(|l| (l.is_bind() || l.is_overlay(), l.at.matches('/').count()));
        for line in order {
            let later = line.has("noauto") && !line.has("x-systemd.automount");
            if later && (line.is_bind() || line.is_overlay()) {
                let what = format!("{}: {} is not mounted at boot (noauto); not joined", line.by, line.at);
                self.at(line).add("fstab", what, 0);
            } else if line.is_bind() {
                self.bind(line, space);
            } else if line.is_overlay() {
                self.overlay(line, space);
            } else if is_disk(&line.device, &line.kind) {
                self.disk(line, space);
            }
        }
    }

    fn list(&mut self, line: &Line, folder: Option<&Folder>, kind: &str) {
        let tree = folder.and_then(|f| match &f.view {
            View::Tree(tree) => Some(tree.id),
            View::Merged(_) => None,
        });
        let path = folder.map(|f| crate::base::Name::new(&f.path).display()).unwrap_or_default();
        let at = if line.at.is_empty() { "/".to_owned() } else { line.at.clone() };
        self.listed.push(Mount { at, filesystem: tree, device: line.device.clone(), path, kind: kind.to_owned() });
    }

    fn place(&self, line: &Line, folder: Folder, space: &mut Namespace) {
        // The mount point as it is; one that does not exist is made or the mount fails: it is shown where it is named.
        let at = space.canonical(line.at.as_bytes()).unwrap_or_else(|| line.at.as_bytes().to_vec());
        if !space.mount(&at, folder) {
            self.at(line).add(
                "fstab",
                format!(
                    "{}: budget: more than {MAX_MOUNTS} mounts, or folders shown again and again; not joined",
                    line.by
                ),
                0,
            );
        }
    }

    fn disk(&mut self, line: &Line, space: &mut Namespace) {
        let meant = devices::meant(&line.device, &self.root, self.own, self.all);
        let shown = &line.at;
        let folder = match meant {
            Meant::One(one) => match part(one, line) {
                Ok(folder) => Some(folder),
                Err(what) => {
                    let what = format!("{}: {} at {shown}: {what}; not joined", line.by, line.device);
                    self.at(line).add("fstab", what, 0);
                    None
                }
            },
            Meant::None => {
                let what =
                    format!("{}: {} at {shown} is no readable file system of the evidence", line.by, line.device);
                self.at(line).add("fstab", what, 0);
                None
            }
            Meant::Several(ids) => {
                let what = format!("{}: {} may be any of {}; not joined", line.by, line.device, ids.join(", "));
                self.at(line).add("fstab", what, 0);
                None
            }
        };
        self.list(line, folder.as_ref(), "");
        match folder {
            Some(folder) => self.place(line, folder, space),
            None => space.absent(line.at.as_bytes()),
        }
    }

    fn bind(&mut self, line: &Line, space: &mut Namespace) {
        let folder = space.folder(line.device.as_bytes());
        if folder.is_none() && space.kind_of(line.device.as_bytes()) == Kind::Disk {
            let what = format!("{}: {} is to be bound to {}, and nothing is there", line.by, line.device, line.at);
            self.at(line).add("fstab", what, 0);
        }
        self.list(line, folder.as_ref(), "bind");
        if let Some(folder) = folder {
            self.place(line, folder, space);
        }
    }

    /// An overlay over a folder: `lowerdir=`, `upperdir=`, `workdir=`.
    fn overlay(&mut self, line: &Line, space: &mut Namespace) {
        // In the first stage of booting the root stands below /sysroot.
        let early = line.has("x-initrd.mount");
        let own = |path: &str| match path.strip_prefix("/sysroot/").filter(|_| early) {
            Some(rest) => format!("/{rest}"),
            None => path.to_owned(),
        };
        let mut named: Vec<(String, bool)> = line.value("lowerdir").map(lower_dirs).unwrap_or_default();
        for option in &line.options {
            let data = option.strip_prefix("datadir+=").map(|p| (p.to_owned(), true));
            named.extend(option.strip_prefix("lowerdir+=").map(|p| (p.to_owned(), false)).or(data));
        }
        let mut lowers = Vec::new();
        for (path, data_only) in named {
            let path = own(&path);
            if let Some(folder) = space.folder(path.as_bytes()) {
                lowers.push(Layer { data_only, ..layer(folder.clone(), "lower", &self.named(&folder)) });
            } else {
                let what = format!("{}: overlay at {}: its lower folder {path} is not there", line.by, line.at);
                self.at(line).add("overlay", what, 0);
            }
        }
        let upper = line.value("upperdir").map(own);
        let stack = self.upper(line, upper.as_deref(), space);
        let (upper, state, named) = stack;
        if lowers.is_empty() && upper.is_none() {
            self.list(line, None, "overlay");
            return;
        }
        let marks = Marks { user: line.has("userxattr"), ..Marks::default() };
        let at = space.canonical(line.at.as_bytes()).unwrap_or_else(|| line.at.as_bytes().to_vec());
        let merging = Merging { by: &line.by, at: &at, state, named: &named, marks };
        let here = self.at(line);
        let folder = self.stack(&merging, upper.as_ref(), lowers, &here, space);
        self.list(line, None, "overlay");
        self.place(line, folder, space);
    }

    fn upper(&self, line: &Line, path: Option<&str>, space: &Namespace) -> (Option<Folder>, &'static str, String) {
        let Some(path) = path else { return (None, "none", String::new()) };
        if let Some(folder) = space.folder(path.as_bytes()) {
            return (Some(folder), "disk", path.to_owned());
        }
        let at = &line.at;
        let (state, why) = match space.kind_of(path.as_bytes()) {
            Kind::Memory => return (None, "memory", path.to_owned()),
            Kind::Missing => ("missing", "lies on a device that the evidence does not have"),
            Kind::Disk => ("missing", "is not there"),
        };
        let what =
            format!("{}: overlay at {at}: its upper folder {path} {why}; only the layers below are shown", line.by);
        self.at(line).add("overlay", what, 0);
        (None, state, path.to_owned())
    }

    /// Merges a stack and enters it among the layerings.
    fn stack(
        &mut self,
        what: &Merging<'_>,
        upper: Option<&Folder>,
        lowers: Vec<Layer>,
        gaps: &Gaps,
        space: &mut Namespace,
    ) -> Folder {
        let Merging { by, at, state, named, marks } = *what;
        let mut layers: Vec<Layer> = Vec::new();
        if let Some(folder) = upper {
            layers.push(layer(folder.clone(), "upper", &self.named(folder)));
        }
        layers.extend(lowers);
        let info = |l: &Layer| LayerInfo {
            name: l.name.to_string(),
            filesystem: l.folder.view.trees().first().filter(|_| matches!(l.folder.view, View::Tree(_))).map(|t| t.id),
            path: crate::base::Name::new(&l.folder.path).display(),
        };
        let upper_info = upper.and_then(|_| layers.first()).map(&info);
        let skip = usize::from(upper.is_some());
        self.layerings.push(LayeringInfo {
            at: if at.is_empty() { "/".to_owned() } else { crate::base::Name::new(at).display() },
            by: by.to_owned(),
            upper: upper_info,
            upper_state: state.to_owned(),
            upper_named: named.to_owned(),
            lowers: layers.iter().skip(skip).map(info).collect(),
        });
        let count = layers.iter().map(|l| l.folder.size()).fold(0, usize::saturating_add);
        let Some(left) = self.budget.checked_sub(count) else {
            gaps.add("overlay", "budget: merged trees of one system; only its top layer is shown", 0);
            return layers.into_iter().next().map_or_else(|| Folder::root(self.own.tree.clone()), |l| l.folder);
        };
        self.budget = left;
        let merged = merge(&layers, marks, gaps);
        if let Some(folder) = upper {
            space.shown_at(folder, at);
        }
        Folder { view: View::Merged(Arc::new(merged)), path: Vec::new() }
    }

    /// What people call a folder: its file system, and its path where it is not the root.
    pub(super) fn named(&self, folder: &Folder) -> String {
        let path = crate::base::Name::new(&folder.path).display();
        let of = match &folder.view {
            View::Tree(tree) => self.all.iter().find(|c| c.tree.id == tree.id).map(devices::called),
            View::Merged(_) => None,
        };
        match of {
            Some(of) if path.is_empty() => of,
            Some(of) => format!("{of}:{path}"),
            None if path.is_empty() => "/".to_owned(),
            None => path,
        }
    }
}

/// The part of a file system that a line mounts: a subvolume, by path or number, or the default one.
pub(super) fn part(of: &Candidate<'_>, line: &Line) -> Result<Folder, String> {
    let view = View::Tree(of.tree.clone());
    let by_path = line.value("subvol").or_else(|| line.value("X-mount.subdir"));
    let path = match (by_path, line.value("subvolid")) {
        (Some(path), _) => format!("/{}", path.trim_matches('/')),
        (None, Some(id)) => return subvolume(&view, id).map(|path| Folder { view, path }),
        (None, None) => return Ok(default_part(of)),
    };
    let path = if path == "/" { Vec::new() } else { path.into_bytes() };
    match view.get(&path) {
        Some(entry) if entry.is_dir() => Ok(Folder { view, path }),
        _ => Err(format!("subvolume {} is not there", String::from_utf8_lossy(&path))),
    }
}

/// What is mounted of a file system where nothing else is said.
pub(super) fn default_part(of: &Candidate<'_>) -> Folder {
    let is_default =
        |e: &&super::tree::Entry| e.stat.as_ref().is_some_and(|s| s.flags.contains(&"default-subvolume")) && !e.deleted;
    let path = of.tree.entries.iter().find(is_default).map(|e| e.path.bytes().to_vec()).unwrap_or_default();
    Folder { view: View::Tree(of.tree.clone()), path }
}

/// The path of a subvolume by its number; 5 and 0 are the top.
fn subvolume(view: &View, id: &str) -> Result<Vec<u8>, String> {
    let number: u64 = id.parse().map_err(|_| format!("subvolid {id} is no number"))?;
    if matches!(number, 0 | 5) {
        return Ok(Vec::new());
    }
    let found = view
        .entries()
        .iter()
        .find(|e| e.node.generation == number && !e.deleted && e.is_dir() && is_subvolume(view, e.path.bytes()));
    found.map(|e| e.path.bytes().to_vec()).ok_or_else(|| format!("subvolume {number} is not there"))
}
