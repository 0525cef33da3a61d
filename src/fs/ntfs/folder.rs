//! Listing a directory: what its index names, what only the files' own records tell, and the named
//! streams of each file as entries `file:stream`.
use super::list::{Node, gather};
use super::names::FileName;
use super::raw::{Reference, corrupt};
use super::record::{DATA, FILE_NAME};
use super::survey::ROOT;
use super::value::{Value, values};
use super::{Volume, file, index};
use crate::base::{Name, NodeId};
use crate::fs::{DirEntry, FsError, NodeKind, Stat, Times};
use std::collections::{HashMap, HashSet};

/// A directory that no disk has: it holds the files that no directory leads to.
pub(super) const LOST: NodeId = NodeId { number: u64::MAX, generation: 0 };
const LOST_NAME: &str = "$Orphans";

type Each<'a> = &'a mut dyn FnMut(DirEntry);

pub(super) fn lost_stat() -> Stat {
    Stat {
        kind: NodeKind::Directory,
        len: 0,
        allocated: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 1,
        times: Times::default(),
        flags: Vec::new(),
        xattrs: Vec::new(),
        device: None,
    }
}

pub(super) fn id(file: Reference) -> NodeId {
    NodeId { number: file.number, generation: u64::from(file.sequence) }
}

/// The named streams of a file that are its own, each with its node: the record's number, and the
/// place among the streams beside the sequence number.
pub(super) fn streams(volume: &Volume, node: &Node) -> Vec<(NodeId, Value)> {
    let sequence = u64::from(node.base.sequence());
    let named = values(volume, node, DATA).into_iter().filter(|v| !v.name.is_empty());
    (1_u64..)
        .zip(named)
        .map(|(n, v)| (NodeId { number: node.base.number, generation: sequence | n << 16 }, v))
        .collect()
}

/// What a name says of its file: only that it is a directory, as links and devices are files to it, and a directory
/// that leads elsewhere is a link.
fn emit(volume: &Volume, file: Reference, name: &[u8], is_directory: bool, each: Each<'_>) {
    let kind = if is_directory { NodeKind::Directory } else { NodeKind::Unknown };
    each(DirEntry { name: Name::new(name), node: id(file), kind });
    let Ok(node) = gather(file.number, &volume.mft, &volume.damage) else { return };
    if node.base.sequence() == file.sequence {
        emit_streams(volume, &node, name, each);
    }
}

/// The entries of a file's streams, under one of its names.
pub(super) fn emit_streams(volume: &Volume, node: &Node, name: &[u8], each: Each<'_>) {
    let mut has_streams = false;
    node.attributes(|_, a| has_streams |= a.kind == DATA && !a.name().is_empty());
    if !has_streams {
        return;
    }
    for (node, stream) in streams(volume, node).into_iter().filter(|(_, s)| !file::is_storage(volume, node, s)) {
        let name = [name, b":", &stream.name].concat();
        each(DirEntry { name: name.into(), node, kind: NodeKind::File });
    }
}

pub(super) fn read_dir(volume: &Volume, dir: NodeId, each: Each<'_>) -> Result<(), FsError> {
    if dir == LOST {
        for file in &volume.survey.lost {
            lost(volume, *file, each);
        }
        return Ok(());
    }
    let node = file::node(volume, dir)?;
    let here = volume.mft.volume_offset(dir.number);
    if !node.base.is_directory() {
        return Err(corrupt(here, "not a directory"));
    }
    let own = Reference { number: dir.number, sequence: node.base.sequence() };
    let found = index::read(volume, &node, false).live;
    let mut counts: HashMap<u64, u32> = HashMap::new();
    for entry in found.iter().filter(|e| !e.name.is_dos) {
        let count = counts.entry(entry.file.number).or_default();
        *count = count.saturating_add(1);
    }
    let missing = unnamed(volume, own, &counts);
    for entry in &found {
        let file = entry.file;
        let name = &entry.name.name;
        // A name for DOS stands beside the real one.
        if entry.name.is_dos && (counts.contains_key(&file.number) || missing.contains(&file)) {
            continue;
        }
        match name.as_slice() {
            b"." if file.number == ROOT && dir.number == ROOT => continue,
            b"." | b".." => {
                volume.damage.note("entry named '.' or '..' in a directory; not followed", dir.number, here, 0);
                continue;
            }
            name if name.iter().any(|b| *b == b'/' || *b == 0) => {
                volume.damage.note("directory entry with '/' or NUL in its name", dir.number, here, 0);
            }
            _ => {}
        }
        emit(volume, file, name, entry.name.is_directory && !entry.name.is_reparse(), each);
    }
    if !missing.is_empty() {
        let known: HashSet<(Reference, &[u8])> = found.iter().map(|e| (e.file, e.name.name.as_slice())).collect();
        for file in missing {
            let Ok(node) = gather(file.number, &volume.mft, &volume.damage) else { continue };
            for name in file_names(&node).iter().filter(|n| n.parent.number == own.number && !n.is_dos) {
                if !known.contains(&(file, &name.name)) {
                    let what = "name that stands in a file's record and not in the index of its directory";
                    volume.damage.note(what, file.number, volume.mft.volume_offset(file.number), 0);
                    emit(volume, file, &name.name, name.is_directory && !name.is_reparse(), each);
                }
            }
        }
    }
    if dir.number == ROOT {
        emit_own_streams(volume, &node, each);
        if !volume.survey.lost.is_empty() {
            each(DirEntry { name: Name::from(LOST_NAME), node: LOST, kind: NodeKind::Directory });
        }
    }
    Ok(())
}

/// Streams of the root directory, which no directory names.
fn emit_own_streams(volume: &Volume, root: &Node, each: Each<'_>) {
    emit_streams(volume, root, b"", each);
}

/// Files that have more names in a directory than its index tells.
fn unnamed(volume: &Volume, dir: Reference, counts: &HashMap<u64, u32>) -> Vec<Reference> {
    let mut out = Vec::new();
    let mut children = volume.survey.children(dir).filter(|c| c.number != dir.number).peekable();
    while let Some(child) = children.next() {
        let mut names = 1_u32;
        while children.next_if_eq(&child).is_some() {
            names = names.saturating_add(1);
        }
        if counts.get(&child.number).copied().unwrap_or(0) < names {
            out.push(child);
        }
    }
    out
}

pub(super) fn file_names(node: &Node) -> Vec<FileName> {
    let mut out = Vec::new();
    node.attributes(|_, a| {
        if a.kind == FILE_NAME {
            out.extend(a.value().and_then(FileName::parse));
        }
    });
    out
}

/// One file that no directory leads to, under its first name.
fn lost(volume: &Volume, file: Reference, each: Each<'_>) {
    let here = volume.mft.volume_offset(file.number);
    volume.damage.note("file that no directory leads to; listed below /$Orphans", file.number, here, 0);
    let Ok(node) = gather(file.number, &volume.mft, &volume.damage) else { return };
    let names = file_names(&node);
    let name = names.iter().find(|n| !n.is_dos).or(names.first());
    let name = name.map_or_else(|| file.number.to_string().into_bytes(), |n| n.name.clone());
    let is_directory = node.base.is_directory() && !names.iter().any(FileName::is_reparse);
    emit(volume, file, &name, is_directory, each);
}
