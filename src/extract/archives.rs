//! Archives among the file systems: which of them are content of another system, what of them is read, and which
//! system boots from which.
use super::layout::Layout;
use crate::base::{FsId, Gaps, Name, NodeId};
use crate::evidence::{Entry, System, Tree, looks_installed};
use crate::fs::ARCHIVES;
use crate::inventory::{Initramfs, is_initramfs};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that archives in files may unpack to, all together, in opening them and in reading their members. An
/// archive that the examiner names has no such limit.
pub(super) const ALL: u64 = 8 << 30;
/// Folders that keep loose files.
const FOLDER: &str = "folder";

impl Layout {
    /// The file that a file system lies in, if it lies in one.
    pub(super) fn file_of(&self, filesystem: usize) -> Option<(FsId, NodeId)> {
        let mut at = self.scene.filesystems.get(filesystem).map(|f| f.volume);
        while let Some(volume) = at {
            if let Some(file) = self.files.get(&volume) {
                return Some(*file);
            }
            // A parent stands before its child, so this ends.
            at = self.scene.volumes.get(volume as usize)?.parent.filter(|parent| *parent < volume);
        }
        None
    }
    /// A file system of a disk: neither an archive nor a folder, nor anything that lies in an archive.
    pub(super) fn is_disk(&self, filesystem: usize) -> bool {
        !self.is_kind(filesystem, ARCHIVES)
            && !self.is_kind(filesystem, &[FOLDER])
            && !self.archived.contains(&filesystem)
    }
    fn is_kind(&self, filesystem: usize, kinds: &[&str]) -> bool {
        self.scene.filesystems.get(filesystem).is_some_and(|f| kinds.contains(&f.kind.as_str()))
    }
    /// Whether a file system is content of another system: an archive that lies in it, or what lies in that. It is
    /// listed and hashed; it is no installed system, and its programs are not taken to be on one.
    ///
    /// Archives in archives and folders that are no system are evidence in a wrapping.
    pub(super) fn note_archived(&mut self, filesystem: usize, trees: &[Arc<Tree>]) -> bool {
        let above = self.file_of(filesystem).map(|(fs, _)| fs.0 as usize);
        let archived = above.is_some_and(|above| {
            let is_wrapping = self.is_kind(above, ARCHIVES) || self.is_kind(above, &[FOLDER]);
            let is_loose = is_wrapping && trees.iter().any(|t| t.id.0 as usize == above && !looks_installed(t));
            self.archived.contains(&above) || (self.is_kind(filesystem, ARCHIVES) && !is_loose)
        });
        if archived {
            self.archived.insert(filesystem);
        }
        archived
    }
    /// Counts what reading the members of an archive in a file will cost; where that is too much they are listed only.
    pub(super) fn charge(&mut self, tree: &Tree, gaps: &Gaps) {
        let number = tree.id.0 as usize;
        if self.file_of(number).is_none() || !self.is_kind(number, ARCHIVES) {
            return;
        }
        let bytes = tree.entries.iter().filter(|e| e.is_file()).map(Entry::len).fold(0, u64::saturating_add);
        if let Some(left) = self.archive_left.checked_sub(bytes) {
            self.archive_left = left;
            return;
        }
        self.listed_only.insert(tree.id);
        let left = self.archive_left;
        let what = format!(
            "budget: archives; its members are listed, not read: they hold {bytes} bytes, and of {ALL} bytes for all archives in files {left} are left; name it as an image to have it read"
        );
        gaps.at(|p| p.filesystem = Some(tree.id)).add("archive", what, bytes);
    }
    /// The path of the file that each archive is.
    pub(super) fn archives(&self, trees: &[Arc<Tree>]) -> BTreeMap<FsId, Name> {
        let path = |tree: &Arc<Tree>| {
            let number = tree.id.0 as usize;
            let (fs, node) = self.file_of(number).filter(|_| self.is_kind(number, ARCHIVES))?;
            let outer = trees.iter().find(|t| t.id == fs)?;
            let entry = outer.entries.iter().find(|e| e.node == node && e.is_file())?;
            Some((tree.id, entry.path.clone()))
        };
        trees.iter().filter_map(path).collect()
    }
    /// Enters for each system the archives that its kernels unpack at boot.
    pub(super) fn link_initramfs(&mut self, systems: &[System]) {
        let of_cpio: Vec<(FsId, (FsId, NodeId))> = (0..self.scene.filesystems.len())
            .filter(|number| self.is_kind(*number, &["cpio"]))
            .filter_map(|number| Some((FsId(u32::try_from(number).ok()?), self.file_of(number)?)))
            .collect();
        for (info, system) in self.scene.systems.iter_mut().zip(systems) {
            for (filesystem, (fs, node)) in &of_cpio {
                let entry = system.entries().iter().find(|e| e.fs == *fs && e.node == *node && e.is_file());
                if let Some(entry) = entry.filter(|e| is_initramfs(e.path.bytes())) {
                    info.initramfs.push(Initramfs { path: entry.path.clone(), filesystem: *filesystem });
                }
            }
        }
    }
}
