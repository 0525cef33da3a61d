//! From images to file systems: which parts each disk has, what lies on them, and what lies within that.
//! Every volume is scanned the same way, at any depth (`scan.rs`); what several volumes make together is put
//! together when all images were seen (`assemble.rs`).
use super::Sink;
use super::bytes::{Claims, Class as Bytes};
use super::embedded::Later;
use crate::base::{Folder, FsId, Gaps, Key, Nand, NodeId, Opener, Progress, Wanted, short_id};
use crate::fs::{FileSystem, FolderDisk, FolderFs};
use crate::image::{self, Container, Segment, Siblings, Source, Store};
use crate::inventory::{FilesystemInfo, ImageInfo, Scene, StoredHash, VolumeInfo, VolumeState};
use crate::volume::Member;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One acquired image, as the parent handed it over.
pub struct Input {
    /// As the examiner named it.
    pub name: String,
    pub segments: Vec<Segment>,
    /// It is a folder: its listing, and who opens its files.
    pub folder: Option<(Arc<Folder>, Arc<dyn Opener>)>,
}

/// Opened images and file systems, beside their descriptions in the scene (same indices).
#[derive(Default)]
pub struct Layout {
    pub scene: Scene,
    pub images: Vec<Source>,
    /// Those that could be opened; of the others a gap says why not.
    pub filesystems: Vec<Arc<dyn FileSystem>>,
    /// How deep in other evidence each file system lies (same indices).
    pub(super) depths: Vec<u32>,
    /// The source of each volume (same indices as in the scene).
    pub(super) sources: Vec<Source>,
    /// Members of volume managers that were not put together yet: manager, volume, depth.
    pub(super) members: Vec<(usize, u32, u32, Member)>,
    pub(super) claims: Claims,
    /// Bytes that searches for file systems have read.
    pub(super) searched: u64,
    /// Bytes of the files that all images are.
    stored: u64,
    /// Images and archives that were opened in images and archives that lie in files.
    pub(super) nested: usize,
    /// Bytes that archives in files may still unpack to.
    pub(super) archive_left: u64,
    /// The file that a volume is.
    pub(super) files: BTreeMap<u32, (FsId, NodeId)>,
    /// File systems that are content of another system.
    pub(super) archived: BTreeSet<usize>,
    /// Archives whose members are not read.
    pub(super) listed_only: BTreeSet<FsId>,
    /// Archives that were found and not opened yet.
    pub(super) later: Vec<Later>,
    /// What decoded streams keep in memory.
    pub(super) store: Store,
}

/// Bytes of all images together that are searched for file systems where no table leads to them.
const SEARCH: u64 = 16 << 30;
/// And how many times what the images' files hold: a container may say that one packed block is a whole disk.
const SEARCH_RATIO: u64 = 100;
/// As much is searched of any.
const SEARCH_LEAST: u64 = 1 << 30;
/// How many times what the images' files hold may be read as contents of files, and what may be of any. A disk that
/// is not packed holds more than its files' contents, packed ones hold a third to a tenth.
const CONTENTS_RATIO: u64 = 32;
const CONTENTS_LEAST: u64 = 2 << 30;
/// More volumes than any real set of disks has; tables within tables could go on without end.
const MAX_VOLUMES: usize = 10_000;

/// How a run of items that may fail is guarded; see `Sink`. Returns `false` if the item is to be skipped.
pub(super) type Guard<'a> = dyn Fn(&str) -> bool + 'a;

/// What the layout is made with.
pub(super) struct Means<'a> {
    pub replay_journal: bool,
    pub keys: &'a [Key],
    /// The shape of the pages of raw images, as the examiner gave it.
    pub nand: Option<Nand>,
    /// Positions of the keys that were meant for a volume of the evidence.
    pub meant: RefCell<BTreeSet<usize>>,
    /// Asked before each structure is parsed; where it says no, the structure is skipped (a gap already says why).
    pub enter: &'a Guard<'a>,
    pub sink: &'a dyn Sink,
    pub progress: &'a Progress,
}

/// The parent process, asked for a file that belongs to an image.
struct Parent<'a> {
    sink: &'a dyn Sink,
    image: u32,
    /// Names of the files that were given.
    got: RefCell<Vec<String>>,
    /// Bytes of them.
    bytes: Cell<u64>,
}
impl Siblings for Parent<'_> {
    fn ask(&self, wanted: &Wanted) -> Result<Segment, String> {
        let segment = self.sink.sibling(self.image, wanted)?;
        self.got.borrow_mut().push(segment.name.clone());
        self.bytes.set(self.bytes.get().saturating_add(segment.source.len()));
        Ok(segment)
    }
}

impl Layout {
    /// A file system that is text, on a volume without bytes of its own.
    pub(super) fn of_text(fs: Arc<dyn FileSystem>) -> Self {
        let volume = VolumeInfo {
            id: "vol-text".into(),
            scheme: "none".into(),
            state: VolumeState::Read,
            filesystem: Some(FsId(0)),
            ..VolumeInfo::default()
        };
        let filesystem = FilesystemInfo { id: "fs-text".into(), kind: "text".into(), ..FilesystemInfo::default() };
        Self {
            scene: Scene { volumes: vec![volume], filesystems: vec![filesystem], ..Scene::default() },
            filesystems: vec![fs],
            depths: vec![0],
            sources: vec![image::join(Vec::new())],
            archive_left: super::archives::ALL,
            ..Self::default()
        }
    }

    /// Opens every image, reads its tables, opens its file systems, and goes on within them.
    pub(super) fn open(inputs: Vec<Input>, means: &Means<'_>, gaps: &Gaps) -> Self {
        let store = Store::new(means.sink.scratch());
        let mut layout = Self { archive_left: super::archives::ALL, store, ..Self::default() };
        for input in inputs {
            layout.add_image(input, means, gaps);
        }
        layout.assemble(means, gaps);
        layout.settle();
        layout
    }

    /// Bytes that searches for file systems may still read.
    pub(super) fn search_left(&self) -> u64 {
        let most = self.stored.saturating_mul(SEARCH_RATIO).clamp(SEARCH_LEAST, SEARCH);
        most.saturating_sub(self.searched)
    }

    /// Bytes of contents that are read of all file systems of disks; `None` where there is no disk. Some formats let a
    /// few bytes be the content of many files, or of terabytes of one.
    pub(super) fn contents_most(&self) -> Option<u64> {
        let most = self.stored.saturating_mul(CONTENTS_RATIO).saturating_add(CONTENTS_LEAST);
        (self.stored > 0).then_some(most)
    }

    /// When everything was opened: keys that fit nothing are told, and the bytes are counted again.
    pub(super) fn finish(&mut self, means: &Means<'_>, gaps: &Gaps) {
        for (number, key) in means.keys.iter().enumerate() {
            if !means.meant.borrow().contains(&number) {
                gaps.add("key", format!("a key was given for {}, which is no encrypted volume here", key.volume), 0);
            }
        }
        self.settle();
    }

    /// Accounts for the bytes of every image.
    pub(super) fn settle(&mut self) {
        for (number, info) in (0..).zip(&mut self.scene.images) {
            info.bytes = self.claims.settle(number, info.size);
        }
    }

    fn add_image(&mut self, input: Input, means: &Means<'_>, gaps: &Gaps) {
        let index = u32::try_from(self.images.len()).unwrap_or(u32::MAX);
        let gaps = gaps.at(|p| p.image = Some(index));
        if let Some((folder, opener)) = input.folder {
            let disk = image::acquired(Arc::new(FolderDisk::new(folder.clone(), opener)), index);
            let id = self.image_id(&disk);
            let (path, container, size) = (input.name, "folder".to_owned(), disk.len());
            self.scene.images.push(ImageInfo { id: id.clone(), path, container, size, ..ImageInfo::default() });
            self.images.push(disk.clone());
            self.stored = self.stored.saturating_add(size);
            self.add_folder(index, &id, Arc::new(FolderFs::new(folder, disk.clone())), &disk, &gaps);
            return;
        }
        let segments: Vec<String> = input.segments.iter().map(|s| s.name.clone()).collect();
        let mut info = ImageInfo { path: input.name, segments, ..ImageInfo::default() };
        let mut disk: Source = Arc::new(Vec::new());
        let parent = Parent { sink: means.sink, image: index, got: RefCell::default(), bytes: Cell::default() };
        let file = image::join(input.segments);
        self.stored = self.stored.saturating_add(file.len());
        // Raw bytes need no parser that could fail.
        let wanted = image::recognise(&file).is_none_or(|f| (means.enter)(&format!("{} of image {index}", f.name)));
        if wanted {
            match image::open_with(file, index, &parent, &gaps, &self.store) {
                Ok((format, container)) => {
                    format.name.clone_into(&mut info.container);
                    disk = describe(&mut info, container);
                }
                Err(e) => gaps.add("image", format!("not opened: {e}"), 0),
            }
        }
        info.segments.extend(parent.got.take());
        self.stored = self.stored.saturating_add(parent.bytes.get());
        info.size = disk.len();
        info.id = self.image_id(&disk);
        let id = info.id.clone();
        self.scene.images.push(info);
        self.images.push(disk.clone());
        if !disk.is_empty() {
            self.scan_image(index, &id, &disk, means, &gaps);
            self.note_firmware(index, &disk, means, &gaps);
        }
    }

    /// What is appended to a firmware image is told with it.
    fn note_firmware(&mut self, index: u32, disk: &Source, means: &Means<'_>, gaps: &Gaps) {
        if !image::fwtool::is_there(&**disk) || !(means.enter)(&format!("metadata behind image {index}")) {
            return;
        }
        let Some(found) = image::fwtool::read(&**disk, gaps) else { return };
        self.claims.add(disk, found.run, Bytes::Read);
        if let Some(info) = self.scene.images.get_mut(index as usize) {
            info.details.extend(found.details);
        }
    }

    /// From what the disk says of itself at its start and end, and its size; equal disks are counted up.
    fn image_id(&self, source: &Source) -> String {
        let ends = [0, source.len().saturating_sub(1 << 16)].map(|at| {
            let mut buf = vec![0; 1 << 16];
            let n = source.read_at(at, &mut buf).unwrap_or(0);
            buf.truncate(n);
            buf
        });
        let [head, tail] = &ends;
        let id = short_id("img", &[&source.len().to_le_bytes(), head, tail]);
        numbered(id, |id| self.scene.images.iter().any(|i| i.id == id))
    }

    /// Lists a volume; `None` when there are too many. `of` are the parts its id is made of.
    pub(super) fn add_volume(
        &mut self,
        mut volume: VolumeInfo,
        of: &[&[u8]],
        source: Source,
        gaps: &Gaps,
    ) -> Option<u32> {
        if self.scene.volumes.len() >= MAX_VOLUMES {
            gaps.add(
                "volume",
                format!("budget: more than {MAX_VOLUMES} volumes; this one was not opened"),
                volume.size,
            );
            return None;
        }
        let index = u32::try_from(self.scene.volumes.len()).ok()?;
        volume.id = numbered(short_id("vol", of), |id| self.scene.volumes.iter().any(|v| v.id == id));
        self.scene.volumes.push(volume);
        self.sources.push(source);
        Some(index)
    }
}

/// `id`, or `id.2`, `id.3` … if it is taken.
fn numbered(id: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&id) {
        return id;
    }
    (2..=u32::MAX).map(|n| format!("{id}.{n}")).find(|id| !taken(id)).unwrap_or(id)
}

/// Enters what a container says of itself; gives its disk.
fn describe(info: &mut ImageInfo, container: Container) -> Source {
    let stored = |(algorithm, stored)| StoredHash { algorithm, stored, ..StoredHash::default() };
    info.stored_hashes.extend(container.stored_hashes.into_iter().map(stored));
    info.details = container.details;
    container.disk
}
