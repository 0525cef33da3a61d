//! Disk images that lie as files in a file system: a virtual machine's disk, a firmware file. They are
//! opened by the code that opens the first image; their bytes lead back through the file to the images.
use super::layout::{Layout, Means};
use super::scan::{Role, Spot};
use crate::base::{Budget, Gaps, Name, Place, Wanted};
use crate::evidence::{Entry, Tree};
use crate::fs;
use crate::image::magic::{self, Class};
use crate::image::{self, Opening, Segment, Siblings, Source};
use crate::inventory::{VolumeInfo, VolumeState};
use crate::volume;
use std::sync::Arc;

/// The scheme of a volume that is a file.
pub(super) const SCHEME: &str = "file";
/// Extensions under which disk images are kept.
const EXTENSIONS: &[&str] = &[
    "img", "raw", "dd", "bin", "qcow2", "qcow", "vmdk", "vdi", "vhd", "vhdx", "iso", "e01", "ex01", "squashfs", "sqfs",
    "sfs", "ubi", "ubifs", "jffs2", "ext4", "ext3", "ext2", "rootfs", "trx", "wic", "sdcard", "001",
];
/// A file of this size is looked at whatever its name.
const LARGE: u64 = 64 << 20;
/// No disk image is smaller.
const SMALLEST: u64 = 4096;
/// Words in the names of archives; firmware packages of routers and gateways among them.
const ARCHIVES: &[&str] =
    &[".tar", ".tgz", ".txz", ".tbz", ".tzst", ".tlz", ".zip", ".cpio", ".ipk", ".swu", "initrd", "initramfs"];
/// Files without an extension in the folder of a firmware archive (`sysupgrade-BOARD/`), as OpenWrt's tools write it.
const FIRMWARE: &[&[u8]] = &[b"root", b"rootfs", b"kernel"];
/// No archive that holds anything is smaller.
const SMALLEST_ARCHIVE: u64 = 64;
/// How deep in other evidence disk images are still opened, and how many of one file system.
const MAX_DEPTH: u32 = 4;
const MAX_IMAGES: usize = 256;
/// And how many in images and archives that lie in files themselves, all together: sixteen in each of sixteen in each
/// of sixteen would be thousands.
const MAX_NESTED: usize = 512;

/// Further files of an image in a file system: in its own folder, or at the path that it names.
struct Beside<'a> {
    tree: &'a Tree,
    entry: &'a Entry,
}
impl Siblings for Beside<'_> {
    fn ask(&self, wanted: &Wanted) -> Result<Segment, String> {
        let folder = Name::new(self.entry.path.parent());
        let found = match wanted {
            Wanted::Named(name) if name.starts_with(b"/") && self.tree.get(name).is_some() => self.tree.get(name),
            Wanted::Named(name) => {
                let last = name.rsplit(|b| matches!(b, b'/' | b'\\')).next().unwrap_or_default();
                self.tree.get(folder.join(last).bytes())
            }
            Wanted::Item(_) | Wanted::Scratch { .. } => None,
            Wanted::Extension(extension) => {
                let name = self.entry.path.file_name();
                let stem = name.iter().rposition(|b| *b == b'.').and_then(|dot| name.get(..dot)).unwrap_or(name);
                self.tree.get(folder.join(&[stem, b".", extension.as_bytes()].concat()).bytes())
            }
        };
        let found = found.filter(|e| e.is_file()).ok_or("no such file in this file system")?;
        let source = self.tree.open(found).map_err(|e| e.to_string())?;
        Ok(Segment { source, name: found.path.display() })
    }
}

/// An archive in a file that is opened when the systems are known.
pub(super) struct Later {
    tree: Arc<Tree>,
    /// Position of its entry.
    at: usize,
    spot: Spot,
}

impl Layout {
    /// Opens the disk images among the files of one file system; those found are appended to the layout. Archives in
    /// a disk's file system have time: no system lies in them.
    pub(super) fn open_embedded(&mut self, tree: &Arc<Tree>, means: &Means<'_>, gaps: &Gaps) {
        let number = tree.id.0 as usize;
        let depth = self.depths.get(number).copied().unwrap_or(0).saturating_add(1);
        let Some(volume) = self.scene.filesystems.get(number).map(|f| f.volume) else { return };
        let image = self.scene.volumes.get(volume as usize).map_or(0, |v| v.image);
        let within = self.file_of(number).is_some();
        let mut opened = 0_usize;
        // Files that are not even looked at: to read what lies in four archives decodes all four.
        let (mut passed, mut bytes) = (0_u64, 0_u64);
        let is_disk = self.is_disk(number);
        for (at, entry) in tree.entries.iter().enumerate().filter(|(_, e)| may_be_image(e)) {
            if depth > MAX_DEPTH || (within && self.nested >= MAX_NESTED) {
                (passed, bytes) = (passed.saturating_add(1), bytes.saturating_add(entry.len()));
                continue;
            }
            let gaps = gaps.at(|p| {
                p.filesystem = Some(tree.id);
                p.path = Some(entry.path.clone());
                p.inode = Some(entry.node.number);
            });
            // A file that cannot be opened is a gap of the pass over all contents.
            let Ok(source) = tree.open(entry) else { continue };
            let Some(holds) = holds(&source) else { continue };
            if opened >= MAX_IMAGES {
                gaps.add("volume", "budget: an image or archive within images and archives; not opened", entry.len());
                continue;
            }
            opened = opened.saturating_add(1);
            self.nested = self.nested.saturating_add(usize::from(within));
            let spot = Spot { volume, image, depth, in_file: true, role: Role::Disk, gaps };
            if is_disk && matches!(holds, Holds::Archive) {
                self.later.push(Later { tree: tree.clone(), at, spot });
            } else {
                self.open_file_image(&spot, tree, entry, &source, means);
            }
        }
        if passed > 0 {
            let what = format!(
                "budget: images and archives within images and archives; {passed} files here that may be such are not opened"
            );
            gaps.at(|p| p.filesystem = Some(tree.id)).add("volume", what, bytes);
        }
    }
    /// Opens the archives that had time.
    pub(super) fn open_later(&mut self, means: &Means<'_>, gaps: &Gaps) {
        for Later { tree, at, mut spot } in std::mem::take(&mut self.later) {
            let Some(entry) = tree.entries.get(at) else { continue };
            spot.gaps = gaps.at(|p| *p = spot.gaps.here().clone());
            match tree.open(entry) {
                Ok(source) => self.open_file_image(&spot, &tree, entry, &source, means),
                Err(e) => spot.gaps.add("volume", format!("archive not opened: {e}"), entry.len()),
            }
        }
    }

    fn open_file_image(&mut self, above: &Spot, tree: &Tree, entry: &Entry, source: &Source, means: &Means<'_>) {
        let path = entry.path.display();
        let mut info = VolumeInfo {
            image: above.image,
            parent: Some(above.volume),
            scheme: SCHEME.into(),
            size: source.len(),
            label: path.clone(),
            state: VolumeState::Damaged,
            ..VolumeInfo::default()
        };
        let mut disk = source.clone();
        if let Some(format) = image::recognise(source) {
            if !(means.enter)(&format!("{} at {path} in file system {}", format.name, tree.id.0)) {
                return;
            }
            format.name.clone_into(&mut info.type_name);
            let files = Beside { tree, entry };
            let budget = Budget { bytes: self.archive_left, ..Budget::default() };
            let opening =
                Opening { source: source.clone(), files: &files, gaps: &above.gaps, budget, store: self.store.clone() };
            match (format.open)(&opening) {
                Ok(container) => {
                    disk = container.disk;
                    if image::is_stream(format) {
                        self.archive_left = self.archive_left.saturating_sub(disk.len());
                    }
                }
                Err(e) => {
                    above.gaps.add(format.name, format!("disk image in a file, not opened: {e}"), source.len());
                    return;
                }
            }
            info.size = disk.len();
        }
        if let Some(found) = image::fwtool::read(&**source, &above.gaps).filter(|f| !f.device.is_empty()) {
            let told = format!("firmware for {}", found.device);
            info.type_name = if info.type_name.is_empty() { told } else { format!("{}, {told}", info.type_name) };
        }
        let id = self.volume_id(above.volume);
        let of: [&[u8]; 3] = [id.as_bytes(), SCHEME.as_bytes(), entry.path.bytes()];
        let Some(volume) = self.add_volume(info, &of, disk.clone(), &above.gaps) else { return };
        self.files.insert(volume, (tree.id, entry.node));
        let gaps = above.gaps.at(|p| {
            *p = Place { image: Some(above.image), volume: Some(volume), ..Default::default() };
        });
        self.scan(&Spot { volume, gaps, ..above.clone() }, &disk, means);
    }
}

/// By name or size; what it holds decides.
fn may_be_image(entry: &Entry) -> bool {
    if !entry.is_file() || entry.deleted || entry.len() < SMALLEST_ARCHIVE {
        return false;
    }
    let name = entry.path.file_name().to_ascii_lowercase();
    let says = |word: &&str| name.windows(word.len()).any(|w| w == word.as_bytes());
    if ARCHIVES.iter().any(says) {
        return true;
    }
    if entry.len() < SMALLEST {
        return false;
    }
    let folder = entry.path.parent().rsplit(|b| *b == b'/').next().unwrap_or_default();
    if folder.starts_with(b"sysupgrade-") && FIRMWARE.contains(&name.as_slice()) {
        return true;
    }
    let extension = name.iter().rposition(|b| *b == b'.').and_then(|dot| name.get(dot.saturating_add(1)..));
    let known = extension.is_some_and(|e| EXTENSIONS.iter().any(|k| k.as_bytes().eq_ignore_ascii_case(e)));
    known || entry.len() >= LARGE || entry.stat.as_ref().is_some_and(|s| s.flags.contains(&"boot-image"))
}

/// What a file begins like.
#[derive(Clone, Copy)]
enum Holds {
    Archive,
    /// A container, a table, a file system, something encrypted.
    Disk,
}
fn holds(source: &Source) -> Option<Holds> {
    // Of a compressed stream what it holds decides: most are a log or a page of a manual.
    let Some(head) = image::first_bytes(source) else { return begins(source) };
    match fs::recognise(source) {
        Some(format) => Some(if fs::ARCHIVES.contains(&format.name) { Holds::Archive } else { Holds::Disk }),
        None => begins(&(Arc::new(head) as Source)),
    }
}
fn begins(source: &Source) -> Option<Holds> {
    let container = || magic::find(&**source, 0, |m| m.class == Class::Container).is_some();
    let divided = || {
        volume::recognise(source).is_some()
            || volume::encrypted(source).is_some()
            || volume::member_of(source).is_some()
    };
    match fs::recognise(source) {
        Some(format) if fs::ARCHIVES.contains(&format.name) && image::recognise(source).is_none() && !divided() => {
            Some(Holds::Archive)
        }
        Some(_) => Some(Holds::Disk),
        None => (image::recognise(source).is_some() || container() || divided()).then_some(Holds::Disk),
    }
}
