//! Where roots of systems lie: at the top of a file system, or in a subvolume (Btrfs) that the boot loader, the
//! subvolume's own fstab or the file system names.
use super::boot::BootLine;
use super::devices::names;
use super::identify::{Candidate, family};
use super::mounts::{default_part, part};
use super::namespace::{Namespace, is_subvolume};
use super::partial;
use super::stack::Root;
use super::system::{Shown, System};
use super::table::{self, Line};
use super::view::{Folder, View};
use crate::base::Gaps;
use crate::inventory::SystemInfo;

/// Subvolumes of one file system that are looked at.
const MAX_SUBVOLUMES: usize = 1024;

/// A root, with nothing mounted on it yet.
pub(super) struct Found<'a, 'c> {
    pub(super) candidate: &'a Candidate<'c>,
    pub(super) folder: Folder,
    pub(super) alone: System,
    pub(super) family: &'static str,
    /// What of the system is there, where it is not all of it.
    pub(super) partial: Option<&'static str>,
    pub(super) gaps: Gaps,
}

impl<'a, 'c> Found<'a, 'c> {
    /// With the command lines that start it: those that name its file system, and those of its image that name none.
    pub(super) fn root<'r>(&'r self, all: &'a [Candidate<'c>], lines: &'r [BootLine]) -> Root<'r, 'c>
    where
        'a: 'r,
    {
        let starts = |l: &&BootLine| {
            let same_image = l.image == self.candidate.volume.image;
            let Some(device) = l.get("root").filter(|d| !d.is_empty()) else { return same_image };
            if names(device, self.candidate, None) {
                let line = Line { options: l.root_options(), ..Line::default() };
                let named = line.value("subvol").is_some() || line.value("subvolid").is_some();
                return !named || part(self.candidate, &line).is_ok_and(|f| f.path == self.folder.path);
            }
            same_image && !all.iter().any(|c| names(device, c, None))
        };
        Root {
            candidate: self.candidate,
            folder: self.folder.clone(),
            alone: &self.alone,
            all,
            lines: lines.iter().filter(starts).collect(),
            gaps: &self.gaps,
        }
    }
}

/// Every root, in the order of the file systems.
pub(super) fn all<'a, 'c>(candidates: &'a [Candidate<'c>], lines: &[BootLine], gaps: &Gaps) -> Vec<Found<'a, 'c>> {
    candidates.iter().flat_map(|c| of(c, lines, gaps)).collect()
}

fn of<'a, 'c>(candidate: &'a Candidate<'c>, lines: &[BootLine], gaps: &Gaps) -> Vec<Found<'a, 'c>> {
    let view = View::Tree(candidate.tree.clone());
    let gaps = gaps.at(|p| p.filesystem = Some(candidate.tree.id));
    let found = |path: Vec<u8>| {
        let folder = Folder { view: view.clone(), path };
        let space = Namespace::new(folder.clone());
        let family = family(&|p| space.canonical(p.as_bytes()).is_some());
        // A text tree shows only what matters to a test; it is a Linux system whatever it lacks.
        let text = (candidate.filesystem.kind == "text" && folder.path.is_empty()).then_some("linux");
        let has = |p: &str| space.canonical(p.as_bytes()).is_some();
        let partial = partial::of(&candidate.filesystem.kind, family.is_some(), &has).filter(|_| text.is_none());
        // Hives that were brought by themselves: a system of which nothing else is there.
        let hives = partial::of_hives(candidate).filter(|_| folder.path.is_empty() && text.is_none());
        if let Some(hives) = hives.filter(|_| family.is_none() && partial.is_none()) {
            return Some((folder, "windows", Some(hives)));
        }
        Some((folder, family.or(text).or(partial.map(|_| "linux"))?, partial))
    };
    let entries = candidate.tree.entries.iter().filter(|e| !e.deleted && e.is_dir());
    let mut parts: Vec<Vec<u8>> = entries
        .filter(|e| is_subvolume(&view, e.path.bytes()))
        .map(|e| if e.path.bytes() == b"/" { Vec::new() } else { e.path.bytes().to_vec() })
        .collect();
    if parts.len() > MAX_SUBVOLUMES {
        gaps.add("identify", format!("budget: {MAX_SUBVOLUMES} subvolumes; no system is looked for in the others"), 0);
        parts.truncate(MAX_SUBVOLUMES);
    }
    let whole = |(folder, family, partial): (Folder, &'static str, Option<&'static str>)| {
        let shown = vec![Shown { at: Vec::new(), folder: folder.clone(), without: Vec::new() }];
        let alone = System::of(0, SystemInfo::default(), shown, Vec::new());
        Found { candidate, folder, alone, family, partial, gaps: gaps.clone() }
    };
    if parts.is_empty() {
        // The writable layer of a system whose other layers are not in the evidence.
        let upper = || found(b"/upper".to_vec()).filter(|(_, _, partial)| partial.is_some());
        return found(Vec::new()).or_else(upper).map(whole).into_iter().collect();
    }
    parts.push(Vec::new());
    parts.sort();
    parts.dedup();
    let rooted: Vec<Found<'_, '_>> = parts.into_iter().filter_map(found).map(whole).collect();
    let (named, others): (Vec<_>, Vec<_>) = rooted.into_iter().partition(|f| is_named(f, lines));
    if !named.is_empty() {
        return named;
    }
    // Nothing names one: the one that is mounted without further words, else all that are no snapshots.
    let default = default_part(candidate).path;
    let (default, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|f| f.folder.path == default);
    if !default.is_empty() {
        return default;
    }
    let is_snapshot = |f: &Found<'_, '_>| {
        let stat = f.folder.entry().and_then(|e| e.stat.as_ref());
        stat.is_some_and(|s| s.flags.contains(&"snapshot"))
    };
    let (snapshots, own): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_snapshot);
    if own.is_empty() { snapshots } else { own }
}

/// Whether a command line or the folder's own fstab says that it is a root.
fn is_named(found: &Found<'_, '_>, lines: &[BootLine]) -> bool {
    let leads_here = |line: &Line| part(found.candidate, line).is_ok_and(|f| f.path == found.folder.path);
    let by_loader = lines.iter().any(|l| {
        let line = Line { options: l.root_options(), ..Line::default() };
        let says = line.value("subvol").is_some() || line.value("subvolid").is_some();
        says && l.get("root").is_some_and(|d| names(d, found.candidate, None)) && leads_here(&line)
    });
    // What cannot be read here is told when the system is put together.
    let own = table::fstab(&found.alone, &Gaps::default());
    by_loader || own.iter().any(|l| l.at.is_empty() && !l.is_overlay() && leads_here(l))
}
