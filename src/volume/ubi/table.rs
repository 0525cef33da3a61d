//! The volume table: 128 records, in two copies, each in a logical block of the layout volume.
//! Format: see `headers.rs`.
use super::headers::{be32, crc};

/// Bytes of a record.
const RECORD: usize = 172;
/// Records of a table, if a block has room for them.
const MOST: usize = 128;
const COUNTED: usize = RECORD - 4;

/// A volume as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Physical blocks that are its own.
    pub(super) reserved: u32,
    /// Bytes at the end of each logical block that are not used.
    pub(super) pad: u32,
    pub(super) is_static: bool,
    /// Its content was being replaced.
    pub(super) updating: bool,
    pub(super) name: Vec<u8>,
    /// It grows over all free blocks when it is attached first.
    pub(super) resizes: bool,
}

/// What a copy says of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Empty,
    Volume(Record),
    Damaged,
}

/// Every record of a copy.
pub(super) fn parse(bytes: &[u8]) -> Vec<Slot> {
    bytes.chunks_exact(RECORD).take(MOST).map(|record| slot(record).unwrap_or(Slot::Damaged)).collect()
}

fn slot(bytes: &[u8]) -> Option<Slot> {
    if bytes.get(..COUNTED).map(crc) != be32(bytes, COUNTED) {
        return None;
    }
    let reserved = be32(bytes, 0)?;
    if reserved == 0 {
        return Some(Slot::Empty);
    }
    let len = usize::from(u16::from_be_bytes(*bytes.get(14..)?.first_chunk()?));
    Some(Slot::Volume(Record {
        reserved,
        pad: be32(bytes, 8)?,
        is_static: match bytes.get(12)? {
            1 => false,
            2 => true,
            _ => return None,
        },
        updating: *bytes.get(13)? != 0,
        name: bytes.get(16..144)?.get(..len)?.to_vec(),
        resizes: *bytes.get(144)? & 1 != 0,
    }))
}

/// Bytes of a whole table.
pub(super) const fn len() -> usize {
    RECORD * MOST
}
