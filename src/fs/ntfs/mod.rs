//! NTFS, read by record number, tolerant of damage, with the place of every byte.
//! Format: the Linux-NTFS project's documentation ("NTFS Documentation" by Russon and Fledel),
//! MS-FSCC and MS-XCA. The crate `ntfs` reads the boot sector and is the second reader; it stops at
//! the first damage and does not read attribute lists or compressed streams, so the rest is ours.
mod bitmap;
mod boot;
mod compressed;
mod content;
mod deleted;
mod extended;
mod file;
mod folder;
mod huffman;
mod index;
mod list;
mod log;
mod lznt1;
mod lzx;
mod names;
mod open;
mod raw;
mod record;
mod reparse;
mod runs;
mod second;
mod security;
mod survey;
mod table;
mod value;
mod wof;
mod xpress;

use crate::base::{Budget, NodeId};
use crate::fs::damage::Damage;
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, Stat, Stream};
use crate::image::Source;
use std::sync::{Arc, OnceLock};

/// The reader's name in gaps.
const BY: &str = "fs.ntfs";

pub(super) const FORMAT: Format = Format {
    name: "ntfs",
    about: "NTFS 1.2 to 3.1",
    limits: "contents encrypted by EFS, kept in a deduplication store, a WIM archive or a cloud are listed but not read; the log ($LogFile) is not replayed: its state is a detail of the file system, and a gap where transactions are left in it; of security descriptors owner and group are read, no access control lists; no sectors below 512 bytes",
    probe: boot::probe,
    probe_damaged: boot::probe_damaged,
    size: stated_size,
    open: |source, options| Ok(Arc::new(open::open(source, options)?)),
};

/// The extended attribute under which `$FILE_NAME`'s times stand, where they differ from the others.
pub const NAME_TIMES: &[u8] = b"ntfs.file_name_times";

/// The extended attribute under which the SIDs of owner and group stand, one behind the other, as they are stored.
pub const OWNERS: &[u8] = b"ntfs.owners";

/// Whether an attribute is none of the disk's own: the reader tells by it what [`Stat`] has no field for.
pub(super) fn is_told(attribute: &[u8]) -> bool {
    attribute == NAME_TIMES || attribute == OWNERS
}

/// Owner and group of [`OWNERS`] as text (`S-1-5-32-544`); empty where there is none.
pub fn owners(value: &[u8]) -> (String, String) {
    security::texts(value)
}

/// Names of a file's attributes (MS-FSCC 2.6), by their bits.
pub fn attribute_names(bits: u32) -> Vec<String> {
    names::all_flags(bits)
}

/// The value of [`NAME_TIMES`] as text.
pub fn name_times(value: &[u8]) -> String {
    names::times_text(value)
}

/// Bytes by the boot sector's count of sectors; the copy of the boot sector follows them.
fn stated_size(source: &Source) -> Option<u64> {
    let boot = crate::image::read_exact(&**source, 0, 48).ok().flatten()?;
    let sector = u64::from(u16::from_le_bytes(boot.get(11..13)?.try_into().ok()?));
    let sectors = u64::from_le_bytes(boot.get(40..48)?.try_into().ok()?);
    sectors.checked_add(1)?.checked_mul(sector)
}

/// What all readers of one file system share.
struct Volume {
    disk: Arc<content::Disk>,
    mft: table::Mft,
    survey: survey::Survey,
    damage: Damage,
    budget: Budget,
    /// Names found in the slack of indexes, once they were looked for.
    slack: OnceLock<Vec<deleted::Slack>>,
    /// The volume's own bitmap of clusters, once it was looked for.
    bitmap: OnceLock<Option<Source>>,
    /// Whom `$Secure` names, once it was asked for.
    owners: OnceLock<security::Owners>,
    /// Bytes of an index block, where an index does not say.
    index_block: usize,
}

pub(super) struct NtfsFs {
    volume: Arc<Volume>,
    info: FsInfo,
    root: NodeId,
}

impl FileSystem for NtfsFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        self.root
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        folder::read_dir(&self.volume, dir, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        if node == folder::LOST {
            return Ok(folder::lost_stat());
        }
        match deleted::slack_of(&self.volume, node) {
            Some(name) => Ok(name.stat()),
            None => file::stat(&self.volume, node),
        }
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        file::link(&self.volume, node)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        match stream {
            Stream::Data => file::open(&self.volume, node),
            Stream::Named(name) => file::open_stream(&self.volume, node, name),
        }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        deleted::deleted(&self.volume, each);
        Ok(())
    }
    fn second_reader(&self) -> Option<Result<Box<dyn crate::fs::SecondReader + '_>, String>> {
        Some(second::open(&self.volume.disk.source))
    }
    fn unallocated(&self) -> Vec<crate::base::Run> {
        bitmap::unallocated(&self.volume)
    }
}
