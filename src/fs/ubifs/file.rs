//! One inode: what is known of it, the names in a directory, the target of a link.
use super::node::{BLOCK, DATA, ENCRYPTED, ENTRY, Entry, INODE, Inode, Key, Spot, XENTRY};
use super::{Volume, deleted};
use crate::base::{Name, NodeId, Time};
use crate::fs::raw::{corrupt, u32_at};
use crate::fs::{DirEntry, FsError, NodeKind, Stat, Times};

/// Attributes of one file, and bytes of all their values.
const MAX_COUNT: usize = 65_536;
const MAX_BYTES: usize = 16 << 20;
/// What a directory's size counts of itself, and of each name beside its letters.
const OWN: u64 = 160;
const NAMELESS: u64 = 57;
const FLAGS: &[(u32, &str)] =
    &[(1, "compressed"), (2, "sync"), (4, "immutable"), (8, "append"), (0x10, "dirsync"), (ENCRYPTED, "encrypted")];

pub(super) fn id(number: u32) -> NodeId {
    NodeId { number: u64::from(number), generation: 0 }
}
pub(super) fn number(node: NodeId) -> Result<u32, FsError> {
    u32::try_from(node.number).ok().filter(|_| node.generation == 0).ok_or(FsError::NotFound(node))
}

/// The inode, whether it is in use, and where it stands.
pub(super) fn inode(volume: &Volume, node: NodeId) -> Result<(Inode, bool, Spot), FsError> {
    let number = number(node)?;
    let live = volume.index.get(Key::new(number, INODE, 0));
    let spot = live.or_else(|| volume.gone().inode(number)).ok_or(FsError::NotFound(node))?;
    let (bytes, whole) = volume.raw(spot, INODE)?;
    let inode = Inode::parse(&bytes).filter(|i| i.key == Key::new(number, INODE, 0));
    let inode = inode.ok_or_else(|| corrupt(volume.at(spot), format!("no inode {number}")))?;
    if !whole {
        volume.damage.note("checksum of an inode does not fit", u64::from(number), volume.at(spot), 0);
    }
    Ok((inode, live.is_some(), spot))
}

/// Blocks of a file, in order: from the index, or of a deleted one what was found.
pub(super) fn blocks(volume: &Volume, inode: u32, from: u32, live: bool) -> Option<(Key, Spot)> {
    let keys = Key::new(inode, DATA, from)..=Key::new(inode, DATA, u32::MAX);
    if live { volume.index.range(keys).next() } else { volume.gone().block(keys) }
}

pub(super) fn stat(volume: &Volume, node: NodeId) -> Result<Stat, FsError> {
    if let Some(kind) = deleted::name_only(node) {
        return Ok(Stat {
            kind,
            len: 0,
            allocated: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            links: 0,
            times: Times::default(),
            flags: vec!["inode-lost"],
            xattrs: Vec::new(),
            device: None,
        });
    }
    let (inode, live, _) = inode(volume, node)?;
    let number = number(node)?;
    let kind = inode.kind();
    let [accessed, changed, modified] = inode.times.map(|(s, n)| time(s, n));
    let deleted = if live { None } else { volume.gone().death(number).map(|(s, n)| time(s, n)) };
    let keys = Key::new(number, DATA, 0)..=Key::new(number, DATA, u32::MAX);
    let allocated = if live {
        volume.index.range(keys).fold(0_u64, |sum, (_, spot)| sum.saturating_add(u64::from(spot.len)))
    } else {
        0
    };
    let device = u32_at(&inode.data, 0).filter(|_| matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice));
    Ok(Stat {
        kind,
        len: if kind == NodeKind::Symlink { inode.data.len() as u64 } else { inode.size },
        allocated,
        mode: inode.mode & 0o7777,
        uid: inode.uid,
        gid: inode.gid,
        links: inode.links,
        times: Times {
            modified: Some(modified),
            accessed: Some(accessed),
            changed: Some(changed),
            created: None,
            deleted,
        },
        flags: FLAGS.iter().filter(|(bit, _)| inode.flags & bit != 0).map(|(_, name)| *name).collect(),
        xattrs: if live { attributes(volume, number) } else { Vec::new() },
        device: device.map(|d| (d >> 8 & 0xfff, d & 0xff | d >> 12 & 0xf_ff00)),
    })
}

fn time(seconds: u64, nanos: u32) -> Time {
    Time::nanos(seconds.cast_signed(), nanos.min(999_999_999))
}

fn attributes(volume: &Volume, number: u32) -> Vec<(Name, Vec<u8>)> {
    let mut out = Vec::new();
    let mut bytes = 0_usize;
    for (_, spot) in volume.index.range(Key::new(number, XENTRY, 0)..=Key::new(number, XENTRY, u32::MAX)) {
        let value = |entry: &Entry| {
            let spot = volume.index.get(Key::new(entry.inode, INODE, 0))?;
            Inode::parse(&volume.node(spot, INODE).ok()?).map(|i| i.data)
        };
        let entry = volume.node(spot, XENTRY).ok().and_then(|n| Entry::parse(&n));
        let Some((entry, value)) = entry.and_then(|e| value(&e).map(|v| (e, v))) else {
            volume.damage.note("an extended attribute is damaged", u64::from(number), volume.at(spot), 0);
            continue;
        };
        bytes = bytes.saturating_add(value.len());
        if out.len() >= MAX_COUNT || bytes > MAX_BYTES {
            let what = "budget: extended attributes; the rest of them is not read";
            volume.damage.note(what, u64::from(number), volume.at(spot), 0);
            break;
        }
        out.push((Name::from(entry.name), value));
    }
    out.sort();
    out
}

pub(super) fn read_dir(volume: &Volume, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
    let number = number(dir)?;
    // A directory whose inode is lost still has its names.
    let own = inode(volume, dir).ok();
    let encrypted = own.as_ref().is_some_and(|(inode, ..)| inode.flags & ENCRYPTED != 0);
    let (mut first, mut len) = (None, OWN);
    for (key, spot) in volume.index.range(Key::new(number, ENTRY, 0)..=Key::new(number, ENTRY, u32::MAX)) {
        match volume.node(spot, ENTRY).ok().and_then(|n| Entry::parse(&n)).filter(|e| e.key == key) {
            Some(entry) if entry.inode != 0 => {
                first.get_or_insert(spot);
                len = len.saturating_add((entry.name.len() as u64).saturating_add(NAMELESS).next_multiple_of(8));
                each(DirEntry { name: Name::from(entry.name), node: id(entry.inode), kind: entry.kind });
            }
            Some(_) => volume.damage.note("a name that leads nowhere", u64::from(number), volume.at(spot), 0),
            None => volume.damage.note("a name of a directory is damaged", u64::from(number), volume.at(spot), 0),
        }
    }
    if let Some((_, _, spot)) = own.filter(|(inode, live, _)| *live && inode.size != len) {
        let what = "directory whose size is not that of its names";
        volume.damage.note(what, u64::from(number), volume.at(spot), 0);
    }
    if let Some(spot) = first.filter(|_| encrypted) {
        let what = "names of a directory are encrypted (fscrypt); they are listed as they are stored";
        volume.damage.note(what, u64::from(number), volume.at(spot), 0);
    }
    Ok(())
}

pub(super) fn link(volume: &Volume, node: NodeId) -> Result<Vec<u8>, FsError> {
    let (inode, _, spot) = inode(volume, node)?;
    if inode.kind() != NodeKind::Symlink {
        return Err(corrupt(volume.at(spot), "not a symbolic link"));
    }
    if inode.flags & ENCRYPTED != 0 {
        return Err(FsError::Unsupported("target encrypted by fscrypt".to_owned()));
    }
    if inode.data.len() as u64 > BLOCK {
        return Err(corrupt(volume.at(spot), "target of a symbolic link is too long"));
    }
    Ok(inode.data)
}
