//! Records of the change journal of NTFS and ReFS (`$UsnJrnl:$J`).
//! Format: USN_RECORD_V2, USN_RECORD_V3 and USN_RECORD_V4 in MS-FSCC 2.3.62 and winioctl.h.
use super::little::{u16_at, u32_at, u64_at};
use crate::base::{Name, Time, utf16};

/// Records lie within pages of this length, each from a multiple of 8 on.
pub const PAGE: usize = 4096;
/// Bytes of a record before its name, by version.
const HEAD_2: usize = 0x3c;
const HEAD_3: usize = 0x4c;
const HEAD_4: usize = 0x40;

/// A record: what happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub version: u16,
    /// Bytes that it takes.
    pub len: usize,
    /// Number of the file's record; of wider references its low 64 bits, which NTFS alone uses.
    pub file: Reference,
    pub parent: Reference,
    /// The record's own place in the journal, in bytes.
    pub usn: u64,
    /// `None` in version 4, which keeps none.
    pub time: Option<Time>,
    /// Bits of [`reasons`].
    pub reason: u32,
    /// Bits of [`sources`].
    pub source: u32,
    /// Attributes of the file (MS-FSCC 2.6).
    pub attributes: u32,
    /// Empty in version 4.
    pub name: Name,
}

/// A reference to a file: the number of its record, and the sequence number that it had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    pub number: u64,
    pub sequence: u16,
}
impl Reference {
    fn new(raw: u64) -> Self {
        Self { number: raw & 0xffff_ffff_ffff, sequence: u16::try_from(raw >> 48).unwrap_or(0) }
    }
}

/// What stands at a place of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Record(Record),
    /// Nothing was written here.
    Nothing,
    /// Neither a record nor nothing.
    Damaged,
}

/// Looks at the bytes from a multiple of 8 to the end of their page.
pub fn look(bytes: &[u8]) -> Found {
    if bytes.get(..8).is_none_or(|head| head.iter().all(|b| *b == 0)) {
        return Found::Nothing;
    }
    parse(bytes).map_or(Found::Damaged, Found::Record)
}

fn parse(bytes: &[u8]) -> Option<Record> {
    let len = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let (version, minor) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
    let record = bytes.get(..len).filter(|_| len.is_multiple_of(8) && len <= PAGE && minor <= 9)?;
    // Where the references end; the other fields follow.
    let (head, at) = match version {
        2 => (HEAD_2, 24),
        3 => (HEAD_3, 40),
        4 => return ranges(record),
        _ => return None,
    };
    let name_len = usize::from(u16_at(record, head.checked_sub(4)?)?);
    let name_at = usize::from(u16_at(record, head.checked_sub(2)?)?);
    let end = name_at.checked_add(name_len)?;
    let fits = name_at >= head && name_len >= 2 && name_len.is_multiple_of(2) && end <= len;
    // Fields that a later minor version added may stand before the name; behind it is only what fills up.
    if !fits || len.checked_sub(end)? >= 8 {
        return None;
    }
    Some(Record {
        version,
        len,
        file: Reference::new(u64_at(record, 8)?),
        parent: Reference::new(u64_at(record, if version == 2 { 16 } else { 24 })?),
        usn: u64_at(record, at)?,
        time: Time::from_filetime(u64_at(record, at.checked_add(8)?)?),
        reason: u32_at(record, at.checked_add(16)?)?,
        source: u32_at(record, at.checked_add(20)?)?,
        attributes: u32_at(record, at.checked_add(28)?)?,
        name: utf16::name(record.get(name_at..end)?).into(),
    })
}

/// Version 4: which parts of a file changed. It stands beside records of version 3, which tell the rest.
fn ranges(record: &[u8]) -> Option<Record> {
    let (count, size) = (usize::from(u16_at(record, 0x3c)?), usize::from(u16_at(record, 0x3e)?));
    if HEAD_4.checked_add(count.checked_mul(size)?)? != record.len() {
        return None;
    }
    Some(Record {
        version: 4,
        len: record.len(),
        file: Reference::new(u64_at(record, 8)?),
        parent: Reference::new(u64_at(record, 24)?),
        usn: u64_at(record, 40)?,
        time: None,
        reason: u32_at(record, 48)?,
        source: u32_at(record, 52)?,
        attributes: 0,
        name: Name::default(),
    })
}

const REASONS: &[(u32, &str)] = &[
    (0x1, "data-overwrite"),
    (0x2, "data-extend"),
    (0x4, "data-truncation"),
    (0x10, "named-data-overwrite"),
    (0x20, "named-data-extend"),
    (0x40, "named-data-truncation"),
    (0x100, "file-create"),
    (0x200, "file-delete"),
    (0x400, "ea-change"),
    (0x800, "security-change"),
    (0x1000, "rename-old-name"),
    (0x2000, "rename-new-name"),
    (0x4000, "indexable-change"),
    (0x8000, "basic-info-change"),
    (0x1_0000, "hard-link-change"),
    (0x2_0000, "compression-change"),
    (0x4_0000, "encryption-change"),
    (0x8_0000, "object-id-change"),
    (0x10_0000, "reparse-point-change"),
    (0x20_0000, "stream-change"),
    (0x40_0000, "transacted-change"),
    (0x80_0000, "integrity-change"),
    (0x100_0000, "desired-storage-class-change"),
    (0x8000_0000, "close"),
];
const SOURCES: &[(u32, &str)] = &[
    (0x1, "data-management"),
    (0x2, "auxiliary-data"),
    (0x4, "replication-management"),
    (0x8, "client-replication-management"),
];

/// Names of the bits, as the documentation has them; those that it does not name in hex.
fn named(bits: u32, names: &[(u32, &str)]) -> Vec<String> {
    let mut out: Vec<String> = names.iter().filter(|(b, _)| bits & b != 0).map(|(_, n)| (*n).to_owned()).collect();
    let rest = names.iter().fold(bits, |rest, (bit, _)| rest & !bit);
    if rest != 0 {
        out.push(format!("{rest:#x}"));
    }
    out
}
/// What was done to the file since it was opened.
pub fn reasons(bits: u32) -> Vec<String> {
    named(bits, REASONS)
}
/// What other than a person's program did it.
pub fn sources(bits: u32) -> Vec<String> {
    named(bits, SOURCES)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]
    use super::*;

    fn record(version: u16, name: &str) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let head = if version == 2 { HEAD_2 } else { HEAD_3 };
        let len = (head + name.len()).next_multiple_of(8);
        let mut out = u32::try_from(len).unwrap().to_le_bytes().to_vec();
        out.extend_from_slice(&version.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        let wide = |n: u64| if version == 2 { n.to_le_bytes().to_vec() } else { [n, 0].map(u64::to_le_bytes).concat() };
        out.extend(wide(0x0003_0000_0000_0029));
        out.extend(wide(0x0005_0000_0000_0005));
        out.extend_from_slice(&0x1000_u64.to_le_bytes());
        out.extend_from_slice(&132_000_000_000_000_001_u64.to_le_bytes());
        out.extend_from_slice(&0x8000_0102_u32.to_le_bytes());
        out.extend_from_slice(&1_u32.to_le_bytes());
        out.extend_from_slice(&7_u32.to_le_bytes());
        out.extend_from_slice(&0x20_u32.to_le_bytes());
        out.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&u16::try_from(head).unwrap().to_le_bytes());
        out.extend(name);
        out.resize(len, 0);
        out
    }

    #[test]
    fn both_versions_tell_the_same() {
        let read = |version| match look(&record(version, "岸桥.log")) {
            Found::Record(r) => r,
            other => panic!("{other:?}"),
        };
        let (two, three) = (read(2), read(3));
        assert_eq!(two.name.display(), "岸桥.log");
        assert_eq!(two.file, Reference { number: 0x29, sequence: 3 });
        assert_eq!(two.parent, Reference { number: 5, sequence: 5 });
        assert_eq!((two.usn, two.attributes), (0x1000, 0x20));
        assert_eq!(two.time.unwrap().to_string(), "2019-04-17T18:40:00.0000001Z");
        assert_eq!(reasons(two.reason), ["data-extend", "file-create", "close"]);
        assert_eq!(sources(two.source | 0x100), ["data-management", "0x100"]);
        assert_eq!(Record { version: 2, len: two.len, ..three.clone() }, two);
        assert_eq!(three.len, record(3, "岸桥.log").len());
    }
    #[test]
    fn nothing_but_a_whole_record_is_one() {
        for version in [2, 3] {
            let whole = record(version, "a.txt");
            for len in 8..whole.len() {
                assert_eq!(look(&whole[..len]), Found::Damaged, "{len}");
            }
            let is = |at: usize, value: u8| {
                let mut other = whole.clone();
                other[at] = value;
                matches!(look(&other), Found::Record(_))
            };
            let name = if version == 2 { HEAD_2 } else { HEAD_3 };
            assert!(is(name, b'b'));
            for (at, value) in
                [(0, 1), (0, 0xf8), (1, 0x20), (4, 9), (6, 10), (name - 4, 0), (name - 4, 9), (name - 1, 9)]
            {
                assert!(!is(at, value), "{at} {value}");
            }
        }
        assert_eq!(look(&[]), Found::Nothing);
        assert_eq!(look(&[0; 64]), Found::Nothing);
    }
    #[test]
    fn ranges_have_neither_name_nor_time() {
        let mut bytes = vec![0; 0x50];
        bytes[0] = 0x50;
        bytes[4] = 4;
        bytes[8] = 0x29;
        bytes[40] = 8;
        bytes[48] = 1;
        bytes[0x3c] = 1;
        bytes[0x3e] = 16;
        let Found::Record(record) = look(&bytes) else { panic!("no record") };
        assert_eq!((record.version, record.usn, record.time, record.name.is_empty()), (4, 8, None, true));
        bytes[0x3c] = 2;
        assert_eq!(look(&bytes), Found::Damaged);
    }
}
