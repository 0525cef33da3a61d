//! FAT12, FAT16, FAT32 and exFAT: one reader for what they share (a table of clusters, directories of
//! 32-byte entries), tolerant of damage, with the place of every byte.
//! Format: Microsoft's "FAT: General Overview of On-Disk Format" (fatgen103) and "exFAT file system
//! specification". Numbers of files are those of the sleuthkit. FAT keeps no zone: its times are a
//! clock's reading, given as if it were UTC and marked `times-in-local-clock`.
mod boot;
mod exboot;
mod exset;
mod file;
mod folder;
mod geometry;
mod item;
mod open;
mod raw;
mod short;
mod survey;
mod table;

use super::damage::Damage;
use super::extents::Extents;
use crate::base::{Name, NodeId, Run};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, Stat, Stream};
use crate::image::{ReadAt, Source};
use geometry::{ROOT, Width};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use table::{Chain, Next, Stop, Table, Window};

pub(super) const FORMAT: Format = Format {
    name: "fat",
    about: "FAT12, FAT16, FAT32 with long names",
    limits: "times are a local clock's reading without a zone, of two seconds' resolution, access as a day only; short names keep the bytes of their code page; of deleted files longer than a cluster the free clusters behind the first are taken, which is marked; files of deleted directories only while the directory's first cluster is free",
    probe: boot::probe,
    probe_damaged: boot::probe_copy,
    size: boot::size,
    open: |source, options| Ok(Arc::new(open::fat(source, options)?)),
};
pub(super) const EXFAT: Format = Format {
    name: "exfat",
    about: "exFAT 1.0",
    limits: "the second table of TexFAT is not compared; contents encrypted by Windows are given as stored; of deleted files whose chain is gone the free clusters behind the first are taken, which is marked",
    probe: exboot::probe,
    probe_damaged: exboot::probe_copy,
    size: exboot::size,
    open: |source, options| Ok(Arc::new(open::exfat(source, options)?)),
};

/// What all readers of one file system share.
struct Volume {
    source: Source,
    table: Table,
    damage: Damage,
    /// Allocation bitmap of exFAT.
    bitmap: OnceLock<Extents>,
    /// Capital letters of exFAT, where their table is whole.
    upcase: OnceLock<Vec<u16>>,
    /// Cluster of a directory → number of that directory.
    claims: Mutex<HashMap<u32, u64>>,
}

impl Volume {
    /// Clusters that follow each other.
    fn together(&self, first: u32, len: u64) -> Chain {
        let geometry = &self.table.geometry;
        let last = geometry.count.saturating_add(2);
        let room = if geometry.has(first) { last.saturating_sub(first) } else { 0 };
        let count = u32::try_from(geometry.clusters(len)).unwrap_or(u32::MAX);
        let stop = if count > room { Stop::Fault("its clusters reach beyond the volume") } else { Stop::End };
        let count = count.min(room);
        Chain { runs: if count == 0 { Vec::new() } else { vec![(first, count)] }, stop }
    }
    /// Whether nothing uses a cluster. What cannot be told counts as in use.
    fn is_free(&self, cluster: u32, window: &mut Window) -> bool {
        if self.table.geometry.width != Width::ExFat {
            return self.table.is_free(cluster, window);
        }
        let index = u64::from(cluster.saturating_sub(2));
        let mut byte = [0xff];
        let read = self.bitmap.get().is_some_and(|b| b.read_at(index / 8, &mut byte).is_ok_and(|n| n == 1));
        read && byte[0] >> (index % 8) & 1 == 0
    }
    /// Free runs in bytes, sorted; clusters marked bad count as well: no file has them.
    fn unallocated(&self) -> Vec<Run> {
        let geometry = &self.table.geometry;
        let mut window = Window::default();
        let mut out: Vec<Run> = Vec::new();
        for cluster in 2..geometry.count.saturating_add(2) {
            let free = self.is_free(cluster, &mut window)
                || (geometry.width != Width::ExFat && self.table.get(cluster, &mut window) == Next::Bad);
            let Some(place) = geometry.place(cluster).filter(|_| free) else { continue };
            match out.last_mut() {
                Some(run) if run.end() == place => run.len = run.len.saturating_add(geometry.cluster),
                _ => out.push(Run::new(place, geometry.cluster)),
            }
        }
        out
    }
}

pub(super) struct FatFs {
    volume: Volume,
    info: FsInfo,
}

impl FileSystem for FatFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        ROOT
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        let item = if dir == ROOT { None } else { Some(file::item(&self.volume, dir)?) };
        if item.as_ref().is_some_and(|i| !i.is_dir() || i.deleted) {
            return Err(FsError::NotFound(dir));
        }
        let runs = folder::runs(&self.volume, dir, item.as_ref());
        for item in folder::list(&self.volume, dir, &runs, false).items.into_iter().filter(|i| !i.deleted) {
            let number = self.volume.table.geometry.number(item.at);
            if item.name.iter().any(|b| *b == b'/' || *b == 0) {
                self.volume.damage.note("directory entry with '/' or NUL in its name", number, item.at, 0);
            }
            let kind = item.kind();
            each(DirEntry { name: Name::from(item.name), node: NodeId { number, generation: 0 }, kind });
        }
        Ok(())
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        file::stat(&self.volume, node)
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        Err(FsError::NotFound(node))
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        match stream {
            Stream::Data => file::open(&self.volume, node),
            Stream::Named(_) => Err(FsError::NotFound(node)),
        }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        survey::deleted(&self.volume, each);
        Ok(())
    }
    fn unallocated(&self) -> Vec<Run> {
        self.volume.unallocated()
    }
}
