//! XFS (version 5), Btrfs, F2FS, EROFS and SquashFS. Formats: "XFS Algorithms & Data Structures"; the Btrfs and EROFS
//! on-disk formats of the kernel's documentation; `include/linux/f2fs_fs.h`; "SquashFS binary format".
use super::{Disk, Layout, Part, be32, be64, beginning, crc32, crc32c, le16, le32, le64, put32};

pub const XFS: Layout = Layout { name: "xfs", parts: xfs, mend: Some(mend_xfs), plain: None, big: true };
pub const BTRFS: Layout = Layout { name: "btrfs", parts: btrfs, mend: Some(mend_btrfs), plain: None, big: false };
pub const F2FS: Layout = Layout { name: "f2fs", parts: f2fs, mend: Some(mend_f2fs), plain: None, big: false };
pub const EROFS: Layout = Layout { name: "erofs", parts: erofs, mend: Some(mend_erofs), plain: None, big: false };
pub const SQUASHFS: Layout = Layout { name: "squashfs", parts: squashfs, mend: None, plain: None, big: false };

/// Kind, place of the checksum and bytes that it covers.
fn xfs_kind(b: &[u8]) -> Option<(&'static str, usize, usize)> {
    Some(match b.get(..4)? {
        b"XFSB" => ("superblock", 224, 512),
        b"XAGF" => ("free space", 216, 512),
        b"XAGI" => ("inode header", 312, 512),
        b"XAFL" => ("free list", 32, 512),
        [b'I', b'N', ..] => ("inode", 100, 512),
        b"AB3B" | b"AB3C" => ("free space tree", 52, 4096),
        b"IAB3" | b"FIB3" => ("inode tree", 52, 4096),
        b"BMA3" => ("extent tree", 64, 4096),
        b"XDB3" | b"XDD3" => ("directory", 4, 4096),
        b"XSLM" => ("symlink", 12, 4096),
        b"XARM" => ("remote attribute", 12, 4096),
        _ => match b.get(8..10)? {
            [0x3b, 0xee] => ("attribute leaf", 12, 4096),
            [0x3d, 0xf1] | [0x3d, 0xff] => ("directory leaf", 12, 4096),
            [0x3e, 0xbe] => ("tree node", 12, 4096),
            _ => return None,
        },
    })
}
fn xfs(disk: &Disk) -> Vec<Part> {
    let mut parts = beginning(disk, 512, |b| xfs_kind(b).map(|(kind, _, len)| (kind, len)));
    let sb = disk.get(0, 256);
    let (per_group, log) = (u64::from(be32(&sb, 84)), u32::from(sb[124]).min(31));
    for part in &mut parts {
        let (block, bytes) = (part.at / 4096, disk.get(part.at, 256));
        match part.kind {
            "inode" => part.names.push(be64(&bytes, 152)),
            _ if per_group > 0 && part.len == 4096 => {
                let within = block % per_group;
                part.names.extend([(block / per_group) << log | within, within]);
            }
            _ => {}
        }
    }
    parts
}
fn mend_xfs(part: &Part, bytes: &mut [u8]) {
    // By what the structure was: its magic may be what changed.
    let places = [("superblock", 224), ("free space", 216), ("inode header", 312), ("free list", 32), ("inode", 100)];
    let more = [("free space tree", 52), ("inode tree", 52), ("extent tree", 64), ("directory", 4)];
    let at = places.iter().chain(&more).find(|p| p.0 == part.kind).map_or(12, |p| p.1);
    put32(bytes, at, 0);
    let sum = !crc32c(u32::MAX, bytes);
    put32(bytes, at, sum);
}

const BTRFS_SUPER: u64 = 65_536;
fn btrfs(disk: &Disk) -> Vec<Part> {
    let sb = disk.get(BTRFS_SUPER, 4096);
    let node = (le32(&sb, 0x94) as usize).clamp(4096, 65_536);
    let mut found = Vec::new();
    for mirror in [BTRFS_SUPER, 64 << 20] {
        if disk.get(mirror + 64, 8) == b"_BHRfS_M" {
            found.push(Part::new("superblock", mirror, 4096));
        }
    }
    for at in disk.used(4096) {
        let head = disk.get(at, 112);
        if head[32..48] == sb[32..48]
            && at != BTRFS_SUPER
            && head[64..72] != *b"_BHRfS_M"
            && at + node as u64 <= disk.len
        {
            let kind = if head[100] == 0 { "leaf" } else { "node" };
            found.push(Part::new(kind, at, node).named(&[le64(&head, 48)]));
        }
    }
    found
}
fn mend_btrfs(_: &Part, bytes: &mut [u8]) {
    let sum = !crc32c(u32::MAX, &bytes[32..]);
    put32(bytes, 0, sum);
}

const F2FS_MAGIC: u32 = 0xf2f5_2010;
fn f2fs(disk: &Disk) -> Vec<Part> {
    let sb = disk.get(1024, 512);
    if le32(&sb, 0) != F2FS_MAGIC {
        return Vec::new();
    }
    let block = |field: usize| u64::from(le32(&sb, field)) * 4096;
    let (packs, tables, nodes, main) = (block(76), block(80), block(84), block(92));
    let mut found = vec![Part::new("superblock", 1024, 1024), Part::new("superblock", 4096 + 1024, 1024)];
    for at in disk.used(4096).into_iter().filter(|at| *at >= packs) {
        let bytes = disk.get(at, 4096);
        let number = at / 4096;
        if at < tables {
            let is_head = le32(&bytes, 164) == 4092 && le64(&bytes, 0) != 0 && le32(&bytes, 136) < 1024;
            found.push(Part::new(if is_head { "checkpoint" } else { "summary" }, at, 4096).named(&[number]));
        } else if at < nodes {
            found.push(Part::new("segment table", at, 4096));
        } else if at < block(88) {
            found.push(Part::new("node table", at, 4096));
        } else if at >= main {
            let (node, inode) = (le32(&bytes, 4072), le32(&bytes, 4076));
            let is_node = node != 0 && inode != 0 && node < 1 << 20 && inode < 1 << 20 && le64(&bytes, 4084) != 0;
            if is_node {
                let kind = if node == inode { "inode" } else { "node" };
                found.push(Part::new(kind, at, 4096).named(&[number, u64::from(node)]));
            }
        }
        if found.len() > 3000 {
            break;
        }
    }
    found
}
fn mend_f2fs(part: &Part, bytes: &mut [u8]) {
    if part.kind == "checkpoint" {
        let sum = crc32(F2FS_MAGIC, &bytes[..4092]);
        put32(bytes, 4092, sum);
    }
}

fn erofs(disk: &Disk) -> Vec<Part> {
    let sb = disk.get(1024, 128);
    let block = 1_u64 << sb[12].clamp(9, 16);
    let mut found = vec![Part::new("superblock", 1024, (block as usize).saturating_sub(1024).max(128))];
    let first = u64::from(le32(&sb, 40)) * block;
    // Inodes are found by their numbers: 32 bytes each from the metadata on, among what else stands there.
    for at in disk.used(32).into_iter().filter(|at| *at >= first).take(6000) {
        let bytes = disk.get(at, 64);
        let (format, mode) = (le16(&bytes, 0), le16(&bytes, 4));
        let is_inode = format < 16 && matches!(mode & 0xf000, 0x4000 | 0x8000 | 0xa000 | 0x1000 | 0x2000 | 0x6000);
        let kind = if is_inode { "inode" } else { "metadata" };
        found.push(Part::new(kind, at, if format & 1 == 1 { 64 } else { 32 }).named(&[(at - first) / 32]));
    }
    found
}
fn mend_erofs(part: &Part, bytes: &mut [u8]) {
    if part.kind == "superblock" && le32(bytes, 8) & 1 != 0 {
        put32(bytes, 4, 0);
        let sum = crc32c(u32::MAX, bytes);
        put32(bytes, 4, sum);
    }
}

/// Its tables must not be compressed (`-noI -noId`), else there is nothing to be hit but packed bytes.
fn squashfs(disk: &Disk) -> Vec<Part> {
    let sb = disk.get(0, 96);
    let mut found = vec![Part::new("superblock", 0, 96)];
    let mut borders: Vec<(&'static str, u64)> = vec![
        ("id table", le64(&sb, 48)),
        ("attributes", le64(&sb, 56)),
        ("inodes", le64(&sb, 64)),
        ("directories", le64(&sb, 72)),
        ("fragments", le64(&sb, 80)),
        ("exports", le64(&sb, 88)),
        ("end", le64(&sb, 40)),
    ];
    borders.retain(|b| b.1 < disk.len || b.0 == "end");
    borders.sort_by_key(|b| b.1);
    for pair in borders.windows(2) {
        let (kind, from, to) = (pair[0].0, pair[0].1, pair[1].1.min(disk.len).min(pair[0].1.saturating_add(1 << 20)));
        for at in (from..to).step_by(128) {
            found.push(Part::new(kind, at, (to - at).min(128) as usize).named(&[at]));
        }
    }
    found
}
