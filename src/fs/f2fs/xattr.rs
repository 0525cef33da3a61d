//! Extended attributes: at the end of the inode and in a node of their own, one area together.
//! Format: see `superblock.rs`, the structures `f2fs_xattr_header` and `f2fs_xattr_entry`.
use super::Volume;
use super::inode::Inode;
use super::node::FOOTER;
use crate::base::{Name, is_zero};
use crate::fs::raw::{u8_at, u16_at, u32_at};

const MAGIC: u32 = 0xf2f5_2011;
/// Bytes before the first entry.
const HEAD: usize = 24;

fn prefix(index: u8) -> &'static [u8] {
    match index {
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        5 => b"lustre.",
        6 => b"security.",
        7 => b"system.advise",
        9 => b"f2fs.encryption.",
        11 => b"f2fs.verity.",
        _ => b"f2fs.other.",
    }
}

pub(super) fn read(volume: &Volume, inode: &Inode) -> Vec<(Name, Vec<u8>)> {
    let mut area = inode.inline_xattrs().to_vec();
    let number = u64::from(inode.ino());
    let nid = inode.xattr_node();
    if nid != 0 && !inode.stale {
        match volume.node(nid) {
            Ok(node) if node.ino() == inode.ino() => area.extend(node.bytes.get(..FOOTER).unwrap_or_default()),
            Ok(node) => volume.damage.note("a node of attributes belongs to another inode", number, node.at(), 0),
            Err(_) => {
                volume.damage.note(
                    "extended attributes not all read: their node is damaged",
                    number,
                    inode.node.at(),
                    0,
                );
            }
        }
    }
    if is_zero(&area) {
        return Vec::new();
    }
    let mut out = Vec::new();
    if u32_at(&area, 0) != Some(MAGIC) || !collect(area.get(HEAD..).unwrap_or_default(), &mut out) {
        volume.damage.note("extended attributes not all read: they are damaged", number, inode.node.at(), 0);
    }
    out
}

/// Whether all could be read.
fn collect(mut rest: &[u8], out: &mut Vec<(Name, Vec<u8>)>) -> bool {
    while let Some(head) = u32_at(rest, 0).filter(|n| *n != 0) {
        let (index, len) = (head.to_le_bytes()[0], usize::from(head.to_le_bytes()[1]));
        let value = usize::from(u16_at(rest, 2).unwrap_or(0));
        let end = len.saturating_add(4).saturating_add(value);
        let (Some(name), Some(value)) = (rest.get(4..len.saturating_add(4)), rest.get(len.saturating_add(4)..end))
        else {
            return false;
        };
        if u8_at(rest, 1) == Some(0) && !matches!(index, 2 | 3 | 7) {
            return false;
        }
        out.push((Name::from([prefix(index), name].concat()), value.to_vec()));
        rest = rest.get(end.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_with_zeros_or_the_area() {
        let area = b"\x01\x01\x03\x00aone\x06\x07\x02\x00selinuxxx\0\0\0\0\0\0\0";
        let mut out = Vec::new();
        assert!(collect(area, &mut out));
        let names: Vec<String> = out.iter().map(|(n, v)| format!("{n}={}", v.len())).collect();
        assert_eq!(names, ["user.a=3", "security.selinux=2"]);
        assert!(!collect(b"\x01\x09\x03\x00aone", &mut Vec::new()));
        assert!(!collect(b"\x01\x00\x01\x00a\0\0\0", &mut Vec::new()));
    }
}
