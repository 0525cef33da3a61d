//! Where everything of a FAT or exFAT volume lies.
use crate::base::NodeId;

/// How wide the entries of the table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Fat12,
    Fat16,
    Fat32,
    ExFat,
}

/// Places and lengths in bytes of the volume.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub(super) width: Width,
    pub(super) cluster: u64,
    /// Of cluster 2, the first.
    pub(super) heap: u64,
    /// Clusters; the last is numbered one more.
    pub(super) count: u32,
    /// Where each copy of the table begins; the one in use first.
    pub(super) tables: Vec<u64>,
    /// Bytes of one table.
    pub(super) table_len: u64,
    pub(super) root: Root,
    /// Entries are numbered from here.
    pub(super) first: u64,
    pub(super) serial: u32,
    /// Bytes that the volume says it has.
    pub(super) len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// FAT12 and FAT16: an area of its own.
    Area {
        at: u64,
        len: u64,
    },
    Cluster(u32),
}

/// Bytes of a directory entry.
pub(super) const ENTRY: u64 = 32;
/// The root has no entry; its number and that of the first entry are those of the sleuthkit, so that
/// `istat` shows the same file.
pub(super) const ROOT: NodeId = NodeId { number: 2, generation: 0 };
const FIRST: u64 = 3;

impl Geometry {
    /// Byte of the volume at which a cluster begins; `None` if there is no such cluster.
    pub(super) fn place(&self, cluster: u32) -> Option<u64> {
        let index = cluster.checked_sub(2).filter(|i| *i < self.count)?;
        u64::from(index).checked_mul(self.cluster)?.checked_add(self.heap)
    }
    pub(super) fn has(&self, cluster: u32) -> bool {
        self.place(cluster).is_some()
    }
    /// The cluster that holds a byte of the volume.
    pub(super) fn cluster_at(&self, byte: u64) -> Option<u32> {
        let index = u32::try_from(byte.checked_sub(self.heap)? / self.cluster).ok()?;
        (index < self.count).then(|| index.saturating_add(2))
    }
    /// The number of the directory entry at a byte of the volume.
    pub(super) fn number(&self, at: u64) -> u64 {
        (at.saturating_sub(self.first) / ENTRY).saturating_add(FIRST)
    }
    /// The byte of the volume at which an entry stands.
    pub(super) fn entry(&self, number: u64) -> Option<u64> {
        number.checked_sub(FIRST)?.checked_mul(ENTRY)?.checked_add(self.first)
    }
    /// Clusters that so many bytes take.
    pub(super) fn clusters(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster)
    }
}
