//! A folder as evidence: listed by the parent, below its own descriptor and through no symlink, and opened file by
//! file as the worker asks. The worker gets the listing and descriptors; it opens nothing by name.
use super::Failure;
use super::attributes::{Room, has};
use super::open::shown;
use crate::base::{Folder, Gap, Item, ItemKind, Name, Place, Time};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// More entries than this are not listed.
const MAX_ITEMS: usize = 1_000_000;
/// Folders that could not be read and are named one by one.
const MAX_GAPS: usize = 1000;
/// File systems that hold no files of a disk, by their magic (statfs(2)): proc, sysfs, devpts, cgroups, debugfs,
/// tracefs, securityfs, pstore, bpf, configfs, mqueue, selinuxfs, efivarfs.
const VIRTUAL: &[u64] = &[
    0x9fa0,
    0x6265_6572,
    0x1cd1,
    0x27_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0x6165_676c,
    0xcafe_4a11,
    0x6265_6570,
    0x1980_0202,
    0xf97c_ff8c,
    0xde5e_81e4,
];

/// An opened folder.
#[derive(Debug)]
pub struct OpenedFolder {
    root: OwnedFd,
    pub folder: Folder,
}

impl OpenedFolder {
    /// Lists everything below `path`; what cannot be read is among the gaps.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Gap>), Failure> {
        let failed = |e: Errno| {
            Failure::evidence(format!("{}: cannot be read: {e}; check the path and its permissions", shown(path)))
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, path, flags, Mode::empty()).map_err(failed)?;
        let stat = fstat(&root).map_err(failed)?;
        let items = vec![item(0, Name::default(), &stat)];
        let mut listing = Listing { root: root.as_fd(), items, room: Room::new(), gaps: Vec::new(), more: 0 };
        listing.walk(path);
        let Listing { items, mut gaps, more, room, .. } = listing;
        if room.without > 0 {
            let what =
                format!("budget: extended attributes; those of {} files and folders were left out", room.without);
            gaps.push(gap(path, what, 0));
        }
        if more > 0 {
            gaps.push(gap(path, format!("{more} further folders could not be read"), 0));
        }
        Ok((Self { root, folder: Folder { items } }, gaps))
    }
    /// Bytes of all files.
    pub(super) fn len(&self) -> u64 {
        let files = self.folder.items.iter().filter(|i| i.kind == ItemKind::File);
        files.map(|i| i.len).fold(0, u64::saturating_add)
    }
    fn path(&self, number: u32) -> PathBuf {
        let mut names = Vec::new();
        let mut at = number;
        while let Some(item) = self.folder.items.get(at as usize).filter(|_| at > 0) {
            names.push(item.name.bytes());
            // A folder stands before what is in it, so this ends.
            at = item.parent.min(at.saturating_sub(1));
        }
        names.reverse();
        PathBuf::from(std::ffi::OsStr::from_bytes(&names.join(&b'/')))
    }
    /// A file of the listing, if it is still the one that was listed.
    pub(super) fn give(&self, number: u32) -> Result<File, String> {
        let item = self.folder.items.get(number as usize).ok_or("there is no such file in the folder")?;
        if item.kind != ItemKind::File {
            return Err("it is no regular file".into());
        }
        let file = beneath(self.root.as_fd(), &self.path(number), OFlags::RDONLY).map_err(|e| e.to_string())?;
        let stat = fstat(&file).map_err(|e| e.to_string())?;
        let now = self::item(item.parent, item.name.clone(), &stat);
        if (now.kind, now.device, now.inode) != (item.kind, item.device, item.inode) {
            return Err("another file stands in its place since the folder was listed".into());
        }
        if now.len != item.len || now.modified != item.modified {
            return Err(format!("changed since the folder was listed: {} bytes then, {} now", item.len, now.len));
        }
        Ok(File::from(file))
    }
    /// Files that are no longer as they were listed.
    pub(super) fn changed(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (number, item) in (0_u32..).zip(&self.folder.items).filter(|(_, i)| i.kind == ItemKind::File) {
            let path = self.path(number);
            let differs = match statat(&self.root, &path, AtFlags::SYMLINK_NOFOLLOW) {
                Err(e) => Some(e.to_string()),
                Ok(stat) => {
                    let now = self::item(item.parent, item.name.clone(), &stat);
                    (now.len != item.len || now.modified != item.modified)
                        .then(|| "modified since it was listed".to_owned())
                }
            };
            all.extend(differs.map(|why| format!("{}: {why}", shown(&path))));
        }
        all
    }
}

/// Opens what lies at a path below a folder, through no symlink and nowhere above.
fn beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    // Leaves the time of access alone; allowed to the owner and to root only.
    match resolve(root, path, flags | OFlags::NOATIME) {
        Err(Errno::PERM) => resolve(root, path, flags),
        other => other,
    }
}
fn resolve(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, flags, Mode::empty(), inside) {
        // A kernel before 5.6: name by name.
        Err(Errno::NOSYS | Errno::INVAL) => {}
        other => return other,
    }
    let mut here = None;
    let names: Vec<_> = path.components().collect();
    for (number, name) in names.iter().enumerate() {
        let std::path::Component::Normal(name) = name else { return Err(Errno::XDEV) };
        let is_last = number.saturating_add(1) == names.len();
        let flags =
            if is_last { flags } else { OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC };
        let at = here.as_ref().map_or(root, AsFd::as_fd);
        here = Some(openat(at, *name, flags, Mode::empty())?);
    }
    here.ok_or(Errno::NOENT)
}

fn gap(path: &Path, what: String, bytes: u64) -> Gap {
    let path = Some(Name::new(path.as_os_str().as_bytes()));
    Gap { at: Place { path, ..Place::default() }, by: "open".into(), what, bytes }
}

/// Numbers of the kernel that are wide on some machines and narrow on others.
fn wide(n: impl TryInto<u64>) -> u64 {
    n.try_into().unwrap_or(0)
}
fn narrow(n: impl TryInto<u32>) -> u32 {
    n.try_into().unwrap_or(u32::MAX)
}

fn item(parent: u32, name: Name, stat: &Stat) -> Item {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => ItemKind::File,
        FileType::Directory => ItemKind::Directory,
        FileType::Symlink => ItemKind::Symlink,
        FileType::CharacterDevice => ItemKind::CharDevice,
        FileType::BlockDevice => ItemKind::BlockDevice,
        FileType::Fifo => ItemKind::Fifo,
        FileType::Socket => ItemKind::Socket,
        FileType::Unknown => ItemKind::Unknown,
    };
    let time = |seconds, nanos| Time::nanos(seconds, narrow(nanos).min(999_999_999));
    let has_len = matches!(kind, ItemKind::File | ItemKind::Symlink);
    Item {
        parent,
        name,
        kind,
        len: if has_len { wide(stat.st_size) } else { 0 },
        allocated: wide(stat.st_blocks).saturating_mul(512),
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: narrow(stat.st_nlink),
        device: wide(stat.st_dev),
        inode: wide(stat.st_ino),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        accessed: time(stat.st_atime, stat.st_atime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
        special: (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)),
        target: None,
        xattrs: Vec::new(),
    }
}

struct Listing<'a> {
    root: BorrowedFd<'a>,
    items: Vec<Item>,
    room: Room,
    gaps: Vec<Gap>,
    /// Gaps beyond those that are named.
    more: u64,
}

impl Listing<'_> {
    fn note(&mut self, path: &Path, what: String, bytes: u64) {
        if self.gaps.len() < MAX_GAPS {
            self.gaps.push(gap(path, what, bytes));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
    /// Folder by folder, each sorted by name, so that the listing is the same wherever it was made.
    fn walk(&mut self, root: &Path) {
        let mut todo = vec![(0_u32, PathBuf::new())];
        while let Some((number, path)) = todo.pop() {
            let below = match self.folder(number, &path) {
                Ok(below) => below,
                Err(what) => {
                    self.note(&root.join(&path), format!("folder not read: {what}"), 0);
                    continue;
                }
            };
            for (child, name) in below.into_iter().rev() {
                todo.push((child, path.join(name)));
            }
            if self.items.len() >= MAX_ITEMS {
                self.note(
                    root,
                    format!("budget: more than {MAX_ITEMS} entries; the rest of the folder is not listed"),
                    0,
                );
                return;
            }
        }
    }
    /// Of a file that is still the one that was looked at.
    fn attributes(&mut self, folder: &OwnedFd, name: &std::ffi::OsStr, item: &mut Item) -> Result<(), String> {
        let failed = |e: Errno| format!("extended attributes not read: {e}");
        let file = beneath(folder.as_fd(), Path::new(name), OFlags::RDONLY).map_err(failed)?;
        let stat = fstat(&file).map_err(failed)?;
        if (wide(stat.st_dev), wide(stat.st_ino)) != (item.device, item.inode) {
            return Err("extended attributes not read: another file stands in its place".into());
        }
        self.room.take(&file, item)
    }
    /// Lists one folder; gives the folders in it.
    fn folder(&mut self, number: u32, path: &Path) -> Result<Vec<(u32, std::ffi::OsString)>, String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = if path.as_os_str().is_empty() {
            openat(self.root, ".", flags | OFlags::CLOEXEC, Mode::empty())
        } else {
            beneath(self.root, path, flags)
        };
        let fd = opened.map_err(|e| e.to_string())?;
        let kind = fstatfs(&fd).map_err(|e| e.to_string())?.f_type;
        if VIRTUAL.contains(&wide(kind)) && number > 0 {
            return Err("a file system of the running kernel is mounted here".into());
        }
        if let Some(own) = self.items.get_mut(number as usize)
            && let Err(what) = self.room.take(&fd, own)
        {
            self.note(path, what, 0);
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        let mut below = Vec::new();
        for name in names {
            if self.items.len() >= MAX_ITEMS {
                break;
            }
            let child = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
            let os = std::ffi::OsStr::from_bytes(&name).to_owned();
            let stat = match statat(&fd, &os, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(e) => {
                    let at = path.join(&os);
                    self.note(&at, format!("not looked at: {e}"), 0);
                    continue;
                }
            };
            let mut new = item(number, Name::new(&name), &stat);
            if new.kind == ItemKind::Symlink {
                new.target = readlinkat(&fd, &os, Vec::new()).ok().map(|t| Name::new(t.to_bytes()));
            }
            if new.kind == ItemKind::Directory {
                below.push((child, os));
            } else if has(new.kind)
                && let Err(what) = self.attributes(&fd, &os, &mut new)
            {
                self.note(&path.join(&os), what, 0);
            }
            self.items.push(new);
        }
        Ok(below)
    }
}
