//! Block bitmaps: which parts of the volume nothing uses.
use super::Volume;
use super::contradiction::check_count;
use super::damage::Of;
use super::features::META_BG;
use super::group::BLOCK_UNINIT;
use super::raw::{crc32c, size};
use crate::base::Run;

/// Free runs of the volume in bytes, sorted, joined where they touch. Where a bitmap cannot be read
/// nothing is called free, and a gap says so.
pub(super) fn unallocated(volume: &Volume) -> Vec<Run> {
    let sb = &volume.sb;
    let used = volume.own.get_or_init(|| metadata(volume));
    let mut out: Vec<Run> = Vec::new();
    let ratio = u64::from(sb.cluster_ratio);
    let exists = sb.blocks.min(volume.blocks.len / u64::from(sb.block_size));
    for (number, group) in (0_u64..).zip(&volume.groups) {
        let start = sb.group_start(number);
        let end = start.saturating_add(u64::from(sb.blocks_per_group)).min(exists);
        if group.block_bitmap == 0 || start >= end {
            continue;
        }
        if group.flags & BLOCK_UNINIT != 0 {
            free(volume, start, end, used, &mut out);
            continue;
        }
        let of = Of::Group(u32::try_from(number).unwrap_or(u32::MAX));
        let at = volume.blocks.offset(group.block_bitmap).unwrap_or(0);
        let Ok(bits) = volume.blocks.block(group.block_bitmap) else {
            let lost = end.saturating_sub(start).saturating_mul(u64::from(sb.block_size));
            volume.damage.note("block bitmap could not be read; its group counts as in use", of, at, lost);
            continue;
        };
        if sb.has_metadata_csum() && !fits(volume, &bits, group.block_bitmap_sum) {
            volume.damage.note("checksum of a block bitmap differs", of, at, bits.len() as u64);
        }
        let clusters = end.saturating_sub(start).div_ceil(ratio);
        let (mut run, mut counted) = (None, 0_u64);
        for cluster in 0..=clusters {
            let byte = bits.get(size(cluster / 8)).copied().unwrap_or(0xff);
            let is_free = cluster < clusters && byte & (1 << (cluster % 8)) == 0;
            counted = counted.saturating_add(u64::from(is_free));
            match (is_free, run) {
                (true, None) => run = Some(cluster),
                (false, Some(first)) => {
                    let from = start.saturating_add(ratio.saturating_mul(first));
                    let to = start.saturating_add(ratio.saturating_mul(cluster)).min(end);
                    free(volume, from, to, used, &mut out);
                    run = None;
                }
                _ => {}
            }
        }
        if exists == sb.blocks {
            check_count(volume, u32::try_from(number).unwrap_or(u32::MAX), counted, group.free_blocks, at);
        }
    }
    out
}

fn fits(volume: &Volume, bits: &[u8], stored: u32) -> bool {
    let sb = &volume.sb;
    let clusters = sb.blocks_per_group / sb.cluster_ratio.max(1);
    let sum = crc32c(sb.seed, bits.get(..(clusters / 8) as usize).unwrap_or(bits));
    if sb.desc_size >= 64 { sum == stored } else { sum & 0xffff == stored & 0xffff }
}

/// Blocks of the file system's own structures, as sorted, joined ranges: groups whose bitmap was
/// never written count as free but for these.
pub(super) fn metadata(volume: &Volume) -> Vec<(u64, u64)> {
    let sb = &volume.sb;
    let groups = volume.groups.len() as u64;
    let per_block = u64::from(sb.block_size / sb.desc_size).max(1);
    let tables = sb.groups().div_ceil(per_block);
    let meta = sb.features.has_incompat(META_BG);
    let classic = if meta { tables.min(u64::from(sb.first_meta_bg)) } else { tables };
    let mut all = vec![(0, sb.primary_block().saturating_add(1))];
    let mut add = |start: u64, len: u64| all.push((start, start.saturating_add(len)));
    for (number, group) in (0_u64..groups).zip(&volume.groups) {
        let start = if number == 0 { sb.primary_block() } else { sb.group_start(number) };
        let copy = u64::from(sb.has_super(number));
        if copy == 1 {
            let reserved = if meta { 0 } else { u64::from(sb.reserved_gdt_blocks) };
            add(start, classic.saturating_add(reserved).saturating_add(1));
        }
        let place = number % per_block;
        if meta && number / per_block >= classic && (place < 2 || place == per_block.saturating_sub(1)) {
            add(start.saturating_add(copy), 1);
        }
        if group.block_bitmap != 0 {
            add(group.block_bitmap, 1);
            add(group.inode_bitmap, 1);
            add(group.inode_table, sb.inode_table_blocks());
        }
    }
    all.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (start, end) in all {
        match out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

/// Appends the blocks `from..to` but for the used ones.
fn free(volume: &Volume, from: u64, to: u64, used: &[(u64, u64)], out: &mut Vec<Run>) {
    let mut at = from;
    let first = used.partition_point(|u| u.1 <= from);
    for (start, end) in used.iter().skip(first) {
        if *start >= to {
            break;
        }
        push(volume, at, *start, out);
        at = at.max(*end);
    }
    push(volume, at, to, out);
}

fn push(volume: &Volume, from: u64, to: u64, out: &mut Vec<Run>) {
    let bs = u64::from(volume.sb.block_size);
    if from >= to {
        return;
    }
    let run = Run::new(from.saturating_mul(bs), to.saturating_sub(from).saturating_mul(bs));
    match out.last_mut() {
        Some(last) if last.end() == run.offset => last.len = last.len.saturating_add(run.len),
        _ => out.push(run),
    }
}
