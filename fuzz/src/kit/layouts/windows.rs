//! NTFS, FAT and exFAT. Formats: the NTFS documentation of linux-ntfs (update sequences); Microsoft's FAT and exFAT
//! specifications.
use super::{Disk, Layout, Part, beginning, le16, le32};

pub const NTFS: Layout = Layout { name: "ntfs", parts: ntfs, mend: Some(protect), plain: Some(unprotect), big: false };
pub const FAT: Layout = Layout { name: "fat", parts: fat, mend: None, plain: None, big: false };
pub const EXFAT: Layout = Layout { name: "exfat", parts: exfat, mend: Some(mend_exfat), plain: None, big: false };

fn ntfs(disk: &Disk) -> Vec<Part> {
    let boot = disk.get(0, 512);
    let index = match boot[0x44] as i8 {
        n if n < 0 => 1_usize << n.unsigned_abs().min(16),
        n => n as usize * usize::from(boot[0x0d]) * 512,
    };
    let mut found = beginning(disk, 512, |b| match b.get(..4)? {
        b"FILE" => Some(("record", 1024)),
        b"INDX" => Some(("index", index.clamp(512, 65_536))),
        _ => None,
    });
    found.push(Part::new("boot sector", 0, 512));
    for part in found.iter_mut().filter(|p| p.kind == "record") {
        part.names.push(disk.u32(part.at + 0x2c));
    }
    found
}
/// Where the update sequence stands, and how many sectors it guards.
fn sequence(bytes: &[u8]) -> Option<(usize, usize)> {
    let (at, count) = (le16(bytes, 4) as usize, (le16(bytes, 6) as usize).checked_sub(1)?);
    (at + 2 * count + 2 <= bytes.len() && count * 512 <= bytes.len()).then_some((at, count))
}
fn unprotect(part: &Part, bytes: &mut [u8]) {
    if part.kind == "boot sector" {
        return;
    }
    let Some((at, count)) = sequence(bytes) else { return };
    for n in 0..count {
        let end = (n + 1) * 512 - 2;
        bytes.copy_within(at + 2 + 2 * n..at + 4 + 2 * n, end);
    }
}
fn protect(part: &Part, bytes: &mut [u8]) {
    if part.kind == "boot sector" {
        return;
    }
    let Some((at, count)) = sequence(bytes) else { return };
    for n in 0..count {
        let end = (n + 1) * 512 - 2;
        bytes.copy_within(end..end + 2, at + 2 + 2 * n);
        bytes.copy_within(at..at + 2, end);
    }
}

fn fat(disk: &Disk) -> Vec<Part> {
    let boot = disk.get(0, 512);
    let sector = u64::from(le16(&boot, 11)).clamp(512, 4096);
    let reserved = u64::from(le16(&boot, 14)) * sector;
    let table = u64::from(if le16(&boot, 22) != 0 { le16(&boot, 22) } else { le32(&boot, 36) }) * sector;
    let tables = u64::from(boot[16]);
    let mut found = vec![Part::new("boot sector", 0, 512)];
    let data = reserved + table.saturating_mul(tables);
    for at in disk.used(512) {
        if at >= reserved && at < data {
            found.push(Part::new("table", at, 512));
        } else if at >= data {
            // A directory begins with a name of upper-case letters, or with itself.
            let head = disk.get(at, 32);
            let is_name = head[..11].iter().all(|b| matches!(b, b' '..=b'Z' | b'^'..=b'~')) || head[11] == 0x0f;
            if is_name && (head[11] & 0xc0 == 0) && head[26..28] != [0, 0] {
                found.push(Part::new("directory", at, 512));
            }
        }
    }
    found.truncate(2000);
    found
}

fn exfat(disk: &Disk) -> Vec<Part> {
    let boot = disk.get(0, 512);
    let sector = 1_u64 << boot[108].clamp(9, 12);
    let table = u64::from(le32(&boot, 80)) * sector;
    let heap = u64::from(le32(&boot, 88)) * sector;
    let mut found = vec![Part::new("boot region", 0, (sector * 12) as usize)];
    for at in disk.used(512) {
        if at >= table && at < heap {
            found.push(Part::new("table", at, 512));
        } else if at >= heap && matches!(disk.get(at, 1)[0], 0x81 | 0x82 | 0x83 | 0x85 | 0xc0 | 0xc1) {
            found.push(Part::new("directory", at, 512));
        }
    }
    found.truncate(2000);
    found
}
/// Of the boot region, and of each set of entries that begins in the sector.
fn mend_exfat(part: &Part, bytes: &mut [u8]) {
    if part.kind == "boot region" {
        let sector = bytes.len() / 12;
        let mut sum = 0_u32;
        for (n, byte) in bytes[..sector * 11].iter().enumerate() {
            if !matches!(n, 106 | 107 | 112) {
                sum = sum.rotate_right(1).wrapping_add(u32::from(*byte));
            }
        }
        for place in bytes[sector * 11..].chunks_mut(4) {
            place.copy_from_slice(&sum.to_le_bytes()[..place.len()]);
        }
    } else if part.kind == "directory" {
        for start in (0..bytes.len()).step_by(32).filter(|at| bytes[*at] == 0x85).collect::<Vec<_>>() {
            let len = (usize::from(bytes[start + 1]) + 1) * 32;
            let Some(set) = bytes.get_mut(start..start + len) else { continue };
            let mut sum = 0_u16;
            for (n, byte) in set.iter().enumerate() {
                if !matches!(n, 2 | 3) {
                    sum = sum.rotate_right(1).wrapping_add(u16::from(*byte));
                }
            }
            set[2..4].copy_from_slice(&sum.to_le_bytes());
        }
    }
}
