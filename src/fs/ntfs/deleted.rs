//! What was deleted and can still be seen: records of the MFT that are not in use, and names in the
//! slack of directory indexes.
use super::Volume;
use super::folder::{emit_streams, file_names, id};
use super::index;
use super::list::{Node, gather};
use super::names::{FileName, flags};
use super::raw::Reference;
use super::survey::ROOT;
use crate::base::{Name, NodeId};
use crate::fs::{DirEntry, NodeKind, Stat};
use std::collections::HashSet;

type Each<'a> = &'a mut dyn FnMut(Option<NodeId>, DirEntry);

/// Directories above a deleted file that are looked up.
const MAX_DEPTH: usize = 64;
/// Names from slack that are kept; more come only from a crafted volume.
const MAX_SLACK: usize = 1 << 21;

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

/// A name in the slack of an index whose file is gone. The name carries a size and times of its own.
pub(super) struct Slack {
    dir: NodeId,
    name: FileName,
    file: Reference,
    /// The record that still holds the file, if it does.
    node: Option<NodeId>,
}

impl Slack {
    /// What the name itself tells. What kind of file it was led to is told of directories only.
    pub(super) fn stat(&self) -> Stat {
        Stat {
            kind: if self.name.is_directory { NodeKind::Directory } else { NodeKind::Unknown },
            len: self.name.len,
            allocated: self.name.allocated,
            mode: 0,
            uid: 0,
            gid: 0,
            links: 0,
            times: self.name.times,
            flags: flags(self.name.flags),
            xattrs: Vec::new(),
            device: None,
        }
    }
}

/// Set in the generation of nodes that are names in slack; the other bits are their place.
const SLACK: u64 = 1 << 62;

/// The name in slack that a node stands for.
pub(super) fn slack_of(volume: &Volume, node: NodeId) -> Option<&Slack> {
    let at = usize::try_from(node.generation.checked_sub(SLACK)?).ok()?;
    volume.slack.get()?.get(at)
}

/// Names in the slack of live directories' indexes that no live name and no deleted record explains.
fn slack(volume: &Volume, told: &HashSet<(u64, u64, Vec<u8>)>, each: Each<'_>) {
    let all = volume.slack.get_or_init(|| find_slack(volume, told));
    for (at, found) in (0_u64..).zip(all) {
        let kind = if found.name.is_directory { NodeKind::Directory } else { NodeKind::File };
        let node = found.node.unwrap_or(NodeId { number: found.file.number, generation: SLACK | at });
        each(Some(found.dir), DirEntry { name: Name::new(&found.name.name), node, kind });
    }
}

fn find_slack(volume: &Volume, told: &HashSet<(u64, u64, Vec<u8>)>) -> Vec<Slack> {
    let mut dirs = Vec::new();
    volume.mft.each(&volume.damage, |record| {
        if record.is_used() && record.is_directory() && record.is_base() {
            dirs.push(record.number);
        }
    });
    let mut all = Vec::new();
    for number in dirs {
        let Ok(node) = gather(number, &volume.mft, &volume.damage) else { continue };
        let index = index::read(volume, &node, true);
        let dir = id(Reference { number, sequence: node.base.sequence() });
        let mut known: HashSet<(u64, Vec<u8>)> = index.live.into_iter().map(|e| (e.file.number, e.name.name)).collect();
        for entry in index.slack {
            let name = &entry.name.name;
            let odd = matches!(name.as_slice(), b"." | b".." | b"") || entry.file.number == ROOT;
            let foreign = entry.name.parent.number != number;
            if foreign || odd || entry.name.is_dos || !known.insert((entry.file.number, name.clone())) {
                continue;
            }
            if all.len() >= MAX_SLACK {
                let here = volume.mft.volume_offset(number);
                volume.damage.note("budget: names in the slack of indexes; the rest was not listed", number, here, 0);
                return all;
            }
            if !told.contains(&(number, entry.file.number, name.clone())) {
                let node = now(volume, entry.file);
                all.push(Slack { dir, name: entry.name, file: entry.file, node });
            }
        }
    }
    all
}

/// The node of a deleted name's file, if its record still holds it and nothing else leads there.
fn now(volume: &Volume, file: Reference) -> Option<NodeId> {
    let record = volume.mft.record(file.number, &volume.damage).ok()?;
    let sequence = record.sequence();
    let same = sequence.wrapping_sub(1) == file.sequence || sequence == file.sequence;
    (!record.is_used() && record.is_base() && same)
        .then(|| NodeId { number: file.number, generation: u64::from(sequence) })
}
