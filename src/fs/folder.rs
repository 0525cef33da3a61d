//! A folder of the examiner's machine as a file system: loose files, a mounted or unpacked root. Its bytes are those
//! of all its files one behind another, in the order of the listing; a file is opened by the parent process when its
//! bytes are asked for.
use super::{DirEntry, FileSystem, FsError, FsInfo, NodeKind, Stat, Stream, Times};
use crate::base::{Folder, Item, ItemKind, NodeId, Opener, Piece, PieceKind, Run};
use crate::image::{OpenFile, ReadAt, ReadError, Slice, Source};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that stay open.
const OPEN: usize = 64;

/// The bytes of all files of a folder.
pub struct FolderDisk {
    folder: Arc<Folder>,
    opener: Arc<dyn Opener>,
    /// First byte and item of each file that has bytes, sorted.
    files: Vec<(u64, u32)>,
    len: u64,
    /// The one asked for last in front.
    open: Mutex<VecDeque<(u32, Arc<OpenFile>)>>,
}

impl FolderDisk {
    pub fn new(folder: Arc<Folder>, opener: Arc<dyn Opener>) -> Self {
        let mut files = Vec::new();
        let mut len = 0_u64;
        let mut seen = HashMap::new();
        for (number, item) in (0_u32..).zip(&folder.items) {
            // Names of one file have its bytes once.
            let is_first = seen.insert((item.device, item.inode), number).is_none();
            if item.kind == ItemKind::File && item.len > 0 && is_first {
                files.push((len, number));
                len = len.saturating_add(item.len);
            }
        }
        Self { folder, opener, files, len, open: Mutex::default() }
    }
    fn item(&self, number: u32) -> Option<&Item> {
        self.folder.items.get(number as usize)
    }
    fn file(&self, number: u32) -> Result<Arc<OpenFile>, String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(n, _)| *n == number)
            && let Some(found) = open.remove(at)
        {
            let file = found.1.clone();
            open.push_front(found);
            return Ok(file);
        }
        let item = self.item(number).ok_or("no such file")?;
        let file = self.opener.open(number)?;
        let file = Arc::new(OpenFile::new(file, item.name.display(), item.len));
        open.push_front((number, file.clone()));
        open.truncate(OPEN);
        Ok(file)
    }
    /// The file that has a byte, and the run of it.
    fn at(&self, offset: u64) -> Option<(u32, Run)> {
        let at = self.files.partition_point(|(start, _)| *start <= offset).checked_sub(1)?;
        let (start, number) = self.files.get(at)?;
        Some((*number, Run::new(*start, self.item(*number)?.len)))
    }
}

impl ReadAt for FolderDisk {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let wanted = buf.len().min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut done = 0_usize;
        while done < wanted {
            let at = offset.saturating_add(done as u64);
            let Some((number, run)) = self.at(at) else { break };
            let left = usize::try_from(run.end().saturating_sub(at)).unwrap_or(usize::MAX);
            let end = done.saturating_add(left).min(wanted);
            let part = buf.get_mut(done..end).unwrap_or_default();
            let failed = |what: String| ReadError { offset: at, what };
            let file = self.file(number).map_err(failed)?;
            let n = file.read_at(at.saturating_sub(run.offset), part).map_err(|e| failed(e.what))?;
            if n == 0 {
                return Err(failed("a file of the folder ends before its size".into()));
            }
            done = done.saturating_add(n);
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let offset = bytes.offset.min(self.len);
        let len = bytes.len.min(self.len.saturating_sub(offset));
        vec![Piece { image: 0, offset, len, kind: PieceKind::Stored }]
    }
}

/// The tree of a folder, over the disk of its bytes.
pub struct FolderFs {
    info: FsInfo,
    folder: Arc<Folder>,
    disk: Source,
    /// What lies in each folder.
    children: HashMap<u32, Vec<u32>>,
    /// The first item of each file, and where its bytes begin.
    first: HashMap<(u64, u64), (u32, u64)>,
}

impl FolderFs {
    /// `disk` leads to the bytes of a [`FolderDisk`] over the same listing.
    pub fn new(folder: Arc<Folder>, disk: Source) -> Self {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut first = HashMap::new();
        let mut at = 0_u64;
        for (number, item) in (0_u32..).zip(&folder.items) {
            if number > 0 && item.parent < number {
                children.entry(item.parent).or_default().push(number);
            }
            if let Entry::Vacant(new) = first.entry((item.device, item.inode)) {
                new.insert((number, at));
                if item.kind == ItemKind::File {
                    at = at.saturating_add(item.len);
                }
            }
        }
        let info = FsInfo { kind: "folder".into(), block_size: 1, clean: true, ..FsInfo::default() };
        Self { info, folder, disk, children, first }
    }
    fn item(&self, node: NodeId) -> Result<(u32, &Item), FsError> {
        let number = u32::try_from(node.number).map_err(|_| FsError::NotFound(node))?;
        let item = self.folder.items.get(number as usize).ok_or(FsError::NotFound(node))?;
        Ok((number, item))
    }
    /// Names of one file share a node.
    fn node(&self, number: u32, item: &Item) -> NodeId {
        let of_file = self.first.get(&(item.device, item.inode)).filter(|_| item.kind == ItemKind::File);
        NodeId { number: u64::from(of_file.map_or(number, |(first, _)| *first)), generation: 0 }
    }
}

fn kind(kind: ItemKind) -> NodeKind {
    match kind {
        ItemKind::File => NodeKind::File,
        ItemKind::Directory => NodeKind::Directory,
        ItemKind::Symlink => NodeKind::Symlink,
        ItemKind::CharDevice => NodeKind::CharDevice,
        ItemKind::BlockDevice => NodeKind::BlockDevice,
        ItemKind::Fifo => NodeKind::Fifo,
        ItemKind::Socket => NodeKind::Socket,
        ItemKind::Unknown => NodeKind::Unknown,
    }
}

impl FileSystem for FolderFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        NodeId { number: 0, generation: 0 }
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        let (number, _) = self.item(dir)?;
        for child in self.children.get(&number).into_iter().flatten() {
            let Some(item) = self.folder.items.get(*child as usize) else { continue };
            each(DirEntry { name: item.name.clone(), node: self.node(*child, item), kind: kind(item.kind) });
        }
        Ok(())
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let (_, item) = self.item(node)?;
        let is_device = matches!(item.kind, ItemKind::CharDevice | ItemKind::BlockDevice);
        Ok(Stat {
            kind: kind(item.kind),
            len: item.len,
            allocated: item.allocated,
            mode: item.mode & 0o7777,
            uid: item.uid,
            gid: item.gid,
            links: item.links,
            times: Times {
                modified: Some(item.modified),
                accessed: Some(item.accessed),
                changed: Some(item.changed),
                ..Times::default()
            },
            flags: Vec::new(),
            xattrs: item.xattrs.clone(),
            device: is_device.then_some(item.special),
        })
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        let (_, item) = self.item(node)?;
        item.target.as_ref().map(|t| t.bytes().to_vec()).ok_or(FsError::NotFound(node))
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        let (_, item) = self.item(node)?;
        if stream != Stream::Data || item.kind != ItemKind::File {
            return Err(FsError::NotFound(node));
        }
        let (_, at) = self.first.get(&(item.device, item.inode)).copied().ok_or(FsError::NotFound(node))?;
        Ok(Arc::new(Slice::new(self.disk.clone(), Run::new(at, item.len))))
    }
}
