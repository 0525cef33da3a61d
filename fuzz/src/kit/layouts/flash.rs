//! UBI, UBIFS and JFFS2. Formats: the kernel's `ubi-media.h`, `ubifs-media.h` and `jffs2.h`.
use super::{Disk, Layout, Part, crc32, le16, le32, put32};

pub const UBI: Layout = Layout { name: "ubi", parts: ubi, mend: Some(mend_ubi), plain: None, big: true };
pub const UBIFS: Layout = Layout { name: "ubifs", parts: ubifs, mend: Some(mend_ubifs), plain: None, big: false };
pub const JFFS2: Layout = Layout { name: "jffs2", parts: jffs2, mend: Some(mend_jffs2), plain: None, big: false };

fn ubi(disk: &Disk) -> Vec<Part> {
    let mut found = Vec::new();
    for at in disk.used(512) {
        let head = disk.get(at, 64);
        match &head[..4] {
            b"UBI#" => found.push(Part::new("erase header", at, 64)),
            b"UBI!" => {
                found.push(Part::new("volume header", at, 64));
                // The volume table lies behind its header, at the data of the block.
                if head[8..12] == [0x7f, 0xff, 0xef, 0xff] {
                    let start = found.iter().rfind(|p: &&Part| p.kind == "erase header").map_or(at, |p| p.at);
                    let data = start + u64::from(le32(&disk.get(start, 64), 20).swap_bytes());
                    found.extend((0..4).map(|n| Part::new("volume record", data + n * 172, 172)));
                }
            }
            _ => {}
        }
    }
    found
}
fn mend_ubi(part: &Part, bytes: &mut [u8]) {
    let at = if part.kind == "volume record" { 168 } else { 60 };
    let sum = crc32(u32::MAX, &bytes[..at]);
    bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
}

fn ubifs(disk: &Disk) -> Vec<Part> {
    const KINDS: [&str; 12] = [
        "inode",
        "data",
        "entry",
        "attribute entry",
        "truncation",
        "padding",
        "superblock",
        "master",
        "reference",
        "index",
        "commit start",
        "orphans",
    ];
    let mut found = Vec::new();
    let mut end = 0;
    for at in disk.used(8).into_iter().filter(|at| at % 8 == 0) {
        if at < end {
            continue;
        }
        let head = disk.get(at, 24);
        let len = le32(&head, 16) as usize;
        let kind = KINDS.get(usize::from(head[20]));
        if le32(&head, 0) == 0x0610_1831 && (24..=1 << 20).contains(&len) && kind.is_some() {
            let kind = kind.copied().unwrap_or_default();
            let len = if kind == "padding" { 28 } else { len };
            // Content is hit by its header only.
            let names = if kind == "inode" { vec![u64::from(le32(&disk.get(at + 24, 4), 0))] } else { Vec::new() };
            found.push(Part::new(kind, at, len).named(&names));
            end = at + len as u64;
        }
        if found.len() > 6000 {
            break;
        }
    }
    found
}
fn mend_ubifs(_: &Part, bytes: &mut [u8]) {
    let sum = crc32(u32::MAX, &bytes[8..]);
    put32(bytes, 4, sum);
}

fn jffs2(disk: &Disk) -> Vec<Part> {
    let mut found = Vec::new();
    let mut end = 0;
    for at in disk.used(4) {
        if at < end {
            continue;
        }
        let head = disk.get(at, 12);
        let len = le32(&head, 4) as usize;
        if le16(&head, 0) == 0x1985 && (12..=1 << 16).contains(&len) {
            let kind = match le16(&head, 2) | 0x2000 {
                0xe001 => "entry",
                0xe002 => "inode",
                0x2006 => "summary",
                0x2003 | 0x2004 => "filling",
                _ => "other",
            };
            found.push(Part::new(kind, at, len).named(&[u64::from(le32(&disk.get(at + 12, 4), 0))]));
            end = at + len as u64;
        }
        if found.len() > 6000 {
            break;
        }
    }
    found
}
fn mend_jffs2(part: &Part, bytes: &mut [u8]) {
    let sum = crc32(0, &bytes[..8]);
    put32(bytes, 8, sum);
    match part.kind {
        "inode" if bytes.len() >= 68 => {
            let data = crc32(0, &bytes[68..]);
            put32(bytes, 60, data);
            let node = crc32(0, &bytes[..60]);
            put32(bytes, 64, node);
        }
        "entry" if bytes.len() >= 40 => {
            let node = crc32(0, &bytes[..32]);
            put32(bytes, 32, node);
            let end = (40 + usize::from(bytes[28])).min(bytes.len());
            let name = crc32(0, &bytes[40..end]);
            put32(bytes, 36, name);
        }
        _ => {}
    }
}
