//! Block group descriptors: where each group's bitmaps and inode table lie.
//! A damaged descriptor is replaced by its backup where that is sound.
use super::blocks::Blocks;
use super::damage::{Damage, Of};
use super::features::{BIT64, GDT_CSUM, META_BG};
use super::raw::{crc16, crc32c, crc32c_without, join, u16_at, u32_at};
use super::superblock::Super;

pub(super) const INODE_UNINIT: u16 = 1;
pub(super) const BLOCK_UNINIT: u16 = 2;
/// More groups than any file system that one examination could read; caps what a damaged count costs.
const MAX_GROUPS: u64 = 1 << 20;
const CHECKSUM_AT: usize = 0x1e;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Block numbers; 0 where the descriptor is lost.
    pub(super) block_bitmap: u64,
    pub(super) inode_bitmap: u64,
    pub(super) inode_table: u64,
    pub(super) flags: u16,
    /// Inodes at the table's end that were never used.
    pub(super) unused: u32,
    pub(super) block_bitmap_sum: u32,
    /// Clusters, where there are clusters.
    pub(super) free_blocks: u32,
    free_inodes: u32,
}

enum Fault {
    Checksum,
    /// Of the inode table.
    Place,
    Bitmap,
}

/// Reads all descriptors. The result has one element per group; a lost one has table 0.
pub(super) fn load(blocks: &Blocks, sb: &Super, damage: &Damage) -> Vec<Group> {
    let per_block = u64::from(sb.block_size / sb.desc_size).max(1);
    let stated = sb.groups();
    let wanted = stated.min(MAX_GROUPS);
    if stated > MAX_GROUPS {
        damage.once(super::superblock::AT, format!("budget: {stated} block groups claimed; {wanted} read"), 0);
    }
    let mut out = Vec::new();
    let supers: Vec<u64> = (0..stated.min(400)).filter(|g| sb.has_super(*g)).collect();
    for index in 0..wanted.div_ceil(per_block) {
        let first = index.saturating_mul(per_block);
        let here = first.saturating_add(per_block).min(wanted).saturating_sub(first);
        let places = places(sb, index, per_block, &supers);
        let primary = places.first().map(|p| (*p, blocks.block(*p)));
        let mut backups = None;
        for n in 0..here {
            let group = first.saturating_add(n);
            let number = u32::try_from(group).unwrap_or(u32::MAX);
            let at = n.saturating_mul(u64::from(sb.desc_size));
            let offset = primary.as_ref().and_then(|p| blocks.offset(p.0)).unwrap_or(0).saturating_add(at);
            let own = match &primary {
                Some((_, Ok(block))) => parse(block, at, group, sb),
                _ => None,
            };
            if let Some((sound, None)) = own {
                if sound.unused > sb.inodes_per_group || sound.unused > sound.free_inodes {
                    let what =
                        "group descriptor with more inodes never used than can be; deleted ones may be overlooked";
                    damage.note(what, Of::Group(number), offset, 0);
                }
                out.push(sound);
                continue;
            }
            let backups = backups.get_or_insert_with(|| {
                places.iter().skip(1).take(4).filter_map(|p| blocks.block(*p).ok()).collect::<Vec<_>>()
            });
            let spare = backups.iter().find_map(|b| match parse(b, at, group, sb) {
                Some((group, None)) => Some(group),
                _ => None,
            });
            let (what, used) = match (own, spare) {
                (_, Some(spare)) => ("group descriptor damaged; a backup of it was used", spare),
                (Some((own, Some(Fault::Checksum))), None) => {
                    ("checksum of the group descriptor differs; it was used as it is", own)
                }
                (Some((own, Some(Fault::Bitmap))), None) => {
                    ("group descriptor has a bitmap outside the volume", Group { block_bitmap: 0, ..own })
                }
                (Some((_, _)), None) => {
                    ("group descriptor points outside the volume; its inodes are lost", Group::default())
                }
                (None, None) => ("group descriptor could not be read; its inodes are lost", Group::default()),
            };
            damage.note(what, Of::Group(number), offset, u64::from(sb.desc_size));
            out.push(used);
        }
        // A lying count of groups ends where the volume does.
        if matches!(&primary, Some((p, Err(_))) if blocks.offset(*p).is_none_or(|at| at >= blocks.len)) {
            break;
        }
    }
    out
}

/// Where the descriptor block `index` lies: the primary first, then its backups. `supers` are groups with a copy of the
/// superblock.
fn places(sb: &Super, index: u64, per_block: u64, supers: &[u64]) -> Vec<u64> {
    let after_super = |group: u64| {
        let start = if group == 0 { sb.primary_block() } else { sb.group_start(group) };
        start.saturating_add(u64::from(sb.has_super(group)))
    };
    let groups = sb.groups();
    if sb.features.has_incompat(META_BG) && index >= u64::from(sb.first_meta_bg) {
        let first = index.saturating_mul(per_block);
        let last = first.saturating_add(per_block.saturating_sub(1));
        return [first, first.saturating_add(1), last].into_iter().filter(|g| *g < groups).map(after_super).collect();
    }
    supers.iter().map(|g| after_super(*g).saturating_add(index)).collect()
}

fn parse(block: &[u8], at: u64, group: u64, sb: &Super) -> Option<(Group, Option<Fault>)> {
    let at = usize::try_from(at).ok()?;
    let d = block.get(at..at.checked_add(sb.desc_size as usize)?)?;
    let wide = sb.features.has_incompat(BIT64) && sb.desc_size >= 64;
    let high = |at: usize| if wide { u32_at(d, at) } else { Some(0) };
    let high16 = |at: usize| if wide { u16_at(d, at) } else { Some(0) };
    let both = |low: u16, high: u16| u32::from(low) | (u32::from(high) << 16);
    // Without checksums nothing is left out of the tables, and these fields mean nothing.
    let has_sums = sb.has_metadata_csum() || sb.features.has_read_only(GDT_CSUM);
    let found = Group {
        block_bitmap: join(u32_at(d, 0)?, high(0x20)?),
        inode_bitmap: join(u32_at(d, 4)?, high(0x24)?),
        inode_table: join(u32_at(d, 8)?, high(0x28)?),
        flags: if has_sums { u16_at(d, 0x12)? } else { 0 },
        unused: if has_sums { both(u16_at(d, 0x1c)?, high16(0x32)?) } else { 0 },
        block_bitmap_sum: both(u16_at(d, 0x18)?, high16(0x38)?),
        free_blocks: both(u16_at(d, 0xc)?, high16(0x2c)?),
        free_inodes: both(u16_at(d, 0xe)?, high16(0x2e)?),
    };
    let inside = |block: u64, len: u64| block > 0 && block.checked_add(len).is_some_and(|end| end <= sb.blocks);
    let fault = if !inside(found.inode_table, sb.inode_table_blocks()) {
        Some(Fault::Place)
    } else if !inside(found.block_bitmap, 1) || !inside(found.inode_bitmap, 1) {
        Some(Fault::Bitmap)
    } else if checksum_fits(d, group, sb)? {
        None
    } else {
        Some(Fault::Checksum)
    };
    Some((found, fault))
}

/// True also where the file system keeps no checksums.
fn checksum_fits(d: &[u8], group: u64, sb: &Super) -> Option<bool> {
    let number = u32::try_from(group).ok()?.to_le_bytes();
    let stored = u16_at(d, CHECKSUM_AT)?;
    if sb.has_metadata_csum() {
        let sum = crc32c_without(crc32c(sb.seed, &number), d, CHECKSUM_AT, 2);
        return Some(sum & 0xffff == u32::from(stored));
    }
    if sb.features.has_read_only(GDT_CSUM) {
        let sum = crc16(crc16(crc16(!0, &sb.uuid_bytes()), &number), d.get(..CHECKSUM_AT)?);
        return Some(crc16(sum, d.get(CHECKSUM_AT.saturating_add(2)..)?) == stored);
    }
    Some(true)
}
