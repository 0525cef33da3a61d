//! Superblocks of Linux md: 0.90 in the last 64 KiB, 1.0 near the end, 1.1 at the start, 1.2 at byte 4096.
//! Formats: the kernel's `include/uapi/linux/raid/md_p.h`.
use super::super::signs::{le32, le64};
use crate::image::{Source, read_exact};

const MAGIC: u32 = 0xa92b_4efc;
const SECTOR: u64 = 512;
/// The level of arrays that only put devices one after the other.
pub(super) const LINEAR: i32 = -1;
/// Bytes of the fixed part of 1.x, and of the whole of 0.90.
const FIXED: usize = 256;
const OLD: usize = 4096;
/// Roles that are none: spare, faulty, journal.
const NO_ROLE: u16 = 0xff00;

pub(super) struct Superblock {
    /// Of the array; 32 hex digits.
    pub uuid: String,
    pub name: String,
    pub level: i32,
    pub layout: u32,
    /// Bytes of a chunk; 0 for mirrors.
    pub chunk: u64,
    /// Devices of the array.
    pub disks: u64,
    /// Bytes of each device that the array uses; 0 where it uses them to their own end.
    pub used: u64,
    /// Bytes of this device.
    pub data_offset: u64,
    pub data_size: u64,
    /// Number of this device, and the place it fills; spares fill none.
    pub number: u32,
    pub role: Option<u64>,
    /// Counts the changes of the array's state.
    pub events: u64,
    pub rebuilding: bool,
    pub reshaping: bool,
}

impl Superblock {
    pub(super) fn find(source: &Source) -> Option<Self> {
        let sectors = source.len().checked_div(SECTOR)?;
        // Rounded down to 4 KiB, 8 KiB before the end.
        let late = sectors.checked_sub(16).map(|s| s.saturating_sub(s.checked_rem(8).unwrap_or(0)));
        let places = [Some(8), Some(0), late].into_iter().flatten();
        places.into_iter().find_map(|sector| Self::new(source, sector)).or_else(|| Self::old(source))
    }

    pub(super) fn level_name(&self) -> String {
        if self.level == LINEAR { "linear".to_owned() } else { format!("raid{}", self.level) }
    }
    pub(super) fn shown(&self) -> String {
        if self.name.is_empty() { self.uuid.clone() } else { format!("{} ({})", self.name, self.uuid) }
    }

    /// A superblock of 1.x at this sector.
    fn new(source: &Source, sector: u64) -> Option<Self> {
        let at = sector.checked_mul(SECTOR)?;
        let fixed = read_exact(&**source, at, FIXED).ok().flatten()?;
        if le32(&fixed, 0)? != MAGIC || le32(&fixed, 4)? != 1 || le64(&fixed, 144)? != sector {
            return None;
        }
        let most = usize::try_from(le32(&fixed, 220)?).ok().filter(|n| *n <= 1920)?;
        let b = read_exact(&**source, at, FIXED.checked_add(most.checked_mul(2)?)?).ok().flatten()?;
        if sum(&b, 216)? != le32(&b, 216)? {
            return None;
        }
        let bytes = |at: usize| le64(&b, at)?.checked_mul(SECTOR);
        let features = le32(&b, 8)?;
        let number = le32(&b, 160)?;
        let role = usize::try_from(number).ok().filter(|n| *n < most);
        let role = role.and_then(|n| n.checked_mul(2)?.checked_add(FIXED)).and_then(|at| b.get(at..at.checked_add(2)?));
        let role = role.and_then(|r| Some(u16::from_le_bytes(r.try_into().ok()?))).filter(|r| *r < NO_ROLE);
        let name = b.get(32..64)?.split(|c| *c == 0).next()?;
        Some(Self {
            uuid: crate::base::hex(b.get(16..32)?),
            name: String::from_utf8_lossy(name).into_owned(),
            level: i32::from_le_bytes(b.get(72..76)?.try_into().ok()?),
            layout: le32(&b, 76)?,
            used: bytes(80)?,
            chunk: u64::from(le32(&b, 88)?).checked_mul(SECTOR)?,
            disks: u64::from(le32(&b, 92)?),
            data_offset: bytes(128)?,
            data_size: bytes(136)?,
            number,
            role: role.map(u64::from),
            events: le64(&b, 200)?,
            // MD_FEATURE_RECOVERY_OFFSET, and MD_FEATURE_RESHAPE_ACTIVE.
            rebuilding: features & 2 != 0,
            reshaping: features & 4 != 0,
        })
    }

    /// A superblock of 0.90: in the last whole 64 KiB.
    fn old(source: &Source) -> Option<Self> {
        let at = source.len().checked_div(1 << 16)?.checked_sub(1)?.checked_mul(1 << 16)?;
        let b = read_exact(&**source, at, OLD).ok().flatten()?;
        if le32(&b, 0)? != MAGIC || le32(&b, 4)? != 0 || sum(&b, 152)? != le32(&b, 152)? {
            return None;
        }
        let chunk = u64::from(le32(&b, 260)?);
        let used = u64::from(le32(&b, 32)?).checked_mul(1024)?;
        // The end of a disk is also the end of its last partition: the superblock is the one's whose size it states.
        let slack = at.checked_sub(used)?;
        let own = if used > 0 { slack <= chunk.max(1 << 16) } else { super::super::recognise(source).is_none() };
        if !own {
            return None;
        }
        let uuid: Vec<u8> = [20, 52, 56, 60].iter().filter_map(|at| b.get(*at..at + 4)).flatten().copied().collect();
        let disks = u64::from(le32(&b, 40)?);
        let (number, place, state) = (le32(&b, 3968)?, u64::from(le32(&b, 3980)?), le32(&b, 3984)?);
        Some(Self {
            uuid: crate::base::hex(&uuid),
            name: format!("md{}", le32(&b, 44)?),
            level: i32::from_le_bytes(b.get(28..32)?.try_into().ok()?),
            layout: le32(&b, 256)?,
            chunk,
            disks,
            used,
            data_offset: 0,
            data_size: at,
            number,
            // In the array and in sync.
            role: (state & 6 == 6 && place < disks).then_some(place),
            events: u64::from(le32(&b, 160)?) << 32 | u64::from(le32(&b, 156)?),
            rebuilding: false,
            // Minor version 91.
            reshaping: le32(&b, 8)? != 90,
        })
    }
}

/// The sum of all words, its own field taken as zero.
fn sum(bytes: &[u8], own: usize) -> Option<u32> {
    let mut sum = 0_u64;
    for (number, word) in bytes.chunks(4).enumerate() {
        if number.checked_mul(4)? == own {
            continue;
        }
        let mut four = [0; 4];
        four.get_mut(..word.len())?.copy_from_slice(word);
        sum = sum.wrapping_add(u64::from(u32::from_le_bytes(four)));
    }
    u32::try_from((sum & 0xffff_ffff).wrapping_add(sum >> 32) & 0xffff_ffff).ok()
}
