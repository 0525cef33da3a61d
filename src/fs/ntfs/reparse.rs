//! Reparse points: files that stand for something else. Links, special files of Linux subsystems,
//! and contents that are kept in another way or elsewhere.
//! Format: MS-FSCC 2.1.2; symbolic links of Interix as ntfs-3g writes them.
use super::Volume;
use super::list::Node;
use super::raw::{name, size, u16_at, u32_at, u64_at};
use super::record::{DATA, REPARSE_POINT};
use super::value::value;
use crate::fs::NodeKind;

/// MS-FSCC allows 16 KiB.
const MAX: u64 = 64 << 10;

const MOUNT_POINT: u32 = 0xa000_0003;
const SYMLINK: u32 = 0xa000_000c;
const LX_SYMLINK: u32 = 0xa000_001d;
const AF_UNIX: u32 = 0x8000_0023;
const LX_FIFO: u32 = 0x8000_0024;
const LX_CHR: u32 = 0x8000_0025;
const LX_BLK: u32 = 0x8000_0026;
const WOF: u32 = 0x8000_0017;
const DEDUP: u32 = 0x8000_0013;
const HSM: u32 = 0xc000_0004;
const HSM2: u32 = 0x8000_0006;
const APPEXECLINK: u32 = 0x8000_001b;
/// `IO_REPARSE_TAG_CLOUD` with any of its sixteen providers.
const CLOUD: u32 = 0x9000_001a;
/// Tag of the Windows projected file system.
const PROJFS: u32 = 0x9000_001c;

/// What a file is beside its record's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    /// A link and its target, in the notation of paths here.
    Link(Vec<u8>),
    /// A device, pipe or socket; major and minor number of a device.
    Special(NodeKind, Option<(u32, u32)>),
    /// Content compressed by the Windows overlay filter: its algorithm's number.
    Wof(u32),
    /// The content, or part of it, is not in the file: why.
    Elsewhere(&'static str),
    /// A tag that nobody here knows.
    Unknown(u32),
}

/// Reads the reparse point of a file that has one, or the special content that Interix uses.
pub(super) fn meaning(volume: &Volume, node: &Node, is_system: bool) -> Meaning {
    if let Some(point) = value(volume, node, REPARSE_POINT, b"").filter(|p| p.len <= MAX) {
        let source = point.stored(volume);
        let mut bytes = vec![0; size(source.len())];
        let n = source.read_at(0, &mut bytes).unwrap_or(0);
        bytes.truncate(n);
        return of_point(&bytes).unwrap_or(Meaning::Elsewhere("a reparse point that is damaged"));
    }
    if is_system
        && !node.base.is_directory()
        && let Some(data) = value(volume, node, DATA, b"").filter(|d| d.len >= 8 && d.len <= MAX)
    {
        let source = data.stored(volume);
        let mut bytes = vec![0; size(source.len())];
        if source.read_at(0, &mut bytes).is_ok_and(|n| n == bytes.len()) {
            return interix(&bytes).unwrap_or(Meaning::Plain);
        }
    }
    Meaning::Plain
}

pub(super) fn interix(bytes: &[u8]) -> Option<Meaning> {
    let number = |at| u64_at(bytes, at).and_then(|n| u32::try_from(n).ok());
    let device = |kind| Some(Meaning::Special(kind, Some((number(8)?, number(16)?))));
    match bytes.get(..8)? {
        b"IntxLNK\x01" => Some(Meaning::Link(name(bytes.get(8..)?))),
        b"IntxCHR\0" if bytes.len() == 24 => device(NodeKind::CharDevice),
        b"IntxBLK\0" if bytes.len() == 24 => device(NodeKind::BlockDevice),
        _ => None,
    }
}

pub(super) fn of_point(bytes: &[u8]) -> Option<Meaning> {
    let tag = u32_at(bytes, 0)?;
    let len = usize::from(u16_at(bytes, 4)?);
    let data = bytes.get(8..8_usize.checked_add(len)?)?;
    Some(match tag {
        MOUNT_POINT => Meaning::Link(target(data, 8, false)?),
        SYMLINK => Meaning::Link(target(data, 12, u32_at(data, 8)? & 1 == 1)?),
        LX_SYMLINK => Meaning::Link(data.get(4..)?.to_vec()),
        AF_UNIX => Meaning::Special(NodeKind::Socket, None),
        LX_FIFO => Meaning::Special(NodeKind::Fifo, None),
        LX_CHR => Meaning::Special(NodeKind::CharDevice, None),
        LX_BLK => Meaning::Special(NodeKind::BlockDevice, None),
        // Version 1 of the overlay and of its provider for single files (2).
        WOF => match (u32_at(data, 0)?, u32_at(data, 4)?, u32_at(data, 8)) {
            (1, 2, Some(1)) => Meaning::Wof(u32_at(data, 12)?),
            (1, 1, _) => Meaning::Elsewhere("content kept in a WIM archive (Windows overlay)"),
            _ => Meaning::Elsewhere("content kept by an unknown provider of the Windows overlay"),
        },
        DEDUP => Meaning::Elsewhere("content kept in the volume's deduplication store"),
        HSM | HSM2 => Meaning::Elsewhere("content moved to other storage (HSM)"),
        PROJFS => Meaning::Elsewhere("content given by a program (projected file system)"),
        APPEXECLINK => Meaning::Plain,
        _ if tag & 0xffff_0fff == CLOUD => Meaning::Elsewhere("placeholder of a cloud service"),
        _ => Meaning::Unknown(tag),
    })
}

/// The target of a junction or symbolic link: its path for programs, else the one for people.
/// `names` is the byte at which both stand.
fn target(data: &[u8], names: usize, relative: bool) -> Option<Vec<u8>> {
    let part = |at: usize| {
        let (offset, len) = (usize::from(u16_at(data, at)?), usize::from(u16_at(data, at.checked_add(2)?)?));
        data.get(names.checked_add(offset)?..names.checked_add(offset)?.checked_add(len)?)
    };
    let text = part(0).filter(|t| !t.is_empty()).or_else(|| part(4))?;
    Some(path(&name(text), relative))
}

/// A Windows path with forward slashes. The drive `C:` is left away, as in all paths of a report;
/// what lies on another drive or volume keeps its own.
fn path(text: &[u8], relative: bool) -> Vec<u8> {
    let mut out: Vec<u8> = text.iter().map(|b| if *b == b'\\' { b'/' } else { *b }).collect();
    if relative {
        return out;
    }
    if let Some(rest) = out.strip_prefix(b"/??/") {
        out = rest.to_vec();
    }
    match out.get(..3) {
        Some([b'C' | b'c', b':', b'/']) => out.split_off(2),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }
    fn point(tag: u32, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(data.len()).unwrap();
        [&tag.to_le_bytes()[..], &len.to_le_bytes(), &[0, 0], data].concat()
    }
    fn link(tag: u32, target: &str, flags: Option<u32>) -> Option<Meaning> {
        let text = utf16(target);
        let len = u16::try_from(text.len()).unwrap().to_le_bytes();
        let flags = flags.map(|f| f.to_le_bytes().to_vec()).unwrap_or_default();
        of_point(&point(tag, &[&[0, 0], &len[..], &len, &[0, 0], &flags, &text].concat()))
    }

    #[test]
    fn links_become_paths_of_this_notation() {
        let is = |m: Option<Meaning>, to: &str| assert_eq!(m, Some(Meaning::Link(to.as_bytes().to_vec())));
        is(link(MOUNT_POINT, "\\??\\C:\\Users\\岸桥", None), "/Users/岸桥");
        is(link(MOUNT_POINT, "\\??\\D:\\data", None), "D:/data");
        is(link(MOUNT_POINT, "\\??\\Volume{1}\\", None), "Volume{1}/");
        is(link(SYMLINK, "..\\C:\\x", Some(1)), "../C:/x");
        is(link(SYMLINK, "\\??\\c:\\Windows", Some(0)), "/Windows");
        is(of_point(&point(LX_SYMLINK, b"\x02\0\0\0/usr/bin")), "/usr/bin");
    }
    #[test]
    fn contents_that_are_not_here() {
        let wof = |provider: u32, rest: &[u32]| {
            let data: Vec<u8> = [1, provider].iter().chain(rest).flat_map(|n| n.to_le_bytes()).collect();
            of_point(&point(WOF, &data))
        };
        assert_eq!(wof(2, &[1, 1]), Some(Meaning::Wof(1)));
        assert!(matches!(wof(1, &[1, 1]), Some(Meaning::Elsewhere(_))));
        assert!(matches!(of_point(&point(0x9000_601a, &[])), Some(Meaning::Elsewhere(_))));
        assert_eq!(of_point(&point(0x1234_5678, &[])), Some(Meaning::Unknown(0x1234_5678)));
        assert_eq!(of_point(&point(SYMLINK, &[0; 4])), None);
        assert_eq!(of_point(&[3, 0, 0, 0xa0, 9, 0, 0, 0]), None);
    }
}
