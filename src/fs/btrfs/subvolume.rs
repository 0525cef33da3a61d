//! Subvolumes as facts: where each hangs, what it says of itself, which of them nothing leads to.
use super::Volume;
use super::raw::{DIR_INDEX, DIR_ITEM, FIRST, FS_TREE, INODE_EXTREF, INODE_REF, Key};
use super::roots::{Subvolume, names};
use super::{dir, raw};
use crate::base::Name;
use crate::volume::btrfs::{Uuid, uuid_text};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Directories within each other.
const MAX_DEPTH: usize = 4096;
/// Subvolumes that are described one by one.
const MAX_DESCRIBED: usize = 1000;

fn is_set(uuid: &Uuid) -> bool {
    uuid.iter().any(|b| *b != 0)
}

impl Volume {
    pub(super) fn is_snapshot(&self, id: u64) -> bool {
        self.roots.subvolumes.get(&id).is_some_and(|s| is_set(&s.parent_uuid) || is_set(&s.received_uuid))
    }
    /// Whether it was deleted, and is only being cleared away.
    pub(super) fn is_deleted(&self, id: u64, found: &Subvolume) -> bool {
        id != FS_TREE && (found.refs == 0 || self.roots.orphans.contains(&id))
    }
    /// What the root directory of a subvolume shows of it.
    pub(super) fn flags_of_root(&self, id: u64, flags: &mut Vec<&'static str>) {
        let Some(found) = self.roots.subvolumes.get(&id).filter(|_| id != FS_TREE) else { return };
        flags.push(if self.is_snapshot(id) { "snapshot" } else { "subvolume" });
        if found.read_only {
            flags.push("read-only");
        }
        if self.roots.default == Some(id) {
            flags.push("default-subvolume");
        }
    }
    /// Path of a directory within its subvolume, empty for its root; `None` where it cannot be told.
    pub(super) fn path_within(&self, subvolume: u64, directory: u64) -> Option<Vec<u8>> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut at = directory;
        let mut seen = BTreeSet::new();
        while at != FIRST {
            if !seen.insert(at) || seen.len() > MAX_DEPTH {
                return None;
            }
            let mut up = None;
            let (from, to) = (Key::new(at, INODE_REF, 0), Key::new(at, INODE_EXTREF, u64::MAX));
            self.items(subvolume, from, to, &mut |item| {
                up = names(item.key, item.data, item.key.kind == INODE_EXTREF).into_iter().next();
                up.is_none()
            });
            let (parent, name) = up?;
            parts.push(name);
            at = parent;
        }
        Some(parts.iter().rev().flat_map(|p| [b"/", p.as_slice()].concat()).collect())
    }
    /// Whether the directory that a subvolume names as its own has its name.
    fn is_named(&self, id: u64, found: &Subvolume) -> bool {
        let Some(link) = &found.link else { return false };
        let mut named = false;
        let (from, to) = (Key::new(link.dir, DIR_ITEM, 0), Key::new(link.dir, DIR_INDEX, u64::MAX));
        self.items(link.parent, from, to, &mut |item| {
            let (all, _) = dir::entries(item.data);
            named = all
                .iter()
                .any(|raw| raw.location.object == id && raw.location.kind == raw::ROOT_ITEM && raw.name == link.name);
            !named
        });
        named && self.roots.refs.get(&(link.parent, id)).is_some_and(|(d, n)| *d == link.dir && *n == link.name)
    }
    fn path_of(&self, id: u64) -> Option<Name> {
        self.roots.path(id, &|parent, dir| self.path_within(parent, dir))
    }
    /// Those that are there and that no entry leads to.
    pub(super) fn find_unreachable(&self) -> Vec<u64> {
        let live = self.roots.subvolumes.iter().filter(|(id, s)| **id != FS_TREE && !self.is_deleted(**id, s));
        live.filter(|(id, s)| !self.is_named(**id, s) || self.path_of(**id).is_none()).map(|(id, _)| *id).collect()
    }
    /// Field and value of each.
    pub(super) fn describe(&self, out: &mut Vec<(String, String)>) {
        if let Some(id) = self.roots.default.filter(|id| *id != FS_TREE) {
            out.push(("default subvolume".to_owned(), id.to_string()));
        }
        for (n, (id, found)) in self.roots.subvolumes.iter().filter(|(id, _)| **id != FS_TREE).enumerate() {
            if n >= MAX_DESCRIBED {
                let more = self.roots.subvolumes.len().saturating_sub(n);
                out.push(("subvolumes".to_owned(), format!("{more} more are not described here")));
                break;
            }
            let path = match self.path_of(*id) {
                Some(path) if !self.unreachable.contains(id) => path.display(),
                _ if self.is_deleted(*id, found) => "deleted, not cleared away yet".to_owned(),
                _ => format!("no directory entry leads to it; listed as /$subvolume-{id}"),
            };
            let mut text = format!("{path}; generation {}", found.root.generation);
            for (name, uuid) in
                [("uuid", found.uuid), ("parent uuid", found.parent_uuid), ("received uuid", found.received_uuid)]
            {
                if is_set(&uuid) {
                    let _ = write!(text, "; {name} {}", uuid_text(&uuid));
                }
            }
            for (name, time) in [("created", found.created), ("changed", found.changed), ("received", found.received)] {
                if let Some(time) = time {
                    let _ = write!(text, "; {name} {time}");
                }
            }
            if found.read_only {
                text.push_str("; read-only");
            }
            let kind = if self.is_snapshot(*id) { "snapshot" } else { "subvolume" };
            out.push((format!("{kind} {id}"), text));
        }
    }
}
