//! What was deleted and can still be seen: records of the MFT that are not in use, and names in the
//! slack of directory indexes.
use super::Volume;
use super::file::REUSED;
use super::folder::{emit_streams, file_names, id};
use super::index;
use super::list::{Node, gather};
use super::names::FileName;
use super::raw::Reference;
use super::survey::ROOT;
use crate::base::{Name, NodeId};
use crate::fs::{DirEntry, NodeKind};
use std::collections::HashSet;

type Each<'a> = &'a mut dyn FnMut(Option<NodeId>, DirEntry);

/// Directories above a deleted file that are looked up.
const MAX_DEPTH: usize = 64;

pub(super) fn deleted(volume: &Volume, each: Each<'_>) {
    let mut told: HashSet<(u64, u64, Vec<u8>)> = HashSet::new();
    for number in &volume.survey.deleted {
        let Ok(node) = gather(*number, &volume.mft, &volume.damage) else { continue };
        let own = Reference { number: *number, sequence: node.base.sequence() };
        let names = file_names(&node);
        let mut shown: Vec<&FileName> = names.iter().filter(|n| !n.is_dos).collect();
        if shown.is_empty() {
            shown.extend(names.first());
        }
        if shown.is_empty() {
            if has_attributes(&node) {
                let kind = if node.base.is_directory() { NodeKind::Directory } else { NodeKind::File };
                each(None, DirEntry { name: Name::default(), node: id(own), kind });
            }
            continue;
        }
        for name in shown {
            told.insert((name.parent.number, *number, name.name.clone()));
            let (parent, path) = place(volume, name);
            let kind = if node.base.is_directory() { NodeKind::Directory } else { NodeKind::File };
            each(parent, DirEntry { name: Name::new(&path), node: id(own), kind });
            emit_streams(volume, &node, &path, &mut |stream| each(parent, stream));
        }
    }
    slack(volume, &told, each);
}

/// Whether a record that is not in use still holds anything of a file.
fn has_attributes(node: &Node) -> bool {
    let mut any = false;
    node.attributes(|_, _| any = true);
    any
}

/// The live directory in which a deleted file lay, and its path from there: the directories between
/// were deleted as well.
fn place(volume: &Volume, name: &FileName) -> (Option<NodeId>, Vec<u8>) {
    let mut path = name.name.clone();
    let mut parent = name.parent;
    for _ in 0..MAX_DEPTH {
        let Ok(dir) = gather(parent.number, &volume.mft, &volume.damage) else { break };
        let sequence = dir.base.sequence();
        if dir.base.is_used() {
            let same = dir.base.is_directory() && sequence == parent.sequence;
            return (same.then(|| id(parent)), path);
        }
        // Deleting counts the sequence number up.
        let before = sequence.wrapping_sub(1) == parent.sequence || sequence == parent.sequence;
        let names = file_names(&dir);
        let Some(above) = names.iter().find(|n| !n.is_dos).or(names.first()).filter(|_| before) else { break };
        path = [above.name.as_slice(), b"/", &path].concat();
        parent = above.parent;
    }
    (None, path)
}

/// Names in the slack of live directories' indexes that no live name and no deleted record explains.
fn slack(volume: &Volume, told: &HashSet<(u64, u64, Vec<u8>)>, each: Each<'_>) {
    let mut dirs = Vec::new();
    volume.mft.each(&volume.damage, |record| {
        if record.is_used() && record.is_directory() && record.is_base() {
            dirs.push(record.number);
        }
    });
    for number in dirs {
        let Ok(node) = gather(number, &volume.mft, &volume.damage) else { continue };
        let found = index::read(volume, &node, true);
        if found.slack.is_empty() {
            continue;
        }
        let own = Reference { number, sequence: node.base.sequence() };
        let mut known: HashSet<(u64, &[u8])> =
            found.live.iter().map(|e| (e.file.number, e.name.name.as_slice())).collect();
        for entry in &found.slack {
            let name = entry.name.name.as_slice();
            let foreign = entry.name.parent.number != number;
            let odd = matches!(name, b"." | b".." | b"") || (entry.file.number == ROOT);
            if foreign || odd || entry.name.is_dos || !known.insert((entry.file.number, name)) {
                continue;
            }
            if told.contains(&(number, entry.file.number, name.to_vec())) {
                continue;
            }
            let kind = if entry.name.is_directory { NodeKind::Directory } else { NodeKind::File };
            each(Some(id(own)), DirEntry { name: Name::new(name), node: now(volume, entry.file), kind });
        }
    }
}

/// The node of a deleted name's file, if its record still holds it and nothing else leads there.
fn now(volume: &Volume, file: Reference) -> NodeId {
    let record = volume.mft.record(file.number, &volume.damage).ok();
    let own = record.filter(|r| !r.is_used() && r.is_base());
    match own.map(|r| r.sequence()) {
        Some(sequence) if sequence.wrapping_sub(1) == file.sequence || sequence == file.sequence => {
            NodeId { number: file.number, generation: u64::from(sequence) }
        }
        _ => NodeId { number: file.number, generation: REUSED },
    }
}
