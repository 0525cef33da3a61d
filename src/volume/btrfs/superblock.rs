//! The superblock of Btrfs and its mirrors on one device. The newest that is whole counts.
//! Format: "On-disk Format", btrfs.readthedocs.io; the kernel's include/uapi/linux/btrfs_tree.h.
use super::sums::Sum;
use crate::base::hex;
use crate::image::{ReadAt, read_exact};

/// Byte of the device at which the superblock and its mirrors stand.
pub(crate) const PLACES: [u64; 3] = [64 << 10, 64 << 20, 256 << 30];
/// Bytes of a superblock.
pub(crate) const LEN: usize = 4096;
const MAGIC: &[u8] = b"_BHRfS_M";
const METADATA_UUID: u64 = 0x400;
const SEEDING: u64 = 1 << 32;
/// Byte of the list of system chunks, and its greatest length.
const SYSTEM_CHUNKS: (usize, usize) = (0x32b, 2048);
/// Byte of the four older roots, and the length of each.
const BACKUPS: (usize, usize) = (0xb2b, 168);
pub(crate) const MAX_LEVEL: u8 = 7;

pub(crate) type Uuid = [u8; 16];

/// Where a tree begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Root {
    /// Logical byte of its topmost block.
    pub logical: u64,
    pub level: u8,
    pub generation: u64,
}

/// A device, as its own superblock or the chunk tree describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceItem {
    pub id: u64,
    /// Bytes that the file system uses of it.
    pub total: u64,
    pub uuid: Uuid,
    pub fsid: Uuid,
}
impl DeviceItem {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: u64_at(bytes, 0)?,
            total: u64_at(bytes, 8)?,
            uuid: uuid_at(bytes, 66)?,
            fsid: uuid_at(bytes, 82)?,
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Superblock {
    /// Byte of the device at which this copy stands.
    pub at: u64,
    pub fsid: Uuid,
    /// What the blocks of its trees carry.
    pub tree_uuid: Uuid,
    pub flags: u64,
    pub generation: u64,
    pub root: Root,
    pub chunk_root: Root,
    /// `logical` 0: there is none.
    pub log_root: Root,
    pub devices: u64,
    /// Bytes of all devices.
    pub total: u64,
    /// Bytes.
    pub sector: u32,
    /// Bytes of a block of a tree.
    pub node: u32,
    pub compat_ro: u64,
    pub incompat: u64,
    pub sum: Sum,
    pub device: DeviceItem,
    pub label: Vec<u8>,
    pub system_chunks: Vec<u8>,
    /// Roots of the tree of trees at earlier transactions, as far as they are filled in.
    pub backups: Vec<Root>,
    /// Whether its checksum fits.
    pub whole: bool,
    /// Fields that no driver accepts and that reading does without: their place in it, and what they say.
    pub odd: Vec<(u64, String)>,
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}
fn uuid_at(bytes: &[u8], at: usize) -> Option<Uuid> {
    bytes.get(at..)?.first_chunk().copied()
}

/// In its usual text form.
pub(crate) fn uuid_text(uuid: &Uuid) -> String {
    let part = |from: usize, to: usize| hex(uuid.get(from..to).unwrap_or_default());
    [part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 16)].join("-")
}

impl Superblock {
    /// The copy at a byte of the device, if one stands there that is of this place.
    pub(crate) fn at(device: &dyn ReadAt, at: u64) -> Option<Self> {
        let bytes = read_exact(device, at, LEN).ok()??;
        Self::parse(&bytes, at).filter(|_| u64_at(&bytes, 0x30) == Some(at))
    }

    fn odd(b: &[u8]) -> Option<Vec<(u64, String)>> {
        let (total, sector, stripe) = (u64_at(b, 0x70)?, u32_at(b, 0x90)?, u32_at(b, 0x9c)?);
        let mut odd = Vec::new();
        if total == 0 {
            odd.push((0x70, "it says that the file system has no bytes".to_owned()));
        }
        if stripe != sector && stripe != 4096 {
            odd.push((0x9c, format!("it says that a stripe is {stripe} bytes; 4096 or a sector's are possible")));
        }
        Some(odd)
    }

    fn parse(b: &[u8], at: u64) -> Option<Self> {
        if b.get(0x40..0x48) != Some(MAGIC) {
            return None;
        }
        let sum = Sum::of(u16::from_le_bytes(*b.get(0xc4..)?.first_chunk()?))?;
        let level = |at: usize| b.get(at).copied().filter(|l| *l <= MAX_LEVEL);
        let (sector, node) = (u32_at(b, 0x90)?, u32_at(b, 0x94)?);
        let possible = |n: u32| n.is_power_of_two() && (512..=64 << 10).contains(&n);
        let listed = usize::try_from(u32_at(b, 0xa0)?).ok()?;
        if !possible(sector) || !possible(node) || node < 1024 || listed > SYSTEM_CHUNKS.1 {
            return None;
        }
        let generation = u64_at(b, 0x48)?;
        let incompat = u64_at(b, 0xbc)?;
        let fsid = uuid_at(b, 0x20)?;
        let root = |logical: usize, level_at: usize, generation: u64| {
            Some(Root { logical: u64_at(b, logical)?, level: level(level_at)?, generation })
        };
        let label = b.get(0x12b..0x22b)?;
        let label = label.split(|c| *c == 0).next().unwrap_or_default().to_vec();
        let backup = |n: usize| {
            let r = b.get(BACKUPS.0.checked_add(n.checked_mul(BACKUPS.1)?)?..)?.get(..BACKUPS.1)?;
            let root = Root { logical: u64_at(r, 0)?, generation: u64_at(r, 8)?, level: *r.get(152)? };
            (root.logical != 0 && root.level <= MAX_LEVEL).then_some(root)
        };
        Some(Self {
            at,
            fsid,
            tree_uuid: if incompat & METADATA_UUID != 0 { uuid_at(b, 0x23b)? } else { fsid },
            flags: u64_at(b, 0x38)?,
            generation,
            root: root(0x50, 0xc6, generation)?,
            chunk_root: root(0x58, 0xc7, u64_at(b, 0xa4)?)?,
            log_root: root(0x60, 0xc8, generation.saturating_add(1))?,
            devices: u64_at(b, 0x88)?,
            total: u64_at(b, 0x70)?,
            sector,
            node,
            compat_ro: u64_at(b, 0xb4)?,
            incompat,
            sum,
            device: DeviceItem::parse(b.get(0xc9..)?)?,
            label,
            system_chunks: b.get(SYSTEM_CHUNKS.0..)?.get(..listed)?.to_vec(),
            backups: (0..4).filter_map(backup).collect(),
            whole: sum.fits_block(b),
            odd: Self::odd(b)?,
        })
    }

    /// The newest whole copy on a device; where none is whole, the first that is there. Copies of a file system
    /// that stood here before do not count against a whole primary.
    pub(crate) fn newest(device: &dyn ReadAt) -> Option<Self> {
        let all: Vec<Self> = PLACES.iter().filter_map(|at| Self::at(device, *at)).collect();
        let first = all.first()?;
        let mut best: Option<&Self> = None;
        let primary = all.iter().find(|sb| sb.whole && sb.at == PLACES[0]);
        for sb in all.iter().filter(|sb| sb.whole) {
            let same = primary.is_none_or(|p| p.fsid == sb.fsid && p.device.uuid == sb.device.uuid);
            if same && best.is_none_or(|b| sb.generation > b.generation) {
                best = Some(sb);
            }
        }
        Some(best.unwrap_or(first).clone())
    }

    /// Bytes of its device, which has so many: what a damaged superblock says may be impossible.
    pub(crate) fn device_len(&self, held: u64) -> u64 {
        let least = PLACES[0].saturating_add(LEN as u64);
        if self.device.total < least { held } else { self.device.total }
    }
    /// Whether other file systems may be built upon this one.
    pub(crate) fn is_seed(&self) -> bool {
        self.flags & SEEDING != 0
    }
}
