//! The superblock, and its copies at the start of each allocation group.
//! Format: "XFS Algorithms & Data Structures" (kernel.org), "Superblocks".
use super::BY;
use super::raw::{corrupt, size, sum_fits, u8_at, u16_at, u32_at, u64_at};
use crate::base::Gaps;
use crate::fs::FsError;
use crate::image::{Source, read_exact};

/// Bytes that are looked at for a copy where no reckoning finds one.
const SEARCHED: u64 = 512 << 20;

#[derive(Clone, Debug)]
pub(super) struct Super {
    /// Bytes.
    pub(super) block: u64,
    pub(super) blocks: u64,
    pub(super) uuid: [u8; 16],
    /// Block of the log; 0 where it is on another device.
    pub(super) log_start: u64,
    pub(super) log_blocks: u64,
    pub(super) root: u64,
    pub(super) ag_blocks: u64,
    pub(super) ag_count: u64,
    /// Bits of a block's number within its group.
    pub(super) ag_bits: u32,
    pub(super) sector: u64,
    pub(super) inode: u64,
    /// Bits of an inode's number within its block.
    pub(super) inode_bits: u32,
    /// Bytes of a block of a directory.
    pub(super) dir_block: u64,
    pub(super) label: Vec<u8>,
    pub(super) v5: bool,
    /// Names of directories carry the kind of file.
    pub(super) ftype: bool,
    pub(super) sparse_inodes: bool,
    pub(super) realtime: bool,
    pub(super) version: u16,
    pub(super) ro_compat: u32,
    pub(super) incompat: u32,
}

pub(super) fn probe(source: &Source) -> bool {
    at(source, 0).is_ok()
}
pub(super) fn len(source: &Source) -> Option<u64> {
    at(source, 0).ok().map(|(sb, _)| sb.blocks.saturating_mul(sb.block))
}
pub(super) fn probe_copy(source: &Source) -> bool {
    copy(source).is_some()
}

fn at(source: &Source, at: u64) -> Result<(Super, bool), FsError> {
    let head = read_exact(&**source, at, 512)?.ok_or_else(|| corrupt(at, "superblock not readable"))?;
    let sb = parse(&head, at)?;
    let sector = read_exact(&**source, at, size(sb.sector))?.unwrap_or(head);
    let fits = !sb.v5 || sum_fits(&sector, 224);
    Ok((sb, fits))
}

/// A copy that stands where it says that a group begins: first where groups of usual counts begin,
/// then anywhere near the start.
fn copy(source: &Source) -> Option<(u64, Super)> {
    let check = |place: u64| {
        let (sb, fits) = at(source, place).ok()?;
        let group = sb.ag_blocks.checked_mul(sb.block)?;
        (fits && place > 0 && place.is_multiple_of(group) && sb.blocks.saturating_mul(sb.block) <= source.len())
            .then_some((place, sb))
    };
    let blocks = source.len() / 4096;
    let usual = (2..=64).map(|n: u64| blocks.div_ceil(n).saturating_mul(4096));
    usual.into_iter().find_map(check).or_else(|| {
        let mut buf = vec![0; 1 << 20];
        let mut from = 0_u64;
        while from < source.len().min(SEARCHED) {
            let n = source.read_at(from, &mut buf).ok()?;
            let found = (0..n).step_by(512).filter(|o| buf.get(*o..o.saturating_add(4)) == Some(b"XFSB"));
            if let Some(found) = found.map(|o| from.saturating_add(o as u64)).find_map(check) {
                return Some(found);
            }
            from = from.saturating_add(1 << 20);
        }
        None
    })
}

pub(super) fn read(source: &Source, gaps: &Gaps) -> Result<Super, FsError> {
    let note = |what: String| gaps.add_at(BY, "volume_offset", 0, what, 0);
    match at(source, 0) {
        Ok((sb, true)) => Ok(sb),
        Ok((sb, false)) => {
            let Some((place, copy)) = copy(source) else {
                note("checksum of the superblock does not fit, and no copy was found".to_owned());
                return Ok(sb);
            };
            note(format!("checksum of the superblock does not fit; its copy at {place} is used"));
            Ok(copy)
        }
        Err(e) => {
            let (place, sb) = copy(source).ok_or_else(|| e.clone())?;
            note(format!("superblock: {e}; its copy at {place} is used"));
            Ok(sb)
        }
    }
}

fn parse(s: &[u8], at: u64) -> Result<Super, FsError> {
    let bad = |what: &str| corrupt(at, what.to_owned());
    let fields = || fields(s);
    if s.get(..4) != Some(b"XFSB") {
        return Err(bad("no superblock of XFS"));
    }
    let sb = fields().ok_or_else(|| bad("superblock too short or of impossible sizes"))?;
    let group = sb.ag_blocks.saturating_mul(sb.ag_count);
    let fits = sb.ag_count > 0
        && sb.ag_blocks > 0
        && sb.blocks > 0
        && sb.blocks <= group
        && sb.ag_blocks <= 1_u64.checked_shl(sb.ag_bits).unwrap_or(0)
        && sb.blocks > sb.ag_blocks.saturating_mul(sb.ag_count.saturating_sub(1));
    if !fits {
        return Err(bad("allocation groups do not fit the file system's size"));
    }
    Ok(sb)
}

fn fields(s: &[u8]) -> Option<Super> {
    let version = u16_at(s, 100)?;
    let v5 = match version & 15 {
        4 => false,
        5 => true,
        _ => return None,
    };
    let features2 = if version & 0x8000 != 0 { u32_at(s, 200)? } else { 0 };
    let incompat = if v5 { u32_at(s, 216)? } else { 0 };
    let bits = |at: usize, from: u8, to: u8| u8_at(s, at).filter(|b| (from..=to).contains(b)).map(u32::from);
    let block_bits = bits(120, 9, 16)?;
    let sector_bits = bits(121, 9, 15)?;
    let inode_log = bits(122, 8, 11)?;
    let ag_bits = bits(124, 1, 31)?;
    let dir_bits = bits(192, 0, 7)?;
    let block = 1_u64 << block_bits;
    let inode = 1_u64 << inode_log;
    if u32_at(s, 4).map(u64::from) != Some(block) || inode > block || u16_at(s, 104).map(u64::from) != Some(inode) {
        return None;
    }
    let dir_block = block.checked_shl(dir_bits).filter(|b| *b <= 1 << 16)?;
    let label = s.get(108..120)?;
    let end = label.iter().position(|b| *b == 0).unwrap_or(label.len());
    Some(Super {
        block,
        blocks: u64_at(s, 8)?,
        uuid: *s.get(32..)?.first_chunk()?,
        log_start: u64_at(s, 48)?,
        log_blocks: u64::from(u32_at(s, 96)?),
        root: u64_at(s, 56)?,
        ag_blocks: u64::from(u32_at(s, 84)?),
        ag_count: u64::from(u32_at(s, 88)?),
        ag_bits,
        sector: 1 << sector_bits,
        inode,
        inode_bits: block_bits.saturating_sub(inode_log),
        dir_block,
        label: label.get(..end)?.to_vec(),
        v5,
        ftype: if v5 { incompat & 1 != 0 } else { features2 & 0x200 != 0 },
        sparse_inodes: incompat & 2 != 0,
        realtime: u64_at(s, 16)? > 0,
        version,
        ro_compat: if v5 { u32_at(s, 212)? } else { 0 },
        incompat,
    })
}

impl Super {
    /// Byte of the volume at which a block begins, by its number with the group's; `None` if there is none.
    pub(super) fn block_at(&self, number: u64) -> Option<u64> {
        let group = number >> self.ag_bits;
        let inside = number & (1_u64 << self.ag_bits).wrapping_sub(1);
        self.group_block(group, inside)
    }
    /// Byte of the volume at which a block of a group begins.
    pub(super) fn group_block(&self, group: u64, block: u64) -> Option<u64> {
        if group >= self.ag_count || block >= self.ag_blocks {
            return None;
        }
        let linear = group.checked_mul(self.ag_blocks)?.checked_add(block)?;
        if linear >= self.blocks { None } else { linear.checked_mul(self.block) }
    }
    /// Byte of the volume at which an inode stands.
    pub(super) fn inode_at(&self, number: u64) -> Option<u64> {
        let block = number >> self.inode_bits;
        let slot = number & (1_u64 << self.inode_bits).wrapping_sub(1);
        self.block_at(block)?.checked_add(slot.checked_mul(self.inode)?)
    }
    /// An inode's number from its place within a group.
    pub(super) fn inode_number(&self, group: u64, inside: u64) -> u64 {
        group.checked_shl(self.ag_bits.saturating_add(self.inode_bits)).unwrap_or(u64::MAX) | inside
    }
}
