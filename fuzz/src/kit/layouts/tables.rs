//! Partition tables, LVM2 and LUKS2. Formats: UEFI specification, "GPT disk layout"; lvm2's `lib/format_text`; "LUKS2
//! On-Disk Format Specification".
use super::{Disk, Layout, Part, crc32, le32, le64, put32};
use sha2::{Digest, Sha256};

pub const GPT: Layout = Layout { name: "gpt", parts: gpt, mend: Some(mend_gpt), plain: None, big: false };
pub const MBR: Layout = Layout { name: "mbr", parts: mbr, mend: None, plain: None, big: false };
pub const LVM: Layout = Layout { name: "lvm2", parts: lvm, mend: Some(mend_lvm), plain: None, big: false };
pub const LUKS: Layout = Layout { name: "luks", parts: luks, mend: Some(mend_luks), plain: None, big: true };

/// Header and entries are one structure, as the header has the entries' checksum.
fn gpt(disk: &Disk) -> Vec<Part> {
    let mut found = vec![Part::new("protective table", 0, 512)];
    found.push(Part::new("header with entries", 512, 512 + 16_384));
    // The copy: entries, then the header in the last sector.
    found.push(Part::new("copy of both", disk.len.saturating_sub(512 + 16_384), 512 + 16_384));
    found
}
fn mend_gpt(part: &Part, bytes: &mut [u8]) {
    let (header, entries) = match part.kind {
        "header with entries" => (0, 512),
        "copy of both" => (16_384, 0),
        _ => return,
    };
    let counted = (le32(bytes, header + 80) as usize).saturating_mul(le32(bytes, header + 84) as usize).min(16_384);
    let sum = !crc32(u32::MAX, &bytes[entries..entries + counted]);
    put32(bytes, header + 88, sum);
    let len = (le32(bytes, header + 12) as usize).clamp(92, 512);
    put32(bytes, header + 16, 0);
    let sum = !crc32(u32::MAX, &bytes[header..header + len]);
    put32(bytes, header + 16, sum);
}

/// The table and every extended one.
fn mbr(disk: &Disk) -> Vec<Part> {
    let tables = disk.used(512).into_iter().filter(|at| disk.get(at + 510, 2) == [0x55, 0xaa]);
    tables.map(|at| Part::new("table", at, 512).named(&[at / 512])).take(200).collect()
}

const LVM_START: u32 = 0xf597_a6cf;
fn lvm(disk: &Disk) -> Vec<Part> {
    let mut found = Vec::new();
    for sector in 0..4 {
        if disk.get(sector * 512, 8) == b"LABELONE" {
            found.push(Part::new("label", sector * 512, 512));
        }
    }
    // Header and current text of the area lie in one structure, as the header has the text's checksum.
    for at in disk.used(4096) {
        let head = disk.get(at, 512);
        if &head[4..20] == b" LVM2 x[5A%r0N*>" {
            let end = le64(&head, 40).saturating_add(le64(&head, 48)).clamp(512, 1 << 20);
            found.push(Part::new("metadata area", at, end as usize));
        }
    }
    found
}
fn mend_lvm(part: &Part, bytes: &mut [u8]) {
    if part.kind == "label" {
        let sum = crc32(LVM_START, &bytes[20..]);
        put32(bytes, 16, sum);
        return;
    }
    let (offset, len) = (le64(bytes, 40) as usize, le64(bytes, 48) as usize);
    if let Some(text) = offset.checked_add(len).and_then(|end| bytes.get(offset..end)) {
        let sum = crc32(LVM_START, text);
        put32(bytes, 56, sum);
    }
    let sum = crc32(LVM_START, &bytes[4..512]);
    put32(bytes, 0, sum);
}

fn luks(disk: &Disk) -> Vec<Part> {
    let mut found = Vec::new();
    for at in disk.used(4096) {
        let head = disk.get(at, 512);
        if &head[..6] == b"LUKS\xba\xbe" || &head[..6] == b"SKUL\xba\xbe" {
            let size = u64::from_be_bytes(head[8..16].try_into().unwrap_or_default()).clamp(4096, 4 << 20) as usize;
            found.push(Part::new(if head[0] == b'L' { "header" } else { "second header" }, at, size));
        }
    }
    found
}
fn mend_luks(_: &Part, bytes: &mut [u8]) {
    bytes[448..512].fill(0);
    let sum = Sha256::digest(&*bytes);
    bytes[448..480].copy_from_slice(&sum[..]);
}
