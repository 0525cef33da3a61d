//! How the root of a system is put together: which file system is the read-only one, which the writable layer over
//! it, and who says so. One function a scheme; each leaves out what is not its own.
mod flash;
mod live;
pub(super) mod overlayroot;
mod volatile;

use super::boot::BootLine;
use super::identify::Candidate;
use super::overlay::Marks;
use super::system::System;
use super::view::Folder;
use crate::base::Gaps;

/// A root as it was found.
pub(super) struct Root<'a, 'c> {
    pub(super) candidate: &'a Candidate<'c>,
    pub(super) folder: Folder,
    /// The root alone, without any mount.
    pub(super) alone: &'a System,
    pub(super) all: &'a [Candidate<'c>],
    /// Command lines that start this root, or may.
    pub(super) lines: Vec<&'a BootLine>,
    pub(super) gaps: &'a Gaps,
}

/// Where a writable layer lies.
pub(super) enum Upper {
    Disk(Folder),
    /// In memory: what was written there is gone.
    Memory,
    /// Named, and not in the evidence.
    Missing,
    /// The stack has none: read-only.
    None,
}

/// The layers of a root.
pub(super) struct Stack {
    /// Who says so: `OpenWrt`, `casper`, `/etc/overlayroot.conf` …
    pub(super) by: String,
    pub(super) upper: Upper,
    /// What the source calls the writable layer: a device, a label, a file.
    pub(super) named: String,
    /// Topmost first; the root itself is among them.
    pub(super) lowers: Vec<Folder>,
    pub(super) marks: Marks,
    /// What the running system mounts besides, by the same scheme.
    pub(super) further: Vec<Further>,
    /// The fstab's other file systems get writable layers of their own below this folder.
    pub(super) recurse: Option<Recurse>,
}

/// A mount that comes with a scheme.
pub(super) enum Further {
    /// A folder of a file system, shown at a path.
    Folder { at: String, folder: Folder },
    /// An overlay over what the root's own layers have there.
    Union { at: String, upper: Folder, named: String },
}

/// Writable layers for every mount: overlayroot's `recurse=1`.
pub(super) struct Recurse {
    /// Where they are kept; `None` in memory or not in the evidence.
    pub(super) below: Option<Folder>,
    pub(super) state: &'static str,
}

impl Stack {
    fn new(by: &str, root: &Folder) -> Self {
        Self {
            by: by.to_owned(),
            upper: Upper::None,
            named: String::new(),
            lowers: vec![root.clone()],
            marks: Marks::default(),
            further: Vec::new(),
            recurse: None,
        }
    }
}

/// The first scheme that says something of this root.
pub(super) fn of(root: &Root<'_, '_>) -> Option<Stack> {
    let schemes = [live::stack, flash::stack, overlayroot::stack, volatile::stack];
    schemes.iter().find_map(|scheme| scheme(root))
}

impl Root<'_, '_> {
    /// The first line that has a parameter, and its value.
    pub(super) fn parameter(&self, name: &str) -> Option<(&BootLine, &str)> {
        let chosen = self.lines.iter().filter(|l| l.default);
        chosen.chain(self.lines.iter().filter(|l| !l.default)).find_map(|l| Some((*l, l.get(name)?)))
    }
    /// A small file of the root as text; what cannot be read is a gap.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let entry = self.alone.resolve(path).filter(|e| e.is_file())?;
        match self.alone.read(entry, super::table::SMALL) {
            Ok(text) => Some(text.text().into_owned()),
            Err(e) => {
                let here = self.gaps.at(|p| p.path = Some(path.into()));
                here.add("layers", format!("not read: {e}"), entry.len());
                None
            }
        }
    }
}

/// A folder of a file system, if it is one.
fn folder_of(candidate: &Candidate<'_>, path: &str) -> Option<Folder> {
    let path = path.trim_end_matches('/');
    let folder = Folder { path: path.as_bytes().to_vec(), ..Folder::root(candidate.tree.clone()) };
    folder.entry().is_some_and(super::tree::Entry::is_dir).then_some(folder)
}
