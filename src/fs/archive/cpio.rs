//! cpio: newc with and without checksums, the octal form of POSIX (odc), and the old binary form in both byte
//! orders; and several of them one behind another, packed or not, as Linux boots from (`initramfs.rs`).
//! Formats: the Linux kernel's Documentation/driver-api/early-userspace/buffer-format.rst; cpio(5) of libarchive;
//! POSIX.1-1997 "cpio" (interchange format).
use super::member::{Body, Member};
use super::tree::Builder;
use super::{format, initramfs};
use crate::base::{Name, Time};
use crate::fs::{Format, NodeKind};
use crate::image::{Source, read_exact};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) const BY: &str = "fs.cpio";
/// The name of the last member.
const TRAILER: &[u8] = b"TRAILER!!!";
/// Longest name that is read; the kernel takes no longer ones than PATH_MAX.
const MAX_NAME: u64 = 1 << 16;
/// Longest target of a link.
const MAX_TARGET: u64 = 1 << 16;

pub(in crate::fs) const FORMAT: Format = format(
    "cpio",
    "cpio archives: newc, crc, odc, old binary of both byte orders; initramfs of Linux: several of them, each plain (early microcode) or packed by gzip, xz, zstd, bzip2, lzma, lz4 or lzop",
    "checksums of members are not compared; a member that a later one of the same name replaces is listed as deleted",
    initramfs::probe,
    |source, options| Ok(Arc::new(initramfs::open(source, options)?)),
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Newc,
    Crc,
    Odc,
    /// Its words are big-endian.
    Binary(bool),
}
impl Kind {
    pub(super) fn recognise(head: &[u8]) -> Option<Self> {
        match head {
            [b'0', b'7', b'0', b'7', b'0', b'1', ..] => Some(Self::Newc),
            [b'0', b'7', b'0', b'7', b'0', b'2', ..] => Some(Self::Crc),
            [b'0', b'7', b'0', b'7', b'0', b'7', ..] => Some(Self::Odc),
            [0xc7, 0x71, ..] => Some(Self::Binary(false)),
            [0x71, 0xc7, ..] => Some(Self::Binary(true)),
            _ => None,
        }
    }
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Newc => "newc",
            Self::Crc => "crc",
            Self::Odc => "odc",
            Self::Binary(false) => "binary",
            Self::Binary(true) => "binary-big-endian",
        }
    }
    fn header(self) -> u64 {
        match self {
            Self::Newc | Self::Crc => 110,
            Self::Odc => 76,
            Self::Binary(_) => 26,
        }
    }
    /// Names and contents begin at multiples of this, counted from the archive's start.
    fn align(self) -> u64 {
        match self {
            Self::Newc | Self::Crc => 4,
            Self::Odc => 1,
            Self::Binary(_) => 2,
        }
    }
}

/// A header of any kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    device: (u32, u32),
    inode: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u32,
    special: (u32, u32),
    modified: i64,
    name: u64,
    len: u64,
}

/// Digits in a base; the kernel's reader takes capitals and small letters.
fn digits(field: &[u8], base: u32) -> Option<u64> {
    let text = std::str::from_utf8(field).ok().filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u64::from_str_radix(text, base).ok()
}

pub(super) fn header(kind: Kind, bytes: &[u8]) -> Option<Header> {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    match kind {
        Kind::Newc | Kind::Crc => {
            let mut fields = [0_u64; 13];
            for (field, hex) in fields.iter_mut().zip(bytes.get(6..110)?.chunks_exact(8)) {
                *field = digits(hex, 16)?;
            }
            let [inode, mode, uid, gid, links, modified, len, major, minor, rmajor, rminor, name, _sum] = fields;
            Some(Header {
                device: (narrow(major), narrow(minor)),
                inode: narrow(inode),
                mode: narrow(mode),
                uid: narrow(uid),
                gid: narrow(gid),
                links: narrow(links),
                special: (narrow(rmajor), narrow(rminor)),
                modified: i64::try_from(modified).unwrap_or(0),
                name,
                len,
            })
        }
        Kind::Odc => {
            let field = |at: usize, len: usize| digits(bytes.get(at..at.checked_add(len)?)?, 8);
            let six = |at: usize| field(at, 6).map(narrow);
            let pair = |n: u32| (n >> 8, n & 0xff);
            Some(Header {
                device: pair(six(6)?),
                inode: six(12)?,
                mode: six(18)?,
                uid: six(24)?,
                gid: six(30)?,
                links: six(36)?,
                special: pair(six(42)?),
                modified: i64::try_from(field(48, 11)?).unwrap_or(0),
                name: field(59, 6)?,
                len: field(65, 11)?,
            })
        }
        Kind::Binary(is_big) => {
            let word = |at: usize| -> Option<u32> {
                let two = bytes.get(at..)?.first_chunk::<2>()?;
                Some(u32::from(if is_big { u16::from_be_bytes(*two) } else { u16::from_le_bytes(*two) }))
            };
            // Long numbers have their high half first, whatever the order within.
            let long = |at: usize| Some(word(at)? << 16 | word(at.checked_add(2)?)?);
            let pair = |n: u32| (n >> 8, n & 0xff);
            Some(Header {
                device: pair(word(2)?),
                inode: word(4)?,
                mode: word(6)?,
                uid: word(8)?,
                gid: word(10)?,
                links: word(12)?,
                special: pair(word(14)?),
                modified: i64::from(long(16)?),
                name: u64::from(word(20)?),
                len: u64::from(long(22)?),
            })
        }
    }
}

fn node_kind(mode: u32) -> Option<NodeKind> {
    Some(match mode >> 12 & 0xf {
        0o01 => NodeKind::Fifo,
        0o02 => NodeKind::CharDevice,
        0o04 => NodeKind::Directory,
        0o06 => NodeKind::BlockDevice,
        // Some programs write files without their type.
        0o10 | 0 => NodeKind::File,
        0o12 => NodeKind::Symlink,
        0o14 => NodeKind::Socket,
        _ => return None,
    })
}

/// Whether a member can begin here: its header's numbers are numbers, and a name follows it.
pub(super) fn is_member(source: &Source, at: u64) -> Option<Kind> {
    let head = read_exact(&**source, at, 6).ok()??;
    let kind = Kind::recognise(&head)?;
    let bytes = read_exact(&**source, at, usize::try_from(kind.header()).ok()?).ok()??;
    let header = header(kind, &bytes)?;
    let end = at.checked_add(kind.header())?.checked_add(header.name)?.checked_sub(1)?;
    let ends = read_exact(&**source, end, 1).ok()??;
    let fits = (1..=MAX_NAME).contains(&header.name) && node_kind(header.mode).is_some();
    (fits && ends == [0]).then_some(kind)
}

/// What reading one archive came to.
pub(super) struct Read {
    /// The byte behind its last member.
    pub(super) end: u64,
    /// Its trailer was met.
    pub(super) whole: bool,
}

/// Names of one inode.
type Links = HashMap<((u32, u32), u32), Vec<u32>>;

/// Adds the members of the archive that begins at byte `from` of the source.
pub(super) fn read(source: &Source, from: u64, kind: Kind, builder: &mut Builder, steps: &mut u64) -> Read {
    let len = source.len();
    let mut at = from;
    let mut links = Links::new();
    let aligned = |n: u64| {
        let from_start = n.saturating_sub(from).checked_next_multiple_of(kind.align());
        from_start.map_or(u64::MAX, |n| n.saturating_add(from))
    };
    let stop = |builder: &Builder, at: u64, what: &str| {
        builder.gap(at, what, len.saturating_sub(at));
        Read { end: len, whole: false }
    };
    loop {
        if builder.is_full(at, len.saturating_sub(at)) {
            return Read { end: len, whole: false };
        }
        let Some(left) = steps.checked_sub(1) else {
            return stop(builder, at, "budget: steps; the rest is not listed");
        };
        *steps = left;
        if at >= len {
            builder.gap(at, "the archive ends without its last member", 0);
            return Read { end: len, whole: false };
        }
        let bytes = match read_exact(&**source, at, usize::try_from(kind.header()).unwrap_or(0)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return stop(builder, at, "the archive ends within a header"),
            Err(e) => return stop(builder, at, &format!("{e}; the rest is not listed")),
        };
        let same = Kind::recognise(&bytes)
            .is_some_and(|k| k == kind || matches!((k, kind), (Kind::Newc | Kind::Crc, Kind::Newc | Kind::Crc)));
        let Some(header) = header(kind, &bytes).filter(|_| same) else {
            return stop(builder, at, "damaged header; the rest is not listed");
        };
        let name_at = at.saturating_add(kind.header());
        let data = aligned(name_at.saturating_add(header.name));
        let next = aligned(data.saturating_add(header.len));
        if header.name == 0 || header.name > MAX_NAME {
            return stop(builder, at, "damaged header: length of a name; the rest is not listed");
        }
        let name = match read_exact(&**source, name_at, usize::try_from(header.name).unwrap_or(0)) {
            Ok(Some(name)) => name,
            Ok(None) => return stop(builder, at, "the archive ends within a name"),
            Err(e) => return stop(builder, at, &format!("{e}; the rest is not listed")),
        };
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        if name == TRAILER {
            return Read { end: next.min(len), whole: true };
        }
        if next > len {
            let what = format!("the archive ends within the member {}", Name::new(name));
            builder.gap(at, what, next.saturating_sub(len).min(header.len));
        }
        add(source, &header, name, data, &mut links, builder);
        at = next;
    }
}

fn add(source: &Source, header: &Header, name: &[u8], data: u64, links: &mut Links, builder: &mut Builder) {
    let known = node_kind(header.mode);
    let mut member = Member::new(name.to_vec(), known.unwrap_or(NodeKind::Unknown));
    member.mode = header.mode & 0o7777;
    (member.uid, member.gid) = (header.uid, header.gid);
    member.times.modified = Some(Time::seconds(header.modified));
    match member.kind {
        NodeKind::Symlink => {
            member.len = header.len;
            member.body = match target(source, data, header.len) {
                Ok(target) => Body::Target(target.into()),
                Err(why) => Body::Lost(why.into()),
            };
        }
        NodeKind::CharDevice | NodeKind::BlockDevice => member.device = Some(header.special),
        NodeKind::File | NodeKind::Unknown => {
            member.len = header.len;
            member.body = Body::At(data);
        }
        _ => {}
    }
    if header.links < 2 || member.kind != NodeKind::File {
        builder.add(member);
        return;
    }
    // Of the names of one inode only the last has its bytes; older forms repeat them with every name.
    let group = links.entry((header.device, header.inode)).or_default();
    let first = group.first().copied();
    match first {
        Some(node) if header.len == 0 => builder.add_link(name, node),
        Some(node) => match builder.member_mut(node).filter(|m| m.len == 0) {
            Some(first) => {
                (first.len, first.body) = (member.len, member.body);
                builder.add_link(name, node);
            }
            None => {
                builder.add(member);
            }
        },
        None => group.push(builder.add(member)),
    }
}

fn target(source: &Source, at: u64, len: u64) -> Result<Vec<u8>, String> {
    if len > MAX_TARGET {
        return Err(format!("link whose target has {len} bytes"));
    }
    let bytes = read_exact(&**source, at, usize::try_from(len).unwrap_or(0)).map_err(|e| e.to_string())?;
    let bytes = bytes.ok_or("the archive ends within this link's target")?;
    Ok(bytes.split(|b| *b == 0).next().unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn old_binary_headers_of_both_orders() {
        let words: [u16; 13] = [0o70707, 0x0801, 12, 0o100_644, 1000, 100, 1, 0, 0x4000, 0x1234, 5, 0x0001, 0x0002];
        let little: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let big: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
        assert_eq!(Kind::recognise(&little), Some(Kind::Binary(false)));
        assert_eq!(Kind::recognise(&big), Some(Kind::Binary(true)));
        let parsed = header(Kind::Binary(false), &little).unwrap();
        assert_eq!(header(Kind::Binary(true), &big).unwrap(), parsed);
        assert_eq!((parsed.modified, parsed.len, parsed.name, parsed.device), (0x4000_1234, 0x1_0002, 5, (8, 1)));
        for len in 0..26 {
            assert_eq!(header(Kind::Binary(false), little.get(..len).unwrap()), None);
        }
    }
    #[test]
    fn numbers_that_are_none_are_no_header() {
        assert_eq!(digits(b"+0000001", 16), None);
        assert_eq!(digits(b"00000 1", 8), None);
        assert_eq!(digits(b"0000ABcd", 16), Some(0xabcd));
        assert_eq!(digits(b"000008", 8), None);
    }
}
