//! Listing a directory: blocks, each with its entries in front and their names behind.
//! Format: see `superblock.rs`, "directories".
use super::Volume;
use super::inode::Inode;
use crate::base::{Name, NodeId};
use crate::fs::own::OwnNames;
use crate::fs::raw::{corrupt, size, u8_at, u16_at, u64_at};
use crate::fs::{DirEntry, FsError, NodeKind};
use crate::image::Source;

/// Bytes of an entry.
const ENTRY: usize = 12;
/// Blocks in a row that cannot be read, before the rest is given up.
const MAX_LOST: u32 = 16;
const MAX_NAME: usize = 255;
/// Bytes of a directory that are read: several million names.
const MAX_LEN: u64 = 256 << 20;

fn kind(number: u8) -> NodeKind {
    match number {
        1 => NodeKind::File,
        2 => NodeKind::Directory,
        3 => NodeKind::CharDevice,
        4 => NodeKind::BlockDevice,
        5 => NodeKind::Fifo,
        6 => NodeKind::Socket,
        7 => NodeKind::Symlink,
        _ => NodeKind::Unknown,
    }
}

pub(super) fn list(
    volume: &Volume,
    inode: &Inode,
    content: &Source,
    each: &mut dyn FnMut(DirEntry),
) -> Result<(), FsError> {
    let block = volume.sb.block();
    let dir = NodeId { number: inode.nid, generation: 0 };
    let (mut at, mut lost) = (0_u64, 0_u32);
    let mut found = Found::default();
    let len = inode.len.min(MAX_LEN);
    if len < inode.len {
        let what = format!("budget: directory with inode {} of {} bytes; {MAX_LEN} are read", inode.nid, inode.len);
        volume.damage.once(inode.at, what, inode.len.saturating_sub(len));
    }
    while at < len {
        let mut bytes = vec![0; size(block.min(len.saturating_sub(at)))];
        match content.read_at(at, &mut bytes) {
            Ok(n) if n == bytes.len() => {
                lost = 0;
                entries(volume, inode, dir, &bytes, &mut found, each)?;
            }
            other => {
                lost = lost.saturating_add(1);
                let rest = if lost < MAX_LOST { block } else { len.saturating_sub(at) };
                let why = other.err().map_or_else(|| "cut off".to_owned(), |e| e.to_string());
                let what = format!("directory with inode {}: from byte {at} on not read: {why}", inode.nid);
                volume.damage.once(inode.at, what, rest);
                if lost >= MAX_LOST {
                    break;
                }
            }
        }
        at = at.saturating_add(block);
    }
    found.own.check(&volume.damage, inode.nid, inode.at);
    Ok(())
}

/// What a directory has so far.
#[derive(Default)]
struct Found {
    names: u64,
    own: OwnNames,
}

fn entries(
    volume: &Volume,
    inode: &Inode,
    dir: NodeId,
    block: &[u8],
    found: &mut Found,
    each: &mut dyn FnMut(DirEntry),
) -> Result<(), FsError> {
    let names = usize::from(u16_at(block, 8).unwrap_or(0));
    let n = names / ENTRY;
    if n == 0 || !names.is_multiple_of(ENTRY) || names > block.len() {
        // A block without entries is a hole of the directory.
        if block.iter().any(|b| *b != 0) {
            volume.damage.note(
                "block of a directory whose first entry is damaged",
                inode.nid,
                inode.at,
                block.len() as u64,
            );
        }
        return Ok(());
    }
    for number in 0..n {
        let at = number.saturating_mul(ENTRY);
        let (Some(nid), Some(from)) = (u64_at(block, at), u16_at(block, at.saturating_add(8))) else { break };
        let kind = kind(u8_at(block, at.saturating_add(10)).unwrap_or(0));
        // A name ends where the next begins; the last one with the block, or with a zero.
        let next = at.saturating_add(ENTRY);
        let last = number.saturating_add(1) >= n;
        let end = if last { block.len() } else { u16_at(block, next.saturating_add(8)).map_or(0, usize::from) };
        let Some(name) = block.get(usize::from(from)..end).filter(|_| usize::from(from) >= names) else {
            volume.damage.note("directory entry whose name lies outside its block", inode.nid, inode.at, 0);
            continue;
        };
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        if found.own.take(name, nid == inode.nid) {
            continue;
        }
        if name.is_empty() || name.len() > MAX_NAME || name.contains(&b'/') {
            volume.damage.note("directory entry with an impossible name", inode.nid, inode.at, 0);
            if name.is_empty() {
                continue;
            }
        }
        found.names = found.names.saturating_add(1);
        volume.listed.take(dir, found.names)?;
        each(DirEntry { name: Name::new(name), node: NodeId { number: nid, generation: 0 }, kind });
    }
    Ok(())
}

/// A link's target, whole.
pub(super) fn target(inode: &Inode, content: &Source) -> Result<Vec<u8>, FsError> {
    // As long as a page at most.
    let mut out = vec![0; size(inode.len.min(1 << 16))];
    let n = content.read_at(0, &mut out).map_err(|e| corrupt(inode.at, format!("target of a link: {e}")))?;
    out.truncate(n);
    Ok(out)
}
