//! The log of what was synchronised since the last transaction, carried out in memory as a mount would: each
//! subvolume's log becomes items that are laid over its tree. Nothing is written.
//! Format: as of any tree; `DIR_LOG_INDEX` items say for which part of a directory the log is complete. What a
//! mount does with it: the kernel's documentation of `fsync` in Btrfs, and what it leaves behind (tests).
use super::extent::REGULAR;
use super::patch::{cut, hash, indices, kind_number, without_entry, without_name};
use super::raw::{
    DIR_INDEX, DIR_ITEM, DIR_LOG_INDEX, EXTENT_CSUM, EXTENT_CSUMS, EXTENT_DATA, INODE_EXTREF, INODE_ITEM, INODE_REF,
    Key, XATTR_ITEM, u8_at, u32_at, u64_at,
};
use super::roots::names;
use super::tree::{Overlay, Patch};
use super::{Volume, dir, inode, tree};
use crate::base::Budget;
use crate::volume::btrfs::Root;
use std::collections::BTreeSet;

/// Items and bytes of one subvolume's log; what a program synchronises between two transactions is far less.
const MAX_ITEMS: usize = 1 << 20;
const MAX_BYTES: usize = 256 << 20;

/// What a subvolume's log makes of its tree.
pub(super) struct Replay<'a> {
    volume: &'a Volume,
    root: Root,
    log: Overlay,
    /// Items that replace those of the tree so far.
    over: Overlay,
    budget: Budget,
    /// Inodes whose links and bytes are counted again, and directories whose size is.
    counted: BTreeSet<u64>,
    directories: BTreeSet<u64>,
    no_holes: bool,
}

impl<'a> Replay<'a> {
    /// Reads the log; an error says why it cannot be carried out.
    pub(super) fn read(volume: &'a Volume, root: Root, log: Root, no_holes: bool) -> Result<Self, &'static str> {
        let mut items = Overlay::new();
        let mut bytes = 0_usize;
        let mut full = false;
        let whole = volume.blocks.each(log, Key::default(), Key::LAST, &mut |item| {
            bytes = bytes.saturating_add(item.data.len());
            full = items.len() >= MAX_ITEMS || bytes > MAX_BYTES;
            items.insert(item.key, Some(Patch { data: item.data.to_vec(), logical: item.logical }));
            !full
        });
        if full {
            return Err("it is larger than any log can be");
        }
        if !whole {
            return Err("part of it cannot be read");
        }
        Ok(Self {
            volume,
            root,
            log: items,
            over: Overlay::new(),
            budget: volume.budget,
            counted: BTreeSet::new(),
            directories: BTreeSet::new(),
            no_holes,
        })
    }

    /// Carries it out: items for the tree, and checksums of contents. An error says why that stopped.
    pub(super) fn run(mut self) -> Result<(Overlay, Overlay), &'static str> {
        let ignored: BTreeSet<u64> = self
            .log
            .iter()
            .filter(|(key, patch)| {
                key.kind == INODE_ITEM && patch.as_ref().is_some_and(|p| u32_at(&p.data, 40) == Some(0))
            })
            .map(|(key, _)| key.object)
            .collect();
        let log: Vec<(Key, Patch)> = self
            .log
            .iter()
            .filter(|(key, _)| !ignored.contains(&key.object))
            .filter_map(|(key, patch)| Some((*key, patch.clone()?)))
            .collect();
        for (key, patch) in log.iter().filter(|(key, _)| key.kind == INODE_ITEM) {
            self.remove_attributes(key.object)?;
            let mode = u32_at(&patch.data, 52).unwrap_or(0);
            if mode >> 12 == 4 {
                self.remove_names(key.object)?;
            }
            self.put_inode(*key, patch)?;
            if mode >> 12 == 8 {
                let len = u64_at(&patch.data, 16).unwrap_or(0);
                let sector = u64::from(self.volume.sb.sector);
                self.drop_extents(key.object, len.checked_next_multiple_of(sector).unwrap_or(u64::MAX), u64::MAX)?;
            }
            self.counted.insert(key.object);
        }
        for (key, patch) in log.iter().filter(|(key, _)| key.kind == DIR_INDEX) {
            for raw in dir::entries(&patch.data).0 {
                self.put_entry(*key, &raw)?;
            }
        }
        for (key, patch) in &log {
            match key.kind {
                XATTR_ITEM => _ = self.over.insert(*key, Some(patch.clone())),
                INODE_REF | INODE_EXTREF => self.put_names(*key, patch)?,
                EXTENT_DATA => self.put_extent(*key, patch)?,
                _ => {}
            }
        }
        self.count()?;
        let sums =
            self.log.into_iter().filter(|(key, _)| key.object == EXTENT_CSUMS && key.kind == EXTENT_CSUM).collect();
        Ok((self.over, sums))
    }

    /// Items of the tree as it is by now.
    fn items(&mut self, from: Key, to: Key) -> Result<Vec<(Key, Patch)>, &'static str> {
        let mut out = Vec::new();
        let mut budget = self.budget;
        let mut within = true;
        let whole = tree::each(&self.volume.blocks, self.root, Some(&self.over), from, to, &mut |item| {
            within = budget.step(1).is_ok();
            out.push((item.key, Patch { data: item.data.to_vec(), logical: item.logical }));
            within
        });
        self.budget = budget;
        match (within, whole) {
            (false, _) => Err("budget: steps"),
            (_, false) => Err("the tree that it belongs to cannot be read whole"),
            _ => Ok(out),
        }
    }
    fn item(&mut self, key: Key) -> Result<Option<Patch>, &'static str> {
        Ok(self.items(key, key)?.pop().map(|(_, patch)| patch))
    }
    fn all(&mut self, object: u64, kind: u8) -> Result<Vec<(Key, Patch)>, &'static str> {
        self.items(Key::new(object, kind, 0), Key::new(object, kind, u64::MAX))
    }
    fn exists(&mut self, inode: u64) -> Result<bool, &'static str> {
        Ok(self.item(Key::new(inode, INODE_ITEM, 0))?.is_some())
    }

    /// Attributes that the log of an inode does not have any more.
    fn remove_attributes(&mut self, inode: u64) -> Result<(), &'static str> {
        for (key, _) in self.all(inode, XATTR_ITEM)? {
            if !self.log.contains_key(&key) {
                self.over.insert(key, None);
            }
        }
        Ok(())
    }
    /// Names that a directory's log does not have, where it says that it is complete.
    fn remove_names(&mut self, directory: u64) -> Result<(), &'static str> {
        let ranges: Vec<(u64, u64)> = self
            .log
            .range(Key::new(directory, DIR_LOG_INDEX, 0)..=Key::new(directory, DIR_LOG_INDEX, u64::MAX))
            .filter_map(|(key, patch)| Some((key.offset, u64_at(&patch.as_ref()?.data, 0)?)))
            .collect();
        for (first, last) in ranges {
            for (key, patch) in
                self.items(Key::new(directory, DIR_INDEX, first), Key::new(directory, DIR_INDEX, last))?
            {
                if self.log.contains_key(&key) {
                    continue;
                }
                for raw in dir::entries(&patch.data).0.iter().filter(|r| r.location.kind == INODE_ITEM) {
                    self.unlink(directory, &raw.name, raw.location.object)?;
                }
            }
        }
        Ok(())
    }
    /// Takes a name out of both lists of a directory and out of its inode.
    fn unlink(&mut self, directory: u64, name: &[u8], inode: u64) -> Result<(), &'static str> {
        self.directories.insert(directory);
        self.counted.insert(inode);
        let holds = |patch: &Patch| dir::entries(&patch.data).0.iter().any(|raw| raw.name == name);
        for (key, patch) in self.all(directory, DIR_INDEX)? {
            if holds(&patch) {
                self.over.insert(key, None);
            }
        }
        let key = Key::new(directory, DIR_ITEM, hash(name));
        if let Some(patch) = self.item(key)? {
            let data = without_entry(&patch.data, name);
            self.over.insert(key, (!data.is_empty()).then_some(Patch { data, ..patch }));
        }
        for (key, patch) in self.items(Key::new(inode, INODE_REF, 0), Key::new(inode, INODE_EXTREF, u64::MAX))? {
            let extended = key.kind == INODE_EXTREF;
            if key.kind != INODE_REF && !extended {
                continue;
            }
            let data = without_name(key, &patch.data, extended, directory, name);
            if data.len() != patch.data.len() {
                self.over.insert(key, (!data.is_empty()).then_some(Patch { data, ..patch }));
            }
        }
        Ok(())
    }

    fn put_inode(&mut self, key: Key, patch: &Patch) -> Result<(), &'static str> {
        let old = self.item(key)?;
        let mut new = patch.clone();
        let mut keep = |from: Option<&Patch>, at: usize| {
            let value = from.and_then(|p| u64_at(&p.data, at)).unwrap_or(0).to_le_bytes();
            if let Some(field) = new.data.get_mut(at..at.saturating_add(8)) {
                field.copy_from_slice(&value);
            }
        };
        // Counted again where extents change.
        keep(old.as_ref(), 24);
        let mode = u32_at(&patch.data, 52).unwrap_or(0);
        if mode >> 12 == 4 {
            keep(old.as_ref(), 16);
        }
        if u64_at(&patch.data, 0) == Some(0) && old.is_some() {
            // Only that it exists was logged, and perhaps its size.
            let (mut new, len) = (old.unwrap_or_else(|| patch.clone()), u64_at(&patch.data, 16).unwrap_or(0));
            if mode >> 12 == 8
                && len != 0
                && let Some(field) = new.data.get_mut(16..24)
            {
                field.copy_from_slice(&len.to_le_bytes());
            }
            self.over.insert(key, Some(new));
            return Ok(());
        }
        self.over.insert(key, Some(new));
        Ok(())
    }

    /// An entry of a directory in the log.
    fn put_entry(&mut self, key: Key, raw: &dir::Raw) -> Result<(), &'static str> {
        let directory = key.object;
        let target = raw.location.object;
        if raw.location.kind != INODE_ITEM || !self.exists(directory)? || !self.exists(target)? {
            return Ok(());
        }
        let held = self.entry(directory, &raw.name)?;
        if held.as_ref().is_some_and(|location| *location == raw.location) && self.item(key)?.is_some() {
            return Ok(());
        }
        if let Some(location) = held.filter(|location| *location != raw.location && location.kind == INODE_ITEM) {
            self.unlink(directory, &raw.name, location.object)?;
        }
        // Its inode's own list of names says the same, and comes later.
        if self.log_names(target, directory).contains(&raw.name) {
            return Ok(());
        }
        self.link(directory, key.offset, &raw.name, target, raw.kind)?;
        let mut data = key.offset.to_le_bytes().to_vec();
        data.extend(u16::try_from(raw.name.len()).unwrap_or(u16::MAX).to_le_bytes());
        data.extend(&raw.name);
        let own = Key::new(target, INODE_REF, directory);
        let mut all = self.item(own)?.map(|p| p.data).unwrap_or_default();
        all.extend(data);
        self.over.insert(own, Some(Patch { data: all, logical: 0 }));
        Ok(())
    }
    /// What a name in a directory leads to.
    fn entry(&mut self, directory: u64, name: &[u8]) -> Result<Option<Key>, &'static str> {
        let patch = self.item(Key::new(directory, DIR_ITEM, hash(name)))?;
        let all = patch.map(|p| dir::entries(&p.data).0).unwrap_or_default();
        Ok(all.into_iter().find(|raw| raw.name == name).map(|raw| raw.location))
    }
    fn log_names(&self, inode: u64, directory: u64) -> Vec<Vec<u8>> {
        let range = Key::new(inode, INODE_REF, 0)..=Key::new(inode, INODE_EXTREF, u64::MAX);
        let found = self.log.range(range).filter_map(|(key, patch)| Some((*key, patch.as_ref()?)));
        let all = found.flat_map(|(key, patch)| names(key, &patch.data, key.kind == INODE_EXTREF));
        all.filter(|(dir, _)| *dir == directory).map(|(_, name)| name).collect()
    }
    /// Puts a name into both lists of a directory.
    fn link(&mut self, directory: u64, index: u64, name: &[u8], inode: u64, kind: u8) -> Result<(), &'static str> {
        self.directories.insert(directory);
        self.counted.insert(inode);
        let mut data = inode.to_le_bytes().to_vec();
        data.push(INODE_ITEM);
        data.extend([0; 8]);
        data.extend(self.volume.sb.generation.to_le_bytes());
        data.extend([0; 2]);
        data.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        data.push(kind);
        data.extend(name);
        self.over.insert(Key::new(directory, DIR_INDEX, index), Some(Patch { data: data.clone(), logical: 0 }));
        let key = Key::new(directory, DIR_ITEM, hash(name));
        let mut all = self.item(key)?.map(|p| without_entry(&p.data, name)).unwrap_or_default();
        all.extend(data);
        self.over.insert(key, Some(Patch { data: all, logical: 0 }));
        Ok(())
    }
    /// The names of an inode in one directory (or, extended, in several).
    fn put_names(&mut self, key: Key, patch: &Patch) -> Result<(), &'static str> {
        let inode = key.object;
        let extended = key.kind == INODE_EXTREF;
        let Some(own) = self.item(Key::new(inode, INODE_ITEM, 0))? else { return Ok(()) };
        let kind = kind_number(u32_at(&own.data, 52).unwrap_or(0));
        let new = names(key, &patch.data, extended);
        let old = self.item(key)?.map(|p| names(key, &p.data, extended)).unwrap_or_default();
        let parents: BTreeSet<u64> = new.iter().map(|(dir, _)| *dir).collect();
        for parent in parents {
            if !self.exists(parent)? {
                return Ok(());
            }
        }
        for (directory, name) in old.iter().filter(|n| !new.contains(n)) {
            self.unlink(*directory, name, inode)?;
        }
        for ((directory, name), index) in new.iter().zip(indices(&patch.data, extended)) {
            let wanted = Key::new(inode, INODE_ITEM, 0);
            let held = self.entry(*directory, name)?;
            let listed = self.item(Key::new(*directory, DIR_INDEX, index))?;
            let here = listed.as_ref().and_then(|p| dir::entries(&p.data).0.into_iter().next());
            if held == Some(wanted) && here.as_ref().is_some_and(|raw| raw.name == *name && raw.location == wanted) {
                continue;
            }
            for (conflict, location) in
                [(name.clone(), held), here.map_or((Vec::new(), None), |raw| (raw.name, Some(raw.location)))]
            {
                if let Some(location) = location.filter(|l| l.kind == INODE_ITEM) {
                    self.unlink(*directory, &conflict, location.object)?;
                }
            }
            self.link(*directory, index, name, inode, kind)?;
        }
        self.over.insert(key, Some(patch.clone()));
        self.counted.insert(inode);
        Ok(())
    }

    fn put_extent(&mut self, key: Key, patch: &Patch) -> Result<(), &'static str> {
        let inline = u8_at(&patch.data, 20) == Some(0);
        let len = u64_at(&patch.data, if inline { 8 } else { 45 }).unwrap_or(0);
        let sector = u64::from(self.volume.sb.sector);
        let end = key.offset.saturating_add(len);
        let end = if inline { end.checked_next_multiple_of(sector).unwrap_or(u64::MAX) } else { end };
        if self.item(Key::new(key.object, INODE_ITEM, 0))?.is_none() {
            return Ok(());
        }
        self.drop_extents(key.object, key.offset, end)?;
        let hole = !inline && u64_at(&patch.data, 21) == Some(0);
        if !(hole && self.no_holes) {
            self.over.insert(key, Some(patch.clone()));
        }
        self.counted.insert(key.object);
        Ok(())
    }
    /// Takes away what an inode has between two bytes, and cuts what reaches into it.
    fn drop_extents(&mut self, inode: u64, from: u64, to: u64) -> Result<(), &'static str> {
        for (key, patch) in self.all(inode, EXTENT_DATA)? {
            let inline = u8_at(&patch.data, 20) == Some(0);
            let len = u64_at(&patch.data, if inline { 8 } else { 45 }).unwrap_or(0);
            let end = key.offset.saturating_add(len);
            if key.offset >= to || end <= from {
                continue;
            }
            self.over.insert(key, None);
            if inline || patch.data.len() < REGULAR {
                continue;
            }
            if key.offset < from {
                self.over.insert(key, Some(cut(&patch, 0, from.saturating_sub(key.offset))));
            }
            if end > to {
                let skip = to.saturating_sub(key.offset);
                let rest = cut(&patch, skip, end.saturating_sub(to));
                self.over.insert(Key::new(inode, EXTENT_DATA, to), Some(rest));
            }
        }
        Ok(())
    }

    /// Counts links, bytes and sizes of what changed.
    fn count(&mut self) -> Result<(), &'static str> {
        let set = |patch: &mut Patch, at: usize, value: &[u8]| {
            if let Some(field) = patch.data.get_mut(at..at.saturating_add(value.len())) {
                field.copy_from_slice(value);
            }
        };
        for number in std::mem::take(&mut self.counted) {
            let key = Key::new(number, INODE_ITEM, 0);
            let Some(mut own) = self.item(key)? else { continue };
            let is_dir = u32_at(&own.data, 52).unwrap_or(0) >> 12 == 4;
            let refs = self.items(Key::new(number, INODE_REF, 0), Key::new(number, INODE_EXTREF, u64::MAX))?;
            let links: usize = refs.iter().map(|(k, p)| names(*k, &p.data, k.kind == INODE_EXTREF).len()).sum();
            let links = if is_dir { links.min(1) } else { links };
            set(&mut own, 40, &u32::try_from(links).unwrap_or(u32::MAX).to_le_bytes());
            if !is_dir {
                let mut bytes = 0_u64;
                for (_, patch) in self.all(number, EXTENT_DATA)? {
                    bytes = bytes.saturating_add(match u8_at(&patch.data, 20) {
                        Some(0) => u64_at(&patch.data, 8).unwrap_or(0),
                        _ if u64_at(&patch.data, 21) == Some(0) => 0,
                        _ => u64_at(&patch.data, 45).unwrap_or(0),
                    });
                }
                set(&mut own, 24, &bytes.to_le_bytes());
            }
            if own.data.len() >= inode::ITEM {
                self.over.insert(key, Some(own));
            }
        }
        for number in std::mem::take(&mut self.directories) {
            let key = Key::new(number, INODE_ITEM, 0);
            let Some(mut own) = self.item(key)? else { continue };
            let entries = self.all(number, DIR_INDEX)?;
            let names = entries.iter().flat_map(|(_, p)| dir::entries(&p.data).0);
            let size = names.map(|raw| raw.name.len() as u64).fold(0, u64::saturating_add).saturating_mul(2);
            set(&mut own, 16, &size.to_le_bytes());
            self.over.insert(key, Some(own));
        }
        Ok(())
    }
}
