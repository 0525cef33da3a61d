//! The boot region of exFAT and its backup twelve sectors further on.
//! Format: Microsoft's "exFAT file system specification", section 3.
use super::geometry::{Geometry, Root, Width};
use super::raw::{corrupt, u8_at, u16_at, u32_at, u64_at};
use crate::base::Gaps;
use crate::fs::FsError;
use crate::image::{Source, read_exact};

pub(super) const BY: &str = "fs.exfat";
/// Sectors of a region.
const REGION: u64 = 12;

#[derive(Clone, Debug)]
pub(super) struct Boot {
    pub(super) geometry: Geometry,
    pub(super) dirty: bool,
    pub(super) revision: u16,
}

pub(super) fn probe(source: &Source) -> bool {
    at(source, 0).is_ok()
}
pub(super) fn size(source: &Source) -> Option<u64> {
    at(source, 0).ok().map(|(b, _)| b.geometry.len)
}
pub(super) fn probe_copy(source: &Source) -> bool {
    backup(source).is_some()
}

fn at(source: &Source, at: u64) -> Result<(Boot, bool), FsError> {
    let sector = read_exact(&**source, at, 512)?.ok_or_else(|| corrupt(at, "boot sector not readable"))?;
    let boot = parse(&sector, at)?;
    let shift = u32::from(u8_at(&sector, 108).unwrap_or(9));
    Ok((boot, sums_fit(source, at, 1 << shift)))
}
fn backup(source: &Source) -> Option<(u64, Boot)> {
    [512, 1024, 2048, 4096].into_iter().find_map(|len: u64| {
        let place = len.checked_mul(REGION)?;
        let (boot, fits) = at(source, place).ok()?;
        fits.then_some((place, boot))
    })
}

/// The sum over the eleven first sectors but for what changes while mounted, repeated in the twelfth.
fn sums_fit(source: &Source, at: u64, sector: usize) -> bool {
    let Ok(Some(bytes)) = read_exact(&**source, at, sector.saturating_mul(12)) else { return false };
    let (body, sums) = bytes.split_at(sector.saturating_mul(11));
    let mut sum = 0_u32;
    for (n, byte) in body.iter().enumerate() {
        if !matches!(n, 106 | 107 | 112) {
            sum = sum.rotate_right(1).wrapping_add(u32::from(*byte));
        }
    }
    sums.as_chunks::<4>().0.iter().all(|s| u32::from_le_bytes(*s) == sum)
}

pub(super) fn read(source: &Source, gaps: &Gaps) -> Result<Boot, FsError> {
    let note = |what: String| gaps.add_at(BY, "volume_offset", 0, what, 0);
    let boot = match at(source, 0) {
        Ok((boot, true)) => boot,
        Ok((boot, false)) => {
            if let Some((place, copy)) = backup(source) {
                note(format!("checksum of the boot region does not fit; its backup at {place} is used"));
                copy
            } else {
                note("checksum of the boot region does not fit, nor does that of a backup".to_owned());
                boot
            }
        }
        Err(e) => {
            let (place, boot) = backup(source).ok_or_else(|| e.clone())?;
            note(format!("boot sector: {e}; its backup at {place} is used"));
            boot
        }
    };
    if boot.geometry.len > source.len() {
        let missing = boot.geometry.len.saturating_sub(source.len());
        let what = "the file system is longer than its volume; what lies beyond cannot be read";
        gaps.add_at(BY, "volume_offset", source.len(), what, missing);
    }
    Ok(boot)
}

fn parse(s: &[u8], at: u64) -> Result<Boot, FsError> {
    let bad = |what: &str| corrupt(at, what.to_owned());
    let short = || bad("too short");
    if s.get(3..11) != Some(b"EXFAT   ") {
        return Err(bad("no boot sector of exFAT"));
    }
    let (sector_bits, cluster_bits) = (u8_at(s, 108).ok_or_else(short)?, u8_at(s, 109).ok_or_else(short)?);
    if !(9..=12).contains(&sector_bits) || cluster_bits > 25_u8.saturating_sub(sector_bits) {
        return Err(bad("sectors or clusters of an impossible size"));
    }
    let sector = 1_u64 << sector_bits;
    let cluster = sector << cluster_bits;
    let sectors = |n: u64| n.checked_mul(sector).ok_or_else(|| bad("a place beyond any volume"));
    let len = sectors(u64_at(s, 72).ok_or_else(short)?)?;
    let table = sectors(u64::from(u32_at(s, 80).ok_or_else(short)?))?;
    let table_len = sectors(u64::from(u32_at(s, 84).ok_or_else(short)?))?;
    let heap = sectors(u64::from(u32_at(s, 88).ok_or_else(short)?))?;
    let count = u32_at(s, 92).ok_or_else(short)?;
    let flags = u16_at(s, 106).ok_or_else(short)?;
    let copies = u8_at(s, 110).ok_or_else(short)?;
    if table == 0 || table_len == 0 || heap < table || heap >= len || count == 0 || !(1..=2).contains(&copies) {
        return Err(bad("its areas do not fit into the volume"));
    }
    let fitting = (len.saturating_sub(heap) / cluster).min((table_len / 4).saturating_sub(2)).min(0xffff_fff5);
    let count = count.min(u32::try_from(fitting).unwrap_or(u32::MAX));
    let active = u64::from(copies == 2 && flags & 1 != 0);
    Ok(Boot {
        geometry: Geometry {
            width: Width::ExFat,
            cluster,
            heap,
            count,
            // With two tables (TexFAT) one is in use; the other may be old.
            tables: vec![table.saturating_add(active.saturating_mul(table_len))],
            table_len,
            root: Root::Cluster(u32_at(s, 96).ok_or_else(short)?),
            first: heap,
            serial: u32_at(s, 100).ok_or_else(short)?,
            len,
        },
        dirty: flags & 2 != 0,
        revision: u16_at(s, 104).ok_or_else(short)?,
    })
}
