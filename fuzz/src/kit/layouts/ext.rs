//! ext2, ext3, ext4. Format: the kernel's Documentation/filesystems/ext4, "checksums".
use super::{Disk, Layout, Part, crc32c, le16, le32, put32};

pub const EXT: Layout = Layout { name: "ext", parts, mend: Some(mend), plain: None, big: false };

const SUPERBLOCK: u64 = 1024;
const EXTENTS: u64 = 0x8_0000;
/// Inodes and blocks that are looked at.
const MAX: u64 = 4000;

struct Geometry {
    block: u64,
    inode: u64,
    descriptor: u64,
    per_group: u64,
    seed: u32,
    summed: bool,
    wide: bool,
}

fn geometry(disk: &Disk) -> Option<Geometry> {
    let sb = disk.get(SUPERBLOCK, 1024);
    if le16(&sb, 0x38) != 0xef53 || le32(&sb, 0x18) > 6 {
        return None;
    }
    let (incompat, readonly) = (le32(&sb, 0x60), le32(&sb, 0x64));
    let wide = incompat & 0x80 != 0;
    let seed = if incompat & 0x2000 != 0 { le32(&sb, 0x270) } else { crc32c(u32::MAX, &sb[0x68..0x78]) };
    let inode = if le32(&sb, 0x4c) == 0 { 128 } else { u64::from(le16(&sb, 0x58)) };
    let descriptor = if wide { u64::from(le16(&sb, 0xfe)).max(32) } else { 32 };
    let per_group = u64::from(le32(&sb, 0x28));
    let sane = (128..=4096).contains(&inode) && descriptor <= 1024 && per_group > 0;
    let summed = readonly & 0x400 != 0;
    sane.then_some(Geometry { block: 1024 << le32(&sb, 0x18), inode, descriptor, per_group, seed, summed, wide })
}

fn parts(disk: &Disk) -> Vec<Part> {
    let mut found = vec![Part::new("superblock", SUPERBLOCK, 1024)];
    let Some(geometry) = geometry(disk) else { return found };
    let Geometry { block, inode, descriptor, per_group, seed, summed, wide } = geometry;
    let sb = disk.get(SUPERBLOCK, 1024);
    let groups = u64::from(le32(&sb, 0)).div_ceil(per_group).min(64);
    let table = (u64::from(le32(&sb, 0x14)) + 1) * block;
    let mut left = MAX;
    for group in 0..groups {
        let at = table + group * descriptor;
        let bytes = disk.get(at, descriptor as usize);
        let mut part = Part::new("group descriptor", at, descriptor as usize);
        part.seed = if summed { crc32c(seed, &(group as u32).to_le_bytes()) } else { 0 };
        found.push(part);
        let high = |low: usize| if wide { u64::from(le32(&bytes, low)) << 32 } else { 0 };
        for (kind, field) in [("block bitmap", 0), ("inode bitmap", 4)] {
            let number = u64::from(le32(&bytes, field)) | high(field + 0x20);
            found.push(Part::new(kind, number.saturating_mul(block), block as usize).named(&[number]));
        }
        let first = (u64::from(le32(&bytes, 8)) | high(0x28)).saturating_mul(block);
        for n in 0..per_group.min(left) {
            let at = first.saturating_add(n * inode);
            let bytes = disk.get(at, inode as usize);
            if bytes.iter().all(|b| *b == 0) {
                continue;
            }
            left = left.saturating_sub(1);
            let number = group * per_group + n + 1;
            let own = crc32c(crc32c(seed, &(number as u32).to_le_bytes()), &bytes[0x64..0x68]);
            let mut part = Part::new("inode", at, inode as usize).named(&[number]);
            part.seed = if summed { own } else { 0 };
            found.push(part);
            content(disk, &bytes, &geometry_of(block, summed, own, seed), &mut found);
        }
    }
    found.retain(|p| p.at < disk.len);
    found.truncate(2 * MAX as usize);
    found
}

struct Of {
    block: u64,
    summed: bool,
    own: u32,
    seed: u32,
}
fn geometry_of(block: u64, summed: bool, own: u32, seed: u32) -> Of {
    Of { block, summed, own, seed }
}

/// The blocks that hold an inode's extents, names and attributes.
fn content(disk: &Disk, inode: &[u8], of: &Of, found: &mut Vec<Part>) {
    let add = |found: &mut Vec<Part>, kind, number: u64, seed| {
        let mut part = Part::new(kind, number.saturating_mul(of.block), of.block as usize).named(&[number]);
        part.seed = if of.summed { seed } else { 0 };
        found.push(part);
    };
    let attributes = u64::from(le32(inode, 0x68)) | u64::from(le16(inode, 0x76)) << 32;
    if attributes != 0 {
        add(found, "attributes", attributes, crc32c(of.seed, &attributes.to_le_bytes()));
    }
    let mode = le16(inode, 0) & 0xf000;
    if !matches!(mode, 0x4000 | 0x8000) {
        return;
    }
    let mut leaves: Vec<u64> = Vec::new();
    if u64::from(le32(inode, 0x20)) & EXTENTS != 0 {
        let mut todo = vec![inode[0x28..0x64].to_vec()];
        let mut looked = 0;
        while let Some(node) = todo.pop() {
            looked += 1;
            if le16(&node, 0) != 0xf30a || looked > 64 {
                continue;
            }
            for n in 0..(le16(&node, 2) as usize).min(400) {
                let at = 12 + n * 12;
                if le16(&node, 6) == 0 {
                    let start = u64::from(le32(&node, at + 8)) | u64::from(le16(&node, at + 6)) << 32;
                    leaves.extend((0..u64::from(le16(&node, at + 4)).min(64)).map(|b| start + b));
                } else {
                    let child = u64::from(le32(&node, at + 4)) | u64::from(le16(&node, at + 8)) << 32;
                    add(found, "extents", child, of.own);
                    todo.push(disk.get(child.saturating_mul(of.block), of.block as usize));
                }
            }
        }
    } else {
        leaves.extend((0..12).map(|n| u64::from(le32(inode, 0x28 + n * 4))));
        let mut level: Vec<(u64, u32)> = (1..=3).map(|n| (u64::from(le32(inode, 0x54 + n as usize * 4)), n)).collect();
        let mut looked = 0;
        while let Some((number, depth)) = level.pop() {
            looked += 1;
            if number == 0 || looked > 64 {
                continue;
            }
            add(found, "indirect", number, 0);
            let bytes = disk.get(number.saturating_mul(of.block), of.block as usize);
            let numbers = bytes.chunks(4).map(|b| u64::from(le32(b, 0))).filter(|n| *n != 0);
            if depth > 1 {
                level.extend(numbers.map(|n| (n, depth - 1)));
            } else {
                leaves.extend(numbers);
            }
        }
    }
    if mode == 0x4000 {
        for number in leaves.into_iter().filter(|n| *n != 0).take(200) {
            add(found, "directory", number, of.own);
        }
    }
}

fn mend(part: &Part, bytes: &mut [u8]) {
    match part.kind {
        "superblock" if le32(bytes, 0x64) & 0x400 != 0 => {
            let sum = crc32c(u32::MAX, &bytes[..0x3fc]);
            put32(bytes, 0x3fc, sum);
        }
        "group descriptor" if part.seed != 0 => {
            bytes[0x1e..0x20].fill(0);
            let sum = crc32c(part.seed, bytes);
            bytes[0x1e..0x20].copy_from_slice(&sum.to_le_bytes()[..2]);
        }
        "inode" if part.seed != 0 => {
            let high = bytes.len() > 128 && le16(bytes, 0x80) >= 4;
            bytes[0x7c..0x7e].fill(0);
            if high {
                bytes[0x82..0x84].fill(0);
            }
            let sum = crc32c(part.seed, bytes).to_le_bytes();
            bytes[0x7c..0x7e].copy_from_slice(&sum[..2]);
            if high {
                bytes[0x82..0x84].copy_from_slice(&sum[2..]);
            }
        }
        "extents" if part.seed != 0 => {
            let tail = 12 + 12 * le16(bytes, 4) as usize;
            if tail + 4 <= bytes.len() {
                let sum = crc32c(part.seed, &bytes[..tail]);
                put32(bytes, tail, sum);
            }
        }
        "directory" if part.seed != 0 => {
            let tail = bytes.len() - 12;
            if bytes[tail..tail + 8] == [0, 0, 0, 0, 12, 0, 0, 0xde] {
                let sum = crc32c(part.seed, &bytes[..tail]);
                put32(bytes, tail + 8, sum);
            }
        }
        "attributes" if part.seed != 0 => {
            bytes[0x10..0x14].fill(0);
            let sum = crc32c(part.seed, bytes);
            put32(bytes, 0x10, sum);
        }
        _ => {}
    }
}
