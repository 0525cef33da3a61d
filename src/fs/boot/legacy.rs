//! U-Boot's legacy image: a header of 64 bytes with a checksum of its own, and one or several parts.
//! Format: `include/image.h` of U-Boot.
use super::{BY, Body, File, Parts, info, label};
use crate::base::{Gaps, Run};
use crate::fs::FsError;
use crate::fs::raw::{be32_at, corrupt, size as bytes, u8_at};
use crate::image::{Source, read_exact};

const HEADER: u64 = 64;
const MAGIC: u32 = 0x2705_1956;
/// Parts of one image.
const MAX_PARTS: usize = 64;
/// Longest image whose checksum is computed.
const LONGEST: u64 = 256 << 20;

fn header(source: &Source) -> Option<Vec<u8>> {
    let head = read_exact(&**source, 0, bytes(HEADER)).ok()??;
    let mut zeroed = head.clone();
    zeroed.get_mut(4..8)?.fill(0);
    (be32_at(&head, 0)? == MAGIC && be32_at(&head, 4)? == crc32fast::hash(&zeroed)).then_some(head)
}

pub(super) fn size(source: &Source) -> Option<u64> {
    let len = u64::from(be32_at(&header(source)?, 12)?).saturating_add(HEADER);
    Some(len.min(source.len()))
}

pub(super) fn open(source: &Source, gaps: &Gaps) -> Result<Parts, FsError> {
    let head = header(source).ok_or_else(|| corrupt(0, "no header whose checksum fits"))?;
    let field = |at| be32_at(&head, at).unwrap_or(0);
    let len = u64::from(field(12));
    if len <= LONGEST
        && let Some(data) = read_exact(&**source, HEADER, bytes(len))?
        && crc32fast::hash(&data) != field(24)
    {
        gaps.add_at(BY, "volume_offset", HEADER, "U-Boot image: its data do not fit their checksum", len);
    }
    let kind = match u8_at(&head, 30) {
        Some(1) => "standalone",
        Some(2 | 14) => "kernel",
        Some(3) => "ramdisk",
        Some(4) => "multi",
        Some(5) => "firmware",
        Some(6) => "script",
        Some(7) => "filesystem",
        Some(8) => "device-tree",
        _ => "image",
    };
    let run = Run::new(HEADER, len);
    let file = |name: String, run| File { name, body: Body::Run(run) };
    let files = if matches!(kind, "multi" | "script") {
        // Sizes up to a zero, then the parts, each at a multiple of four.
        let mut sizes = Vec::new();
        let mut at = HEADER;
        while sizes.len() <= MAX_PARTS {
            let word = read_exact(&**source, at, 4)?.and_then(|b| be32_at(&b, 0));
            at = at.saturating_add(4);
            match word {
                Some(0) | None => break,
                Some(n) => sizes.push(u64::from(n)),
            }
        }
        let mut files = Vec::new();
        for (n, size) in sizes.into_iter().enumerate().take(MAX_PARTS) {
            if at.saturating_add(size) > run.end() {
                gaps.add_at(BY, "volume_offset", at, "part of a U-Boot image reaches beyond it", size);
                break;
            }
            files.push(file(format!("{kind}-{}", n.saturating_add(1)), Run::new(at, size)));
            at = at.saturating_add(size.next_multiple_of(4));
        }
        files
    } else {
        vec![file(kind.to_owned(), run)]
    };
    let features = vec![
        format!("type-{kind}"),
        format!("load-{:#x}", field(16)),
        format!("entry-{:#x}", field(20)),
        format!("compression-{}", u8_at(&head, 31).unwrap_or(0)),
    ];
    let name = label(head.get(32..).unwrap_or_default());
    Ok(Parts { files, info: info("uimage", name, Some(field(8)), features), size: run.end() })
}
