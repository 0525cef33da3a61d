//! `$EA`: extended attributes. Linux keeps owner, mode and device numbers there.
//! Format: FILE_FULL_EA_INFORMATION in MS-FSCC 2.4.15; names as the Windows subsystem for Linux and
//! the kernel's ntfs3 write them.
use super::list::Node;
use super::raw::{size, u8_at, u16_at, u32_at};
use super::record::EA;
use super::value::value;
use super::{Volume, is_told};
use crate::base::Name;
use crate::fs::Stat;

/// Windows keeps at most 64 KiB.
const MAX: u64 = 64 << 10;

/// Adds a file's extended attributes to what is known of it.
pub(super) fn attributes(volume: &Volume, node: &Node, stat: &mut Stat) {
    let Some(list) = value(volume, node, EA, b"").filter(|v| v.len <= MAX) else { return };
    let source = list.stored(volume);
    let mut bytes = vec![0; size(source.len())];
    let n = source.read_at(0, &mut bytes).unwrap_or(0);
    bytes.truncate(n);
    if parse(&bytes, stat).is_none() && node.base.is_used() {
        let here = volume.mft.volume_offset(node.base.number);
        volume.damage.note("extended attributes of a file are broken; some are missing", node.base.number, here, 0);
    }
}

fn parse(bytes: &[u8], stat: &mut Stat) -> Option<()> {
    let mut at = 0_usize;
    while at < bytes.len() {
        let entry = bytes.get(at..)?;
        let next = u32_at(entry, 0)? as usize;
        let name_end = 8_usize.saturating_add(usize::from(u8_at(entry, 5)?));
        let name = entry.get(8..name_end)?;
        let from = name_end.saturating_add(1);
        let value = entry.get(from..from.saturating_add(usize::from(u16_at(entry, 6)?)))?;
        match (name, u32_at(value, 0)) {
            (b"$LXUID", Some(n)) => stat.uid = n,
            (b"$LXGID", Some(n)) => stat.gid = n,
            (b"$LXMOD", Some(n)) => stat.mode = n & 0o7777,
            (b"$LXDEV", Some(n)) => stat.device = u32_at(value, 4).map(|minor| (n, minor)),
            _ => {}
        }
        // What the reader itself tells has names that nothing on the disk can take.
        let name = if is_told(name) { Name::from([b"$EA.", name].concat()) } else { Name::new(name) };
        stat.xattrs.push((name, value.to_vec()));
        if next == 0 {
            return Some(());
        }
        at = at.saturating_add(next.max(8));
    }
    Some(())
}
