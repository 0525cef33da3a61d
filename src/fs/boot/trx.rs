//! TRX firmware of Broadcom routers: a header with a checksum over what follows, and up to four partitions.
//! Format: OpenWrt's wiki, "TRX", and the kernel's `drivers/mtd/parsers/parser_trx.c`.
use super::{BY, Body, File, Parts, info};
use crate::base::{Gaps, Run};
use crate::fs::FsError;
use crate::fs::raw::{corrupt, size as bytes, u16_at, u32_at};
use crate::image::{Source, read_exact};

/// Bytes that the checksum does not cover.
const BEFORE: usize = 12;
const LONGEST: u64 = 256 << 20;

fn header(source: &Source) -> Option<Vec<u8>> {
    let head = read_exact(&**source, 0, 32).ok()??;
    let len = u64::from(u32_at(&head, 4)?);
    let version = u16_at(&head, 14)?;
    let first = u64::from(u32_at(&head, 16)?);
    let holds = head.starts_with(b"HDR0") && matches!(version, 1 | 2) && len >= 28 && len <= source.len();
    (holds && first >= 28 && first < len).then_some(head)
}

pub(super) fn size(source: &Source) -> Option<u64> {
    u32_at(&header(source)?, 4).map(u64::from)
}

pub(super) fn open(source: &Source, gaps: &Gaps) -> Result<Parts, FsError> {
    let head = header(source).ok_or_else(|| corrupt(0, "no header of TRX that holds"))?;
    let field = |at| u32_at(&head, at).unwrap_or(0);
    let len = u64::from(field(4));
    if len <= LONGEST
        && let Some(all) = read_exact(&**source, 0, bytes(len))?
        && !crc32fast::hash(all.get(BEFORE..).unwrap_or_default()) != field(8)
    {
        gaps.add_at(BY, "volume_offset", 8, "TRX firmware does not fit its checksum", len);
    }
    let version = u16_at(&head, 14).unwrap_or(1);
    let count = if version == 2 { 4 } else { 3 };
    let mut starts: Vec<u64> =
        (0..count).map(|n| u64::from(field(16 + 4 * n))).filter(|o| *o > 0 && *o < len).collect();
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).copied().chain([len]);
    let file = |(n, (start, end)): (usize, (&u64, u64))| File {
        name: format!("partition-{}", n.saturating_add(1)),
        body: Body::Run(Run::new(*start, end.saturating_sub(*start))),
    };
    let files = starts.iter().zip(ends).enumerate().map(file).collect();
    let features = vec![format!("version-{version}"), format!("flags-{:#x}", u16_at(&head, 12).unwrap_or(0))];
    Ok(Parts { files, info: info("trx", String::new(), None, features), size: len })
}
