//! Containers of disk images. Formats: libewf's "Expert Witness Compression Format"; Microsoft's VHDX and VHD
//! specifications; QEMU's `docs/interop/qcow2.rst`.
use super::{Disk, Layout, Part, be32, be64, crc32c, le64, put32};

pub const E01: Layout = Layout { name: "E01", parts: ewf, mend: Some(mend_ewf), plain: None, big: false };
pub const VHDX: Layout = Layout { name: "VHDX", parts: vhdx, mend: Some(mend_vhdx), plain: None, big: false };
pub const VHD: Layout = Layout { name: "VHD", parts: vhd, mend: Some(mend_vhd), plain: None, big: true };
pub const QCOW2: Layout = Layout { name: "QCOW2", parts: qcow2, mend: None, plain: None, big: true };
/// What has no checksums, or is not told apart: the first megabyte, sector by sector.
pub const SECTORS: Layout = Layout { name: "sectors", parts: sectors, mend: None, plain: None, big: false };

fn adler(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

fn ewf(disk: &Disk) -> Vec<Part> {
    let mut found = vec![Part::new("file header", 0, 13)];
    let mut at = 13;
    for _ in 0..1000 {
        let head = disk.get(at, 76);
        let next = le64(&head, 16);
        found.push(Part::new("section", at, 76).named(&[at]));
        let body = at + 76;
        let len = next.saturating_sub(body).min(1 << 20) as usize;
        match &head[..6] {
            b"volume" | b"disk\0\0" | b"data\0\0" if len >= 1052 => found.push(Part::new("volume", body, 1052)),
            b"table\0" | b"table2" if len >= 24 => {
                found.push(Part::new("table header", body, 24));
                let count = disk.u32(body) as usize;
                let entries = (count * 4 + 4).min(len.saturating_sub(24));
                if entries > 4 {
                    found.push(Part::new("table entries", body + 24, entries));
                }
            }
            b"sector" | b"header" | b"hash\0\0" | b"digest" if len > 0 => {
                found.push(Part::new("contents", body, len.min(512)))
            }
            _ => {}
        }
        if next <= at || next >= disk.len {
            break;
        }
        at = next;
    }
    found
}
fn mend_ewf(part: &Part, bytes: &mut [u8]) {
    let end = match part.kind {
        "section" => 72,
        "volume" => 1048,
        "table header" => 20,
        "table entries" => bytes.len() - 4,
        _ => return,
    };
    let sum = adler(&bytes[..end]);
    put32(bytes, end, sum);
}

fn vhdx(disk: &Disk) -> Vec<Part> {
    const K: u64 = 1024;
    let mut found = vec![Part::new("file identifier", 0, 1024)];
    found.extend([64, 128].map(|k| Part::new("header", k * K, 4096)));
    found.extend([192, 256].map(|k| Part::new("region table", k * K, 65_536)));
    let regions = disk.get(192 * K, 16 + 32 * 8);
    for n in 0..4 {
        let at = le64(&regions, 16 + n * 32 + 16);
        if at >= 1 << 20 && at < disk.len {
            found.push(Part::new("region", at, 512).named(&[at]));
            found.push(Part::new("region", at + 64 * K, 512));
        }
    }
    let log = le64(&disk.get(64 * K, 4096), 72);
    if log >= 1 << 20 && log < disk.len && disk.get(log, 4) == b"loge" {
        found.push(Part::new("log", log, 4096));
    }
    found
}
fn mend_vhdx(part: &Part, bytes: &mut [u8]) {
    if matches!(part.kind, "header" | "region table") {
        put32(bytes, 4, 0);
        let sum = !crc32c(u32::MAX, bytes);
        put32(bytes, 4, sum);
    }
}

fn vhd(disk: &Disk) -> Vec<Part> {
    let footer = disk.get(disk.len.saturating_sub(512), 512);
    let mut found = vec![Part::new("footer", disk.len.saturating_sub(512), 512)];
    if disk.get(0, 8) == b"conectix" {
        found.push(Part::new("copy of the footer", 0, 512));
        let at = be64(&footer, 16);
        let header = disk.get(at, 1024);
        found.push(Part::new("header", at, 1024));
        let (table, entries) = (be64(&header, 16), be32(&header, 28) as usize);
        found.push(Part::new("block table", table, (entries * 4).clamp(4, 65_536)));
        for n in 0..entries.min(64) {
            let block = be32(&disk.get(table.saturating_add(n as u64 * 4), 4), 0);
            if block != u32::MAX {
                found.push(Part::new("bitmap", u64::from(block) * 512, 512).named(&[u64::from(block)]));
            }
        }
    }
    found.retain(|p| p.at < disk.len);
    found
}
fn mend_vhd(part: &Part, bytes: &mut [u8]) {
    let at = match part.kind {
        "footer" | "copy of the footer" => 64,
        "header" => 36,
        _ => return,
    };
    bytes[at..at + 4].fill(0);
    let sum = !bytes.iter().fold(0_u32, |sum, b| sum.wrapping_add(u32::from(*b)));
    bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
}

fn qcow2(disk: &Disk) -> Vec<Part> {
    let head = disk.get(0, 112);
    let cluster = 1_u64 << be32(&head, 20).clamp(9, 21);
    let mut found = vec![Part::new("header", 0, 112)];
    let (l1, count) = (be64(&head, 40), u64::from(be32(&head, 36)).min(64));
    let bytes = disk.get(l1, count as usize * 8);
    found.push(Part::new("first table", l1, (count as usize * 8).max(8)).named(&[l1]));
    for n in 0..count as usize {
        let at = be64(&bytes, n * 8) & 0x00ff_ffff_ffff_fe00;
        if at != 0 {
            found.push(Part::new("second table", at, cluster as usize).named(&[at, be64(&bytes, n * 8)]));
        }
    }
    let counts = be64(&head, 48);
    found.push(Part::new("reference table", counts, 64).named(&[counts]));
    found.retain(|p| p.at < disk.len);
    found
}

fn sectors(disk: &Disk) -> Vec<Part> {
    let used = disk.used(512).into_iter().filter(|at| *at < 1 << 20);
    used.map(|at| Part::new("sector", at, 512.min((disk.len - at) as usize)).named(&[at, at / 512])).collect()
}
