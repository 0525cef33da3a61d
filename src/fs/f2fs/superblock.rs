//! The superblock, in the first two blocks.
//! Format: the Linux kernel's Documentation/filesystems/f2fs.rst, and the on-disk structures it describes.
use crate::fs::FsError;
use crate::fs::raw::{corrupt, u32_at, u64_at};
use crate::image::{Source, read_exact};

/// Bytes of a block: 4096 on nearly all, 16384 where the kernel's pages have so many.
pub(super) const BLOCK: u64 = 4096;
const AT: u64 = 1024;
const LEN: usize = 3072;
pub(super) const MAGIC: u32 = 0xf2f5_2010;
const CHECKED: u32 = 0x800;
pub(super) const FLEXIBLE_XATTR: u32 = 0x40;
pub(super) const INODE_SUM: u32 = 0x20;
pub(super) const CRTIME: u32 = 0x100;
pub(super) const PROJECT: u32 = 0x10;
const FEATURES: &[(u32, &str)] = &[
    (0x1, "encrypt"),
    (0x2, "zoned"),
    (0x4, "atomic-write"),
    (0x8, "extra-attr"),
    (PROJECT, "project-quota"),
    (INODE_SUM, "inode-checksum"),
    (FLEXIBLE_XATTR, "flexible-inline-xattr"),
    (0x80, "quota"),
    (CRTIME, "inode-crtime"),
    (0x200, "lost-found"),
    (0x400, "verity"),
    (CHECKED, "superblock-checksum"),
    (0x1000, "casefold"),
    (0x2000, "compression"),
    (0x4000, "read-only"),
    (0x8000, "device-alias"),
    (0x1_0000, "packed-ssa"),
];

/// Addresses are in blocks.
#[derive(Clone, Debug)]
pub(super) struct Superblock {
    pub(super) blocks: u64,
    /// Blocks of a segment, as a power of two.
    pub(super) log: u32,
    pub(super) checkpoint: u64,
    pub(super) payload: u32,
    pub(super) sit: u64,
    pub(super) sit_segments: u32,
    pub(super) nat: u64,
    pub(super) nat_segments: u32,
    pub(super) main: u64,
    pub(super) main_segments: u32,
    pub(super) root: u32,
    pub(super) uuid: [u8; 16],
    pub(super) label: String,
    pub(super) features: u32,
    /// Paths and blocks of all devices, where there are several; this one is the first.
    pub(super) devices: Vec<(String, u64)>,
    pub(super) faults: Vec<(u64, String)>,
}
impl Superblock {
    /// Blocks of a segment.
    pub(super) fn segment(&self) -> u64 {
        1 << self.log
    }
    /// Blocks of this device.
    pub(super) fn here(&self) -> u64 {
        self.devices.first().map_or(self.blocks, |d| d.1)
    }
    pub(super) fn names(&self) -> Vec<String> {
        FEATURES.iter().filter(|(bit, _)| self.features & bit != 0).map(|(_, name)| (*name).to_owned()).collect()
    }
}

/// The checksum of all structures: CRC-32 that begins with a value of its own and is not inverted at the end.
pub(super) fn crc(seed: u32, bytes: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new_with_initial(!seed);
    hash.update(bytes);
    !hash.finalize()
}

fn candidate(source: &Source, number: u64) -> Result<Option<Vec<u8>>, FsError> {
    let at = number.saturating_mul(BLOCK).saturating_add(AT);
    Ok(read_exact(&**source, at, LEN)?.filter(|b| u32_at(b, 0) == Some(MAGIC)))
}
pub(super) fn probe(source: &Source) -> bool {
    matches!(candidate(source, 0), Ok(Some(_)))
}
/// The second copy, where the first is lost.
pub(super) fn probe_second(source: &Source) -> bool {
    candidate(source, 1).ok().flatten().and_then(|b| parse(&b)).is_some()
}
/// Bytes of the file system on this device.
pub(super) fn length(source: &Source) -> Option<u64> {
    let bytes = candidate(source, 0).ok().flatten()?;
    parse(&bytes).map(|s| s.here().saturating_mul(BLOCK))
}

pub(super) fn read(source: &Source) -> Result<Superblock, FsError> {
    let mut faults = Vec::new();
    let mut best: Option<Superblock> = None;
    for number in 0..2 {
        let at = number * BLOCK + AT;
        let bytes = match candidate(source, number) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                faults.push((at, format!("copy {} of the superblock is damaged", number + 1)));
                continue;
            }
            Err(e) => {
                faults.push((at, format!("copy {} of the superblock: {e}", number + 1)));
                continue;
            }
        };
        if u32_at(&bytes, 16) == Some(14) {
            return Err(FsError::Unsupported("F2FS with blocks of 16 KiB".to_owned()));
        }
        let sum = u32_at(&bytes, 3068);
        let holds = u32_at(&bytes, 2180).unwrap_or(0) & CHECKED == 0
            || bytes.get(..3068).is_some_and(|b| Some(crc(MAGIC, b)) == sum);
        match parse(&bytes) {
            Some(_) if !holds && best.is_some() => faults.push((at, "checksum of the second superblock".to_owned())),
            Some(sb) if best.is_none() || !faults.is_empty() && holds => {
                if !holds {
                    faults.push((at, "checksum of the superblock is wrong".to_owned()));
                }
                best = Some(sb);
            }
            Some(_) => {}
            None => faults.push((at, format!("copy {} of the superblock contradicts itself", number + 1))),
        }
    }
    let mut best = best.ok_or_else(|| corrupt(AT, "no superblock of F2FS that can be followed"))?;
    best.faults = faults;
    Ok(best)
}

/// None where the areas are not one behind the other, as they have to be.
fn parse(b: &[u8]) -> Option<Superblock> {
    let log = u32_at(b, 20)?;
    let segment = 1_u64.checked_shl(log)?;
    if u32_at(b, 16)? != 12 || log != 9 {
        return None;
    }
    let area = |at| u32_at(b, at).map(u64::from);
    let (checkpoint, sit, nat, ssa, main) = (area(76)?, area(80)?, area(84)?, area(88)?, area(92)?);
    let (ckpts, sits, nats, mains) = (u32_at(b, 52)?, u32_at(b, 56)?, u32_at(b, 60)?, u32_at(b, 68)?);
    let follows = |from: u64, count: u32, to: u64| from.saturating_add(u64::from(count) * segment) <= to;
    let blocks = u64_at(b, 36)?;
    let sane = area(72)? == checkpoint
        && follows(checkpoint, ckpts, sit)
        && follows(sit, sits, nat)
        && follows(nat, nats, ssa)
        && ssa <= main
        && main.saturating_add(u64::from(mains) * segment) <= blocks.saturating_add(segment)
        && sits >= 2
        && nats >= 2;
    if !sane {
        return None;
    }
    let label: Vec<u8> =
        b.get(124..1148)?.as_chunks::<2>().0.iter().copied().take_while(|u| *u != [0, 0]).flatten().collect();
    let devices = (0..8).filter_map(|n| {
        let at = 2201 + n * 68;
        let path: Vec<u8> = b.get(at..at + 64)?.iter().copied().take_while(|c| *c != 0).collect();
        let segments = u64::from(u32_at(b, at + 64)?);
        (!path.is_empty()).then(|| (String::from_utf8_lossy(&path).into_owned(), segments * segment))
    });
    let mut devices: Vec<(String, u64)> = devices.collect();
    if let Some(first) = devices.first_mut() {
        // The first device counts its areas before the segments as well.
        first.1 = first.1.saturating_add(area(72)?);
    }
    Some(Superblock {
        blocks,
        log,
        checkpoint,
        payload: u32_at(b, 1664)?,
        sit,
        sit_segments: sits,
        nat,
        nat_segments: nats,
        main,
        main_segments: mains,
        root: u32_at(b, 96)?,
        uuid: *b.get(108..)?.first_chunk()?,
        label: String::from_utf8_lossy(&crate::fs::utf16::name(&label)).into_owned(),
        features: u32_at(b, 2180)?,
        devices,
        faults: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_not_the_usual_one() {
        // CRC-32 that begins with all ones and is inverted at the end is the usual one.
        assert_eq!(!crc(u32::MAX, b"123456789"), crc32fast::hash(b"123456789"));
        assert_ne!(crc(MAGIC, b"123456789"), crc32fast::hash(b"123456789"));
    }
}
