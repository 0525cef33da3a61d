//! Answers the kernel's requests from the index and the evidence's bytes.
use super::view::{Of, View};
use super::wire::{Attributes, Fields, Head, MAX_READ, Out, dirent, errno, no_entry, op, statfs};
use crate::base::{PieceKind, Run, Time};
use crate::fs::{NodeKind, Stat, is_told};
use crate::image::Source;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Files held open, so that a read need not find out again where the bytes lie.
const OPEN: usize = 64;
/// A search for data or a hole looks at so many bytes first, and at twice as many each time.
const WINDOW: u64 = 64 << 20;

pub(super) struct Answers<'a> {
    view: View<'a>,
    /// Nodes whose content killed a worker.
    banned: HashSet<u64>,
    /// The last used last.
    open: Mutex<Vec<(u64, Source)>>,
    bytes: u64,
}

/// What to send; a read's bytes stand in the buffer it was given.
pub(super) enum Reply {
    Nothing,
    Error(i32),
    Small(Vec<u8>),
    Read(usize),
}
use Reply::{Error, Small};

impl<'a> Answers<'a> {
    pub(super) fn new(view: View<'a>, banned: &[u64]) -> Self {
        let bytes = view.indexed.layout.images.iter().fold(0, |sum: u64, i| sum.saturating_add(i.len()));
        Self { view, banned: banned.iter().copied().collect(), open: Mutex::default(), bytes }
    }

    pub(super) fn answer(&self, head: Head, mut fields: Fields<'_>, buf: &mut Vec<u8>) -> Reply {
        let node = head.node;
        let found = match head.opcode {
            op::FORGET | op::BATCH_FORGET => return Reply::Nothing,
            op::DESTROY => Some(Small(Vec::new())),
            op::INIT => Some(super::wire::init(&mut fields).map_or(Error(errno::EPROTO), Small)),
            op::STATFS => Some(Small(statfs(self.bytes, self.view.len()))),
            op::LOOKUP => fields.name().map(|name| self.lookup(node, name)),
            op::GETATTR => Some(self.attributes(node).map_or_else(Error, |a| Small(a.alone()))),
            op::STATX => Some(self.attributes(node).map_or_else(Error, |a| Small(a.extended()))),
            op::READDIR | op::READDIRPLUS => self.list(node, &mut fields, head.opcode == op::READDIRPLUS),
            // What follows parses the node's own structures.
            _ if self.banned.contains(&node) => Some(Error(errno::EIO)),
            op::READLINK => Some(self.link(node)),
            op::READ => self.read(node, &mut fields, buf),
            op::LSEEK => self.seek(node, &mut fields),
            op::GETXATTR => self.attribute(node, &mut fields),
            op::LISTXATTR => self.attribute_names(node, &mut fields, head.uid == 0),
            // Opening without asking is what the kernel does from then on; nothing else applies to what is read only.
            _ => Some(Error(errno::ENOSYS)),
        };
        found.unwrap_or(Error(errno::EINVAL))
    }

    /// Ends the process over the content of a file of this name, as a fault that nothing catches would.
    #[cfg(test)]
    pub(super) fn die_if_asked(&self, request: &[u8]) {
        let Some((head, _)) = super::wire::request(request) else { return };
        let entry = self.view.of(head.node).and_then(|of| self.view.entry(of));
        if head.opcode == op::READ
            && !self.banned.contains(&head.node)
            && entry.is_some_and(|e| e.path.file_name() == b"kills-its-worker")
        {
            std::process::abort();
        }
    }

    fn lookup(&self, folder: u64, name: &[u8]) -> Reply {
        let node = match name {
            b"." => Some(folder),
            b".." => Some(self.view.parent(folder)),
            name => self.view.lookup(folder, name),
        };
        match node {
            None if self.view.is_folder(folder) == Some(true) => Small(no_entry()),
            None => Error(errno::ENOTDIR),
            Some(node) => self.attributes(node).map_or_else(Error, |a| Small(a.entry(node))),
        }
    }

    fn attributes(&self, node: u64) -> Result<Attributes, i32> {
        let of = self.view.of(node).ok_or(errno::ENOENT)?;
        let own = |mode: u32, size: u64| Attributes {
            ino: self.view.ino(node),
            size,
            allocated: size,
            mode,
            links: 1,
            ..Attributes::default()
        };
        match of {
            Of::Folder => Ok(own(0o040_555, 0)),
            Of::Text(number) => Ok(own(0o100_444, self.view.text(number).len() as u64)),
            Of::Disk(image) => {
                Ok(own(0o100_444, self.view.indexed.layout.images.get(image as usize).map_or(0, |i| i.len())))
            }
            Of::Tree(..) | Of::Gone(..) | Of::System(..) => {
                let entry = self.view.entry(of).ok_or(errno::ENOENT)?;
                let stat = entry.stat.as_ref().ok_or(errno::EIO)?;
                let tree = self.view.indexed.trees.iter().find(|t| t.id == entry.fs);
                let has_modes = tree.is_none_or(|t| !matches!(t.fs.info().kind.as_str(), "vfat" | "exfat" | "ntfs"));
                // A folder that is joined from several, or shows what was deleted, has other links than on disk.
                let counted = !stat_is_folder(stat) || matches!(of, Of::Tree(..));
                let links = if counted { stat.links.max(1) } else { 1 };
                Ok(Attributes { ino: self.view.ino(node), links, ..evident(stat, has_modes) })
            }
        }
    }

    fn list(&self, folder: u64, fields: &mut Fields<'_>, plus: bool) -> Option<Reply> {
        let (_, from, room) = (fields.u64()?, fields.u64()?, fields.u32()?);
        if self.view.is_folder(folder) != Some(true) {
            return Some(Error(errno::ENOTDIR));
        }
        let room = usize::try_from(room).ok()?.min(MAX_READ);
        let mut out = Out::default();
        // 0 and 1 are the folder and the one above it.
        let dots = [(folder, b".".as_slice()), (self.view.parent(folder), b"..")];
        let dots = dots.into_iter().skip(usize::try_from(from).unwrap_or(usize::MAX));
        let names = self.view.names(folder, from.saturating_sub(2)).map(|(node, name)| (node, name, true));
        let all = dots.map(|(node, name)| (node, name, false)).chain(names);
        for ((node, name, is_entry), next) in all.zip(from.saturating_add(1)..) {
            let attributes = self.attributes(node);
            let kind = attributes.as_ref().map_or(0, |a| a.mode >> 12);
            // A number of 0 makes no entry of it: the kernel asks when somebody wants to know.
            let entry = match &attributes {
                Ok(a) if is_entry => a.entry(node),
                _ => no_entry(),
            };
            let ino = self.view.ino(node);
            if !dirent(&mut out, room, plus.then_some(&entry), ino, next, kind, name) {
                break;
            }
        }
        Some(Small(out.0))
    }

    fn link(&self, node: u64) -> Reply {
        let Some(of) = self.view.of(node) else { return Error(errno::ENOENT) };
        let Some(entry) = self.view.entry(of) else { return Error(errno::EINVAL) };
        let indexed = self.view.indexed;
        let target = match of {
            Of::System(system, _) => {
                indexed.systems.get(system as usize).and_then(|s| s.link_target(entry)).map(|t| t.bytes().to_vec())
            }
            _ => indexed.trees.iter().find(|t| t.id == entry.fs).and_then(|t| t.fs.read_link(entry.node).ok()),
        };
        match target {
            // The kernel ends a target at its first NUL, and takes a page of it.
            Some(target) if !target.is_empty() && target.len() < 4096 && !target.contains(&0) => Small(target),
            _ => Error(errno::EIO),
        }
    }

    fn read(&self, node: u64, fields: &mut Fields<'_>, buf: &mut Vec<u8>) -> Option<Reply> {
        let (_, offset, size) = (fields.u64()?, fields.u64()?, fields.u32()?);
        let size = usize::try_from(size).ok()?.min(MAX_READ);
        if buf.len() < size {
            buf.resize(size, 0);
        }
        let source = match self.source(node) {
            Ok(source) => source,
            Err(error) => return Some(Error(error)),
        };
        let read = source.read_at(offset, buf.get_mut(..size)?);
        Some(read.map_or(Error(errno::EIO), |n| Reply::Read(n.min(size))))
    }

    /// Where data or a hole begins: `SEEK_DATA`, `SEEK_HOLE`.
    fn seek(&self, node: u64, fields: &mut Fields<'_>) -> Option<Reply> {
        const DATA: u32 = 3;
        const HOLE: u32 = 4;
        let (_, offset, whence) = (fields.u64()?, fields.u64()?, fields.u32()?);
        let source = match self.source(node) {
            Ok(source) if whence == DATA || whence == HOLE => source,
            Ok(_) => return Some(Error(errno::EINVAL)),
            Err(error) => return Some(Error(error)),
        };
        let len = source.len();
        if offset >= len {
            return Some(Error(errno::ENXIO));
        }
        let (mut at, mut window) = (offset, WINDOW);
        while at < len {
            let pieces = source.locate(Run::new(at, window.min(len.saturating_sub(at))));
            if pieces.is_empty() {
                break;
            }
            for piece in pieces {
                if (piece.kind == PieceKind::Hole) == (whence == HOLE) && piece.len > 0 {
                    return Some(place(at));
                }
                at = at.saturating_add(piece.len);
            }
            window = window.saturating_mul(2);
        }
        // Behind the last byte is a hole; data there is none.
        Some(if whence == HOLE { place(len) } else { Error(errno::ENXIO) })
    }

    fn stat(&self, node: u64) -> Option<&Arc<Stat>> {
        self.view.entry(self.view.of(node)?)?.stat.as_ref()
    }

    fn attribute(&self, node: u64, fields: &mut Fields<'_>) -> Option<Reply> {
        let (size, _, name) = (fields.u32()?, fields.u32()?, fields.name()?);
        let stat = self.stat(node);
        let value = stat.and_then(|s| s.xattrs.iter().find(|(n, _)| n.bytes() == name && !is_told(name)));
        Some(value.map_or(Error(errno::ENODATA), |(_, value)| sized(value.clone(), size)))
    }

    fn attribute_names(&self, node: u64, fields: &mut Fields<'_>, is_root: bool) -> Option<Reply> {
        let size = fields.u32()?;
        let mut all = Vec::new();
        for (name, _) in self.stat(node).map(|s| s.xattrs.as_slice()).unwrap_or_default() {
            let name = name.bytes();
            let hidden = is_told(name) || (name.starts_with(b"trusted.") && !is_root);
            if !hidden && !name.is_empty() && !name.contains(&0) {
                all.extend_from_slice(name);
                all.push(0);
            }
        }
        Some(sized(all, size))
    }

    fn source(&self, node: u64) -> Result<Source, i32> {
        let known = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let at = open.iter().rposition(|(n, _)| *n == node);
            at.map(|at| {
                let found = open.remove(at);
                let source = found.1.clone();
                open.push(found);
                source
            })
        };
        if let Some(source) = known {
            return Ok(source);
        }
        let of = self.view.of(node).ok_or(errno::ENOENT)?;
        let indexed = self.view.indexed;
        let source: Source = match of {
            Of::Folder => return Err(errno::EINVAL),
            Of::Text(number) => Arc::new(self.view.text(number).to_vec()),
            Of::Disk(image) => indexed.layout.images.get(image as usize).ok_or(errno::ENOENT)?.clone(),
            Of::Tree(tree, _) | Of::Gone(tree, _) => {
                let entry = self.view.entry(of).filter(|e| e.is_file()).ok_or(errno::EIO)?;
                let tree = indexed.trees.get(tree as usize).ok_or(errno::EIO)?;
                tree.open(entry).map_err(|_| errno::EIO)?
            }
            Of::System(system, _) => {
                let entry = self.view.entry(of).filter(|e| e.is_file()).ok_or(errno::EIO)?;
                let system = indexed.systems.get(system as usize).ok_or(errno::EIO)?;
                system.open(entry).map_err(|_| errno::EIO)?
            }
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN {
            open.remove(0);
        }
        open.push((node, source.clone()));
        Ok(source)
    }
}

fn place(at: u64) -> Reply {
    let mut out = Out::default();
    out.u64(at);
    Small(out.0)
}

/// An attribute's bytes, or how many there are.
fn sized(value: Vec<u8>, size: u32) -> Reply {
    let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
    if size == 0 {
        let mut out = Out::default();
        out.u32(len).u32(0);
        return Small(out.0);
    }
    if len > size { Error(errno::ERANGE) } else { Small(value) }
}

fn stat_is_folder(stat: &Stat) -> bool {
    stat.kind == NodeKind::Directory
}

/// An inode's attributes as they are on disk; where the format has no modes, what everybody may read.
fn evident(stat: &Stat, has_modes: bool) -> Attributes {
    let kind = match stat.kind {
        NodeKind::Directory => 0o040_000,
        NodeKind::Symlink => 0o120_000,
        NodeKind::CharDevice => 0o020_000,
        NodeKind::BlockDevice => 0o060_000,
        NodeKind::Fifo => 0o010_000,
        NodeKind::Socket => 0o140_000,
        NodeKind::File | NodeKind::Unknown => 0o100_000,
    };
    let mode = match stat.kind {
        _ if has_modes || stat.mode != 0 => stat.mode & 0o7777,
        NodeKind::Directory => 0o555,
        NodeKind::Symlink => 0o777,
        _ => 0o444,
    };
    let time = |t: Option<Time>| t.map(|t| (t.seconds, t.nanos.min(999_999_999)));
    let modified = time(stat.times.modified).unwrap_or_default();
    Attributes {
        ino: 0,
        size: stat.len,
        allocated: stat.allocated,
        accessed: time(stat.times.accessed).unwrap_or(modified),
        modified,
        changed: time(stat.times.changed).unwrap_or(modified),
        created: time(stat.times.created),
        mode: kind | mode,
        links: stat.links,
        uid: stat.uid,
        gid: stat.gid,
        device: stat.device.unwrap_or_default(),
    }
}
