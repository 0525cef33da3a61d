//! The boot sector of FAT12, FAT16 and FAT32, and the copy that FAT32 keeps.
//! Format: Microsoft's "FAT: General Overview of On-Disk Format" (fatgen103), section on the BPB.
use super::geometry::{ENTRY, Geometry, Root, Width};
use super::raw::{corrupt, u8_at, u16_at, u32_at};
use crate::base::Gaps;
use crate::fs::FsError;
use crate::image::{Source, read_exact};

pub(super) const BY: &str = "fs.fat";
/// Largest clusters that Windows makes.
const MAX_CLUSTER: u64 = 256 << 10;

#[derive(Clone, Debug)]
pub(super) struct Boot {
    pub(super) geometry: Geometry,
    /// Bytes as they stand; padded with spaces.
    pub(super) label: Vec<u8>,
    /// The mark that Linux leaves while the volume is mounted.
    pub(super) dirty: bool,
    pub(super) media: u8,
}

pub(super) fn probe(source: &Source) -> bool {
    sector(source, 0).is_some_and(|s| parse(&s, 0).is_ok())
}
pub(super) fn size(source: &Source) -> Option<u64> {
    parse(&sector(source, 0)?, 0).ok().map(|b| b.geometry.len)
}
pub(super) fn probe_copy(source: &Source) -> bool {
    backup(source).is_some()
}

fn sector(source: &Source, at: u64) -> Option<Vec<u8>> {
    read_exact(&**source, at, 512).ok().flatten()
}

/// FAT32 keeps a copy in sector 6 (or where the first one says, which cannot be asked).
fn backup(source: &Source) -> Option<(u64, Boot)> {
    [512, 1024, 2048, 4096].into_iter().find_map(|len: u64| {
        let at = len.checked_mul(6)?;
        let boot = parse(&sector(source, at)?, at).ok()?;
        (boot.geometry.width == Width::Fat32 && boot.geometry.len <= source.len()).then_some((at, boot))
    })
}

pub(super) fn read(source: &Source, gaps: &Gaps) -> Result<Boot, FsError> {
    let first = sector(source, 0).ok_or_else(|| corrupt(0, "boot sector not readable"));
    let boot = first.and_then(|s| parse(&s, 0));
    let boot = match boot {
        Ok(boot) => {
            let places = |g: &Geometry| (g.cluster, g.first, g.heap, g.table_len, g.len);
            if boot.geometry.width == Width::Fat32
                && let Some((at, copy)) = backup(source)
                && places(&copy.geometry) != places(&boot.geometry)
            {
                let what = format!(
                    "the boot sector and its copy at {at} place the file system's areas otherwise; the first is used"
                );
                gaps.add_at(BY, "volume_offset", 0, what, 512);
            }
            boot
        }
        Err(e) => {
            let (at, boot) = backup(source).ok_or_else(|| e.clone())?;
            gaps.add_at(BY, "volume_offset", 0, format!("boot sector: {e}; its copy at {at} is used"), 512);
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

/// Reads a boot sector that stands at byte `at`. Everything that places are computed from must fit.
fn parse(s: &[u8], at: u64) -> Result<Boot, FsError> {
    let bad = |what: &str| corrupt(at, what.to_owned());
    let short = || bad("too short");
    // The last is what an Atari begins with.
    let jump = matches!(s, [0xe9 | 0x60, ..] | [0xeb, _, 0x90, ..]);
    // Other formats keep their name here, and zeros where FAT counts.
    let other = [b"EXFAT   ".as_slice(), b"NTFS    ", b"-FVE-FS-"].iter().any(|n| s.get(3..11) == Some(n));
    if !jump || other {
        return Err(bad("no boot sector of FAT"));
    }
    let sector = u64::from(u16_at(s, 11).ok_or_else(short)?);
    let per_cluster = u64::from(u8_at(s, 13).ok_or_else(short)?);
    let reserved = u64::from(u16_at(s, 14).ok_or_else(short)?);
    let copies = u64::from(u8_at(s, 16).ok_or_else(short)?);
    let entries = u64::from(u16_at(s, 17).ok_or_else(short)?);
    let media = u8_at(s, 21).ok_or_else(short)?;
    if !matches!(sector, 512 | 1024 | 2048 | 4096) {
        return Err(bad("sectors of an impossible size"));
    }
    let cluster = sector.saturating_mul(per_cluster);
    if !per_cluster.is_power_of_two() || cluster > MAX_CLUSTER {
        return Err(bad("clusters of an impossible size"));
    }
    if reserved == 0 || copies == 0 || copies > 4 || !(media == 0xf0 || media >= 0xf8) {
        return Err(bad("no reserved sectors, no table, or an unknown medium"));
    }
    let table16 = u64::from(u16_at(s, 22).ok_or_else(short)?);
    let is_32 = table16 == 0;
    let table = if is_32 { u64::from(u32_at(s, 36).ok_or_else(short)?) } else { table16 };
    let sectors = match u64::from(u16_at(s, 19).ok_or_else(short)?) {
        0 => u64::from(u32_at(s, 32).ok_or_else(short)?),
        n => n,
    };
    let root_len = entries.saturating_mul(ENTRY);
    let root_sectors = root_len.div_ceil(sector);
    let first = reserved.saturating_add(copies.saturating_mul(table)).saturating_mul(sector);
    let heap = first.saturating_add(root_sectors.saturating_mul(sector));
    let len = sectors.saturating_mul(sector);
    if table == 0 || heap >= len || (!is_32 && entries == 0) {
        return Err(bad("its areas do not fit into the volume"));
    }
    let table_len = table.saturating_mul(sector);
    let count = len.saturating_sub(heap) / cluster;
    // As Linux decides it: the width of FAT32 where the old count of table sectors is zero.
    let width = match count {
        _ if is_32 => Width::Fat32,
        0..=4084 => Width::Fat12,
        _ => Width::Fat16,
    };
    let room = match width {
        Width::Fat12 => table_len.saturating_mul(2) / 3,
        Width::Fat16 => table_len / 2,
        _ => table_len / 4,
    };
    let limit = match width {
        Width::Fat12 => 0xff5,
        Width::Fat16 => 0xfff5,
        _ => 0x0fff_fff5,
    };
    let count = count.min(room.saturating_sub(2)).min(limit);
    let count = u32::try_from(count).map_err(|_| bad("more clusters than any table holds"))?;
    if count == 0 {
        return Err(bad("no clusters"));
    }
    let start = reserved.saturating_mul(sector);
    let tables = (0..copies).map(|n| start.saturating_add(n.saturating_mul(table_len)));
    let mut tables: Vec<u64> = tables.collect();
    if is_32 {
        // Mirroring may be off: then only one copy is kept up to date.
        let flags = u16_at(s, 40).ok_or_else(short)?;
        if flags & 0x80 != 0
            && let Some(active) = tables.get(usize::from(flags & 15)).copied()
        {
            tables = vec![active];
        }
    }
    let extended = if is_32 { 64 } else { 36 };
    let has_serial = matches!(u8_at(s, extended + 2), Some(0x28 | 0x29));
    let has_label = u8_at(s, extended + 2) == Some(0x29);
    let root =
        if is_32 { Root::Cluster(u32_at(s, 44).ok_or_else(short)?) } else { Root::Area { at: first, len: root_len } };
    Ok(Boot {
        geometry: Geometry {
            width,
            cluster,
            heap,
            count,
            tables,
            table_len,
            root,
            first,
            serial: if has_serial { u32_at(s, extended + 3).unwrap_or(0) } else { 0 },
            len,
        },
        label: if has_label { s.get(extended + 7..extended + 18).unwrap_or_default().to_vec() } else { Vec::new() },
        dirty: u8_at(s, extended + 1).is_some_and(|f| f & 1 != 0),
        media,
    })
}
