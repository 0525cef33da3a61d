//! Registry hives with their logs behind them. Format: M. Suhanov, "Windows registry file format specification".
use super::{Disk, Layout, Part, le32};
use crate::kit::hives;

pub const REGISTRY: Layout = Layout { name: "registry", parts, mend: Some(mend), plain: None, big: false };

fn parts(disk: &Disk) -> Vec<Part> {
    let mut found = vec![Part::new("base block", 0, 512)];
    let bins = u64::from(le32(&disk.get(40, 4), 0)).min(64 << 20);
    let mut at = 4096;
    while at < 4096 + bins && at < disk.len {
        let head = disk.get(at, 32);
        let size = u64::from(le32(&head, 8));
        if !head.starts_with(b"hbin") || size == 0 || size % 4096 != 0 {
            at += 4096;
            continue;
        }
        found.push(Part::new("bin", at, 32));
        cells(disk, at + 32, (at + size).min(disk.len), &mut found);
        at += size;
    }
    // The logs.
    let mut at = (4096 + bins).next_multiple_of(4096);
    // As far as the hive is read.
    let end = disk.len.min(64 << 20);
    while at + 512 < end {
        match disk.get(at, 4).as_slice() {
            b"regf" => {
                found.push(Part::new("log's base block", at, 512));
                at += 512;
            }
            b"HvLE" => {
                let len = le32(&disk.get(at + 4, 4), 0) as usize;
                let is_whole = len >= 512 && len % 512 == 0 && at + len as u64 <= disk.len && len < 1 << 20;
                let len = if is_whole { len } else { 512 };
                found.push(Part::new("log entry", at, len));
                at += len as u64;
            }
            _ => at += 512,
        }
    }
    found.truncate(20_000);
    found
}

fn cells(disk: &Disk, mut at: u64, end: u64, found: &mut Vec<Part>) {
    while at + 8 <= end {
        let head = disk.get(at, 6);
        let size = le32(&head, 0) as i32;
        let len = u64::from(size.unsigned_abs());
        if len < 8 || len % 8 != 0 || at + len > end {
            return;
        }
        let kind = match (size < 0, &head[4..]) {
            (false, _) => "",
            (_, b"nk") => "key",
            (_, b"vk") => "value",
            (_, b"lf" | b"lh" | b"li") => "list",
            (_, b"ri") => "list of lists",
            (_, b"db") => "parts of data",
            (_, b"sk") => "security",
            _ => "plain cell",
        };
        if !kind.is_empty() && len < 64 << 10 {
            found.push(Part::new(kind, at, len as usize).named(&[at - 4096]));
        }
        at += len;
    }
}

fn mend(part: &Part, bytes: &mut [u8]) {
    match part.kind {
        "base block" | "log's base block" if bytes.len() >= 512 => hives::seal(bytes),
        "log entry" if bytes.len() > 40 => hives::hash_entry(bytes),
        _ => {}
    }
}
